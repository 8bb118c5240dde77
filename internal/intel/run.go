package intel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// How feeds are run.
const (
	lookEvery  = 5 * time.Second
	feedsAtOne = 3 // at a time
	lease      = 10 * time.Minute
	retryFirst = 5 * time.Minute
	atOnce     = 2000 // drafts in a transaction
	keepGone   = 90 * 24 * time.Hour
	keepSeen   = 400 * 24 * time.Hour
)

// Run runs feeds that are due until ctx is done, and forgets what is long over.
func (f *Feeds) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	places := make(chan struct{}, feedsAtOne)
	var tidied time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := f.Now(); now.Sub(tidied) >= time.Hour {
			tidied = now
			if err := f.tidy(ctx); err != nil && ctx.Err() == nil {
				f.Log.WarnContext(ctx, "old indicators cannot be removed", "err", err)
			}
		}
		for len(places) < cap(places) {
			x, err := f.claim(ctx)
			if err != nil && ctx.Err() == nil {
				f.Log.WarnContext(ctx, "feeds cannot be looked for", "err", err)
			}
			if err != nil || x == nil {
				break
			}
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				if err := f.runClaimed(ctx, x, audit.System, nil); err != nil && ctx.Err() == nil {
					f.Log.WarnContext(ctx, "a feed could not be read", "feed", x.Name, "tenant", x.Tenant, "err", err)
				}
			})
		}
	}
}

// claim takes a feed that is due, so that no other server runs it, or returns nil.
func (f *Feeds) claim(ctx context.Context) (*Feed, error) {
	var x *Feed
	err := f.db.Tx(ctx, func(tx *sqldb.DB) error {
		x = nil
		now := f.Now().UnixMicro()
		due, err := sqldb.All(ctx, tx, scanFeed, selectFeed+` WHERE f.next_run <= $1 AND f.lease_until <= $1 AND f.enabled AND f.url <> '' ORDER BY f.next_run, f.id LIMIT 1`, now)
		if err != nil || len(due) == 0 {
			return err
		}
		x = &due[0]
		return f.hold(ctx, tx, x)
	})
	return x, err
}

// hold notes that this server runs the feed now.
func (f *Feeds) hold(ctx context.Context, tx *sqldb.DB, x *Feed) error {
	x.run++
	_, err := sqldb.Exec(ctx, tx, `UPDATE intel_feed SET run = $1, holder = $2, lease_until = $3 WHERE id = $4`, x.run, f.Holder, f.Now().Add(lease).UnixMicro(), x.ID)
	return err
}

// RunNow runs a feed at once and returns it as it is then; document, if not nil, is read
// in place of the feed's address. One that is being run is fault.Conflict. What goes
// wrong with the feed itself stands in its state.
func (f *Feeds) RunNow(ctx context.Context, tenant uint32, actor, id string, document io.Reader) (*Feed, error) {
	var x *Feed
	err := f.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if x, err = feedByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if f.Now().Before(x.leaseUntil) {
			return fault.New(fault.Conflict, "the feed is being read: wait until it has ended")
		}
		if x.URL == "" && document == nil {
			return fault.New(fault.Conflict, "the feed has no address: upload a file with POST /threat-intel-feeds/{id}/upload")
		}
		return f.hold(ctx, tx, x)
	})
	if err != nil {
		return nil, fmt.Errorf("run feed: %w", err)
	}
	// It ends although the caller hangs up: half a feed would look like a small one.
	if err := f.runClaimed(context.WithoutCancel(ctx), x, actor, document); err != nil {
		f.Log.InfoContext(ctx, "a feed could not be read", "feed", x.Name, "tenant", x.Tenant, "err", err)
	}
	return f.Get(ctx, tenant, id)
}

