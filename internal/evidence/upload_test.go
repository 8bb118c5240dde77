package evidence_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/fault"
)

var (
	pdf = []byte("%PDF-1.7\n1 0 obj\n<<>>\nendobj\n")
	png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
)

func review() evidence.Draft {
	return evidence.Draft{Name: `C:\docs\review.pdf`, MediaType: "application/pdf", Content: pdf, Title: "Review of rights, first quarter", Controls: []evidence.Control{{Framework: "iso 27001", Control: "A.5.18"}, {Framework: "ISMSP", Control: "2.5.6"}}}
}

func TestUpload(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		d := review()
		d.EffectiveAt = noon.Add(-60 * 24 * time.Hour)
		k, err := w.Upload(ctx, tenant, "ann", d)
		if err != nil {
			w.Fatal(err)
		}
		if k.Kind != evidence.Manual || k.Artifact.Name != "review.pdf" || k.Artifact.MediaType != "application/pdf" || k.Controls[0] != (evidence.Control{Framework: "ISO27001", Control: "A.5.18"}) || len(k.Controls) != 2 ||
			!k.EffectiveAt.Equal(d.EffectiveAt) || !k.CollectedAt.Equal(noon) || k.ValidUntil != nil || k.HandedInBy != "ann" {
			w.Errorf("record is %s", k.JSON)
		}
		if got := w.artifact(k.ID); got != string(pdf) {
			w.Errorf("artifact is %q", got)
		}
		// What is newer takes its place, and both stay.
		d = review()
		d.Supersedes, d.Content = k.ID, append(pdf, "second\n"...)
		next, err := w.Upload(ctx, tenant, "bob", d)
		if err != nil {
			w.Fatal(err)
		}
		if old := w.get(k.ID); old.SupersededBy != next.ID || !old.Stale(noon) || next.Supersedes != k.ID || w.artifact(k.ID) != string(pdf) {
			w.Errorf("old is %+v", old)
		}
		if _, err := w.Upload(ctx, tenant, "bob", d); !errors.Is(err, fault.Conflict) {
			w.Errorf("superseding twice: %v, want Conflict", err)
		}
		w.whole(2)
		if n, err := audit.Verify(ctx, w.db, tenant); err != nil || n != 2 {
			w.Errorf("audit has %d entries, %v", n, err)
		}
		// An attestation may name it, unless something newer took its place.
		f, err := w.Compliance.Find(ctx, tenant, "ISO27001")
		if err != nil {
			w.Fatal(err)
		}
		attest := func(id string) error {
			_, err := w.Compliance.Attest(ctx, tenant, "ann", f, compliance.AttestationDraft{Control: "A.5.18", Status: compliance.Compliant, Statement: "reviewed", Evidence: []string{id}})
			return err
		}
		if err := attest(next.ID); err != nil {
			w.Error(err)
		}
		for _, id := range []string{k.ID, "nope", ""} {
			if err := attest(id); !errors.Is(err, fault.Invalid) {
				w.Errorf("attesting with %q: %v, want Invalid", id, err)
			}
		}
	})
}

func TestUploadRefuses(t *testing.T) {
	each(t, func(w *world) {
		auto := w.save(w.result("mfa-all", compliance.Fail, `{}`))[0].EvidenceID
		for name, change := range map[string]func(*evidence.Draft){
			"no name":          func(d *evidence.Draft) { d.Name = "/" },
			"empty":            func(d *evidence.Draft) { d.Content = nil },
			"another type":     func(d *evidence.Draft) { d.MediaType = "image/png" },
			"said to be a pdf": func(d *evidence.Draft) { d.Content = png },
			"a program":        func(d *evidence.Draft) { d.MediaType, d.Content = "", []byte("\x7fELF\x02\x01\x01\x00\x00") },
			"a page": func(d *evidence.Draft) {
				d.MediaType, d.Content = "text/plain", []byte("<html><script>alert(1)</script>")
			},
			"a type that is not":   func(d *evidence.Draft) { d.MediaType = "/" },
			"a type not taken":     func(d *evidence.Draft) { d.MediaType, d.Content = "text/x-sh", []byte("echo") },
			"no control":           func(d *evidence.Draft) { d.Controls = nil },
			"unknown framework":    func(d *evidence.Draft) { d.Controls = []evidence.Control{{Framework: "X", Control: "1"}} },
			"unknown control":      func(d *evidence.Draft) { d.Controls = []evidence.Control{{Framework: "SOC2", Control: "1"}} },
			"to come":              func(d *evidence.Draft) { d.EffectiveAt = noon.Add(time.Hour) },
			"period the wrong way": func(d *evidence.Draft) { d.PeriodFrom = noon.Add(time.Hour) },
			"ended before":         func(d *evidence.Draft) { d.ValidUntil = new(noon.Add(-time.Hour)) },
			"long title":           func(d *evidence.Draft) { d.Title = strings.Repeat("x", 201) },
			"supersedes nothing":   func(d *evidence.Draft) { d.Supersedes = "nope" },
			"supersedes a check's": func(d *evidence.Draft) { d.Supersedes = auto },
		} {
			d := review()
			change(&d)
			if _, err := w.Upload(w.Context(), tenant, "ann", d); !errors.Is(err, fault.Invalid) {
				w.Errorf("%s: %v, want Invalid", name, err)
			}
		}
		d := review()
		d.Content = make([]byte, evidence.MaxFile+1)
		if _, err := w.Upload(w.Context(), tenant, "ann", d); !errors.Is(err, fault.TooLarge) {
			w.Errorf("too large: %v", err)
		}
		w.whole(1)
	})
}

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := z.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTypesByContent(t *testing.T) {
	const ooxml = "application/vnd.openxmlformats-officedocument."
	w := newWorldOnSQLite(t)
	for _, x := range []struct {
		declared string
		content  []byte
		want     string
	}{
		{"", pdf, "application/pdf"},
		{"application/octet-stream", png, "image/png"},
		{"text/csv; charset=utf-8", []byte("a,b\n1,2\n"), "text/csv"},
		{"", []byte(`{"a":1}`), "application/json"},
		{"text/plain", []byte(`{"a":1}`), "text/plain"},
		{"message/rfc822", []byte("From: a\nTo: b\n\nhello"), "message/rfc822"},
		{"", archive(t, "[Content_Types].xml", "word/document.xml"), ooxml + "wordprocessingml.document"},
		{ooxml + "spreadsheetml.sheet", archive(t, "[Content_Types].xml", "xl/workbook.xml"), ooxml + "spreadsheetml.sheet"},
		{"application/zip", archive(t, "a"), "application/zip"},
		{ooxml + "spreadsheetml.sheet", archive(t, "[Content_Types].xml", "word/document.xml"), ""},
		{"text/plain", []byte("caf\xe9"), ""},
	} {
		d := review()
		d.MediaType, d.Content = x.declared, x.content
		k, err := w.Upload(t.Context(), tenant, "ann", d)
		switch {
		case x.want == "" && !errors.Is(err, fault.Invalid):
			t.Errorf("%s of %q: %v, want Invalid", x.declared, x.content, err)
		case x.want != "" && (err != nil || k.Artifact.MediaType != x.want):
			t.Errorf("%s of %q: %v, want %s", x.declared, x.content, err, x.want)
		}
	}
}
