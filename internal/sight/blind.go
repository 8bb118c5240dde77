package sight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A Verdict tells whether a rule can match what arrives.
type Verdict struct {
	Blind  bool
	Reason string // for people, where it is blind
	// What is missing: the log source, or fields (of each inner list one would do),
	// or value lists.
	LogSource string
	Fields    [][]string
	Lists     []string
}

// Blind judges needs, one verdict for each.
func (s *Service) Blind(ctx context.Context, tenant uint32, needs []detect.Need) ([]Verdict, error) {
	j, err := s.judge(ctx, tenant)
	if err != nil {
		return nil, err
	}
	s.observer.learn(needs)
	out := make([]Verdict, len(needs))
	for i := range needs {
		out[i] = j.verdict(&needs[i])
	}
	return out, nil
}

// A judge holds what verdicts on one tenant's rules rest on.
type judge struct {
	observer *observer
	sources  map[string]*Source
	lists    map[string][]string
	now      time.Time
	absent   map[sigma.LogSource]Verdict // of what does not arrive: many rules ask the same
}

func (s *Service) judge(ctx context.Context, tenant uint32) (*judge, error) {
	sources, err := s.state(ctx, tenant)
	if err != nil {
		return nil, err
	}
	j := &judge{observer: s.observer, sources: sources, now: s.options.Now(), absent: map[sigma.LogSource]Verdict{}}
	if s.options.Lists != nil {
		if j.lists, err = s.options.Lists(ctx, tenant); err != nil {
			return nil, fmt.Errorf("read value lists: %w", err)
		}
	}
	return j, nil
}

func (j *judge) verdict(n *detect.Need) Verdict {
	var lists []string
	for _, name := range n.Lists {
		if len(j.lists[name]) == 0 {
			lists = append(lists, name)
		}
	}
	if len(lists) > 0 {
		return Verdict{Blind: true, Lists: lists, Reason: "needs the list " + strings.Join(lists, " and the list ")}
	}
	source := j.sources[n.LogSource.String()]
	if source == nil {
		v, ok := j.absent[n.LogSource]
		if !ok {
			v = Verdict{Blind: true, LogSource: name(n.LogSource), Reason: fmt.Sprintf("no events of %s have arrived %s", name(n.LogSource), j.period(n.LogSource))}
			j.absent[n.LogSource] = v
		}
		return v
	}
	missing := n.Missing(func(field string) bool { _, ok := source.Fields[field]; return ok })
	if len(missing) == 0 {
		return Verdict{}
	}
	return Verdict{Blind: true, Fields: missing, Reason: fmt.Sprintf("no event of %s has the field %s", name(n.LogSource), fieldWords(missing))}
}

// period says since when events of l were looked for.
func (j *judge) period(l sigma.LogSource) string {
	if since, ok := j.observer.since(l); !ok || j.now.Sub(since) < time.Hour && !slices.Contains(detect.KnownLogSources(), l) {
		return "since a rule first asked for them, less than an hour ago"
	}
	return fmt.Sprintf("in the last %d days", int(Period.Hours()/24))
}

// name writes a log source as people do: windows/process_creation.
func name(l sigma.LogSource) string {
	parts := slices.DeleteFunc([]string{l.Product, l.Category, l.Service}, func(s string) bool { return s == "" })
	return strings.Join(parts, "/")
}

func fieldWords(missing [][]string) string {
	const most = 4
	var all []string
	for i, clause := range missing {
		if i == most {
			return strings.Join(all, " and ") + fmt.Sprintf(" and %d more", len(missing)-most)
		}
		words := strings.Join(clause[:min(len(clause), most)], " or ")
		if len(clause) > most {
			words += fmt.Sprintf(" or %d more", len(clause)-most)
		}
		all = append(all, words)
	}
	return strings.Join(all, " and ")
}

// textKey names a text for good: versions of a rule never repeat.
type textKey struct {
	tenant  uint32 // 0 for built-in rules
	id      string
	version int64
}

// A document is what a verdict needs of one document of a rule's text.
type document struct {
	names       []string // id and name
	need        detect.Need
	correlation *sigma.Correlation
}

const maxTexts = 50_000

// Health tells why rules are blind, by their ids; those that are not are left out.
// A text of several documents is blind if each that raises alerts is.
func (s *Service) Health(ctx context.Context, tenant uint32, rules []rule.Active) (map[string]string, error) {
	docs := make([][]document, len(rules))
	for i := range rules {
		docs[i] = s.documents(tenant, &rules[i])
	}
	verdicts, err := s.verdicts(ctx, tenant, docs)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range rules {
		if verdicts[i].Blind {
			out[rules[i].ID] = verdicts[i].Reason
		}
	}
	return out, nil
}

