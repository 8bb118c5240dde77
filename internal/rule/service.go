package rule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	db    *sqldb.DB
	check func(yaml []byte) (Meta, error)

	blind    HealthFunc
	problems ProblemFunc
	outcomes OutcomesFunc
}

// New returns the use cases on db. check reads a rule's text and tells what is wrong
// with it, as a fault.Invalid.
func New(db *sqldb.DB, check func(yaml []byte) (Meta, error)) *Service {
	return &Service{db: db, check: check}
}

const (
	builtin      = 0       // the tenant whose rules are everybody's
	maxYAML      = 1 << 20 // bytes
	maxNameRunes = 500
)

var errNoRule = fault.New(fault.NotFound, "no such rule")

// Sync makes the built-in rules be exactly these and returns how many it added,
// changed or removed. Several processes may call it at once.
func (s *Service) Sync(ctx context.Context, rules []Builtin) (changed int, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		changed = 0
		if err := hold(ctx, tx, builtin); err != nil {
			return err
		}
		type stored struct {
			yaml    string
			status  Status
			version int64
		}
		have := map[string]stored{}
		rows, err := sqldb.All(ctx, tx, func(rows *sql.Rows, r *Active) error {
			var v stored
			err := rows.Scan(&r.ID, &v.yaml, &v.version, &v.status)
			have[r.ID] = v
			return err
		}, `SELECT id, yaml, version, status FROM rule WHERE tenant = $1`, builtin)
		if err != nil {
			return err
		}
		now := time.Now()
		keep := map[string]bool{}
		for i := range rules {
			b := &rules[i]
			if b.Status == "" {
				b.Status = On
			}
			if err := b.valid(); err != nil {
				return fmt.Errorf("built-in rule %q: %w", b.ID, err)
			}
			if b.ID == "" || keep[b.ID] {
				return fmt.Errorf("built-in rule %q: its id is absent or not its own", b.Name)
			}
			keep[b.ID] = true
			old, ok := have[b.ID]
			if ok && old.yaml == b.YAML && old.status == b.Status {
				continue
			}
			changed++
			switch {
			case !ok:
				err = insert(ctx, tx, now, builtin, audit.System, &b.Meta, b.YAML, b.Status)
			case old.yaml != b.YAML:
				if err = update(ctx, tx, now, builtin, audit.System, &b.Meta, b.YAML); err == nil {
					err = setDefault(ctx, tx, b.ID, b.Status)
				}
			default:
				err = setDefault(ctx, tx, b.ID, b.Status)
			}
			if err != nil {
				return fmt.Errorf("built-in rule %q: %w", b.ID, err)
			}
		}
		for _, r := range rows {
			if keep[r.ID] {
				continue
			}
			changed++
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM rule WHERE tenant = $1 AND id = $2`, builtin, r.ID); err != nil {
				return err
			}
		}
		if changed == 0 {
			return nil
		}
		if err := bump(ctx, tx, builtin); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{At: now, Actor: audit.System, Action: "rule.sync", Detail: map[string]int{"changed": changed, "rules": len(rules)}})
	})
	if err != nil {
		return 0, fmt.Errorf("sync built-in rules: %w", err)
	}
	return changed, nil
}

func setDefault(ctx context.Context, tx *sqldb.DB, id string, st Status) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE rule SET status = $1 WHERE tenant = $2 AND id = $3`, string(st), builtin, id)
	return err
}

// valid checks and tidies what comes from a rule's text.
func (m *Meta) valid() error {
	m.Severity = strings.ToLower(m.Severity)
	if m.Severity == "informational" {
		m.Severity = "info"
	}
	for _, s := range []*string{&m.ID, &m.Name, &m.Description, &m.Author, &m.Type, &m.Source, &m.License, &m.Origin, &m.Pack} {
		*s = strings.ReplaceAll(strings.ToValidUTF8(*s, "\uFFFD"), "\x00", "\uFFFD")
	}
	tactics := make([]string, len(m.Tactics))
	for i, t := range m.Tactics {
		tactics[i] = Tactic(t)
	}
	m.Tactics = tactics
	switch {
	case m.Name == "" || utf8.RuneCountInString(m.Name) > maxNameRunes:
		return fault.New(fault.Invalid, "A rule needs a title of up to %d characters", maxNameRunes).In("title")
	case event.SeverityRank(m.Severity) == 0:
		return fault.New(fault.Invalid, "Allowed: critical, high, medium, low, informational").In("level")
	case len(m.ID) > 200 || strings.ContainsAny(m.ID, " \n\t/"):
		return fault.New(fault.Invalid, "An id has up to 200 characters, no blanks and no slash").In("id")
	}
	return nil
}

