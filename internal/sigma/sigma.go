// Package sigma is the Sigma language: it reads rules and correlations, checks
// them, compiles any number of rules into one matcher, and holds a plain
// evaluator that says what the matcher must answer. It never reads a file, a
// clock or the network, and knows nothing of log sources: the caller routes.
package sigma

import (
	"fmt"
	"strings"
	"time"
)

// MaxDocument is the greatest size of the text that Parse takes, in bytes.
const MaxDocument = 1 << 20

// MaxValue is how much of one value is looked at, in bytes: a longer value is
// matched as if it ended there.
const MaxValue = 64 << 10

// An Error says what is wrong with a rule and where, counted from 1. Line 0
// means the whole text.
type Error struct {
	Line, Column int
	Message      string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// A Document is one detection rule, or one correlation where Correlation is set.
// It is immutable after Parse.
type Document struct {
	ID, Name, Title, Status string
	Level                   string // informational, low, medium, high, critical; "" where the rule names none
	Description             string
	Author, License         string
	Date, Modified          string // as written
	References, Tags        []string
	FalsePositives, Fields  []string
	LogSource               LogSource
	Kyra                    Kyra
	Correlation             *Correlation
	Filter                  *Filter             // the document is a filter for other rules
	Placeholders            []string            // lists that Compile needs in Options.Lists, in order of appearance
	Line                    int                 // where the document begins in the text
	condition               *clause             // as it is written; nil for a correlation
	root                    *expr               // what condition comes to; nil for a correlation
	lists                   map[string][]string // that Fill was given
	text                    *int                // one for all that were read together
}

// Beside tells whether d and o come from one text.
func (d *Document) Beside(o *Document) bool { return d.text != nil && d.text == o.text }

// LogSource says which events a rule is about.
type LogSource struct{ Product, Category, Service string }

// String returns "product/category/service" with "*" for what is open.
func (l LogSource) String() string {
	part := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	return part(l.Product) + "/" + part(l.Category) + "/" + part(l.Service)
}

// Kyra is the extension block `kyra:` of a rule: how a match becomes an alert.
type Kyra struct {
	Source      string   // the alert's source; "" = that of the event
	Description string   // template with {count} and {field}; "" = the rule's title
	Entity      []string // fields that make the merge key
	Entities    []string // fields that the alert lists as entities
}

// A Filter takes events away from rules: what its condition matches, they do not
// match any more (specification 2.1, "Sigma filters").
type Filter struct {
	Rules []string // ids or names; empty or "any" = all rules of its log source
}

// The kinds of correlation of the specification.
const (
	EventCount      = "event_count"
	ValueCount      = "value_count"
	Temporal        = "temporal"
	TemporalOrdered = "temporal_ordered"
	ValueSum        = "value_sum"
	ValueAvg        = "value_avg"
	ValuePercentile = "value_percentile"
	ValueMedian     = "value_median"
)

// A Correlation counts or orders what other rules match, per group and window.
type Correlation struct {
	Type      string
	Rules     []string // ids or names, at least one
	GroupBy   []string // fields or aliases; empty = one group
	Timespan  time.Duration
	Condition Threshold
	// Expression is the boolean condition of a temporal correlation over the names
	// of its rules, as written; "" = all rules. Terms is what it comes to.
	Expression string
	Terms      []Term
	Aliases    map[string]map[string]string // alias → rule → field
	Generate   bool                         // base rules alert by themselves as well
	Line       int                          // where the text names the rules
}

// A Term is one way to satisfy an Expression: the rules that must have matched in
// the window and those that must not, as indexes into Rules, ascending. At least
// one rule must have matched.
type Term struct{ Present, Absent []int }

// A Threshold compares a number with one or two others.
type Threshold struct {
	Op    string  // gt, gte, lt, lte, eq, neq; "" where the type needs none
	Value float64 // the number
	// AndOp and AndValue are the upper end of a range: lt or lte, where Op is gt or
	// gte; "" = no range.
	AndOp    string
	AndValue float64
	Field    []string // value_count and the like: what is counted
	// Percentile is which one value_percentile compares, above 0 to 100. 0 is the
	// other meaning of that type: the threshold is for the share, in percent, that
	// a value has of all the group's values in the window.
	Percentile float64
}

// Holds tells whether n satisfies the threshold.
func (t Threshold) Holds(n float64) bool {
	return compareNumbers(t.Op, n, t.Value) && (t.AndOp == "" || compareNumbers(t.AndOp, n, t.AndValue))
}

// Rising tells whether more always satisfies the threshold once enough did, so
// that it can be decided before a window has ended.
func (t Threshold) Rising() bool { return t.AndOp == "" && (t.Op == "gt" || t.Op == "gte") }

// Number reads a number as the numeric modifiers do.
func Number(s string) (float64, bool) { return parseNumber(s) }

// Main returns the document that names what docs are: the correlation that no
// other of them counts, else the first that is a rule, else the first.
func Main(docs []*Document) *Document {
	counted := map[string]bool{}
	for _, d := range docs {
		if d.Correlation != nil {
			for _, name := range d.Correlation.Rules {
				counted[name] = true
			}
		}
	}
	var best *Document
	rank := func(d *Document) int {
		switch {
		case d.Correlation != nil && !counted[d.ID] && !counted[d.Name]:
			return 3
		case d.Correlation != nil:
			return 2
		case d.Filter == nil:
			return 1
		}
		return 0
	}
	for _, d := range docs {
		if best == nil || rank(d) > rank(best) {
			best = d
		}
	}
	return best
}

// Tactics returns the ATT&CK tactics of the tags in short form, such as
// "credential-access", in order.
func (d *Document) Tactics() []string {
	var out []string
	for _, t := range d.attack() {
		if !isTechnique(t) && !isAttackObject(t) {
			out = append(out, strings.ReplaceAll(t, "_", "-"))
		}
	}
	return out
}

// Techniques returns the ATT&CK techniques of the tags, such as "T1110.001", in
// order.
func (d *Document) Techniques() []string {
	var out []string
	for _, t := range d.attack() {
		if isTechnique(t) {
			out = append(out, strings.ToUpper(t))
		}
	}
	return out
}

func (d *Document) attack() []string {
	var out []string
	for _, t := range d.Tags {
		if rest, ok := strings.CutPrefix(strings.ToLower(t), "attack."); ok && rest != "" {
			out = append(out, rest)
		}
	}
	return out
}

func isTechnique(s string) bool {
	return len(s) >= 5 && s[0] == 't' && strings.Trim(s[1:], "0123456789.") == ""
}

// isAttackObject tells groups (g0016), software (s0002) and the like from tactics.
func isAttackObject(s string) bool {
	return len(s) >= 4 && strings.ContainsRune("gscm", rune(s[0])) && strings.Trim(s[1:], "0123456789") == ""
}

// Severity returns the level as one of event.Severities; a rule without a level
// is medium.
func (d *Document) Severity() string {
	switch d.Level {
	case "informational":
		return "info"
	case "":
		return "medium"
	}
	return d.Level
}
