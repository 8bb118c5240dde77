package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Signer signs the heads of chains with the installation's Ed25519 key (RFC 8032).
type Signer struct {
	key ed25519.PrivateKey
	id  string
}

// NewSigner returns the signer of a seed of ed25519.SeedSize bytes.
func NewSigner(seed [ed25519.SeedSize]byte) *Signer {
	key := ed25519.NewKeyFromSeed(seed[:])
	sum := sha256.Sum256(public(key))
	return &Signer{key: key, id: hex.EncodeToString(sum[:8])}
}

func public(key ed25519.PrivateKey) ed25519.PublicKey {
	p, _ := key.Public().(ed25519.PublicKey) // of an Ed25519 key it is one
	return p
}

// Public returns the key that signatures are checked with, and its id.
func (s *Signer) Public() (key ed25519.PublicKey, id string) { return public(s.key), s.id }

// A Seal is a signed head: what a chain was when a day had ended.
type Seal struct {
	Tenant    uint32
	Day       time.Time // UTC midnight: the day that had ended
	Seq       int64
	Hash      []byte
	At        time.Time
	KeyID     string
	Signature []byte
}

// Message is what the signature is of, in ASCII: the words "kyra audit head", tenant, day
// (YYYY-MM-DD), number, hash in hexadecimal, and time in microseconds since 1970, with one
// space between them.
func (s *Seal) Message() []byte {
	return fmt.Appendf(nil, "kyra audit head %d %s %d %x %d", s.Tenant, s.Day.Format(time.DateOnly), s.Seq, s.Hash, s.At.UnixMicro())
}

const day = 24 * time.Hour

