package playbook

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// ready is what is needed of a playbook to begin a run.
type ready struct {
	id, handle, event string
	number            int64
}

// Sink begins the runs that messages set off, each once: it is one of the outbox's. Whether
// a playbook's condition holds is looked at when the run is taken up.
func (s *Service) Sink(ctx context.Context, tx *sqldb.DB, messages []outbox.Message) error {
	known := map[uint32][]ready{}
	for i := range messages {
		m := &messages[i]
		if !slices.Contains(Triggers, m.Event) {
			continue
		}
		list, ok := known[m.Tenant]
		if !ok {
			if err := s.ensure(ctx, tx, m.Tenant); err != nil {
				return err
			}
			var err error
			list, err = sqldb.All(ctx, tx, func(rows *sql.Rows, r *ready) error { return rows.Scan(&r.id, &r.handle, &r.event, &r.number) },
				`SELECT id, handle, event, number FROM playbook WHERE tenant = $1 AND enabled ORDER BY id`, int64(m.Tenant))
			if err != nil {
				return fault.Wrap("find playbooks", err)
			}
			known[m.Tenant] = list
		}
		if err := s.trigger(ctx, tx, m, list); err != nil {
			return fault.Wrap("begin runs", err)
		}
	}
	return nil
}

func (s *Service) trigger(ctx context.Context, tx *sqldb.DB, m *outbox.Message, list []ready) error {
	chain, read := "", m.Cause == ""
	for _, p := range list {
		if p.event != m.Event {
			continue
		}
		if !read {
			var err error
			if chain, err = chainOf(ctx, tx, m.Cause); err != nil {
				return err
			}
			read = true
		}
		if links := strings.Fields(chain); slices.Contains(links, p.id) || len(links) > MaxDepth {
			s.counts.refused.Inc()
			s.Log.InfoContext(ctx, "a playbook is not begun: it would follow from itself, or too many", "playbook", p.handle, "tenant", m.Tenant, "cause", m.Cause)
			continue
		}
		r := Run{PlaybookID: p.id, Tenant: m.Tenant, Number: p.number, Event: m.Event, Kind: m.Kind, Object: m.Object, Actor: audit.Playbook + p.handle, message: m.ID, chain: chain}
		if err := s.begin(ctx, tx, &r); err != nil {
			return err
		}
	}
	return nil
}

// chainOf is what follows from a run: its playbook, and those that it follows from.
func chainOf(ctx context.Context, tx *sqldb.DB, run string) (string, error) {
	list, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT chain || ' ' || playbook_id FROM playbook_run WHERE id = $1`, run)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return strings.TrimSpace(list[0]), nil
}

// begin queues a run. One of that version and message that is there already stays.
func (s *Service) begin(ctx context.Context, tx *sqldb.DB, r *Run) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	now := s.now()
	r.ID, r.State, r.CreatedAt, r.NextAt = id.String(), Queued, now, now
	// Its deadline is set when it is taken up: until then it waits for its turn.
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO playbook_run (id, tenant, playbook_id, number, event, message, kind, object, chain, actor, state, next_at, deadline, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'QUEUED', $11, $12, $11) ON CONFLICT DO NOTHING`,
		r.ID, int64(r.Tenant), r.PlaybookID, r.Number, r.Event, r.message, r.Kind, r.Object, r.chain, r.Actor, now.UnixMicro(), now.Add(maxDays*2*24*time.Hour).UnixMicro())
	return err
}

// Start begins a run by hand: on an alert, on an incident, or on nothing. Neither trigger
// nor condition are asked.
func (s *Service) Start(ctx context.Context, tenant uint32, actor, id, alertID, incidentID string) (*Run, error) {
	var r *Run
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		r = &Run{PlaybookID: p.ID, Tenant: tenant, Number: p.Number, Event: Manual, Actor: actor}
		if r.Kind, r.Object, err = s.target(ctx, tx, tenant, alertID, incidentID); err != nil {
			return err
		}
		if err := s.begin(ctx, tx, r); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: r.CreatedAt, Actor: actor, Action: "playbook.run", Object: p.ID, Detail: map[string]any{"run": r.ID, "on": r.Object, "version": r.Number}}); err != nil {
			return err
		}
		r, err = runByID(ctx, tx, tenant, r.ID)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("start run", err)
	}
	s.poke()
	return r, nil
}

// target checks what a run is to be on.
func (s *Service) target(ctx context.Context, tx *sqldb.DB, tenant uint32, alertID, incidentID string) (kind, object string, err error) {
	switch {
	case alertID != "" && incidentID != "":
		return "", "", fault.New(fault.Invalid, "Give alertId or incidentId, not both").In("incidentId")
	case alertID != "":
		_, err = s.Alerts.In(tx).Get(ctx, tenant, alertID)
		if errors.Is(err, fault.NotFound) {
			err = fault.New(fault.Invalid, "there is no such alert").In("alertId")
		}
		return kindAlert, alertID, err
	case incidentID != "":
		_, err = s.Incidents.In(tx).Get(ctx, tenant, incidentID)
		if errors.Is(err, fault.NotFound) {
			err = fault.New(fault.Invalid, "there is no such incident").In("incidentId")
		}
		return kindIncident, incidentID, err
	}
	return "", "", nil
}

// Kinds of objects, as the outbox names them.
const (
	kindAlert    = "alerts"
	kindIncident = "incidents"
)

// schedule begins the runs whose time has come. What was missed while nobody ran is
// begun once.
func (s *Service) schedule(ctx context.Context) error {
	now := s.now()
	due, err := sqldb.All(ctx, s.db, sqldb.Value[string], `SELECT id FROM playbook WHERE next_at <= $1 LIMIT 100`, now.UnixMicro())
	for _, id := range due {
		err = errors.Join(err, s.db.Tx(ctx, func(tx *sqldb.DB) error {
			list, err := sqldb.All(ctx, tx, scan, selectPlaybook+` WHERE p.id = $1 AND p.next_at <= $2`, id, now.UnixMicro())
			if err != nil || len(list) == 0 {
				return err
			}
			p := &list[0]
			if p.Enabled {
				r := Run{PlaybookID: p.ID, Tenant: p.Tenant, Number: p.Number, Event: Schedule, Actor: audit.Playbook + p.Handle, message: "at " + p.NextAt.Format(time.RFC3339)}
				if err := s.begin(ctx, tx, &r); err != nil {
					return err
				}
			}
			_, err = sqldb.Exec(ctx, tx, `UPDATE playbook SET next_at = $2 WHERE id = $1`, p.ID, sqldb.Nullable(p.Document.next(now)))
			return err
		}))
	}
	return fault.Wrap("begin scheduled runs", err)
}
