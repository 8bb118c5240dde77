package source

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A LedgerQuery asks for lines of the ledger.
type LedgerQuery struct {
	From, To   time.Time // hours that begin from ≤ hour < to
	Source     string    // "": all
	Unbalanced bool      // only lines that do not add up
	Page, Size int       // Size 0: all
}

// A Balance is the ledger of a tenant for some time.
type Balance struct {
	Lines []Entry // of the page: the newest hour first, then by source
	Count int64   // of lines, on all pages
	Total Entry   // over all pages; Hour and Source are empty
	Wrong int64   // lines that do not add up
}

const unbalanced = `received <> stored + quarantined + dropped`

func (q *LedgerQuery) where(tenant uint32) (string, []any) {
	text := ` WHERE tenant = $1 AND hour >= $2 AND hour < $3`
	args := []any{int64(tenant), ceilHour(q.From), ceilHour(q.To)}
	if q.Source != "" {
		args = append(args, q.Source)
		text += ` AND source = $4`
	}
	return text, args
}

// Balance returns the lines that q asks for, with what they add up to.
func (s *Service) Balance(ctx context.Context, tenant uint32, q LedgerQuery) (*Balance, error) {
	where, args := q.where(tenant)
	whereLines := where
	if q.Unbalanced {
		whereLines += ` AND ` + unbalanced
	}
	b := &Balance{}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		b.Total, err = sqldb.One(ctx, tx, func(rows *sql.Rows, e *Entry) error {
			return rows.Scan(&b.Count, &b.Wrong, &e.Received, &e.Stored, &e.Quarantined, &e.Dropped)
		}, `SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN `+unbalanced+` THEN 1 ELSE 0 END), 0) AS BIGINT), CAST(COALESCE(SUM(received), 0) AS BIGINT), CAST(COALESCE(SUM(stored), 0) AS BIGINT),
			CAST(COALESCE(SUM(quarantined), 0) AS BIGINT), CAST(COALESCE(SUM(dropped), 0) AS BIGINT) FROM source_ledger`+where, args...)
		if err != nil {
			return err
		}
		if q.Unbalanced {
			b.Count = b.Wrong
		}
		drops, err := sqldb.All(ctx, tx, func(rows *sql.Rows, d *drop) error { return rows.Scan(&d.policy, &d.records) },
			`SELECT policy, CAST(SUM(dropped) AS BIGINT) FROM source_ledger_drop`+where+` GROUP BY policy ORDER BY policy`, args...)
		if err != nil {
			return err
		}
		for _, d := range drops {
			b.Total.addDrop(d.policy, d.records)
		}
		text := `SELECT hour, source, received, stored, quarantined, dropped FROM source_ledger` + whereLines + ` ORDER BY hour DESC, source`
		if q.Size > 0 {
			text += ` LIMIT ` + strconv.Itoa(q.Size) + ` OFFSET ` + strconv.Itoa(q.Page*q.Size)
		}
		b.Lines, err = sqldb.All(ctx, tx, scanEntry, text, args...)
		if err != nil {
			return err
		}
		return addDrops(ctx, tx, tenant, b.Lines)
	})
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	return b, nil
}

type drop struct {
	hour           int64
	source, policy string
	records        int64
}

func (e *Entry) addDrop(policy string, n int64) {
	if e.Drops == nil {
		e.Drops = map[string]int64{}
	}
	e.Drops[policy] += n
}

// addDrops completes lines, the newest of which comes first.
func addDrops(ctx context.Context, tx *sqldb.DB, tenant uint32, lines []Entry) error {
	type place struct {
		hour   int64
		source string
	}
	at := map[place]*Entry{}
	for i := range lines {
		if e := &lines[i]; e.Dropped > 0 {
			at[place{e.Hour.Unix() / 3600, e.Source}] = e
		}
	}
	if len(at) == 0 {
		return nil
	}
	drops, err := sqldb.All(ctx, tx, func(rows *sql.Rows, d *drop) error { return rows.Scan(&d.hour, &d.source, &d.policy, &d.records) },
		`SELECT hour, source, policy, dropped FROM source_ledger_drop WHERE tenant = $1 AND hour >= $2 AND hour <= $3`,
		int64(tenant), lines[len(lines)-1].Hour.Unix()/3600, lines[0].Hour.Unix()/3600)
	if err != nil {
		return err
	}
	for _, d := range drops {
		if e := at[place{d.hour, d.source}]; e != nil {
			e.addDrop(d.policy, d.records)
		}
	}
	return nil
}