// SealDay signs the head of the tenant's chain, once for each day that has ended before
// now and only where there is something new. It tells whether it did.
func (s *Signer) SealDay(ctx context.Context, db *sqldb.DB, tenant uint32, now time.Time) (bool, error) {
	done := false
	err := db.Tx(ctx, func(tx *sqldb.DB) error {
		ended := now.UTC().Truncate(day).Add(-day)
		last, err := LastSeal(ctx, tx, tenant)
		if err != nil {
			return err
		}
		end, err := sqldb.One(ctx, tx, func(rows *sql.Rows, h *headRow) error { return rows.Scan(&h.seq, &h.hash) },
			`SELECT seq, hash FROM audit_entry WHERE tenant = $1 AND at < $2 ORDER BY seq DESC LIMIT 1`, int64(tenant), ended.Add(day).UnixMicro())
		if errors.Is(err, fault.NotFound) || err == nil && last != nil && (!last.Day.Before(ended) || last.Seq >= end.seq) {
			return nil
		}
		if err != nil {
			return err
		}
		seal := Seal{Tenant: tenant, Day: ended, Seq: end.seq, Hash: end.hash, At: now.UTC().Truncate(time.Microsecond), KeyID: s.id}
		seal.Signature = ed25519.Sign(s.key, seal.Message())
		n, err := sqldb.Exec(ctx, tx, `
			INSERT INTO audit_seal (tenant, day, seq, hash, sealed_at, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			int64(tenant), ended.Unix()/int64(day/time.Second), seal.Seq, seal.Hash, seal.At.UnixMicro(), seal.KeyID, seal.Signature)
		done = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("sign audit head: %w", err)
	}
	return done, nil
}

const selectSeal = `SELECT tenant, day, seq, hash, sealed_at, key_id, signature FROM audit_seal`

func scanSeal(rows *sql.Rows, s *Seal) error {
	var tenant, days int64
	err := rows.Scan(&tenant, &days, &s.Seq, &s.Hash, sqldb.Micros(&s.At), &s.KeyID, &s.Signature)
	s.Tenant, s.Day = uint32(tenant), time.Unix(days*int64(day/time.Second), 0).UTC()
	return err
}

func sealsOf(ctx context.Context, tx *sqldb.DB, tenant uint32) ([]Seal, error) {
	return sqldb.All(ctx, tx, scanSeal, selectSeal+` WHERE tenant = $1 ORDER BY seq, day`, int64(tenant))
}

// LastSeal returns the tenant's newest signed head, nil where there is none.
func LastSeal(ctx context.Context, db *sqldb.DB, tenant uint32) (*Seal, error) {
	s, err := sqldb.One(ctx, db, scanSeal, selectSeal+` WHERE tenant = $1 ORDER BY day DESC LIMIT 1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read signed head: %w", err)
	}
	return &s, nil
}

// CheckSeals checks the signatures of the tenant's signed heads, of those that this
// signer's key made, and returns how many there are. The error is a *Broken where one
// does not hold.
func (s *Signer) CheckSeals(ctx context.Context, db *sqldb.DB, tenant uint32) (int, error) {
	seals, err := sqldb.All(ctx, db, scanSeal, selectSeal+` WHERE tenant = $1 ORDER BY day`, int64(tenant))
	if err != nil {
		return 0, fmt.Errorf("read signed heads: %w", err)
	}
	n := 0
	for i := range seals {
		if seals[i].KeyID != s.id {
			continue // of an installation before; who kept its public key can check it
		}
		if !ed25519.Verify(public(s.key), seals[i].Message(), seals[i].Signature) {
			return n, &Broken{tenant, seals[i].Seq, "the signature of the head of " + seals[i].Day.Format(time.DateOnly) + " does not hold"}
		}
		n++
	}
	return n, nil
}

// A Check is how a look at a chain ended.
type Check struct {
	At       time.Time
	Entries  int64 // that are good
	Seals    int   // signatures that hold; only where it was looked at just now
	BrokenAt int64 // number of the first bad entry, 0 for none
	Why      string
}

// Examine verifies the tenant's chain and its signed heads.
func (s *Signer) Examine(ctx context.Context, db *sqldb.DB, tenant uint32, now time.Time) (Check, error) {
	c := Check{At: now.UTC().Truncate(time.Microsecond)}
	var err error
	if c.Entries, err = Verify(ctx, db, tenant); err == nil {
		c.Seals, err = s.CheckSeals(ctx, db, tenant)
	}
	if broken, is := errors.AsType[*Broken](err); is {
		c.BrokenAt, c.Why = max(broken.Seq, 1), broken.Why
		return c, nil
	}
	return c, err
}

// Look examines the tenant's chain and keeps how that ended. first tells that it is broken
// where it was not when it was last looked at.
func (s *Signer) Look(ctx context.Context, db *sqldb.DB, tenant uint32, now time.Time) (c Check, first bool, err error) {
	if c, err = s.Examine(ctx, db, tenant, now); err != nil {
		return c, false, err
	}
	before, err := LastCheck(ctx, db, tenant)
	if err != nil {
		return c, false, err
	}
	if _, err := sqldb.Exec(ctx, db, `
		INSERT INTO audit_check (tenant, checked_at, entries, broken_at, why) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant) DO UPDATE SET checked_at = excluded.checked_at, entries = excluded.entries, broken_at = excluded.broken_at, why = excluded.why`,
		int64(tenant), c.At.UnixMicro(), c.Entries, c.BrokenAt, c.Why); err != nil {
		return c, false, fmt.Errorf("keep audit check: %w", err)
	}
	return c, c.BrokenAt != 0 && (before == nil || before.BrokenAt != c.BrokenAt), nil
}

// LastCheck returns how the last look at the tenant's chain ended, nil where there was none.
func LastCheck(ctx context.Context, db *sqldb.DB, tenant uint32) (*Check, error) {
	c, err := sqldb.One(ctx, db, func(rows *sql.Rows, c *Check) error {
		return rows.Scan(sqldb.Micros(&c.At), &c.Entries, &c.BrokenAt, &c.Why)
	}, `SELECT checked_at, entries, broken_at, why FROM audit_check WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read audit check: %w", err)
	}
	return &c, nil
}
