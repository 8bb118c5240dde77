package api

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// anyCase marks the schema of a word: an enumeration whose case does not matter.
const anyCase = "x-any-case"

// word is a value of an enumeration in a body. Its case is free on input, which a
// JSON schema cannot say: the documented schema lists the values, loosen takes them
// out of the one that checks, and the handler asks among.
type word struct {
	set  bool // the key is there
	text string
}

// Schema implements huma.SchemaProvider.
func (word) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Extensions: map[string]any{anyCase: true}}
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *word) UnmarshalJSON(b []byte) error {
	w.set = true
	return json.Unmarshal(b, &w.text)
}

// among returns the documented spelling of w.
func (w word) among(name string, values []string) (string, *problem) {
	known, ok := oneOf(w.text, values)
	if !ok {
		return "", allowed(name, values)
	}
	return known, nil
}

// words converts checked texts to a domain's own type.
func words[T ~string](all []string) []T {
	out := make([]T, len(all))
	for i, s := range all {
		out[i] = T(s)
	}
	return out
}

// nullText tells an absent key, null and a text apart; null is the empty text.
type nullText struct{ word }

// Schema implements huma.SchemaProvider.
func (nullText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true, Extensions: map[string]any{anyCase: true}}
}
