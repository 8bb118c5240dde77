package ruletest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Bounds of what is said about one failure.
const (
	maxReasons = 4
	maxGroups  = 5
	maxValue   = 120
)

// fired says which lines matched, of a log that must not raise the rule.
func (t *Test) fired(hits [][]detect.Hit) []string {
	var lines []string
	for i, h := range hits {
		if len(h) > 0 {
			lines = append(lines, fmt.Sprint(i+1))
		}
	}
	return []string{"lines that match: " + list(lines)}
}

// closest says of a log that raised nothing what came closest: of rules that no
// line matches the line that lacks least, of correlations what was counted.
func (t *Test) closest(rs *detect.Ruleset, events []event.Event, hits [][]detect.Hit) []string {
	var out []string
	best := map[string]nearMiss{}
	matched := map[string]bool{}
	for i := range events {
		for _, x := range rs.Explain(&events[i]) {
			if x.Matches() {
				matched[x.ID] = true
				continue
			}
			m := missOf(i, &x)
			if had, ok := best[x.ID]; !ok || m.score < had.score {
				best[x.ID] = m
			}
		}
	}
	for _, r := range t.Rules {
		if m, ok := best[r.Document.ID]; ok && !matched[r.Document.ID] {
			out = append(out, m.tell(len(t.Rules) > 1)...)
		}
	}
	if t.Rule.Correlation != nil {
		out = append(out, t.counted(rs, events, hits)...)
	}
	return out
}

// A nearMiss is the event that lacks least for a rule.
type nearMiss struct {
	line   int
	score  int
	rule   string
	source *detect.SourceTrace // where it is of another log source
	unmet  []string
}

func missOf(i int, x *detect.Explanation) nearMiss {
	m := nearMiss{line: i + 1, rule: x.Title}
	m.unmet = unmet(x.Condition, false)
	m.score = len(m.unmet)
	if !x.LogSource.Holds {
		m.source = &x.LogSource
		m.score += 1000
	}
	return m
}

func (m *nearMiss) tell(named bool) []string {
	head := fmt.Sprintf("line %d", m.line)
	if named {
		head = fmt.Sprintf("%q: line %d", m.rule, m.line)
	}
	if m.source != nil {
		return []string{fmt.Sprintf("%s is of another log source than %s: %s", head, m.source.Name, wantOfSource(m.source))}
	}
	var out []string
	for i, u := range m.unmet {
		if i == maxReasons {
			return append(out, fmt.Sprintf("%s: and %d more", head, len(m.unmet)-i))
		}
		out = append(out, head+": "+u)
	}
	return out
}

// wantOfSource says what the first unmet need of a log source asks for.
func wantOfSource(s *detect.SourceTrace) string {
	for _, need := range s.Needs {
		if need.Holds {
			continue
		}
		var ways []string
		for _, a := range need.Alternatives {
			var tests []string
			for _, x := range a.Tests {
				if !x.Holds {
					had := "which it lacks"
					if x.FoundAs != "" {
						had = "it is " + quote(x.Actual)
					}
					tests = append(tests, fmt.Sprintf("%s %s (%s)", x.Field, list(x.Wanted), had))
				}
			}
			ways = append(ways, strings.Join(tests, " and "))
		}
		return "it wants " + strings.Join(ways, ", or ")
	}
	return ""
}

// unmet lists why a part of a condition is not as it should be: not true, or,
// under a not, not false.
func unmet(t *sigma.Trace, inverted bool) []string {
	if t == nil || t.Holds != inverted {
		return nil
	}
	switch t.Kind {
	case sigma.TraceNot:
		return unmet(t.Parts[0], !inverted)
	case sigma.TraceItem:
		return []string{tellItem(t, inverted)}
	case sigma.TraceSelection:
		var out []string
		for _, p := range t.Parts {
			out = append(out, unmet(p, inverted)...)
		}
		for i := range out {
			out[i] = t.Name + ": " + out[i]
		}
		return out
	}
	// One of the parts is enough: the one that lacks least.
	enough := (t.Kind == sigma.TraceOr || t.Kind == sigma.TraceOf) != inverted
	var all, least []string
	for i, p := range t.Parts {
		u := unmet(p, inverted)
		all = append(all, u...)
		if len(u) > 0 && (i == 0 || least == nil || len(u) < len(least)) {
			least = u
		}
	}
	if enough {
		return least
	}
	return all
}

func tellItem(t *sigma.Trace, inverted bool) string {
	name := strings.Join(append([]string{t.Field}, t.Modifiers...), "|")
	if t.Field == "" {
		name = "keywords"
	}
	var wanted []string
	for _, w := range t.Wanted {
		wanted = append(wanted, w.Value)
	}
	if inverted {
		return fmt.Sprintf("line %d of the rule takes it away: %s is %s", t.Line, name, list(t.Actual))
	}
	had := "the event does not have the field"
	if len(t.Actual) > 0 {
		had = "the event has " + list(t.Actual)
	} else if t.Field == "" {
		had = "the event has none of them"
	}
	return fmt.Sprintf("line %d of the rule: %s wants %s, %s", t.Line, name, list(wanted), had)
}

// counted says what reached a correlation.
func (t *Test) counted(rs *detect.Ruleset, events []event.Event, hits [][]detect.Hit) []string {
	type group struct {
		events      int
		first, last int64
		values      map[string]bool
	}
	groups := map[string]*group{}
	incomplete := 0
	for i, hs := range hits {
		for _, h := range hs {
			for _, c := range rs.Counts(h, &events[i]) {
				if !c.GroupComplete {
					incomplete++
					continue
				}
				g := groups[c.Key()]
				if g == nil {
					g = &group{first: events[i].Time, last: events[i].Time, values: map[string]bool{}}
					groups[c.Key()] = g
				}
				g.events++
				g.first, g.last = min(g.first, events[i].Time), max(g.last, events[i].Time)
				g.values[strings.Join(c.Values, "\x00")] = true
			}
		}
	}
	k := t.Rule.Correlation
	out := []string{fmt.Sprintf("%s within %s: %s", k.Type, k.Timespan, condition(k))}
	keys := slices.Sorted(maps.Keys(groups))
	slices.SortStableFunc(keys, func(a, b string) int { return groups[b].events - groups[a].events })
	for _, key := range keys[:min(len(keys), maxGroups)] {
		g := groups[key]
		text := fmt.Sprintf("counted for %s: %d events within %s", quote(key), g.events, time.Duration(g.last-g.first))
		if k.Type == sigma.ValueCount {
			text += fmt.Sprintf(", %d different values", len(g.values))
		}
		out = append(out, text)
	}
	if incomplete > 0 {
		out = append(out, fmt.Sprintf("not counted: %d events that lack a field of group-by %v", incomplete, k.GroupBy))
	}
	return out
}

func condition(k *sigma.Correlation) string {
	if k.Condition.Op == "" {
		return "all of " + strings.Join(k.Rules, ", ")
	}
	s := fmt.Sprintf("%s %v", k.Condition.Op, k.Condition.Value)
	if len(k.Condition.Field) > 0 {
		s += " of " + strings.Join(k.Condition.Field, ", ")
	}
	return s
}

// list puts values into words, shortened.
func list(values []string) string {
	const most = 5
	var out []string
	for i, v := range values {
		if i == most {
			out = append(out, fmt.Sprintf("%d more", len(values)-most))
			break
		}
		out = append(out, quote(v))
	}
	return strings.Join(out, ", ")
}

func quote(s string) string {
	if r := []rune(s); len(r) > maxValue {
		s = string(r[:maxValue]) + "…"
	}
	return "'" + s + "'"
}
