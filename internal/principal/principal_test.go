package principal

import (
	"errors"
	"log/slog"
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

func eventOf(tenant uint32, at time.Time, fields ...string) *event.Event {
	e := &event.Event{Tenant: tenant, Time: at.UnixNano(), Arrived: noon.UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return e
}

func login(user, outcome string, more ...string) []string {
	return append([]string{"host", "web-01", "action", "login", "outcome", outcome, "user", user, "src_ip", "10.0.0.7"}, more...)
}

func TestAccounts(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		a, b := newService(t, db), newService(t, db)
		ago := func(d time.Duration) time.Time { return noon.Add(-d) }
		for range 3 {
			a.Observe(eventOf(1, ago(time.Hour), login("root", "failure")...))
			b.Observe(eventOf(1, ago(48*time.Hour), login("root", "failure", "count", "5")...))
		}
		a.Observe(eventOf(1, ago(time.Hour), login("ghost", "failure", "reason", "invalid user")...))
		b.Observe(eventOf(1, ago(2*time.Hour), login("root", "success")...))
		a.Observe(eventOf(1, ago(3*time.Hour), login("root", "success", "src_ip", "10.0.0.8")...))
		a.Observe(eventOf(1, ago(200*24*time.Hour), login(`CORP\Bob`, "success")...))
		b.Observe(eventOf(1, ago(200*24*time.Hour), login("bob", "success", "user_domain", "Corp")...))
		a.Observe(eventOf(1, ago(time.Hour), "user", "eve@corp.example", "action", "sudo", "outcome", "success", "host", "web-02"))
		a.Observe(eventOf(1, ago(time.Hour), "user", "root", "action", "group_add", "target_user", "mallory", "group", "wheel", "host", "web-02"))
		a.Observe(eventOf(1, ago(time.Hour), "user", "WEB-01$", "action", "login", "outcome", "success", "event_code", "4624"))
		a.Observe(eventOf(2, ago(time.Hour), login("root", "success")...))
		if err := errors.Join(a.Flush(t.Context()), b.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		list, total, err := a.List(t.Context(), 1, Query{Size: 20})
		if err != nil || total != 5 {
			t.Fatalf("%d, %v: %+v", total, err, list)
		}
		by := map[string]Principal{}
		for _, p := range list {
			by[p.Word] = p
		}
		root, bob, eve := by["root"], by[`corp\bob`], by["eve@corp.example"]
		if root.Failed24h != 3 || root.Failed7d != 18 || !root.Privileged || root.Type != "built-in" || root.SignIn == nil || !root.SignIn.Equal(ago(2*time.Hour)) || root.Dormant {
			t.Errorf("root: %+v", root)
		}
		if !bob.Dormant || bob.Privileged || bob.Type != "human" || len(bob.Addresses) != 1 {
			t.Errorf("bob: %+v", bob)
		}
		if !eve.Privileged || eve.Domain != "corp.example" || !by["mallory"].Privileged || by["web-01$"].Type != "machine" {
			t.Errorf("eve: %+v", list)
		}
		yes, no := true, false
		for n, f := range map[int64]Filter{1: {Dormant: &yes}, 3: {Privileged: &yes}, 2: {Privileged: &no}, 0: {Domains: []string{"nowhere"}}, 4: {Dormant: &no}} {
			if _, got, err := a.List(t.Context(), 1, Query{Filter: f, Size: 5, Sort: "failedSignIns24h"}); err != nil || got != n {
				t.Errorf("%+v: %d, %v; want %d", f, got, err, n)
			}
		}
		if err := a.SetDormantDays(t.Context(), 1, "me", 365); err != nil {
			t.Fatal(err)
		}
		word, status := "no", "watched"
		got, err := a.Patch(t.Context(), 1, "me", root.ID, Patch{Privileged: &word, Status: &status, Version: 1})
		if err != nil || got.Privileged || got.Status != status || got.Version != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := a.Patch(t.Context(), 2, "me", bob.ID, Patch{Status: &status}); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if bob, err := a.Get(t.Context(), 1, bob.ID); err != nil || bob.Dormant {
			t.Errorf("bob within 365 days: %+v, %v", bob, err)
		}
		n := 0
		for _, err := range a.Stream(t.Context(), 1, Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if on, err := a.On(t.Context(), 1, []string{"WEB-02"}); n != 5 || err != nil || len(on) != 2 {
			t.Errorf("streamed %d; on web-02: %v, %v", n, on, err)
		}
	})
}

func FuzzAccount(f *testing.F) {
	f.Add(`CORP\bob`, "", "1000")
	f.Add("a@b.c", "x", "")
	f.Fuzz(func(t *testing.T, user, domain, uid string) {
		a, ok := accountOf(user, domain, uid)
		if ok && (a.word == "" || a.name == "" || len(a.word) > 2*maxText) {
			t.Errorf("%+v", a)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	for name, e := range map[string]*event.Event{
		"known":  eventOf(1, noon, "source", "sshd", "host", "web-01", "program", "sshd", "pid", "1", "severity", "low", "category", "session", "action", "session_open", "outcome", "success", "user", "root", "src_ip", "10.0.0.7", "src_port", "9", "message", "x"),
		"failed": eventOf(1, noon, append([]string{"source", "sshd", "program", "sshd", "pid", "1", "severity", "low", "category", "authentication", "src_port", "9"}, login("root", "failure")...)...),
	} {
		b.Run(name, func(b *testing.B) {
			s := newService(b, nil)
			b.ReportAllocs()
			for b.Loop() {
				s.Observe(e)
			}
		})
	}
}
