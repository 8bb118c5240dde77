package risk

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
)

// explain computes the score of an entity from what alerts add to it, in hundredths, and
// how it came about. It depends on nothing but its arguments: the same ones give the
// same score whenever and in whatever order it is asked.
//
// Weights add up without bound and the score approaches 100: score = 100 × (1 − e^(−total
// ÷ scale)). Each part's points are its share of the score by weight, rounded so that
// they add up to it exactly.
func (s *Settings) explain(all []Contribution, confidence map[string]float64, worth Worth, now time.Time) (int64, Explanation) {
	if worth.Factor == 0 {
		worth.Factor = 1
	}
	x := Explanation{Worth: worth, Parts: make([]Part, len(all))}
	for i, c := range all {
		x.Parts[i] = s.part(c, confidence, worth.Factor, now)
	}
	slices.SortFunc(x.Parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), b.At.Compare(a.At), cmp.Compare(a.AlertID, b.AlertID))
	})
	for i := range x.Parts {
		x.Total += x.Parts[i].Weight
	}
	score := int64(math.Round(10_000 * -math.Expm1(-x.Total/s.Scale)))
	share(x.Parts, x.Total, score)
	if len(x.Parts) > MaxParts {
		for _, p := range x.Parts[MaxParts:] {
			x.Others.Count++
			x.Others.Points += p.Points
		}
		x.Parts = slices.Clone(x.Parts[:MaxParts])
	}
	return score, x
}

// part weighs one alert.
func (s *Settings) part(c Contribution, confidence map[string]float64, worth float64, now time.Time) Part {
	p := Part{Contribution: c, Base: s.Severity[c.Severity], Confidence: 1, Factor: s.verdict(&c), Indicator: 1, Age: max(0, now.Sub(c.At))}
	if known, ok := confidence[c.RuleID]; ok {
		p.Confidence = min(max(known, 0), 1)
	}
	if c.Hit {
		p.Indicator = s.Indicator
	}
	p.Repeats = 1 + s.Repeats*math.Log2(float64(max(1, c.Occurrences)))
	p.Decay = math.Exp2(-p.Age.Hours() / s.HalfLifeHours)
	p.Weight = p.Base * p.Confidence * p.Factor * p.Repeats * p.Indicator * p.Decay * worth
	return p
}

// verdict is what triage makes of an alert's weight.
func (s *Settings) verdict(c *Contribution) float64 {
	v := &s.Verdict
	switch {
	case c.Verdict == alert.FalseAlarm || c.Status == alert.FalsePositive && c.Verdict != alert.TruePositive:
		return 0
	case c.Verdict == alert.TruePositive:
		return v.TruePositive
	case c.Verdict == alert.Benign:
		return v.Benign
	case c.Verdict == alert.Inconclusive:
		return v.Inconclusive
	case c.Status == alert.Resolved:
		return v.Resolved
	}
	return v.Undecided
}

// share gives parts whole points by weight that add up to score: each gets its share
// rounded down, and those that lost most by it one more, the heavier first.
func share(parts []Part, total float64, score int64) {
	if total <= 0 || score == 0 {
		return
	}
	type rest struct {
		part int
		lost float64
	}
	rests := make([]rest, len(parts))
	left := score
	for i := range parts {
		exact := float64(score) * parts[i].Weight / total
		down := math.Floor(exact)
		parts[i].Points = int64(down)
		left -= int64(down)
		rests[i] = rest{i, exact - down}
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return cmp.Compare(b.lost, a.lost) })
	// Rounding of floats may leave one too many or too few: the heaviest part bears it.
	for _, r := range rests[:min(max(left, 0), int64(len(rests)))] {
		parts[r.part].Points++
		left--
	}
	parts[0].Points += left
}
