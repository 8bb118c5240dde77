package incident

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	db     *sqldb.DB
	alerts *alert.Service
	sla    SLA
	files  *vault.Vault // nil: evidence is not taken
	tell   TellFunc
}

// News is what others are told of an incident.
type News string

// What there is to tell.
const (
	Created       News = "created"
	StatusChanged News = "status changed"
	Overdue       News = "overdue" // its due time passed while it was not closed
)

// A TellFunc notes, in the transaction tx, that others are to be told of an incident as
// it now is.
type TellFunc func(ctx context.Context, tx *sqldb.DB, in *Incident, news News) error

// SetTell sets what is called for every incident that is made, every change of a status
// and every one that becomes overdue; before that nobody is told. It is for assembling a
// server, before the service is used.
func (s *Service) SetTell(f TellFunc) { s.tell = f }

// SetVault sets where files of evidence are kept. It is for assembling a server, before
// the service is used.
func (s *Service) SetVault(v *vault.Vault) { s.files = v }

// In returns the use cases inside the caller's transaction tx.
func (s *Service) In(tx *sqldb.DB) *Service {
	in := *s
	in.db = tx
	return &in
}

// New returns the use cases on db; the zero SLA means DefaultSLA.
func New(db *sqldb.DB, alerts *alert.Service, sla SLA) *Service {
	if sla == (SLA{}) {
		sla = DefaultSLA
	}
	return &Service{db: db, alerts: alerts, sla: sla}
}

const (
	window      = 24 * time.Hour
	maxTitle    = 500
	maxAssignee = 200
	maxReason   = 10_000
	maxLink     = 1000
)

var errNoIncident = fault.New(fault.NotFound, "no such incident")

// FromAlerts puts newly made alerts of high and critical severity into incidents, in
// the caller's transaction: one for each rule and tenant within 24 hours of event
// time, titled "[Auto] " and the alert's title. A closed one takes no more. Tenants that
// group by entity have an alert join another rule's incident first: see group.go.
func (s *Service) FromAlerts(ctx context.Context, tx *sqldb.DB, now time.Time, outcomes []alert.Outcome) error {
	for i := range outcomes {
		a := &outcomes[i].Alert
		if !outcomes[i].Created || event.SeverityRank(a.Severity) < event.SeverityRank("high") {
			continue
		}
		if err := s.fromAlert(ctx, tx, now.UTC().Truncate(time.Microsecond), a); err != nil {
			return fmt.Errorf("make incident of alert %s: %w", a.ID, err)
		}
	}
	return nil
}

