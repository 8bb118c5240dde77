// Package retention lets events go when their term is over: the raw archive, the
// days of the event store, and what is above the bound on bytes. It counts from
// arrival, never from event time, so that a log of 2011 sent today is kept as
// long as one of today. It never touches alerts, incidents or the audit log.
package retention

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// A day of event time, in days since 1970: the unit in which the event store drops.
type Day int64

// DayOf returns the day of an event time in nanoseconds.
func DayOf(ns int64) Day {
	const day = int64(24 * time.Hour)
	d := ns / day
	if ns%day < 0 {
		d--
	}
	return Day(d)
}

// String returns the day as YYYYMMDD.
func (d Day) String() string { return time.Unix(int64(d)*86400, 0).UTC().Format("20060102") }

// Note keeps, for each day of event time, the newest arrival (nanoseconds) of an
// event of that day, in the caller's transaction.
func Note(ctx context.Context, tx *sqldb.DB, arrivals map[Day]int64) error {
	days := make([]Day, 0, len(arrivals))
	for d := range arrivals {
		days = append(days, d)
	}
	slices.Sort(days) // two transactions then wait for each other in turn
	for _, d := range days {
		_, err := sqldb.Exec(ctx, tx, `INSERT INTO event_day (day_no, last_arrival) VALUES ($1, $2)
			ON CONFLICT (day_no) DO UPDATE SET last_arrival =
				CASE WHEN event_day.last_arrival > excluded.last_arrival THEN event_day.last_arrival ELSE excluded.last_arrival END`,
			int64(d), arrivals[d]/1000)
		if err != nil {
			return fmt.Errorf("note arrivals: %w", err)
		}
	}
	return nil
}

// Config holds what a Keeper works on.
type Config struct {
	DB      *sqldb.DB
	Archive *archive.Archive
	Store   eventstore.Store
	Tenants *tenant.Service
	Days    *Days
	Log     *slog.Logger
	Now     func() time.Time

	// Holding names the tenants whose events a legal hold keeps; nil: there are none. A
	// day of the event store holds all tenants: one on which a held tenant has events stays,
	// and what others have on it is erased at night.
	Holding func(ctx context.Context) (map[uint32]bool, error)

	// Removing is told before what arrived of a tenant before a time is removed; nil: nobody
	// is. What is still to be handed on of it is counted.
	Removing func(ctx context.Context, tenant uint32, before time.Time)

	MaxBytes int64 // of archive and event store together; 0 is no bound
}

// Keeper applies the terms.
type Keeper struct {
	Config
	erased string // day of the last erasure of shorter terms
}

// New returns a Keeper.
func New(cfg Config) *Keeper { return &Keeper{Config: cfg} }

// Run applies the terms each hour until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := k.Apply(ctx); err != nil && ctx.Err() == nil {
				k.Log.ErrorContext(ctx, "retention failed: it is tried again in an hour", "err", err)
			}
		}
	}
}

// Apply removes what is over its term now.
func (k *Keeper) Apply(ctx context.Context) error {
	now := k.Now().UTC()
	tenants, err := k.Tenants.List(ctx)
	if err != nil {
		return err
	}
	var held map[uint32]bool
	if k.Holding != nil {
		if held, err = k.Holding(ctx); err != nil {
			return err
		}
	}
	longest := 0
	for _, t := range tenants {
		longest = max(longest, t.RetentionDays)
		if held[t.Number] {
			continue
		}
		limit := now.AddDate(0, 0, -t.RetentionDays)
		k.removing(ctx, t.Number, limit)
		if _, err := k.Archive.DropBefore(t.Number, limit); err != nil {
			return fmt.Errorf("tenant %d: %w", t.Number, err)
		}
	}
	if longest == 0 {
		return nil
	}
	keep := &holding{k: k, tenants: held, days: map[Day]bool{}}
	if err := k.dropDays(ctx, now.AddDate(0, 0, -longest), keep); err != nil {
		return err
	}
	// The store holds all tenants of a day together. A shorter term is an
	// erasure, which rewrites what it touches: once a day, at night.
	if today := now.Format("20060102"); now.Hour() == 2 && k.erased != today {
		for _, t := range tenants {
			if held[t.Number] || len(held) == 0 && t.RetentionDays == longest {
				continue
			}
			n, err := k.Store.Erase(ctx, t.Number, now.AddDate(0, 0, -t.RetentionDays).UnixNano())
			if err != nil {
				return fmt.Errorf("tenant %d: %w", t.Number, err)
			}
			if n > 0 {
				k.Log.InfoContext(ctx, "events over their term were erased", "tenant", t.Number, "events", n)
			}
		}
		k.erased = today
	}
	early, err := k.fitBytes(ctx, tenants, now, keep)
	if err != nil {
		return err
	}
	return k.note(ctx, now, early)
}

func (k *Keeper) removing(ctx context.Context, tenant uint32, before time.Time) {
	if k.Removing != nil {
		k.Removing(ctx, tenant, before)
	}
}

// note keeps that the terms were applied to the end, and whether something went early.
func (k *Keeper) note(ctx context.Context, now time.Time, early bool) error {
	var at any
	if early {
		at = now.UnixMicro()
	}
	_, err := sqldb.Exec(ctx, k.DB, `INSERT INTO retention_run (one, ended_at, early_at) VALUES (1, $1, $2)
		ON CONFLICT (one) DO UPDATE SET ended_at = excluded.ended_at, early_at = COALESCE(excluded.early_at, retention_run.early_at)`, now.UnixMicro(), at)
	if err != nil {
		return fmt.Errorf("note that the terms were applied: %w", err)
	}
	return nil
}

// dropDays drops the days whose newest event arrived before limit.
func (k *Keeper) dropDays(ctx context.Context, limit time.Time, keep *holding) error {
	days, err := sqldb.All(ctx, k.DB, sqldb.Value[int64], `SELECT day_no FROM event_day WHERE last_arrival < $1 ORDER BY day_no`, limit.UnixMicro())
	if err != nil {
		return fmt.Errorf("find days to drop: %w", err)
	}
	for _, d := range days {
		kept, err := keep.keeps(ctx, Day(d))
		if err == nil && !kept {
			err = k.drop(ctx, Day(d))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) drop(ctx context.Context, d Day) error {
	if err := k.Store.DropDay(ctx, d.String()); err != nil {
		return fmt.Errorf("drop day %s: %w", d, err)
	}
	if _, err := sqldb.Exec(ctx, k.DB, `DELETE FROM event_day WHERE day_no = $1`, int64(d)); err != nil {
		return fmt.Errorf("forget day %s: %w", d, err)
	}
	k.Days.forget(d)
	k.Log.InfoContext(ctx, "a day of events was dropped", "day", d.String())
	return nil
}
