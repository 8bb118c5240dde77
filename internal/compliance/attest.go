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

func (a *Attestation) place() place { return place{a.Framework, a.Edition, a.Control} }

const selectAttestation = `SELECT id, framework, edition, control, status, statement, evidence, maturity, state, made_by, at, expires_at, reviewer, reviewed_at, note, version FROM compliance_attestation`

func scanAttestation(rows *sql.Rows, a *Attestation) error {
	var evidence string
	if err := rows.Scan(&a.ID, &a.Framework, &a.Edition, &a.Control, &a.Status, &a.Statement, &evidence, &a.Maturity, &a.State, &a.By, sqldb.Micros(&a.At), sqldb.Micros(&a.ExpiresAt),
		&a.Reviewer, sqldb.MicrosOrNull(&a.ReviewedAt), &a.Note, &a.Version); err != nil {
		return err
	}
	return json.Unmarshal([]byte(evidence), &a.Evidence)
}

// An AttestationDraft is what somebody attests.
type AttestationDraft struct {
	Control   string
	Status    Status // compliant, partial, nonCompliant or notApplicable
	Statement string // required: what it rests on; of notApplicable the justification
	Evidence  []string
	Maturity  *int       // 0 to 5
	ExpiresAt *time.Time // nil: as the settings say
}

const (
	maxAttachments = 50
	maxMaturity    = 5
)

// claims are the statuses that a person may attest.
var claims = []Status{Compliant, Partial, NonCompliant, NotApplicable}

// Attest records what actor says of a control of f. It counts at once, unless the tenant
// asks for reviews or the control is said not to be applicable: that always needs the
// approval of another person.
func (s *Service) Attest(ctx context.Context, tenant uint32, actor string, f *Framework, d AttestationDraft) (*Attestation, error) {
	if f.Control(d.Control) == nil {
		return nil, fault.New(fault.Invalid, "%s has no such control", f.Name).In("control")
	}
	switch {
	case !slices.Contains(claims, d.Status):
		return nil, fault.New(fault.Invalid, "Allowed: compliant, partial, nonCompliant, notApplicable").In("status")
	case len(d.Evidence) > maxAttachments:
		return nil, fault.New(fault.Invalid, "Allowed: up to %d", maxAttachments).In("evidence")
	case d.Maturity != nil && (*d.Maturity < 0 || *d.Maturity > maxMaturity):
		return nil, fault.New(fault.Invalid, "Allowed: 0 to %d", maxMaturity).In("maturity")
	}
	d.Statement = strings.TrimSpace(d.Statement)
	if err := required("statement", d.Statement, maxText); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("attest", err)
	}
	var a *Attestation
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		set, err := settingsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if s.Evidence != nil && len(d.Evidence) > 0 {
			if err := s.Evidence(ctx, tx, tenant, d.Evidence); err != nil {
				return err
			}
		}
		now := s.now()
		a = &Attestation{
			ID: id.String(), Framework: f.ID, Edition: f.Edition, Control: d.Control, Status: d.Status, Statement: d.Statement, Evidence: append([]string{}, d.Evidence...), Maturity: d.Maturity,
			State: Approved, By: actor, At: now, ExpiresAt: now.AddDate(0, set.months(f), 0), Version: 1,
		}
		if set.ReviewRequired || d.Status == NotApplicable {
			a.State = Pending
		}
		if d.ExpiresAt != nil {
			if a.ExpiresAt = d.ExpiresAt.UTC().Truncate(time.Microsecond); !a.ExpiresAt.After(now) || a.ExpiresAt.After(now.AddDate(0, maxMonths, 0)) {
				return fault.New(fault.Invalid, "Allowed: a time to come, within %d months", maxMonths).In("expiresAt")
			}
		}
		if err := a.replace(ctx, tx, tenant); err != nil {
			return err
		}
		if err := a.insert(ctx, tx, tenant); err != nil {
			return err
		}
		return s.attested(ctx, tx, tenant, actor, "compliance.attest", a, now)
	})
	return a, fault.Wrap("attest", err)
}

