package report_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/report"
)

// squeezed is a text without blanks: lines may break anywhere.
func squeezed(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\f' {
			return -1
		}
		return r
	}, s)
}

// extracted is the text of a PDF, as copied out.
func extracted(t testing.TB, pdf []byte) string {
	t.Helper()
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext (poppler-utils) is not installed")
	}
	name := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(name, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), tool, "-raw", name, "-").Output() //nolint:gosec // a tool of the system
	if err != nil {
		t.Fatal(err)
	}
	return squeezed(string(text))
}

func TestEveryControl(t *testing.T) {
	w := newWorld(t, sqlite(t))
	w.measured()
	names := []string{"ISMSP", "ISO27001", "SOC2", "PCIDSS", "TISAX", "CMMC", "GDPR", "CCPA", "NISTCSF"}
	if raceEnabled {
		names = names[:1]
	}
	for _, name := range names {
		f := w.framework(name)
		w.attended(f)
		for _, l := range []report.Language{report.English, report.Korean} {
			t.Run(name+" "+string(l), func(t *testing.T) {
				w := *w
				w.TB = t
				m := w.model(f, compliance.Full)
				pdf, html, _ := w.set(m, l)
				text, page := extracted(t, pdf), squeezed(string(html))
				for i := range m.View.Controls {
					k := m.View.Controls[i].Control
					title := k.Title
					if l == report.Korean && k.TitleKo != "" {
						title = k.TitleKo
					}
					for what, in := range map[string]string{"PDF": text, "HTML": strings.NewReplacer("&amp;", "&", "&#39;", "'", "&#34;", `"`).Replace(page)} {
						if !strings.Contains(in, squeezed(k.ID+title)) && !strings.Contains(in, squeezed(title)) {
							t.Errorf("%s: no %s %q", what, k.ID, title)
						}
					}
				}
				for _, k := range m.Evidence {
					if !strings.Contains(text, k.ID) || k.Artifact != nil && !strings.Contains(text, k.Artifact.SHA256) {
						t.Errorf("no evidence %s with its hash", k.ID)
					}
				}
				for _, bad := range []string{"compliantwith", "iscertified", "guarantee"} {
					if strings.Contains(strings.ToLower(text), bad) {
						t.Errorf("it says %q", bad)
					}
				}
			})
		}
	}
}

func TestEmpty(t *testing.T) {
	w := newWorld(t, sqlite(t))
	for _, l := range []report.Language{report.English, report.Korean} {
		m := w.model(w.framework("ISMSP"), "")
		pdf, _, _ := w.set(m, l)
		if text := extracted(t, pdf); !strings.Contains(text, "0.00%") {
			t.Error("an estate that nothing was measured of has a score")
		}
	}
}

// The same state gives the same bytes, however much later; a change gives others.
func TestSameState(t *testing.T) {
	w := newWorld(t, sqlite(t))
	w.measured()
	f := w.framework("ISMSP")
	a, page, id := w.set(w.model(f, ""), report.Korean)
	w.clock = w.clock.Add(7 * time.Minute)
	b, again, same := w.set(w.model(f, ""), report.Korean)
	if !bytes.Equal(a, b) || !bytes.Equal(page, again) || id != same {
		t.Error("the same state gives another report")
	}
	if _, _, other := w.set(w.model(f, ""), report.English); other == id {
		t.Error("another language has the same id")
	}
	w.attended(f)
	if _, _, other := w.set(w.model(f, ""), report.Korean); other == id {
		t.Error("another state has the same id")
	}
	w.clock = w.clock.AddDate(0, 2, 0) // everything is stale by now
	c, _, later := w.set(w.model(f, ""), report.Korean)
	w.clock = w.clock.Add(time.Minute)
	d, _, _ := w.set(w.model(f, ""), report.Korean)
	if later == id || !bytes.Equal(c, d) {
		t.Error("time alone changes a control, and the report at most then")
	}
}

// A deadline that passes changes the report, and it says so.
func TestDeadlines(t *testing.T) {
	w := newWorld(t, sqlite(t))
	w.measured()
	due := noon.Add(time.Hour)
	w.builder.Notices = func(_ context.Context, _ uint32, _, _, at time.Time) ([]report.Notice, error) {
		n := report.Notice{Incident: "i-1", Title: "Records of customers left the house", Recipient: "PIPC", Law: "PIPA", AwareAt: noon.Add(-time.Hour), DueAt: due, State: "running"}
		if at.After(due) {
			n.State = "overdue"
		}
		return []report.Notice{n}, nil
	}
	f := w.framework("ISMSP")
	pdf, _, id := w.set(w.model(f, ""), report.English)
	if text := extracted(t, pdf); !strings.Contains(text, "Recordsofcustomersleftthehouse") || strings.Contains(text, "overdue") {
		t.Error("a notice that runs is not shown so")
	}
	w.clock = noon.Add(90 * time.Minute)
	m := w.model(f, "")
	pdf, _, other := w.set(m, report.English)
	if text := extracted(t, pdf); !strings.Contains(text, "overdue") || id == other || !m.AsOf.Equal(due) {
		t.Error("a notice that is overdue is not shown so", m.AsOf)
	}
}

func TestPeriod(t *testing.T) {
	w := newWorld(t, sqlite(t))
	if _, err := w.builder.Model(t.Context(), w.owner.Number, w.framework("SOC2"), report.Wish{From: noon, To: noon}, noon); err == nil {
		t.Error("an empty period is taken")
	}
}

func BenchmarkReport(b *testing.B) {
	w := newWorld(b, sqlite(b))
	w.measured()
	f := w.framework("ISMSP")
	w.attended(f)
	for b.Loop() {
		w.set(w.model(f, compliance.Full), report.Korean)
	}
}
