package event

import "testing"

func TestIDRoundTrip(t *testing.T) {
	for _, id := range []ID{{}, {1, 26, 63}, {65535, 1<<48 - 1, 1<<32 - 1}} {
		got, err := ParseID(id.String())
		if err != nil || got != id {
			t.Errorf("ParseID(%q) = %v, %v; want %v", id, got, err, id)
		}
	}
	for _, s := range []string{"", "e", "e0", "e0-1-1", "x0-000000000000-00000", "e0-00000000000g-00000", "E0-000000000000-00000", "e00-000000000000-00000"} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", s, id)
		}
	}
}

func TestFields(t *testing.T) {
	var e Event
	e.Add("a", "1")
	e.Add("a", "2")
	e.Set("b", "3")
	e.Set("a", "9")
	e.Tag(TagParseError)
	e.Tag(TagParseError)
	if e.Get("a") != "9" || e.Get("b") != "3" || len(e.Fields) != 4 {
		t.Errorf("fields are %v", e.Fields)
	}
	if _, ok := e.Lookup("c"); ok {
		t.Error("c is present")
	}
}

func TestAliasesAreCanonical(t *testing.T) {
	for alias, name := range aliases {
		if !canonical[name] {
			t.Errorf("alias %s leads to %s, which is not canonical", alias, name)
		}
		if canonical[alias] {
			t.Errorf("%s is both an alias and canonical", alias)
		}
	}
	for name := range numeric {
		if !canonical[name] {
			t.Errorf("numeric %s is not canonical", name)
		}
	}
}
