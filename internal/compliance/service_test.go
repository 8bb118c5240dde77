package compliance_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const tenant = 7

type world struct {
	*testing.T
	*compliance.Service
	db    *sqldb.DB
	clock time.Time
}

func each(t *testing.T, f func(w *world)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := &world{T: t, db: db, clock: now}
		w.Service = compliance.New(compliance.Config{DB: db, Now: func() time.Time { return w.clock }})
		f(w)
	})
}

// found saves what f says of every variant, gathered now.
func (w *world) found(f func(check string) compliance.Outcome) {
	w.Helper()
	all, err := w.Variants(w.Context(), tenant)
	if err != nil {
		w.Fatal(err)
	}
	var results []compliance.Result
	for _, v := range all {
		if o := f(v.Check); o != "" {
			results = append(results, compliance.Result{
				Variant: v.Key(), Check: v.Check, Outcome: o, Value: new(0.97), Unit: "ratio", Reason: "found so", Population: compliance.Population{Definition: "all", Size: 3, Sample: 3},
				CollectedAt: w.clock, Method: "SELECT 1", Resources: []string{"table alert"}, EvidenceID: "e-" + v.Check,
			})
		}
	}
	w.save(results...)
}

func (w *world) save(results ...compliance.Result) {
	w.Helper()
	if err := w.db.Tx(w.Context(), func(tx *sqldb.DB) error { return w.SaveResults(w.Context(), tx, tenant, results) }); err != nil {
		w.Fatal(err)
	}
}