// runClaimed reads the feed and writes down how it went.
func (f *Feeds) runClaimed(ctx context.Context, x *Feed, actor string, document io.Reader) error {
	begun := f.Now().UTC()
	state := &x.State
	state.LastRun, state.Unchanged, state.RunCounts = &begun, false, RunCounts{}
	err := f.take(ctx, x, actor, document)
	now := f.Now().UTC()
	state.Seconds = now.Sub(begun).Seconds()
	next := now.Add(time.Duration(x.Settings.Interval) * time.Second)
	if err == nil {
		state.LastSuccess, state.LastError, state.Failures = &begun, "", 0
	} else {
		state.LastError = "internal error"
		if x, ok := errors.AsType[*fault.Error](err); ok {
			state.LastError = clip(clean(x.Message), 500)
		}
		state.Failures++
		if retry := now.Add(retryFirst << min(state.Failures-1, 10)); retry.Before(next) {
			next = retry
		}
	}
	if ctx.Err() != nil { // the server stops: the next one runs it
		next = now
	}
	end := context.WithoutCancel(ctx)
	_, writing := sqldb.Exec(end, f.db, `UPDATE intel_feed SET state = $1, next_run = $2, lease_until = 0, holder = '' WHERE id = $3 AND run = $4`, text(state), next.UnixMicro(), x.ID, x.run)
	return errors.Join(err, writing)
}

// take reads all of a feed into the database.
func (f *Feeds) take(ctx context.Context, x *Feed, actor string, document io.Reader) error {
	state := &x.State
	now := f.Now().UTC().Truncate(time.Microsecond)
	var waiting []Draft
	flush := func() error {
		if len(waiting) == 0 {
			return nil
		}
		var n written
		err := f.db.Tx(ctx, func(tx *sqldb.DB) error {
			w := writer{tx: tx, tenant: x.Tenant, actor: "feed:" + x.Name, now: now, feedID: x.ID, run: x.run}
			var err error
			if n, err = w.write(ctx, waiting); err != nil {
				return err
			}
			held, err := sqldb.Exec(ctx, tx, `UPDATE intel_feed SET lease_until = $1 WHERE id = $2 AND run = $3`, f.Now().Add(lease).UnixMicro(), x.ID, x.run)
			if err == nil && held == 0 {
				return fault.New(fault.Conflict, "the feed was deleted, or another server runs it")
			}
			return err
		})
		state.Created, state.Changed, state.Same = state.Created+n.Created, state.Changed+n.Changed, state.Same+n.Unchanged
		waiting = waiting[:0]
		return err
	}
	given := 0
	take := func(d *Draft) error {
		d.Source = x.Name
		if d.ValidUntil == nil && x.Settings.TTLDays > 0 {
			until := now.Add(time.Duration(x.Settings.TTLDays) * 24 * time.Hour)
			d.ValidUntil = &until
		}
		if err := d.check(now); err != nil {
			state.Invalid++
			state.problem("%v", err)
			return nil
		}
		if given++; given > maxFeed {
			state.Truncated = true
			state.problem("only the first %d indicators were taken", maxFeed)
			return errEnough
		}
		if waiting = append(waiting, *d); len(waiting) >= atOnce {
			return flush()
		}
		return nil
	}
	unchanged, err := f.document(ctx, x, document, take)
	if err := errors.Join(err, flush()); err != nil {
		return err
	}
	state.Unchanged = unchanged
	return f.settle(ctx, x, actor, now, given)
}

func (f *Feeds) document(ctx context.Context, x *Feed, document io.Reader, take func(*Draft) error) (bool, error) {
	if document != nil {
		return false, Parse(x.Format, document, &x.Settings, &x.State.Counts, take)
	}
	s, err := f.open(x)
	if err != nil {
		return false, err
	}
	defer s.close()
	return s.read(ctx, &x.State.Counts, take)
}

