package compliance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A Tier says whether a check belongs to the first set or came later.
type Tier string

// The tiers.
const (
	TierCore     Tier = "core"
	TierExtended Tier = "extended"
)

// A Check is one thing that can be found out about the estate. It names no control.
type Check struct {
	ID         string // "log-retention"
	Title      string
	TitleKo    string
	Group      string // "logging", "detection", …
	Tier       Tier
	Evaluator  string // "ratio", "monitored", …: several checks may share one
	Measures   string // what is measured, one sentence
	Evidence   string // what its artifact shows
	Sources    []string
	Params     Params
	Thresholds map[string]string // by outcome, in words
	Absence    Outcome           // what a missing source means: NoData or Fail
	Cadence    time.Duration     // how often it is evaluated; a result is stale after twice that
	Version    int               // rises when what is measured changes

	line int
}

// StaleAfter is the age at which a result of c counts no more.
func (c *Check) StaleAfter() time.Duration { return 2 * c.Cadence }

// Params are the limits and dates that a check measures against: numbers, texts, truth
// values and lists of texts. They are read by the getters, which return the zero value
// for what is absent or of another kind.
type Params map[string]any

// Float returns the number of that name.
func (p Params) Float(name string) float64 {
	switch v := p[name].(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	}
	return 0
}

// Int returns the number of that name without its fraction.
func (p Params) Int(name string) int {
	v := p.Float(name)
	if math.IsNaN(v) || math.Abs(v) > 1<<53 {
		return 0
	}
	return int(v)
}

// Days returns the number of that name as days.
func (p Params) Days(name string) time.Duration { return p.times(name, 24*time.Hour) }

// Hours returns the number of that name as hours.
func (p Params) Hours(name string) time.Duration { return p.times(name, time.Hour) }

// Minutes returns the number of that name as minutes.
func (p Params) Minutes(name string) time.Duration { return p.times(name, time.Minute) }

// Seconds returns the number of that name as seconds.
func (p Params) Seconds(name string) time.Duration { return p.times(name, time.Second) }

func (p Params) times(name string, unit time.Duration) time.Duration {
	return time.Duration(p.Float(name) * float64(unit))
}

// Bool returns the truth value of that name.
func (p Params) Bool(name string) bool {
	v, _ := p[name].(bool)
	return v
}

// String returns the text of that name.
func (p Params) String(name string) string {
	v, _ := p[name].(string)
	return v
}

// Strings returns the list of texts of that name.
func (p Params) Strings(name string) []string {
	switch v := p[name].(type) {
	case []string:
		return v
	case []any:
		all := make([]string, 0, len(v))
		for _, x := range v {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// Lists returns the list of lists of texts of that name.
func (p Params) Lists(name string) [][]string {
	v, _ := p[name].([]any)
	var all [][]string
	for _, x := range v {
		if list := (Params{"": x}).Strings(""); list != nil {
			all = append(all, list)
		}
	}
	return all
}

// Merge returns base with over in its place. Neither is changed.
func Merge(base, over Params) Params {
	out := make(Params, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// A Variant is a check with the parameters and the meaning of absence that at least one
// control asks for. Each is evaluated once, for all frameworks.
type Variant struct {
	Check   string
	Params  Params // whole: the check's own with the control's in their place
	Absence Outcome
	// Own are the parameters that differ from the check's, absence included; empty for
	// the check as it stands.
	Own Params
}

// Key names the variant for ever: the check, and what differs from the check's own
// parameters in the order of their names: "dsr-deadline?days=45&recordMonths=24".
func (v *Variant) Key() string {
	if len(v.Own) == 0 {
		return v.Check
	}
	var b strings.Builder
	b.WriteString(v.Check)
	sep := byte('?')
	for _, name := range slices.Sorted(maps.Keys(v.Own)) {
		b.WriteByte(sep)
		sep = '&'
		b.WriteString(name + "=" + paramText(v.Own[name]))
	}
	return b.String()
}

func paramText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// variantOf is what a control asks of c, with its own parameters, in which "absence" is
// what a missing source means.
func variantOf(c *Check, own Params) Variant {
	v := Variant{Check: c.ID, Params: Merge(c.Params, nil), Absence: c.Absence, Own: Params{}}
	for name, value := range own {
		if name == "absence" {
			if a, ok := value.(string); ok && Outcome(a) != c.Absence {
				v.Absence, v.Own[name] = Outcome(a), a
			}
			continue
		}
		if paramText(value) != paramText(c.Params[name]) {
			v.Params[name], v.Own[name] = value, value
		}
	}
	return v
}

// Variants returns the distinct variants that the controls of all these frameworks ask
// for, in the order of their keys.
func (c *Catalogue) Variants(frameworks []*Framework) []Variant {
	all := map[string]Variant{}
	for _, f := range frameworks {
		for i := range f.Controls {
			for _, l := range f.Controls[i].Checks {
				if _, ok := all[l.Key]; !ok {
					all[l.Key] = variantOf(c.Check(l.Check), Merge(l.Params, Params{"absence": string(l.Absence)}))
				}
			}
		}
	}
	out := make([]Variant, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[key])
	}
	return out
}
