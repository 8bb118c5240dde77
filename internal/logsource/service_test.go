package logsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bench is a service with its alerts.
type bench struct {
	*Service
	*clock
	t        *testing.T
	db       *sqldb.DB
	alerts   *alert.Service
	options  Options
	parser   *parse.Parser
	offline  bool
	waiting  bool
	recorded []alert.Finding
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		b := &bench{t: t, db: db, clock: &clock{t: start}, alerts: alert.New(db), parser: parse.New(parse.Options{})}
		b.options = Options{
			Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: b.now, Alerts: b.alerts,
			Record: func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
				b.recorded = append(b.recorded, findings...)
				_, err := b.alerts.Record(ctx, tx, now, findings)
				return err
			},
			Offline: func(_ context.Context, _ uint32, key string) (bool, error) { return b.offline && key == "agent", nil },
			Waiting: func(context.Context) (bool, error) { return b.waiting, nil },
		}
		b.open()
		f(t, b)
	})
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.Service, err = New(b.t.Context(), b.db, b.options); err != nil {
		b.t.Fatal(err)
	}
}

// send takes a record as the pipeline does.
func (b *bench) send(tenant uint32, raw string) {
	b.t.Helper()
	settings, err := b.For(b.t.Context(), tenant)
	if err != nil {
		b.t.Fatal(err)
	}
	var e event.Event
	r := parse.Record{Tenant: tenant, Raw: raw, Arrived: b.now().UnixNano(), Peer: "192.0.2.1", Input: "syslog-udp", Key: "agent", Settings: settings}
	x := b.parser.ParseExplain(&r, &e)
	b.Observe(&r, &e, &x)
}

func (b *bench) sshd(host string) {
	b.t.Helper()
	b.send(1, fmt.Sprintf("<38>1 %s %s sshd 1 - - Accepted password for bob from 192.0.2.7 port 5 ssh2", b.now().Format(time.RFC3339), host))
}

