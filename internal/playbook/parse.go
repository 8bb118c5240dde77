package playbook

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/query"
)

const (
	maxSteps       = 50
	defaultTimeout = 24 * time.Hour
	defaultStep    = 30 * time.Second
	defaultExpiry  = 24 * time.Hour
	defaultRetry   = 30 * time.Second
)

// Parse reads a document: YAML, or JSON, which is YAML too. An error is an *Error.
func Parse(text []byte) (*Document, error) {
	root, err := readYAML(text)
	if err != nil {
		return nil, err
	}
	d := &Document{Timeout: defaultTimeout}
	keys, err := fields(root, "a playbook", "id", "name", "description", "trigger", "condition", "approval", "timeout", "steps")
	if err != nil {
		return nil, err
	}
	if d.Handle, err = words(keys, root, "id", 100, true); err != nil {
		return nil, err
	}
	if !isName(d.Handle) || strings.ToLower(d.Handle) != d.Handle {
		return nil, keys["id"].errorf("id must be small letters, digits, hyphens and underscores, such as brute-force")
	}
	if d.Name, err = words(keys, root, "name", 200, true); err != nil {
		return nil, err
	}
	if d.Description, err = words(keys, root, "description", 4000, false); err != nil {
		return nil, err
	}
	if err := d.trigger(keys["trigger"], root); err != nil {
		return nil, err
	}
	if d.Condition, d.condition, err = condition(keys["condition"], "condition"); err != nil {
		return nil, err
	}
	if n := keys["timeout"]; n != nil {
		if d.Timeout, err = span(n, "timeout", time.Minute, maxDays*24*time.Hour); err != nil {
			return nil, err
		}
	}
	if err := d.approval(keys["approval"]); err != nil {
		return nil, err
	}
	return d, d.steps(keys["steps"], root)
}

// fields returns the values of a map by key, and refuses keys that are not known.
func fields(n *node, what string, known ...string) (map[string]*node, error) {
	if n.kind != mapNode {
		return nil, n.errorf("%s must be a map, not %s. Keys: %s", what, n.what(), strings.Join(known, ", "))
	}
	out := map[string]*node{}
	for _, e := range n.keys {
		if !slices.Contains(known, e.key.text) {
			return nil, e.key.errorf("%s has no key %q. Allowed: %s", what, shorten(e.key.text, 60), strings.Join(known, ", "))
		}
		out[e.key.text] = e.value
	}
	return out, nil
}

// words reads a text of 1 to limit characters.
func words(keys map[string]*node, parent *node, name string, limit int, required bool) (string, error) {
	n := keys[name]
	if n == nil || n.kind == nullNode {
		if required {
			return "", parent.errorf("%s is missing: add it", name)
		}
		return "", nil
	}
	if n.kind != scalarNode {
		return "", n.errorf("%s must be text, not %s", name, n.what())
	}
	text := strings.TrimSpace(n.text)
	if required && text == "" {
		return "", n.errorf("%s is empty: give it a value", name)
	}
	if len([]rune(text)) > limit {
		return "", n.errorf("%s is too long: at most %d characters", name, limit)
	}
	return text, nil
}

// span reads a duration such as 30s, 10m, 24h or 7d.
func span(n *node, name string, least, most time.Duration) (time.Duration, error) {
	d, err := parseSpan(n.text)
	if n.kind != scalarNode || err != nil {
		return 0, n.errorf("%s must be a time such as 30s, 10m, 24h or 7d", name)
	}
	if d < least || d > most {
		return 0, n.errorf("%s is %s: from %s to %s are allowed", name, n.text, least, most)
	}
	return d, nil
}

func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 10_000 {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(s)
}

func (d *Document) trigger(n, root *node) error {
	if n == nil {
		return root.errorf("trigger is missing: add trigger: {event: incident.created}, or another of %s", strings.Join(Triggers, ", "))
	}
	keys, err := fields(n, "trigger", "event", "every")
	if err != nil {
		return err
	}
	if d.Event, err = words(keys, n, "event", 100, true); err != nil {
		return err
	}
	if !slices.Contains(Triggers, d.Event) {
		return keys["event"].errorf("trigger.event is %q. Allowed: %s", shorten(d.Event, 60), strings.Join(Triggers, ", "))
	}
	every := keys["every"]
	switch {
	case d.Event == Schedule && every == nil:
		return n.errorf("a schedule needs every: add every: 1h")
	case d.Event != Schedule && every != nil:
		return every.errorf("every goes with event: schedule only: take it out")
	case every != nil:
		d.Every, err = span(every, "trigger.every", time.Minute, maxDays*24*time.Hour)
	}
	return err
}

