package logsource

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Setting is a definition that a tenant keeps. Those of a lower priority decide
// before others, then older ones.
type Setting struct {
	ID       string
	Name     string
	Priority int64
	Enabled  bool
	Definition

	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
	Version              int64
}

// A Draft is what people give of a setting.
type Draft struct {
	Name     string
	Priority int64 // 0 to MaxPriority
	Enabled  bool
	Definition
}

// Bounds of a tenant's settings.
const (
	MaxSettings = 200
	MaxPriority = 1000
	maxName     = 100 // characters
)

func (d *Draft) check() error {
	d.Name = strings.TrimSpace(d.Name)
	switch n := utf8.RuneCountInString(d.Name); {
	case n < 1 || n > maxName || strings.ContainsFunc(d.Name, func(r rune) bool { return r < ' ' }):
		return fault.New(fault.Invalid, "Allowed: 1 to %d characters", maxName).In("name")
	case d.Priority < 0 || d.Priority > MaxPriority:
		return fault.New(fault.Invalid, "Allowed: 0 to %d", MaxPriority).In("priority")
	}
	_, err := d.Setting("")
	return err
}

const settingColumns = `SELECT id, name, priority, enabled, definition, created_at, created_by, updated_at, updated_by, version FROM log_source_setting `

func scanSetting(rows *sql.Rows, s *Setting) error {
	var text string
	if err := rows.Scan(&s.ID, &s.Name, &s.Priority, &s.Enabled, &text, sqldb.Micros(&s.CreatedAt), &s.CreatedBy, sqldb.Micros(&s.UpdatedAt), &s.UpdatedBy, &s.Version); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &s.Definition)
}

// Settings returns a tenant's settings in the order in which they decide.
func (s *Service) Settings(ctx context.Context, tenant uint32) ([]Setting, error) {
	list, err := settings(ctx, s.db, tenant)
	if err != nil {
		return nil, fmt.Errorf("list settings of log sources: %w", err)
	}
	return list, nil
}

func settings(ctx context.Context, db *sqldb.DB, tenant uint32) ([]Setting, error) {
	return sqldb.All(ctx, db, scanSetting, settingColumns+`WHERE tenant = $1 ORDER BY priority, id`, int64(tenant))
}

// Setting returns one setting, or fault.NotFound.
func (s *Service) Setting(ctx context.Context, tenant uint32, id string) (*Setting, error) {
	return setting(ctx, s.db, tenant, id)
}

func setting(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Setting, error) {
	x, err := sqldb.One(ctx, db, scanSetting, settingColumns+`WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such setting")
	}
	if err != nil {
		return nil, fmt.Errorf("get setting of log sources: %w", err)
	}
	return &x, nil
}

// CreateSetting adds a setting. It holds for records that are parsed from about a
// second on.
func (s *Service) CreateSetting(ctx context.Context, tenant uint32, actor string, d Draft) (x *Setting, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		x, err = s.create(ctx, tx, tenant, actor, d)
		return err
	})
	if err != nil {
		return nil, wrap("create setting of log sources", err)
	}
	s.refresh(ctx)
	return x, nil
}

func (s *Service) create(ctx context.Context, tx *sqldb.DB, tenant uint32, actor string, d Draft) (*Setting, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := bump(ctx, tx, tenant); err != nil {
		return nil, err
	}
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM log_source_setting WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, err
	}
	if n >= MaxSettings {
		return nil, fault.New(fault.Conflict, "there are %d settings, which is the most: remove one first", MaxSettings)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(d.Definition)
	if err != nil {
		return nil, err
	}
	now := s.options.Now()
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO log_source_setting (id, tenant, name, priority, enabled, definition, created_at, created_by, updated_at, updated_by, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8, 1)`, id.String(), int64(tenant), d.Name, d.Priority, d.Enabled, string(text), now.UnixMicro(), actor); err != nil {
		return nil, err
	}
	if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "log_source_setting.create", Object: id.String(), Detail: recorded(d)}); err != nil {
		return nil, err
	}
	return setting(ctx, tx, tenant, id.String())
}

// recorded is what the audit log holds of a draft.
func recorded(d Draft) map[string]any {
	return map[string]any{"name": d.Name, "priority": d.Priority, "enabled": d.Enabled, "definition": d.Definition}
}