func (b *bench) watchNow() {
	b.t.Helper()
	if err := b.Watch(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// live sends from each host every minute for so long, watching.
func (b *bench) live(d time.Duration, hosts ...string) {
	b.t.Helper()
	for range int(d / time.Minute) {
		b.add(time.Minute)
		for _, h := range hosts {
			b.sshd(h)
		}
		b.watchNow()
	}
}

// learn is live for as long as a steady source is learned in, without watching:
// nothing is silent meanwhile.
func (b *bench) learn(hosts ...string) {
	b.t.Helper()
	for range int(74 * time.Hour / time.Minute) {
		b.add(time.Minute)
		for _, h := range hosts {
			b.sshd(h)
		}
	}
	b.watchNow()
}

func (b *bench) one(host string) Source {
	b.t.Helper()
	list, _, err := b.List(b.t.Context(), 1, Query{Host: host, Size: 10})
	if err != nil || len(list) != 1 {
		b.t.Fatalf("sources of %s: %v, %v", host, list, err)
	}
	return list[0]
}

func (b *bench) open1(status alert.Status) []alert.Alert {
	b.t.Helper()
	page, err := b.alerts.List(b.t.Context(), 1, alert.Query{Filter: alert.Filter{RuleID: RuleID, Statuses: []alert.Status{status}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return page.Alerts
}

func TestDiscovery(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.sshd("web1")
		b.sshd("web1")
		b.send(1, "<38>Jan  5 00:00:00 web1 odd: nothing knows this")
		b.send(2, `{"host":"other","message":"x"}`)
		b.add(time.Hour)
		b.sshd("web1")
		for range 2 { // from memory, and from the database
			list, n, err := b.List(t.Context(), 1, Query{Size: 10, Sort: "source"})
			if err != nil || n != 2 {
				t.Fatalf("List() = %v, %d, %v", list, n, err)
			}
			s := list[0]
			if s.Name != "sshd" || s.Host != "web1" || s.Events != 3 || s.Unparsed != 0 || s.Format != "rfc5424" || s.Parser != "sshd" || s.Peer != "192.0.2.1" ||
				s.Input != "syslog-udp" || s.Key != "agent" || len(s.Programs) != 1 || s.Status != StatusNew || s.Quality["exact"] != 3 || !s.First.Equal(start) || !s.Last.Equal(start.Add(time.Hour)) || s.PerHour != 3 {
				t.Errorf("sshd is %+v", s)
			}
			if odd := list[1]; odd.Name != "odd" || odd.UnparsedShare() != 1 || odd.Quality["year_assumed"] != 1 {
				t.Errorf("odd is %+v", odd)
			}
			d, err := b.Get(t.Context(), 1, s.ID)
			if err != nil || len(d.History) != 2 || d.History[0].Events != 2 || !d.History[1].Begin.Equal(start.Add(time.Hour)) {
				t.Errorf("its history is %+v, %v", d, err)
			}
			if _, err := b.Get(t.Context(), 2, s.ID); !errors.Is(err, fault.NotFound) {
				t.Errorf("another tenant reads it: %v", err)
			}
			if err := b.flush(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			b.open()
		}
		for q, want := range map[*Query]int64{
			{Search: "ODD", Size: 5}: 1, {Name: "sshd", Size: 5}: 1, {Host: "WEB1", Size: 5}: 2, {Statuses: []string{StatusSilent}, Size: 5}: 0, {Search: "web", Page: 7, Size: 5}: 2,
		} {
			if _, n, _ := b.List(t.Context(), 1, *q); n != want {
				t.Errorf("%+v finds %d, want %d", *q, n, want)
			}
		}
	})
}

func TestHostileSourcesAreBounded(t *testing.T) {
	t.Parallel()
	o := newObserver()
	p := parse.New(parse.Options{})
	for i := range 3 * maxSources {
		var e event.Event
		r := parse.Record{Tenant: 1, Raw: fmt.Sprintf("<38>1 2026-01-05T00:00:00Z h%d%s p%d - - - x", i, strings.Repeat("y", i%300), i), Arrived: start.UnixNano() + int64(i)}
		x := p.ParseExplain(&r, &e)
		o.observe(&r, &e, &x)
	}
	others := o.byKey[key{1, "others", ""}]
	if len(o.byKey) > maxSources+1 || others == nil || others.events < maxSources {
		t.Errorf("%d sources, others %v", len(o.byKey), others != nil)
	}
	if others != nil && len(others.programs) > maxListed {
		t.Errorf("%d programs", len(others.programs))
	}
}

func TestASteadySourceFallsSilent(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.learn("web1", "web2")
		b.live(4*time.Minute, "web2")
		if n := len(b.recorded); n != 0 {
			t.Fatalf("%d alarms after four minutes", n)
		}
		b.live(4*time.Minute, "web2")
		open := b.open1(alert.Open)
		if len(open) != 1 || open[0].Source != "sshd" || b.one("web1").Status != StatusSilent || b.one("web2").Status != StatusActive {
			t.Fatalf("alerts are %+v, web1 %+v", open, b.one("web1"))
		}
		d, err := b.alerts.Get(t.Context(), 1, open[0].ID)
		if err != nil || !strings.HasPrefix(d.Description, "sshd of web1 usually sends about 60 events an hour and at this hour of the week is hardly ever silent for more than 5m. Nothing has come since ") ||
			len(d.Entities) != 1 || d.Entities[0].Value != "web1" || d.Rule.ID != RuleID {
			t.Errorf("the alert is %+v, %v", d, err)
		}
		b.live(30*time.Minute, "web2")
		if n := len(b.recorded); n != 1 {
			t.Errorf("it is told %d times", n)
		}
		b.live(2*time.Minute, "web1", "web2")
		if resolved := b.open1(alert.Resolved); len(resolved) != 1 || len(b.open1(alert.Open)) != 0 || b.one("web1").Status != StatusActive {
			t.Errorf("after its return: %+v, web1 %+v", resolved, b.one("web1"))
		}
		b.live(10*time.Minute, "web2") // and again: another alert
		if len(b.open1(alert.Open)) != 1 {
			t.Error("its second silence is not told")
		}
	})
}

func TestADeadCollectorIsNoSilentSource(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.learn("web1")
		b.offline = true
		b.live(time.Hour)
		if s := b.one("web1"); len(b.recorded) != 0 || s.Status != StatusOffline {
			t.Errorf("%d alarms, it is %s", len(b.recorded), s.Status)
		}
		b.offline = false // it returns, and its source does not
		b.live(15 * time.Minute)
		if len(b.recorded) != 1 {
			t.Errorf("%d alarms after the collector's return", len(b.recorded))
		}
	})
}

