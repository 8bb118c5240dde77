package content

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// Open reads what is at a path of this machine: a folder, an archive (.zip, .tar.gz)
// or one file.
func Open(name string, format Format) (*Tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openFolder(name, format)
	}
	if info.Size() > MaxArchive {
		return nil, fault.New(fault.TooLarge, "%s has more than %d MiB: import its folders one by one", name, MaxArchive>>20)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Unpack(filepath.Base(name), data, format)
}

// Unpack reads an archive or one file that is in memory. What it is shows in its
// first bytes; its name serves to name the pack.
func Unpack(name string, data []byte, format Format) (*Tree, error) {
	t := newTree(name)
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("PK\x05\x06")):
		err = t.unzip(data, format)
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		err = t.ungzip(name, data, format)
	case isTar(data):
		err = t.untar(bytes.NewReader(data), format)
	default:
		err = t.one(name, data, format)
	}
	if err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// openFolder reads a folder. Links are left out: they may lead anywhere.
func openFolder(name string, format Format) (*Tree, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was read only
	t := newTree(abs)
	// A part of a checkout, such as sigma/rules: names and licence are those of the
	// whole.
	within := ""
	if base := filepath.Base(abs); strings.HasPrefix(base, "rules") {
		within = base
		if err := t.licenseBeside(filepath.Dir(abs)); err != nil {
			return nil, err
		}
	}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skippedFolder(p):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		return t.add(path.Join(within, p), -1, format, func() (io.ReadCloser, error) { return root.Open(p) })
	})
	if err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// licenseBeside looks for a licence in a folder, not below it.
func (t *Tree) licenseBeside(folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was read only
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, d := range entries {
		if !d.Type().IsRegular() || !isLicenseFile(d.Name()) {
			continue
		}
		f, err := root.Open(d.Name())
		if err != nil {
			return err
		}
		text, err := io.ReadAll(io.LimitReader(f, sigma.MaxDocument))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		t.License = cmp.Or(t.License, licenseOf(text))
	}
	return nil
}

// skippedFolder names the folders of a Sigma checkout that hold no rules to run,
// and hidden ones.
func skippedFolder(p string) bool {
	base := path.Base(p)
	if p == "." || p == "" {
		return false
	}
	return strings.HasPrefix(base, ".") || slices.Contains([]string{"deprecated", "unsupported", "tests", "regression_data", "node_modules"}, base)
}

// inSkippedFolder is skippedFolder for a file of an archive.
func inSkippedFolder(p string) bool {
	for dir := path.Dir(p); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if skippedFolder(dir) {
			return true
		}
	}
	return false
}

