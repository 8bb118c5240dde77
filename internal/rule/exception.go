package rule

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Exception silences a rule for some events.
type Exception struct {
	ID        string // UUIDv7
	RuleID    string
	RuleName  string // "" where the rule is gone
	Scope     Scope
	Sigma     string // the filter that Scope comes to
	Reason    string
	Owner     string // who answers for it
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
	ExpiresAt *time.Time // nil: never
	Expired   bool
	Hits      int64 // events that it silenced
	LastHitAt *time.Time
	Version   int64 // counts people's changes, from 1
}

// An ExceptionDraft is what somebody wants of an exception. In a change, zero fields
// leave things as they are.
type ExceptionDraft struct {
	Scope     *Scope
	Reason    string // needed
	Owner     string // the actor, if ""
	ExpiresAt *time.Time
	Forever   bool  // in a change: takes ExpiresAt away
	Version   int64 // in a change: that it was made on; another one is fault.Conflict
}

// A Preview tells what an exception would have silenced of what its rule raised.
type Preview struct {
	Sigma          string // the filter that the scope comes to
	Alerts         int64  // of the rule, in all
	Examined       int    // the newest of them, and those marked true positive
	Hidden         int    // examined alerts that would not be there
	Reduced        int    // that would have fewer events
	Events         int64  // examined
	EventsSilenced int64
	List           []SilencedAlert // those hidden or reduced, true positives first, then the newest first
}

// A SilencedAlert is an alert that an exception would have changed.
type SilencedAlert struct {
	ID, Title, Severity, Status, Verdict string
	CreatedAt                            time.Time
	TruePositive                         bool
	Hidden                               bool // it would not be there; else it would have fewer events
	Events, EventsSilenced               int64
	ByEntities                           bool // judged by its entities: its events are no longer stored
}

// A SilencesFunc tries a filter on what the rule of that text raised.
type SilencesFunc func(ctx context.Context, tenant uint32, ruleID, yaml, filter string) (*Preview, error)

// SetSilences says how to learn what an exception would silence. Call it before the
// service is used; without it no exception can be made.
func (s *Service) SetSilences(f SilencesFunc) { s.silences = f }

// Bounds of exceptions.
const (
	maxExceptions  = 200 // of one rule and tenant
	maxOwner       = 200
	maxExceptionIn = 10 * 366 * 24 * time.Hour
)

var errNoException = fault.New(fault.NotFound, "no such exception")

func (d *ExceptionDraft) check(now time.Time) error {
	var err error
	if d.Reason, err = checkText(d.Reason, "reason", maxReason); err != nil {
		return err
	}
	if d.Owner, err = checkText(d.Owner, "owner", maxOwner); err != nil {
		return err
	}
	if at := d.ExpiresAt; at != nil {
		if !at.After(now) || at.Sub(now) > maxExceptionIn {
			return fault.New(fault.Invalid, "Allowed: a time to come, at most 10 years from now").In("expiresAt")
		}
		at := at.UTC().Truncate(time.Microsecond)
		d.ExpiresAt = &at
	}
	return nil
}

// PreviewException tells what an exception of that scope would silence.
func (s *Service) PreviewException(ctx context.Context, tenant uint32, ruleID string, scope Scope) (*Preview, error) {
	d, err := s.Get(ctx, tenant, ruleID)
	if err != nil {
		return nil, err
	}
	return s.preview(ctx, tenant, d, &scope)
}

func (s *Service) preview(ctx context.Context, tenant uint32, d *Detail, scope *Scope) (*Preview, error) {
	if d.Type == filterType {
		return nil, fault.New(fault.Invalid, "A filter raises nothing that could be silenced: change its text")
	}
	filter, err := scope.Sigma(d.ID)
	if err != nil {
		return nil, err
	}
	if s.silences == nil {
		return nil, fault.New(fault.Unavailable, "what an exception would silence cannot be told here")
	}
	p, err := s.silences(ctx, tenant, d.ID, d.YAML, filter)
	if err != nil {
		return nil, fmt.Errorf("preview exception: %w", err)
	}
	p.Sigma = filter
	return p, nil
}

