package privacy

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/mask"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A ParseFunc tells the fields of record i of c, source and host among them, as the
// server's parsers read it. It is called by one goroutine at a time for each tenant.
// An error means that they cannot be told now: the record must wait.
type ParseFunc func(ctx context.Context, c *queue.Chunk, i int, yield func(name, value string)) error

// A Service is the use cases and the masking itself. It is safe for use by several
// goroutines.
type Service struct {
	db        *sqldb.DB
	seal      *seal.Sealer
	newParser func() ParseFunc
	now       func() time.Time

	policies atomic.Pointer[map[uint32]*policy]
	loading  sync.Mutex
	loaded   int64    // the generation of policies, under loading
	counts   sync.Map // tenant number → *counts
}

// New returns the use cases. newParser makes one parser for each tenant that needs it.
func New(db *sqldb.DB, sealer *seal.Sealer, newParser func() ParseFunc, now func() time.Time) *Service {
	s := &Service{db: db, seal: sealer, newParser: newParser, now: now, loaded: -1}
	s.policies.Store(&map[uint32]*policy{})
	return s
}

var errNone = fault.New(fault.NotFound, "no such masking rule")

const columns = `SELECT id, tenant, name, enabled, action, patterns, fields, source, host, version, created_at, created_by, updated_at, updated_by FROM masking_rule`

func scan(rows *sql.Rows, r *Rule) error {
	var patterns, fields string
	err := rows.Scan(&r.ID, &r.Tenant, &r.Name, &r.Enabled, &r.Action, &patterns, &fields, &r.Source, &r.Host, &r.Version,
		sqldb.Micros(&r.CreatedAt), &r.CreatedBy, sqldb.Micros(&r.UpdatedAt), &r.UpdatedBy)
	if err != nil {
		return err
	}
	return errors.Join(json.Unmarshal([]byte(patterns), &r.Patterns), json.Unmarshal([]byte(fields), &r.Fields))
}

// List returns the tenant's rules, at most maxRules.
func (s *Service) List(ctx context.Context, tenant uint32, sort string, ascending bool) ([]Rule, error) {
	all, err := sqldb.All(ctx, s.db, scan, columns+` WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, fmt.Errorf("list masking rules: %w", err)
	}
	order(all, sort, ascending)
	return all, nil
}

// Get returns one rule of the tenant, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Rule, error) {
	r, err := get(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("get masking rule: %w", err)
	}
	return r, nil
}

func get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Rule, error) {
	r, err := sqldb.One(ctx, db, scan, columns+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	return &r, err
}

// texts returns the lists of d as they are stored.
func (d *Draft) texts() (patterns, fields string, err error) {
	p, err1 := json.Marshal(d.Patterns)
	f, err2 := json.Marshal(d.Fields)
	return string(p), string(f), errors.Join(err1, err2)
}

func (d *Draft) detail() map[string]any {
	return map[string]any{"name": d.Name, "enabled": d.Enabled, "action": d.Action, "patterns": d.Patterns, "fields": d.Fields, "source": d.Source, "host": d.Host}
}

// Create adds a rule. It is in effect when Create returns, in other processes within a
// second.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, d Draft) (*Rule, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("create masking rule: %w", err)
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	r := &Rule{Draft: d, ID: id.String(), Tenant: tenant, Version: 1, CreatedAt: now, CreatedBy: actor, UpdatedAt: now, UpdatedBy: actor}
	err = s.change(ctx, tenant, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM masking_rule WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxRules {
			return fault.New(fault.Conflict, "the tenant has %d masking rules: join or delete some first", n)
		}
		patterns, fields, err := d.texts()
		if err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO masking_rule (id, tenant, name, enabled, action, patterns, fields, source, host, version, created_at, created_by, updated_at, updated_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $10, $11)`,
			r.ID, int64(tenant), d.Name, d.Enabled, string(d.Action), patterns, fields, d.Source, d.Host, now.UnixMicro(), actor)
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "maskingRule.create", Object: r.ID, Detail: d.detail()})
	})
	if sqldb.Violation(err) == sqldb.ForeignKey {
		return nil, fault.New(fault.NotFound, "no such tenant")
	}
	if err != nil {
		return nil, fmt.Errorf("create masking rule: %w", err)
	}
	return r, nil
}