// unsafePath tells why a name of an archive is not taken. Nothing is written under
// such a name; but what made it is no archive of rules.
func unsafePath(p string) string {
	switch {
	case len(p) > maxPath:
		return "its name is too long"
	case strings.Contains(p, `\`) || strings.Contains(p, ":") || path.IsAbs(p) || !fs.ValidPath(path.Clean(p)):
		return "its name leads out of the archive"
	}
	return ""
}

// add reads one file of a collection, if it is wanted. size is what the archive
// says of it, -1 where nothing is known.
func (t *Tree) add(name string, size int64, format Format, open func() (io.ReadCloser, error)) error {
	if t.entries++; t.entries > maxEntries {
		return fault.New(fault.TooLarge, "more than %d files: import a part of them", maxEntries)
	}
	license := isLicenseFile(name) && !format.takes(name)
	if !license && !format.takes(name) {
		return nil
	}
	if why := unsafePath(name); why != "" {
		t.refuse(name, "%s", why)
		return nil
	}
	name = cleanName(path.Clean(name))
	if inSkippedFolder(name) || t.names[name] {
		return nil
	}
	t.names[name] = true
	if size > sigma.MaxDocument {
		t.refuse(name, "it has more than %d KiB", sigma.MaxDocument>>10)
		return nil
	}
	r, err := open()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, sigma.MaxDocument+1))
	err = errors.Join(err, r.Close())
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	case len(data) > sigma.MaxDocument:
		t.refuse(name, "it has more than %d KiB", sigma.MaxDocument>>10)
		return nil
	}
	if t.bytes += len(data); t.bytes > maxUnpacked {
		return fault.New(fault.TooLarge, "more than %d MiB after unpacking: import a part of it", maxUnpacked>>20)
	}
	if license {
		t.License = cmp.Or(t.License, licenseOf(data))
		return nil
	}
	t.Files = append(t.Files, File{name, data})
	return nil
}

func (t *Tree) unzip(data []byte, format Format) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fault.New(fault.Invalid, "the zip archive cannot be read: %s", err.Error())
	}
	for _, f := range z.File {
		if !f.Mode().IsRegular() {
			continue
		}
		// The size is what the archive claims; add reads no more than it allows.
		size := int64(min(f.UncompressedSize64, 1<<62)) //nolint:gosec // bounded
		if err := t.add(f.Name, size, format, f.Open); err != nil {
			return badArchive(err)
		}
	}
	return nil
}

func (t *Tree) ungzip(name string, data []byte, format Format) error {
	g, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fault.New(fault.Invalid, "the gzip file cannot be read: %s", err.Error())
	}
	// What is not wanted is unpacked too: that must end as well.
	r := bufio.NewReaderSize(&bounded{r: g, left: 2 * maxUnpacked}, 1<<10)
	head, err := r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return badArchive(err)
	}
	if isTar(head) {
		return t.untar(r, format)
	}
	one, err := io.ReadAll(io.LimitReader(r, sigma.MaxDocument+1))
	if err != nil {
		return badArchive(err)
	}
	return t.one(strings.TrimSuffix(name, ".gz"), one, format)
}

// isTar looks for the mark of the format, which stands at a fixed place.
func isTar(head []byte) bool {
	const at = 257
	return len(head) >= at+5 && string(head[at:at+5]) == "ustar"
}

func (t *Tree) untar(r io.Reader, format Format) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return badArchive(err)
		case h.Typeflag != tar.TypeReg:
			if t.entries++; t.entries > maxEntries {
				return fault.New(fault.TooLarge, "more than %d files: import a part of them", maxEntries)
			}
			continue
		}
		if err := t.add(strings.TrimPrefix(h.Name, "./"), h.Size, format, func() (io.ReadCloser, error) { return io.NopCloser(tr), nil }); err != nil {
			return badArchive(err)
		}
	}
}

// badArchive keeps faults and makes one of what a decoder says.
func badArchive(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Invalid, "the archive cannot be read: %s", err.Error())
}

// bounded is a reader that fails beyond a number of bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fault.New(fault.TooLarge, "more than %d MiB after unpacking: import a part of it", 2*maxUnpacked>>20)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// one takes a single file, whatever it is called.
func (t *Tree) one(name string, data []byte, _ Format) error {
	if len(data) > sigma.MaxDocument {
		return fault.New(fault.TooLarge, "a file of rules has at most %d KiB", sigma.MaxDocument>>10)
	}
	t.single = true
	t.Files = []File{{cleanName(cmp.Or(name, "rule")), data}}
	return nil
}

func (t *Tree) finish() {
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	t.names = nil
	trimRoot(t)
}

// trimRoot leaves out the one folder that archives of a checkout have around all.
func trimRoot(t *Tree) {
	if t.single || len(t.Files) == 0 {
		return
	}
	root, _, ok := strings.Cut(t.Files[0].Name, "/")
	if !ok || strings.HasPrefix(root, "rules") {
		return
	}
	for _, f := range t.Files {
		if !strings.HasPrefix(f.Name, root+"/") {
			return
		}
	}
	for i := range t.Files {
		t.Files[i].Name = t.Files[i].Name[len(root)+1:]
	}
	for i := range t.Refused {
		t.Refused[i].File = strings.TrimPrefix(t.Refused[i].File, root+"/")
	}
}