func condition(n *node, name string) (string, query.Node, error) {
	if n == nil {
		return "", nil, nil
	}
	if n.kind != scalarNode {
		return "", nil, n.errorf("%s must be a query such as severity:(high OR critical), not %s", name, n.what())
	}
	q, err := query.Parse(n.text)
	if e, ok := errors.AsType[*query.Error](err); ok {
		return "", nil, n.errorf("%s, character %d: %s", name, e.Pos+1, e.Message)
	}
	return n.text, q, err
}

func (d *Document) approval(n *node) error {
	if n == nil || n.kind == scalarNode && n.text == "false" {
		return nil
	}
	a := &Approval{Question: "Run " + d.Name + "?", Expires: defaultExpiry}
	d.Approval = a
	if n.kind != scalarNode || n.text != "true" {
		keys, err := fields(n, "approval", "question", "expires")
		if err != nil {
			return err
		}
		q, err := words(keys, n, "question", 2000, false)
		if err != nil {
			return err
		}
		if q != "" {
			a.Question = q
		}
		if e := keys["expires"]; e != nil {
			if a.Expires, err = span(e, "approval.expires", time.Minute, maxDays*24*time.Hour); err != nil {
				return err
			}
		}
	}
	if err := checkText(n, a.Question, nil, false); err != nil {
		return err
	}
	d.Steps = []Step{{ID: approvalStep, Action: actAsk, OnError: Stop, Timeout: defaultStep, With: map[string]any{"question": a.Question, "expires": a.Expires.String()}}}
	return nil
}

func (d *Document) steps(n, root *node) error {
	if n == nil {
		return root.errorf("steps are missing: add at least one")
	}
	if n.kind != listNode || len(n.items) == 0 || len(n.items) > maxSteps {
		return n.errorf("steps must be a list of 1 to %d", maxSteps)
	}
	var before []string
	for i := range d.Steps {
		before = append(before, d.Steps[i].ID)
	}
	for _, item := range n.items {
		st, err := parseStep(item, before)
		if err != nil {
			return err
		}
		before = append(before, st.ID)
		d.Steps = append(d.Steps, *st)
	}
	return nil
}

func parseStep(n *node, before []string) (*Step, error) {
	keys, err := fields(n, "a step", "id", "action", "with", "when", "timeout", "onError", "retry")
	if err != nil {
		return nil, err
	}
	st := &Step{OnError: Stop, Timeout: defaultStep, With: map[string]any{}}
	if st.ID, err = words(keys, n, "id", 60, true); err != nil {
		return nil, err
	}
	switch {
	case !isName(st.ID):
		return nil, keys["id"].errorf("the id of a step must be letters, digits, hyphens and underscores")
	case slices.Contains(before, st.ID):
		return nil, keys["id"].errorf("there is a step %q before this one: give it another id", st.ID)
	}
	if st.Action, err = words(keys, n, "action", 60, true); err != nil {
		return nil, err
	}
	if !isAction(st.Action) {
		return nil, keys["action"].errorf("there is no action %q. Allowed: %s", st.Action, strings.Join(Actions, ", "))
	}
	if err := st.with(keys["with"], n, before); err != nil {
		return nil, err
	}
	if st.When, st.when, err = condition(keys["when"], "when"); err != nil {
		return nil, err
	}
	if t := keys["timeout"]; t != nil {
		if st.Timeout, err = span(t, "timeout", time.Second, 5*time.Minute); err != nil {
			return nil, err
		}
	}
	if e := keys["onError"]; e != nil {
		if st.OnError = e.text; e.kind != scalarNode || e.text != Stop && e.text != Continue {
			return nil, e.errorf("onError is %q. Allowed: stop, continue", shorten(e.text, 60))
		}
	}
	return st, st.retry(keys["retry"])
}

