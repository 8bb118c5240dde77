package evidence_test

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

func newWorldOnSQLite(t *testing.T) *world { return newWorld(t, sqldbtest.SQLite(t)) }

func (w *world) bundle(sel evidence.Selection) []byte {
	w.Helper()
	write, err := w.Bundle(w.Context(), tenant, "ann", sel)
	if err != nil {
		w.Fatal(err)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		w.Fatal(err)
	}
	return b.Bytes()
}

func (w *world) key() ed25519.PublicKey {
	key, _ := w.signer.Public()
	return key
}

func verify(t testing.TB, b []byte, key ed25519.PublicKey) *evidence.Verdict {
	t.Helper()
	v, err := evidence.Verify(bytes.NewReader(b), int64(len(b)), key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// filled is a world with some evidence of two days, of which the first is signed.
func filled(w *world) {
	w.Helper()
	ctx := w.Context()
	w.save(w.result("mfa-all", compliance.Fail, `{"a":1}`), w.result("audit-chain", compliance.Pass, `{"a":2}`), w.result("dsr-deadline", compliance.NoData, ``))
	if _, err := w.Upload(ctx, tenant, "ann", review()); err != nil {
		w.Fatal(err)
	}
	for i := range 3 { // others change things meanwhile
		if err := audit.Record(ctx, w.db, audit.Entry{Tenant: tenant, At: noon.Add(time.Hour), Actor: "bob", Action: "alert.update", Object: fmt.Sprint(i), Detail: map[string]any{"é": "<&>"}}); err != nil {
			w.Fatal(err)
		}
	}
	w.clock = noon.Add(24 * time.Hour)
	if done, err := w.signer.SealDay(ctx, w.db, tenant, w.clock); err != nil || !done {
		w.Fatal(done, err)
	}
	w.save(w.result("mfa-all", compliance.Pass, `{"a":1}`), w.result("role-separation", compliance.Fail, `{"a":3}`))
}

func TestBundle(t *testing.T) {
	each(t, func(w *world) {
		filled(w)
		for name, x := range map[string]struct {
			sel     evidence.Selection
			records int64
			first   int64
			last    int64
			day     string
		}{
			"all":         {evidence.Selection{}, 6, 1, 6, ""},
			"the day":     {evidence.Selection{To: noon.Add(time.Hour)}, 4, 1, 4, "2026-04-22"},
			"a framework": {evidence.Selection{Framework: "pci-dss", To: noon.Add(time.Hour)}, 2, 1, 4, "2026-04-22"},
			"later":       {evidence.Selection{From: noon.Add(time.Hour)}, 2, 5, 6, ""},
		} {
			one := w.bundle(x.sel)
			v := verify(w.T, one, w.key())
			if !v.OK() || v.Records != x.records || v.FirstSeq != x.first || v.LastSeq != x.last || v.SignedDay != x.day || !v.KeyGiven {
				w.Errorf("%s: verdict is %+v", name, v)
			}
			// The export itself went into the audit log, and changes nothing.
			if two := w.bundle(x.sel); !bytes.Equal(one, two) {
				w.Errorf("%s: two bundles of one state differ", name)
			}
		}
		entries, n, err := audit.List(w.Context(), w.db, tenant, audit.Filter{Action: "evidence.export"})
		if err != nil || n != 8 || entries[0].Actor != "ann" {
			w.Errorf("audit has %d exports, %v", n, err)
		}
		if _, err := w.Bundle(w.Context(), tenant, "ann", evidence.Selection{To: noon.Add(-100 * 24 * time.Hour)}); !errors.Is(err, fault.Invalid) {
			w.Errorf("nothing in it: %v, want Invalid", err)
		}
		if _, err := w.Bundle(w.Context(), 8, "eve", evidence.Selection{}); !errors.Is(err, fault.Invalid) {
			w.Errorf("another tenant: %v, want Invalid", err)
		}
		// Without a key from elsewhere it says so.
		if v := verify(w.T, w.bundle(evidence.Selection{}), nil); !v.OK() || v.KeyGiven {
			w.Errorf("verdict is %+v", v)
		}
	})
}

// part is one file of a zip.
type part struct {
	name    string
	content []byte
}

func unpack(t testing.TB, b []byte) []part {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var all []part
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part{f.Name, content})
	}
	return all
}

