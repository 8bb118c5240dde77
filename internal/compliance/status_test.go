package compliance_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

var now = time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)

// results gives every variant that all frameworks ask for the outcome that f says.
func results(c *compliance.Catalogue, f func(check string) compliance.Outcome) map[string]*compliance.Result {
	out := map[string]*compliance.Result{}
	for _, v := range c.Variants(c.Default()) {
		o := f(v.Check)
		if o == "" {
			continue
		}
		out[v.Key()] = &compliance.Result{Variant: v.Key(), Check: v.Check, Outcome: o, CollectedAt: now.Add(-time.Minute), EvidenceID: "e-" + v.Key()}
	}
	return out
}

func always(o compliance.Outcome) func(string) compliance.Outcome {
	return func(string) compliance.Outcome { return o }
}

// standings judges every control of f.
func standings(c *compliance.Catalogue, f *compliance.Framework, r map[string]*compliance.Result, att map[string]*compliance.Attestation, strict bool) []compliance.Standing {
	out := make([]compliance.Standing, len(f.Controls))
	for i := range f.Controls {
		k := &f.Controls[i]
		out[i] = compliance.Standing{Framework: f, Control: k, Attestation: att[k.ID], Judgement: c.StatusOf(k, r, att[k.ID], nil, strict, now)}
	}
	return out
}

func attested(s compliance.Status) *compliance.Attestation {
	return &compliance.Attestation{Status: s, State: compliance.Approved, By: "kim", Statement: "seen", At: now.Add(-time.Hour), ExpiresAt: now.AddDate(1, 0, 0)}
}

// The worked cases of the catalogues' notes.
func TestWorkedCases(t *testing.T) {
	c := compliance.Builtin()
	ismsp := c.Find("ISMSP")
	set := compliance.Defaults()
	backlog := func(check string) compliance.Outcome {
		if check == "alert-backlog" || check == "alert-mtta" {
			return compliance.Fail
		}
		return compliance.Pass
	}
	seven := map[string]*compliance.Attestation{}
	for _, x := range standings(c, ismsp, results(c, always(compliance.Pass)), nil, false) {
		if x.Control.Core && x.Status == compliance.NotAssessed {
			seven[x.Control.ID] = attested(compliance.Compliant)
		}
	}
	if len(seven) != 7 {
		t.Errorf("%d controls wait for a person, want 7", len(seven))
	}
	for _, x := range []struct {
		name                                 string
		outcome                              func(string) compliance.Outcome
		att                                  map[string]*compliance.Attestation
		profile                              compliance.Profile
		strict                               bool
		compliant, partial, non, notAssessed int
		score                                int64
	}{
		{"every check passes, nobody attested", always(compliance.Pass), nil, compliance.Core, false, 24, 0, 0, 7, 7742},
		{"same, strict", always(compliance.Pass), nil, compliance.Core, true, 15, 0, 0, 16, 4839},
		{"same, full", always(compliance.Pass), nil, compliance.Full, false, 24, 0, 0, 77, 2376},
		{"nothing measured", always(""), nil, compliance.Core, false, 0, 0, 0, 31, 0},
		{"no data", always(compliance.NoData), nil, compliance.Core, false, 0, 0, 0, 31, 0},
		{"backlog and acknowledgement fail", backlog, nil, compliance.Core, false, 22, 2, 0, 7, 7419},
		{"every check passes, seven attested", always(compliance.Pass), seven, compliance.Core, false, 31, 0, 0, 0, 10000},
		{"everything fails", always(compliance.Fail), nil, compliance.Core, false, 0, 0, 31, 0, 0},
		{"everything fails, seven attested", always(compliance.Fail), seven, compliance.Core, false, 0, 0, 31, 0, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			all := set.Choose(ismsp, standings(c, ismsp, results(c, x.outcome), x.att, x.strict), x.profile)
			got := compliance.CoverageOf(all, 50)
			if got.Compliant != x.compliant || got.Partial != x.partial || got.NonCompliant != x.non || got.NotAssessed != x.notAssessed || got.Score != x.score {
				t.Errorf("got %d/%d/%d/%d, %d; want %d/%d/%d/%d, %d", got.Compliant, got.Partial, got.NonCompliant, got.NotAssessed, got.Score, x.compliant, x.partial, x.non, x.notAssessed, x.score)
			}
		})
	}
}