func scanEntry(rows *sql.Rows, e *Entry) error {
	var hour int64
	err := rows.Scan(&hour, &e.Source, &e.Received, &e.Stored, &e.Quarantined, &e.Dropped)
	e.Hour = time.Unix(hour*3600, 0).UTC()
	return err
}

// Ledger returns a tenant's lines from ≤ hour < to, the newest hour first, then
// by source.
func (s *Service) Ledger(ctx context.Context, tenant uint32, from, to time.Time) ([]Entry, error) {
	b, err := s.Balance(ctx, tenant, LedgerQuery{From: from, To: to})
	if err != nil {
		return nil, err
	}
	return b.Lines, nil
}

// Unbalanced counts the lines since a time that do not add up, by tenant.
func (s *Service) Unbalanced(ctx context.Context, since time.Time) (map[uint32]int64, error) {
	type wrong struct{ tenant, lines int64 }
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, w *wrong) error { return rows.Scan(&w.tenant, &w.lines) },
		`SELECT tenant, COUNT(*) FROM source_ledger WHERE hour >= $1 AND `+unbalanced+` GROUP BY tenant`, since.Unix()/3600)
	if err != nil {
		return nil, fmt.Errorf("look for lines that do not add up: %w", err)
	}
	out := map[uint32]int64{}
	for _, w := range list {
		out[uint32(w.tenant)] = w.lines //nolint:gosec // a tenant's number
	}
	return out, nil
}

// Withdraw takes counts back, of records that leave the store to come in again. Each is
// balanced by itself, so that the line stays so.
func (s *Service) Withdraw(ctx context.Context, tx *sqldb.DB, counts []Count) error {
	for i := range counts {
		c := &counts[i]
		// The line may not be there yet: what the pipeline counted comes with its checkpoint.
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO source_ledger (tenant, hour, source, received, stored, quarantined, dropped) VALUES ($1, $2, $3, $4, $5, $6, 0)
			ON CONFLICT (tenant, hour, source) DO UPDATE SET
				received = source_ledger.received + excluded.received,
				stored = source_ledger.stored + excluded.stored,
				quarantined = source_ledger.quarantined + excluded.quarantined`,
			int64(c.Tenant), c.Arrived/int64(time.Hour), c.Source, -c.Received, -c.Stored, -c.Quarantined)
		if err != nil {
			return fmt.Errorf("withdraw counts: %w", err)
		}
	}
	return nil
}

// A Refusal counts what never became a record of a source, by hour and door.
type Refusal struct {
	Hour    time.Time // its beginning, UTC
	Door    string    // "http", "syslog-udp", …
	Fate    string    // Refused or Lost
	Reason  string
	Records int64
}

// Fates of what did not come in.
const (
	Refused = "refused" // the sender was told, and sends again if it can
	Lost    = "lost"    // before us, as the kernel says: nobody was told
)

// RecordRefusals adds counts to their hours.
func (s *Service) RecordRefusals(ctx context.Context, list []Refusal) error {
	if len(list) == 0 {
		return nil
	}
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		for i := range list {
			r := &list[i]
			_, err := sqldb.Exec(ctx, tx, `
				INSERT INTO source_refused (hour, door, fate, reason, records) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (hour, door, fate, reason) DO UPDATE SET records = source_refused.records + excluded.records`,
				r.Hour.Unix()/3600, r.Door, r.Fate, strings.ToValidUTF8(r.Reason, "?"), r.Records)
			if err != nil {
				return fmt.Errorf("record refusals: %w", err)
			}
		}
		return nil
	})
}

// Refusals returns the sums of the hours from ≤ hour < to, by door, fate and reason.
func (s *Service) Refusals(ctx context.Context, from, to time.Time) ([]Refusal, error) {
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, r *Refusal) error {
		return rows.Scan(&r.Door, &r.Fate, &r.Reason, &r.Records)
	}, `SELECT door, fate, reason, CAST(SUM(records) AS BIGINT) FROM source_refused WHERE hour >= $1 AND hour < $2
		GROUP BY door, fate, reason ORDER BY door, fate, reason`, ceilHour(from), ceilHour(to))
	if err != nil {
		return nil, fmt.Errorf("read refusals: %w", err)
	}
	return list, nil
}
