package playbook

import (
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/incident"
)

// An action is what a step can do.
type action struct {
	params  []parameter
	outside bool // it leaves the house: its outcome can be unknown
	slow    bool // it waits for others
}

type parameter struct {
	name     string
	required bool
	kind     paramKind
	values   []string // of a word
	max      int      // of a number; of a duration, in hours
}

type paramKind uint8

const (
	textParam   paramKind = iota
	wordParam             // one of values, in any case
	numberParam           // 1 to max
	spanParam             // a duration
	listParam             // texts
	mapParam              // texts by name
	anyParam              // whatever JSON can hold
	urlParam
	queryParam
)

// names of actions.
const (
	actComment  = "comment"
	actSet      = "set"
	actIncident = "create-incident"
	actEscalate = "escalate"
	actTask     = "add-task"
	actTag      = "tag"
	actNotify   = "notify"
	actHTTP     = "http"
	actSearch   = "search"
	actWait     = "wait"
	actAsk      = "ask"
)

// Actions lists what steps can do.
var Actions = []string{actComment, actSet, actIncident, actEscalate, actTask, actTag, actNotify, actHTTP, actSearch, actWait, actAsk}

var on = parameter{name: "on", kind: wordParam, values: []string{"alert", "incident"}}

const maxDays = 30

var actions = map[string]action{
	actComment:  {params: []parameter{{name: "text", required: true}, on}},
	actSet:      {params: []parameter{{name: "status", kind: wordParam, values: statuses()}, {name: "severity", kind: wordParam, values: event.Severities}, {name: "assignee"}, {name: "verdict", kind: wordParam, values: texts(alert.Verdicts)}, {name: "reason"}, on}},
	actIncident: {params: []parameter{{name: "title", required: true}, {name: "severity", kind: wordParam, values: event.Severities}, {name: "assignee"}}},
	actEscalate: {},
	actTask:     {params: []parameter{{name: "title", required: true}, {name: "note"}, {name: "assignee"}, {name: "dueIn", kind: spanParam, max: 24 * 365}}},
	actTag:      {params: []parameter{{name: "tags", required: true, kind: listParam}, on}},
	actNotify:   {params: []parameter{{name: "title"}, {name: "text", required: true}, {name: "severity", kind: wordParam, values: event.Severities}}},
	actHTTP: {outside: true, slow: true, params: []parameter{
		{name: "url", required: true, kind: urlParam},
		{name: "method", kind: wordParam, values: []string{"GET", "POST", "PUT", "PATCH", "DELETE"}},
		{name: "headers", kind: mapParam},
		{name: "body", kind: anyParam},
		{name: "expect", kind: listParam},
	}},
	actSearch: {slow: true, params: []parameter{{name: "query", required: true, kind: queryParam}, {name: "last", kind: spanParam, max: 24 * maxDays}, {name: "limit", kind: numberParam, max: 100}}},
	actWait:   {params: []parameter{{name: "for", required: true, kind: spanParam, max: 24 * maxDays}}},
	actAsk:    {params: []parameter{{name: "question", required: true}, {name: "expires", kind: spanParam, max: 24 * maxDays}}},
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func statuses() []string { return append(texts(alert.Statuses), texts(incident.Statuses)[1:]...) }

// check reads one parameter of a step and says what is wrong with it.
func (p *parameter) check(n *node) (any, error) {
	if n.kind == nullNode {
		return nil, n.errorf("%s has no value: give one, or leave the key out", p.name)
	}
	switch p.kind {
	case listParam:
		items := n.items
		if n.kind == scalarNode {
			items = []*node{n}
		}
		if n.kind == mapNode || len(items) == 0 || len(items) > 50 {
			return nil, n.errorf("%s must be a list of 1 to 50 texts", p.name)
		}
		var list []any
		for _, item := range items {
			if item.kind != scalarNode {
				return nil, item.errorf("%s holds %s: it must hold texts", p.name, item.what())
			}
			list = append(list, item.text)
		}
		return list, nil
	case mapParam:
		if n.kind != mapNode || len(n.keys) > 50 {
			return nil, n.errorf("%s must be a map of at most 50 names with texts", p.name)
		}
		m := map[string]any{}
		for _, e := range n.keys {
			if e.value.kind != scalarNode {
				return nil, e.value.errorf("%s.%s must be text, not %s", p.name, e.key.text, e.value.what())
			}
			m[e.key.text] = e.value.text
		}
		return m, nil
	case anyParam:
		return whole(n), nil
	}
	if n.kind != scalarNode {
		return nil, n.errorf("%s must be text, not %s", p.name, n.what())
	}
	if strings.TrimSpace(n.text) == "" {
		return nil, n.errorf("%s is empty: give it a value, or leave the key out", p.name)
	}
	fixed := !strings.Contains(n.text, "{{")
	switch p.kind {
	case wordParam:
		if !fixed {
			return n.text, nil // checked when the step runs
		}
		for _, v := range p.values {
			if strings.EqualFold(v, n.text) {
				return v, nil
			}
		}
		return nil, n.errorf("%s is %q. Allowed: %s", p.name, shorten(n.text, 60), strings.Join(p.values, ", "))
	case numberParam:
		v, ok := n.value.(uint64)
		if !ok || v < 1 || v > uint64(p.max) { //nolint:gosec // max is positive
			return nil, n.errorf("%s must be a number from 1 to %d", p.name, p.max)
		}
		return int64(v), nil //nolint:gosec // bounded above
	case spanParam:
		if _, err := span(n, p.name, time.Second, time.Duration(p.max)*time.Hour); err != nil {
			return nil, err
		}
		return n.text, nil
	case urlParam:
		return n.text, checkURL(n)
	}
	return n.text, nil
}

// whole is a value of JSON.
func whole(n *node) any {
	switch n.kind {
	case nullNode:
		return nil
	case listNode:
		list := make([]any, 0, len(n.items))
		for _, item := range n.items {
			list = append(list, whole(item))
		}
		return list
	case mapNode:
		m := map[string]any{}
		for _, e := range n.keys {
			m[e.key.text] = whole(e.value)
		}
		return m
	}
	return n.value
}

// checkURL has the host written out: no value of an event decides who is called.
func checkURL(n *node) error {
	rest, ok := strings.CutPrefix(n.text, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(n.text, "http://")
	}
	host, _, _ := strings.Cut(rest, "/")
	if !ok || host == "" || strings.ContainsAny(host, "?#") && strings.Contains(rest[:strings.IndexAny(rest, "?#")], "{{") {
		return n.errorf("url must begin with https:// and a host, such as https://example.com/block")
	}
	if strings.Contains(strings.FieldsFunc(rest, func(r rune) bool { return r == '/' || r == '?' || r == '#' })[0], "{{") {
		return n.errorf("the host of url must be written out: {{…}} can stand behind it only")
	}
	return nil
}

// slowAction tells whether the step at a place waits for others.
func (d *Document) slowAt(place int) bool {
	return place < len(d.Steps) && actions[d.Steps[place].Action].slow
}

func isAction(s string) bool { return slices.Contains(Actions, s) }
