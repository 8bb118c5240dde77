package rule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Change is what somebody wants of a rule. Zero fields leave things as they are.
type Change struct {
	YAML     []byte  // a new text, for rules of the tenant's own
	Status   Status  // Create takes "" for On
	Staged   *bool   // only a Draft can be staged
	Severity *string // that holds for the tenant, whoever wrote the rule; "" is the text's own again
	Version  int64   // that the change was made on: another one is fault.Conflict
	Reason   string  // kept with the version and in the audit log
}

// MaxBulk is how many rules one Bulk may name.
const MaxBulk = 1000

const maxReason = 1000

func (c *Change) check() error {
	if c.YAML == nil && c.Status == "" && c.Staged == nil && c.Severity == nil {
		return fault.New(fault.Invalid, "Give at least one of status, staged, severity, yaml")
	}
	if c.Status != "" {
		st, err := ParseStatus(string(c.Status))
		if err != nil {
			return err
		}
		c.Status = st
	}
	if c.Severity != nil && *c.Severity != "" {
		severity := strings.ToLower(*c.Severity)
		if severity == "informational" {
			severity = "info"
		}
		if event.SeverityRank(severity) == 0 {
			return fault.New(fault.Invalid, "Allowed: %s; empty gives the rule its own again", strings.Join(event.Severities, ", ")).In("severity")
		}
		c.Severity = &severity
	}
	reason, err := checkText(c.Reason, "reason", maxReason)
	c.Reason = reason
	return err
}

// checkText bounds and tidies what somebody wrote.
func checkText(s, field string, limit int) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fault.New(fault.Invalid, "Allowed: UTF-8 text without NUL").In(field)
	}
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > limit {
		return "", fault.New(fault.Invalid, "Allowed: up to %d characters", limit).In(field)
	}
	return s, nil
}