func (s *Service) read(yaml []byte) (Meta, error) {
	if len(yaml) > maxYAML {
		return Meta{}, fault.New(fault.TooLarge, "a rule has at most %d bytes", maxYAML)
	}
	if !utf8.Valid(yaml) || slices.Contains(yaml, 0) {
		return Meta{}, fault.New(fault.Invalid, "a rule is valid UTF-8 without NUL").In("yaml")
	}
	m, err := s.check(yaml)
	if err == nil {
		err = m.valid()
	}
	return m, err
}

// Create adds a rule of the tenant's own. An id that exists, as built in or as the
// tenant's own, is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, yaml []byte, st Status) (*Detail, error) {
	m, err := s.read(yaml)
	if err != nil {
		return nil, err
	}
	if st, err = ParseStatus(string(st)); err != nil {
		return nil, err
	}
	if m.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("create rule: %w", err)
		}
		m.ID = id.String()
	}
	return s.change(ctx, "create rule", tenant, m.ID, func(tx *sqldb.DB, now time.Time) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM rule WHERE tenant IN (0, $1) AND id = $2`, int64(tenant), m.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.New(fault.Conflict, "a rule with id %s exists", m.ID).In("id")
		}
		if err := insert(ctx, tx, now, tenant, actor, &m, string(yaml), st); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "rule.create", Object: m.ID, Detail: map[string]any{"name": m.Name, "status": st}})
	})
}

// Update gives a rule of the tenant's own a new text, whose id must be absent or the
// same. version, unless 0, is the Version it was made on; another one is fault.Conflict.
func (s *Service) Update(ctx context.Context, tenant uint32, actor, id string, yaml []byte, version int64) (*Detail, error) {
	m, err := s.read(yaml)
	if err != nil {
		return nil, err
	}
	if m.ID != "" && m.ID != id {
		return nil, fault.New(fault.Invalid, "the text is of another rule: its id is %s", m.ID).In("id")
	}
	m.ID = id
	return s.change(ctx, "update rule", tenant, id, func(tx *sqldb.DB, now time.Time) error {
		old, err := s.own(ctx, tx, now, tenant, id)
		if err != nil {
			return err
		}
		if version != 0 && version != old.Version {
			return fault.New(fault.Conflict, "the rule was changed meanwhile: it is at version %d", old.Version).In("version")
		}
		if old.YAML == string(yaml) {
			return nil
		}
		if err := update(ctx, tx, now, tenant, actor, &m, string(yaml)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "rule.update", Object: id, Detail: map[string]any{"version": old.Version + 1}})
	})
}

// SetStatus turns a rule on or off for the tenant.
func (s *Service) SetStatus(ctx context.Context, tenant uint32, actor, id string, st Status) (*Detail, error) {
	st, err := ParseStatus(string(st))
	if err != nil {
		return nil, err
	}
	return s.change(ctx, "set status of rule", tenant, id, func(tx *sqldb.DB, now time.Time) error {
		old, err := get(ctx, tx, now, tenant, id)
		if err != nil || old.Status == st {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO rule_status (tenant, rule_id, status, updated_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant, rule_id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
			int64(tenant), id, string(st), now.UnixMicro()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "rule.status", Object: id, Detail: map[string]any{"from": old.Status, "to": st}})
	})
}

// Delete removes a rule of the tenant's own; its versions stay.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		if _, err := s.own(ctx, tx, now, tenant, id); err != nil {
			return err
		}
		for _, query := range []string{`DELETE FROM rule WHERE tenant = $1 AND id = $2`, `DELETE FROM rule_status WHERE tenant = $1 AND rule_id = $2`} {
			if _, err := sqldb.Exec(ctx, tx, query, int64(tenant), id); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "rule.delete", Object: id})
	})
	if err != nil {
		return fmt.Errorf("delete rule: %w", err)
	}
	return nil
}

// change runs f in a transaction of its own among those that change the tenant's
// rules, and returns the rule as it then is.
func (s *Service) change(ctx context.Context, doing string, tenant uint32, id string, f func(tx *sqldb.DB, now time.Time) error) (*Detail, error) {
	var d *Detail
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		if err := f(tx, now); err != nil {
			return err
		}
		var err error
		d, err = get(ctx, tx, now, tenant, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return d, nil
}

// own returns a rule that the tenant may change.
func (s *Service) own(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, id string) (*Detail, error) {
	d, err := get(ctx, tx, now, tenant, id)
	if err == nil && d.Builtin {
		err = fault.New(fault.Forbidden, "a built-in rule cannot be changed: turn it off and create your own")
	}
	return d, err
}

// hold makes writers of a tenant's rules wait for each other, or start anew.
func hold(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_generation (tenant, n) VALUES ($1, 0) ON CONFLICT (tenant) DO UPDATE SET n = rule_generation.n`, int64(tenant))
	return err
}

