package assess

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// A finding is what an evaluator found out.
type finding struct {
	outcome compliance.Outcome
	// absent tells that the source itself is missing: what that means, the control says.
	absent bool

	value     *float64
	unit      string
	threshold string
	reason    phrase

	population   string // what was looked at, in words
	size, sample int64  // sample 0: all
	from, to     time.Time
	resources    []string
	facts        map[string]any
}

// A phrase is what people read of a finding, in any language. Every form that is given to
// say, plural, nothing and missing has a Korean wording in package compliance.
type phrase = compliance.Text

// none says nothing.
var none phrase

func say(form string, args ...any) phrase { return compliance.Say(form, args...) }

func joined(separator string, all []phrase) phrase { return compliance.List(separator, all) }

// missing is what evaluators return where the source that they need is not there.
func missing(population, form string, args ...any) *finding {
	return &finding{absent: true, population: population, reason: say(form, args...)}
}

// nothing tells that there was nothing to look at.
func (f *finding) nothing(form string, args ...any) *finding {
	f.outcome, f.absent, f.reason, f.size = compliance.NoData, false, say(form, args...), 0
	f.value, f.unit = nil, ""
	return f
}

// result is f as the outcome of a variant.
func (f *finding) result(q *inquiry, v *compliance.Variant, c *compliance.Check) compliance.Result {
	res := compliance.Result{
		Variant: v.Key(), Check: v.Check, Version: c.Version, Outcome: f.outcome,
		Value: f.value, Unit: f.unit, Threshold: f.threshold, Reason: f.reason.String(), Said: f.reason,
		Population: compliance.Population{Definition: f.population, Size: f.size, Sample: f.sample},
		From:       f.from, To: f.to, EffectiveAt: q.now, CollectedAt: q.now,
		Method: strings.Join(q.method, "\n"), Resources: f.resources,
	}
	if f.absent {
		res.Outcome = v.Absence
	}
	if res.Population.Sample == 0 {
		res.Population.Sample = f.size
	}
	if res.To.IsZero() {
		res.To = q.now
	}
	if res.From.IsZero() {
		res.From = res.To
	}
	if res.Threshold == "" {
		res.Threshold = c.Thresholds[string(compliance.Pass)]
	}
	facts := map[string]any{"parameters": v.Params}
	maps.Copy(facts, f.facts)
	text, err := json.Marshal(facts)
	if err != nil { // a number that JSON does not have: the words still stand
		text = []byte(`{}`)
	}
	res.Facts = text
	return res
}

// near is how far below a limit a ratio may lie that only arithmetic has brought there.
const near = 1e-9

// graded holds a ratio against two limits that are to be reached.
func graded(v, pass, partial float64) compliance.Outcome {
	switch {
	case v >= pass-near:
		return compliance.Pass
	case v >= partial-near:
		return compliance.Partly
	}
	return compliance.Fail
}

// share is good of all; of nothing it is nothing.
func share(good, all int64) float64 {
	if all <= 0 {
		return 0
	}
	return float64(good) / float64(all)
}

// ratio sets value, threshold and outcome of f by good of all, which must not be 0, and
// the parameters passRatio and partialRatio.
func (f *finding) ratio(good, all int64, p compliance.Params) *finding {
	v := share(good, all)
	f.value, f.unit, f.size = new(v), "ratio", all
	f.threshold = "ratio >= " + decimal(p.Float("passRatio"))
	f.outcome = graded(v, p.Float("passRatio"), p.Float("partialRatio"))
	return f
}

// decimal writes a number without zeros at its end.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// percent writes a ratio as people do, cut and not rounded: what has not reached a limit
// must not look as if it had.
func percent(v float64) string {
	return strconv.FormatFloat(math.Floor(v*10000+near)/100, 'f', -1, 64) + " %"
}

// of writes "412 of 430 (95.81 %)".
func of(good, all int64) phrase {
	return say("%d of %d (%s)", good, all, percent(share(good, all)))
}

// english are phrases as facts hold them.
func english(all []phrase) []string {
	out := make([]string, len(all))
	for i, t := range all {
		out[i] = t.String()
	}
	return out
}

// remedied joins what was found and, unless it passes, what to do.
func (f *finding) remedied(found, remedy phrase) *finding {
	f.reason = say("%s.", found)
	if f.outcome != compliance.Pass && !remedy.None() {
		f.reason = say("%s: %s.", found, remedy)
	}
	return f
}

// span writes a duration as people do: "36 h", "12 d", "5 min", "40 s".
func span(d time.Duration) phrase {
	switch {
	case d.Abs() >= 72*time.Hour:
		return say("%s d", decimal(math.Round(d.Hours()/2.4)/10))
	case d.Abs() >= 2*time.Hour:
		return say("%s h", decimal(math.Round(d.Hours()*10)/10))
	case d.Abs() >= 2*time.Minute:
		return say("%s min", decimal(math.Round(d.Minutes()*10)/10))
	}
	return say("%s s", decimal(math.Round(d.Seconds()*10)/10))
}

// plural writes "1 asset", "2 assets".
func plural(n int64, one, many string) phrase {
	if n == 1 {
		return say("1 " + one)
	}
	return say("%d "+many, n)
}

// few names the first of a list: "a, b, c and 12 more".
func few[T string | phrase](names []T) phrase {
	const most = 5
	first := make([]phrase, min(len(names), most))
	for i := range first {
		first[i] = say("%s", names[i])
	}
	if len(names) <= most {
		return joined(", ", first)
	}
	return say("%s and %d more", joined(", ", first), len(names)-most)
}

// A table is rows that prove a finding: the first of them, how many there are, and the
// SHA-256 over the ids of all, in their order, each with a newline.
type table struct {
	rows  []any
	count int64
	sum   hash.Hash
}

const maxRows = 200

func (t *table) add(id string, row any) {
	if t.sum == nil {
		t.sum = sha256.New()
	}
	_, _ = t.sum.Write([]byte(id + "\n")) // a hash takes everything
	t.count++
	if len(t.rows) < maxRows {
		t.rows = append(t.rows, row)
	}
}

// MarshalJSON writes the table.
func (t *table) MarshalJSON() ([]byte, error) {
	sum := sha256.New()
	if t.sum != nil {
		sum = t.sum
	}
	rows := t.rows
	if rows == nil {
		rows = []any{}
	}
	return json.Marshal(map[string]any{"count": t.count, "idsSha256": hex.EncodeToString(sum.Sum(nil)), "cut": t.count > int64(len(rows)), "rows": rows})
}

// text cuts a value from outside to what a fact may hold.
func text(s string) string {
	const most = 300
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