// harmless refuses what would hide a true positive, and returns the filter.
func (s *Service) harmless(ctx context.Context, tenant uint32, d *Detail, scope *Scope) (string, error) {
	p, err := s.preview(ctx, tenant, d, scope)
	if err != nil {
		return "", err
	}
	return p.Sigma, p.refusal("the exception", "scope")
}

// refusal is a fault.Conflict where a true positive would be hidden, naming it.
func (p *Preview) refusal(what, field string) error {
	var hidden []string
	for _, a := range p.List {
		if a.TruePositive && a.Hidden {
			hidden = append(hidden, fmt.Sprintf("%s (%s)", a.ID, a.Title))
		}
	}
	const named = 3
	switch n := len(hidden); {
	case n == 0:
		return nil
	case n > named:
		hidden = append(hidden[:named], fmt.Sprintf("and %d more", n-named))
	}
	return fault.New(fault.Conflict, "%s would hide alerts that are marked true positive: %s. Make it narrower, or correct the verdict", what, strings.Join(hidden, ", ")).In(field)
}

// CreateException adds an exception to a rule that the tenant sees. One that would
// hide an alert marked true positive is fault.Conflict.
func (s *Service) CreateException(ctx context.Context, tenant uint32, actor, ruleID string, draft ExceptionDraft) (*Exception, error) {
	now := time.Now()
	if err := draft.check(now); err != nil {
		return nil, err
	}
	if draft.Reason == "" {
		return nil, fault.New(fault.Invalid, "Say why: whoever meets the exception in a year must know").In("reason")
	}
	if draft.Scope == nil {
		draft.Scope = &Scope{}
	}
	if draft.Owner == "" {
		draft.Owner = actor
	}
	d, err := s.Get(ctx, tenant, ruleID)
	if err != nil {
		return nil, err
	}
	filter, err := s.harmless(ctx, tenant, d, draft.Scope)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("create exception: %w", err)
	}
	return s.changeException(ctx, "create exception", tenant, id.String(), func(tx *sqldb.DB, now time.Time) error {
		if _, err := get(ctx, tx, now, tenant, ruleID); err != nil {
			return err
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM rule_exception WHERE tenant = $1 AND rule_id = $2`, int64(tenant), ruleID)
		if err != nil {
			return err
		}
		if n >= maxExceptions {
			return fault.New(fault.Conflict, "a rule has at most %d exceptions: join some, or change the rule", maxExceptions)
		}
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO rule_exception (id, tenant, rule_id, kind, scope, yaml, reason, owner, created_by, created_at, updated_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)`,
			id.String(), int64(tenant), ruleID, draft.Scope.Kind(), asJSON(draft.Scope), filter, draft.Reason, draft.Owner, actor, now.UnixMicro(), sqldb.Nullable(draft.ExpiresAt)); err != nil {
			return err
		}
		return record(ctx, tx, now, tenant, actor, "rule.exception.create", ruleID, draft.Reason, map[string]any{
			"exception": id.String(), "scope": draft.Scope, "owner": draft.Owner, "expiresAt": draft.ExpiresAt,
		})
	})
}

