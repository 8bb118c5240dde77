package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// ruleText is a rule that can be read.
func ruleText(id, title string) string {
	return fmt.Sprintf("title: %s\nid: %s\nlogsource:\n    category: process_creation\n    product: windows\ndetection:\n    a:\n        Image: x\n    condition: a\nlevel: high\n", title, id)
}

type entry struct{ name, text string }

func zipOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarGzOf(t *testing.T, headers []tar.Header, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for i := range headers {
		if err := w.WriteHeader(&headers[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	if _, err := g.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func names(t *Tree) []string {
	out := []string{}
	for _, f := range t.Files {
		out = append(out, f.Name)
	}
	return out
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	files := []entry{
		{"sigma-master/rules/windows/b.yml", ruleText("b", "B")},
		{"sigma-master/rules/windows/a.yaml", ruleText("a", "A")},
		{"sigma-master/rules/README.md", "words"},
		{"sigma-master/LICENSE", "released under the Detection Rule License (DRL) 1.1"},
		{"sigma-master/.github/workflows/x.yml", "on: push"},
		{"sigma-master/deprecated/windows/c.yml", ruleText("c", "C")},
		{"sigma-master/tests/d.yml", ruleText("d", "D")},
	}
	want := []string{"rules/windows/a.yaml", "rules/windows/b.yml"}
	for name, data := range map[string][]byte{
		"sigma.zip": zipOf(t, files...), "sigma.tar.gz": tarGzOf(t, nil, files...), "sigma.tgz": tarGzOf(t, nil, files...),
	} {
		tree, err := Unpack("some/folder/"+name, data, Sigma())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(names(tree), want) || tree.Name != "sigma" || tree.License != DRL || tree.single {
			t.Errorf("%s: files %q, name %q, licence %q", name, names(tree), tree.Name, tree.License)
		}
	}
	for name, data := range map[string][]byte{"one.yml": []byte(files[0].text), "one.yml.gz": gzipOf(t, []byte(files[0].text))} {
		tree, err := Unpack(name, data, Sigma())
		if err != nil || len(tree.Files) != 1 || !tree.single || tree.Files[0].Name != "one.yml" {
			t.Errorf("%s: %+v, %v", name, tree, err)
		}
	}
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, "sigma", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules/windows/a.yml", ruleText("a", "A"))
	write("rules/windows/notes.txt", "words")
	write("rules/unsupported/b.yml", ruleText("b", "B"))
	write("LICENSE.txt", "DRL 1.1")
	write("secret/key.yml", ruleText("s", "S"))
	for link, to := range map[string]string{"rules/link.yml": "../secret/key.yml", "rules/folder": "../secret"} {
		if err := os.Symlink(to, filepath.Join(dir, "sigma", link)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(filepath.Join(dir, "sigma", "rules"), Sigma())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(names(tree), []string{"rules/windows/a.yml"}) || tree.License != DRL || tree.Name != "rules" {
		t.Errorf("files %q, licence %q, name %q", names(tree), tree.License, tree.Name)
	}
	if tree, err = Open(filepath.Join(dir, "sigma"), Sigma()); err != nil || len(tree.Files) != 2 || tree.Name != "sigma" {
		t.Errorf("the whole: %q, %v", names(tree), err)
	}
	if _, err := Open(filepath.Join(dir, "none"), Sigma()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	good := entry{"good.yml", ruleText("g", "G")}
	big := strings.Repeat("a", 1<<20+1)
	for name, c := range map[string]struct {
		data    []byte
		files   []string
		refused []string
		err     error
	}{
		"paths": {
			data:    zipOf(t, good, entry{"../../etc/x.yml", "x"}, entry{"/abs.yml", "x"}, entry{`a\..\b.yml`, "x"}, entry{"C:/x.yml", "x"}, entry{strings.Repeat("n", 600) + ".yml", "x"}, entry{"in/../good2.yml", ruleText("h", "H")}),
			files:   []string{"good.yml", "good2.yml"},
			refused: []string{"../../etc/x.yml", "/abs.yml", `a\..\b.yml`, "C:/x.yml", strings.Repeat("n", 512)},
		},
		"big file": {data: zipOf(t, good, entry{"big.yml", big}), files: []string{"good.yml"}, refused: []string{"big.yml"}},
		"links": {
			data: tarGzOf(t, []tar.Header{
				{Name: "link.yml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
				{Name: "hard.yml", Typeflag: tar.TypeLink, Linkname: "good.yml"},
				{Name: "dev.yml", Typeflag: tar.TypeChar},
				{Name: "dir.yml/", Typeflag: tar.TypeDir},
			}, good),
			files: []string{"good.yml"},
		},
		"twice":     {data: zipOf(t, good, entry{"./good.yml", "other"}), files: []string{"good.yml"}},
		"cut zip":   {data: zipOf(t, good)[:100], err: fault.Invalid},
		"cut gzip":  {data: tarGzOf(t, nil, entry{"a.yml", strings.Repeat("0123456789", 1000)})[:60], err: fault.Invalid},
		"large one": {data: []byte(big), err: fault.TooLarge},
		"large gz":  {data: gzipOf(t, []byte(big)), err: fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree, err := Unpack("x", c.data, Sigma())
			if c.err != nil {
				if !errors.Is(err, c.err) {
					t.Errorf("%v, want %v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var refused []string
			for _, r := range tree.Refused {
				refused = append(refused, r.File)
			}
			if !slices.Equal(names(tree), c.files) || !slices.Equal(refused, c.refused) {
				t.Errorf("files %q, refused %q", names(tree), refused)
			}
		})
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	small := zipOf(t, entry{"a.yml", "0123456789"}, entry{"b.yml", "0123456789"})
	tree := newTree("x")
	tree.bytes = maxUnpacked - 15
	if err := tree.unzip(small, Sigma()); !errors.Is(err, fault.TooLarge) {
		t.Errorf("more bytes than are allowed: %v", err)
	}
	tree = newTree("x")
	tree.entries = maxEntries - 1
	if err := tree.unzip(small, Sigma()); !errors.Is(err, fault.TooLarge) {
		t.Errorf("more files than are allowed: %v", err)
	}
	// What is not wanted has to end too.
	endless := &bounded{r: zeros{}, left: 1 << 20}
	if n, err := io.Copy(io.Discard, endless); !errors.Is(err, fault.TooLarge) || n != 1<<20 {
		t.Errorf("%d bytes were unpacked, %v", n, err)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestLicenceNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"DRL 1.1": DRL, "Detection Rule License (DRL) 1.1": DRL, "Detection Rule License 1.1": DRL, "DRL-1.0": "DRL-1.0",
		"Apache License\n   Version 2.0, January 2004": "Apache-2.0", "MIT License": "MIT", "": "", "our own": "",
	} {
		if got := licenseOf([]byte(text)); got != want {
			t.Errorf("licenceOf(%q) = %q, want %q", text, got, want)
		}
	}
	if got := spdx("https://example.org/drl-1.1"); got != "https://example.org/drl-1.1" {
		t.Errorf("a licence that is an address became %q", got)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("title: x"))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Add([]byte("action: global\ntitle: a\n---\ndetection:\n---\n--- {a: b}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := Unpack("x", data, Sigma())
		if err != nil {
			return
		}
		candidates, _ := readSigma(tree.Files)
		for i := range candidates {
			c := &candidates[i]
			if c.complete("p") == nil && (c.Meta.ID == "" || c.Meta.Name == "") {
				t.Errorf("a rule without id or name: %+v", c.Meta)
			}
		}
	})
}