// Create adds a rule of the tenant's own. An id that exists, as built in or as the
// tenant's own, is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, c Change) (*Detail, error) {
	if c.Status == "" {
		c.Status = On
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	m, err := s.read(c.YAML)
	if err != nil {
		return nil, err
	}
	if m.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("create rule: %w", err)
		}
		m.ID = id.String()
	}
	if m.Type == filterType && c.Status == On {
		if err := s.filterHarmless(ctx, tenant, string(c.YAML)); err != nil {
			return nil, fmt.Errorf("create rule: %w", err)
		}
	}
	return s.change(ctx, "create rule", tenant, m.ID, func(tx *sqldb.DB, now time.Time) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM rule WHERE tenant IN (0, $1) AND id = $2`, int64(tenant), m.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return fault.New(fault.Conflict, "a rule with id %s exists", m.ID).In("id")
		}
		if err := refersToKnown(ctx, tx, tenant, c.YAML); err != nil {
			return err
		}
		if err := insert(ctx, tx, now, tenant, actor, c.Reason, &m, string(c.YAML), c.Status); err != nil {
			return err
		}
		if err := record(ctx, tx, now, tenant, actor, "rule.create", m.ID, c.Reason, map[string]any{"name": m.Name, "status": c.Status}); err != nil {
			return err
		}
		rest := Change{Staged: c.Staged, Severity: c.Severity, Reason: c.Reason}
		if rest.Staged == nil && rest.Severity == nil {
			return nil
		}
		return s.apply(ctx, tx, now, tenant, actor, m.ID, &rest, nil)
	})
}

// Change changes what somebody wants of a rule that the tenant sees, all of it or
// nothing, and returns the rule as it then is.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, c Change) (*Detail, error) {
	m, err := s.prepare(id, &c)
	if err == nil {
		err = s.switchable(ctx, tenant, id, &c, m)
	}
	if err != nil {
		return nil, err
	}
	return s.change(ctx, "change rule", tenant, id, func(tx *sqldb.DB, now time.Time) error {
		return s.apply(ctx, tx, now, tenant, actor, id, &c, m)
	})
}

// switchable refuses a change after which a filter that runs would hide what is true;
// m is of its text.
func (s *Service) switchable(ctx context.Context, tenant uint32, id string, c *Change, m *Meta) error {
	if c.YAML == nil && c.Status != On {
		return nil
	}
	old, err := get(ctx, s.db, time.Now(), tenant, id)
	if err != nil {
		return fmt.Errorf("change rule: %w", err)
	}
	kind, text, runs := old.Type, old.YAML, c.Status == On || c.Status == "" && old.Status == On
	if m != nil {
		kind, text = m.Type, string(c.YAML)
	}
	if kind != filterType || !runs || old.Status == On && text == old.YAML {
		return nil
	}
	if err := s.filterHarmless(ctx, tenant, text); err != nil {
		return fmt.Errorf("change rule: %w", err)
	}
	return nil
}

// prepare checks c and reads its text, if it has one.
func (s *Service) prepare(id string, c *Change) (*Meta, error) {
	if err := c.check(); err != nil || c.YAML == nil {
		return nil, err
	}
	m, err := s.read(c.YAML)
	if err != nil {
		return nil, err
	}
	if m.ID != "" && m.ID != id {
		return nil, fault.New(fault.Invalid, "the text is of another rule: its id is %s", m.ID).In("id")
	}
	m.ID = id
	return &m, nil
}

// A BulkResult tells what became of one rule of a Bulk; Err is nil where it was changed.
type BulkResult struct {
	ID  string
	Err error // fault.NotFound, fault.Invalid where it cannot be staged, or fault.Conflict of a filter that hides too much
}

// Bulk makes one change of status, stage or severity to several rules in one
// transaction. Those that refuse it are named in the results and do not hinder the
// others; any other failure undoes all.
func (s *Service) Bulk(ctx context.Context, tenant uint32, actor string, ids []string, c Change) ([]BulkResult, error) {
	if len(ids) == 0 || len(ids) > MaxBulk {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d ids", MaxBulk).In("ids")
	}
	c.YAML, c.Version = nil, 0
	if err := c.check(); err != nil {
		return nil, err
	}
	results := make([]BulkResult, len(ids))
	for i, id := range ids {
		results[i].ID = id
		if c.Status == On {
			err := s.switchable(ctx, tenant, id, &c, nil)
			if err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Conflict) {
				return nil, err
			}
			results[i].Err = err
		}
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		for i, id := range ids {
			if errors.Is(results[i].Err, fault.Conflict) {
				continue
			}
			err := s.apply(ctx, tx, now, tenant, actor, id, &c, nil)
			if err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Invalid) {
				return err
			}
			results[i] = BulkResult{id, err}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("change rules: %w", err)
	}
	return results, nil
}

// apply makes the checked change c; m is of its text.
func (s *Service) apply(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, id string, c *Change, m *Meta) error {
	old, err := get(ctx, tx, now, tenant, id)
	if err != nil {
		return err
	}
	if c.Version != 0 && c.Version != old.Version {
		return fault.New(fault.Conflict, "the rule was changed meanwhile: it is at version %d", old.Version).In("version")
	}
	if err := setStage(ctx, tx, now, tenant, actor, old, c); err != nil {
		return err
	}
	if c.Severity != nil {
		if err := setSeverity(ctx, tx, now, tenant, actor, old, c); err != nil {
			return err
		}
	}
	if c.YAML == nil || old.YAML == string(c.YAML) {
		return nil
	}
	if old.Builtin {
		return errBuiltin
	}
	if err := refersToKnown(ctx, tx, tenant, c.YAML); err != nil {
		return err
	}
	if err := update(ctx, tx, now, tenant, actor, c.Reason, m, string(c.YAML)); err != nil {
		return err
	}
	// What an older text would have raised says nothing about this one.
	if err := forgetStaged(ctx, tx, tenant, id); err != nil {
		return err
	}
	return record(ctx, tx, now, tenant, actor, "rule.update", id, c.Reason, map[string]any{"version": old.Version + 1})
}

// setStage changes status and stage, if c does.
func setStage(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor string, old *Detail, c *Change) error {
	st, staged := old.Status, old.Staged
	if c.Status != "" {
		st = c.Status
		staged = staged && st == Draft
	}
	if c.Staged != nil {
		if *c.Staged && st != Draft {
			return fault.New(fault.Invalid, "Only a DRAFT can be staged: give status DRAFT with it").In("staged")
		}
		staged = *c.Staged
	}
	if st == old.Status && staged == old.Staged {
		return nil
	}
	if staged && !old.Staged {
		if err := forgetStaged(ctx, tx, tenant, old.ID); err != nil {
			return err
		}
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule_status (tenant, rule_id, status, staged, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, rule_id) DO UPDATE SET status = excluded.status, staged = excluded.staged, updated_at = excluded.updated_at`,
		int64(tenant), old.ID, string(st), staged, now.UnixMicro()); err != nil {
		return err
	}
	detail := map[string]any{"from": old.Status, "to": st}
	if staged || old.Staged {
		detail["staged"] = staged
	}
	return record(ctx, tx, now, tenant, actor, "rule.status", old.ID, c.Reason, detail)
}

// setSeverity gives a rule the tenant's severity, or its own again.
func setSeverity(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor string, old *Detail, c *Change) error {
	to := *c.Severity
	had, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT severity FROM rule_override WHERE tenant = $1 AND rule_id = $2`, int64(tenant), old.ID)
	if err != nil || strings.Join(had, "") == to {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO rule_override (tenant, rule_id, severity, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant, rule_id) DO UPDATE SET severity = excluded.severity, updated_at = excluded.updated_at`,
		int64(tenant), old.ID, to, now.UnixMicro()); err != nil {
		return err
	}
	if to == "" {
		to = old.TextSeverity
	}
	return record(ctx, tx, now, tenant, actor, "rule.severity", old.ID, c.Reason, map[string]any{"from": old.Severity, "to": to})
}

// record puts a change of a rule into the audit log.
func record(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, action, id, reason string, detail map[string]any) error {
	if reason != "" {
		detail = maps.Clone(detail)
		detail["reason"] = reason
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: action, Object: id, Detail: detail})
}
