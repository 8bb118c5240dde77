package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// An IngestToken lets a sender of one tenant hand in logs, and nothing else. It has
// the form of a key, and only its digest is kept.
type IngestToken struct {
	ID        string // UUIDv7
	Tenant    uint32
	Name      string
	Source    string // what its logs are; "": it is recognised
	Prefix    string
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt *time.Time
	LastUsed  *time.Time // to the minute
	RevokedAt *time.Time
}

// Status returns the token's state at the time now.
func (t *IngestToken) Status(now time.Time) Status {
	k := Key{ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt}
	return k.Status(now)
}

// An IngestDraft describes a token to make.
type IngestDraft struct {
	Name      string // 1 to 100 printable characters
	Source    string // "" or a name of lower-case letters, digits, - _ .
	ExpiresAt *time.Time
}

// maxIngestTokens bounds the tokens of a tenant that are in use.
const maxIngestTokens = 1000

func (d *IngestDraft) check(now time.Time) error {
	d.Name = strings.TrimSpace(d.Name)
	if n := utf8.RuneCountInString(d.Name); n < 1 || n > maxName || strings.ContainsFunc(d.Name, unprintable) {
		return fault.New(fault.Invalid, "Allowed: 1 to %d printable characters", maxName).In("name")
	}
	d.Source = strings.ToLower(strings.TrimSpace(d.Source))
	bad := strings.ContainsFunc(d.Source, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
	if bad || len(d.Source) > 64 {
		return fault.New(fault.Invalid, "Allowed: one name of at most 64 letters, digits, and the characters - _ .").In("source")
	}
	if d.ExpiresAt != nil && !d.ExpiresAt.After(now) {
		return fault.New(fault.Invalid, "Allowed: a time in the future").In("expiresAt")
	}
	return nil
}

// CreateIngestToken makes a token and returns it with its secret, which cannot be
// shown again.
func (s *Service) CreateIngestToken(ctx context.Context, tenantNumber uint32, actor string, d IngestDraft) (*IngestToken, string, error) {
	now := s.now().UTC().Truncate(time.Microsecond)
	if err := d.check(now); err != nil {
		return nil, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", fmt.Errorf("create ingest token: %w", err)
	}
	secret := newToken()
	t := &IngestToken{ID: id.String(), Tenant: tenantNumber, Name: d.Name, Source: d.Source, Prefix: secret[:visibleLength], CreatedAt: now, CreatedBy: actor}
	if d.ExpiresAt != nil {
		t.ExpiresAt = new(d.ExpiresAt.UTC().Truncate(time.Microsecond))
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM ingest_token WHERE tenant = $1 AND revoked_at IS NULL`, int64(tenantNumber))
		if err != nil {
			return err
		}
		if n >= maxIngestTokens {
			return fault.New(fault.Conflict, "the tenant has %d ingest tokens: revoke some first", n)
		}
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO ingest_token (id, tenant, name, source, digest, prefix, created_at, created_by, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			t.ID, int64(t.Tenant), t.Name, t.Source, digest(secret), t.Prefix, now.UnixMicro(), actor, sqldb.Nullable(t.ExpiresAt))
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenantNumber, At: now, Actor: actor, Action: "ingestToken.create", Object: t.ID,
			Detail: map[string]any{"name": t.Name, "source": t.Source},
		})
	})
	if sqldb.Violation(err) == sqldb.ForeignKey {
		return nil, "", fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return nil, "", fmt.Errorf("create ingest token: %w", err)
	}
	return t, secret, nil
}

const ingestColumns = `
	SELECT id, tenant, name, source, prefix, created_at, created_by, expires_at, last_used_at, revoked_at FROM ingest_token`

func scanIngestToken(rows *sql.Rows, t *IngestToken) error {
	return rows.Scan(&t.ID, &t.Tenant, &t.Name, &t.Source, &t.Prefix, sqldb.Micros(&t.CreatedAt), &t.CreatedBy,
		sqldb.MicrosOrNull(&t.ExpiresAt), sqldb.MicrosOrNull(&t.LastUsed), sqldb.MicrosOrNull(&t.RevokedAt))
}

// IngestTokens returns one page of the tenant's tokens, the newest first unless
// ascending, and how many there are.
func (s *Service) IngestTokens(ctx context.Context, tenantNumber uint32, ascending bool, page, size int) (tokens []IngestToken, total int64, err error) {
	order := ` ORDER BY created_at DESC, id DESC`
	if ascending {
		order = ` ORDER BY created_at, id`
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM ingest_token WHERE tenant = $1`, int64(tenantNumber))
		if err != nil {
			return err
		}
		tokens, err = sqldb.All(ctx, tx, scanIngestToken, ingestColumns+` WHERE tenant = $1`+order+` LIMIT $2 OFFSET $3`,
			int64(tenantNumber), size, int64(page)*int64(size))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list ingest tokens: %w", err)
	}
	return tokens, total, nil
}

