package compliance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Text is a sentence, or a part of one, that can be read in every language. Its form is
// English, as fmt has it, and names the wording of others; what stands in its places are
// texts, words and numbers.
type Text struct {
	Form string
	Args []any // Text, string, int64 or float64
}

// Say makes a text. What is neither text nor number is a word: it stands in every
// language as it is.
func Say(form string, args ...any) Text {
	t := Text{Form: form}
	for _, a := range args {
		switch x := a.(type) {
		case Text, string, int64, float64:
			t.Args = append(t.Args, x)
		case int:
			t.Args = append(t.Args, int64(x))
		default:
			t.Args = append(t.Args, fmt.Sprint(x))
		}
	}
	return t
}

// None tells that t says nothing.
func (t Text) None() bool { return t.Form == "" }

// And is t with u behind it.
func (t Text) And(u Text) Text { return Say("%s%s", t, u) }

// List joins texts.
func List(separator string, all []Text) Text {
	if len(all) == 0 {
		return Text{}
	}
	args := make([]any, len(all))
	for i, t := range all {
		args[i] = t
	}
	return Say(strings.TrimSuffix(strings.Repeat("%s"+strings.ReplaceAll(separator, "%", "%%"), len(all)), separator), args...)
}

// String is t in English.
func (t Text) String() string { return t.In("en") }

// wordings are the forms of languages other than English, by the English one.
var wordings = map[string]map[string]string{"ko": koreanForms, "ja": japaneseForms}

// Worded returns the wording of a form in the language.
func Worded(language, form string) (string, bool) {
	w, ok := wordings[language][form]
	return w, ok
}

// Forms are those that have a wording in the language.
func Forms(language string) []string { return slices.Sorted(maps.Keys(wordings[language])) }

// In is t in the language, in English where that has no wording of it.
func (t Text) In(language string) string {
	form := t.Form
	if worded, ok := wordings[language][form]; ok {
		form = worded
	}
	if len(t.Args) == 0 {
		return strings.ReplaceAll(form, "%%", "%")
	}
	args := make([]any, len(t.Args))
	for i, a := range t.Args {
		args[i] = a
		if x, ok := a.(Text); ok {
			args[i] = x.In(language)
		}
	}
	return fmt.Sprintf(form, args...)
}

type textJSON struct {
	Form string `json:"form"`
	Args []any  `json:"args,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(textJSON(t)) }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	var raw struct {
		Form string            `json:"form"`
		Args []json.RawMessage `json:"args"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*t = Text{Form: raw.Form}
	for _, r := range raw.Args {
		a, err := argument(bytes.TrimSpace(r))
		if err != nil {
			return err
		}
		t.Args = append(t.Args, a)
	}
	return nil
}

func argument(r json.RawMessage) (any, error) {
	switch {
	case len(r) > 0 && r[0] == '{':
		var t Text
		err := json.Unmarshal(r, &t)
		return t, err
	case len(r) > 0 && r[0] == '"':
		var s string
		err := json.Unmarshal(r, &s)
		return s, err
	}
	var n json.Number
	if err := json.Unmarshal(r, &n); err != nil {
		return nil, err
	}
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	return n.Float64()
}

// ReasonIn is the reason of r in the language. What was kept before it had a wording, and
// what was changed since, is English.
func (r *Result) ReasonIn(language string) string {
	if r.Said.None() || r.Said.String() != r.Reason {
		return r.Reason
	}
	return r.Said.In(language)
}
