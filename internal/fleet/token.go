package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	// DefaultTokenLife holds where no end is given, MaxTokenLife at most.
	DefaultTokenLife = 24 * time.Hour
	MaxTokenLife     = 30 * 24 * time.Hour

	maxOpenTokens = 10_000 // of a tenant
	maxLabels     = 16
)

// A Token lets one collector in, once.
type Token struct {
	ID        string
	Tenant    uint32
	Name      string            // of the collector that it is for
	Labels    map[string]string // of that collector
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time
	UsedAt    *time.Time
	UsedBy    string // id of the collector
	RevokedAt *time.Time

	usedKey string
}

// Status tells what the token is good for at a time: "open", "used", "expired" or
// "revoked".
func (t *Token) Status(now time.Time) string {
	switch {
	case t.UsedAt != nil:
		return "used"
	case t.RevokedAt != nil:
		return "revoked"
	case !now.Before(t.ExpiresAt):
		return "expired"
	}
	return "open"
}

// A TokenDraft describes a token to make.
type TokenDraft struct {
	Name      string            // 1 to 100 characters
	Labels    map[string]string // at most 16
	ExpiresAt *time.Time        // nil: after DefaultTokenLife
}

func (d *TokenDraft) check(now time.Time) error {
	d.Name = strings.TrimSpace(d.Name)
	if n := utf8.RuneCountInString(d.Name); n < 1 || n > 100 || !printable(d.Name) {
		return fault.New(fault.Invalid, "Allowed: 1 to 100 printable characters").In("name")
	}
	if len(d.Labels) > maxLabels {
		return fault.New(fault.Invalid, "Allowed: at most %d labels", maxLabels).In("labels")
	}
	for name, value := range d.Labels {
		if n := utf8.RuneCountInString(name); n < 1 || n > 64 || utf8.RuneCountInString(value) > 256 || !printable(name+value) {
			return fault.New(fault.Invalid, "Allowed: names of 1 to 64 and values of up to 256 printable characters").In("labels")
		}
	}
	if d.ExpiresAt != nil && (!d.ExpiresAt.After(now) || d.ExpiresAt.Sub(now) > MaxTokenLife) {
		return fault.New(fault.Invalid, "Allowed: a time within the next %d days", int(MaxTokenLife/(24*time.Hour))).In("expiresAt")
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// CreateToken makes a token and returns it with its text, which cannot be shown
// again. The text also names the authority, so that the collector knows whom it
// talks to before it shows anything.
func (s *Service) CreateToken(ctx context.Context, tenant uint32, actor string, d TokenDraft) (*Token, string, error) {
	now := s.moment()
	if err := d.check(now); err != nil {
		return nil, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", fmt.Errorf("create enrolment token: %w", err)
	}
	t := &Token{ID: id.String(), Tenant: tenant, Name: d.Name, Labels: d.Labels, CreatedAt: now, CreatedBy: actor, ExpiresAt: now.Add(DefaultTokenLife)}
	if d.ExpiresAt != nil {
		t.ExpiresAt = d.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	labels, err := labelsText(t.Labels)
	if err != nil {
		return nil, "", err
	}
	secret := rand.Text()
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		open, err := sqldb.One(ctx, tx, sqldb.Value[int64], `
			SELECT count(*) FROM fleet_token WHERE tenant = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $2`, int64(tenant), now.UnixMicro())
		if err != nil {
			return err
		}
		if open >= maxOpenTokens {
			return fault.New(fault.Conflict, "the tenant has %d open enrolment tokens: revoke some first", open)
		}
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO fleet_token (id, tenant, name, labels, digest, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			t.ID, int64(tenant), t.Name, labels, digestOf(secret), now.UnixMicro(), actor, t.ExpiresAt.UnixMicro()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: now, Actor: actor, Action: "collectorToken.create", Object: t.ID,
			Detail: map[string]any{"name": t.Name, "labels": t.Labels, "expiresAt": t.ExpiresAt},
		})
	})
	if sqldb.Violation(err) == sqldb.ForeignKey {
		return nil, "", fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return nil, "", fmt.Errorf("create enrolment token: %w", err)
	}
	return t, protocol.Token{Secret: secret, CA: s.Authority.Fingerprint()}.String(), nil
}

// digestOf returns what is stored of a token. A plain hash is enough: a secret holds
// at least 128 random bits, so there is nothing to guess.
func digestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func labelsText(labels map[string]string) (string, error) {
	if labels == nil {
		labels = map[string]string{}
	}
	text, err := json.Marshal(labels)
	return string(text), err
}

const tokenColumns = `
	SELECT id, tenant, name, labels, created_at, created_by, expires_at, used_at, used_by, used_key, revoked_at FROM fleet_token`

func scanToken(rows *sql.Rows, t *Token) error {
	var labels string
	if err := rows.Scan(&t.ID, &t.Tenant, &t.Name, &labels, sqldb.Micros(&t.CreatedAt), &t.CreatedBy, sqldb.Micros(&t.ExpiresAt),
		sqldb.MicrosOrNull(&t.UsedAt), &t.UsedBy, &t.usedKey, sqldb.MicrosOrNull(&t.RevokedAt)); err != nil {
		return err
	}
	return json.Unmarshal([]byte(labels), &t.Labels)
}

// Tokens returns one page of the tenant's tokens, the newest first unless ascending,
// and how many there are.
func (s *Service) Tokens(ctx context.Context, tenant uint32, ascending bool, page, size int) (tokens []Token, total int64, err error) {
	order := ` ORDER BY created_at DESC, id DESC`
	if ascending {
		order = ` ORDER BY created_at, id`
	}
	err = s.DB.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM fleet_token WHERE tenant = $1`, int64(tenant)); err != nil {
			return err
		}
		tokens, err = sqldb.All(ctx, tx, scanToken, tokenColumns+` WHERE tenant = $1`+order+` LIMIT $2 OFFSET $3`, int64(tenant), size, int64(page)*int64(size))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list enrolment tokens: %w", err)
	}
	return tokens, total, nil
}

// Token returns one token of the tenant, or fault.NotFound.
func (s *Service) Token(ctx context.Context, tenant uint32, id string) (*Token, error) {
	return s.token(ctx, s.DB, tenant, id)
}

func (s *Service) token(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Token, error) {
	t, err := sqldb.One(ctx, db, scanToken, tokenColumns+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such enrolment token")
	}
	if err != nil {
		return nil, fmt.Errorf("get enrolment token: %w", err)
	}
	return &t, nil
}

// RevokeToken ends a token. One that was used let its collector in for good: that
// is revoked by itself.
func (s *Service) RevokeToken(ctx context.Context, tenant uint32, actor, id string) error {
	now := s.moment()
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		t, err := s.token(ctx, tx, tenant, id)
		if err != nil || t.RevokedAt != nil {
			return err
		}
		if t.UsedAt != nil {
			return fault.New(fault.Conflict, "the token was used: revoke the collector %s", t.UsedBy)
		}
		n, err := sqldb.Exec(ctx, tx, `UPDATE fleet_token SET revoked_at = $1 WHERE id = $2 AND used_at IS NULL AND revoked_at IS NULL`, now.UnixMicro(), id)
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "collectorToken.revoke", Object: id, Detail: map[string]any{"name": t.Name}})
	})
	if err != nil {
		return fmt.Errorf("revoke enrolment token: %w", err)
	}
	return nil
}