func (st *Step) retry(n *node) error {
	if n == nil {
		return nil
	}
	if st.Action == actAsk || st.Action == actWait {
		return n.errorf("a step that waits is not repeated: take retry out")
	}
	keys, err := fields(n, "retry", "times", "wait")
	if err != nil {
		return err
	}
	st.Retry = Retry{Times: 1, Wait: defaultRetry}
	if t := keys["times"]; t != nil {
		v, ok := t.value.(uint64)
		if !ok || v < 1 || v > 10 {
			return t.errorf("retry.times must be a number from 1 to 10")
		}
		st.Retry.Times = int(v)
	}
	if w := keys["wait"]; w != nil {
		st.Retry.Wait, err = span(w, "retry.wait", time.Second, 24*time.Hour)
	}
	return err
}

func (st *Step) with(n, step *node, before []string) error {
	spec := actions[st.Action]
	var known []string
	for _, p := range spec.params {
		known = append(known, p.name)
	}
	given := map[string]*node{}
	if n != nil && n.kind != nullNode {
		var err error
		if given, err = fields(n, "with of "+st.Action, known...); err != nil {
			return err
		}
	}
	for i := range spec.params {
		p := &spec.params[i]
		v := given[p.name]
		if v == nil {
			if p.required {
				return step.errorf("%s needs with.%s: add it", st.Action, p.name)
			}
			continue
		}
		value, err := p.check(v)
		if err != nil {
			return err
		}
		if err := checkTexts(v, before, st.Action == actHTTP); err != nil {
			return err
		}
		st.With[p.name] = value
	}
	if st.Action == actSet {
		return st.checkSet(step)
	}
	return nil
}

func (st *Step) checkSet(n *node) error {
	w := st.With
	if w["status"] == nil && w["severity"] == nil && w["assignee"] == nil && w["verdict"] == nil {
		return n.errorf("set needs one of status, severity, assignee, verdict: add it")
	}
	if w["verdict"] != nil && w["on"] == "incident" {
		return n.errorf("only alerts have a verdict: write on: alert")
	}
	if w["severity"] != nil && w["on"] == "alert" {
		return n.errorf("the severity of an alert is its rule's: set that of the incident, with on: incident")
	}
	return nil
}

// checkTexts checks the templates in a value and all below it.
func checkTexts(n *node, before []string, secrets bool) error {
	switch n.kind {
	case listNode:
		for _, item := range n.items {
			if err := checkTexts(item, before, secrets); err != nil {
				return err
			}
		}
	case mapNode:
		for _, e := range n.keys {
			if strings.Contains(e.key.text, "{{") {
				return e.key.errorf("a key cannot hold {{…}}: write it out")
			}
			if err := checkTexts(e.value, before, secrets); err != nil {
				return err
			}
		}
	case scalarNode:
		return checkText(n, n.text, before, secrets)
	}
	return nil
}

// roots are what a place can begin with.
var roots = []string{"alert", "incident", "entities", "rule", "trigger", "run", "tags", "steps", "secret"}

func checkText(n *node, text string, before []string, secrets bool) error {
	t, err := parseTemplate(text)
	if err != nil {
		return n.errorf("%s", err)
	}
	for _, path := range t.paths() {
		switch {
		case !slices.Contains(roots, path[0]):
			return n.errorf("{{%s}}: there is no %q. Places begin with %s", strings.Join(path, "."), path[0], strings.Join(roots, ", "))
		case path[0] == "secret" && !secrets:
			return n.errorf("{{%s}}: secrets can be used in http steps only", strings.Join(path, "."))
		case path[0] == "secret" && len(path) != 2:
			return n.errorf("{{%s}}: name a secret, as in {{secret.firewall}}", strings.Join(path, "."))
		case path[0] == "steps" && (len(path) < 3 || !slices.Contains(before, path[1])):
			return n.errorf("{{%s}}: name a step before this one and what of it, as in {{steps.lookup.result.total}}. Steps before: %s", strings.Join(path, "."), strings.Join(before, ", "))
		}
	}
	return nil
}
