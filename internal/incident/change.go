package incident

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Draft describes an incident to make.
type Draft struct {
	Title      string // 1 to 500 characters
	Severity   string // one of event.Severities
	AssignedTo string
	AlertIDs   []string // alerts to link, at most 1000
}

// Create makes an incident by hand.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, d Draft) (*Detail, error) {
	in := Incident{Tenant: tenant, Origin: Manual}
	var err error
	if in.Title, err = checkTitle(d.Title); err != nil {
		return nil, err
	}
	if in.Severity, err = alert.ParseSeverity(d.Severity); err != nil {
		return nil, err
	}
	if in.AssignedTo, err = checkAssignee(d.AssignedTo); err != nil {
		return nil, err
	}
	if len(d.AlertIDs) > maxLink {
		return nil, fault.New(fault.Invalid, "Allowed: up to %d", maxLink).In("alertIds")
	}
	return s.change(ctx, "create incident", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		alerts, err := s.named(ctx, tx, tenant, d.AlertIDs)
		if err != nil {
			return "", err
		}
		if err := s.insert(ctx, tx, now, actor, &in, now); err != nil {
			return "", err
		}
		for i := range alerts {
			if err := s.link(ctx, tx, now, actor, &in, &alerts[i], ""); err != nil {
				return "", err
			}
		}
		return in.ID, nil
	})
}

// Escalate makes an incident of one alert, titled "Escalated: " and the alert's title.
// The alert stays in other incidents too. While an escalation of it is not closed,
// another one is fault.Conflict.
func (s *Service) Escalate(ctx context.Context, tenant uint32, actor, alertID string) (*Detail, error) {
	return s.change(ctx, "escalate alert", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		alerts, err := s.named(ctx, tx, tenant, []string{alertID})
		if err != nil {
			return "", err
		}
		a := &alerts[0]
		open, err := sqldb.All(ctx, tx, sqldb.Value[string], `
			SELECT i.id FROM incident_alert l JOIN incident i ON i.id = l.incident_id
			WHERE l.alert_id = $1 AND i.origin = 'escalated' AND i.status <> 'CLOSED'`, a.ID)
		if err != nil {
			return "", err
		}
		if len(open) > 0 {
			return "", fault.New(fault.Conflict, "the alert is escalated already: incident %s", open[0])
		}
		in := Incident{Tenant: tenant, Title: "Escalated: " + a.Title, Severity: a.Severity, Origin: Escalated, Tactic: a.Tactic, Technique: a.Technique}
		if err := s.insert(ctx, tx, now, actor, &in, a.FirstSeen); err != nil {
			return "", err
		}
		return in.ID, s.link(ctx, tx, now, actor, &in, a, "")
	})
}

// named returns the tenant's alerts of these ids; one that there is not is
// fault.NotFound.
func (s *Service) named(ctx context.Context, tx *sqldb.DB, tenant uint32, ids []string) ([]alert.Alert, error) {
	alerts, err := s.alerts.ByIDs(ctx, tx, tenant, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(alerts, func(a alert.Alert) bool { return a.ID == id }) {
			return nil, fault.New(fault.NotFound, "no such alert")
		}
	}
	return alerts, nil
}

func checkTitle(s string) (string, error) {
	s = strings.TrimSpace(clean(s, true))
	if n := utf8.RuneCountInString(s); n < 1 || n > maxTitle {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d characters", maxTitle).In("title")
	}
	return s, nil
}

func checkAssignee(s string) (string, error) {
	s = strings.TrimSpace(clean(s, true))
	if utf8.RuneCountInString(s) > maxAssignee {
		return "", fault.New(fault.Invalid, "Allowed: up to %d characters", maxAssignee).In("assignedTo")
	}
	return s, nil
}

// A Patch is a person's change of an incident; nil fields stay as they are.
type Patch struct {
	Title      *string
	Severity   *string // moves SLADueAt with it
	Status     *Status
	Reason     string  // why; a status that skips or goes back needs one
	AssignedTo *string // "" takes the assignment back

	// Version is the Incident.Version that the change was made on; 0 for any. Another
	// one is fault.Conflict in field "version".
	Version int64
}

