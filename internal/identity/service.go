package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Service keeps the API keys and tells whose a presented one is.
type Service struct {
	db      *sqldb.DB
	tenants *tenant.Service
	log     *slog.Logger
	now     func() time.Time
	known   cache
	senders cache // ingest tokens; an entry's key has the source as its name
}

// New returns a Service; now is time.Now outside of tests.
func New(db *sqldb.DB, tenants *tenant.Service, log *slog.Logger, now func() time.Time) *Service {
	return &Service{db: db, tenants: tenants, log: log, now: now}
}

// Create makes a key and returns it with its secret, which is kept nowhere: it
// cannot be shown again. actor is who asks, as the audit log writes it.
func (s *Service) Create(ctx context.Context, tenantNumber uint32, actor string, d Draft) (*Key, string, error) {
	now := s.now().UTC().Truncate(time.Microsecond)
	networks, err := d.check(now)
	if err != nil {
		return nil, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", fmt.Errorf("create key: %w", err)
	}
	token := newToken()
	k := &Key{
		ID: id.String(), Tenant: tenantNumber, Name: d.Name, Scope: d.Scope, Prefix: token[:visibleLength], CIDRs: networks,
		CreatedAt: now, CreatedBy: actor,
	}
	if d.ExpiresAt != nil {
		k.ExpiresAt = new(d.ExpiresAt.UTC().Truncate(time.Microsecond))
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := insert(ctx, tx, k, digest(token)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenantNumber, At: now, Actor: actor, Action: "key.create", Object: k.ID,
			Detail: map[string]any{"name": k.Name, "scope": k.Scope},
		})
	})
	if sqldb.Violation(err) == sqldb.ForeignKey {
		return nil, "", fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return nil, "", fmt.Errorf("create key: %w", err)
	}
	return k, token, nil
}

// Revoke ends a key at once: in this process with the next request, in others
// after at most cacheFor. Revoking a revoked key changes nothing.
func (s *Service) Revoke(ctx context.Context, tenantNumber uint32, actor, id string) error {
	now := s.now().UTC().Truncate(time.Microsecond)
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		k, err := get(ctx, tx, tenantNumber, id)
		if err != nil || k.RevokedAt != nil {
			return err
		}
		if err := setRevoked(ctx, tx, id, now); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenantNumber, At: now, Actor: actor, Action: "key.revoke", Object: id, Detail: map[string]any{"name": k.Name},
		})
	})
	s.known.forget()
	if err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return nil
}

// RevokeOf ends the keys that creator made, in a transaction of the caller's.
func (s *Service) RevokeOf(ctx context.Context, tx *sqldb.DB, tenantNumber uint32, actor, creator string) error {
	now := s.now().UTC().Truncate(time.Microsecond)
	ids, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM api_key WHERE tenant = $1 AND created_by = $2 AND revoked_at IS NULL ORDER BY id`, int64(tenantNumber), creator)
	if err != nil {
		return fmt.Errorf("revoke keys: %w", err)
	}
	for _, id := range ids {
		if err := setRevoked(ctx, tx, id, now); err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenantNumber, At: now, Actor: actor, Action: "key.revoke", Object: id, Detail: map[string]any{"createdBy": creator}}); err != nil {
			return err
		}
	}
	// Whoever reads the key between here and the end of the transaction keeps it for as long
	// as another process would.
	s.known.forget()
	return nil
}

// CarryOver lets the keys that creator made be theirs under another name, in a transaction
// of the caller's.
func (s *Service) CarryOver(ctx context.Context, tx *sqldb.DB, tenantNumber uint32, creator, now string) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE api_key SET created_by = $1 WHERE tenant = $2 AND created_by = $3`, now, int64(tenantNumber), creator); err != nil {
		return fmt.Errorf("carry keys over: %w", err)
	}
	return nil
}

// Get returns one key of the tenant, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenantNumber uint32, id string) (*Key, error) {
	k, err := get(ctx, s.db, tenantNumber, id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such key")
	}
	if err != nil {
		return nil, fmt.Errorf("get key: %w", err)
	}
	return &k, nil
}

// Filter chooses keys. Its zero value is the first page of all, newest first.
type Filter struct {
	Scopes   []Scope
	Statuses []Status
	Search   string // in the name, whatever the case

	Sort       Sort // "" means ByCreated
	Ascending  bool
	Page, Size int // Size 0 means 20
}

// A Sort is a field to sort by.
type Sort string

// The sort fields.
const (
	ByCreated Sort = "createdAt"
	ByName    Sort = "name"
	ByUsed    Sort = "lastUsedAt"
	ByExpiry  Sort = "expiresAt"
)

// Sorts lists the sort fields, the default first.
var Sorts = []string{string(ByCreated), string(ByName), string(ByUsed), string(ByExpiry)}

// List returns one page of the tenant's keys and how many match in all.
func (s *Service) List(ctx context.Context, tenantNumber uint32, f Filter) ([]Key, int64, error) {
	if f.Size == 0 {
		f.Size = 20
	}
	var keys []Key
	var total int64
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		keys, total, err = list(ctx, tx, tenantNumber, f, s.now())
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list keys: %w", err)
	}
	return keys, total, nil
}
