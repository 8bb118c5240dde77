package playbook

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A template is text with places: {{alert.title}} stands for a value of the run. There
// is nothing else in it: no code, no conditions, no functions.
type template []part

type part struct {
	text string
	path []string // nil: text
}

const (
	maxPlaces = 100
	maxOutput = 64 << 10 // bytes of what a template becomes
)

// parseTemplate reads a template. The error says what is wrong without a place.
func parseTemplate(s string) (template, error) {
	var t template
	places := 0
	for s != "" {
		before, rest, ok := strings.Cut(s, "{{")
		if before != "" {
			t = append(t, part{text: before})
		}
		if !ok {
			break
		}
		inside, after, ok := strings.Cut(rest, "}}")
		if !ok {
			return nil, fmt.Errorf("{{ has no }}: close it")
		}
		path := strings.Split(strings.TrimSpace(inside), ".")
		for _, name := range path {
			if !isName(name) {
				return nil, fmt.Errorf("{{%s}} is no place: write names with dots, such as {{alert.title}} or {{entities.ip}}", shorten(inside, 60))
			}
		}
		if places++; places > maxPlaces {
			return nil, fmt.Errorf("there are more than %d places: split the text", maxPlaces)
		}
		t = append(t, part{path: path})
		s = after
	}
	return t, nil
}

// isName tells whether s is letters, digits, underscores and hyphens.
func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// paths lists the places.
func (t template) paths() [][]string {
	var all [][]string
	for _, p := range t {
		if p.path != nil {
			all = append(all, p.path)
		}
	}
	return all
}

// render fills the places in; word turns a value into text, found is false where there
// is none. What is too long is cut.
func (t template) render(word func(path []string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t {
		s := p.text
		if p.path != nil {
			var err error
			if s, err = word(p.path); err != nil {
				return "", err
			}
		}
		b.WriteString(s)
		if b.Len() > maxOutput {
			return strings.ToValidUTF8(b.String()[:maxOutput], ""), nil
		}
	}
	return b.String(), nil
}

// find follows a path through maps and lists.
func find(v any, path []string) (any, bool) {
	for _, name := range path {
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[name]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// flat lists the texts of a value: of a list each of its own.
func flat(v any) []string {
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		return []string{x}
	case []any:
		var all []string
		for _, item := range x {
			all = append(all, flat(item)...)
		}
		return all
	case bool:
		return []string{strconv.FormatBool(x)}
	case float64:
		return []string{strconv.FormatFloat(x, 'f', -1, 64)}
	case int64:
		return []string{strconv.FormatInt(x, 10)}
	case json.Number:
		return []string{x.String()}
	default:
		text, err := json.Marshal(x)
		if err != nil {
			return nil
		}
		return []string{string(text)}
	}
}
