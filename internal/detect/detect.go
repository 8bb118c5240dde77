// Package detect runs rules on the stream of events: it routes an event to the
// rules of its log source, counts what correlations ask for on event time, and
// hands out findings, at most one for each rule and entity in a batch. It never
// stores, alerts or tells anyone, and reads a clock only to account for what rules
// cost: the same events in the same order always give the same findings.
package detect

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Rule is a document of the catalogue in a version.
type Rule struct {
	Document *sigma.Document
	Version  int64
	// Staged rules are tried out: their findings carry Staged and raise no alert.
	Staged bool
	// Origin is where the rule came from, an URI; "" for the tenant's own.
	Origin string
	// Exceptions silence the rule for events that one of them matches.
	Exceptions []Exception
}

// An Exception is a Sigma filter for one rule.
type Exception struct {
	ID     string
	Filter *sigma.Document // a filter document
	Until  int64           // arrival time from which on it holds no more, nanoseconds; 0 = never
}

// A Problem says why a rule is left out of a Ruleset, or why one of its exceptions
// or a filter does nothing.
type Problem struct {
	Index   int    // in the rules given to Compile
	Rule    string // id, else title
	Kind    ProblemKind
	Message string
}

// A ProblemKind classifies problems.
type ProblemKind string

// The kinds of problems.
const (
	NeedsList   ProblemKind = "needs_list"  // a placeholder has no list
	Toothless   ProblemKind = "toothless"   // an exception that cannot be used: the rule runs without it
	Unsupported ProblemKind = "unsupported" // it can mean nothing: a filter for everything
	Unresolved  ProblemKind = "unresolved"  // a correlation names a rule that is not there
	Duplicate   ProblemKind = "duplicate"   // another rule has its id
)

// Options are the choices of a rule set. The zero value is good.
type Options struct {
	Lists  map[string][]string // for placeholders
	Sample []event.Event       // traffic to expect: rules are found by what is rare in it
}

// A Ruleset is the compiled rules of one tenant. It is immutable but for its
// counters and safe for several goroutines.
type Ruleset struct {
	rules        []rule
	correlations []correlation
	groups       []group
	names        *sigma.Names
	router       router
	matching     matching
}

// A rule is a document with what its findings need.
type rule struct {
	document *sigma.Document
	version  int64
	staged   bool
	origin   string
	asked    []string // of a correlation: fields that those that count it ask for
	alerts   bool     // makes findings of its own
	group    int32    // -1: a correlation
	report   report
	feeds    []feed

	exceptions []*exception
	exempting  []exempting // the same, for its events; nil for a correlation, whose feeds have them

	matches atomic.Uint64
	ignored atomic.Uint64
	evicted atomic.Uint64
}

// Compile builds the rule set of rules. What cannot be used is left out and
// reported.
func Compile(rules []Rule) (*Ruleset, []Problem) { return Options{}.Compile(rules) }

// Compile is the function Compile with options.
func (o Options) Compile(rules []Rule) (*Ruleset, []Problem) {
	c := compiler{options: o, set: &Ruleset{names: sigma.NewNames()}, byName: map[string][]int32{}, left: map[string]string{}}
	c.admit(rules)
	c.groupRules()
	c.link()
	return c.set, c.problems
}

type compiler struct {
	options  Options
	set      *Ruleset
	problems []Problem
	byName   map[string][]int32 // id and name → rules
	left     map[string]string  // id and name of rules that are left out → why
	index    []int              // rule → index in the input
	groups   map[sigma.LogSource]int32
}

func (c *compiler) problem(i int, d *sigma.Document, kind ProblemKind, format string, args ...any) {
	c.problems = append(c.problems, Problem{i, nameOf(d), kind, fmt.Sprintf(format, args...)})
}

// admit takes the rules in that can be compiled.
func (c *compiler) admit(rules []Rule) {
	type admitted struct {
		Rule
		index int
	}
	var good []admitted
	var filters []filterDocument
	seen := map[string]bool{}
	for i, r := range rules {
		d := r.Document
		if d.ID != "" && seen[d.ID] {
			c.problem(i, d, Duplicate, "line %d: another rule has the id %s: give this one an id of its own, or switch the other off", d.Line, d.ID)
			continue
		}
		if d.Filter != nil {
			seen[d.ID] = d.ID != ""
			filters = append(filters, filterDocument{d, i})
			continue
		}
		if d.Correlation == nil {
			filled, err := d.Fill(c.options.Lists)
			if err != nil {
				c.problem(i, d, NeedsList, "%s", err.Error())
				c.left[d.ID], c.left[d.Name] = err.Error(), err.Error()
				continue
			}
			r.Document = filled
		}
		seen[d.ID] = d.ID != ""
		good = append(good, admitted{r, i})
	}
	c.set.rules = make([]rule, len(good))
	own := make([][]Exception, len(good))
	for i, r := range good {
		x := &c.set.rules[i]
		x.document, x.version, x.alerts, x.group = r.Document, r.Version, true, -1
		x.staged, x.origin, own[i] = r.Staged, r.Origin, r.Exceptions
		c.index = append(c.index, r.index)
		for _, name := range []string{r.Document.ID, r.Document.Name} {
			if name != "" {
				c.byName[name] = append(c.byName[name], int32(i))
			}
		}
	}
	c.collectExceptions(own, filters)
}

// RuleStats counts what a rule did since its rule set was compiled.
type RuleStats struct {
	ID          string
	Title       string
	Version     int64
	Evaluations uint64 // events of its log source; of a correlation: matches of its base rules
	Nanos       uint64 // spent on it, extrapolated from a sample of the events
	Skipped     uint64 // events of which it was not asked, as they made too much work
	Matches     uint64 // of a correlation: events that it reported
	Ignored     uint64 // of a correlation: matches without a group field or a number, or too late for a window
	Evicted     uint64 // of a correlation: groups forgotten for want of room
	Quiet       bool   // it makes no findings of its own: a correlation counts it
}

// Stats returns the counters of all rules.
func (rs *Ruleset) Stats() []RuleStats {
	out := make([]RuleStats, len(rs.rules))
	for i := range rs.rules {
		r := &rs.rules[i]
		out[i] = RuleStats{ID: r.document.ID, Title: r.document.Title, Version: r.version, Matches: r.matches.Load(), Ignored: r.ignored.Load(), Evicted: r.evicted.Load(), Quiet: !r.alerts}
	}
	rs.matching.account(rs.groups, out)
	for _, k := range rs.correlations {
		for _, base := range rs.bases(k) {
			out[k.rule].Evaluations += rs.rules[base].matches.Load()
		}
	}
	return out
}

func (rs *Ruleset) bases(k correlation) []int32 {
	var out []int32
	for i := range rs.rules {
		if slices.ContainsFunc(rs.rules[i].feeds, func(f feed) bool { return rs.correlations[f.correlation].rule == k.rule }) {
			out = append(out, int32(i))
		}
	}
	return out
}

// Rules returns how many rules are compiled, correlations among them.
func (rs *Ruleset) Rules() int { return len(rs.rules) }

// Groups returns how many log sources the rules have.
func (rs *Ruleset) Groups() int { return len(rs.groups) }

// ruleRef names r in findings.
func (r *rule) ruleRef() alert.RuleRef {
	d := r.document
	return alert.RuleRef{
		ID: d.ID, Name: strings.TrimSpace(d.Title), Author: d.Author, License: d.License, Origin: r.origin, Version: r.version,
	}
}
