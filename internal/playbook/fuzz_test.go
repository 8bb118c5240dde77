package playbook

import (
	"io/fs"
	"testing"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/playbooks"
)

// FuzzParse: no text ends the process, and a fault names a place in the text.
func FuzzParse(f *testing.F) {
	names, err := fs.Glob(playbooks.FS, "*.yml")
	if err != nil || len(names) != 6 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(playbooks.FS, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"id":"a","name":"b","trigger":{"event":"manual"},"steps":[{"id":"s","action":"wait","with":{"for":"1s"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if wrong := Wrong(err); err != nil && (wrong == nil || wrong.Message == "") {
			t.Fatalf("an error of another kind: %v", err)
		}
		if err == nil && (d.Handle == "" || len(d.Steps) == 0) {
			t.Fatal("a document without id or steps")
		}
	})
}

// FuzzTemplate: a template renders to text without an end of its own, and what is filled
// in is not read again.
func FuzzTemplate(f *testing.F) {
	f.Add("{{alert.title}} of {{entities.ip}}", "value")
	f.Add("{{a}}{{", "{{b}}")
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl, err := parseTemplate(text)
		if err != nil {
			return
		}
		asked := 0
		out, err := tpl.render(func([]string) (string, error) { asked++; return value, nil })
		if err != nil || len(out) > maxOutput || asked > maxPlaces || utf8.ValidString(text) && utf8.ValidString(value) && !utf8.ValidString(out) {
			t.Fatalf("%d bytes, %d places: %v", len(out), asked, err)
		}
	})
}
