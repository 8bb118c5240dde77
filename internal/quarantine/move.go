package quarantine

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A move is a set of events that leave the quarantine.
type move struct {
	id       string
	tenant   uint32
	appended bool // all of them lie in the queue
	moveBody
}

type moveBody struct {
	Events []string `json:"events"`
	Counts []moved  `json:"counts"`
}

// moved is what events counted as.
type moved struct {
	Source  string `json:"source"`
	Reason  string `json:"reason"`
	Hour    int64  `json:"hour"` // of arrival, hours since 1970
	Records int64  `json:"records"`
}

func newMove(tenant uint32, list []again) *move {
	m := &move{id: uuid.Must(uuid.NewV7()).String(), tenant: tenant}
	counts := map[moved]int64{}
	for i := range list {
		a := &list[i]
		m.Events = append(m.Events, a.id.String())
		counts[moved{Source: a.source, Reason: a.reason, Hour: a.arrived / int64(time.Hour)}]++
	}
	for c, n := range counts {
		c.Records = n
		m.Counts = append(m.Counts, c)
	}
	slices.SortFunc(m.Counts, func(a, b moved) int {
		return cmp.Or(cmp.Compare(a.Hour, b.Hour), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason))
	})
	return m
}

// plan notes that a move begins. One that never got further is begun anew: the pipeline
// knows by their ids what was sent already.
func (s *Service) plan(ctx context.Context, m *move) error {
	body, err := json.Marshal(m.moveBody)
	if err != nil {
		return fmt.Errorf("plan a move: %w", err)
	}
	_, err = sqldb.Exec(ctx, s.DB, `INSERT INTO quarantine_move (id, tenant, appended, body) VALUES ($1, $2, $3, $4)`, m.id, int64(m.tenant), false, string(body))
	if err != nil {
		return fmt.Errorf("plan a move: %w", err)
	}
	return nil
}

// appended notes that everything lies in the queue: from now on the old rows may go.
func (s *Service) appended(ctx context.Context, m *move) error {
	if _, err := sqldb.Exec(ctx, s.DB, `UPDATE quarantine_move SET appended = $2 WHERE id = $1`, m.id, true); err != nil {
		return fmt.Errorf("note a move: %w", err)
	}
	m.appended = true
	return nil
}

// complete erases the old rows, moves the counts, and forgets the move. It may be
// repeated until it succeeds.
func (s *Service) complete(ctx context.Context, m *move) (int64, error) {
	if err := Erase(ctx, s.Events, m.tenant, m.Events); err != nil {
		return 0, err
	}
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		gone, err := sqldb.All(ctx, tx, func(rows *sql.Rows, id *string) error { return rows.Scan(id) },
			`DELETE FROM quarantine_move WHERE id = $1 RETURNING id`, m.id)
		if err != nil || len(gone) == 0 { // another finished it
			return err
		}
		counts := make([]source.Count, len(m.Counts))
		for i, c := range m.Counts {
			counts[i] = source.Count{Tenant: m.tenant, Source: c.Source, Arrived: c.Hour * int64(time.Hour), Received: c.Records, Quarantined: c.Records}
		}
		if err := s.Sources.Withdraw(ctx, tx, counts); err != nil {
			return err
		}
		return withdraw(ctx, tx, m.tenant, m.Counts)
	})
	if err != nil {
		return 0, fmt.Errorf("move the counts: %w", err)
	}
	return int64(len(m.Events)), nil
}

// Erase removes the rows of events that went through the queue again, by their ids.
func Erase(ctx context.Context, store eventstore.Store, tenant uint32, events []string) error {
	for some := range slices.Chunk(events, atOnce) {
		ids := make([]query.Node, len(some))
		for i, id := range some {
			ids[i] = query.Equal{Field: query.NewField(event.EventID), Value: id}
		}
		if _, err := store.EraseMatching(ctx, tenant, query.Or{Nodes: ids}, eventstore.MinTime, eventstore.MaxTime+1); err != nil {
			return fmt.Errorf("erase what was sent again: %w", err)
		}
	}
	return nil
}

// finish completes what an earlier re-run of the tenant left, and returns how many
// events that were.
func (s *Service) finish(ctx context.Context, tenant uint32) (int64, error) {
	left, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, m *move) error {
		var body []byte
		if err := rows.Scan(&m.id, &m.appended, &body); err != nil {
			return err
		}
		m.tenant = tenant
		return json.Unmarshal(body, &m.moveBody)
	}, `SELECT id, appended, body FROM quarantine_move WHERE tenant = $1 ORDER BY id`, int64(tenant))
	if err != nil {
		return 0, fmt.Errorf("look for unfinished moves: %w", err)
	}
	var n int64
	for i := range left {
		m := &left[i]
		if m.appended {
			done, err := s.complete(ctx, m)
			n += done
			if err != nil {
				return n, err
			}
			continue
		}
		if _, err := sqldb.Exec(ctx, s.DB, `DELETE FROM quarantine_move WHERE id = $1`, m.id); err != nil {
			return n, fmt.Errorf("forget a move: %w", err)
		}
	}
	return n, nil
}
