package asset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

func newService(tb testing.TB, db *sqldb.DB) *Service {
	return New(db, Options{Log: slog.New(slog.NewTextHandler(tb.Output(), nil)), Now: func() time.Time { return noon }})
}

func eventOf(tenant uint32, second int, fields ...string) *event.Event {
	e := &event.Event{Tenant: tenant, Time: noon.Add(time.Duration(second) * time.Second).UnixNano(), Arrived: noon.Add(time.Hour).UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return e
}

func (s *Service) feed(tb testing.TB, events ...*event.Event) {
	tb.Helper()
	for _, e := range events {
		s.observer.forget()
		s.Observe(e)
	}
	if err := s.Flush(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// shape is what is shown of all assets of a tenant, without ids.
func (s *Service) shape(tb testing.TB) string {
	tb.Helper()
	list, _, err := s.List(tb.Context(), 1, Query{Size: 1000})
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for _, a := range list {
		full, err := s.Get(tb.Context(), 1, a.ID)
		if err != nil {
			tb.Fatal(err)
		}
		var traits []string
		for _, t := range full.History {
			traits = append(traits, fmt.Sprintf("%s=%s@%d-%d", t.Kind, t.Value, t.First.Unix()-noon.Unix(), t.Last.Unix()-noon.Unix()))
		}
		slices.Sort(traits)
		lines = append(lines, fmt.Sprintf("%s %s %s %d-%d: %s", a.Name, a.Type, a.OS, a.First.Unix()-noon.Unix(), a.Last.Unix()-noon.Unix(), strings.Join(traits, " ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (s *Service) named(tb testing.TB, name string) *Asset {
	tb.Helper()
	list, _, err := s.List(tb.Context(), 1, Query{Filter: Filter{Search: name}, Size: 10})
	if err != nil || len(list) == 0 {
		tb.Fatalf("%s: %v, %v", name, list, err)
	}
	a, err := s.Get(tb.Context(), 1, list[0].ID)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func office() []*event.Event {
	return []*event.Event{
		eventOf(1, 1, "source", "sshd", "host", "web-01", "host_ip", "10.0.0.5", "src_ip", "203.0.113.9"),
		eventOf(1, 2, "source", "dhcpd", "host", "gw", "action", "dhcp_assign", "src_ip", "10.0.0.9", "src_mac", "00:00:5E:00:53:01", "src_host", "laptop7"),
		eventOf(1, 3, "source", "dhcpd", "host", "gw", "action", "dhcp_assign", "src_ip", "10.0.0.9", "src_mac", "00:00:5e:00:53:02", "src_host", "iphone"),
		eventOf(1, 4, "source", "squid", "host", "proxy", "src_ip", "10.0.0.9"),
		eventOf(1, 5, "source", "squid", "host", "proxy", "src_ip", "10.0.0.77"),
		eventOf(1, 6, "source", "ecs", "host", "laptop7.corp.example", "host.mac", "00:00:5e:00:53:01", "host.os.name", "Windows 11"),
		eventOf(1, 7, "source", "ecs", "host", "laptop7", "host.mac", "00:00:5e:00:53:01"),
		eventOf(1, 8, "source", "ecs", "host", "laptop7", "host.id", "4c4c4544-0043"),
		eventOf(1, 9, "source", "sysmon", "host", "dc1.corp.example", "host.id", "99994544-0043"),
		eventOf(1, 10, "source", "sysmon", "host", "dc-one.corp.example", "host.id", "{99994544-0043}"),
		eventOf(1, 11, "source", "cisco_asa", "host", "198.51.100.1", "dst_ip", "10.0.0.80", "dst_bytes", "90"),
		eventOf(1, 12, "source", "cisco_asa", "host", "198.51.100.1", "dst_ip", "10.0.0.81", "action", "deny"),
		eventOf(2, 13, "source", "sshd", "host", "web-01", "host_ip", "10.0.0.5"),
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		want := ""
		for round := range 12 {
			events := office()
			rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			s := newService(t, db)
			for _, table := range []string{"asset", "asset_key", "asset_trait", "asset_merge", "asset_head"} {
				if _, err := sqldb.Exec(t.Context(), db, "DELETE FROM "+table); err != nil {
					t.Fatal(err)
				}
			}
			for len(events) > 0 { // in batches of any size
				n := 1 + rand.IntN(len(events))
				s.feed(t, events[:n]...)
				events = events[n:]
			}
			got := s.shape(t)
			if round == 0 {
				want = got
				t.Log("\n" + got)
			} else if got != want {
				t.Fatalf("in another order:\n%s\nand before:\n%s", got, want)
			}
		}
		for _, line := range []string{
			"10.0.0.77 unknown  5-5: ip=10.0.0.77@5-5", "10.0.0.80 unknown  11-11", "198.51.100.1 network-device", "iphone mobile iOS 3-3",
			"laptop7.corp.example workstation Windows 2-8: alias=laptop7@2-2 guid=4c4c4544-0043@8-8 ip=10.0.0.9@2-2 mac=00:00:5e:00:53:01@2-7", "dc-one.corp.example workstation Windows 9-10", "web-01 server Linux 1-1: ip=10.0.0.5@1-1",
		} {
			if !strings.Contains(want, line) {
				t.Errorf("no %q among\n%s", line, want)
			}
		}
		for _, line := range []string{"203.0.113.9", "10.0.0.81", "\n10.0.0.9 ", "\n10.0.0.5 "} {
			if strings.Contains(want, line) {
				t.Errorf("%q is among\n%s", line, want)
			}
		}
	})
}

func TestUnmergeRestores(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		s.feed(t, office()...)
		before := s.shape(t)
		web, proxy, gw := s.named(t, "web-01"), s.named(t, "proxy"), s.named(t, "gw")
		if _, err := s.Merge(t.Context(), 1, "me", proxy.ID, []string{gw.ID}, "one box"); err != nil {
			t.Fatal(err)
		}
		merged, err := s.Merge(t.Context(), 1, "me", web.ID, []string{proxy.ID}, "all one box")
		if err != nil {
			t.Fatal(err)
		}
		if len(merged.Merges) != 1 || merged.Merges[0].Reason != "all one box" || !strings.Contains(s.shape(t), "name=gw") {
			t.Errorf("merged: %+v", merged)
		}
		if _, err := s.Merge(t.Context(), 1, "me", gw.ID, []string{web.ID}, "circle"); !errors.Is(err, fault.Conflict) {
			t.Errorf("into what is merged: %v", err)
		}
		if _, err := s.Merge(t.Context(), 2, "me", web.ID, []string{gw.ID}, "another tenant"); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		out, err := s.Unmerge(t.Context(), 1, "me", proxy.ID, "two boxes")
		if err != nil || out.MergedInto != "" || len(out.Sources) != 2 {
			t.Fatalf("unmerged: %+v, %v", out, err)
		}
		if gw, err := s.Get(t.Context(), 1, gw.ID); err != nil || gw.MergedInto != proxy.ID {
			t.Errorf("what it had been merged with is at %v, %v", gw, err)
		}
		if _, err := s.Unmerge(t.Context(), 1, "me", gw.ID, "three boxes"); err != nil {
			t.Fatal(err)
		}
		if after := s.shape(t); after != before {
			t.Errorf("after:\n%s\nbefore:\n%s", after, before)
		}
		// What people took apart no event joins again.
		s.feed(t, eventOf(1, 20, "source", "x", "host", "a-1", "host.id", "aaaaaaaa-1"), eventOf(1, 20, "source", "x", "host", "b-1", "host.id", "bbbbbbbb-1"))
		a, b := s.named(t, "a-1"), s.named(t, "b-1")
		both := eventOf(1, 21, "source", "x", "host", "a-1", "host.id", "bbbbbbbb-1")
		s.feed(t, both)
		joined, _ := s.Get(t.Context(), 1, b.ID)
		child := b.ID
		if joined.MergedInto == "" {
			child = a.ID
		}
		if _, err := s.Unmerge(t.Context(), 1, "me", child, "cloned image"); err != nil {
			t.Fatal(err)
		}
		s.feed(t, both)
		if x, _ := s.Get(t.Context(), 1, child); x.MergedInto != "" {
			t.Error("an event merged again what people took apart")
		}
	})
}

func TestSearchFilterAndBounds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		s.feed(t, office()...)
		for search, want := range map[string]int64{"10.0.0.0/24": 5, "10.0.0.9": 2, "LAPTOP7": 1, "web": 1, "10.0.0.0/29": 1, "100%": 0, "_": 0, "00:00:5e": 2, "198.51.100.0/24": 1} {
			_, n, err := s.List(t.Context(), 1, Query{Filter: Filter{Search: search}, Size: 10})
			if err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", search, n, err, want)
			}
		}
		web := s.named(t, "web-01")
		owner, high, tags := "anna", "high", []string{"pci", "100%"}
		a, err := s.Patch(t.Context(), 1, "me", web.ID, Patch{Owner: &owner, Criticality: &high, Tags: &tags, Version: 1})
		if err != nil || a.Owner != owner || a.Criticality != high || a.Version != 2 {
			t.Fatalf("%+v, %v", a, err)
		}
		for _, f := range []Filter{{Tags: []string{"100%"}}, {Owners: []string{"anna"}}, {Criticalities: []string{"high", "critical"}}, {Types: []string{"server"}, Search: "web"}, {Sources: []string{"sshd"}}} {
			if _, n, err := s.List(t.Context(), 1, Query{Filter: f, Size: 10}); err != nil || n != 1 {
				t.Errorf("%+v: %d, %v", f, n, err)
			}
		}
		n := 0
		for _, err := range s.Stream(t.Context(), 1, Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if _, total, _ := s.List(t.Context(), 1, Query{Size: 1}); int64(n) != total {
			t.Errorf("stream gave %d of %d", n, total)
		}
		if _, err := s.Patch(t.Context(), 1, "me", web.ID, Patch{Owner: &owner, Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("old version: %v", err)
		}
		full := New(db, Options{Log: s.options.Log, Max: 2})
		full.feed(t, eventOf(3, 1, "source", "x", "host", "h1"), eventOf(3, 1, "source", "x", "host", "h2"), eventOf(3, 1, "source", "x", "host", "h3"))
		if _, n, _ := full.List(t.Context(), 3, Query{Size: 9}); n != 2 || full.full[3] != 1 {
			t.Errorf("%d assets of at most 2, %d counted", n, full.full[3])
		}
	})
}

func TestImport(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newService(t, db)
		s.feed(t, office()...)
		text := "name,mac,address,type,criticality,tags,owner\r\nweb-01,,,,critical,pci;edge,anna\r\nnew-9,00:00:5e:00:53:99,10.0.0.99,printer,low,,\r\n"
		dry, err := s.Import(t.Context(), 1, "me", []byte(text), true)
		if err != nil || dry.Created != 1 || dry.Updated != 1 {
			t.Fatalf("dry: %+v, %v", dry, err)
		}
		if _, n, _ := s.List(t.Context(), 1, Query{Filter: Filter{Search: "new-9"}, Size: 1}); n != 0 {
			t.Error("a dry run wrote")
		}
		if got, err := s.Import(t.Context(), 1, "me", []byte(text), false); err != nil || got.Created != 1 || got.Updated != 1 || len(got.Errors) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if a := s.named(t, "web-01"); a.Owner != "anna" || a.Criticality != "critical" || !slices.Equal(a.Tags, []string{"pci", "edge"}) {
			t.Errorf("%+v", a)
		}
		if a := s.named(t, "10.0.0.99"); a.Name != "new-9" || a.Type != "printer" {
			t.Errorf("%+v", a)
		}
		if again, _ := s.Import(t.Context(), 1, "me", []byte(text), false); again.Created != 0 || again.Updated != 2 {
			t.Errorf("again: %+v", again)
		}
		bad, err := s.Import(t.Context(), 1, "me", []byte("name,mac,type\nok,,\n,nonsense,\n\nx,,spaceship\n,,server\n"), false)
		if err != nil || len(bad.Errors) != 3 || bad.Errors[0].Line != 3 || bad.Errors[0].Field != "mac" || bad.Errors[1].Line != 5 || bad.Errors[1].Field != "type" {
			t.Errorf("%+v, %v", bad, err)
		}
		if _, err := s.Import(t.Context(), 1, "me", []byte("name,colour\n"), false); !errors.Is(err, fault.Invalid) {
			t.Errorf("unknown column: %v", err)
		}
	})
}

// Two servers that meet the same machines make one asset of each.
func TestTwoServers(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		done := make(chan error)
		for range 2 {
			go func() {
				s := newService(t, db)
				for i := range 20 {
					for _, e := range office() {
						s.observer.forget()
						s.Observe(e)
					}
					s.Observe(eventOf(1, i, "source", "x", "host", fmt.Sprintf("many-%d", i)))
					if err := s.Flush(context.WithoutCancel(t.Context())); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		if _, n, _ := newService(t, db).List(t.Context(), 1, Query{Filter: Filter{Search: "many-"}, Size: 1}); n != 20 {
			t.Errorf("%d assets, want 20", n)
		}
	})
}

func BenchmarkObserveKnown(b *testing.B) {
	s := newService(b, nil)
	e := eventOf(1, 1, "source", "sshd", "dataset", "sshd", "host", "web-01", "program", "sshd", "pid", "4711", "severity", "medium", "category", "authentication", "action", "login", "outcome", "failure",
		"user", "root", "src_ip", "203.0.113.9", "src_port", "4711", "auth_method", "password", "message", "Failed password for root", "time_quality", "exact", "peer_ip", "10.0.0.5")
	s.Observe(e)
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(e)
	}
}

func FuzzImport(f *testing.F) {
	f.Add("name,mac,address\nweb-01,00:00:5e:00:53:01,10.0.0.1\n")
	f.Add("\ufeffname\n\"a\nb\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, _, err := readCSV(1, []byte(text))
		if err == nil && len(lines) > MaxImport {
			t.Error("too many lines")
		}
		for i := range lines {
			if len(lines[i].seen.words()) == 0 || lines[i].seen.words()[0] == "ip:" {
				t.Errorf("line %d tells nothing", lines[i].line)
			}
		}
	})
}
