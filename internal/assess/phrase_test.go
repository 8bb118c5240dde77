package assess

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/compliance"
)

// forms are those that the package gives to say and its like, with where.
func forms(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	set := token.NewFileSet()
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := ""
			switch x := call.Fun.(type) {
			case *ast.Ident:
				name = x.Name
			case *ast.SelectorExpr:
				name = x.Sel.Name
			}
			add := func(prefix string, at int) {
				if at >= len(call.Args) {
					return
				}
				if l, ok := call.Args[at].(*ast.BasicLit); ok {
					text, err := strconv.Unquote(l.Value)
					if err != nil {
						t.Fatal(err)
					}
					out[prefix+text] = set.Position(l.Pos()).String()
				}
			}
			switch name {
			case "say", "nothing":
				add("", 0)
			case "missing":
				add("", 1)
			case "plural":
				add("1 ", 1)
				add("%d ", 2)
			}
			return true
		})
	}
	out["There was nothing to look at. %s"] = "package compliance"
	for _, word := range append(slices.Clone(grave), "muted", "set too long", "learning") {
		out[word] = "a word that say is given"
	}
	for name := range classes() {
		out[strings.ReplaceAll(name, "-", " ")] = "the class " + name
	}
	return out
}

var (
	places = regexp.MustCompile(`%(\[\d+\])?[a-z]`)
	word   = regexp.MustCompile(`[A-Za-z]{2}`)
)

// Whatever a check says has a wording in Korean and Japanese with the same places.
func TestEveryPhraseIsWorded(t *testing.T) {
	all := forms(t)
	if len(all) < 150 {
		t.Fatalf("%d forms were found", len(all))
	}
	for _, lang := range []string{"ko", "ja"} {
		for form, where := range all {
			if !word.MatchString(places.ReplaceAllString(form, "")) {
				continue // nothing but places
			}
			worded, ok := compliance.Worded(lang, form)
			if !ok {
				t.Errorf("%s: no wording in %s of %q", where, lang, form)
				continue
			}
			if got, want := order(worded), order(form); !slices.Equal(got, want) {
				t.Errorf("%s: %q has places %v, its wording in %s %v", where, form, want, lang, got)
			}
		}
		for _, form := range compliance.Forms(lang) {
			if all[form] == "" {
				t.Errorf("nobody says %q", form)
			}
		}
	}
}

// order is which argument each place takes and how, sorted by argument.
func order(form string) []string {
	form = strings.ReplaceAll(form, "%%", "")
	var out []string
	next := 1
	for _, p := range places.FindAllString(form, -1) {
		if i := strings.Index(p, "]"); i > 0 {
			next, _ = strconv.Atoi(p[2:i])
		}
		out = append(out, strconv.Itoa(next)+p[len(p)-1:])
		next++
	}
	slices.Sort(out)
	return slices.Compact(out)
}
