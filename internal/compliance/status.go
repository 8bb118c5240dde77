package compliance

import (
	"slices"
	"time"
)

// An Attestation is what a person says of a control.
type Attestation struct {
	ID                 string // UUIDv7
	Framework, Edition string
	Control            string
	Status             Status // claimed: any but NotAssessed
	Statement          string // why; of NotApplicable the justification
	Evidence           []string
	Maturity           *int // TISAX: 0 to 5, nil where none was given

	State      AttestationState
	By         string // who attests
	At         time.Time
	ExpiresAt  time.Time
	Reviewer   string     // who approved or rejected, "" while nobody has or need
	ReviewedAt *time.Time // nil while nobody has
	Note       string     // of the reviewer, or of who withdrew
	Version    int64
}

// An AttestationState tells whether an attestation counts.
type AttestationState string

// The states. Only what is approved counts, and only until it expires or a newer one of
// the control is approved.
const (
	Pending   AttestationState = "pending" // waits for a reviewer who is another person
	Approved  AttestationState = "approved"
	Rejected  AttestationState = "rejected"
	Withdrawn AttestationState = "withdrawn"
	Replaced  AttestationState = "replaced" // a newer one was approved
)

// AttestationStates lists the states.
var AttestationStates = []AttestationState{Pending, Approved, Rejected, Withdrawn, Replaced}

// counts tells whether a counts at the time now.
func (a *Attestation) counts(now time.Time) bool {
	return a != nil && a.State == Approved && now.Before(a.ExpiresAt)
}

// An Exception accepts for a time that checks of a control do not pass.
type Exception struct {
	ID                 string // UUIDv7
	Framework, Edition string
	Control            string
	Checks             []string // ids; empty: all of the control's
	Owner              string   // who answers for it
	Reason             string
	Compensation       string // what is done instead
	By                 string // who recorded it
	At, EndsAt         time.Time
	EndedAt            *time.Time // before its time, by a person
	EndedBy            string
	EndNote            string
	Version            int64
}

// active tells whether e holds at the time now.
func (e *Exception) active(now time.Time) bool {
	return e.EndedAt == nil && now.Before(e.EndsAt)
}

// covers tells whether e speaks of the check.
func (e *Exception) covers(check string) bool {
	return len(e.Checks) == 0 || slices.Contains(e.Checks, check)
}

// A Finding is one check of a control with what is known of it.
type Finding struct {
	Link     Link
	Result   *Result // the latest; nil where it was never evaluated
	Outcome  Outcome // that counts: NoData where Result is stale or absent
	Stale    bool    // Result said something, and is older than twice the check's cadence
	Excepted bool    // an exception accepts that it does not pass
}

// A Judgement is how a control stands, and why.
type Judgement struct {
	Status   Status
	Why      Reason
	Findings []Finding // in the order of the control's checks
	// Stale tells that at least one finding is, Ready that every check passes and only a
	// person's word is missing.
	Stale, Ready bool
	// Assessed is when the newest result or attestation that counts was given; zero for none.
	Assessed time.Time
}

// Live tells whether at least one check has a result that counts.
func (j *Judgement) Live() bool {
	return slices.ContainsFunc(j.Findings, func(f Finding) bool { return f.Outcome != NoData })
}

// validUntil is when r stops to count.
func (r *Result) validUntil(c *Check) time.Time {
	until := r.CollectedAt.Add(c.StaleAfter())
	if !r.ValidUntil.IsZero() && r.ValidUntil.Before(until) {
		return r.ValidUntil
	}
	return until
}

// findings looks up the results of a control's checks.
func (c *Catalogue) findings(k *Control, results map[string]*Result, exceptions []*Exception, now time.Time) []Finding {
	out := make([]Finding, len(k.Checks))
	for i, l := range k.Checks {
		f := Finding{Link: l, Result: results[l.Key], Outcome: NoData}
		if f.Result != nil {
			if now.After(f.Result.validUntil(c.checks[l.Check])) {
				f.Stale = f.Result.Outcome != NoData // what said nothing cannot grow old
			} else {
				f.Outcome = f.Result.Outcome
			}
		}
		f.Excepted = f.Outcome != Pass && slices.ContainsFunc(exceptions, func(e *Exception) bool { return e.active(now) && e.covers(l.Check) })
		out[i] = f
	}
	return out
}