// IngestToken returns one token of the tenant, or fault.NotFound.
func (s *Service) IngestToken(ctx context.Context, tenantNumber uint32, id string) (*IngestToken, error) {
	t, err := sqldb.One(ctx, s.db, scanIngestToken, ingestColumns+` WHERE tenant = $1 AND id = $2`, int64(tenantNumber), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such ingest token")
	}
	if err != nil {
		return nil, fmt.Errorf("get ingest token: %w", err)
	}
	return &t, nil
}

// RevokeIngestToken ends a token at once here, elsewhere within seconds.
func (s *Service) RevokeIngestToken(ctx context.Context, tenantNumber uint32, actor, id string) error {
	now := s.now().UTC().Truncate(time.Microsecond)
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		t, err := sqldb.One(ctx, tx, scanIngestToken, ingestColumns+` WHERE tenant = $1 AND id = $2`, int64(tenantNumber), id)
		if errors.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "no such ingest token")
		}
		if err != nil || t.RevokedAt != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE ingest_token SET revoked_at = $1 WHERE id = $2`, now.UnixMicro(), id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenantNumber, At: now, Actor: actor, Action: "ingestToken.revoke", Object: id, Detail: map[string]any{"name": t.Name}})
	})
	s.senders.forget()
	if err != nil {
		return fmt.Errorf("revoke ingest token: %w", err)
	}
	return nil
}

// A Sender is who hands in logs.
type Sender struct {
	Tenant  tenant.Tenant
	TokenID string
	Source  string // what its logs are, "" where that is not said
}

// AuthenticateSender tells whose secret an ingest token or a read-write API key is.
// Every refusal is the same fault.Unauthenticated.
func (s *Service) AuthenticateSender(ctx context.Context, secret string, from netip.Addr) (Sender, error) {
	refused := fault.New(fault.Unauthenticated, "missing or invalid ingest token")
	if !wellFormed(secret) {
		return Sender{}, refused
	}
	now := s.now()
	d := digest(secret)
	e, generation := s.senders.get(d, now)
	if e == nil {
		t, err := sqldb.One(ctx, s.db, scanIngestToken, ingestColumns+` WHERE digest = $1`, d)
		if errors.Is(err, fault.NotFound) {
			c, err := s.Authenticate(ctx, secret, from)
			switch {
			case errors.Is(err, fault.Unauthenticated), err == nil && !c.CanWrite():
				return Sender{}, refused
			case err != nil:
				return Sender{}, err
			}
			return Sender{Tenant: c.Tenant, TokenID: c.KeyID}, nil
		}
		if err != nil {
			return Sender{}, unavailable("read the ingest token", err)
		}
		owner, err := s.tenants.ByNumber(ctx, t.Tenant)
		if err != nil {
			return Sender{}, unavailable("read the token's tenant", err)
		}
		e = &entry{
			key:    Key{ID: t.ID, Name: t.Source, ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt},
			tenant: *owner, loaded: now,
		}
		if t.LastUsed != nil {
			e.used = *t.LastUsed
		}
		s.senders.put(d, e, generation)
	}
	if e.key.Status(now) != Active {
		return Sender{}, refused
	}
	if e.noteUse(now) {
		_, err := sqldb.Exec(ctx, s.db, `
			UPDATE ingest_token SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, now.UnixMicro(), e.key.ID)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "last use of an ingest token not written", "token", e.key.ID, "err", err)
		}
	}
	return Sender{Tenant: e.tenant, TokenID: e.key.ID, Source: e.key.Name}, nil
}
