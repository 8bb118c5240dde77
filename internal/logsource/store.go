package logsource

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// seen is what the column of that name holds.
type seen struct {
	Peer     string                `json:"peer"`
	Input    string                `json:"input"`
	Key      string                `json:"key"`
	Format   string                `json:"format"`
	Parser   string                `json:"parser"`
	Programs []string              `json:"programs"`
	Quality  [len(qualities)]int64 `json:"quality"`
	Others   bool                  `json:"others,omitempty"`
}

// learned is what the column rhythm holds.
type learned struct {
	Hours  hours  `json:"hours"`
	Rhythm rhythm `json:"rhythm"`
}

// A row is an entry as it is written down.
type row struct {
	e               *entry
	id              string
	key             key
	first, last     int64
	silent          any   // since when, nil where it is not
	events, other   int64 // since it was written last
	seen, proposals string
	rhythm          string // "" leaves what is there
}

func (e *entry) row(withRhythm bool) (row, error) {
	r := row{e: e, id: e.id, key: e.key, first: e.first / 1000, last: e.last / 1000, events: e.events - e.savedEvents, other: e.unparsed - e.savedUnparsed}
	if e.silentSince != 0 {
		r.silent = e.silentSince / 1000
	}
	text, err := json.Marshal(seen{e.peer, e.input, e.via, e.format, e.parser, e.programs, e.quality, e.others})
	if err != nil {
		return r, err
	}
	r.seen = string(text)
	if len(e.proposals) > 0 {
		if text, err = json.Marshal(e.proposals); err != nil {
			return r, err
		}
		r.proposals = string(text)
	}
	if withRhythm {
		if text, err = json.Marshal(learned{e.hours, e.rhythm}); err != nil {
			return r, err
		}
		r.rhythm = string(text)
	}
	return r, nil
}

// Flush writes down what changed since the last time. Run calls it.
func (s *Service) Flush(ctx context.Context) error { return s.flush(ctx, false) }

const rowsAtOnce = 100

func (s *Service) flush(ctx context.Context, all bool) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	rows, err := s.changed(all)
	if err != nil {
		return fmt.Errorf("write log sources: %w", err)
	}
	// Writers that lock rows in one order wait for each other in turn.
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.key.tenant, b.key.tenant), cmp.Compare(a.id, b.id)) })
	for part := range slices.Chunk(rows, rowsAtOnce) {
		if err := s.write(ctx, part); err != nil {
			s.observer.mu.Lock()
			for i := range rows { // those that were written had their counts moved on
				rows[i].e.changed = true
				rows[i].e.rolled = rows[i].e.rolled || rows[i].rhythm != ""
			}
			s.observer.mu.Unlock()
			return fmt.Errorf("write log sources: %w", err)
		}
	}
	return nil
}

// changed takes what is to be written, and looks what the data propose.
func (s *Service) changed(all bool) (rows []row, err error) {
	now := s.options.Now()
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	for _, e := range s.observer.byKey {
		if !e.changed || e.first == 0 {
			continue
		}
		if !e.others {
			e.propose(now)
		}
		r, err := e.row(all || e.rolled)
		if err != nil {
			return nil, err
		}
		e.changed, e.rolled = false, false
		rows = append(rows, r)
	}
	return rows, nil
}

func (s *Service) write(ctx context.Context, rows []row) error {
	var args []any
	for i := range rows {
		r := &rows[i]
		args = append(args, int64(r.key.tenant), r.id, r.key.source, r.key.host, r.first, r.last, r.seen, r.events, r.other, r.rhythm, r.proposals, r.silent)
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		_, err := sqldb.Exec(ctx, tx, `INSERT INTO log_source (tenant, id, source, host, first_at, last_at, seen, events, unparsed, rhythm, proposals, silent_since) VALUES `+sqldb.Rows(len(rows), 12)+`
			ON CONFLICT (tenant, id) DO UPDATE SET events = log_source.events + excluded.events, unparsed = log_source.unparsed + excluded.unparsed, proposals = excluded.proposals,
				last_at = CASE WHEN excluded.last_at < log_source.last_at THEN log_source.last_at ELSE excluded.last_at END,
				seen = CASE WHEN excluded.last_at < log_source.last_at THEN log_source.seen ELSE excluded.seen END,
				silent_since = CASE WHEN excluded.last_at < log_source.last_at THEN log_source.silent_since ELSE excluded.silent_since END,
				rhythm = CASE WHEN excluded.rhythm = '' OR excluded.last_at < log_source.last_at THEN log_source.rhythm ELSE excluded.rhythm END`, args...)
		return err
	})
	if err != nil {
		return err
	}
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	for i := range rows {
		rows[i].e.savedEvents += rows[i].events
		rows[i].e.savedUnparsed += rows[i].other
	}
	return nil
}

const entryColumns = `SELECT tenant, id, source, host, first_at, last_at, seen, events, unparsed, rhythm, proposals, muted, silent_after, COALESCE(silent_since, 0), version FROM log_source`

