package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

var levels = []string{"informational", "low", "medium", "high", "critical"}

var statuses = []string{"stable", "test", "experimental", "deprecated", "unsupported"}

// parseDetection reads a detection; other takes keys that are not part of one. It
// returns the aggregation that the condition ends with, nil for none.
func (d *Document) parseDetection(n *node, other func(*entry) (bool, error)) (*aggregation, error) {
	if n.kind != mapNode {
		return nil, n.errorf("detection must be a map, not %s", n.what())
	}
	var searches []*clause
	var condition, timeframe *node
	for i := range n.keys {
		e := &n.keys[i]
		if other != nil {
			if taken, err := other(e); err != nil {
				return nil, err
			} else if taken {
				continue
			}
		}
		switch e.key {
		case "condition":
			condition = e.value
			continue
		case "timeframe":
			timeframe = e.value
			continue
		}
		x, err := d.parseSearch(e.key, e.value)
		if err != nil {
			return nil, err
		}
		searches = append(searches, &clause{kind: clauseName, name: e.key, kids: []*clause{x}, line: e.line, column: e.column})
	}
	slices.SortFunc(searches, func(a, b *clause) int { return strings.Compare(a.name, b.name) })
	if condition == nil {
		return nil, n.errorf("detection has no condition")
	}
	return d.parseConditions(condition, timeframe, searches)
}

// parseConditions reads one condition, or several, of which one must hold.
func (d *Document) parseConditions(condition, timeframe *node, searches []*clause) (*aggregation, error) {
	conditions := []*node{condition}
	if condition.kind == listNode {
		conditions = condition.items
	}
	var kids []*clause
	var found *aggregation
	for _, c := range conditions {
		if c.kind != scalarNode {
			return nil, c.errorf("a condition must be text, not %s", c.what())
		}
		p := newConditionParser(c.text, searches)
		x, err := p.or()
		if err == nil && p.peek() == "|" && len(conditions) == 1 {
			found, err = p.aggregation()
		} else if err == nil && p.pos < len(p.tokens) {
			err = p.unexpected("and, or or the end")
		}
		if err != nil {
			return nil, c.conditionError(err)
		}
		kids = append(kids, x)
	}
	switch len(kids) {
	case 0:
		return nil, condition.errorf("detection has no condition")
	case 1:
		d.condition = kids[0]
	default:
		d.condition = &clause{kind: clauseOr, kids: kids}
	}
	d.root = d.condition.lower()
	if found == nil {
		return nil, nil
	}
	return found, found.within(condition, timeframe)
}

// conditionError places an error of the condition in n.
func (n *node) conditionError(err error) *Error {
	out := n.errorf("%s", err.Error())
	if e, ok := errors.AsType[*conditionError](err); ok && n.inline >= 0 {
		out.Column += int(n.inline) + utf8.RuneCountInString(n.text[:e.at])
	}
	return out
}

// parseSearch reads a named part of a detection: a map is "all of these", a list
// "one of these", text a keyword.
func (d *Document) parseSearch(name string, n *node) (*clause, error) {
	out := &clause{kind: clauseMap, line: n.line, column: n.column}
	switch n.kind {
	case mapNode:
		for i := range n.keys {
			x, err := d.parseItem(&n.keys[i])
			if err != nil {
				return nil, err
			}
			out.kids = append(out.kids, x)
		}
	case listNode:
		out.kind = clauseList
		for _, item := range n.items {
			x, err := d.parseSearch(name, item)
			if err != nil {
				return nil, err
			}
			out.kids = append(out.kids, x)
		}
	case scalarNode:
		return d.parseItem(&entry{value: n, line: n.line, column: n.column})
	}
	if len(out.kids) == 0 {
		return nil, n.errorf("search %q is empty", name)
	}
	return out, nil
}

func (d *Document) parseItem(e *entry) (*clause, error) {
	it, err := parseItem(e)
	if err != nil {
		return nil, err
	}
	d.Placeholders = it.placeholders(d.Placeholders)
	return &clause{kind: clauseItem, item: it, line: e.line, column: e.column}, nil
}