// SetSetting replaces a setting, where version is not 0 only that one: another is
// fault.Conflict in field "version".
func (s *Service) SetSetting(ctx context.Context, tenant uint32, actor, id string, version int64, d Draft) (x *Setting, err error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(d.Definition)
	if err != nil {
		return nil, wrap("change setting of log sources", err)
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		before, err := setting(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if version != 0 && version != before.Version {
			return fault.New(fault.Conflict, "it has changed since: read it again").In("version")
		}
		now := s.options.Now()
		if _, err := sqldb.Exec(ctx, tx, `UPDATE log_source_setting SET name = $1, priority = $2, enabled = $3, definition = $4, updated_at = $5, updated_by = $6, version = version + 1
			WHERE tenant = $7 AND id = $8`, d.Name, d.Priority, d.Enabled, string(text), now.UnixMicro(), actor, int64(tenant), id); err != nil {
			return err
		}
		detail := recorded(d)
		detail["before"] = recorded(Draft{before.Name, before.Priority, before.Enabled, before.Definition})
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "log_source_setting.update", Object: id, Detail: detail}); err != nil {
			return err
		}
		x, err = setting(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return nil, wrap("change setting of log sources", err)
	}
	s.refresh(ctx)
	return x, nil
}

// DeleteSetting removes a setting; version as in SetSetting.
func (s *Service) DeleteSetting(ctx context.Context, tenant uint32, actor, id string, version int64) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		before, err := setting(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if version != 0 && version != before.Version {
			return fault.New(fault.Conflict, "it has changed since: read it again").In("version")
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM log_source_setting WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "log_source_setting.delete", Object: id, Detail: recorded(Draft{before.Name, before.Priority, before.Enabled, before.Definition}),
		})
	})
	if err != nil {
		return wrap("delete setting of log sources", err)
	}
	s.refresh(ctx)
	return nil
}

// bump raises the tenant's generation, which also makes changes pass one by one.
func bump(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO log_source_generation (tenant, generation) VALUES ($1, 1)
		ON CONFLICT (tenant) DO UPDATE SET generation = log_source_generation.generation + 1`, int64(tenant))
	return err
}

func wrap(what string, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fmt.Errorf("%s: %w", what, err)
}

// compiled is what a tenant's parsers apply.
type compiled struct {
	settings   *parse.Settings // nil: there are none
	generation int64
}

// For returns what parsers apply to records of a tenant: the same pointer until it
// changes, nil where nothing is set. It costs a look into memory.
func (s *Service) For(ctx context.Context, tenant uint32) (*parse.Settings, error) {
	s.mu.RLock()
	c, ok := s.tenants[tenant]
	s.mu.RUnlock()
	if ok {
		return c.settings, nil
	}
	return s.compile(ctx, tenant)
}

func (s *Service) compile(ctx context.Context, tenant uint32) (*parse.Settings, error) {
	var c compiled
	var list []Setting
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		generations, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT generation FROM log_source_generation WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if len(generations) > 0 {
			c.generation = generations[0]
		}
		list, err = settings(ctx, tx, tenant)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read settings of log sources: %w", err)
	}
	c.settings = s.apply(ctx, list)
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, ok := s.tenants[tenant]; ok && had.generation >= c.generation {
		return had.settings, nil
	}
	s.tenants[tenant] = c
	return c.settings, nil
}

func (s *Service) apply(ctx context.Context, list []Setting) *parse.Settings {
	var out []parse.Setting
	for i := range list {
		if !list[i].Enabled {
			continue
		}
		x, err := list[i].Setting(list[i].ID)
		if err != nil { // it was checked when it was saved: an older version took it
			s.options.Log.ErrorContext(ctx, "setting of log sources cannot be read: left out", "setting", list[i].ID, "err", err)
			continue
		}
		out = append(out, x)
	}
	return parse.NewSettings(out)
}

// refresh takes up what has changed.
func (s *Service) refresh(ctx context.Context) {
	s.mu.RLock()
	known := maps.Clone(s.tenants)
	s.mu.RUnlock()
	if len(known) == 0 {
		return
	}
	type change struct {
		tenant     uint32
		generation int64
	}
	now, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, c *change) error { return rows.Scan(&c.tenant, &c.generation) }, `SELECT tenant, generation FROM log_source_generation`)
	for _, c := range slices.Clip(now) {
		if had, ok := known[c.tenant]; err == nil && ok && had.generation < c.generation {
			_, err = s.compile(ctx, c.tenant)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.options.Log.WarnContext(ctx, "changed settings of log sources cannot be read: the old ones stay", "err", err)
	}
}
