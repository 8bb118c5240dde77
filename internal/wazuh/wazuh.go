// Package wazuh turns rules of Wazuh 4 (and OSSEC), which are XML, into Sigma rules
// and correlations. It converts text and knows nothing of files or the catalogue.
//
// A rule of Wazuh continues the rules that it names in if_sid and if_group: their
// conditions become selections of the one Sigma rule. Rules that continue it take
// its place where they match, so they are excluded from it; rules of level 0 raise
// nothing and only narrow others. A rule with frequency becomes a correlation.
// What has no counterpart is left out and listed with the reason.
package wazuh

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/kyra-mdr/kyra/internal/sigma"
)

// A File is one file of rules.
type File struct {
	Name string
	Data []byte
}

// A Rule is what became of one rule: Sigma YAML, a correlation with the rules that
// it counts in one text.
type Rule struct {
	File string
	Line int
	Text string
}

// A Refusal is a rule that has no counterpart, or a file that cannot be read.
type Refusal struct {
	File         string
	Line, Column int
	ID, Name     string
	Reason       string
}

// Convert converts all rules of files, which may continue each other's rules. The
// order of files counts, as in Wazuh: later ones may overwrite rules.
func Convert(files []File) ([]Rule, []Refusal) {
	c := converter{rules: map[int]*rule{}}
	for _, f := range files {
		c.read(f)
	}
	c.relate()
	var out []Rule
	for _, r := range c.order {
		if c.rules[r.id] != r || r.level == 0 || r.noAlert {
			continue
		}
		text, err := c.convert(r)
		if err == nil {
			_, err = sigma.Parse([]byte(text))
		}
		if err != nil {
			c.refuse(r, "%s", err.Error())
			continue
		}
		out = append(out, Rule{r.file, r.line, text})
	}
	return out, c.refused
}

type converter struct {
	rules   map[int]*rule
	order   []*rule
	groups  map[string][]*rule
	refused []Refusal
}

func (c *converter) refuse(r *rule, format string, args ...any) {
	c.refused = append(c.refused, Refusal{File: r.file, Line: r.line, ID: r.name(), Name: r.title(), Reason: fmt.Sprintf(format, args...)})
}

// A rule is one <rule> element.
type rule struct {
	file              string
	line              int
	id, level         int
	frequency         int
	timeframe         int // seconds
	noAlert           bool
	groups            []string
	description       string
	license, author   string
	techniques, links []string

	tests         []test
	decoder       string // decoded_as
	category      string
	parents       []int // if_sid
	parentGroup   string
	matched       []int // if_matched_sid
	matchedGroup  string
	same, differ  []string // fields of Wazuh
	foreign       string   // why it cannot be converted
	children      []*rule
	visiting      bool
	chainDone     bool
	chain         *chain
	chainErr      error
	ownSelections []selection
}

func (r *rule) name() string { return "wazuh-" + strconv.Itoa(r.id) }

// A test is one condition of a rule.
type test struct {
	field   string // as Wazuh calls it, "" = the whole log
	kind    patternKind
	pattern string
	negate  bool
	list    bool // pattern is the name of a list
}

// relate finds who continues whom and who is in which group.
func (c *converter) relate() {
	c.groups = map[string][]*rule{}
	for _, r := range c.order {
		if c.rules[r.id] != r {
			continue
		}
		for _, g := range r.groups {
			c.groups[g] = append(c.groups[g], r)
		}
	}
	for _, r := range c.order {
		if c.rules[r.id] != r || r.counts() {
			continue
		}
		for _, p := range r.parents {
			if parent := c.rules[p]; parent != nil {
				parent.children = append(parent.children, r)
			}
		}
	}
}

// counts tells whether r counts what others match.
func (r *rule) counts() bool { return len(r.matched) > 0 || r.matchedGroup != "" || r.frequency > 1 }

// severity maps a level of 0 to 16, as Wazuh's own documentation groups them.
func (r *rule) severity() string {
	switch {
	case r.level <= 3:
		return "informational"
	case r.level <= 6:
		return "low"
	case r.level <= 11:
		return "medium"
	case r.level <= 14:
		return "high"
	}
	return "critical"
}

// A chain is what a rule asks for with all that it continues.
type chain struct {
	sources []source    // log sources that its roots name; several mean any of them
	need    []selection // all must hold
	any     [][]*chain  // of each list one must hold
}

// maxChain bounds how many rules one Sigma rule may be put together from.
const maxChain = 400

// follow returns the chain of r.
func (c *converter) follow(r *rule) (*chain, error) {
	if r.chainDone {
		return r.chain, r.chainErr
	}
	if r.visiting {
		return nil, fmt.Errorf("it continues itself through rule %d", r.id)
	}
	r.visiting = true
	r.chain, r.chainErr = c.makeChain(r)
	r.visiting, r.chainDone = false, true
	return r.chain, r.chainErr
}

func (c *converter) makeChain(r *rule) (*chain, error) {
	if r.foreign != "" {
		return nil, fmt.Errorf("%s", r.foreign)
	}
	out := &chain{}
	parents, err := c.parentsOf(r)
	if err != nil {
		return nil, err
	}
	var roads []*chain
	var failed error
	for _, p := range parents {
		road, err := c.follow(p)
		if err != nil {
			failed = fmt.Errorf("rule %d, which it continues: %w", p.id, err)
			continue // another road may do
		}
		roads = append(roads, road)
	}
	switch {
	case len(parents) > 0 && len(roads) == 0:
		return nil, failed
	case len(roads) == 1:
		out.sources = roads[0].sources
		out.need = slices.Clone(roads[0].need)
		out.any = slices.Clone(roads[0].any)
	case len(roads) > 1:
		for _, road := range roads {
			for _, s := range road.sources {
				if !slices.Contains(out.sources, s) {
					out.sources = append(out.sources, s)
				}
			}
		}
		out.any = append(out.any, roads)
	}
	if s, ok, err := r.source(); err != nil {
		return nil, err
	} else if ok && len(out.sources) == 0 {
		out.sources = []source{s}
	}
	web := slices.ContainsFunc(out.sources, source.web)
	own, err := r.selections(web)
	if err != nil {
		return nil, err
	}
	r.ownSelections = own
	out.need = append(out.need, own...)
	return out, nil
}

// parentsOf returns the rules of which r continues one.
func (c *converter) parentsOf(r *rule) ([]*rule, error) {
	var out []*rule
	missing := 0
	for _, id := range r.parents {
		switch p := c.rules[id]; {
		case p != nil:
			out = append(out, p)
		case standIn(id) != nil:
			out = append(out, standIn(id))
		default:
			missing = id
		}
	}
	if missing != 0 && len(out) == 0 {
		return nil, fmt.Errorf("it continues rule %d, which is not among the imported files: import it together with Wazuh's own rules", missing)
	}
	if r.parentGroup != "" {
		for _, p := range c.groups[r.parentGroup] {
			if p != r && !p.counts() && p.id < r.id {
				out = append(out, p)
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("it continues the group %q, of which no rule is among the imported files", r.parentGroup)
		}
	}
	if len(out) > maxChain {
		return nil, fmt.Errorf("it continues %d rules: at most %d are put together", len(out), maxChain)
	}
	return out, nil
}

// title is the description without what is filled in.
func (r *rule) title() string {
	return cmp.Or(cutText(plainTitle(r.description), 200), "Wazuh rule "+strconv.Itoa(r.id))
}