func TestMutedAndOwnThreshold(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.live(10*time.Minute, "web1", "web2")
		yes, after := true, 3*time.Minute
		id := b.one("web1").ID
		s, err := b.Patch(t.Context(), 1, "key:x", id, Patch{SilentAfter: &after, Version: 1})
		if err != nil || s.SilentAfter != after || s.Version != 2 || s.Limit != after {
			t.Fatalf("Patch() = %+v, %v", s, err)
		}
		if _, err := b.Patch(t.Context(), 1, "key:x", id, Patch{Muted: &yes, Version: 1}); !errors.Is(err, fault.Conflict) {
			t.Errorf("a change of an old version: %v", err)
		}
		if _, err := b.Patch(t.Context(), 2, "key:x", id, Patch{Muted: &yes}); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant's change: %v", err)
		}
		short := time.Second
		if _, err := b.Patch(t.Context(), 1, "key:x", id, Patch{SilentAfter: &short}); !errors.Is(err, fault.Invalid) {
			t.Errorf("a second: %v", err)
		}
		b.live(5 * time.Minute)
		if len(b.recorded) != 1 || b.recorded[0].Values["host"][0] != "web1" || !strings.Contains(b.recorded[0].Text(), "set to be told after 3m without any") {
			t.Errorf("alarms: %+v", b.recorded)
		}
		b.live(time.Minute, "web1")
		if _, err := b.Patch(t.Context(), 1, "key:x", id, Patch{Muted: &yes}); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.open() // muted for good
		b.live(time.Hour)
		if len(b.recorded) != 1 {
			t.Errorf("alarms of a muted source: %+v", b.recorded)
		}
	})
}

func TestWhoDoesNotListenHearsNothing(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.learn("web1")
		if err := b.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		b.add(8 * time.Hour) // the server was off
		b.open()
		b.live(4 * time.Minute)
		if len(b.recorded) != 0 {
			t.Error("the server's own absence is told")
		}
		b.live(5 * time.Minute)
		if len(b.recorded) != 1 {
			t.Errorf("%d alarms of a source that did not return", len(b.recorded))
		}
		if y := b.observer.byID[1][b.one("web1").ID].rhythm; y.Longest > 120 {
			t.Errorf("it learned a silence of %d s", y.Longest)
		}
		b.live(10*time.Minute, "web1")
		b.waiting = true // what came lies in the queue
		b.live(10 * time.Minute)
		if len(b.recorded) != 1 {
			t.Error("a backlog is told as silence")
		}
	})
}

func TestSilenceOutlivesARestart(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.learn("web1", "web2")
		b.live(10*time.Minute, "web2")
		if err := b.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		b.open()
		b.live(10*time.Minute, "web2")
		if s := b.one("web1"); len(b.recorded) != 1 || s.Status != StatusSilent {
			t.Errorf("%d alarms, it is %s", len(b.recorded), s.Status)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	o := newObserver()
	p := parse.New(parse.Options{})
	var e event.Event
	r := parse.Record{Tenant: 1, Raw: "<38>Nov 25 06:55:48 web1 sshd[24200]: Failed password for root from 203.0.113.9 port 22 ssh2", Arrived: start.UnixNano(), Peer: "192.0.2.1", Input: "syslog-udp"}
	x := p.ParseExplain(&r, &e)
	for b.Loop() {
		r.Arrived += 1000
		o.observe(&r, &e, &x)
	}
}
