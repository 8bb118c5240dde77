package content

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/rule"
)

// noticeName is the file of an export that names authors, origins and licences.
const noticeName = "NOTICE.md"

// WriteZip packs rules with a notice. Texts are as they are in the catalogue, so
// that the archive can be imported elsewhere, and here again without any change.
func WriteZip(w io.Writer, rules []rule.Packed) error {
	z := zip.NewWriter(w)
	names := map[string]bool{noticeName: true}
	files := make([]string, len(rules))
	for i := range rules {
		files[i] = fileOf(&rules[i], names)
		f, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(f, rules[i].YAML)
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", files[i], err)
		}
	}
	f, err := z.Create(noticeName)
	if err == nil {
		_, err = io.WriteString(f, notice(rules, files))
	}
	if err != nil {
		return fmt.Errorf("pack the notice: %w", err)
	}
	return z.Close()
}

// Repack makes one file of a tree that can be sent: the file that it was, or a zip of
// what was found.
func (t *Tree) Repack() (name string, data []byte, err error) {
	if t.single {
		return t.Files[0].Name, t.Files[0].Data, nil
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, file := range t.Files {
		f, err := z.Create(file.Name)
		if err == nil {
			_, err = f.Write(file.Data)
		}
		if err != nil {
			return "", nil, fmt.Errorf("pack %s: %w", file.Name, err)
		}
	}
	err = z.Close()
	return t.Name + ".zip", b.Bytes(), err
}

// fileOf finds a name that is not taken.
func fileOf(r *rule.Packed, taken map[string]bool) string {
	name := path.Clean("/" + r.File)[1:]
	if name == "" || name == "." {
		name = "own/" + slug(r.Name) + ".yml"
	} else if r.Pack != "" {
		name = slug(r.Pack) + "/" + name
	}
	if suffix := path.Ext(name); suffix != ".yml" && suffix != ".yaml" { // it was converted
		name = strings.TrimSuffix(name, suffix) + ".yml"
	}
	if taken[strings.ToLower(name)] {
		suffix := path.Ext(name)
		name = strings.TrimSuffix(name, suffix) + "-" + slug(r.ID) + suffix
	}
	taken[strings.ToLower(name)] = true
	return name
}

// slug makes of a title the name of a file.
func slug(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-':
			return r
		}
		return '_'
	}, strings.ToLower(s))
	for strings.Contains(s, "__") {
		s = strings.ReplaceAll(s, "__", "_")
	}
	return cmp.Or(strings.Trim(s[:min(len(s), 100)], "_"), "rule")
}

func notice(rules []rule.Packed, files []string) string {
	var b strings.Builder
	b.WriteString("# Rules and where they come from\n\nWho passes these rules on keeps their authors, their origin and their licence with them.\n")
	licenses := map[string]int{}
	for i := range rules {
		licenses[rules[i].License]++
	}
	if licenses[DRL]+licenses["DRL-1.0"] > 0 {
		b.WriteString("\nDRL-1.1 is the [Detection Rule License 1.1](https://github.com/SigmaHQ/Detection-Rule-License): messages about matches of such a rule name its author.\n")
	}
	var order []int
	for i := range rules {
		order = append(order, i)
	}
	slices.SortFunc(order, func(x, y int) int { return strings.Compare(files[x], files[y]) })
	b.WriteString("\n| file | author | licence | origin |\n| --- | --- | --- | --- |\n")
	for _, i := range order {
		r := &rules[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", cell(files[i]), cell(r.Author), cell(cmp.Or(r.License, "not stated")), cell(cmp.Or(r.Origin, "written here")))
	}
	return b.String()
}

// cell keeps a text within its cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ").Replace(s)
}
