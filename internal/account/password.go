package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// HashCost is the work of one password hash, as RFC 9106 names its parts.
type HashCost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// StandardCost is above what OWASP asks for (19 MiB, 2 passes).
var StandardCost = HashCost{Memory: 32 << 10, Passes: 3, Threads: 1}

const (
	hashAtOnce  = 2  // so that sign-ins cannot take the memory: 2 × 32 MiB
	hashWaiting = 64 // beyond it callers are sent away
	hashWait    = 10 * time.Second
	saltSize    = 16
	hashSize    = 32
)

// Passwords have no rules of composition (NIST SP 800-63B 5.1.1.2): length counts.
const (
	MinPassword = 12
	MaxPassword = 256
)

// checkPassword tells whether somebody may use that as a password.
func checkPassword(password string, about ...string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password) || n < MinPassword || n > MaxPassword:
		return fault.New(fault.Invalid, "Allowed: %d to %d characters", MinPassword, MaxPassword).In("password")
	case breached(password):
		return fault.New(fault.Invalid, "This password is among the commonest: guessers try it first. Take another, such as four words that do not belong together").In("password")
	}
	lower := strings.ToLower(password)
	for _, word := range about {
		word, _, _ = strings.Cut(strings.ToLower(word), "@")
		const telling = 4 // shorter parts occur by chance
		if len(word) >= telling && strings.Contains(lower, word) && len(lower)-len(word) < MinPassword-telling {
			return fault.New(fault.Invalid, "Allowed: a password that is not made of your name or address").In("password")
		}
	}
	return nil
}

// mixed tells whether a password has letters and digits (PCI DSS 4.0.1, 8.3.6).
func mixed(password string) bool {
	return strings.ContainsFunc(password, unicode.IsLetter) && strings.ContainsFunc(password, unicode.IsDigit)
}

// checkHistory refuses the account's last passwords, of which the present one is one.
func (s *Service) checkHistory(ctx context.Context, u *User, password string, last int) error {
	if last == 0 {
		return nil
	}
	old, err := sqldb.All(ctx, s.db, sqldb.Value[string], `SELECT hash FROM account_password_old WHERE user_id = $1 ORDER BY until DESC, hash LIMIT $2`, u.ID, last-1)
	if err != nil {
		return fault.Wrap("read old passwords", err)
	}
	if u.password != "" {
		old = append([]string{u.password}, old...)
	}
	for _, hash := range old {
		same, _, err := s.hasher.matches(ctx, password, hash)
		if err != nil {
			return err
		}
		if same {
			return fault.New(fault.Invalid, "This is one of your last %d passwords: take another", last).In("password")
		}
	}
	return nil
}

// keepOld notes the account's password before another one takes its place.
func (s *Service) keepOld(ctx context.Context, tx *sqldb.DB, user string) error {
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO account_password_old (user_id, hash, until) SELECT id, password, $1 FROM account_user WHERE id = $2 AND password <> ''`, s.now().UnixMicro(), user); err != nil {
		return err
	}
	_, err := sqldb.Exec(ctx, tx, `DELETE FROM account_password_old WHERE user_id = $1 AND hash NOT IN (
		SELECT hash FROM account_password_old WHERE user_id = $1 ORDER BY until DESC, hash LIMIT $2)`, user, MaxHistory)
	return err
}

// A hasher makes and checks hashes, a few at a time.
type hasher struct {
	cost    HashCost
	slots   chan struct{}
	waiting chan struct{}
	nobody  string // what is checked where there is no account
}

func newHasher(cost HashCost) *hasher {
	if cost == (HashCost{}) {
		cost = StandardCost
	}
	h := &hasher{cost: cost, slots: make(chan struct{}, hashAtOnce), waiting: make(chan struct{}, hashWaiting)}
	h.nobody = h.make(rand.Text())
	return h
}

// enter waits for a slot, for a while.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	busy := fault.New(fault.Unavailable, "many are signing in, try again in a moment")
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return nil, busy
	}
	late := time.NewTimer(hashWait)
	defer late.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-late.C:
		return nil, busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash returns the password's argon2id hash in PHC form.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.make(password), nil
}

func (h *hasher) make(password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails, see its documentation
	sum := argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.Memory, h.cost.Threads, hashSize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.Memory, h.cost.Passes, h.cost.Threads, b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// matches tells whether the password is the one of the hash, and whether that was made at
// another cost than today's. Without a hash it takes as long and says no.
func (h *hasher) matches(ctx context.Context, password, hash string) (ok, stale bool, err error) {
	none := hash == ""
	if none {
		hash = h.nobody
	}
	cost, salt, sum, err := parseHash(hash)
	if err != nil {
		return false, false, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.Memory, cost.Threads, uint32(len(sum))) //nolint:gosec // parseHash bounds it
	return subtle.ConstantTimeCompare(got, sum) == 1 && !none, cost != h.cost, nil
}

var errHash = errors.New("a stored password hash is not in argon2id's PHC form")

// parseHash reads the PHC form; its bounds keep a broken row from taking the memory.
func parseHash(s string) (cost HashCost, salt, sum []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.Memory, &cost.Passes, &cost.Threads); err != nil {
		return cost, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	const maxMemory, maxPasses, maxSum = 256 << 10, 16, 64
	if err1 != nil || err2 != nil || cost.Memory > maxMemory || cost.Passes == 0 || cost.Passes > maxPasses || cost.Threads == 0 || len(salt) == 0 || len(sum) < saltSize || len(sum) > maxSum {
		return cost, nil, nil, errHash
	}
	return cost, salt, sum, nil
}