// adopt takes up what another server on the same database has seen since: who heard a
// source last owns what is known of it, and only counts are added up. Where there is
// one server nothing is newer than its own memory.
func (s *Service) adopt(ctx context.Context) error {
	type place struct {
		tenant uint32
		id     string
		last   int64

		events, unparsed int64
	}
	s.saving.Lock() // or what is written meanwhile would count twice
	defer s.saving.Unlock()
	since := s.options.Now().Add(-adoptWithin).UnixMicro()
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, p *place) error {
		return rows.Scan(&p.tenant, &p.id, &p.last, &p.events, &p.unparsed)
	},
		`SELECT tenant, id, last_at, events, unparsed FROM log_source WHERE last_at > $1`, since)
	if err != nil {
		return fmt.Errorf("read log sources of other servers: %w", err)
	}
	o := s.observer
	for _, p := range list {
		o.mu.Lock()
		e := o.byID[p.tenant][p.id]
		newer := e == nil || e.last/1000 < p.last
		if !newer {
			e.events += p.events - e.savedEvents
			e.unparsed += p.unparsed - e.savedUnparsed
			e.savedEvents, e.savedUnparsed = p.events, p.unparsed
		}
		o.mu.Unlock()
		if !newer {
			continue
		}
		found, err := sqldb.All(ctx, s.db, scanEntry, entryColumns+` WHERE tenant = $1 AND id = $2`, int64(p.tenant), p.id)
		if err != nil {
			return fmt.Errorf("read log sources of other servers: %w", err)
		}
		for i := range found {
			o.adopt(&found[i])
		}
	}
	return nil
}

// adoptWithin is how far back adopt looks: servers write what they saw each minute.
const adoptWithin = 10 * time.Minute

// adopt replaces what is known of a source by what another server wrote, with what was
// counted here and is not written yet.
func (o *observer) adopt(theirs *entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if mine := o.byKey[theirs.key]; mine != nil {
		if mine.last >= theirs.last {
			return
		}
		theirs.events += mine.events - mine.savedEvents
		theirs.unparsed += mine.unparsed - mine.savedUnparsed
		theirs.zoneless, theirs.exact, theirs.held = mine.zoneless, mine.exact, mine.held
		theirs.changed = mine.changed
		*mine = *theirs
		return
	}
	if len(o.byID[theirs.tenant]) < maxSources && len(o.byKey) < maxAll {
		o.put(theirs)
	}
}

// load reads all sources.
func (s *Service) load(ctx context.Context) error {
	o := s.observer
	o.mu.Lock()
	defer o.mu.Unlock()
	for e, err := range sqldb.Stream(ctx, s.db, scanEntry, entryColumns) {
		if err != nil {
			return fmt.Errorf("read log sources: %w", err)
		}
		o.newest = max(o.newest, e.last)
		o.put(&e)
	}
	last, err := sqldb.All(ctx, s.db, sqldb.Value[int64], `SELECT last_at FROM log_source_watch WHERE id = 1`)
	if err != nil {
		return fmt.Errorf("read log sources: %w", err)
	}
	if now := s.options.Now().UnixNano(); len(last) > 0 && now > last[0]*1000 {
		o.watch = watch{since: now, down: now - last[0]*1000}
	}
	return nil
}

func scanEntry(rows *sql.Rows, e *entry) error {
	var seenText, rhythmText, proposals string
	err := rows.Scan(&e.tenant, &e.id, &e.key.source, &e.host, &e.first, &e.last, &seenText, &e.events, &e.unparsed, &rhythmText, &proposals, &e.muted, &e.silentAfter, &e.silentSince, &e.version)
	if err != nil {
		return err
	}
	e.savedEvents, e.savedUnparsed = e.events, e.unparsed
	e.first, e.last, e.silentSince = e.first*1000, e.last*1000, e.silentSince*1000
	var x seen
	if err := json.Unmarshal([]byte(seenText), &x); err != nil {
		return err
	}
	e.peer, e.input, e.via, e.format, e.parser, e.programs, e.quality, e.others = x.Peer, x.Input, x.Key, x.Format, x.Parser, x.Programs, x.Quality, x.Others
	if rhythmText != "" {
		var l learned
		if err := json.Unmarshal([]byte(rhythmText), &l); err != nil {
			return err
		}
		e.hours, e.rhythm = l.Hours, l.Rhythm
	} else {
		e.rhythm.begin(e.first / int64(time.Second))
	}
	if proposals != "" {
		return json.Unmarshal([]byte(proposals), &e.proposals)
	}
	return nil
}

// keepSources is for how long a source is remembered that sends nothing.
const keepSources = 60 * 24 * time.Hour

// forget removes sources that came to an end long ago.
func (s *Service) forget(ctx context.Context) error {
	old := s.options.Now().Add(-keepSources)
	var gone []*entry
	s.observer.mu.Lock()
	for _, e := range s.observer.byKey {
		if e.last < old.UnixNano() {
			gone = append(gone, e)
			s.observer.remove(e)
		}
	}
	s.observer.mu.Unlock()
	for _, e := range gone {
		if _, err := sqldb.Exec(ctx, s.db, `DELETE FROM log_source WHERE tenant = $1 AND id = $2 AND last_at < $3`, int64(e.tenant), e.id, old.UnixMicro()); err != nil {
			return fmt.Errorf("forget log sources: %w", err)
		}
	}
	return nil
}
