package alert

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var (
	attack = time.Date(2011, 5, 6, 7, 8, 9, 0, time.UTC) // event time
	server = time.Date(2026, 4, 22, 8, 15, 30, 0, time.UTC)
)

func bruteForce(at time.Time, count int64, ip string, users ...string) Finding {
	return Finding{
		Tenant: 1,
		Rule:   RuleRef{ID: "rule-1", Name: "Brute Force Authentication Attempt", Author: "KYRA", Version: 3},
		Title:  "Brute Force Authentication Attempt", Severity: "high", Source: "sshd", Tactic: "credential-access", Technique: "T1110",
		Description: "{count} failed logon attempts from {src_ip} targeting {user} account",
		Values:      map[string][]string{"src_ip": {ip}, "user": users},
		Key:         "src_ip=" + ip,
		Entities:    []Entity{{"ip", event.SrcIP, ip}},
		First:       at.UnixNano(), Last: at.Add(time.Minute).UnixNano(), Count: count,
		Events: []event.ID{eventAt(at)},
	}
}

func eventAt(at time.Time) event.ID {
	return event.ID{Partition: 1, Seq: uint64(at.Unix()), Index: 1}
}

func record(t *testing.T, s *Service, now time.Time, findings ...Finding) []Outcome {
	t.Helper()
	var out []Outcome
	err := s.db.Tx(t.Context(), func(tx *sqldb.DB) error {
		var err error
		out, err = s.Record(t.Context(), tx, now, findings)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordMerges(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		first := record(t, s, server, bruteForce(attack, 40, "10.0.1.55", "root"))
		if len(first) != 1 || !first[0].Created {
			t.Fatalf("outcomes are %+v", first)
		}
		a := first[0].Alert
		if a.Description != "40 failed logon attempts from 10.0.1.55 targeting root account" || a.Status != Open || !a.CreatedAt.Equal(server) || !a.FirstSeen.Equal(attack) {
			t.Errorf("alert is %+v", a)
		}
		// One batch: growth of that alert, another key, growth again.
		out := record(t, s, server.Add(time.Hour),
			bruteForce(attack.Add(time.Hour), 5, "10.0.1.55", "root", "admin"),
			bruteForce(attack, 1, "10.0.1.56", "root"),
			bruteForce(attack.Add(-time.Hour), 2, "10.0.1.55", "guest"))
		if out[0].Created || !out[1].Created || out[2].Created || out[0].Alert.ID != a.ID || out[2].Alert.ID != a.ID || out[1].Alert.ID == a.ID {
			t.Fatalf("outcomes are %+v", out)
		}
		d, err := s.Get(ctx, 1, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := &Detail{
			Alert: Alert{
				ID: a.ID, Tenant: 1, Title: a.Title, Severity: "high", Status: Open, Source: "sshd", Tactic: "credential-access", Technique: "T1110",
				Description: "47 failed logon attempts from 10.0.1.55 targeting root, admin and guest account",
				Rule:        a.Rule, Occurrences: 47, FirstSeen: attack.Add(-time.Hour), LastSeen: attack.Add(time.Hour + time.Minute),
				CreatedAt: server, UpdatedAt: server.Add(time.Hour), Version: 1,
			},
			Entities: []Entity{{"ip", "src_ip", "10.0.1.55"}},
			Events:   []event.ID{eventAt(attack), eventAt(attack.Add(time.Hour)), eventAt(attack.Add(-time.Hour))},
			Referred: 3,
			History:  []Change{{At: server, Actor: audit.System, Action: "created", New: "OPEN"}},
			Tags:     []string{},
		}
		if diff := cmp.Diff(want, d, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".seq" }, cmp.Ignore())); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(d.Alert, out[2].Alert, cmp.AllowUnexported(Alert{})); diff != "" {
			t.Errorf("outcome and stored alert differ: %s", diff)
		}
		if n, err := audit.Verify(ctx, db, 1); err != nil || n != 2 {
			t.Errorf("audit has %d entries, %v; want one for each batch", n, err)
		}
	})
}