// With all checks passing and nobody attesting, the notes give the score of each framework.
func TestScoresOfAllFrameworks(t *testing.T) {
	c := compliance.Builtin()
	set := compliance.Defaults()
	r := results(c, always(compliance.Pass))
	for id, want := range map[string]int64{
		"ISMSP": 7742, "ISO27001": 3265, "SOC2": 3056, "PCIDSS": 3077, "TISAX": 3226, "CMMC": 4026, "GDPR": 800, "CCPA": 1842, "NISTCSF": 3871,
	} {
		f := c.Find(id)
		got := compliance.CoverageOf(set.Choose(f, standings(c, f, r, nil, false), compliance.Core), 50)
		if got.Score != want {
			t.Errorf("%s scores %d, want %d", id, got.Score, want)
		}
		if got.ReadyToAttest != got.NotAssessed || got.EvidenceCoverage != 10000 {
			t.Errorf("%s: %d of %d ready to attest, evidence of %d", id, got.ReadyToAttest, got.NotAssessed, got.EvidenceCoverage)
		}
	}
}

// one judges a control of ISMS-P by outcomes of its checks in their order.
func one(t *testing.T, id string, outcomes []compliance.Outcome, att *compliance.Attestation, ex *compliance.Exception, strict bool) compliance.Judgement {
	t.Helper()
	c := compliance.Builtin()
	k := c.Find("ISMSP").Control(id)
	if len(outcomes) != len(k.Checks) {
		t.Fatalf("%s has %d checks", id, len(k.Checks))
	}
	r := map[string]*compliance.Result{}
	for i, o := range outcomes {
		r[k.Checks[i].Key] = &compliance.Result{Check: k.Checks[i].Check, Outcome: o, CollectedAt: now.Add(-time.Minute)}
	}
	var exceptions []*compliance.Exception
	if ex != nil {
		exceptions = append(exceptions, ex)
	}
	return c.StatusOf(k, r, att, exceptions, strict, now)
}

func TestStatus(t *testing.T) {
	const (
		auto   = "2.9.3" // backup-mon, platform-backup
		strict = "2.10.5"
		assist = "2.7.1" // tls-ingest, encrypt-rest
	)
	p, q, f, n := compliance.Pass, compliance.Partly, compliance.Fail, compliance.NoData
	is := func(o ...compliance.Outcome) []compliance.Outcome { return o }
	expired := attested(compliance.Compliant)
	expired.ExpiresAt = now
	pending := attested(compliance.Compliant)
	pending.State = compliance.Pending
	for _, x := range []struct {
		name     string
		control  string
		outcomes []compliance.Outcome
		att      *compliance.Attestation
		except   []string // checks; nil: no exception
		strict   bool
		want     compliance.Status
		code     compliance.Code
	}{
		{"auto passes", auto, is(p, p), nil, nil, false, compliance.Compliant, compliance.AllPass},
		{"auto passes in part", auto, is(p, q), nil, nil, false, compliance.Partial, compliance.SomeFail},
		{"auto fails in part", auto, is(p, f), nil, nil, false, compliance.Partial, compliance.SomeFail},
		{"auto fails", auto, is(f, f), nil, nil, false, compliance.NonCompliant, compliance.AllFail},
		{"what has data fails", auto, is(f, n), nil, nil, false, compliance.NonCompliant, compliance.AllFail},
		{"partial and no data", auto, is(q, n), nil, nil, false, compliance.Partial, compliance.SomeFail},
		{"no data is never a pass", auto, is(n, n), nil, nil, false, compliance.NotAssessed, compliance.HasNoData},
		{"incomplete", auto, is(p, n), nil, nil, false, compliance.Partial, compliance.Incomplete},
		{"incomplete, attested", auto, is(p, n), attested(compliance.Compliant), nil, false, compliance.Compliant, compliance.Attested},
		{"no data, attested", auto, is(n, n), attested(compliance.Compliant), nil, false, compliance.Compliant, compliance.Attested},
		{"a person lowers", auto, is(p, p), attested(compliance.NonCompliant), nil, false, compliance.NonCompliant, compliance.Attested},
		{"a person lowers in part", auto, is(p, p), attested(compliance.Partial), nil, false, compliance.Partial, compliance.Attested},
		{"strict leaves auto", auto, is(p, p), nil, nil, true, compliance.Compliant, compliance.AllPass},
		{"strict lowers", strict, is(p, p), nil, nil, true, compliance.NotAssessed, compliance.ReadyToAttest},
		{"strict incomplete", strict, is(p, n), nil, nil, true, compliance.NotAssessed, compliance.Incomplete},
		{"assist passes", assist, is(p, p), nil, nil, false, compliance.NotAssessed, compliance.ReadyToAttest},
		{"assist attested", assist, is(p, p), attested(compliance.Compliant), nil, false, compliance.Compliant, compliance.Attested},
		{"assist fails, attested", assist, is(f, f), attested(compliance.Compliant), nil, false, compliance.NonCompliant, compliance.AllFail},
		{"assist fails in part, attested", assist, is(p, f), attested(compliance.Compliant), nil, false, compliance.Partial, compliance.SomeFail},
		{"assist attested and no data", assist, is(n, n), attested(compliance.Compliant), nil, false, compliance.Compliant, compliance.Attested},
		{"expired", assist, is(p, p), expired, nil, false, compliance.NotAssessed, compliance.AttestationExpired},
		{"expired while failing", assist, is(f, f), expired, nil, false, compliance.NonCompliant, compliance.AllFail},
		{"pending", assist, is(p, p), pending, nil, false, compliance.NotAssessed, compliance.ReadyToAttest},
		{"not applicable", assist, is(f, f), attested(compliance.NotApplicable), nil, false, compliance.NotApplicable, compliance.IsNotApplicable},
		{"accepted", auto, is(f, p), nil, is2("backup-mon"), false, compliance.Partial, compliance.Accepted},
		{"all accepted", auto, is(f, f), nil, []string{}, false, compliance.Partial, compliance.Accepted},
		{"one of two accepted", auto, is(f, f), nil, is2("backup-mon"), false, compliance.NonCompliant, compliance.AllFail},
		{"accepted and attested", auto, is(f, p), attested(compliance.Compliant), is2("backup-mon"), false, compliance.Compliant, compliance.AttestedWithException},
		{"no data accepted", auto, is(n, n), nil, []string{}, false, compliance.NotAssessed, compliance.HasNoData},
		{"another is accepted", auto, is(p, f), attested(compliance.Compliant), is2("backup-mon"), false, compliance.Partial, compliance.SomeFail},
		{"manual", "1.1.1", nil, nil, nil, false, compliance.NotAssessed, compliance.NeedsPerson},
		{"manual attested", "1.1.1", nil, attested(compliance.Partial), nil, false, compliance.Partial, compliance.Attested},
		{"manual expired", "1.1.1", nil, expired, nil, false, compliance.NotAssessed, compliance.AttestationExpired},
	} {
		t.Run(x.name, func(t *testing.T) {
			var ex *compliance.Exception
			if x.except != nil {
				ex = &compliance.Exception{Checks: x.except, EndsAt: now.Add(time.Hour)}
			}
			j := one(t, x.control, x.outcomes, x.att, ex, x.strict)
			if j.Status != x.want || j.Why.Code != x.code {
				t.Errorf("got %s (%s: %s), want %s (%s)", j.Status, j.Why.Code, j.Why, x.want, x.code)
			}
			if ex != nil {
				ex.EndsAt = now
				over, without := one(t, x.control, x.outcomes, x.att, ex, x.strict), one(t, x.control, x.outcomes, x.att, nil, x.strict)
				if over.Status != without.Status {
					t.Errorf("an exception that has ended still counts: %s, without it %s", over.Status, without.Status)
				}
			}
			if j.Why.String() == "" || j.Why.In("ko") == "" || j.Why.In("ko") == j.Why.String() {
				t.Errorf("the reason reads %q and %q", j.Why, j.Why.In("ko"))
			}
		})
	}
}

