package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

func sealer(t *testing.T) *Sealer {
	t.Helper()
	key, err := ParseKey(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASecretOpensOnlyWhereItBelongs(t *testing.T) {
	s, secret := sealer(t), []byte("whsec_abc")
	sealed := s.Seal(7, "webhook 1", secret)
	if bytes.Contains(sealed, secret) || bytes.Equal(sealed, s.Seal(7, "webhook 1", secret)) {
		t.Error("the secret is not hidden")
	}
	if got, err := s.Open(7, "webhook 1", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.Open(8, "webhook 1", sealed); err == nil {
		t.Error("another tenant opens it")
	}
	if _, err := s.Open(7, "webhook 2", sealed); err == nil {
		t.Error("it opens for another purpose")
	}
	if _, err := sealer(t).Open(7, "webhook 1", sealed); !errors.Is(err, fault.Unavailable) {
		t.Errorf("with another key: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open(7, "webhook 1", changed); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
		if _, err := s.Open(7, "webhook 1", sealed[:i]); err == nil {
			t.Errorf("opens cut to %d bytes", i)
		}
	}
}

func TestTheKeyFileIsMadeOnceForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal-key")
	s, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(1, "p", s.Seal(1, "p", []byte("x"))); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(path, 0o640); err != nil { //nolint:gosec // what is refused
		t.Fatal(err)
	}
	if _, err := OpenFile(path); !errors.Is(err, fault.Invalid) {
		t.Errorf("a file that others can read: %v", err)
	}
	if err := os.WriteFile(path+"2", []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path + "2"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a file with no key: %v", err)
	}
}

func TestDerivedKeysAreApartAndTheSame(t *testing.T) {
	key := make([]byte, KeySize)
	s, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	key[0] = 1
	other, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	derive := func(s *Sealer, purpose string) [KeySize]byte {
		k, err := s.Derive(purpose)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	a := derive(s, "a")
	if a != derive(again, "a") {
		t.Error("the same key and purpose give two keys")
	}
	if a == derive(s, "b") || a == derive(other, "a") || a == [KeySize]byte{} {
		t.Error("two purposes or two keys give one key")
	}
}
