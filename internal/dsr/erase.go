package dsr

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// EraseKind is the kind of job that erases a person's events.
const EraseKind = "dsr-erase"

// ConfirmText is what who erases must write.
const ConfirmText = "erase"

// A Proof tells what was erased, when, and who wanted it.
type Proof struct {
	ID         string     `json:"id"`
	Request    string     `json:"request"`
	QueryHash  string     `json:"queryHash"` // keyed SHA-256 of the query's text
	Until      time.Time  `json:"until"`     // events that arrived before then
	Found      int64      `json:"found"`     // counted before
	Erased     int64      `json:"erased"`    // counted before and after, and gone
	Remaining  int64      `json:"remaining"` // counted at the end; -1 while it is under way
	StartedAt  time.Time  `json:"startedAt"`
	EndedAt    *time.Time `json:"endedAt"`
	ApprovedBy string     `json:"approvedBy"`
	ErasedBy   string     `json:"erasedBy"`
	ArchivedTo time.Time  `json:"archivedTo"` // the raw archive holds the records until then

	Places []PlaceErased `json:"places"` // of control data

	tenant uint32
	sealed []byte
}

const selectProof = `SELECT id, tenant, request, which, query_hash, until, found, erased, remaining, started_at, ended_at, approved_by, erased_by, archived_to, places FROM dsr_erasure`

func scanProof(rows *sql.Rows, p *Proof) error {
	var places string
	err := rows.Scan(&p.ID, &p.tenant, &p.Request, &p.sealed, &p.QueryHash, sqldb.Micros(&p.Until), &p.Found, &p.Erased, &p.Remaining, sqldb.Micros(&p.StartedAt), sqldb.MicrosOrNull(&p.EndedAt),
		&p.ApprovedBy, &p.ErasedBy, sqldb.Micros(&p.ArchivedTo), &places)
	return errors.Join(err, json.Unmarshal([]byte(cmp.Or(places, "[]")), &p.Places))
}

// A Preview tells what an erasure would do.
type Preview struct {
	Events int64
	Held   []string // names of the holds that keep some of them
	// Approved tells that nobody else need agree.
	Approved bool
}

// before is the events of which that arrived before a time.
func before(which query.Node, until time.Time) query.Node {
	return query.And{Nodes: []query.Node{which, query.Span{Field: query.NewField(event.IngestTime), From: eventstore.MinTime, To: until.UnixNano()}}}
}

func (s *Service) count(ctx context.Context, tenant uint32, which query.Node) (int64, error) {
	r, err := s.Events.Search(ctx, eventstore.Request{Tenant: tenant, Filter: which, From: eventstore.MinTime, To: eventstore.MaxTime + 1})
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return int64(r.Total), nil //nolint:gosec // no store holds 2^63 events
}

// Preview counts what an erasure by actor would remove, and removes nothing.
func (s *Service) Preview(ctx context.Context, tenant uint32, actor, id string) (*Preview, error) {
	d, p, err := s.begin(ctx, tenant, actor, id, "eraseDryRun")
	if err != nil {
		return nil, err
	}
	out := &Preview{}
	which := nodeOf(p.Identifiers)
	if out.Events, err = s.count(ctx, tenant, which); err != nil {
		return nil, err
	}
	if out.Held, err = s.heldOf(ctx, tenant, which, p.Identifiers); err != nil {
		return nil, err
	}
	out.Approved, err = s.approved(ctx, d, actor)
	return out, err
}

// approved tells whether actor may erase: another one has approved it, or there is no
// other one.
func (s *Service) approved(ctx context.Context, d *Detail, actor string) (bool, error) {
	if s.Several == nil {
		return true, nil
	}
	several, err := s.Several(ctx, d.Tenant)
	return !several || d.ApprovedBy != "" && d.ApprovedBy != actor, err
}

// CheckErase tells what stands against an erasure by actor, before it becomes a job.
func (s *Service) CheckErase(ctx context.Context, tenant uint32, actor, id, confirm string) error {
	d, err := s.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if confirm != ConfirmText {
		return fault.New(fault.Invalid, "write %q: it cannot be undone; with preview it is only counted", ConfirmText).In("confirm")
	}
	return s.mayErase(ctx, d, actor)
}

func (s *Service) mayErase(ctx context.Context, d *Detail, actor string) error {
	if d.Kind != Erasure || d.Verification != IsVerified || d.Status.Closed() {
		return fault.New(fault.Conflict, "only what a verified person asks for in an open request of kind erasure can be erased")
	}
	ok, err := s.approved(ctx, d, actor)
	if err == nil && !ok {
		return fault.New(fault.Conflict, "another key must approve it: PATCH the request with approve")
	}
	return err
}