func is2(checks ...string) []string { return checks }

// Evidence that is older than twice its cadence is no data.
func TestStaleEvidence(t *testing.T) {
	c := compliance.Builtin()
	k := c.Find("ISMSP").Control("2.9.2") // capacity-health and collector-online hourly, notify-channel daily
	at := func(age time.Duration) map[string]*compliance.Result {
		r := map[string]*compliance.Result{}
		for _, l := range k.Checks {
			r[l.Key] = &compliance.Result{Check: l.Check, Outcome: compliance.Pass, CollectedAt: now.Add(-age)}
		}
		return r
	}
	for _, x := range []struct {
		age  time.Duration
		want compliance.Status
	}{{2 * time.Hour, compliance.Compliant}, {2*time.Hour + time.Second, compliance.Partial}, {48 * time.Hour, compliance.Partial}, {48*time.Hour + time.Second, compliance.NotAssessed}} {
		if j := c.StatusOf(k, at(x.age), nil, nil, false, now); j.Status != x.want || j.Stale != (x.age > 2*time.Hour) {
			t.Errorf("after %s: %s, stale %t; want %s", x.age, j.Status, j.Stale, x.want)
		}
	}
	r := at(time.Minute)
	for _, x := range r {
		x.ValidUntil = now.Add(-time.Second)
	}
	if j := c.StatusOf(k, r, nil, nil, false, now); j.Status != compliance.NotAssessed || !j.Stale {
		t.Errorf("results that say they are over still count: %s", j.Status)
	}
}