func (w *world) view(name string, p compliance.Profile) *compliance.View {
	w.Helper()
	f, err := w.Find(w.Context(), tenant, name)
	if err != nil {
		w.Fatal(err)
	}
	v, err := w.View(w.Context(), tenant, f, p, w.clock)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

func (w *world) standing(name, control string) *compliance.Standing {
	w.Helper()
	v := w.view(name, compliance.Full)
	for i := range v.All {
		if v.All[i].Control.ID == control {
			return &v.All[i]
		}
	}
	w.Fatalf("%s has no %s", name, control)
	return nil
}

func (w *world) counts(name string, p compliance.Profile, compliant, partial, non, notAssessed int, score int64) {
	w.Helper()
	c := w.view(name, p).Coverage
	if c.Compliant != compliant || c.Partial != partial || c.NonCompliant != non || c.NotAssessed != notAssessed || c.Score != score {
		w.Errorf("%s %s is %d/%d/%d/%d, %d; want %d/%d/%d/%d, %d", name, p, c.Compliant, c.Partial, c.NonCompliant, c.NotAssessed, c.Score, compliant, partial, non, notAssessed, score)
	}
}

func (w *world) actions() map[string]int {
	w.Helper()
	out := map[string]int{}
	all, err := audit.After(w.Context(), w.db, tenant, 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range all {
		out[e.Action]++
	}
	return out
}

func TestResultsSettleControls(t *testing.T) {
	each(t, func(w *world) {
		w.counts("ismsp", "", 0, 0, 0, 31, 0)
		w.found(always(compliance.Pass))
		w.counts("isms-p", "", 24, 0, 0, 7, 7742)
		w.counts("ISMSP", compliance.Full, 24, 0, 0, 77, 2376)
		x := w.standing("ISMSP", "2.9.3")
		if !x.Since.Equal(w.clock) || len(x.Evidence()) != 2 || x.Findings[0].Result.Method != "SELECT 1" || *x.Findings[0].Result.Value != 0.97 || x.Findings[0].Result.Resources[0] != "table alert" {
			t := x.Findings[0].Result
			w.Errorf("2.9.3 since %s, evidence %v, first result %+v", x.Since, x.Evidence(), t)
		}
		if v := w.view("ISMSP", ""); !v.EvaluatedAt.Equal(w.clock) {
			w.Errorf("evaluated at %s", v.EvaluatedAt)
		}
		w.clock = w.clock.Add(time.Hour)
		w.found(func(check string) compliance.Outcome {
			if check == "backup-mon" {
				return compliance.Fail
			}
			return compliance.Pass
		})
		w.counts("ISMSP", "", 23, 1, 0, 7, 7581)
		changes, total, err := w.Changes(w.Context(), tenant, compliance.ChangeFilter{Framework: w.Catalogue.Find("ISMSP"), Control: "2.9.3"}, compliance.Slice{Size: 10})
		if err != nil || total != 2 {
			w.Fatalf("%d changes, %v", total, err)
		}
		c := changes[0]
		if c.From != compliance.Compliant || c.To != compliance.Partial || c.Code != compliance.SomeFail || c.Cause != "backup-mon: pass → fail; platform-backup: pass, evaluated again" || c.Reason != "These do not pass: backup-mon" {
			w.Errorf("the change reads %+v", c)
		}
		if changes[1].From != compliance.NotAssessed || changes[1].To != compliance.Compliant {
			w.Errorf("the first change reads %+v", changes[1])
		}
		days, err := w.Outcomes(w.Context(), tenant, "backup-mon", w.clock.Add(-time.Hour), w.clock)
		if err != nil || len(days) != 1 || days[0].Runs != 2 || days[0].Last != compliance.Fail || days[0].Worst != compliance.Fail {
			w.Errorf("backup-mon by day: %+v, %v", days, err)
		}
		if n := w.actions()["compliance.status"]; n != 2 {
			w.Errorf("%d changes in the audit log, want 2", n)
		}
	})
}

// An earlier result that comes late does not take the place of a newer one.
func TestLateResult(t *testing.T) {
	each(t, func(w *world) {
		pop := compliance.Population{Size: 1}
		w.save(compliance.Result{Variant: "time-sync", Check: "time-sync", Outcome: compliance.Fail, CollectedAt: w.clock, Population: pop})
		w.save(compliance.Result{Variant: "time-sync", Check: "time-sync", Outcome: compliance.Pass, CollectedAt: w.clock.Add(-time.Hour), Population: pop})
		if x := w.standing("ISMSP", "2.9.6"); x.Status != compliance.NonCompliant {
			w.Errorf("2.9.6 is %s", x.Status)
		}
	})
}

func TestNothingToLookAtIsNoPass(t *testing.T) {
	each(t, func(w *world) {
		w.save(compliance.Result{Variant: "time-sync", Check: "time-sync", Outcome: compliance.Pass, Population: compliance.Population{Size: 0}})
		if x := w.standing("ISMSP", "2.9.6"); x.Status != compliance.NotAssessed || x.Findings[0].Outcome != compliance.NoData {
			w.Errorf("2.9.6 is %s", x.Status)
		}
	})
}

func TestUnknownResults(t *testing.T) {
	each(t, func(w *world) {
		for _, r := range []compliance.Result{
			{Variant: "nope", Check: "nope", Outcome: compliance.Pass},
			{Variant: "time-sync", Check: "mfa-all", Outcome: compliance.Pass},
			{Variant: "time-sync", Check: "time-sync", Outcome: "good"},
		} {
			err := w.db.Tx(w.Context(), func(tx *sqldb.DB) error { return w.SaveResults(w.Context(), tx, tenant, []compliance.Result{r}) })
			if err == nil {
				w.Errorf("%+v was kept", r)
			}
		}
	})
}

// Time alone lowers a status, and the history says so.
func TestTimeAlone(t *testing.T) {
	each(t, func(w *world) {
		w.found(always(compliance.Pass))
		w.clock = w.clock.Add(15 * 24 * time.Hour)
		w.counts("ISMSP", "", 0, 0, 0, 31, 0)
		if err := w.Settle(w.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		changes, _, err := w.Changes(w.Context(), tenant, compliance.ChangeFilter{Control: "2.9.6"}, compliance.Slice{Size: 1})
		if err != nil || changes[0].Cause != "the evidence became too old: time-sync" {
			w.Errorf("the change reads %+v, %v", changes, err)
		}
		f := w.Catalogue.Find("ISMSP")
		days, err := w.History(w.Context(), tenant, f, compliance.Core, now, w.clock)
		if err != nil || len(days) != 2 || days[0].Coverage.Score != 0 || days[1].Coverage.Score != 7742 || days[1].Weight != 50 || days[1].Coverage.Compliant != 24 || days[1].Official != nil {
			w.Errorf("the history reads %+v, %v", days, err)
		}
		days, err = w.History(w.Context(), tenant, w.Catalogue.Find("CMMC"), compliance.Full, now, w.clock)
		if err != nil || len(days) != 2 || days[0].Official == nil || *days[0].Official != -203 || *days[1].Official <= -203 {
			w.Errorf("the history of CMMC reads %+v, %v", days, err)
		}
		w.found(always(compliance.Fail))
		w.counts("ISMSP", "", 0, 0, 31, 0, 0)
		before := w.actions()["compliance.status"]
		if err := w.Settle(w.Context(), tenant); err != nil || w.actions()["compliance.status"] != before {
			w.Errorf("judging again changed something: %v", err)
		}
	})
}

func (w *world) attest(actor, control string, s compliance.Status) *compliance.Attestation {
	w.Helper()
	a, err := w.Attest(w.Context(), tenant, actor, w.Catalogue.Find("ISMSP"), compliance.AttestationDraft{Control: control, Status: s, Statement: "Seen on site"})
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func TestAttestations(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		w.found(always(compliance.Pass))
		a := w.attest("kim", "2.5.2", compliance.Compliant)
		if a.State != compliance.Approved || !a.ExpiresAt.Equal(w.clock.AddDate(1, 0, 0)) {
			w.Errorf("attested: %+v", a)
		}
		w.counts("ISMSP", "", 25, 0, 0, 6, 8065)
		// A check that fails is not lifted by a person.
		w.found(func(check string) compliance.Outcome {
			if check == "log-field-completeness" {
				return compliance.Fail
			}
			return compliance.Pass
		})
		if x := w.standing("ISMSP", "2.5.2"); x.Status != compliance.NonCompliant {
			w.Errorf("an attestation lifts a failing check: %s", x.Status)
		}
		w.found(always(compliance.Pass))
		// A newer one takes its place.
		b := w.attest("lee", "2.5.2", compliance.Partial)
		if x := w.standing("ISMSP", "2.5.2"); x.Status != compliance.Partial || x.Attestation.ID != b.ID {
			w.Errorf("after a second attestation: %s by %s", x.Status, x.Attestation.By)
		}
		if old, err := w.Attestation(ctx, tenant, a.ID); err != nil || old.State != compliance.Replaced {
			w.Errorf("the first is %+v, %v", old, err)
		}
		if _, err := w.Withdraw(ctx, tenant, "lee", b.ID, "wrong", 7); !errors.Is(err, fault.Conflict) {
			w.Errorf("withdrawn on another version: %v", err)
		}
		if _, err := w.Withdraw(ctx, tenant, "lee", b.ID, "wrong", b.Version); err != nil {
			w.Error(err)
		}
		if _, err := w.Withdraw(ctx, tenant, "lee", b.ID, "wrong", 0); !errors.Is(err, fault.Conflict) {
			w.Errorf("withdrawn twice: %v", err)
		}
		w.counts("ISMSP", "", 24, 0, 0, 7, 7742)
		// After its time one counts no more.
		w.attest("kim", "2.5.2", compliance.Compliant)
		w.clock = w.clock.AddDate(1, 0, 0)
		w.found(always(compliance.Pass))
		if x := w.standing("ISMSP", "2.5.2"); x.Status != compliance.NotAssessed || x.Why.Code != compliance.AttestationExpired {
			w.Errorf("an expired attestation counts: %s, %s", x.Status, x.Why)
		}
		got := w.actions()
		if got["compliance.attest"] != 3 || got["compliance.withdraw"] != 1 {
			w.Errorf("the audit log has %v", got)
		}
		if _, err := w.Attestation(ctx, tenant+1, a.ID); !errors.Is(err, fault.NotFound) {
			w.Errorf("another tenant sees it: %v", err)
		}
		for name, d := range map[string]compliance.AttestationDraft{
			"control": {Control: "9.9", Status: compliance.Compliant, Statement: "x"}, "status": {Control: "2.5.2", Status: compliance.NotAssessed, Statement: "x"},
			"statement": {Control: "2.5.2", Status: compliance.Compliant, Statement: "  "}, "maturity": {Control: "2.5.2", Status: compliance.Compliant, Statement: "x", Maturity: new(6)},
			"expiresAt": {Control: "2.5.2", Status: compliance.Compliant, Statement: "x", ExpiresAt: &now},
		} {
			_, err := w.Attest(ctx, tenant, "kim", w.Catalogue.Find("ISMSP"), d)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != name {
				w.Errorf("bad %s: %v", name, err)
			}
		}
	})
}

func TestReviews(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		w.found(always(compliance.Pass))
		a := w.attest("kim", "2.7.1", compliance.NotApplicable)
		if a.State != compliance.Pending {
			w.Errorf("not applicable needs no approval: %s", a.State)
		}
		if x := w.standing("ISMSP", "2.7.1"); x.Status != compliance.NotAssessed || x.Pending == nil {
			w.Errorf("what waits counts already: %s", x.Status)
		}
		if _, err := w.Review(ctx, tenant, "kim", a.ID, true, "", 0); !errors.Is(err, fault.Forbidden) {
			w.Errorf("who attested may review: %v", err)
		}
		if _, err := w.Review(ctx, tenant, "lee", a.ID, false, "", 0); !errors.Is(err, fault.Invalid) {
			w.Errorf("rejected without a reason: %v", err)
		}
		if a, err := w.Review(ctx, tenant, "lee", a.ID, true, "", 0); err != nil || a.State != compliance.Approved || a.Reviewer != "lee" || a.ReviewedAt == nil {
			w.Errorf("approved: %+v, %v", a, err)
		}
		// It leaves the totals: 24 of 30.
		if c := w.view("ISMSP", "").Coverage; c.Total != 30 || c.NotApplicable != 1 || c.Score != 8000 {
			w.Errorf("the coverage is %+v", c)
		}
		if _, err := w.Change(ctx, tenant, "kim", 0, func(s *compliance.Settings) { s.ReviewRequired = true }); err != nil {
			w.Fatal(err)
		}
		b := w.attest("kim", "2.5.2", compliance.Compliant)
		if b.State != compliance.Pending {
			w.Errorf("no review although the settings ask for one: %s", b.State)
		}
		if b, err := w.Review(ctx, tenant, "lee", b.ID, false, "not shown", 0); err != nil || b.State != compliance.Rejected {
			w.Errorf("rejected: %+v, %v", b, err)
		}
		if _, err := w.Review(ctx, tenant, "lee", b.ID, true, "", 0); !errors.Is(err, fault.Conflict) {
			w.Errorf("reviewed twice: %v", err)
		}
		page, total, err := w.Attestations(ctx, tenant, compliance.AttestationFilter{States: []string{"rejected"}}, compliance.Slice{Size: 20})
		if err != nil || total != 1 || page[0].ID != b.ID {
			w.Errorf("listed %d, %v", total, err)
		}
	})
}

