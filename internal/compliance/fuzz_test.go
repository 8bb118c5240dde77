package compliance_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// Whatever a catalogue says, reading it ends with a framework that can be judged, or with
// an error that names the file.
func FuzzCatalogue(f *testing.F) {
	f.Add([]byte(later))
	for _, name := range []string{"pcidss", "iso27001"} {
		text, err := os.ReadFile("catalogue/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("framework: {id: A1, edition: \"1\", name: x, version: x, authority: x, defaultProfile: full, totals: {full: 0, core: 0}}\ncontrols: [&a {id: b, checks: [*a]}]\n"))
	f.Add([]byte("framework: null\ncontrols:\n- 1\n"))
	c := compliance.Builtin()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		fw, err := compliance.Read(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "given.yaml") {
				t.Errorf("the error names no file: %v", err)
			}
			return
		}
		c.Variants([]*compliance.Framework{fw})
		for i := range fw.Controls {
			k := &fw.Controls[i]
			if fw.Control(k.ID) != k {
				t.Errorf("%s is not found", k.ID)
			}
			if j := c.StatusOf(k, nil, nil, nil, true, now); j.Status != compliance.NotAssessed {
				t.Errorf("%s is %s without any result", k.ID, j.Status)
			}
		}
	})
}
