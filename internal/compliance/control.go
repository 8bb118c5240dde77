package compliance

import (
	"context"
	"database/sql"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Record is what people note of a control.
type Record struct {
	Owner         string
	DueAt         *time.Time // by when it is to be settled
	Justification string     // why the control was chosen, for a statement of applicability
	Notes         string
	Version       int64 // 0 where nothing was noted
	UpdatedAt     time.Time
	UpdatedBy     string
}

const selectRecord = `SELECT framework, edition, control, owner, due_at, justification, notes, version, updated_at, updated_by FROM compliance_control`

type placed struct {
	at place
	Record
}

func scanRecord(rows *sql.Rows, r *placed) error {
	return rows.Scan(&r.at.framework, &r.at.edition, &r.at.control, &r.Owner, sqldb.MicrosOrNull(&r.DueAt), &r.Justification, &r.Notes, &r.Version, sqldb.Micros(&r.UpdatedAt), &r.UpdatedBy)
}

// Bounds of what people write, in characters.
const (
	maxOwner = 200
	maxText  = 10_000
)

func bounded(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most || !utf8.ValidString(text) {
		return fault.New(fault.Invalid, "Allowed: up to %d characters", most).In(field)
	}
	return nil
}

func required(field, text string, most int) error {
	if text == "" {
		return fault.New(fault.Invalid, "Allowed: 1 to %d characters", most).In(field)
	}
	return bounded(field, text, most)
}

var errNoControl = fault.New(fault.NotFound, "no such control")

// Note changes what people say of a control. version is the one that the caller has seen,
// 0 for any; another is fault.Conflict in field "version".
func (s *Service) Note(ctx context.Context, tenant uint32, actor string, f *Framework, control string, version int64, edit func(*Record)) (*Record, error) {
	if f.Control(control) == nil {
		return nil, errNoControl
	}
	var r placed
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		r, err = sqldb.One(ctx, tx, scanRecord, selectRecord+` WHERE tenant = $1 AND framework = $2 AND edition = $3 AND control = $4`, int64(tenant), f.ID, f.Edition, control)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if version != 0 && version != r.Version {
			return fault.New(fault.Conflict, "the control has changed since").In("version")
		}
		before := r.Record
		edit(&r.Record)
		for _, err := range []error{bounded("owner", r.Owner, maxOwner), bounded("justification", r.Justification, maxText), bounded("notes", r.Notes, maxText)} {
			if err != nil {
				return err
			}
		}
		r.Version, r.UpdatedAt, r.UpdatedBy = before.Version+1, s.now(), actor
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_control (tenant, framework, edition, control, owner, due_at, justification, notes, version, updated_at, updated_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (tenant, framework, edition, control) DO UPDATE SET owner = excluded.owner, due_at = excluded.due_at, justification = excluded.justification, notes = excluded.notes,
				version = excluded.version, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			int64(tenant), f.ID, f.Edition, control, r.Owner, sqldb.Nullable(r.DueAt), r.Justification, r.Notes, r.Version, r.UpdatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: r.UpdatedAt, Actor: actor, Action: "compliance.control", Object: f.Ref() + "/" + control, Detail: map[string]any{"from": before.noted(), "to": r.noted()},
		})
	})
	if err != nil {
		return nil, fault.Wrap("change control", err)
	}
	return &r.Record, nil
}

func (r *Record) noted() map[string]any {
	return map[string]any{"owner": r.Owner, "dueAt": r.DueAt, "justification": r.Justification, "notes": r.Notes}
}