func TestExceptions(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		f := w.Catalogue.Find("ISMSP")
		w.found(func(check string) compliance.Outcome {
			if check == "auth-policy" {
				return compliance.Fail
			}
			return compliance.Pass
		})
		if x := w.standing("ISMSP", "2.5.4"); x.Status != compliance.NonCompliant {
			w.Fatalf("2.5.4 is %s", x.Status)
		}
		d := compliance.ExceptionDraft{Control: "2.5.4", Owner: "CISO", Reason: "old system", Compensation: "second factor", EndsAt: w.clock.Add(30 * 24 * time.Hour)}
		e, err := w.Except(ctx, tenant, "kim", f, d)
		if err != nil {
			w.Fatal(err)
		}
		if x := w.standing("ISMSP", "2.5.4"); x.Status != compliance.Partial || x.Why.Code != compliance.Accepted || len(x.Exceptions) != 1 {
			w.Errorf("with an exception 2.5.4 is %s (%s)", x.Status, x.Why)
		}
		w.attest("kim", "2.5.4", compliance.Compliant)
		if x := w.standing("ISMSP", "2.5.4"); x.Status != compliance.Compliant || x.Why.Code != compliance.AttestedWithException {
			w.Errorf("with an exception and an attestation 2.5.4 is %s (%s)", x.Status, x.Why)
		}
		w.clock = w.clock.Add(24 * time.Hour)
		if _, err := w.End(ctx, tenant, "kim", e.ID, "repaired", 1); err != nil {
			w.Error(err)
		}
		if x := w.standing("ISMSP", "2.5.4"); x.Status != compliance.NonCompliant {
			w.Errorf("after the exception 2.5.4 is %s", x.Status)
		}
		if _, err := w.End(ctx, tenant, "kim", e.ID, "", 0); !errors.Is(err, fault.Conflict) {
			w.Errorf("ended twice: %v", err)
		}
		active := true
		if _, total, err := w.Exceptions(ctx, tenant, compliance.ExceptionFilter{Framework: f, Active: &active}, compliance.Slice{Size: 20}); err != nil || total != 0 {
			w.Errorf("%d are active, %v", total, err)
		}
		d.EndsAt = w.clock.Add(time.Hour)
		for name, bad := range map[string]func(*compliance.ExceptionDraft){
			"control": func(d *compliance.ExceptionDraft) { d.Control = "1.1.1" }, "checks": func(d *compliance.ExceptionDraft) { d.Checks = []string{"mfa-all"} },
			"owner": func(d *compliance.ExceptionDraft) { d.Owner = "" }, "reason": func(d *compliance.ExceptionDraft) { d.Reason = " " },
			"compensation": func(d *compliance.ExceptionDraft) { d.Compensation = "" }, "endsAt": func(d *compliance.ExceptionDraft) { d.EndsAt = w.clock.AddDate(2, 0, 0) },
		} {
			x := d
			bad(&x)
			_, err := w.Except(ctx, tenant, "kim", f, x)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != name {
				w.Errorf("bad %s: %v", name, err)
			}
		}
		if got := w.actions(); got["compliance.except"] != 1 || got["compliance.endException"] != 1 {
			w.Errorf("the audit log has %v", got)
		}
	})
}

