// Package seal keeps secrets that must be read again, such as those of webhooks and
// connectors: AES-256-GCM under one key of the installation, each secret bound to its
// tenant and purpose. Secrets that are only compared are hashed, not sealed.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// A Sealer seals and opens. It is safe for use by several goroutines.
type Sealer struct {
	aead cipher.AEAD
	mark [4]byte // recognises the key
	root []byte  // what other keys are derived from
}

// version is the first byte of what Seal returns.
const version = 1

// New returns the sealer of a key of KeySize bytes.
func New(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fault.New(fault.Invalid, "a sealing key has %d bytes, not %d", KeySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	s := &Sealer{}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("kyra sealing key\x00"), key...))
	copy(s.mark[:], sum[:])
	if s.root, err = hkdf.Extract(sha256.New, key, []byte("kyra derived keys")); err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return s, nil
}

// Derive returns a key of its own for a purpose (HKDF, RFC 5869): the same each time, and
// nothing about the sealing key or other derived ones can be told from it.
func (s *Sealer) Derive(purpose string) (key [KeySize]byte, err error) {
	b, err := hkdf.Expand(sha256.New, s.root, purpose, KeySize)
	if err != nil {
		return key, fmt.Errorf("derive key: %w", err)
	}
	copy(key[:], b)
	return key, nil
}

// Seal returns the secret in a form that can be stored. It opens only for the same
// tenant and purpose, such as "webhook " and an id.
func (s *Sealer) Seal(tenant uint32, purpose string, secret []byte) []byte {
	out := append([]byte{version}, s.mark[:]...)
	return s.aead.Seal(out, nil, secret, bound(tenant, purpose))
}

// Open returns the secret that Seal was given. What was changed, or sealed for another
// tenant, purpose or with another key, is an error.
func (s *Sealer) Open(tenant uint32, purpose string, sealed []byte) ([]byte, error) {
	const head = 1 + len(s.mark)
	if len(sealed) < head || sealed[0] != version {
		return nil, errors.New("open sealed secret: not in a form that is known")
	}
	if [4]byte(sealed[1:head]) != s.mark {
		return nil, fault.New(fault.Unavailable, "a stored secret was sealed with another key: give back the key file seal-key or the setting seal.key that it was sealed with")
	}
	secret, err := s.aead.Open(nil, nil, sealed[head:], bound(tenant, purpose))
	if err != nil {
		return nil, fmt.Errorf("open sealed secret for %s: %w", purpose, err)
	}
	return secret, nil
}

func bound(tenant uint32, purpose string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte("kyra\x00"), tenant), purpose...)
}

// ParseKey reads a key in base64, as NewKey prints it.
func ParseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != KeySize {
		return nil, fault.New(fault.Invalid, "a sealing key is %d bytes in base64: make one with: openssl rand -base64 %d", KeySize, KeySize)
	}
	return key, nil
}

// NewKey returns a new key in base64.
func NewKey() string {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// OpenFile returns the sealer of the key in a file, which it makes, for its owner only,
// where it is missing. A file that others may read is refused.
func OpenFile(path string) (*Sealer, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make sealing key: %w", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "others can read the sealing key: chmod 600 %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return New(key)
}

// create writes a new key so that a crash leaves the whole file or none.
func create(path string) error {
	part := path + ".new"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(NewKey() + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}