func TestRecordWindow(t *testing.T) {
	cases := map[string]struct {
		at     time.Duration
		change func(*Finding)
		joins  bool
	}{
		"same moment":      {0, nil, true},
		"inside":           {24*time.Hour - time.Microsecond, nil, true},
		"a day later":      {24 * time.Hour, nil, false},
		"late, inside":     {-24*time.Hour + time.Microsecond, nil, true},
		"a day before":     {-24 * time.Hour, nil, false},
		"other rule":       {0, func(f *Finding) { f.Rule.ID = "rule-2" }, false},
		"other key":        {0, func(f *Finding) { f.Key = "x" }, false},
		"other tenant":     {0, func(f *Finding) { f.Tenant += 1000 }, false},
		"other version":    {0, func(f *Finding) { f.Rule.Version++ }, true},
		"other everything": {0, func(f *Finding) { f.Title, f.Severity, f.Source = "x", "low", "x" }, true},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		tenant := uint32(0)
		for name, tt := range cases {
			tenant++
			f := bruteForce(attack, 1, "10.0.1.55", "root")
			f.Tenant = tenant
			first := record(t, s, server, f)[0].Alert
			f = bruteForce(attack.Add(tt.at), 1, "10.0.1.55", "root")
			f.Tenant = tenant
			if tt.change != nil {
				tt.change(&f)
			}
			got := record(t, s, server, f)[0]
			if got.Created == tt.joins || (got.Alert.ID == first.ID) != tt.joins {
				t.Errorf("%s: created = %v, want joined = %v", name, got.Created, tt.joins)
			}
		}
	})
}

// Two alerts can be in reach: the nearer takes it. In one batch over several days
// each day has its own.
func TestRecordOverDays(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		day := 24 * time.Hour
		out := record(t, s, server,
			bruteForce(attack, 1, "10.0.1.55", "root"),
			bruteForce(attack.Add(day), 1, "10.0.1.55", "root"),
			bruteForce(attack.Add(2*day), 1, "10.0.1.55", "root"),
			bruteForce(attack.Add(day+5*time.Hour), 1, "10.0.1.55", "root"))
		if !out[0].Created || !out[1].Created || !out[2].Created || out[3].Created || out[3].Alert.ID != out[1].Alert.ID {
			t.Errorf("outcomes are %+v", out)
		}
		again := record(t, s, server, bruteForce(attack.Add(2*day-time.Hour), 1, "10.0.1.55", "root"))
		if again[0].Alert.ID != out[2].Alert.ID {
			t.Errorf("joined the alert first seen %v, want the nearest", again[0].Alert.FirstSeen)
		}
	})
}

func TestRecordAfterTriage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		for st, joins := range map[Status]bool{Open: true, InProgress: true, Resolved: false, FalsePositive: true} {
			ip := string(st) // a key of its own
			a := record(t, s, server, bruteForce(attack, 1, ip, "root"))[0].Alert
			if st != Open {
				if _, err := s.Patch(ctx, 1, "ann", a.ID, Patch{Status: &st}); err != nil {
					t.Fatal(err)
				}
			}
			out := record(t, s, server, bruteForce(attack.Add(time.Hour), 1, ip, "root"))[0]
			if out.Created == joins {
				t.Fatalf("%s: created = %v, want %v", st, out.Created, !joins)
			}
			want := int64(1)
			if joins {
				want = 2
			}
			d, err := s.Get(ctx, 1, a.ID)
			if err != nil || d.Status != st || d.Occurrences != want {
				t.Errorf("%s: status %v, %d occurrences, %v; want %d", st, d.Status, d.Occurrences, err, want)
			}
			// Whatever was made, the next one joins it.
			if next := record(t, s, server, bruteForce(attack.Add(2*time.Hour), 1, ip, "root"))[0]; next.Created || next.Alert.ID != out.Alert.ID {
				t.Errorf("%s: the next made another alert", st)
			}
		}
	})
}

func TestRecordBounds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		var a Alert
		for i := range 3 {
			f := bruteForce(attack, 60, "10.0.1.55")
			f.Events = nil
			for n := range 60 {
				f.Values["user"] = append(f.Values["user"], fmt.Sprintf("user-%d-%d", i, n))
				f.Events = append(f.Events, event.ID{Seq: uint64(i), Index: uint32(n)})
				f.Entities = append(f.Entities, Entity{"user", "user", fmt.Sprintf("user-%d-%d", i, n)})
			}
			a = record(t, s, server, f)[0].Alert
		}
		d, err := s.Get(ctx, 1, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d.Occurrences != 180 || len(d.Events) != MaxEvents || d.Description != "180 failed logon attempts from 10.0.1.55 targeting user-0-0, user-0-1 and 98 more account" {
			t.Errorf("%d occurrences, %d events, %q", d.Occurrences, len(d.Events), d.Description)
		}
	})
}

