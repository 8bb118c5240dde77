package assess

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	reason    string

	population   string // what was looked at, in words
	size, sample int64  // sample 0: all
	from, to     time.Time
	resources    []string
	facts        map[string]any
}

// missing is what evaluators return where the source that they need is not there.
func missing(population, format string, args ...any) *finding {
	return &finding{absent: true, population: population, reason: fmt.Sprintf(format, args...)}
}

// result is f as the outcome of a variant.
func (f *finding) result(q *inquiry, v *compliance.Variant, c *compliance.Check) compliance.Result {
	res := compliance.Result{
		Variant: v.Key(), Check: v.Check, Version: c.Version, Outcome: f.outcome,
		Value: f.value, Unit: f.unit, Threshold: f.threshold, Reason: f.reason,
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
func of(good, all int64) string {
	return fmt.Sprintf("%d of %d (%s)", good, all, percent(share(good, all)))
}

// remedied joins what was found and, unless it passes, what to do.
func (f *finding) remedied(found, remedy string) *finding {
	f.reason = found + "."
	if f.outcome != compliance.Pass && remedy != "" {
		f.reason = found + ": " + remedy + "."
	}
	return f
}

// span writes a duration as people do: "36 h", "12 d", "5 min", "40 s".
func span(d time.Duration) string {
	switch {
	case d.Abs() >= 72*time.Hour:
		return decimal(math.Round(d.Hours()/2.4)/10) + " d"
	case d.Abs() >= 2*time.Hour:
		return decimal(math.Round(d.Hours()*10)/10) + " h"
	case d.Abs() >= 2*time.Minute:
		return decimal(math.Round(d.Minutes()*10)/10) + " min"
	}
	return decimal(math.Round(d.Seconds()*10)/10) + " s"
}

// plural writes "1 asset", "2 assets".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// few names the first of a list: "a, b, c and 12 more".
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
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