func pack(t testing.TB, method uint16, parts []part) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: p.name, Method: method})
		if err == nil {
			_, err = w.Write(p.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func names(v *evidence.Verdict, file string) bool {
	return slices.ContainsFunc(v.Problems, func(p evidence.Problem) bool { return p.File == file })
}

// Whatever is done to a file of the bundle, the file is named.
func TestEveryFileIsGuarded(t *testing.T) {
	w := newWorldOnSQLite(t)
	filled(w)
	whole := w.bundle(evidence.Selection{To: noon.Add(time.Hour)})
	parts := unpack(t, whole)
	if again := pack(t, zip.Store, parts); !bytes.Equal(again, whole) {
		t.Fatal("the test does not pack as KYRA does")
	}
	if len(parts) != 12 {
		t.Errorf("the bundle has %d files", len(parts))
	}
	with := func(f func(parts []part) []part) *evidence.Verdict {
		t.Helper()
		own := make([]part, len(parts))
		for i, p := range parts {
			own[i] = part{p.name, slices.Clone(p.content)}
		}
		return verify(t, pack(t, zip.Store, f(own)), w.key())
	}
	for i, p := range parts {
		what := map[string]func([]part) []part{
			"a byte":  func(all []part) []part { all[i].content[len(p.content)/2] ^= 1; return all },
			"cut":     func(all []part) []part { all[i].content = all[i].content[:len(p.content)-1]; return all },
			"longer":  func(all []part) []part { all[i].content = append(all[i].content, '\n'); return all },
			"emptied": func(all []part) []part { all[i].content = nil; return all },
			"removed": func(all []part) []part { return slices.Delete(all, i, i+1) },
			"twice":   func(all []part) []part { return append(all, all[i]) },
			"swapped": func(all []part) []part {
				j := (i + 1) % len(all)
				all[i].content, all[j].content = all[j].content, all[i].content
				return all
			},
			"at front": func(all []part) []part { return append([]part{all[i]}, slices.Delete(all, i, i+1)...) },
		}
		for name, f := range what {
			if name == "at front" && i == 0 {
				continue // it stands there
			}
			v := with(f)
			if v.OK() {
				t.Errorf("%s %s: found nothing", p.name, name)
			}
			named := names(v, p.name) || p.name == "manifest.json" && names(v, "manifest.sig")
			if name != "at front" && !named {
				t.Errorf("%s %s: problems are %+v", p.name, name, v.Problems)
			}
		}
	}
	if v := with(func(all []part) []part { return append(all, part{"artifacts/more.txt", []byte("x")}) }); !names(v, "artifacts/more.txt") {
		t.Errorf("a file that was added: %+v", v.Problems)
	}
	if v := verify(t, pack(t, zip.Deflate, parts), w.key()); v.OK() {
		t.Error("a compressed bundle passes")
	}
}

// A record that was made better is named, with its check, even where the manifest was
// made anew and signed by somebody else.
func TestAnotherSigner(t *testing.T) {
	w := newWorldOnSQLite(t)
	filled(w)
	parts := unpack(t, w.bundle(evidence.Selection{To: noon.Add(time.Hour)}))
	id := ""
	for i, p := range parts {
		if p.name == "records.ndjson" {
			parts[i].content = bytes.Replace(p.content, []byte(`"result":"fail"`), []byte(`"result":"pass"`), 1)
			_, rest, _ := strings.Cut(string(p.content), `"id":"`)
			id, _, _ = strings.Cut(rest, `"`)
		}
	}
	v := verify(t, pack(t, zip.Store, parts), nil)
	if !slices.ContainsFunc(v.Problems, func(p evidence.Problem) bool {
		return p.File == "records.ndjson" && p.Line == 1 && p.Record == id && strings.Contains(p.What, "check mfa-all")
	}) {
		t.Errorf("problems are %+v", v.Problems)
	}

	// Another installation packs what it likes: it passes by its own key alone.
	other := newWorldOnSQLite(t)
	other.signer = audit.NewSigner([32]byte{10})
	other.Signer = other.signer
	filled(other)
	b := other.bundle(evidence.Selection{})
	if v := verify(t, b, nil); !v.OK() {
		t.Errorf("problems are %+v", v.Problems)
	}
	if v := verify(t, b, w.key()); !names(v, "public-key.pem") || !names(v, "manifest.sig") {
		t.Errorf("problems are %+v", v.Problems)
	}
}

// Every single byte counts, and where the file ends.
func TestEveryByteIsGuarded(t *testing.T) {
	w := newWorldOnSQLite(t)
	filled(w)
	whole := w.bundle(evidence.Selection{From: noon.Add(time.Hour)})
	step := 1
	if testing.Short() || raceEnabled {
		step = 17
	}
	for i := 0; i < len(whole); i += step {
		b := slices.Clone(whole)
		b[i] ^= 0x20
		if v := verify(t, b, w.key()); v.OK() {
			t.Fatalf("byte %d of %d: found nothing", i, len(whole))
		}
		if v := verify(t, whole[:i], w.key()); v.OK() {
			t.Fatalf("cut at %d: found nothing", i)
		}
	}
	for name, b := range map[string][]byte{"behind": append(slices.Clone(whole), 0), "before": append([]byte{0}, whole...), "twice": append(slices.Clone(whole), whole...), "empty": {}} {
		if v := verify(t, b, w.key()); v.OK() {
			t.Errorf("%s: found nothing", name)
		}
	}
}

// What was changed or lost on disk before the export is named by the verifier.
func TestBundleOfDamagedFiles(t *testing.T) {
	w := newWorldOnSQLite(t)
	saved := w.save(w.result("mfa-all", compliance.Fail, `{"a":1}`), w.result("audit-chain", compliance.Fail, `{"a":2}`))
	one, two := w.get(saved[0].EvidenceID), w.get(saved[1].EvidenceID)
	path := func(k *evidence.Kept) string {
		return filepath.Join(w.dir, "7", k.Artifact.SHA256[:2], k.Artifact.SHA256)
	}
	if err := errors.Join(os.WriteFile(path(one), []byte(`{"a":9}`), 0o600), os.Remove(path(two))); err != nil {
		t.Fatal(err)
	}
	v := verify(t, w.bundle(evidence.Selection{}), w.key())
	for _, k := range []*evidence.Kept{one, two} {
		file := "artifacts/" + k.Artifact.SHA256 + ".json"
		if !slices.ContainsFunc(v.Problems, func(p evidence.Problem) bool { return p.File == file && strings.Contains(p.What, k.ID) }) {
			t.Errorf("%s is not named: %+v", file, v.Problems)
		}
	}
	if len(v.Problems) != 2 {
		t.Errorf("problems are %+v", v.Problems)
	}
}

var update = flag.Bool("update", false, "write testdata/bundle.zip")

// A bundle that was written once passes for ever, with the Go of another year too.
func TestOldBundle(t *testing.T) {
	if *update {
		w := newWorldOnSQLite(t)
		filled(w)
		if err := os.WriteFile("testdata/bundle.zip", w.bundle(evidence.Selection{To: noon.Add(time.Hour)}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/bundle.zip")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := audit.NewSigner([32]byte{9}).Public()
	if v := verify(t, b, key); !v.OK() || v.Records != 4 || v.SignedDay != "2026-04-22" {
		t.Errorf("verdict is %+v", v)
	}
}

// A zip that promises much is refused before memory is taken for it.
func TestHugeContents(t *testing.T) {
	var many []part
	for i := range 60_000 {
		many = append(many, part{fmt.Sprintf("artifacts/%d", i), nil})
	}
	b := pack(t, zip.Store, many)
	if v := verify(t, b, nil); len(v.Problems) != 1 || !strings.Contains(v.Problems[0].What, "60000 files") {
		t.Errorf("problems are %+v", v.Problems)
	}
	zeros := pack(t, zip.Deflate, []part{{"records.ndjson", make([]byte, 50<<20)}})
	if v := verify(t, zeros, nil); v.OK() || len(zeros) > 1<<20 {
		t.Errorf("a bomb of %d bytes passes", len(zeros))
	}
}

func FuzzVerify(f *testing.F) {
	whole, err := os.ReadFile("testdata/bundle.zip")
	if err != nil {
		f.Fatal(err)
	}
	key, _ := audit.NewSigner([32]byte{9}).Public()
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := verify(t, b, key); v.OK() && !bytes.Equal(b, whole) {
			t.Fatal("a bundle that the signer did not make passes")
		}
	})
}
