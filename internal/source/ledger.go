package source

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Count adds to the ledger of one tenant, source and hour. In the end Received
// equals Stored + Quarantined + Dropped.
type Count struct {
	Tenant    uint32
	Collector string // whom the records came through; "" means Server
	Source    string // product short name: "sshd"
	Arrived   int64  // any arrival time in the hour, nanoseconds since 1970

	Received    int64
	Stored      int64
	Quarantined int64 // kept whole in the event store; they claim a format that they break
	Dropped     int64
	Policy      string // that dropped, such as PolicyResend
}

// PolicyResend drops records that had come before under the same id or number.
const PolicyResend = "resend"

// An Entry is one line of the ledger.
type Entry struct {
	Hour   time.Time // its beginning, UTC
	Source string

	Received, Stored, Quarantined, Dropped int64
	Drops                                  map[string]int64 // Dropped by policy; nil where there are none
}

// Balanced tells whether every received record is accounted for.
func (e *Entry) Balanced() bool { return e.Received == e.Stored+e.Quarantined+e.Dropped }

type ledgerKey struct {
	tenant uint32
	hour   int64
	source string
}

type dropKey struct {
	ledgerKey
	policy string
}

type totalKey struct {
	tenant    uint32
	collector string
}

// Record adds counts, in the caller's transaction, so that they are as exact as
// what commits with them.
func (s *Service) Record(ctx context.Context, tx *sqldb.DB, counts []Count) error {
	lines := map[ledgerKey]Count{}
	drops := map[dropKey]int64{}
	totals := map[totalKey]int64{}
	for i := range counts {
		c := &counts[i]
		if min(c.Received, c.Stored, c.Quarantined, c.Dropped) < 0 {
			return fault.New(fault.Invalid, "a count of source %q is negative", c.Source)
		}
		k := ledgerKey{c.Tenant, c.Arrived / int64(time.Hour), c.Source}
		sum := lines[k]
		sum.Received += c.Received
		sum.Stored += c.Stored
		sum.Quarantined += c.Quarantined
		sum.Dropped += c.Dropped
		lines[k] = sum
		if c.Dropped > 0 {
			drops[dropKey{k, c.Policy}] += c.Dropped
		}
		through := c.Received
		if c.Policy == PolicyResend { // they were counted when they first came
			through = max(0, through-c.Dropped)
		}
		totals[totalKey{c.Tenant, cmp.Or(c.Collector, Server)}] += through
	}
	// In the order of the keys: two transactions that add to the same lines then
	// wait for each other in turn instead of for ever.
	for _, k := range sorted(lines, func(a, b ledgerKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.hour, b.hour), cmp.Compare(a.source, b.source))
	}) {
		c := lines[k]
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO source_ledger (tenant, hour, source, received, stored, quarantined, dropped)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (tenant, hour, source) DO UPDATE SET
				received = source_ledger.received + excluded.received,
				stored = source_ledger.stored + excluded.stored,
				quarantined = source_ledger.quarantined + excluded.quarantined,
				dropped = source_ledger.dropped + excluded.dropped`,
			int64(k.tenant), k.hour, k.source, c.Received, c.Stored, c.Quarantined, c.Dropped)
		if err != nil {
			return fmt.Errorf("record counts: %w", err)
		}
	}
	for _, k := range sorted(drops, func(a, b dropKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.hour, b.hour), cmp.Compare(a.source, b.source), cmp.Compare(a.policy, b.policy))
	}) {
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO source_ledger_drop (tenant, hour, source, policy, dropped) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant, hour, source, policy) DO UPDATE SET dropped = source_ledger_drop.dropped + excluded.dropped`,
			int64(k.tenant), k.hour, k.source, k.policy, drops[k])
		if err != nil {
			return fmt.Errorf("record drops: %w", err)
		}
	}
	for _, k := range sorted(totals, func(a, b totalKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.collector, b.collector))
	}) {
		if totals[k] == 0 {
			continue
		}
		_, err := sqldb.Exec(ctx, tx, `
			INSERT INTO collector_total (tenant, collector, received) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, collector) DO UPDATE SET received = collector_total.received + excluded.received`,
			int64(k.tenant), k.collector, totals[k])
		if err != nil {
			return fmt.Errorf("record totals: %w", err)
		}
	}
	return nil
}

func sorted[K comparable, V any](m map[K]V, order func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, order)
	return keys
}

// ceilHour is the first hour that begins at t or later.
func ceilHour(t time.Time) int64 {
	h := t.Unix() / 3600
	if t.Unix()%3600 != 0 || t.Nanosecond() != 0 {
		h++
	}
	return h
}