// Fill returns d with each placeholder replaced by the entries of its list. It
// is an error if a list is missing or empty, or if too much comes out.
func (d *Document) Fill(lists map[string][]string) (*Document, error) {
	if len(d.Placeholders) == 0 {
		return d, nil
	}
	var missing []string
	for _, p := range d.Placeholders {
		if len(lists[p]) == 0 {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		line, column := d.Line, 1
		if c := d.condition.waiting(missing[0]); c != nil {
			line, column = c.line, c.column
		}
		return nil, &Error{Line: line, Column: column, Message: "the rule needs the list " + strings.Join(missing, " and the list ") + ": make it, with an entry at least"}
	}
	if err := d.root.checkFill(lists); err != nil {
		return nil, &Error{Line: d.Line, Column: 1, Message: err.Error()}
	}
	out := *d
	out.Placeholders, out.lists = nil, lists
	out.root = d.root.filled(lists)
	return &out, nil
}

func (x *expr) checkFill(lists map[string][]string) error {
	if x.kind == pendingExpr {
		for _, v := range x.item.values {
			for _, p := range v.patterns {
				if _, ok := p.fill(lists); !ok {
					return fmt.Errorf("the lists make more than %d values of one", maxAlternatives)
				}
			}
		}
	}
	for _, k := range x.kids {
		if err := k.checkFill(lists); err != nil {
			return err
		}
	}
	return nil
}

// A reader reads typed values and keeps the first error.
type reader struct{ err *Error }

func (r *reader) error() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

func (r *reader) fail(err *Error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) text(e *entry) string {
	switch e.value.kind {
	case scalarNode:
		return strings.TrimSpace(e.value.text)
	case nullNode:
		return ""
	}
	r.fail(e.value.errorf("%s must be text, not %s", e.key, e.value.what()))
	return ""
}

// texts reads a list of texts; one text counts as a list of one.
func (r *reader) texts(e *entry) []string {
	switch e.value.kind {
	case scalarNode:
		return []string{strings.TrimSpace(e.value.text)}
	case nullNode:
		return nil
	case mapNode:
		r.fail(e.value.errorf("%s must be a list, not a map", e.key))
		return nil
	}
	var out []string
	for _, n := range e.value.items {
		switch n.kind {
		case scalarNode:
			out = append(out, strings.TrimSpace(n.text))
		case nullNode:
		default:
			r.fail(n.errorf("an entry of %s must be text, not %s", e.key, n.what()))
		}
	}
	return out
}

func (r *reader) oneOf(e *entry, allowed []string) string {
	s := strings.ToLower(r.text(e))
	if s != "" && !slices.Contains(allowed, s) {
		r.fail(e.value.errorf("%s must be one of %s, not %q", e.key, strings.Join(allowed, ", "), s))
	}
	return s
}

func (r *reader) boolean(e *entry) bool {
	switch strings.ToLower(r.text(e)) {
	case "true", "yes":
		return true
	case "false", "no":
		return false
	}
	r.fail(e.value.errorf("%s must be true or false", e.key))
	return false
}

func (r *reader) logSource(e *entry) LogSource {
	var l LogSource
	if e.value.kind != mapNode {
		r.fail(e.value.errorf("logsource must be a map, not %s", e.value.what()))
		return l
	}
	for i := range e.value.keys {
		k := &e.value.keys[i]
		switch k.key {
		case "product":
			l.Product = strings.ToLower(r.text(k))
		case "category":
			l.Category = strings.ToLower(r.text(k))
		case "service":
			l.Service = strings.ToLower(r.text(k))
		}
	}
	if l == (LogSource{}) {
		r.fail(e.value.errorf("logsource names neither product, category nor service"))
	}
	return l
}

// kyra reads the extension block. It is ours, so that a key that is unknown is a
// slip of the pen.
func (r *reader) kyra(e *entry) Kyra {
	var k Kyra
	if e.value.kind != mapNode {
		r.fail(e.value.errorf("kyra must be a map, not %s", e.value.what()))
		return k
	}
	for i := range e.value.keys {
		x := &e.value.keys[i]
		switch x.key {
		case "source":
			k.Source = r.text(x)
		case "description":
			k.Description = r.text(x)
			if err := checkTemplate(k.Description); err != nil {
				r.fail(x.value.errorf("description: %s", err.Error()))
			}
		case "entity":
			k.Entity = r.texts(x)
		case "entities":
			k.Entities = r.texts(x)
		default:
			r.fail(x.errorf("kyra: unknown key %q: possible are source, description, entity, entities", x.key))
		}
	}
	return k
}

// TemplateFields returns the fields that a description template names, without
// count, in order of appearance. {field} stands for the field's values,
// {field:one|many} for a word that agrees with their number.
func TemplateFields(template string) []string {
	var out []string
	for rest := template; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return out
		}
		name, tail, ok := strings.Cut(after, "}")
		if !ok {
			return out
		}
		name, _, _ = strings.Cut(name, ":")
		if name != "count" && !slices.Contains(out, name) {
			out = append(out, name)
		}
		rest = tail
	}
}

func checkTemplate(s string) error {
	open := false
	start := 0
	for i, c := range s {
		switch {
		case c == '{' && !open:
			open, start = true, i
		case c == '{':
			return fmt.Errorf("a %q stands inside another", "{")
		case c == '}' && !open:
			return fmt.Errorf("a %q has no %q before it", "}", "{")
		case c == '}':
			field, words, agrees := strings.Cut(s[start+1:i], ":")
			if strings.TrimSpace(field) != field || field == "" {
				return fmt.Errorf("%q names no field", s[start:i+1])
			}
			if one, many, ok := strings.Cut(words, "|"); agrees && (!ok || one == "" || many == "") {
				return fmt.Errorf("%q must be of the form {%s:one|many}", s[start:i+1], field)
			}
			open = false
		}
	}
	if open {
		return fmt.Errorf("a %q has no %q after it", "{", "}")
	}
	return nil
}