// What attackers write into logs must not keep an alert from being stored.
func TestRecordHostileText(t *testing.T) {
	hostile := "a\x00b\xff'\"\\;DROP TABLE alert--\n\u202e{count}" + strings.Repeat("한", 5000)
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		f := bruteForce(attack, 1, hostile, hostile)
		f.Rule.Name, f.Rule.Author, f.Title, f.Source, f.Tactic, f.Technique = hostile, hostile, hostile, hostile, hostile, hostile
		first := record(t, s, server, f)[0]
		again := record(t, s, server, f)[0]
		if again.Created || again.Alert.ID != first.Alert.ID {
			t.Error("a hostile key does not merge")
		}
		if _, err := s.Get(ctx, 1, first.Alert.ID); err != nil {
			t.Error(err)
		}
		for _, f := range []Filter{{Search: hostile}, {Entity: hostile}, {Sources: []string{"\x00"}}, {Mitre: "\xff"}, {AssignedTo: "'"}} {
			if _, err := s.List(ctx, 1, Query{Filter: f}); err != nil && !errors.Is(err, fault.Invalid) {
				t.Errorf("List(%.40q) = %v", f, err)
			}
		}
		if p, err := s.List(ctx, 1, Query{Filter: Filter{Search: "drop table alert--"}}); err != nil || p.Total != 1 {
			t.Errorf("List = %+v, %v", p, err)
		}
	})
}

func TestRecordRefusesUnknownSeverity(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := bruteForce(attack, 1, "10.0.1.55")
		f.Severity = "urgent"
		if _, err := New(db).Record(t.Context(), db, server, []Finding{f}); !errors.Is(err, fault.Invalid) {
			t.Errorf("Record = %v, want Invalid", err)
		}
	})
}

// The server's clock may go back: creation never does, so that pages stay as they are.
func TestRecordClockBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := New(db)
		record(t, s, server, bruteForce(attack, 1, "a"))
		back := record(t, s, server.Add(-time.Hour), bruteForce(attack, 1, "b"))[0].Alert
		if !back.CreatedAt.Equal(server) || back.UpdatedAt.Before(back.CreatedAt) {
			t.Errorf("created %v, updated %v", back.CreatedAt, back.UpdatedAt)
		}
	})
}

// Several writers of one tenant neither lose a count nor make an alert twice.
func TestRecordAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		var all sync.WaitGroup
		const workers, rounds, keys = 4, 6, 3
		for w := range workers {
			all.Go(func() {
				for i := range rounds {
					err := db.Tx(ctx, func(tx *sqldb.DB) error {
						var fs []Finding
						for k := range keys {
							fs = append(fs, bruteForce(attack, 1, fmt.Sprint("10.0.0.", k), fmt.Sprint("user", w, i)))
						}
						_, err := s.Record(ctx, tx, server, fs)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		p, err := s.List(ctx, 1, Query{})
		if err != nil || p.Total != keys {
			t.Fatalf("List = %+v, %v", p, err)
		}
		for _, a := range p.Alerts {
			if a.Occurrences != workers*rounds {
				t.Errorf("%d occurrences, want %d", a.Occurrences, workers*rounds)
			}
		}
	})
}

// What a transaction took back must leave no trace in what search knows.
func TestRecordRolledBack(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, s := t.Context(), New(db)
		undo := errors.New("undo")
		err := db.Tx(ctx, func(tx *sqldb.DB) error {
			if _, err := s.Record(ctx, tx, server, []Finding{bruteForce(attack, 1, "10.9.9.9", "ghost")}); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		record(t, s, server, bruteForce(attack, 1, "10.0.1.55", "root"))
		for search, want := range map[string]int64{"ghost": 0, "root": 1, "10.0.1": 1} {
			p, err := s.List(ctx, 1, Query{Filter: Filter{Search: search}})
			if err != nil || p.Total != want {
				t.Errorf("search %q: %+v, %v; want %d", search, p, err, want)
			}
		}
	})
}
