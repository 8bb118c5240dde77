package compliance

// Coverage is how a framework stands in one profile. The four counts add up to Total;
// what is not applicable has left it.
type Coverage struct {
	Total, Compliant, Partial, NonCompliant, NotAssessed int
	NotApplicable                                        int

	// Hundredths of a percent point, rounded half away from zero; 0 when Total is 0.
	Score            int64 // 100 × (compliant + weight × partial) ÷ total
	AssessedScore    int64 // the same over what was assessed only
	EvidenceCoverage int64 // 100 × controls with a result that counts ÷ total

	ReadyToAttest int // every check passes, a person must confirm
	Stale         int // rely on evidence that is too old
}

// add counts one control.
func (c *Coverage) add(j *Judgement) (live bool) {
	if j.Stale {
		c.Stale++
	}
	if j.Status == NotApplicable {
		c.NotApplicable++
		return false
	}
	c.Total++
	switch j.Status {
	case Compliant:
		c.Compliant++
	case Partial:
		c.Partial++
	case NonCompliant:
		c.NonCompliant++
	default:
		c.NotAssessed++
	}
	if j.Ready {
		c.ReadyToAttest++
	}
	return j.Live()
}

// coverageOf counts controls; weight is that of partial in hundredths.
func coverageOf(all []Standing, weight int64) Coverage {
	var c Coverage
	live := 0
	for i := range all {
		if c.add(&all[i].Judgement) {
			live++
		}
	}
	reached := 100*int64(c.Compliant) + weight*int64(c.Partial) // hundredths of a control
	c.Score = percent(reached, 100*int64(c.Total))
	c.AssessedScore = percent(reached, 100*int64(c.Total-c.NotAssessed))
	c.EvidenceCoverage = percent(int64(live), int64(c.Total))
	return c
}

// percent is 100 × part ÷ whole in hundredths, rounded half up: nothing here is negative.
func percent(part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	return (2*10_000*part + whole) / (2 * whole)
}

// Official is the score of CMMC: 110, less the weight of each requirement of level 2 that
// is not met. Whatever is neither compliant nor not applicable is not met, partial
// included.
type Official struct {
	Score, Highest, Lowest int
	Met, NotMet, Total     int
	// Conditional tells that the score reaches what a conditional status needs; open
	// items must then be closed within 180 days.
	Conditional bool
	Needed      int
	// Plan tells that the system security plan (3.12.4), without which there is no
	// assessment, is met.
	Plan bool
	// Level1 counts the requirements of level 1 inside, and those that are met.
	Level1, Level1Met int
}

const (
	officialHighest = 110
	officialNeeded  = 88 // 80 % of 110
	securityPlan    = "CA.L2-3.12.4"
)

// Official returns the official score of a framework whose controls have weights, by
// every control of it; nil where they have none. Each weight is taken off whole: the
// partial credit that the method knows for 3.5.3 and 3.13.11 needs facts that checks do
// not tell.
func (v *View) Official() *Official {
	o := &Official{Highest: officialHighest, Needed: officialNeeded}
	o.Score, o.Lowest = officialHighest, officialHighest
	levels := map[string]bool{}
	for i := range v.All {
		s := &v.All[i]
		k := s.Control
		if k.Apart {
			continue
		}
		o.Total++
		o.Lowest -= k.Weight
		met := s.Status == Compliant || s.Status == NotApplicable
		if met {
			o.Met++
		} else {
			o.NotMet++
			o.Score -= k.Weight
		}
		if k.ID == securityPlan {
			o.Plan = met
		}
		if k.Level1 != "" {
			before, seen := levels[k.Level1]
			levels[k.Level1] = met && (before || !seen)
		}
	}
	if o.Lowest == officialHighest {
		return nil
	}
	for _, met := range levels {
		o.Level1++
		if met {
			o.Level1Met++
		}
	}
	o.Conditional = o.Score >= o.Needed
	return o
}

// Maturity is how an assessment by levels stands, as TISAX has it.
type Maturity struct {
	Target int // 3
	Rated  int // controls with a level
	Total  int
	// Average is over what was rated, in hundredths, each level cut at Target as the
	// method says.
	Average int64
	Below   []string // ids of what is rated below Target
}

const maturityTarget = 3

// Maturity returns the levels that people gave the controls of v; nil where no control
// has one.
func (v *View) Maturity() *Maturity {
	m := &Maturity{Target: maturityTarget, Total: len(v.Controls), Below: []string{}}
	sum := 0
	for i := range v.Controls {
		a := v.Controls[i].Attestation
		if a == nil || a.Maturity == nil {
			continue
		}
		m.Rated++
		sum += min(*a.Maturity, maturityTarget)
		if *a.Maturity < maturityTarget {
			m.Below = append(m.Below, v.Controls[i].Control.ID)
		}
	}
	if m.Rated == 0 {
		return nil
	}
	m.Average = int64(2*100*sum+m.Rated) / int64(2*m.Rated)
	return m
}
