package detect

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A correlation is a rule over the matches of others.
type correlation struct {
	rule int32
	window
	groupBy  []string // names of the group's values
	carried  []string // further values that entries keep: what correlations of this one ask for
	capture  []string // fields of descriptions, of this one and of those of it
	entities []string // fields of entities, likewise
	identity string   // of its state: changes with the rule
	report   report   // for what carries the group's values only
	source   string   // of findings of windows without events
}

// A feed says how matches of a rule go into a correlation.
type feed struct {
	correlation int32
	value       string     // what stands for the rule: its place in a temporal correlation's list
	groupBy     []fieldRef // under the correlation's names
	counted     []fieldRef
	carried     []fieldRef
	exempting   []exempting
	report      report  // the correlation's, resolved for this rule's events
	detail      capture // what is kept of an event that is not reported yet
}

// link resolves what rules report and which correlations they feed.
func (c *compiler) link() {
	names := make([]func(string) []string, len(c.set.groups))
	for g := range names {
		names[g] = sharedNames(c.set.groups[g].source.candidates)
	}
	for i := range c.set.rules {
		r := &c.set.rules[i]
		if r.group >= 0 {
			names := names[r.group]
			r.report, r.exempting = newReport(r.document, names), r.exemptingFor(names)
		} else {
			r.alerts = false
		}
	}
	bases := map[int32][]int32{}
	for i := range c.set.rules {
		r := &c.set.rules[i]
		if r.document.Correlation == nil {
			continue
		}
		found, reason := c.bases(int32(i), r.document.Correlation)
		if reason != "" {
			c.problem(c.index[i], r.document, Unresolved, "%s", reason)
			continue
		}
		bases[int32(i)] = found
	}
	c.order(bases)
}

// bases returns the rules that k, the correlation i, refers to.
func (c *compiler) bases(i int32, k *sigma.Correlation) ([]int32, string) {
	var out []int32
	for _, name := range k.Rules {
		base, ok := c.nearest(name, i)
		if why := c.left[name]; !ok && why != "" {
			return nil, fmt.Sprintf("line %d: it refers to the rule %q, which cannot be used: %s", k.Line, name, why)
		}
		if !ok {
			return nil, fmt.Sprintf("line %d: it refers to the rule %q, which is not among the active ones: activate that rule, or put it into the same text", k.Line, name)
		}
		out = append(out, base)
	}
	return out, ""
}

// nearest returns the rule of an id, or that of a name: names need only be unique in
// a text, so that one in the text of rule i goes first.
func (c *compiler) nearest(name string, i int32) (int32, bool) {
	best, ok := int32(0), false
	beside := false
	for _, j := range c.byName[name] {
		d := c.set.rules[j].document
		if d.ID == name {
			return j, true
		}
		if same := d.Beside(c.set.rules[i].document); !ok || same && !beside {
			best, ok, beside = j, true, same
		}
	}
	return best, ok
}

// order makes the correlations, those that others count after these: only then is
// it known what they have to keep. A correlation whose rules cannot all be used
// is left out.
func (c *compiler) order(bases map[int32][]int32) {
	outer := map[int32][]int32{} // correlation → those that count it
	waits := map[int32]int{}
	var ready []int32
	c.leaveOut(bases)
	for _, i := range c.correlationsOf(bases) {
		for _, b := range bases[i] {
			if bases[b] != nil {
				outer[b] = append(outer[b], i)
				waits[b]++
			}
		}
	}
	for _, i := range c.correlationsOf(bases) {
		if waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	made := map[int32]int32{}
	quiet := map[int32]bool{}
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		id := int32(len(c.set.correlations))
		made[i] = id
		k := c.newCorrelation(i, bases[i])
		for _, o := range outer[i] {
			k.serve(&c.set.correlations[made[o]])
		}
		c.set.correlations = append(c.set.correlations, k)
		r := &c.set.rules[i]
		r.alerts = true
		for position, base := range bases[i] {
			if !slices.Contains(bases[i][:position], base) {
				c.feed(id, position, base, r)
			}
			if !r.document.Correlation.Generate && (!r.staged || c.set.rules[base].staged) {
				quiet[base] = true // a rule that is only tried out silences none
			}
			if bases[base] != nil {
				if waits[base]--; waits[base] == 0 {
					ready = append(ready, base)
				}
			}
		}
	}
	for base := range quiet {
		c.set.rules[base].alerts = false
	}
}

