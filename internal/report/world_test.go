package report_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/report/paper"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
)

var keep = flag.String("keep", "", "folder that the tests leave their reports in, to look at them")

// noon is when tests begin.
var noon = time.Date(2026, 9, 30, 3, 0, 0, 0, time.UTC)

var seoul = time.FixedZone("KST", 9*3600)

// world is the services that reports are made from.
type world struct {
	testing.TB
	db        *sqldb.DB
	clock     time.Time
	owner     *tenant.Tenant
	proof     *evidence.Service
	builder   *report.Builder
	incidents *incident.Service
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	w := &world{TB: t, db: db, clock: noon}
	tenants := tenant.New(db)
	var err error
	if w.owner, err = tenants.Create(t.Context(), "ann", tenant.Draft{Name: "한빛전자 주식회사"}); err != nil {
		t.Fatal(err)
	}
	// Its creation is a change like others: here it lies before them.
	if _, err := sqldb.Exec(t.Context(), db, `UPDATE tenant SET created_at = $1`, noon.AddDate(-1, 0, 0).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	files, err := vault.Open(filepath.Join(t.TempDir(), "vault"))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	judge := compliance.New(compliance.Config{DB: db, Now: now, Kept: func(context.Context, uint32) (compliance.Kept, error) {
		return compliance.Kept{ConfiguredDays: 365, Oldest: noon.AddDate(0, -7, 0)}, nil
	}})
	w.proof = evidence.New(evidence.Config{DB: db, Files: files, Compliance: judge, Signer: audit.NewSigner([32]byte{9}), Now: now, Version: "1.2.3", Host: "kyra-1"})
	w.incidents = incident.New(db, alert.New(db), incident.DefaultSLA)
	w.builder = &report.Builder{Tenants: tenants, Compliance: judge, Evidence: w.proof, Incidents: w.incidents, Version: "1.2.3"}
	return w
}

// measured saves a result of every variant: mostly passes, some that fail, some without data.
func (w *world) measured() {
	w.Helper()
	variants, err := w.builder.Compliance.Variants(w.Context(), w.owner.Number)
	if err != nil {
		w.Fatal(err)
	}
	var all []compliance.Result
	for i, v := range variants {
		r := compliance.Result{
			Variant: v.Key(), Check: v.Check, Outcome: compliance.Pass, Value: new(0.9873), Unit: "ratio", Threshold: "ratio >= 0.95", Reason: "98.73 % of 412 log sources sent within the last 24 hours.",
			Population: compliance.Population{Definition: "log sources that are enabled and not set aside", Size: 412, Sample: 412}, From: w.clock.AddDate(0, 0, -30), To: w.clock, CollectedAt: w.clock,
			Method: "SELECT count(*) FROM source WHERE tenant = 1", Resources: []string{"table source"}, Facts: []byte(fmt.Sprintf(`{"n":%d}`, i)),
		}
		switch i % 9 {
		case 3:
			r.Outcome, r.Value, r.Reason = compliance.Fail, new(0.4218), "Of 232,695 alerts 134,551 are open for longer than a day: assign them to somebody, or close in bulk what a tuned rule would not raise any more."
			r.Threshold = "share of alerts older than a day that nobody has taken <= 0.05"
		case 5:
			r.Outcome, r.Value, r.Reason = compliance.Partly, new(0.91), "37 of 412 sources have been silent for two days: look at the collector of the branch office."
		case 7:
			r.Outcome, r.Value, r.Population.Size, r.Population.Sample, r.Reason = compliance.NoData, nil, 0, 0, "No identity provider is connected: connect one under Settings, Connectors."
		}
		all = append(all, r)
	}
	if err := w.proof.Save(w.Context(), w.owner.Number, all); err != nil {
		w.Fatal(err)
	}
}

// attended attests, notes and accepts what people would.
func (w *world) attended(f *compliance.Framework) {
	w.Helper()
	ctx, c := w.Context(), w.builder.Compliance
	statement := "정책 문서 3.2판과 2026년 상반기 점검 결과를 검토하였으며, 담당 부서의 이행 기록을 확인함. Reviewed against policy 3.2 and the records of the first half of 2026; no deviation was found."
	for i := range f.Controls {
		k := &f.Controls[i]
		if i%3 == 0 {
			due := noon.AddDate(0, 1, 0)
			if _, err := c.Note(ctx, w.owner.Number, "김서연", f, k.ID, 0, func(r *compliance.Record) {
				r.Owner, r.DueAt, r.Justification = "김서연 (정보보호팀)", &due, "Needed by the risk treatment plan of 2026."
			}); err != nil {
				w.Fatal(err)
			}
		}
		if i%4 == 1 {
			d := compliance.AttestationDraft{Control: k.ID, Status: compliance.Compliant, Statement: statement}
			if f.ID == "TISAX" {
				level := i % 5
				d.Maturity = &level
			}
			if _, err := c.Attest(ctx, w.owner.Number, "박민준", f, d); err != nil {
				w.Fatal(err)
			}
		}
		if i%10 == 2 {
			a, err := c.Attest(ctx, w.owner.Number, "박민준", f, compliance.AttestationDraft{Control: k.ID, Status: compliance.NotApplicable, Statement: "No development takes place in the scope: all software is bought."})
			if err != nil {
				w.Fatal(err)
			}
			if i%20 == 2 {
				if _, err := c.Review(ctx, w.owner.Number, "이지우", a.ID, true, "", 0); err != nil {
					w.Fatal(err)
				}
			}
		}
		if i%12 == 4 && len(k.Checks) > 0 {
			if _, err := c.Except(ctx, w.owner.Number, "김서연", f, compliance.ExceptionDraft{
				Control: k.ID, Owner: "최도윤", Reason: "The plant network cannot be scanned while production runs.", Compensation: "Passive discovery, and a scan in every maintenance window.", EndsAt: noon.AddDate(0, 3, 0),
			}); err != nil {
				w.Fatal(err)
			}
		}
	}
}

func (w *world) framework(name string) *compliance.Framework {
	w.Helper()
	f, err := w.builder.Compliance.Find(w.Context(), w.owner.Number, name)
	if err != nil {
		w.Fatal(err)
	}
	return f
}

func (w *world) model(f *compliance.Framework, p compliance.Profile) *report.Model {
	w.Helper()
	m, err := w.builder.Model(w.Context(), w.owner.Number, f, report.Wish{Profile: p, Zone: seoul}, w.clock)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) set(m *report.Model, l report.Language) (pdf, html []byte, id string) {
	w.Helper()
	d, id, err := report.Compose(m, l)
	if err != nil {
		w.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := paper.PDF(&a, d); err != nil {
		w.Fatal(err)
	}
	if err := paper.HTML(&b, d); err != nil {
		w.Fatal(err)
	}
	if *keep != "" {
		name := filepath.Join(*keep, strings.ReplaceAll(w.Name(), "/", "-")+"-"+strings.ToLower(m.View.Framework.ID)+"-"+string(l))
		if err := os.WriteFile(name+".pdf", a.Bytes(), 0o600); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(name+".html", b.Bytes(), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	return a.Bytes(), b.Bytes(), id
}

func sqlite(t testing.TB) *sqldb.DB { return sqldbtest.SQLite(t) }

// leave writes a file to look at, where the tests are told to keep them.
func (w *world) leave(name string, content []byte) {
	w.Helper()
	if *keep == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keep, name), content, 0o600); err != nil {
		w.Fatal(err)
	}
}