// Update replaces what people decide of a rule; edit gets it as it is. version is the
// one that the caller has seen, 0 for any; another is fault.Conflict.
func (s *Service) Update(ctx context.Context, tenant uint32, actor, id string, version int64, edit func(*Draft)) (*Rule, error) {
	var r *Rule
	err := s.change(ctx, tenant, func(tx *sqldb.DB) error {
		var err error
		if r, err = get(ctx, tx, tenant, id); err != nil {
			return err
		}
		if version != 0 && version != r.Version {
			return fault.New(fault.Conflict, "the rule has changed since").In("version")
		}
		before := r.detail()
		edit(&r.Draft)
		if err := r.check(); err != nil {
			return err
		}
		r.Version++
		r.UpdatedAt, r.UpdatedBy = s.now().UTC().Truncate(time.Microsecond), actor
		patterns, fields, err := r.texts()
		if err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `
			UPDATE masking_rule SET name = $1, enabled = $2, action = $3, patterns = $4, fields = $5, source = $6, host = $7, version = version + 1, updated_at = $8, updated_by = $9
			WHERE tenant = $10 AND id = $11 AND version = $12`,
			r.Name, r.Enabled, string(r.Action), patterns, fields, r.Source, r.Host, r.UpdatedAt.UnixMicro(), actor, int64(tenant), id, r.Version-1)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "the rule has changed since").In("version")
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: r.UpdatedAt, Actor: actor, Action: "maskingRule.update", Object: id, Detail: map[string]any{"before": before, "after": r.detail()},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("update masking rule: %w", err)
	}
	return r, nil
}

// Delete removes a rule. What it masked stays masked.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.change(ctx, tenant, func(tx *sqldb.DB) error {
		r, err := get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM masking_rule WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "maskingRule.delete", Object: id, Detail: r.detail()})
	})
	if err != nil {
		return fmt.Errorf("delete masking rule: %w", err)
	}
	return nil
}

// change runs f in a transaction that raises the tenant's generation, and loads the
// rules anew.
func (s *Service) change(ctx context.Context, tenant uint32, f func(tx *sqldb.DB) error) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails, see its documentation
		sealed := base64.StdEncoding.EncodeToString(s.seal.Seal(tenant, keyPurpose, key))
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO masking_tenant (tenant, sealed_key, generation) VALUES ($1, $2, 1)
			ON CONFLICT (tenant) DO UPDATE SET generation = masking_tenant.generation + 1`, int64(tenant), sealed)
		if err != nil {
			return err
		}
		return f(tx)
	})
	if err != nil {
		return err
	}
	return s.Load(context.WithoutCancel(ctx))
}

const keyPurpose = "masking"

// key returns the tenant's key for hashes.
func (s *Service) key(ctx context.Context, db *sqldb.DB, tenant uint32) ([]byte, error) {
	text, err := sqldb.One(ctx, db, sqldb.Value[string], `SELECT sealed_key FROM masking_tenant WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return make([]byte, 32), nil // of a tenant that has no rules yet: for previews alone
	}
	if err != nil {
		return nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("key for hashes of tenant %d: %w", tenant, err)
	}
	return s.seal.Open(tenant, keyPurpose, sealed)
}

// Counts returns how many values were masked for the tenant, by pattern or "field",
// and under "missed" how many of named fields did not stand in the text.
func (s *Service) Counts(ctx context.Context, tenant uint32) (map[string]int64, error) {
	out := map[string]int64{missed: 0}
	for k := range mask.Kinds {
		out[k.String()] = 0
	}
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	type row struct {
		kind string
		n    int64
	}
	rows, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.kind, &r.n) },
		`SELECT kind, n FROM masking_count WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, fmt.Errorf("count what was masked: %w", err)
	}
	for _, r := range rows {
		out[r.kind] = r.n
	}
	return out, nil
}
