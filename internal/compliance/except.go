package compliance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func (e *Exception) place() place { return place{e.Framework, e.Edition, e.Control} }

// Active tells whether e holds at the time now.
func (e *Exception) Active(now time.Time) bool { return e.active(now) }

const selectException = `SELECT id, framework, edition, control, checks, owner, reason, compensation, made_by, at, ends_at, ended_at, ended_by, end_note, version FROM compliance_exception`

func scanException(rows *sql.Rows, e *Exception) error {
	var checks string
	if err := rows.Scan(&e.ID, &e.Framework, &e.Edition, &e.Control, &checks, &e.Owner, &e.Reason, &e.Compensation, &e.By, sqldb.Micros(&e.At), sqldb.Micros(&e.EndsAt),
		sqldb.MicrosOrNull(&e.EndedAt), &e.EndedBy, &e.EndNote, &e.Version); err != nil {
		return err
	}
	return json.Unmarshal([]byte(checks), &e.Checks)
}

// An ExceptionDraft is an exception to record. Everything but Checks is required.
type ExceptionDraft struct {
	Control      string
	Checks       []string // of the control; empty: all of them
	Owner        string
	Reason       string
	Compensation string
	EndsAt       time.Time
}

// longest is how long an exception may hold; after that somebody has to think again.
const longest = 366 * 24 * time.Hour

// Except records an exception from a control of f. What it covers counts neither as
// passed nor as failed: the control is partial, or what a person attests of it.
func (s *Service) Except(ctx context.Context, tenant uint32, actor string, f *Framework, d ExceptionDraft) (*Exception, error) {
	k := f.Control(d.Control)
	if k == nil {
		return nil, fault.New(fault.Invalid, "%s has no such control", f.Name).In("control")
	}
	if len(k.Checks) == 0 {
		return nil, fault.New(fault.Invalid, "The control has no checks: attest how it stands instead").In("control")
	}
	for _, name := range d.Checks {
		if !slices.ContainsFunc(k.Checks, func(l Link) bool { return l.Check == name }) {
			var all []string
			for _, l := range k.Checks {
				all = append(all, l.Check)
			}
			return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(all, ", ")).In("checks")
		}
	}
	d.Owner, d.Reason, d.Compensation = strings.TrimSpace(d.Owner), strings.TrimSpace(d.Reason), strings.TrimSpace(d.Compensation)
	for _, err := range []error{required("owner", d.Owner, maxOwner), required("reason", d.Reason, maxText), required("compensation", d.Compensation, maxText)} {
		if err != nil {
			return nil, err
		}
	}
	now := s.now()
	if !d.EndsAt.After(now) || d.EndsAt.After(now.Add(longest)) {
		return nil, fault.New(fault.Invalid, "Allowed: a time to come, within a year").In("endsAt")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("record exception", err)
	}
	e := &Exception{
		ID: id.String(), Framework: f.ID, Edition: f.Edition, Control: k.ID, Checks: append([]string{}, d.Checks...), Owner: d.Owner, Reason: d.Reason, Compensation: d.Compensation,
		By: actor, At: now, EndsAt: d.EndsAt.UTC().Truncate(time.Microsecond), Version: 1,
	}
	checks, err := json.Marshal(e.Checks)
	if err != nil {
		return nil, fault.Wrap("record exception", err)
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_exception (id, tenant, framework, edition, control, checks, owner, reason, compensation, made_by, at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			e.ID, int64(tenant), e.Framework, e.Edition, e.Control, string(checks), e.Owner, e.Reason, e.Compensation, actor, now.UnixMicro(), e.EndsAt.UnixMicro()); err != nil {
			return err
		}
		return s.excepted(ctx, tx, tenant, actor, "compliance.except", "exception recorded by "+actor, e, now)
	})
	if err != nil {
		return nil, fault.Wrap("record exception", err)
	}
	return e, nil
}

func (s *Service) excepted(ctx context.Context, tx *sqldb.DB, tenant uint32, actor, action, cause string, e *Exception, now time.Time) error {
	if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: action, Object: e.ID, Detail: map[string]any{
		"framework": e.Framework, "edition": e.Edition, "control": e.Control, "checks": e.Checks, "owner": e.Owner, "reason": e.Reason, "compensation": e.Compensation, "endsAt": e.EndsAt, "note": e.EndNote,
	}}); err != nil {
		return err
	}
	return s.settle(ctx, tx, tenant, cause, now)
}

var errNoException = fault.New(fault.NotFound, "no such exception")

func exception(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Exception, error) {
	e, err := sqldb.One(ctx, tx, scanException, selectException+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoException
	}
	return &e, err
}

// Exception returns the tenant's exception of that id.
func (s *Service) Exception(ctx context.Context, tenant uint32, id string) (*Exception, error) {
	e, err := exception(ctx, s.DB, tenant, id)
	return e, fault.Wrap("get exception", err)
}

// End ends an exception before its time. version is the one that the caller has seen, 0
// for any.
func (s *Service) End(ctx context.Context, tenant uint32, actor, id, note string, version int64) (*Exception, error) {
	note = strings.TrimSpace(note)
	if err := bounded("note", note, maxText); err != nil {
		return nil, err
	}
	var e *Exception
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if e, err = exception(ctx, tx, tenant, id); err != nil {
			return err
		}
		now := s.now()
		switch {
		case version != 0 && version != e.Version:
			return fault.New(fault.Conflict, "the exception has changed since").In("version")
		case !e.active(now):
			return fault.New(fault.Conflict, "the exception has ended already")
		}
		e.EndedAt, e.EndedBy, e.EndNote = &now, actor, note
		e.Version++
		if _, err := sqldb.Exec(ctx, tx, `UPDATE compliance_exception SET ended_at = $1, ended_by = $2, end_note = $3, version = $4 WHERE id = $5`, now.UnixMicro(), actor, note, e.Version, e.ID); err != nil {
			return err
		}
		return s.excepted(ctx, tx, tenant, actor, "compliance.endException", "exception ended by "+actor, e, now)
	})
	if err != nil {
		return nil, fault.Wrap("end exception", err)
	}
	return e, nil
}
