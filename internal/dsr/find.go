package dsr

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// SearchKind is the kind of job that looks for a person.
const SearchKind = "dsr-search"

// Findings is where a person was found, without the data itself.
type Findings struct {
	At       time.Time        `json:"at"`
	Events   int64            `json:"events"`
	First    *time.Time       `json:"first"`
	Last     *time.Time       `json:"last"`
	BySource map[string]int64 `json:"bySource"`
	ByDay    map[string]int64 `json:"byDay"`        // UTC; the newest 400 that have any
	ByValue  []int64          `json:"byIdentifier"` // in the order of the request
	Samples  []string         `json:"samples"`      // ids of the first 20 events
	Control  map[string]int64 `json:"control"`      // objects by place
	Places   []PlaceFound     `json:"places"`       // the same, and what an erasure does there
	Mentions []Mention        `json:"mentions"`     // the first 20 of each place
}

const (
	samples    = 20
	maxSources = 200
	maxDays    = 400
)

// Search does a job of SearchKind, whose subject is the request.
func (s *Service) Search(ctx context.Context, t *job.Task) (any, error) {
	d, p, err := s.begin(ctx, t.Tenant, t.Actor, t.Subject, "search")
	if err != nil {
		return nil, err
	}
	f, err := s.find(ctx, d.Tenant, p, t.Progress, nil, nil)
	if err != nil {
		return nil, err
	}
	return f, s.settle(ctx, t.Tenant, t.Actor, t.Subject, func(r *Request) (string, string) {
		r.Findings = f
		if r.Status == Searching {
			r.Status = Review
			return "status", string(Searching)
		}
		return "searched", ""
	})
}

// begin opens who is looked for, which the audit log notes as what it is.
func (s *Service) begin(ctx context.Context, tenant uint32, actor, id, what string) (d *Detail, p *Person, err error) {
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if d, err = s.get(ctx, tx, tenant, id); err != nil {
			return err
		}
		if d.Verification != IsVerified || d.Status.Closed() {
			return fault.New(fault.Conflict, "the request must be open and its person verified")
		}
		if p, err = s.person(&d.Request); err != nil {
			return err
		}
		if what == "search" && d.Status == Verified {
			d.Status = Searching
			if err := s.note(ctx, tx, &d.Request, actor, "status", string(Verified), string(Searching), ""); err != nil {
				return err
			}
			if err := update(ctx, tx, &d.Request, s.Now()); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.Now(), Actor: actor, Action: "dsr." + what, Object: id, Detail: map[string]any{"personalDataSearch": true, "identifiers": len(p.Identifiers)}})
	})
	return d, p, err
}

// settle writes what a job found out.
func (s *Service) settle(ctx context.Context, tenant uint32, actor, id string, change func(*Request) (action, old string)) error {
	return s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		d, err := s.get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		action, old := change(&d.Request)
		value := ""
		if action == "status" {
			value = string(d.Status)
		}
		if err := s.note(ctx, tx, &d.Request, actor, action, old, value, ""); err != nil {
			return err
		}
		return update(ctx, tx, &d.Request, s.Now())
	})
}

// find walks over everything that names the person; each gets the events, and row what
// control data says, where they are given.
func (s *Service) find(ctx context.Context, tenant uint32, p *Person, told func(done, total int64, note string), each func(*event.Event) error, row func(*packedRow) error) (*Findings, error) {
	f := &Findings{At: s.Now().UTC(), BySource: map[string]int64{}, ByDay: map[string]int64{}, ByValue: make([]int64, len(p.Identifiers)), Samples: []string{}, Control: map[string]int64{}, Places: []PlaceFound{}, Mentions: []Mention{}}
	which := nodeOf(p.Identifiers)
	from, to := eventstore.MinTime, eventstore.MaxTime+1
	r, err := s.Events.Search(ctx, eventstore.Request{Tenant: tenant, Filter: which, From: from, To: to})
	if err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	total := int64(r.Total) //nolint:gosec // no store holds 2^63 events
	nodes := make([]func(*event.Event) bool, len(p.Identifiers))
	for i := range p.Identifiers {
		nodes[i] = p.Identifiers[i].node().Match
	}
	err = s.Events.Walk(ctx, eventstore.WalkRequest{Tenant: tenant, Filter: which, From: from, To: to}, func(events []event.Event) error {
		for i := range events {
			e := &events[i]
			f.count(e, nodes)
			if each != nil {
				if err := each(e); err != nil {
					return err
				}
			}
		}
		told(f.Events, total, "")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return f, s.findControl(ctx, tenant, p.Identifiers, f, row)
}

func (f *Findings) count(e *event.Event, nodes []func(*event.Event) bool) {
	at := time.Unix(0, e.Time).UTC()
	if f.First == nil {
		f.First = &at
	}
	f.Last = &at
	f.Events++
	source := cmp.Or(e.Get(event.Source), "unknown")
	if _, known := f.BySource[source]; !known && len(f.BySource) == maxSources {
		source = "others"
	}
	f.BySource[source]++
	f.ByDay[at.Format(time.DateOnly)]++
	if len(f.ByDay) > maxDays {
		delete(f.ByDay, slices.Min(slices.Collect(maps.Keys(f.ByDay))))
	}
	for i, match := range nodes {
		if match(e) {
			f.ByValue[i]++
		}
	}
	if len(f.Samples) < samples {
		f.Samples = append(f.Samples, e.ID.String())
	}
}

// Kinds are the kinds of jobs.
func (s *Service) Kinds() map[string]job.Kind {
	return map[string]job.Kind{
		SearchKind:  {Work: s.Search, Time: 12 * time.Hour},
		PackageKind: {Work: s.Pack, Time: 12 * time.Hour},
		EraseKind:   {Work: s.Erase, Time: 12 * time.Hour},
	}
}