// Whatever is found and attested: the buckets add up to the total, the score is within
// bounds, an attestation never makes a control better than its failing checks allow, and
// a check that fails instead of passing never makes a control compliant.
func TestBucketsAddUp(t *testing.T) {
	c := compliance.Builtin()
	rapid.Check(t, func(t *rapid.T) {
		f := c.Frameworks[rapid.IntRange(0, len(c.Frameworks)-1).Draw(t, "framework")]
		outcomes := map[string]compliance.Outcome{}
		r := map[string]*compliance.Result{}
		for _, v := range c.Variants([]*compliance.Framework{f}) {
			outcomes[v.Key()] = rapid.SampledFrom(compliance.Outcomes).Draw(t, v.Key())
			age := time.Duration(rapid.IntRange(0, 400).Draw(t, "age")) * time.Hour
			r[v.Key()] = &compliance.Result{Variant: v.Key(), Check: v.Check, Outcome: outcomes[v.Key()], CollectedAt: now.Add(-age)}
		}
		strict := rapid.Bool().Draw(t, "strict")
		all := make([]compliance.Standing, len(f.Controls))
		for i := range f.Controls {
			k := &f.Controls[i]
			var att *compliance.Attestation
			if rapid.Bool().Draw(t, "attested") {
				att = attested(rapid.SampledFrom(compliance.Statuses[:3]).Draw(t, "claim"))
				if rapid.IntRange(0, 4).Draw(t, "na") == 0 {
					att.Status = compliance.NotApplicable
				}
			}
			j := c.StatusOf(k, r, att, nil, strict, now)
			all[i] = compliance.Standing{Framework: f, Control: k, Judgement: j}
			failing := false
			for _, x := range j.Findings {
				failing = failing || x.Outcome == compliance.Fail || x.Outcome == compliance.Partly
			}
			if failing && j.Status == compliance.Compliant {
				t.Fatalf("%s is compliant although a check fails", k.ID)
			}
			if j.Status == compliance.Compliant && att == nil && (k.ModeIn(strict) != compliance.Auto || !j.Live()) {
				t.Fatalf("%s is compliant without a person or without data", k.ID)
			}
		}
		set := compliance.Defaults()
		p := rapid.SampledFrom(compliance.Profiles).Draw(t, "profile")
		weight := rapid.Int64Range(0, 100).Draw(t, "weight")
		chosen := set.Choose(f, all, p)
		cov := compliance.CoverageOf(chosen, weight)
		if cov.Compliant+cov.Partial+cov.NonCompliant+cov.NotAssessed != cov.Total || cov.Total+cov.NotApplicable != len(chosen) {
			t.Fatalf("the buckets do not add up: %+v of %d", cov, len(chosen))
		}
		for _, n := range []int64{cov.Score, cov.AssessedScore, cov.EvidenceCoverage} {
			if n < 0 || n > 10000 {
				t.Fatalf("out of bounds: %+v", cov)
			}
		}
		if cov.Score > cov.AssessedScore {
			t.Fatalf("the score %d is above that of what was assessed, %d", cov.Score, cov.AssessedScore)
		}
	})
}

func TestOfficialScore(t *testing.T) {
	c := compliance.Builtin()
	f := c.Find("CMMC")
	official := func(r map[string]*compliance.Result, att map[string]*compliance.Attestation) *compliance.Official {
		v := &compliance.View{Framework: f, All: standings(c, f, r, att, false)}
		return v.Official()
	}
	if o := official(nil, nil); o.Score != -203 || o.Lowest != -203 || o.Met != 0 || o.Total != 110 || o.Level1 != 15 || o.Conditional || o.Plan {
		t.Errorf("nothing met: %+v", o)
	}
	all := map[string]*compliance.Attestation{}
	for i := range f.Controls {
		all[f.Controls[i].ID] = attested(compliance.Compliant)
	}
	if o := official(nil, all); o.Score != 110 || o.NotMet != 0 || o.Level1Met != 15 || !o.Conditional || !o.Plan {
		t.Errorf("everything met: %+v", o)
	}
	all["AC.L2-3.1.1"].Status = compliance.Partial // weighs 5, partial is not met
	all["AC.L2-3.1.3"].Status = compliance.NotApplicable
	if o := official(nil, all); o.Score != 105 || o.NotMet != 1 || o.Level1Met != 14 {
		t.Errorf("one in part: %+v", o)
	}
	if v := (&compliance.View{Framework: c.Find("GDPR"), All: standings(c, c.Find("GDPR"), nil, nil, false)}); v.Official() != nil {
		t.Error("GDPR has an official score")
	}
}

// BenchmarkJudge judges all controls of all frameworks from results.
func BenchmarkJudge(b *testing.B) {
	c := compliance.Builtin()
	r := results(c, func(check string) compliance.Outcome { return compliance.Outcomes[len(check)%4] })
	set := compliance.Defaults()
	for b.Loop() {
		for _, f := range c.Default() {
			all := standings(c, f, r, nil, false)
			for _, p := range compliance.Profiles {
				if got := compliance.CoverageOf(set.Choose(f, all, p), 50); got.Total == 0 {
					b.Fatal(fmt.Sprint(got))
				}
			}
		}
	}
}
