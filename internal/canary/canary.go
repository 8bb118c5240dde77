// Package canary proves, again and again, that the whole way is open: a harmless event
// of KYRA's own goes through queue, parser, detection, alert and notice as any other
// does, and what it took to each place is written down. One that does not come out is
// an alert: KYRA does not see.
//
// The event's record names its run. The rule that detects it (Rule) runs beside a
// tenant's rules, in no list and with no exception. Its findings make one alert a day,
// of severity info, which grows and is resolved when the day is over.
package canary

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Source is the source of the events, and Input the door that they come through.
const (
	Source = "kyra_canary"
	Input  = "canary"
)

// RuleID is the rule that alerts of canaries name, LostRuleID that of alerts of lost ones.
const (
	RuleID     = "7c1f4be0-9a51-4f39-8f0f-2f8d0a9b6c01"
	LostRuleID = "7c1f4be0-9a51-4f39-8f0f-2f8d0a9b6c02"
)

// Rule is what detects the events, in Sigma.
const Rule = `title: "KYRA's own test: nothing has happened"
id: ` + RuleID + `
status: stable
description: A test event of KYRA's own came through, as it should.
author: KYRA project
license: Apache-2.0
logsource:
    product: kyra
detection:
    selection:
        canary_run|contains: '-'
        source: ` + Source + `
    condition: selection
level: informational
kyra:
    description: "Nothing has happened. Events of KYRA's own go the whole way from queue to alert to prove that it is open; {count} came through since this alert was made. It is resolved by itself."
    entity: [source]
    entities: [source]
`

// A Recorder writes findings as alerts, in the transaction of the caller.
type Recorder func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error

// Config is what a Service needs. DB is required; the rest to run canaries.
type Config struct {
	DB      *sqldb.DB
	Every   time.Duration // between two canaries of a tenant; 0: none
	Within  time.Duration // later than that a canary is lost; 0 means 2 minutes
	Tenants func() []uint32
	Append  func(ctx context.Context, c *queue.Chunk) error
	Events  eventstore.Store
	Alerts  *alert.Service
	Record  Recorder
	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
}

// Service runs canaries and knows what became of them.
type Service struct {
	Config
	mu      sync.Mutex
	seen    map[uint32][]sighting // findings of each tenant, the newest last
	metrics figures
}

type sighting struct {
	event event.ID
	at    time.Time
}

// New returns a Service.
func New(c Config) *Service {
	if c.Within == 0 {
		c.Within = 2 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Config: c, seen: map[uint32][]sighting{}}
}

// Saw is told of all findings, before they become alerts. It costs next to nothing.
func (s *Service) Saw(findings []alert.Finding) {
	for i := range findings {
		f := &findings[i]
		if f.Rule.ID != RuleID {
			continue
		}
		const most = 32
		now := s.Now()
		s.mu.Lock()
		list := s.seen[f.Tenant]
		for _, id := range f.Events {
			list = append(list, sighting{id, now})
		}
		s.seen[f.Tenant] = slices.Clone(list[max(0, len(list)-most):])
		s.mu.Unlock()
	}
}

func (s *Service) detected(tenant uint32, id event.ID) *time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.seen[tenant] {
		if x.event == id {
			return &x.at
		}
	}
	return nil
}

// A State tells what became of a canary.
type State string

// The states.
const (
	Running State = "running"
	OK      State = "ok"
	Lost    State = "lost"
	Aborted State = "aborted" // the server was stopped before it was in the queue
)

// A Run is one canary. A nil time: it did not get there, or not yet.
type Run struct {
	ID        string
	Tenant    uint32
	State     State
	Reason    string
	Sent      time.Time
	Acked     *time.Time // the queue has it on disk
	Stored    *time.Time // search finds it
	Detected  *time.Time // the rule matched; not known of one that outlived a restart
	Alerted   *time.Time // its alert can be read
	Awaited   bool       // a webhook subscribes canary
	Delivered *time.Time // every such webhook has answered
	Event     string     // id
	Alert     string     // id
}

// Missing names the legs that it should have gone and did not.
func (r *Run) Missing() []string {
	missing := []string{}
	for _, leg := range []struct {
		name string
		at   *time.Time
	}{{"acknowledged", r.Acked}, {"stored", r.Stored}, {"detected", r.Detected}, {"alerted", r.Alerted}, {"delivered", r.Delivered}} {
		switch {
		case leg.at != nil:
		case leg.name == "detected" && r.Alerted != nil: // it was, or there were no alert
		case leg.name == "delivered" && !r.Awaited:
		default:
			missing = append(missing, leg.name)
		}
	}
	return missing
}

const columns = `id, tenant, state, reason, sent_at, acked_at, stored_at, detected_at, alerted_at, awaited, delivered_at, event, alert`

func scan(rows *sql.Rows, r *Run) error {
	var acked, stored, detected, alerted, delivered sql.NullInt64
	err := rows.Scan(&r.ID, &r.Tenant, &r.State, &r.Reason, sqldb.Micros(&r.Sent), &acked, &stored, &detected, &alerted, &r.Awaited, &delivered, &r.Event, &r.Alert)
	for _, x := range []struct {
		from sql.NullInt64
		to   **time.Time
	}{{acked, &r.Acked}, {stored, &r.Stored}, {detected, &r.Detected}, {alerted, &r.Alerted}, {delivered, &r.Delivered}} {
		if x.from.Valid {
			at := time.UnixMicro(x.from.Int64).UTC()
			*x.to = &at
		}
	}
	return err
}

// List returns a tenant's runs, the newest first, and how many are kept.
func (s *Service) List(ctx context.Context, tenant uint32, page, size int) ([]Run, int64, error) {
	if size < 1 || size > 100 || page < 0 {
		return nil, 0, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	}
	total, err := sqldb.One(ctx, s.DB, sqldb.Value[int64], `SELECT COUNT(*) FROM canary_run WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, 0, fmt.Errorf("count canaries: %w", err)
	}
	runs, err := sqldb.All(ctx, s.DB, scan, `SELECT `+columns+` FROM canary_run WHERE tenant = $1 ORDER BY id DESC`+fmt.Sprintf(" LIMIT %d OFFSET %d", size, page*size), int64(tenant))
	if err != nil {
		return nil, 0, fmt.Errorf("list canaries: %w", err)
	}
	return runs, total, nil
}

// save writes what is known of r.
func (s *Service) save(ctx context.Context, tx *sqldb.DB, r *Run) error {
	micros := func(t *time.Time) any {
		if t == nil {
			return nil
		}
		return t.UnixMicro()
	}
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO canary_run (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason, acked_at = excluded.acked_at, stored_at = excluded.stored_at,
			detected_at = excluded.detected_at, alerted_at = excluded.alerted_at, awaited = excluded.awaited, delivered_at = excluded.delivered_at,
			event = excluded.event, alert = excluded.alert`,
		r.ID, int64(r.Tenant), string(r.State), r.Reason, r.Sent.UnixMicro(), micros(r.Acked), micros(r.Stored), micros(r.Detected), micros(r.Alerted), r.Awaited, micros(r.Delivered), r.Event, r.Alert)
	if err != nil {
		return fmt.Errorf("write down a canary: %w", err)
	}
	return nil
}
