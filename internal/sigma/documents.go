package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Parse reads the rules, correlations and filters of a YAML text, which may hold
// several documents; the first that is wrong makes the error, an *Error. Keys that
// Sigma does not know are ignored, but for those under `kyra:`.
//
// A rule with an aggregation of the older language, such as "selection | count() by
// user > 5", gives two documents: the rule of the events and the correlation that
// counts them. A document that others only build on (`action: global`) gives none.
func Parse(data []byte) ([]*Document, error) {
	docs, errs := ParseEach(data)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return docs, nil
}

// ParseEach is Parse, but goes on behind a document that is wrong.
func ParseEach(data []byte) ([]*Document, []*Error) {
	nodes, err := readYAML(data)
	if err != nil {
		return nil, []*Error{asError(err)}
	}
	if len(nodes) == 0 {
		return nil, []*Error{{Message: "the text holds no rule"}}
	}
	var out []*Document
	var errs []*Error
	c := collection{ids: map[string]int{}}
	text := new(int)
	for _, n := range nodes {
		n, err := c.resolve(n)
		if err != nil {
			errs = append(errs, asError(err))
		}
		if err != nil || n == nil {
			continue
		}
		docs, err := parseDocument(n)
		if err != nil {
			errs = append(errs, asError(err))
			continue
		}
		for _, d := range docs {
			d.text = text
		}
		out = append(out, docs...)
	}
	if len(out) == 0 && len(errs) == 0 {
		errs = append(errs, &Error{Message: "the text holds no rule, only documents that others can build on"})
	}
	return out, errs
}

func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Message: err.Error()}
}

// A collection is the documents of one text, with what earlier ones give to later
// ones: `action: global` is part of all that follow, up to `action: reset`; `action:
// repeat` is the document before it with changes.
type collection struct {
	global, last *node
	ids          map[string]int // how many documents have an id
}

// resolve returns the document that n stands for, nil if it stands for none.
func (c *collection) resolve(n *node) (*node, error) {
	if n.kind != mapNode {
		return nil, n.errorf("a rule must be a map, not %s", n.what())
	}
	action := n.get("action")
	if action == nil {
		c.last = n
		return c.complete(n, n), nil
	}
	rest := *n
	rest.keys = slices.DeleteFunc(slices.Clone(n.keys), func(e entry) bool { return e.key == "action" })
	switch action.text {
	case "global":
		c.global = merged(c.global, &rest)
		return nil, nil
	case "reset":
		c.global = nil
		if len(rest.keys) == 0 {
			return nil, nil
		}
		c.last = &rest
		return c.complete(&rest, &rest), nil
	case "repeat":
		if c.last == nil {
			return nil, action.errorf("action repeat has no document before it")
		}
		c.last = merged(c.last, &rest)
		return c.complete(c.last, &rest), nil
	}
	return nil, action.errorf("action must be one of global, reset, repeat, not %q", action.text)
}

// complete adds to n what is global. Where several documents come by their id so, or
// by repetition, the first keeps it and the others are told apart by a number;
// written is the document as it stands in the text.
func (c *collection) complete(n, written *node) *node {
	out := merged(c.global, n)
	id := out.get("id")
	if id == nil || id.kind != scalarNode {
		return out
	}
	c.ids[id.text]++
	if k := c.ids[id.text]; k > 1 && written.get("id") == nil {
		numbered := *id
		numbered.text = fmt.Sprintf("%s-%d", id.text, k)
		return merged(out, &node{kind: mapNode, line: out.line, column: out.column, keys: []entry{{key: "id", value: &numbered, line: id.line, column: id.column}}})
	}
	return out
}

// merged returns base with the keys of over in it; maps in both are merged in
// turn.
func merged(base, over *node) *node {
	if base == nil || base.kind != mapNode || over.kind != mapNode {
		return over
	}
	out := *over
	out.keys = slices.Clone(base.keys)
	for _, e := range over.keys {
		i := slices.IndexFunc(out.keys, func(o entry) bool { return o.key == e.key })
		if i < 0 {
			out.keys = append(out.keys, e)
			continue
		}
		e.value = merged(out.keys[i].value, e.value)
		out.keys[i] = e
	}
	return &out
}

// parseDocument reads one document, which gives several where it counts.
func parseDocument(n *node) ([]*Document, error) {
	d, err := parseMeta(n)
	if err != nil {
		return nil, err
	}
	detection, correlation, filter := n.get("detection"), n.get("correlation"), n.get("filter")
	switch {
	case detection != nil && correlation != nil:
		return nil, n.errorf("a document is a rule or a correlation, not both")
	case filter != nil && (detection != nil || correlation != nil):
		return nil, n.errorf("a document is a rule, a correlation or a filter, not two of them")
	case filter != nil:
		err = d.parseFilter(filter)
	case correlation != nil:
		err = d.parseCorrelation(n, correlation)
	case detection == nil:
		err = n.errorf("the rule has no detection")
	case n.get("logsource") == nil:
		err = n.errorf("the rule has no logsource")
	default:
		var a *aggregation
		if a, err = d.parseDetection(detection, nil); err == nil && a != nil {
			return d.aggregated(a)
		}
	}
	if err != nil {
		return nil, err
	}
	return []*Document{d}, nil
}

// parseMeta reads all but what a document is about.
func parseMeta(n *node) (*Document, error) {
	d := &Document{Line: n.line}
	r := reader{}
	for i := range n.keys {
		e := &n.keys[i]
		switch e.key {
		case "id":
			d.ID = r.text(e)
		case "name":
			d.Name = r.text(e)
		case "title":
			d.Title = r.text(e)
		case "status":
			d.Status = r.oneOf(e, statuses)
		case "level":
			d.Level = r.oneOf(e, levels)
		case "description":
			d.Description = r.text(e)
		case "author":
			d.Author = strings.Join(r.texts(e), ", ")
		case "license":
			d.License = r.text(e)
		case "date":
			d.Date = r.text(e)
		case "modified":
			d.Modified = r.text(e)
		case "references":
			d.References = r.texts(e)
		case "tags":
			d.Tags = r.texts(e)
		case "falsepositives":
			d.FalsePositives = r.texts(e)
		case "fields":
			d.Fields = r.texts(e)
		case "logsource":
			d.LogSource = r.logSource(e)
		case "kyra":
			d.Kyra = r.kyra(e)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if d.Title == "" {
		return nil, n.errorf("the rule has no title")
	}
	return d, nil
}

func (d *Document) parseCorrelation(n, correlation *node) error {
	c, err := parseCorrelation(correlation)
	if err != nil {
		return err
	}
	r := reader{}
	for i := range n.keys {
		if n.keys[i].key == "generate" {
			c.Generate = r.boolean(&n.keys[i])
		}
	}
	d.Correlation = c
	return r.error()
}