// ChangeException changes the tenant's exception. A change that would hide an alert
// marked true positive is fault.Conflict.
func (s *Service) ChangeException(ctx context.Context, tenant uint32, actor, id string, draft ExceptionDraft) (*Exception, error) {
	if draft.Scope == nil && draft.Reason == "" && draft.Owner == "" && draft.ExpiresAt == nil && !draft.Forever {
		return nil, fault.New(fault.Invalid, "Give at least one of scope, reason, owner, expiresAt")
	}
	if err := draft.check(time.Now()); err != nil {
		return nil, err
	}
	old, err := s.GetException(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	scope := &old.Scope
	if draft.Scope != nil {
		scope = draft.Scope
	}
	filter := old.Sigma
	// A longer life silences more: verdicts may have come since.
	if draft.Scope != nil || draft.ExpiresAt != nil || draft.Forever {
		d, err := s.Get(ctx, tenant, old.RuleID)
		if err != nil {
			return nil, err
		}
		if filter, err = s.harmless(ctx, tenant, d, scope); err != nil {
			return nil, err
		}
	}
	return s.changeException(ctx, "change exception", tenant, id, func(tx *sqldb.DB, now time.Time) error {
		was, err := getException(ctx, tx, now, tenant, id)
		if err != nil {
			return err
		}
		if was.Version != old.Version || draft.Version != 0 && draft.Version != was.Version {
			return fault.New(fault.Conflict, "the exception was changed meanwhile: it is at version %d", was.Version).In("version")
		}
		x := *was
		x.Scope = *scope
		if draft.Reason != "" {
			x.Reason = draft.Reason
		}
		if draft.Owner != "" {
			x.Owner = draft.Owner
		}
		if draft.ExpiresAt != nil || draft.Forever {
			x.ExpiresAt = draft.ExpiresAt
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE rule_exception SET kind = $3, scope = $4, yaml = $5, reason = $6, owner = $7, expires_at = $8, updated_at = $9, version = version + 1
			WHERE tenant = $1 AND id = $2`,
			int64(tenant), id, scope.Kind(), asJSON(scope), filter, x.Reason, x.Owner, sqldb.Nullable(x.ExpiresAt), now.UnixMicro()); err != nil {
			return err
		}
		return record(ctx, tx, now, tenant, actor, "rule.exception.update", was.RuleID, draft.Reason, map[string]any{
			"exception": id, "from": was.settings(), "to": x.settings(),
		})
	})
}

// settings are what people decide of x, for the audit log.
func (x *Exception) settings() map[string]any {
	return map[string]any{"scope": x.Scope, "reason": x.Reason, "owner": x.Owner, "expiresAt": x.ExpiresAt}
}

// DeleteException removes the tenant's exception: its rule speaks again.
func (s *Service) DeleteException(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		old, err := getException(ctx, tx, now, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM rule_exception WHERE tenant = $1 AND id = $2`, int64(tenant), id); err != nil {
			return err
		}
		detail := old.settings()
		detail["exception"], detail["hits"] = id, old.Hits
		return record(ctx, tx, now, tenant, actor, "rule.exception.delete", old.RuleID, "", detail)
	})
	if err != nil {
		return fmt.Errorf("delete exception: %w", err)
	}
	return nil
}

// changeException runs f as change does, and returns the exception as it then is.
func (s *Service) changeException(ctx context.Context, doing string, tenant uint32, id string, f func(tx *sqldb.DB, now time.Time) error) (*Exception, error) {
	var x *Exception
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		if err := f(tx, now); err != nil {
			return err
		}
		var err error
		x, err = getException(ctx, tx, now, tenant, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return x, nil
}

// GetException returns the tenant's exception, or fault.NotFound.
func (s *Service) GetException(ctx context.Context, tenant uint32, id string) (*Exception, error) {
	x, err := getException(ctx, s.db, time.Now(), tenant, id)
	if err != nil {
		return nil, fmt.Errorf("get exception: %w", err)
	}
	return x, nil
}

const selectException = `SELECT x.id, x.rule_id, COALESCE((SELECT max(r.name) FROM rule r WHERE r.id = x.rule_id AND (r.tenant = $1 OR r.tenant = 0)), ''),
	x.scope, x.yaml, x.reason, x.owner, x.created_by, x.created_at, x.updated_at, x.expires_at, COALESCE(x.expires_at <= $2, FALSE), x.hits, x.last_hit_at, x.version`

const fromException = ` FROM rule_exception x WHERE x.tenant = $1`

func (x *Exception) scan(rows *sql.Rows) error {
	var scope string
	if err := rows.Scan(&x.ID, &x.RuleID, &x.RuleName, &scope, &x.Sigma, &x.Reason, &x.Owner, &x.CreatedBy, sqldb.Micros(&x.CreatedAt), sqldb.Micros(&x.UpdatedAt),
		sqldb.MicrosOrNull(&x.ExpiresAt), &x.Expired, &x.Hits, sqldb.MicrosOrNull(&x.LastHitAt), &x.Version); err != nil {
		return err
	}
	return json.Unmarshal([]byte(scope), &x.Scope)
}

func getException(ctx context.Context, db *sqldb.DB, now time.Time, tenant uint32, id string) (*Exception, error) {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNoException
	}
	x, err := sqldb.One(ctx, db, func(rows *sql.Rows, x *Exception) error { return x.scan(rows) },
		selectException+fromException+` AND x.id = $3`, int64(tenant), now.UnixMicro(), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoException
	}
	return &x, err
}
