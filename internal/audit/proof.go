package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Digest returns the hash of the entry in a chain whose last hash is prev: what Hash must
// be. It needs no database.
func (r *Stored) Digest(prev []byte) []byte { return r.digest(prev) }

// HashAt returns the hash of the tenant's entry of that number, nil for number 0, or
// fault.NotFound.
func HashAt(ctx context.Context, db *sqldb.DB, tenant uint32, seq int64) ([]byte, error) {
	if seq == 0 {
		return nil, nil
	}
	hash, err := sqldb.One(ctx, db, sqldb.Value[[]byte], `SELECT hash FROM audit_entry WHERE tenant = $1 AND seq = $2`, int64(tenant), seq)
	if err != nil {
		return nil, fmt.Errorf("read audit entry %d: %w", seq, err)
	}
	return hash, nil
}

// SealFrom returns the tenant's first signed head that proves the entry of that number,
// nil where there is none yet.
func SealFrom(ctx context.Context, db *sqldb.DB, tenant uint32, seq int64) (*Seal, error) {
	s, err := sqldb.One(ctx, db, scanSeal, selectSeal+` WHERE tenant = $1 AND seq >= $2 ORDER BY seq, day LIMIT 1`, int64(tenant), seq)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read signed head: %w", err)
	}
	return &s, nil
}

// Sign signs a message with the installation's key. Messages begin with words that say
// what they are, so that none can be taken for another or for a signed head.
func (s *Signer) Sign(message []byte) []byte { return ed25519.Sign(s.key, message) }
