package source

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func TestBalance(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, db *sqldb.DB, s *Service, _ *clock) {
		day := time.Date(2026, 4, 25, 0, 0, 0, 0, time.UTC)
		at := func(h int) int64 { return day.Add(time.Duration(h) * time.Hour).UnixNano() }
		must(t, s.Record(ctx, db, []Count{
			{Tenant: 1, Source: "sshd", Arrived: at(1), Received: 10, Stored: 7, Dropped: 2, Policy: PolicyResend},
			{Tenant: 1, Source: "sshd", Arrived: at(1), Dropped: 1, Policy: "filter"},
			{Tenant: 1, Source: "sshd", Arrived: at(2), Received: 5, Stored: 5},
			{Tenant: 1, Source: "json", Arrived: at(2), Received: 5, Quarantined: 5},
			{Tenant: 2, Source: "json", Arrived: at(2), Received: 1, Stored: 1},
		}))
		q := LedgerQuery{From: day, To: day.Add(24 * time.Hour)}
		b, err := s.Balance(ctx, 1, q)
		must(t, err)
		want := &Balance{Count: 3, Total: Entry{Received: 20, Stored: 12, Quarantined: 5, Dropped: 3, Drops: map[string]int64{PolicyResend: 2, "filter": 1}}, Lines: []Entry{
			{Hour: day.Add(2 * time.Hour), Source: "json", Received: 5, Quarantined: 5},
			{Hour: day.Add(2 * time.Hour), Source: "sshd", Received: 5, Stored: 5},
			{Hour: day.Add(time.Hour), Source: "sshd", Received: 10, Stored: 7, Dropped: 3, Drops: map[string]int64{PolicyResend: 2, "filter": 1}},
		}}
		if d := cmp.Diff(want, b); d != "" {
			t.Errorf("balance (-want +got):\n%s", d)
		}

		// What leaves the quarantine is taken back, also before it was counted.
		must(t, s.Withdraw(ctx, db, []Count{{Tenant: 1, Source: "json", Arrived: at(2), Received: 2, Quarantined: 2}, {Tenant: 1, Source: "cef", Arrived: at(2), Received: 1, Quarantined: 1}}))
		must(t, s.Record(ctx, db, []Count{{Tenant: 1, Source: "cef", Arrived: at(2), Received: 1, Quarantined: 1}}))
		b, err = s.Balance(ctx, 1, q)
		must(t, err)
		if b.Wrong != 0 || b.Total.Received != 18 || b.Total.Quarantined != 3 || !b.Total.Balanced() {
			t.Errorf("after a re-run: %+v", b)
		}
		if n, err := s.Unbalanced(ctx, day); err != nil || len(n) != 0 {
			t.Errorf("unbalanced lines: %v, %v", n, err)
		}

		// A record that is nowhere shows.
		must(t, s.Record(ctx, db, []Count{{Tenant: 1, Source: "sshd", Arrived: at(2), Received: 1}}))
		q.Unbalanced, q.Size = true, 10
		b, err = s.Balance(ctx, 1, q)
		must(t, err)
		if b.Wrong != 1 || b.Count != 1 || len(b.Lines) != 1 || b.Lines[0].Balanced() || b.Lines[0].Source != "sshd" || b.Total.Balanced() {
			t.Errorf("with a record lost: %+v", b)
		}
		if n, err := s.Unbalanced(ctx, day); err != nil || n[1] != 1 || len(n) != 1 {
			t.Errorf("unbalanced lines: %v, %v", n, err)
		}
		q = LedgerQuery{From: day, To: day.Add(24 * time.Hour), Source: "sshd", Page: 1, Size: 1}
		if b, err = s.Balance(ctx, 1, q); err != nil || b.Count != 2 || len(b.Lines) != 1 || !b.Lines[0].Hour.Equal(day.Add(time.Hour)) || b.Total.Received != 16 {
			t.Errorf("second page: %+v, %v", b, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, ctx context.Context, _ *sqldb.DB, s *Service, _ *clock) {
		day := time.Date(2026, 4, 25, 0, 0, 0, 0, time.UTC)
		for h := range 3 {
			must(t, s.RecordRefusals(ctx, []Refusal{
				{Hour: day.Add(time.Duration(h) * time.Hour), Door: "http", Fate: Refused, Reason: "quota", Records: 10},
				{Hour: day.Add(time.Duration(h) * time.Hour), Door: "syslog-udp", Fate: Lost, Reason: "kernel", Records: 3},
			}))
		}
		got, err := s.Refusals(ctx, day.Add(time.Hour), day.Add(24*time.Hour))
		want := []Refusal{{Door: "http", Fate: Refused, Reason: "quota", Records: 20}, {Door: "syslog-udp", Fate: Lost, Reason: "kernel", Records: 6}}
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("refusals (%v, -want +got):\n%s", err, d)
		}
	})
}