func bump(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_generation (tenant, n) VALUES ($1, 1) ON CONFLICT (tenant) DO UPDATE SET n = rule_generation.n + 1`, int64(tenant))
	return err
}

func insert(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor string, m *Meta, yaml string, st Status) error {
	// A removed rule that comes back goes on counting.
	version, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COALESCE(max(version), 0) + 1 FROM rule_version WHERE tenant = $1 AND rule_id = $2`, int64(tenant), m.ID)
	if err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule (tenant, id, version, yaml, name, description, author, severity, type, source, tactics, techniques, folded, license, origin, pack, status, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)`,
		int64(tenant), m.ID, version, yaml, m.Name, m.Description, m.Author, m.Severity, m.Type, m.Source, blanks(m.Tactics), blanks(m.Techniques), foldedOf(m), m.License, m.Origin, m.Pack, string(st), now.UnixMicro()); err != nil {
		return err
	}
	return addVersion(ctx, tx, now, tenant, actor, m.ID, version, yaml)
}

func update(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor string, m *Meta, yaml string) error {
	version, err := sqldb.One(ctx, tx, sqldb.Value[int64], `
		UPDATE rule SET version = version + 1, yaml = $3, name = $4, description = $5, author = $6, severity = $7, type = $8, source = $9,
			tactics = $10, techniques = $11, folded = $12, updated_at = $13, license = $14,
			origin = CASE WHEN $15 = '' THEN origin ELSE $15 END, pack = CASE WHEN $16 = '' THEN pack ELSE $16 END
		WHERE tenant = $1 AND id = $2 RETURNING version`,
		int64(tenant), m.ID, yaml, m.Name, m.Description, m.Author, m.Severity, m.Type, m.Source, blanks(m.Tactics), blanks(m.Techniques), foldedOf(m), now.UnixMicro(), m.License, m.Origin, m.Pack)
	if err != nil {
		return err
	}
	return addVersion(ctx, tx, now, tenant, actor, m.ID, version, yaml)
}

func addVersion(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, id string, version int64, yaml string) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_version (tenant, rule_id, version, at, actor, yaml) VALUES ($1, $2, $3, $4, $5, $6)`,
		int64(tenant), id, version, now.UnixMicro(), actor, yaml)
	return err
}

// Get returns a rule that the tenant sees, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	d, err := get(ctx, s.db, time.Now(), tenant, id)
	if err != nil {
		return nil, fmt.Errorf("get rule: %w", err)
	}
	return d, nil
}

func get(ctx context.Context, db *sqldb.DB, now time.Time, tenant uint32, id string) (*Detail, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNoRule
	}
	d, err := sqldb.One(ctx, db, func(rows *sql.Rows, d *Detail) error { return d.scan(rows, &d.YAML) },
		selectRule(`, r.yaml`)+` AND r.id = $3 ORDER BY r.tenant DESC`, int64(tenant), hourOf(now)-23, id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoRule
	}
	return &d, err
}

// Versions returns every text that the rule had, the newest first.
func (s *Service) Versions(ctx context.Context, tenant uint32, id string) ([]Version, error) {
	var all []Version
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		d, err := get(ctx, tx, time.Now(), tenant, id)
		if err != nil {
			return err
		}
		owner := int64(tenant)
		if d.Builtin {
			owner = builtin
		}
		all, err = sqldb.All(ctx, tx, func(rows *sql.Rows, v *Version) error {
			return rows.Scan(&v.Version, sqldb.Micros(&v.At), &v.Actor, &v.YAML)
		}, `SELECT version, at, actor, yaml FROM rule_version WHERE tenant = $1 AND rule_id = $2 ORDER BY version DESC`, owner, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get versions of rule: %w", err)
	}
	return all, nil
}