func (p *Patch) check() error {
	if p.Title == nil && p.Severity == nil && p.Status == nil && p.AssignedTo == nil {
		return fault.New(fault.Invalid, "Give at least one of title, severity, status, assignedTo")
	}
	if p.Title != nil {
		title, err := checkTitle(*p.Title)
		if err != nil {
			return err
		}
		p.Title = &title
	}
	if p.Severity != nil {
		severity, err := alert.ParseSeverity(*p.Severity)
		if err != nil {
			return err
		}
		p.Severity = &severity
	}
	if p.Status != nil {
		st, err := ParseStatus(string(*p.Status))
		if err != nil {
			return err
		}
		p.Status = &st
	}
	if p.AssignedTo != nil {
		to, err := checkAssignee(*p.AssignedTo)
		if err != nil {
			return err
		}
		p.AssignedTo = &to
	}
	p.Reason = strings.TrimSpace(clean(p.Reason, false))
	if utf8.RuneCountInString(p.Reason) > maxReason {
		return fault.New(fault.Invalid, "Allowed: up to %d characters", maxReason).In("reason")
	}
	return nil
}

// Patch changes the tenant's incident and returns it as it then is.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Detail, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return s.change(ctx, "change incident", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		in, err := s.writable(ctx, tx, tenant, id)
		if err != nil {
			return "", err
		}
		if p.Version != 0 && p.Version != in.Version {
			return "", fault.New(fault.Conflict, "the incident was changed meanwhile: it is at version %d", in.Version).In("version")
		}
		return in.ID, s.patch(ctx, tx, now, actor, in, p)
	})
}

func (s *Service) patch(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, in *Incident, p Patch) error {
	var steps []Step
	set := func(action string, field *string, to string) {
		if *field != to {
			steps = append(steps, Step{At: now, Actor: actor, Action: action, Old: *field, New: to})
			*field = to
		}
	}
	if p.Title != nil {
		set("title", &in.Title, *p.Title)
	}
	if p.Severity != nil {
		set("severity", &in.Severity, *p.Severity)
		own, err := s.settings(ctx, tx, in.Tenant)
		if err != nil {
			return err
		}
		if in.SLADueAt = in.CreatedAt.Add(own.SLA.For(in.Severity)); in.SLADueAt.After(now) {
			in.OverdueAt = nil
		}
	}
	if p.AssignedTo != nil {
		set("assignedTo", &in.AssignedTo, *p.AssignedTo)
	}
	if p.Status != nil && *p.Status != in.Status {
		if !follows(in.Status, *p.Status) && p.Reason == "" {
			return fault.New(fault.Invalid, "Going from %s to %s skips or goes back: give a reason", in.Status, *p.Status).In("reason")
		}
		steps = append(steps, Step{At: now, Actor: actor, Action: "status", Old: string(in.Status), New: string(*p.Status), Note: p.Reason})
		in.Status, in.ClosedAt = *p.Status, nil
		if in.ContainedAt == nil {
			in.ContainedAt = &now
		}
		if in.Status == Closed {
			in.ClosedAt = &now
		}
	}
	if len(steps) == 0 {
		return nil // everything is so already
	}
	return s.write(ctx, tx, now, actor, in, "incident.update", steps)
}

// write stores what a person changed of in, with its steps and audit entry.
func (s *Service) write(ctx context.Context, tx *sqldb.DB, now time.Time, actor string, in *Incident, action string, steps []Step) error {
	if _, err := sqldb.Exec(ctx, tx, `
		UPDATE incident SET title = $1, severity = $2, status = $3, assigned_to = $4, sla_due_at = $5, closed_at = $6, merged_into = $7, updated_at = $8, version = version + 1,
			contained_at = $9, overdue_at = $10 WHERE id = $11`,
		in.Title, in.Severity, string(in.Status), in.AssignedTo, in.SLADueAt.UnixMicro(), sqldb.Nullable(in.ClosedAt), in.MergedInto, now.UnixMicro(),
		sqldb.Nullable(in.ContainedAt), sqldb.Nullable(in.OverdueAt), in.ID); err != nil {
		return err
	}
	if err := acknowledge(ctx, tx, now, actor, in.ID); err != nil {
		return err
	}
	if s.tell != nil && slices.ContainsFunc(steps, changesStatus) {
		if err := s.tell(ctx, tx, in, StatusChanged); err != nil {
			return err
		}
	}
	detail := map[string]any{}
	for _, st := range steps {
		if err := step(ctx, tx, in.ID, st); err != nil {
			return err
		}
		detail[st.Action] = map[string]string{"from": st.Old, "to": st.New}
		if st.Note != "" {
			detail["reason"] = st.Note
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: in.Tenant, At: now, Actor: actor, Action: action, Object: in.ID, Detail: detail})
}