// settle ends what the feed no longer names, and has matchers read it.
func (f *Feeds) settle(ctx context.Context, x *Feed, actor string, now time.Time, given int) error {
	state := &x.State
	full := !state.Unchanged && !state.Truncated && x.Format != TAXII && !x.Settings.KeepGone
	if full && given == 0 {
		state.problem("the document holds no indicator")
		return fault.New(fault.Invalid, "the feed holds no indicator that can be read, so the old ones stay: %s", state.FirstProblem)
	}
	return f.db.Tx(ctx, func(tx *sqldb.DB) error {
		if full {
			n, err := sqldb.Exec(ctx, tx, `UPDATE intel_indicator SET valid_until = $1, gone = TRUE, updated_at = $1 WHERE feed_id = $2 AND feed_id <> '' AND run < $3 AND (valid_until IS NULL OR valid_until > $1)`, now.UnixMicro(), x.ID, x.run)
			if err != nil {
				return err
			}
			state.Expired = int(n)
		}
		if state.Unchanged && x.Settings.TTLDays > 0 { // it still names all of them
			until := now.Add(time.Duration(x.Settings.TTLDays) * 24 * time.Hour).UnixMicro()
			if _, err := sqldb.Exec(ctx, tx, `UPDATE intel_indicator SET valid_until = $1 WHERE feed_id = $2 AND feed_id <> '' AND NOT gone AND valid_until IS NOT NULL AND valid_until < $1`, until, x.ID); err != nil {
				return err
			}
		}
		if state.Created+state.Changed+state.Expired == 0 && !state.Unchanged && actor == audit.System {
			return nil
		}
		if err := bump(ctx, tx, x.Tenant); err != nil {
			return err
		}
		if actor == audit.System && state.Unchanged {
			return nil
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: x.Tenant, At: now, Actor: actor, Action: "feed.run", Object: x.ID, Detail: map[string]any{
			"name": x.Name, "created": state.Created, "changed": state.Changed, "expired": state.Expired, "invalid": state.Invalid,
		}})
	})
}

// tidy forgets what feeds have not named for long, and old sightings.
func (f *Feeds) tidy(ctx context.Context) error {
	now := f.Now()
	_, err := sqldb.Exec(ctx, f.db, `DELETE FROM intel_indicator WHERE feed_id <> '' AND sightings = 0 AND NOT disabled AND valid_until IS NOT NULL AND valid_until < $1`, now.Add(-keepGone).UnixMicro())
	_, err2 := sqldb.Exec(ctx, f.db, `DELETE FROM intel_sighting WHERE last_at < $1`, now.Add(-keepSeen).UnixMicro())
	_, err3 := sqldb.Exec(ctx, f.db, `DELETE FROM intel_retro_event WHERE at < $1`, now.Add(-keepSeen).UnixMicro())
	return errors.Join(err, err2, err3)
}

// A Trial is what a feed would give.
type Trial struct {
	Counts     Counts
	Indicators []Draft // the first of them
}

// trialSize is how many indicators a trial shows.
const trialSize = 20

// Try reads the begin of a feed, and keeps nothing.
func (f *Feeds) Try(ctx context.Context, tenant uint32, d FeedDraft, id string) (*Trial, error) {
	x := &Feed{ID: id, Tenant: tenant}
	if id != "" {
		stored, err := feedByID(ctx, f.db, tenant, id)
		if err != nil {
			return nil, err
		}
		x = stored
		x.State = State{}
	} else {
		if d.Name == "" {
			d.Name = "trial"
		}
		if err := d.check(f); err != nil {
			return nil, err
		}
		x.Name, x.Format, x.URL, x.Settings, x.ID = d.Name, d.Format, d.URL, d.Settings, "trial"
		var err error
		if x.secret, err = f.sealed(x, d.Auth); err != nil {
			return nil, err
		}
	}
	s, err := f.open(x)
	if err != nil {
		return nil, err
	}
	defer s.close()
	out := &Trial{Indicators: []Draft{}}
	now := f.Now().UTC()
	_, err = s.read(ctx, &out.Counts, func(d *Draft) error {
		d.Source = x.Name
		if err := d.check(now); err != nil {
			out.Counts.Invalid++
			out.Counts.problem("%v", err)
			return nil
		}
		if out.Indicators = append(out.Indicators, *d); len(out.Indicators) >= trialSize {
			return errEnough
		}
		return nil
	})
	if err != nil {
		if x, ok := errors.AsType[*fault.Error](err); ok && x.Kind == fault.Unavailable {
			return nil, fault.New(fault.Conflict, "%s", x.Message).Because(x.Cause)
		}
		return nil, err
	}
	return out, nil
}
