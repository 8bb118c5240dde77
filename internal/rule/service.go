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
	silences SilencesFunc
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
			license string
		}
		have := map[string]stored{}
		rows, err := sqldb.All(ctx, tx, func(rows *sql.Rows, r *Active) error {
			var v stored
			err := rows.Scan(&r.ID, &v.yaml, &v.license, &v.status)
			have[r.ID] = v
			return err
		}, `SELECT id, yaml, license, status FROM rule WHERE tenant = $1`, builtin)
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
			if ok && old.yaml == b.YAML && old.status == b.Status && old.license == b.License {
				continue
			}
			changed++
			switch {
			case !ok:
				err = insert(ctx, tx, now, builtin, audit.System, "", &b.Meta, b.YAML, b.Status)
			case old.yaml != b.YAML:
				if err = update(ctx, tx, now, builtin, audit.System, "", &b.Meta, b.YAML); err == nil {
					err = setDefault(ctx, tx, b)
				}
			default:
				err = setDefault(ctx, tx, b)
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

// setDefault sets what is no version of the text.
func setDefault(ctx context.Context, tx *sqldb.DB, b *Builtin) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE rule SET status = $1, license = $2 WHERE tenant = $3 AND id = $4`, string(b.Status), b.License, builtin, b.ID)
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

// Delete removes a rule of the tenant's own and its exceptions; its versions stay.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		old, err := get(ctx, tx, now, tenant, id)
		if err != nil {
			return err
		}
		if old.Builtin {
			return errBuiltin
		}
		if err := forgetStaged(ctx, tx, tenant, id); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM rule WHERE tenant = $1 AND id = $2`, `DELETE FROM rule_status WHERE tenant = $1 AND rule_id = $2`,
			`DELETE FROM rule_override WHERE tenant = $1 AND rule_id = $2`, `DELETE FROM rule_exception WHERE tenant = $1 AND rule_id = $2`,
		} {
			if _, err := sqldb.Exec(ctx, tx, query, int64(tenant), id); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "rule.delete", Object: id, Detail: map[string]any{"name": old.Name}})
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
	if err == nil {
		err = s.judgeOne(ctx, tenant, d)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return d, nil
}

var errBuiltin = fault.New(fault.Forbidden, "a built-in rule cannot be changed: turn it off and create your own")

// hold makes writers of a tenant's rules wait for each other, or start anew.
func hold(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_generation (tenant, n) VALUES ($1, 0) ON CONFLICT (tenant) DO UPDATE SET n = rule_generation.n`, int64(tenant))
	return err
}

func bump(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_generation (tenant, n) VALUES ($1, 1) ON CONFLICT (tenant) DO UPDATE SET n = rule_generation.n + 1`, int64(tenant))
	return err
}

func insert(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, reason string, m *Meta, yaml string, st Status) error {
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
	return addVersion(ctx, tx, now, tenant, actor, reason, m.ID, version, yaml)
}

func update(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, reason string, m *Meta, yaml string) error {
	version, err := sqldb.One(ctx, tx, sqldb.Value[int64], `
		UPDATE rule SET version = version + 1, yaml = $3, name = $4, description = $5, author = $6, severity = $7, type = $8, source = $9,
			tactics = $10, techniques = $11, folded = $12, updated_at = $13, license = CASE WHEN $14 = '' THEN license ELSE $14 END,
			origin = CASE WHEN $15 = '' THEN origin ELSE $15 END, pack = CASE WHEN $16 = '' THEN pack ELSE $16 END
		WHERE tenant = $1 AND id = $2 RETURNING version`,
		int64(tenant), m.ID, yaml, m.Name, m.Description, m.Author, m.Severity, m.Type, m.Source, blanks(m.Tactics), blanks(m.Techniques), foldedOf(m), now.UnixMicro(), m.License, m.Origin, m.Pack)
	if err != nil {
		return err
	}
	return addVersion(ctx, tx, now, tenant, actor, reason, m.ID, version, yaml)
}

func addVersion(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, reason, id string, version int64, yaml string) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO rule_version (tenant, rule_id, version, at, actor, reason, yaml) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		int64(tenant), id, version, now.UnixMicro(), actor, reason, yaml)
	return err
}

// Get returns a rule that the tenant sees, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	d, err := get(ctx, s.db, time.Now(), tenant, id)
	if err == nil {
		err = s.judgeOne(ctx, tenant, d)
	}
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
		selectRule(now, `, r.yaml`)+` AND r.id = $3 ORDER BY r.tenant DESC`, int64(tenant), hourOf(now)-23, id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoRule
	}
	return &d, err
}