func TestSettings(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		w.found(func(check string) compliance.Outcome {
			if check == "alert-backlog" || check == "alert-mtta" {
				return compliance.Fail
			}
			return compliance.Pass
		})
		w.counts("ISMSP", "", 22, 2, 0, 7, 7419)
		change := func(f func(s *compliance.Settings)) {
			w.Helper()
			if _, err := w.Change(ctx, tenant, "kim", 0, f); err != nil {
				w.Fatal(err)
			}
		}
		change(func(s *compliance.Settings) { s.PartialWeight = 0 })
		w.counts("ISMSP", "", 22, 2, 0, 7, 7097)
		change(func(s *compliance.Settings) { s.PartialWeight, s.Strict = 1, true })
		w.counts("ISMSP", "", 13, 2, 0, 16, 4839)
		change(func(s *compliance.Settings) {
			s.PartialWeight, s.Strict = 0.5, false
			s.Frameworks["ISMSP"] = compliance.FrameworkSettings{Profile: compliance.Full, AttestationMonths: 6}
			s.Frameworks["SOC2"] = compliance.FrameworkSettings{Categories: []string{"security", "availability"}}
			s.Frameworks["PCIDSS"] = compliance.FrameworkSettings{Categories: []string{"A3"}}
		})
		w.counts("ISMSP", "", 22, 2, 0, 77, 2277)
		if c := w.view("SOC2", compliance.Full).Coverage; c.Total != 36 {
			w.Errorf("security and availability of SOC 2 have %d criteria, want 36", c.Total)
		}
		if c := w.view("PCIDSS", compliance.Full).Coverage; c.Total != 68 {
			w.Errorf("PCI DSS with appendix A3 has %d requirements, want 68", c.Total)
		}
		if a := w.attest("kim", "2.5.2", compliance.Compliant); !a.ExpiresAt.Equal(w.clock.AddDate(0, 6, 0)) {
			w.Errorf("it expires at %s", a.ExpiresAt)
		}
		for name, bad := range map[string]func(s *compliance.Settings){
			"partialWeight":     func(s *compliance.Settings) { s.PartialWeight = 1.1 },
			"attestationMonths": func(s *compliance.Settings) { s.AttestationMonths = 0 },
			"frameworks.DORA": func(s *compliance.Settings) {
				s.Frameworks["DORA"] = compliance.FrameworkSettings{Profile: compliance.Core}
			},
			"frameworks.GDPR.profile": func(s *compliance.Settings) { s.Frameworks["GDPR"] = compliance.FrameworkSettings{Profile: "all"} },
			"frameworks.SOC2.categories": func(s *compliance.Settings) {
				s.Frameworks["SOC2"] = compliance.FrameworkSettings{Categories: []string{"x"}}
			},
			"frameworks.TISAX.edition": func(s *compliance.Settings) { s.Frameworks["TISAX"] = compliance.FrameworkSettings{Edition: "2027"} },
		} {
			_, err := w.Change(ctx, tenant, "kim", 0, bad)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid || f.Field != name {
				w.Errorf("bad %s: %v", name, err)
			}
		}
		if _, err := w.Change(ctx, tenant, "kim", 1, func(*compliance.Settings) {}); !errors.Is(err, fault.Conflict) {
			w.Errorf("changed on another version: %v", err)
		}
	})
}