// Judge is Health for rules that are not in the catalogue, one verdict for each text.
func (s *Service) Judge(ctx context.Context, tenant uint32, texts [][]*sigma.Document) ([]Verdict, error) {
	docs := make([][]document, len(texts))
	var needs []detect.Need
	for i, text := range texts {
		docs[i] = documentsOf(text)
		for _, d := range docs[i] {
			needs = append(needs, d.need)
		}
	}
	s.observer.learn(needs)
	return s.verdicts(ctx, tenant, docs)
}

func (s *Service) verdicts(ctx context.Context, tenant uint32, docs [][]document) ([]Verdict, error) {
	j, err := s.judge(ctx, tenant)
	if err != nil {
		return nil, err
	}
	b := bases{judge: j, byName: map[string]*document{}}
	for i := range docs {
		b.add(docs[i])
	}
	if s.options.Active != nil && slices.ContainsFunc(docs, b.lacks) {
		active, _, err := s.options.Active(ctx, tenant)
		if err != nil {
			return nil, err
		}
		for i := range active {
			b.add(s.documents(tenant, &active[i]))
		}
	}
	out := make([]Verdict, len(docs))
	for i := range docs {
		out[i] = b.of(docs[i])
	}
	return out, nil
}

// documents reads a rule's text, which it remembers. One that cannot be read has
// none.
func (s *Service) documents(tenant uint32, r *rule.Active) []document {
	key := textKey{tenant, r.ID, r.Version}
	if r.Builtin {
		key.tenant = 0
	}
	s.mu.Lock()
	docs, ok := s.texts[key]
	s.mu.Unlock()
	if ok {
		return docs
	}
	parsed, _ := sigma.Parse([]byte(r.YAML))
	docs = documentsOf(parsed)
	var needs []detect.Need
	for _, d := range docs {
		needs = append(needs, d.need)
	}
	s.observer.learn(needs)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.texts) >= maxTexts {
		clear(s.texts)
	}
	s.texts[key] = docs
	return docs
}

func documentsOf(parsed []*sigma.Document) []document {
	out := []document{}
	for _, d := range parsed {
		if d.Filter != nil {
			continue // it raises nothing, and needs nothing
		}
		x := document{names: []string{d.ID, d.Name}, correlation: d.Correlation}
		if d.Correlation == nil {
			x.need = detect.Needs(d)
		}
		out = append(out, x)
	}
	return out
}

// bases finds what correlations count.
type bases struct {
	*judge
	byName map[string]*document
}

func (b *bases) add(docs []document) {
	for i := range docs {
		for _, n := range docs[i].names {
			if n != "" && b.byName[n] == nil {
				b.byName[n] = &docs[i]
			}
		}
	}
}

// lacks tells whether a correlation among docs counts a rule that is not known.
func (b *bases) lacks(docs []document) bool {
	return slices.ContainsFunc(docs, func(d document) bool {
		return d.correlation != nil && slices.ContainsFunc(d.correlation.Rules, func(n string) bool { return b.byName[n] == nil })
	})
}

// of judges a text.
func (b *bases) of(docs []document) Verdict {
	correlates := slices.ContainsFunc(docs, func(d document) bool { return d.correlation != nil })
	var first Verdict
	for i := range docs {
		d := &docs[i]
		if correlates && d.correlation == nil {
			continue // it is counted, most likely
		}
		v := b.why(d, maxChain)
		if !v.Blind {
			return Verdict{}
		}
		if !first.Blind {
			first = v
		}
	}
	return first
}

const maxChain = 16 // correlations of correlations

func (b *bases) why(d *document, depth int) Verdict {
	if d.correlation == nil {
		return b.verdict(&d.need)
	}
	if depth == 0 {
		return Verdict{}
	}
	var first Verdict
	sees := make([]bool, len(d.correlation.Rules))
	for i, n := range d.correlation.Rules {
		v := Verdict{Blind: true, Reason: fmt.Sprintf("the rule %s, which it counts, is not active", n)}
		if base := b.byName[n]; base != nil {
			v = b.why(base, depth-1)
		}
		sees[i] = !v.Blind
		if v.Blind && !first.Blind {
			first = v
		}
	}
	if enough(d.correlation, sees) {
		return Verdict{}
	}
	return first
}

// enough tells whether a correlation can fire where only some of its rules can match.
func enough(c *sigma.Correlation, sees []bool) bool {
	able := 0
	for _, s := range sees {
		if s {
			able++
		}
	}
	switch {
	case len(c.Terms) > 0:
		return slices.ContainsFunc(c.Terms, func(t sigma.Term) bool {
			return !slices.ContainsFunc(t.Present, func(i int) bool { return !sees[i] })
		})
	case c.Type != sigma.Temporal && c.Type != sigma.TemporalOrdered:
		return able > 0
	case c.Condition.Op != "": // so many of its rules
		return able > 0 && (c.Condition.Holds(float64(able)) || !c.Condition.Rising())
	}
	return able == len(sees)
}