// StatusOf judges a control by the latest results of its variants (by key), by the
// approved attestation of it (nil for none) and the exceptions from it that were recorded
// (what has expired or ended does not count), in a strict or an ordinary assessment, at
// the time now.
func (c *Catalogue) StatusOf(k *Control, results map[string]*Result, att *Attestation, exceptions []*Exception, strict bool, now time.Time) Judgement {
	j := Judgement{Findings: c.findings(k, results, exceptions, now)}
	expired := att != nil && att.State == Approved && !att.counts(now)
	if att.counts(now) {
		j.Assessed = att.At
	}
	for i := range j.Findings {
		f := &j.Findings[i]
		j.Stale = j.Stale || f.Stale
		if f.Outcome != NoData && f.Result.CollectedAt.After(j.Assessed) {
			j.Assessed = f.Result.CollectedAt
		}
	}
	v := byChecks(j.Findings, k.ModeIn(strict))
	switch {
	case !att.counts(now):
		j.Status, j.Why, j.Ready = v.alone, v.why, v.ready
		if expired && j.Status == NotAssessed {
			j.Why = Reason{Code: AttestationExpired, Until: att.ExpiresAt}
		}
	case att.Status == NotApplicable:
		j.Status, j.Why = NotApplicable, Reason{Code: IsNotApplicable, Until: att.ExpiresAt, By: att.By, Text: att.Statement}
	case worse(att.Status, v.best) == v.best && v.best != att.Status:
		// What checks found is worse than what was attested.
		j.Status, j.Why = v.best, v.why
	default:
		j.Status, j.Why = att.Status, Reason{Code: Attested, By: att.By, Until: att.ExpiresAt, Checks: v.why.Checks}
		if v.excepted {
			j.Why.Code = AttestedWithException
		}
	}
	return j
}

// verdict is what checks say of a control.
type verdict struct {
	alone    Status // without an attestation
	best     Status // that an attestation can reach
	why      Reason
	ready    bool
	excepted bool // an exception had to be used
}

// byChecks weighs findings; README of the catalogues, section 3.1.
func byChecks(findings []Finding, m Mode) verdict {
	var passed, failed, partly, missing, excepted []string
	known := false // something that is excepted does not pass, rather than has no data
	for i := range findings {
		f := &findings[i]
		name := f.Link.Check
		switch {
		case f.Excepted:
			excepted = append(excepted, name)
			known = known || f.Outcome != NoData
		case f.Outcome == Pass:
			passed = append(passed, name)
		case f.Outcome == Partly:
			partly = append(partly, name)
		case f.Outcome == Fail:
			failed = append(failed, name)
		default:
			missing = append(missing, name)
		}
	}
	v := verdict{alone: NotAssessed, best: Compliant, excepted: len(excepted) > 0}
	evidence := len(passed) + len(partly) + len(failed)
	switch {
	case m == Manual && len(findings) == 0:
		v.why = Reason{Code: NeedsPerson}
	case len(failed) > 0 && len(failed) == evidence:
		v.alone, v.best, v.why = NonCompliant, NonCompliant, Reason{Code: AllFail, Checks: failed}
	case len(failed)+len(partly) > 0:
		v.alone, v.best, v.why = Partial, Partial, Reason{Code: SomeFail, Checks: append(failed, partly...)}
	case known:
		v.alone, v.why = Partial, Reason{Code: Accepted, Checks: excepted}
	case evidence == 0:
		v.why = Reason{Code: HasNoData, Checks: append(missing, excepted...)}
	case len(missing)+len(excepted) > 0:
		v.why = Reason{Code: Incomplete, Checks: append(missing, excepted...)}
		if m == Auto {
			v.alone = Partial
		}
	case m == Auto:
		v.alone, v.why = Compliant, Reason{Code: AllPass, Checks: passed}
	default:
		v.ready, v.why = true, Reason{Code: ReadyToAttest, Checks: passed}
	}
	return v
}

// worse returns the worse of two statuses that were assessed.
func worse(a, b Status) Status {
	if slices.Index(Statuses, a) > slices.Index(Statuses, b) {
		return a
	}
	return b
}