// acknowledge notes that a person does something about the incident, if it is the first time.
func acknowledge(ctx context.Context, tx *sqldb.DB, now time.Time, actor, id string) error {
	if actor == audit.System || audit.Automatic(actor) {
		return nil
	}
	_, err := sqldb.Exec(ctx, tx, `UPDATE incident SET acknowledged_at = $1 WHERE id = $2 AND acknowledged_at IS NULL`, now.UnixMicro(), id)
	return err
}

// changesStatus tells whether a step of write's leaves the incident with another status.
func changesStatus(st Step) bool {
	switch st.Action {
	case "status":
		return true
	case "mergedInto": // closes it
		return st.Old != string(Closed)
	case "unmerged": // gives it back the status it had
		return st.New != string(Closed)
	}
	return false
}

// writable returns an incident that takes changes: one that was merged into another
// does not.
func (s *Service) writable(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Incident, error) {
	in, err := byID(ctx, tx, tenant, id)
	if err == nil && in.MergedInto != "" {
		err = fault.New(fault.Conflict, "the incident was merged into %s: unmerge it first", in.MergedInto)
	}
	return in, err
}

// change runs f in a transaction and returns the incident that it names as it then is.
func (s *Service) change(ctx context.Context, doing string, tenant uint32, f func(tx *sqldb.DB, now time.Time) (id string, err error)) (*Detail, error) {
	var d *Detail
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		id, err := f(tx, time.Now().UTC().Truncate(time.Microsecond))
		if err != nil {
			return err
		}
		d, err = s.get(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return nil, fault.Wrap(doing, err)
	}
	return d, nil
}

// Link puts alerts into the incident; those that are there stay.
func (s *Service) Link(ctx context.Context, tenant uint32, actor, id string, alertIDs []string) (*Detail, error) {
	return s.relink(ctx, "incident.link", tenant, actor, id, alertIDs, func(tx *sqldb.DB, now time.Time, in *Incident, a *alert.Alert) error {
		return s.link(ctx, tx, now, actor, in, a, "")
	})
}

// Unlink takes alerts out of the incident; those that are not there are no fault.
func (s *Service) Unlink(ctx context.Context, tenant uint32, actor, id string, alertIDs []string) (*Detail, error) {
	return s.relink(ctx, "incident.unlink", tenant, actor, id, alertIDs, func(tx *sqldb.DB, now time.Time, in *Incident, a *alert.Alert) error {
		return s.unlink(ctx, tx, now, actor, in, a)
	})
}

func (s *Service) relink(ctx context.Context, action string, tenant uint32, actor, id string, alertIDs []string, one func(*sqldb.DB, time.Time, *Incident, *alert.Alert) error) (*Detail, error) {
	if len(alertIDs) == 0 || len(alertIDs) > maxLink {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", maxLink).In("alertIds")
	}
	return s.change(ctx, action, tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		in, err := s.writable(ctx, tx, tenant, id)
		if err != nil {
			return "", err
		}
		alerts, err := s.named(ctx, tx, tenant, alertIDs)
		if err != nil {
			return "", err
		}
		for i := range alerts {
			if err := one(tx, now, in, &alerts[i]); err != nil {
				return "", err
			}
		}
		return in.ID, audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: action, Object: in.ID, Detail: map[string]any{"alerts": alertIDs}})
	})
}

// Merge puts the alerts of other incidents into the incident and closes those. Each
// can be taken out again with Unmerge.
func (s *Service) Merge(ctx context.Context, tenant uint32, actor, id string, from []string) (*Detail, error) {
	if len(from) == 0 || len(from) > maxLink || slices.Contains(from, id) {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d other incidents", maxLink).In("incidentIds")
	}
	return s.change(ctx, "merge incidents", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		into, err := s.writable(ctx, tx, tenant, id)
		if err != nil {
			return "", err
		}
		for _, other := range from {
			in, err := s.writable(ctx, tx, tenant, other)
			if err != nil {
				return "", err
			}
			alerts, err := s.alertsOf(ctx, tx, in, "")
			if err != nil {
				return "", err
			}
			for i := range alerts {
				if err := s.link(ctx, tx, now, actor, into, &alerts[i], in.ID); err != nil {
					return "", err
				}
			}
			before := in.Status
			in.MergedInto, in.Status, in.ClosedAt = into.ID, Closed, &now
			if err := s.write(ctx, tx, now, actor, in, "incident.merge", []Step{{At: now, Actor: actor, Action: "mergedInto", Old: string(before), New: into.ID}}); err != nil {
				return "", err
			}
			if err := step(ctx, tx, into.ID, Step{At: now, Actor: actor, Action: "merged", New: in.ID}); err != nil {
				return "", err
			}
		}
		return into.ID, nil
	})
}