// replace takes earlier attestations of the same control and state out of account.
func (a *Attestation) replace(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE compliance_attestation SET state = 'replaced', version = version + 1
		WHERE tenant = $1 AND framework = $2 AND edition = $3 AND control = $4 AND state = $5 AND id <> $6`, int64(tenant), a.Framework, a.Edition, a.Control, string(a.State), a.ID)
	return err
}

func (a *Attestation) insert(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	evidence, err := json.Marshal(a.Evidence)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO compliance_attestation (id, tenant, framework, edition, control, status, statement, evidence, maturity, state, made_by, at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		a.ID, int64(tenant), a.Framework, a.Edition, a.Control, string(a.Status), a.Statement, string(evidence), a.Maturity, string(a.State), a.By, a.At.UnixMicro(), a.ExpiresAt.UnixMicro())
	return err
}

// attested records who did what with a, and judges anew.
func (s *Service) attested(ctx context.Context, tx *sqldb.DB, tenant uint32, actor, action string, a *Attestation, now time.Time) error {
	if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: action, Object: a.ID, Detail: map[string]any{
		"framework": a.Framework, "edition": a.Edition, "control": a.Control, "status": a.Status, "state": a.State, "statement": a.Statement, "evidence": a.Evidence, "expiresAt": a.ExpiresAt, "note": a.Note,
	}}); err != nil {
		return err
	}
	return s.settle(ctx, tx, tenant, "attestation "+string(a.State)+" by "+actor, now)
}

var errNoAttestation = fault.New(fault.NotFound, "no such attestation")

func attestation(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Attestation, error) {
	a, err := sqldb.One(ctx, tx, scanAttestation, selectAttestation+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoAttestation
	}
	return &a, err
}

// Attestation returns the tenant's attestation of that id.
func (s *Service) Attestation(ctx context.Context, tenant uint32, id string) (*Attestation, error) {
	a, err := attestation(ctx, s.DB, tenant, id)
	return a, fault.Wrap("get attestation", err)
}

// Review approves or rejects what waits for it. Who attested cannot review. version is
// the one that the caller has seen, 0 for any.
func (s *Service) Review(ctx context.Context, tenant uint32, actor, id string, approve bool, note string, version int64) (*Attestation, error) {
	return s.decide(ctx, tenant, actor, id, note, version, "compliance.review", func(a *Attestation, now time.Time) error {
		switch {
		case a.State != Pending:
			return fault.New(fault.Conflict, "the attestation is %s: only a pending one can be reviewed", a.State)
		case a.By == actor:
			return fault.New(fault.Forbidden, "who attested cannot review: another person must")
		case approve && !now.Before(a.ExpiresAt):
			return fault.New(fault.Conflict, "the attestation has expired: a new one is needed")
		case !approve && note == "":
			return fault.New(fault.Invalid, "Say why: 1 to %d characters", maxText).In("note")
		}
		a.State, a.Reviewer, a.ReviewedAt = Rejected, actor, &now
		if approve {
			a.State = Approved
		}
		return nil
	})
}

// Withdraw takes an attestation out of account. version is the one that the caller has
// seen, 0 for any.
func (s *Service) Withdraw(ctx context.Context, tenant uint32, actor, id, note string, version int64) (*Attestation, error) {
	return s.decide(ctx, tenant, actor, id, note, version, "compliance.withdraw", func(a *Attestation, _ time.Time) error {
		if a.State != Pending && a.State != Approved {
			return fault.New(fault.Conflict, "the attestation is %s already", a.State)
		}
		a.State = Withdrawn
		return nil
	})
}

func (s *Service) decide(ctx context.Context, tenant uint32, actor, id, note string, version int64, action string, f func(*Attestation, time.Time) error) (*Attestation, error) {
	note = strings.TrimSpace(note)
	if err := bounded("note", note, maxText); err != nil {
		return nil, err
	}
	var a *Attestation
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if a, err = attestation(ctx, tx, tenant, id); err != nil {
			return err
		}
		if version != 0 && version != a.Version {
			return fault.New(fault.Conflict, "the attestation has changed since").In("version")
		}
		now := s.now()
		if err := f(a, now); err != nil {
			return err
		}
		a.Note = note
		a.Version++
		if a.State == Approved {
			if err := a.replace(ctx, tx, tenant); err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE compliance_attestation SET state = $1, reviewer = $2, reviewed_at = $3, note = $4, version = $5 WHERE id = $6`,
			string(a.State), a.Reviewer, sqldb.Nullable(a.ReviewedAt), a.Note, a.Version, a.ID); err != nil {
			return err
		}
		return s.attested(ctx, tx, tenant, actor, action, a, now)
	})
	if err != nil {
		return nil, fault.Wrap("decide about attestation", err)
	}
	return a, nil
}
