package playbook

import (
	"net/url"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A filler fills the places of a step's values in. What events say never becomes syntax:
// in an address it is escaped, in a query quoted.
type filler struct {
	values  map[string]any
	secrets map[string]string // nil: secrets stand by their names
	dry     bool              // steps have not run: their places stand as they are
}

// lenient are the parameters for people: what has no value reads "unknown" in them.
var lenient = map[string]bool{"text": true, "title": true, "note": true, "question": true, "reason": true}

func (f *filler) look(path []string) (v any, ok bool, err error) {
	switch {
	case path[0] == "secret" && f.secrets == nil, path[0] == "steps" && f.dry:
		return place(path), true, nil
	case path[0] == "secret":
		secret, ok := f.secrets[path[1]]
		if !ok {
			return nil, false, fault.New(fault.Invalid, "there is no secret %q: PUT /playbook-secrets/%s sets it", path[1], path[1])
		}
		return secret, true, nil
	}
	v, ok = find(f.values, path)
	if ok && len(flat(v)) == 0 {
		ok = false
	}
	return v, ok, nil
}

func place(path []string) string { return "{{" + strings.Join(path, ".") + "}}" }

func noValue(path []string) error {
	return fault.New(fault.Invalid, "%s has no value here: give the step a condition (when) that asks for it", place(path))
}

// all fills the values of a step in.
func (f *filler) all(st *Step) (map[string]any, error) {
	out := map[string]any{}
	for i := range actions[st.Action].params {
		p := &actions[st.Action].params[i]
		v, ok := st.With[p.name]
		if !ok {
			continue
		}
		filled, err := f.value(p, v)
		if err != nil {
			return nil, err
		}
		out[p.name] = filled
	}
	return out, nil
}

func (f *filler) value(p *parameter, v any) (any, error) {
	switch x := v.(type) {
	case string:
		return f.text(p, x)
	case []any:
		list := make([]any, 0, len(x))
		for _, item := range x {
			filled, err := f.value(p, item)
			if err != nil {
				return nil, err
			}
			list = append(list, filled)
		}
		return list, nil
	case map[string]any:
		m := map[string]any{}
		for key, item := range x {
			filled, err := f.value(p, item)
			if err != nil {
				return nil, err
			}
			m[key] = filled
		}
		return m, nil
	}
	return v, nil
}

func (f *filler) text(p *parameter, s string) (any, error) {
	t, err := parseTemplate(s)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s", err)
	}
	// A body's value that is one place only keeps its type.
	if p.kind == anyParam && len(t) == 1 && t[0].path != nil && t[0].path[0] != "secret" {
		v, ok, err := f.look(t[0].path)
		if err == nil && !ok {
			err = noValue(t[0].path)
		}
		return v, err
	}
	return t.render(func(path []string) (string, error) {
		v, ok, err := f.look(path)
		switch {
		case err != nil:
			return "", err
		case !ok && lenient[p.name]:
			return "unknown", nil
		case !ok:
			return "", noValue(path)
		}
		return word(p.kind, path, flat(v)), nil
	})
}

// word is a value in the syntax around it.
func word(kind paramKind, path, values []string) string {
	switch {
	case path[0] == "secret": // the tenant's own text
	case kind == urlParam:
		escaped := make([]string, len(values))
		for i, v := range values {
			escaped[i] = strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
		}
		return strings.Join(escaped, ",")
	case kind == queryParam:
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
		}
		if len(quoted) == 1 {
			return quoted[0]
		}
		return "(" + strings.Join(quoted, " OR ") + ")"
	}
	return strings.Join(values, ", ")
}