func TestNotes(t *testing.T) {
	each(t, func(w *world) {
		f := w.Catalogue.Find("ISO27001")
		due := w.clock.Add(time.Hour)
		r, err := w.Note(w.Context(), tenant, "kim", f, "A.8.15", 0, func(r *compliance.Record) { r.Owner, r.DueAt, r.Justification = "SOC lead", &due, "risk R-12" })
		if err != nil || r.Version != 1 {
			w.Fatalf("%+v, %v", r, err)
		}
		if x := w.standing("ISO27001", "A.8.15"); x.Record.Owner != "SOC lead" || x.Record.DueAt == nil || !x.Record.DueAt.Equal(due) || x.Record.Justification != "risk R-12" {
			w.Errorf("noted: %+v", x.Record)
		}
		if _, err := w.Note(w.Context(), tenant, "kim", f, "A.9.99", 0, func(*compliance.Record) {}); !errors.Is(err, fault.NotFound) {
			w.Errorf("an unknown control: %v", err)
		}
		if _, err := w.Note(w.Context(), tenant, "kim", f, "A.8.15", 9, func(*compliance.Record) {}); !errors.Is(err, fault.Conflict) {
			w.Errorf("another version: %v", err)
		}
	})
}

func TestGains(t *testing.T) {
	each(t, func(w *world) {
		w.found(func(check string) compliance.Outcome {
			switch check {
			case "mfa-all":
				return compliance.Fail
			case "db-access-mon":
				return compliance.NoData
			}
			return compliance.Pass
		})
		all, err := w.Gains(w.Context(), tenant, "", w.clock)
		if err != nil || len(all) != 2 {
			w.Fatalf("%d gains, %v", len(all), err)
		}
		g := all[0]
		if g.Check.ID != "mfa-all" || g.Outcome != compliance.Fail || len(g.By) != 9 || g.Result.Reason != "found so" {
			w.Errorf("the greatest gain is %s (%s) in %d frameworks: %s", g.Check.ID, g.Outcome, len(g.By), g.Result.Reason)
		}
		if by := g.By[0]; by.Framework.ID != "ISMSP" || len(by.Better) != 3 || by.Compliant != 3 {
			w.Errorf("ISMS-P gains %+v", by)
		}
		if g := all[1]; g.Check.ID != "db-access-mon" || g.String() != "+1 ISMS-P, +1 ISO/IEC 27001" {
			w.Errorf("then %s: %s", g.Check.ID, &g)
		}
	})
}

func TestTenantsAreApart(t *testing.T) {
	each(t, func(w *world) {
		w.found(always(compliance.Pass))
		v, err := w.View(w.Context(), tenant+1, w.Catalogue.Find("ISMSP"), "", w.clock)
		if err != nil || v.Coverage.Compliant != 0 {
			w.Errorf("another tenant has %d compliant, %v", v.Coverage.Compliant, err)
		}
	})
}
