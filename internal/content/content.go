// Package content brings rules in and out in bulk: it reads folders, archives and
// single files into rules of the catalogue, says of every file what became of it,
// and packs rules for others. It never runs a rule, and writes nothing but through
// the catalogue.
package content

import (
	"fmt"
	"path"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Bounds of one import.
const (
	MaxArchive  = 64 << 20  // bytes of an archive
	maxUnpacked = 256 << 20 // bytes of the files that are read
	maxEntries  = 100_000   // files of all kinds
	maxRules    = 25_000
	maxPath     = 512 // bytes of a name
)

// A File is one file of what is imported.
type File struct {
	Name string // with slashes, from the root of what was given
	Data []byte
}

// A Candidate is a rule that was read and may go into the catalogue.
type Candidate struct {
	File string
	Line int    // where it begins
	Text string // its YAML: one document, or a correlation with the rules that it counts
	Meta rule.Meta

	docs []*sigma.Document
}

// A Refusal is a rule that cannot be loaded, and why.
type Refusal struct {
	File         string
	Line, Column int // 0: the whole file
	ID, Name     string
	Reason       string
}

// A Format is a language that rules come in.
type Format struct {
	Name     string
	Suffixes []string // of its files, lower case
	// Convert turns files into Sigma. Of the candidates it sets File, Line and Text;
	// the rest is read from the text.
	Convert func(files []File) ([]Candidate, []Refusal)
}

// Sigma is the format of rules that need no conversion.
func Sigma() Format {
	return Format{Name: "sigma", Suffixes: []string{".yml", ".yaml"}, Convert: readSigma}
}

// FormatNames lists the formats, the usual one first.
func FormatNames() []string { return []string{"sigma", "wazuh"} }

// FormatOf returns a format by its name, the usual one for "".
func FormatOf(name string) (Format, error) {
	switch strings.ToLower(name) {
	case "", "sigma":
		return Sigma(), nil
	case "wazuh":
		return Wazuh(), nil
	}
	return Format{}, fault.New(fault.Invalid, "Allowed: %s", strings.Join(FormatNames(), ", ")).In("format")
}

func (f *Format) takes(name string) bool {
	name = strings.ToLower(name)
	for _, s := range f.Suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// A Tree is what was found in a folder or an archive.
type Tree struct {
	Name    string // of the folder or archive, without its suffix
	Files   []File // of the format, in order of their names
	Refused []Refusal
	License string // what its licence file says: see licenseOf
	single  bool   // one file, not a collection
	names   map[string]bool
	bytes   int
	entries int
}

func newTree(name string) *Tree { return &Tree{Name: packName(name), names: map[string]bool{}} }

// packName makes of a file's name that of a pack.
func packName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	for _, suffix := range []string{".tar.gz", ".tgz", ".tar", ".zip", ".yml", ".yaml", ".xml", ".gz"} {
		if rest := name[:max(0, len(name)-len(suffix))]; rest != "" && strings.EqualFold(name[len(rest):], suffix) {
			name = rest
			break
		}
	}
	if name == "." || name == "/" || name == ".." {
		return ""
	}
	return cleanName(name)
}

// cleanName makes a name fit to be shown and stored.
func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxPath {
		s = strings.ToValidUTF8(s[:maxPath], "")
	}
	return s
}

// refuse notes a file that is not read.
func (t *Tree) refuse(name, format string, args ...any) {
	t.Refused = append(t.Refused, Refusal{File: cleanName(name), Reason: fmt.Sprintf(format, args...)})
}