// Unmerge takes back the merging of the incident: it has the status it had, and what
// the merging brought leaves the other incident.
func (s *Service) Unmerge(ctx context.Context, tenant uint32, actor, id string) (*Detail, error) {
	return s.change(ctx, "unmerge incident", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return "", err
		}
		if in.MergedInto == "" {
			return "", fault.New(fault.Conflict, "the incident is not merged into another")
		}
		into, err := byID(ctx, tx, tenant, in.MergedInto)
		if err != nil {
			return "", err
		}
		alerts, err := s.alertsOf(ctx, tx, into, in.ID)
		if err != nil {
			return "", err
		}
		for i := range alerts {
			if err := s.unlink(ctx, tx, now, actor, into, &alerts[i]); err != nil {
				return "", err
			}
		}
		before, err := sqldb.One(ctx, tx, sqldb.Value[Status], `SELECT old_value FROM incident_timeline WHERE incident_id = $1 AND action = 'mergedInto' ORDER BY id DESC LIMIT 1`, in.ID)
		if err != nil {
			return "", err
		}
		in.MergedInto, in.Status, in.ClosedAt = "", before, nil
		if before == Closed {
			in.ClosedAt = &now
		}
		if err := s.write(ctx, tx, now, actor, in, "incident.unmerge", []Step{{At: now, Actor: actor, Action: "unmerged", Old: into.ID, New: string(before)}}); err != nil {
			return "", err
		}
		return in.ID, step(ctx, tx, into.ID, Step{At: now, Actor: actor, Action: "unmerged", Old: in.ID})
	})
}

// alertsOf returns the incident's alerts, all or those that merging brought.
func (s *Service) alertsOf(ctx context.Context, tx *sqldb.DB, in *Incident, mergedFrom string) ([]alert.Alert, error) {
	ids, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT alert_id FROM incident_alert WHERE incident_id = $1 AND ($2 = '' OR merged_from = $2) ORDER BY alert_id`, in.ID, mergedFrom)
	if err != nil {
		return nil, err
	}
	return s.alerts.ByIDs(ctx, tx, in.Tenant, ids)
}

// Comment adds a comment of 1 to MaxComment characters.
func (s *Service) Comment(ctx context.Context, tenant uint32, actor, id, content string) (*Comment, error) {
	content = clean(content, false)
	if n := utf8.RuneCountInString(content); strings.TrimSpace(content) == "" || n > MaxComment {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d characters", MaxComment).In("content")
	}
	commentID, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("comment incident", err)
	}
	c := &Comment{ID: commentID.String(), Author: actor, Content: content}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		c.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO incident_comment (id, incident_id, author, content, created_at) VALUES ($1, $2, $3, $4, $5)`,
			c.ID, in.ID, c.Author, c.Content, c.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE incident SET updated_at = $1 WHERE id = $2`, c.CreatedAt.UnixMicro(), in.ID); err != nil {
			return err
		}
		if err := acknowledge(ctx, tx, c.CreatedAt, actor, in.ID); err != nil {
			return err
		}
		if err := step(ctx, tx, in.ID, Step{At: c.CreatedAt, Actor: actor, Action: "commented", New: c.ID}); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: c.CreatedAt, Actor: actor, Action: "incident.comment", Object: in.ID, Detail: map[string]string{"comment": c.ID}})
	})
	if err != nil {
		return nil, fault.Wrap("comment incident", err)
	}
	return c, nil
}

// Comments returns one page of the incident's comments, oldest first, and how many
// there are.
func (s *Service) Comments(ctx context.Context, tenant uint32, id string, page, size int) (list []Comment, total int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM incident_comment WHERE incident_id = $1`, in.ID); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, func(rows *sql.Rows, c *Comment) error {
			return rows.Scan(&c.ID, &c.Author, &c.Content, sqldb.Micros(&c.CreatedAt))
		}, `SELECT id, author, content, created_at FROM incident_comment WHERE incident_id = $1 ORDER BY id LIMIT $2 OFFSET $3`, in.ID, size, page*size)
		return err
	})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, 0, fault.Wrap("list comments", err)
	}
	return list, total, err
}
