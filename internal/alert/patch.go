package alert

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Patch is a person's change of an alert; nil fields stay as they are.
type Patch struct {
	Status     *Status
	AssignedTo *string // "" takes the assignment back
	Verdict    *Verdict
	Note       string // joins the history

	// Version is the Alert.Version that the change was made on; 0 for any. Another
	// one is fault.Conflict in field "version".
	Version int64
}

// MaxBulk is how many alerts one Bulk may name.
const MaxBulk = 1000

func (p *Patch) check() error {
	if p.Status == nil && p.AssignedTo == nil && p.Verdict == nil && p.Note == "" {
		return fault.New(fault.Invalid, "Give at least one of status, assignedTo, verdict, note")
	}
	if p.Status != nil {
		st, err := ParseStatus(string(*p.Status))
		if err != nil {
			return err
		}
		p.Status = &st
	}
	if p.Verdict != nil {
		v, err := ParseVerdict(string(*p.Verdict))
		if err != nil {
			return err
		}
		p.Verdict = &v
	}
	if p.AssignedTo != nil {
		if utf8.RuneCountInString(*p.AssignedTo) > maxAssignee {
			return fault.New(fault.Invalid, "Allowed: up to %d characters", maxAssignee).In("assignedTo")
		}
		to := clean(*p.AssignedTo)
		p.AssignedTo = &to
	}
	if utf8.RuneCountInString(p.Note) > maxNote {
		return fault.New(fault.Invalid, "Allowed: up to %d characters", maxNote).In("note")
	}
	return nil
}

// Patch changes the tenant's alert and returns it as it then is.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Detail, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var d *Detail
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := s.apply(ctx, tx, time.Now(), tenant, actor, id, p); err != nil {
			return err
		}
		var err error
		d, err = get(ctx, tx, tenant, id)
		return err
	})
	return d, fault.Wrap("change alert", err)
}

// A BulkResult tells what became of one alert of a Bulk; Err is nil where it was changed.
type BulkResult struct {
	ID  string
	Err error // fault.NotFound or fault.Conflict
}

// Bulk changes several of the tenant's alerts in one transaction. Those that do not
// exist are named in the results and do not hinder the others; any other failure
// undoes all.
func (s *Service) Bulk(ctx context.Context, tenant uint32, actor string, ids []string, p Patch) ([]BulkResult, error) {
	if len(ids) == 0 || len(ids) > MaxBulk {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d ids", MaxBulk).In("ids")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	results := make([]BulkResult, len(ids))
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now := time.Now()
		for i, id := range ids {
			err := s.apply(ctx, tx, now, tenant, actor, id, p)
			if err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Conflict) {
				return err
			}
			results[i] = BulkResult{id, err}
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap("change alerts", err)
	}
	return results, nil
}

// apply does one patch with its history and audit entry.
func (s *Service) apply(ctx context.Context, tx *sqldb.DB, now time.Time, tenant uint32, actor, id string, p Patch) error {
	a, err := byID(ctx, tx, tenant, id)
	if err != nil {
		return err
	}
	if p.Version != 0 && p.Version != a.Version {
		return fault.New(fault.Conflict, "the alert was changed meanwhile: it is at version %d", a.Version).In("version")
	}
	before := a.Status
	var changes []Change
	change := func(action, from, to string) {
		if from != to {
			changes = append(changes, Change{Action: action, Old: from, New: to})
		}
	}
	if p.Status != nil {
		change("status", string(a.Status), string(*p.Status))
		a.Status = *p.Status
	}
	if p.AssignedTo != nil {
		change("assignedTo", a.AssignedTo, *p.AssignedTo)
		a.AssignedTo = *p.AssignedTo
	}
	if p.Verdict != nil {
		change("verdict", string(a.Verdict), string(*p.Verdict))
		a.Verdict = *p.Verdict
	}
	if p.Note != "" {
		if len(changes) == 0 {
			changes = append(changes, Change{Action: "note"})
		}
		changes[0].Note = cleanNote(p.Note)
	}
	if len(changes) == 0 {
		return nil // everything is so already
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE alert SET status = $1, assigned_to = $2, verdict = $3, updated_at = $4, version = version + 1 WHERE seq = $5`,
		string(a.Status), a.AssignedTo, string(a.Verdict), now.UnixMicro(), a.seq); err != nil {
		return err
	}
	if before != a.Status && s.tell != nil {
		if err := s.tell(ctx, tx, a); err != nil {
			return err
		}
	}
	detail := map[string]any{}
	for _, c := range changes {
		c.At, c.Actor = now, actor
		if err := addHistory(ctx, tx, a.seq, c); err != nil {
			return err
		}
		detail[c.Action] = map[string]string{"from": c.Old, "to": c.New}
		if c.Note != "" {
			detail["note"] = c.Note
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "alert.update", Object: a.ID, Detail: detail})
}