func (c *compiler) correlationsOf(bases map[int32][]int32) []int32 {
	var out []int32
	for i := range bases {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// leaveOut takes correlations away that count themselves, by way of others or not,
// or one that is left out.
func (c *compiler) leaveOut(bases map[int32][]int32) {
	usable := map[int32]bool{}
	for again := true; again; {
		again = false
		for i, bs := range bases {
			fits := func(b int32) bool { return c.set.rules[b].group >= 0 || usable[b] }
			if !usable[i] && !slices.ContainsFunc(bs, func(b int32) bool { return !fits(b) }) {
				usable[i], again = true, true
			}
		}
	}
	for _, i := range c.correlationsOf(bases) {
		if usable[i] {
			continue
		}
		d := c.set.rules[i].document
		if path := c.cycle(bases, i); path != "" {
			c.problem(c.index[i], d, Unresolved, "line %d: it counts itself: %s", d.Correlation.Line, path)
		} else {
			c.problem(c.index[i], d, Unresolved, "line %d: it counts a correlation that cannot be used", d.Correlation.Line)
		}
	}
	for _, i := range c.correlationsOf(bases) {
		if !usable[i] {
			delete(bases, i)
		}
	}
}

// cycle returns the way on which correlation i comes back to itself, or "".
func (c *compiler) cycle(bases map[int32][]int32, i int32) string {
	seen := map[int32]bool{}
	var walk func(at int32, path []int32) string
	walk = func(at int32, path []int32) string {
		path = append(path, at)
		for _, b := range bases[at] {
			if b == i {
				var names []string
				for _, p := range append(path, i) {
					names = append(names, strconv.Quote(nameOf(c.set.rules[p].document)))
				}
				return strings.Join(names, " counts ")
			}
			if !seen[b] {
				seen[b] = true
				if found := walk(b, path); found != "" {
					return found
				}
			}
		}
		return ""
	}
	return walk(i, nil)
}

func (c *compiler) newCorrelation(i int32, bases []int32) correlation {
	r := &c.set.rules[i]
	d := r.document
	k := d.Correlation
	out := correlation{rule: i, window: newWindow(k, bases), groupBy: k.GroupBy, report: newReport(d, oneName)}
	out.capture = sigma.TemplateFields(out.report.prototype.Description)
	for _, e := range out.report.entities {
		out.entities = append(out.entities, e.name)
	}
	if len(d.Kyra.Entity) == 0 {
		out.report.key = nil // the group is the key
	} else if out.atEnd {
		out.carry(d.Kyra.Entity)
	}
	out.carry(r.asked)
	l := c.baseSource(i, bases)
	out.source = cmp.Or(out.report.source, l.Service, l.Product, l.Category)
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %v %d %+v %q", k.Type, k.Rules, k.GroupBy, k.Timespan, k.Condition, k.Expression)
	out.identity = fmt.Sprintf("%s@%d#%x", nameOf(d), r.version, h.Sum64())
	for _, o := range c.set.correlations {
		if o.identity == out.identity {
			out.identity += "/" + strconv.Itoa(int(i))
		}
	}
	return out
}

// baseSource is the log source of the first rule below a correlation.
func (c *compiler) baseSource(i int32, bases []int32) sigma.LogSource {
	for range c.set.rules {
		d := c.set.rules[bases[0]].document
		if d.Correlation == nil {
			return d.LogSource
		}
		if bases, _ = c.bases(bases[0], d.Correlation); len(bases) == 0 {
			break
		}
	}
	return c.set.rules[i].document.LogSource
}

// serve makes k keep what o, which counts it, asks for.
func (k *correlation) serve(o *correlation) {
	for _, name := range o.capture {
		if !slices.Contains(k.capture, name) {
			k.capture = append(k.capture, name)
		}
	}
	for _, name := range o.entities {
		if !slices.Contains(k.entities, name) {
			k.entities = append(k.entities, name)
		}
	}
}

// carry makes k's entries keep the fields, unless its groups have them.
func (k *correlation) carry(names []string) {
	for _, name := range names {
		if !slices.Contains(k.groupBy, name) && !slices.Contains(k.carried, name) {
			k.carried = append(k.carried, name)
		}
	}
}

func oneName(field string) []string { return []string{field} }

// feed makes the matches of base go into the correlation id, which is that of r.
func (c *compiler) feed(id int32, position int, base int32, r *rule) {
	b, d := &c.set.rules[base], r.document
	k := &c.set.correlations[id]
	names := oneName
	if b.group >= 0 {
		names = c.set.groups[b.group].source.candidates
	}
	field := func(name string) string {
		for _, rule := range []string{b.document.ID, b.document.Name} {
			if f, ok := d.Correlation.Aliases[name][rule]; ok && rule != "" {
				return f
			}
		}
		return name
	}
	refs := func(list []string) []fieldRef {
		var out []fieldRef
		for _, name := range list {
			out = append(out, fieldRef{name, names(field(name))})
		}
		return out
	}
	f := feed{
		correlation: id, report: newReport(d, names), exempting: r.exemptingFor(names),
		groupBy: refs(k.groupBy), counted: refs(d.Correlation.Condition.Field), carried: refs(k.carried),
		detail: newCapture(k, d.Kyra.Source, names),
	}
	if k.positions != nil {
		f.value = k.positions[position]
	}
	if len(d.Kyra.Entity) == 0 {
		f.report.key = nil
	}
	if b.group < 0 { // what it counts must keep what it asks for
		for _, list := range [][]string{k.groupBy, d.Correlation.Condition.Field, k.carried, d.Kyra.Entity} {
			for _, name := range list {
				b.asked = append(b.asked, field(name))
			}
		}
	}
	b.feeds = append(b.feeds, f)
}

// newWindow says how a correlation is judged.
func newWindow(k *sigma.Correlation, bases []int32) window {
	w := window{span: int64(k.Timespan), threshold: k.Condition, atEnd: k.Condition.Op != "" && !k.Condition.Rising()}
	switch k.Type {
	case sigma.EventCount:
		w.measure = countOfEvents
	case sigma.ValueCount:
		w.measure = countOfValues
	case sigma.ValueSum:
		w.measure = sumOfNumbers
	case sigma.ValueAvg:
		w.measure = averageOfNumbers
	case sigma.ValueMedian:
		w.measure = medianOfNumbers
	case sigma.ValuePercentile:
		w.measure = percentileOfNumbers
		if k.Condition.Percentile == 0 {
			w.measure, w.atEnd = shareOfValues, true
		}
	default:
		w.order(k, bases)
	}
	if w.atEnd {
		w.empty = w.judge(nil)
	}
	return w
}

// order says how a temporal correlation is judged.
func (w *window) order(k *sigma.Correlation, bases []int32) {
	for _, b := range bases {
		w.positions = append(w.positions, strconv.Itoa(slices.Index(bases, b)))
	}
	ordered := k.Type == sigma.TemporalOrdered
	switch {
	case k.Condition.Op != "" && ordered:
		w.measure = countOfRulesInOrder
		return
	case k.Condition.Op != "":
		w.measure = countOfRules
		return
	case ordered:
		w.measure = rulesInOrder
	default:
		w.measure = rulesPresent
	}
	if len(k.Terms) == 0 {
		w.terms = []term{{present: w.positions}}
	}
	for _, t := range k.Terms {
		var x term
		for _, i := range t.Present {
			x.present = append(x.present, w.positions[i])
		}
		for _, i := range t.Absent {
			x.absent = append(x.absent, w.positions[i])
		}
		w.terms = append(w.terms, x)
		w.atEnd = w.atEnd || len(x.absent) > 0
	}
}