func (s *Service) fromAlert(ctx context.Context, tx *sqldb.DB, now time.Time, a *alert.Alert) error {
	seen := a.FirstSeen.UnixMicro()
	in, err := sqldb.One(ctx, tx, scan, selectIncident+`
		WHERE tenant = $1 AND rule_id = $2 AND origin = 'auto' AND first_seen > $3 AND first_seen < $4 AND status <> 'CLOSED'
		ORDER BY abs(first_seen - $5), id LIMIT 1`,
		int64(a.Tenant), a.Rule.ID, seen-window.Microseconds(), seen+window.Microseconds(), seen)
	switch {
	case errors.Is(err, fault.NotFound):
		joined, err := s.joinByEntity(ctx, tx, now, a)
		if err != nil || joined {
			return err
		}
		in = Incident{Tenant: a.Tenant, Title: "[Auto] " + a.Title, Severity: a.Severity, Origin: Auto, RuleID: a.Rule.ID, Tactic: a.Tactic, Technique: a.Technique}
		if err := s.insert(ctx, tx, now, audit.System, &in, a.FirstSeen); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return s.link(ctx, tx, now, audit.System, &in, a, "")
}

// insert stores in as new and gives it its id, status and times.
func (s *Service) insert(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, in *Incident, firstSeen time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	set, err := s.settings(ctx, tx, in.Tenant)
	if err != nil {
		return err
	}
	in.ID, in.Status, in.Version = id.String(), Open, 1
	in.CreatedAt, in.UpdatedAt, in.SLADueAt = now, now, now.Add(set.SLA.For(in.Severity))
	if actor != audit.System {
		in.AcknowledgedAt = &now
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO incident (id, tenant, title, severity, status, origin, rule_id, first_seen, tactic, technique, assigned_to, sla_due_at, created_at, updated_at, acknowledged_at, split_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15)`,
		in.ID, int64(in.Tenant), in.Title, in.Severity, string(in.Status), string(in.Origin), in.RuleID, firstSeen.UnixMicro(), in.Tactic, in.Technique, in.AssignedTo, in.SLADueAt.UnixMicro(), now.UnixMicro(),
		sqldb.Nullable(in.AcknowledgedAt), in.SplitFrom); err != nil {
		return err
	}
	if err := step(ctx, tx, in.ID, Step{At: now, Actor: actor, Action: "created", New: string(Open)}); err != nil {
		return err
	}
	if s.tell != nil {
		if err := s.tell(ctx, tx, in, Created); err != nil {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: in.Tenant, At: now, Actor: actor, Action: "incident.create", Object: in.ID, Detail: map[string]any{"title": in.Title, "origin": in.Origin}})
}

// link puts an alert into an incident, unless it is there. mergedFrom is the incident
// that it comes from by merging.
func (s *Service) link(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, in *Incident, a *alert.Alert, mergedFrom string) error {
	n, err := sqldb.Exec(ctx, tx, `INSERT INTO incident_alert (incident_id, alert_id, linked_at, merged_from) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		in.ID, a.ID, now.UnixMicro(), mergedFrom)
	if err != nil || n == 0 {
		return err
	}
	in.AlertCount++
	in.UpdatedAt = now
	if _, err := sqldb.Exec(ctx, tx, `UPDATE incident SET alert_count = alert_count + 1, updated_at = $1, tactic = CASE WHEN tactic = '' THEN $2 ELSE tactic END,
		technique = CASE WHEN technique = '' THEN $3 ELSE technique END WHERE id = $4`, now.UnixMicro(), a.Tactic, a.Technique, in.ID); err != nil {
		return err
	}
	if err := s.alerts.SetIncident(ctx, tx, now, actor, a, in.ID); err != nil {
		return err
	}
	return step(ctx, tx, in.ID, Step{At: now, Actor: actor, Action: "linked", New: a.ID})
}

// unlink takes an alert out of an incident, if it is there. The alert then belongs to
// the incident that it was put into last among those it is still in.
func (s *Service) unlink(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, in *Incident, a *alert.Alert) error {
	n, err := sqldb.Exec(ctx, tx, `DELETE FROM incident_alert WHERE incident_id = $1 AND alert_id = $2`, in.ID, a.ID)
	if err != nil || n == 0 {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE incident SET alert_count = alert_count - 1, updated_at = $1 WHERE id = $2`, now.UnixMicro(), in.ID); err != nil {
		return err
	}
	if a.IncidentID == in.ID {
		other, err := sqldb.One(ctx, tx, sqldb.Value[string], `SELECT incident_id FROM incident_alert WHERE alert_id = $1 ORDER BY linked_at DESC, incident_id DESC LIMIT 1`, a.ID)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if err := s.alerts.SetIncident(ctx, tx, now, actor, a, other); err != nil {
			return err
		}
	}
	return step(ctx, tx, in.ID, Step{At: now, Actor: actor, Action: "unlinked", Old: a.ID})
}

func step(ctx context.Context, tx *sqldb.DB, incident string, st Step) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO incident_timeline (id, incident_id, at, actor, action, old_value, new_value, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id.String(), incident, st.At.UnixMicro(), st.Actor, st.Action, st.Old, st.New, st.Note)
	return err
}

const selectIncident = `SELECT id, tenant, title, severity, status, origin, rule_id, tactic, technique, assigned_to, alert_count, sla_due_at, closed_at, merged_into, version, created_at, updated_at,
	acknowledged_at, contained_at, overdue_at, split_from FROM incident`

func scan(rows *sql.Rows, in *Incident) error {
	return rows.Scan(&in.ID, &in.Tenant, &in.Title, &in.Severity, &in.Status, &in.Origin, &in.RuleID, &in.Tactic, &in.Technique, &in.AssignedTo, &in.AlertCount,
		sqldb.Micros(&in.SLADueAt), sqldb.MicrosOrNull(&in.ClosedAt), &in.MergedInto, &in.Version, sqldb.Micros(&in.CreatedAt), sqldb.Micros(&in.UpdatedAt),
		sqldb.MicrosOrNull(&in.AcknowledgedAt), sqldb.MicrosOrNull(&in.ContainedAt), sqldb.MicrosOrNull(&in.OverdueAt), &in.SplitFrom)
}

func byID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Incident, error) {
	// A text with a NUL is no id, and PostgreSQL refuses it.
	if len(id) != len(uuid.Nil.String()) || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, errNoIncident
	}
	in, err := sqldb.One(ctx, db, scan, selectIncident+` WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoIncident
	}
	return &in, err
}

// Get returns the tenant's incident of that id with all that belongs to it. An id
// that is unknown, malformed or another tenant's is fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Detail, error) {
	var d *Detail
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		d, err = s.get(ctx, tx, tenant, id)
		return err
	})
	return d, fault.Wrap("get incident", err)
}

func (s *Service) get(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Detail, error) {
	in, err := byID(ctx, tx, tenant, id)
	if err != nil {
		return nil, err
	}
	d := &Detail{Incident: *in}
	ids, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT alert_id FROM incident_alert WHERE incident_id = $1 ORDER BY alert_id LIMIT $2`, in.ID, MaxAlerts)
	if err != nil {
		return nil, err
	}
	if d.Alerts, err = s.alerts.ByIDs(ctx, tx, tenant, ids); err != nil {
		return nil, err
	}
	if d.Entities, err = s.alerts.EntitiesOf(ctx, tx, tenant, ids); err != nil {
		return nil, err
	}
	if d.Comments, err = sqldb.All(ctx, tx, func(rows *sql.Rows, c *Comment) error {
		return rows.Scan(&c.ID, &c.Author, &c.Content, sqldb.Micros(&c.CreatedAt))
	}, `SELECT id, author, content, created_at FROM incident_comment WHERE incident_id = $1 ORDER BY id`, in.ID); err != nil {
		return nil, err
	}
	d.Timeline, err = sqldb.All(ctx, tx, func(rows *sql.Rows, st *Step) error {
		return rows.Scan(sqldb.Micros(&st.At), &st.Actor, &st.Action, &st.Old, &st.New, &st.Note)
	}, `SELECT at, actor, action, old_value, new_value, note FROM incident_timeline WHERE incident_id = $1 ORDER BY id`, in.ID)
	if err != nil {
		return nil, err
	}
	if d.Tasks, err = sqldb.All(ctx, tx, scanTask, selectTask+` WHERE incident_id = $1 ORDER BY id`, in.ID); err != nil {
		return nil, err
	}
	d.Evidence, err = sqldb.All(ctx, tx, scanEvidence, selectEvidence+` WHERE incident_id = $1 ORDER BY id`, in.ID)
	return d, err
}

// clean makes a text storable in both databases; line says that it is one line.
func clean(text string, line bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case !unicode.IsControl(r):
			return r
		case line:
			return ' '
		case r == '\n' || r == '\t':
			return r
		default:
			return -1
		}
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