// Erase does a job of EraseKind, whose subject is the request. Repeating it is harmless.
func (s *Service) Erase(ctx context.Context, t *job.Task) (any, error) {
	d, p, err := s.begin(ctx, t.Tenant, t.Actor, t.Subject, "erase")
	if err != nil {
		return nil, err
	}
	if err := s.mayErase(ctx, d, t.Actor); err != nil {
		return nil, err
	}
	which := nodeOf(p.Identifiers)
	if held, err := s.heldOf(ctx, t.Tenant, which, p.Identifiers); err != nil {
		return nil, err
	} else if len(held) > 0 {
		return nil, fault.New(fault.Conflict, "legal holds keep some of this: %v", held)
	}
	proof, err := s.beginErasure(ctx, d, p, which, t.Actor)
	if err != nil {
		return nil, err
	}
	t.Progress(0, proof.Found, "")
	all := before(which, proof.Until)
	if proof.Erased, err = s.Events.EraseMatching(ctx, t.Tenant, all, eventstore.MinTime, eventstore.MaxTime+1); err != nil {
		return nil, fmt.Errorf("erase events: %w", err)
	}
	if proof.Remaining, err = s.count(ctx, t.Tenant, all); err != nil {
		return nil, err
	}
	if proof.Places, err = s.clearControl(ctx, t.Tenant, p.Identifiers); err != nil {
		return nil, err
	}
	places, err := json.Marshal(proof.Places)
	if err != nil {
		return nil, err
	}
	proof.EndedAt = new(s.Now().UTC())
	t.Progress(proof.Erased, proof.Found, "")
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE dsr_erasure SET erased = $1, remaining = $2, ended_at = $3, places = $4 WHERE id = $5`, proof.Erased, proof.Remaining, proof.EndedAt.UnixMicro(), string(places), proof.ID); err != nil {
			return err
		}
		if err := s.note(ctx, tx, &d.Request, t.Actor, "erased", fmt.Sprint(proof.Found), fmt.Sprint(proof.Remaining), ""); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: t.Tenant, At: *proof.EndedAt, Actor: t.Actor, Action: "dsr.erased", Object: d.ID, Detail: proof})
	})
	if err == nil && proof.Remaining > 0 {
		err = fault.New(fault.Unavailable, "%d events are still there: it is tried again", proof.Remaining)
	}
	return proof, err
}

// beginErasure writes down what is to be erased before anything is, so that building the
// index again leaves it out whatever happens now.
func (s *Service) beginErasure(ctx context.Context, d *Detail, p *Person, which query.Node, actor string) (*Proof, error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	days := 0
	if s.Retention != nil {
		var err error
		if days, err = s.Retention(ctx, d.Tenant); err != nil {
			return nil, err
		}
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	proof := &Proof{
		ID: id, Request: d.ID, QueryHash: s.trace(d.Tenant, which.String()), Until: now, Remaining: -1, StartedAt: now, ApprovedBy: d.ApprovedBy, ErasedBy: actor,
		ArchivedTo: now.AddDate(0, 0, days+1), Places: []PlaceErased{},
	}
	if proof.Found, err = s.count(ctx, d.Tenant, before(which, now)); err != nil {
		return nil, err
	}
	text, err := json.Marshal(p.Identifiers)
	if err != nil {
		return nil, err
	}
	sealed := s.Sealer.Seal(d.Tenant, "dsr erasure "+id, text)
	_, err = sqldb.Exec(ctx, s.DB, `INSERT INTO dsr_erasure (id, tenant, request, which, query_hash, until, found, erased, remaining, started_at, approved_by, erased_by, archived_to) VALUES `+sqldb.Rows(1, 13),
		id, int64(d.Tenant), d.ID, sealed, proof.QueryHash, now.UnixMicro(), proof.Found, int64(0), int64(-1), now.UnixMicro(), proof.ApprovedBy, actor, proof.ArchivedTo.UnixMicro())
	return proof, fault.Wrap("write down the erasure", err)
}

func (s *Service) identifiersOf(p *Proof) ([]Identifier, error) {
	text, err := s.Sealer.Open(p.tenant, "dsr erasure "+p.ID, p.sealed)
	if err != nil {
		return nil, err
	}
	var ids []Identifier
	return ids, json.Unmarshal(text, &ids)
}

// Erased returns what tells which of a tenant's events were erased and must not come
// back from the archive; nil where none were.
func (s *Service) Erased(ctx context.Context, tenant uint32) (func(*event.Event) bool, error) {
	list, err := sqldb.All(ctx, s.DB, scanProof, selectProof+` WHERE tenant = $1 ORDER BY id`, int64(tenant))
	if err != nil || len(list) == 0 {
		return nil, fault.Wrap("read erasures", err)
	}
	type gone struct {
		which query.Node
		until int64
	}
	all := make([]gone, len(list))
	for i := range list {
		ids, err := s.identifiersOf(&list[i])
		if err != nil {
			return nil, err
		}
		all[i] = gone{nodeOf(ids), list[i].Until.UnixNano()}
	}
	return func(e *event.Event) bool {
		for i := range all {
			if e.Arrived < all[i].until && all[i].which.Match(e) {
				return true
			}
		}
		return false
	}, nil
}
