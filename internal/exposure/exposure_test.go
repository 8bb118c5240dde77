package exposure_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const tenant = 1

var noon = time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC)

type world struct {
	*testing.T
	*exposure.Service
	zone   *zone
	alerts *alert.Service
	clock  time.Time
}

func newWorld(t *testing.T, db *sqldb.DB, change ...func(*exposure.Config)) *world {
	w := &world{T: t, zone: newZone(t), alerts: alert.New(db), clock: noon}
	c := exposure.Config{
		DB: db, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.clock }, Dial: w.zone.dial, Pause: time.Millisecond,
		Record: func(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
			_, err := w.alerts.Record(ctx, tx, now, findings)
			return err
		},
	}
	for _, f := range change {
		f(&c)
	}
	w.Service = exposure.New(c)
	return w
}

func (w *world) add(name string, change func(*exposure.DomainSettings)) *exposure.Domain {
	w.Helper()
	settings := exposure.DefaultSettings()
	if change != nil {
		change(&settings)
	}
	d, err := w.AddDomain(w.Context(), tenant, "tester", name, settings)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

// see has an event with these fields, given as name and value in turn, observed.
func (w *world) see(of uint32, fields ...string) {
	e := &event.Event{Tenant: of, Time: w.clock.UnixNano(), Arrived: w.clock.UnixNano()}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	w.Observe(e)
}

func (w *world) flush() {
	w.Helper()
	if err := w.Flush(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) names(f exposure.Filter) map[string]exposure.Name {
	w.Helper()
	out := map[string]exposure.Name{}
	for n, err := range w.Stream(w.Context(), tenant, f) {
		if err != nil {
			w.Fatal(err)
		}
		out[n.Name] = n
	}
	return out
}

func TestFindsNamesInEvents(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.add("Example.com.", func(s *exposure.DomainSettings) { s.LearningHours = 0 })
		w.see(tenant, event.DNSQuery, "VPN.example.com.", event.DNSAnswer, "gw.example.com, 203.0.113.7")
		w.see(tenant, event.DNSQuery, "nothing.example.com", "rcode_name", "NXDOMAIN")
		w.see(tenant, event.TLSSNI, "shop.example.com", event.DstIP, "203.0.113.8")
		w.see(tenant, event.Domain, "intra.example.com:8443", event.DstIP, "10.0.0.3")
		w.see(tenant, event.Referrer, "https://user@news.example.com.evil.org/", event.URL, "https://wiki.example.com?q=/")
		w.see(tenant, "tls.subject", "C=DE, O=Example, CN=*.mail.example.com")
		w.see(tenant, event.DNSQuery, "example.com.evil.org")
		w.see(tenant, event.DNSQuery, "notexample.com")
		w.see(tenant, event.DNSQuery, "bad name.example.com")
		w.see(2, event.DNSQuery, "other.example.com")
		w.flush()
		w.clock = w.clock.Add(3 * time.Hour)
		w.see(tenant, event.TLSSNI, "vpn.example.com", event.DstIP, "203.0.113.9")
		w.flush()
		all := w.names(exposure.Filter{})
		if got := fmt.Sprint(keys(all)); got != "[example.com intra.example.com mail.example.com shop.example.com vpn.example.com wiki.example.com]" {
			t.Fatalf("found %v", got)
		}
		vpn := all["vpn.example.com"]
		if vpn.State != exposure.Fresh || !slices.Equal(vpn.Sources, []string{"dns", "tls"}) || !slices.Equal(vpn.Addresses, []string{"203.0.113.9", "203.0.113.7"}) ||
			!vpn.FirstSeen.Equal(noon) || !vpn.LastSeen.Equal(w.clock) {
			t.Fatalf("%+v", vpn)
		}
		p, err := w.alerts.List(t.Context(), tenant, alert.Query{})
		if err != nil || p.Total != 1 || p.Alerts[0].Occurrences != 5 || p.Alerts[0].Rule.ID != exposure.RuleNew {
			t.Fatalf("alerts %+v, %v", p, err)
		}
		if d, err := w.Domains(t.Context(), tenant); err != nil || d[0].Names != 6 {
			t.Fatalf("%+v, %v", d, err)
		}
		// Another process on the same database sees the same: nothing is new.
		second := exposure.New(w.Config)
		if err := second.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Service = second
		w.see(tenant, event.TLSSNI, "shop.example.com")
		w.flush()
		if p, _ := w.alerts.List(t.Context(), tenant, alert.Query{}); p.Alerts[0].Occurrences != 5 {
			t.Fatalf("a name that is known raised an alert again")
		}
	})
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func TestStates(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.add("example.com", func(s *exposure.DomainSettings) { s.LearningHours, s.GoneAfterDays = 0, 10 })
		w.see(tenant, event.DNSQuery, "old.example.com")
		w.see(tenant, event.DNSQuery, "noise.example.com")
		w.flush()
		noise := w.names(exposure.Filter{Search: "noise"})["noise.example.com"]
		n, err := w.Patch(t.Context(), tenant, "tester", noise.ID, exposure.Patch{State: new(exposure.Ignored), Notes: new("a printer"), Version: 1})
		if err != nil || n.State != exposure.Ignored || n.Version != 2 {
			t.Fatalf("%+v, %v", n, err)
		}
		if _, err := w.Patch(t.Context(), 2, "tester", noise.ID, exposure.Patch{Notes: new("x")}); !errors.Is(err, fault.NotFound) {
			t.Fatalf("another tenant's: %v", err)
		}
		w.clock = w.clock.Add(11 * 24 * time.Hour)
		w.age()
		if got := keys(w.names(exposure.Filter{States: []exposure.State{exposure.Gone}})); !slices.Equal(got, []string{"old.example.com"}) {
			t.Fatalf("gone: %v", got)
		}
		w.see(tenant, event.DNSQuery, "old.example.com")
		w.flush()
		if n := w.names(exposure.Filter{})["old.example.com"]; n.State != exposure.Fresh {
			t.Fatalf("seen again: %+v", n)
		}
	})
}

func (w *world) age() {
	w.Helper()
	if err := w.Age(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func TestDomains(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		for _, bad := range []string{"", "com", "co.uk", "localhost", "*.example.com", "exa mple.com", "192.0.2.1", "-a.com", strings.Repeat("a", 64) + ".com"} {
			if _, err := w.AddDomain(t.Context(), tenant, "tester", bad, exposure.DefaultSettings()); !errors.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		d := w.add("bücher.example", nil)
		if d.Name != "xn--bcher-kva.example" {
			t.Fatalf("name %s", d.Name)
		}
		if _, err := w.AddDomain(t.Context(), tenant, "tester", "BÜCHER.example", exposure.DefaultSettings()); !errors.Is(err, fault.Conflict) {
			t.Fatalf("twice: %v", err)
		}
		on := func(s *exposure.DomainSettings) { s.ActiveChecks = true }
		if _, err := w.ChangeDomain(t.Context(), tenant, "tester", d.ID, 0, on); !errors.Is(err, fault.Conflict) {
			t.Fatalf("checks of what is not verified: %v", err)
		}
		if _, err := w.VerifyDomain(t.Context(), tenant, "tester", d.ID); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), d.RecordName()) {
			t.Fatalf("no record: %v", err)
		}
		w.zone.set(d.RecordName(), "TXT something", "TXT "+d.RecordValue())
		d, err := w.VerifyDomain(t.Context(), tenant, "tester", d.ID)
		if err != nil || d.VerifiedAt == nil {
			t.Fatalf("%+v, %v", d, err)
		}
		if d, err = w.ChangeDomain(t.Context(), tenant, "tester", d.ID, d.Version, on); err != nil || !d.ActiveChecks {
			t.Fatalf("%+v, %v", d, err)
		}
		w.zone.set(d.RecordName(), "TXT something")
		if _, err := w.VerifyDomain(t.Context(), tenant, "tester", d.ID); !errors.Is(err, fault.Conflict) {
			t.Fatalf("record gone: %v", err)
		}
		if d, err = w.Domain(t.Context(), tenant, d.ID); err != nil || d.VerifiedAt != nil || d.ActiveChecks {
			t.Fatalf("still proven: %+v, %v", d, err)
		}
		if _, err := w.Domain(t.Context(), 2, d.ID); !errors.Is(err, fault.NotFound) {
			t.Fatalf("another tenant's: %v", err)
		}
		if err := w.DeleteDomain(t.Context(), tenant, "tester", d.ID); err != nil {
			t.Fatal(err)
		}
		if n := len(w.names(exposure.Filter{})); n != 0 {
			t.Fatalf("%d names of no domain", n)
		}
		if _, n, err := audit.List(t.Context(), db, tenant, audit.Filter{Action: "domain"}); err != nil || n != 5 {
			t.Fatalf("%d entries in the audit log, %v", n, err)
		}
	})
}

func TestLongerDomainTakesItsNames(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.add("example.com", nil)
		w.see(tenant, event.DNSQuery, "a.dev.example.com")
		w.see(tenant, event.DNSQuery, "adev.example.com")
		w.flush()
		d := w.add("dev.example.com", nil)
		if got := keys(w.names(exposure.Filter{Domains: []string{"dev.example.com"}})); fmt.Sprint(got) != "[a.dev.example.com dev.example.com]" || d.Names != 2 {
			t.Fatalf("%v, %d", got, d.Names)
		}
	})
}

func TestImport(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.add("example.com", nil)
		w.see(tenant, event.DNSQuery, "a.example.com")
		w.flush()
		file := "name,state,notes\na.example.com,,\nB.example.com,ignored,\"a, b\"\n# no name\nb.example.com,,\n"
		dry, err := w.Import(t.Context(), tenant, "tester", strings.NewReader(file), true)
		if err != nil || dry.Created != 1 || dry.Updated != 1 || len(dry.Errors) != 0 || len(w.names(exposure.Filter{})) != 2 {
			t.Fatalf("%+v, %v", dry, err)
		}
		got, err := w.Import(t.Context(), tenant, "tester", strings.NewReader(file), false)
		if err != nil || got.Created != 1 || got.Updated != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		all := w.names(exposure.Filter{Sources: []string{"import"}})
		if all["a.example.com"].State != exposure.Known || all["b.example.com"].State != exposure.Ignored || all["b.example.com"].Notes != "a, b" {
			t.Fatalf("%+v", all)
		}
		bad, err := w.Import(t.Context(), tenant, "tester", strings.NewReader("c.example.com\nwww.example.org\nno name\n"), false)
		if err != nil || len(bad.Errors) != 2 || bad.Errors[0].Line != 3 && bad.Errors[1].Line != 3 || w.names(exposure.Filter{})["c.example.com"].Name != "" {
			t.Fatalf("%+v, %v", bad, err)
		}
	})
}

func TestActiveChecks(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "test/1")
		fmt.Fprintf(w, "<html><head><title>\n Hello &amp; welcome </title></head>%s</html>", r.Host)
	}))
	defer site.Close()
	at, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, func(c *exposure.Config) {
			c.Guard, c.HTTPS = func() *outbound.Guard { return guard }, at.Port()
		})
		d := w.add("example.com", nil)
		w.zone.set(d.RecordName(), "TXT "+d.RecordValue())
		w.zone.set("example.com", "A 127.0.0.1")
		w.zone.set("blog.example.com", "CNAME nobody.github.io")
		w.zone.set("inner.example.com", "A 10.0.0.1")
		for _, name := range []string{"blog", "inner", "absent"} {
			w.see(tenant, event.DNSQuery, name+".example.com")
		}
		w.flush()
		work := func() (any, error) {
			return w.Work(t.Context(), &job.Task{Job: job.Job{Tenant: tenant, Actor: "tester", Params: []byte(`{"domain":"` + d.ID + `"}`)}})
		}
		if _, err := work(); !errors.Is(err, fault.Conflict) {
			t.Fatalf("a domain that is not verified: %v", err)
		}
		if _, err := w.VerifyDomain(t.Context(), tenant, "tester", d.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := work(); !errors.Is(err, fault.Conflict) {
			t.Fatalf("checks that are off: %v", err)
		}
		if _, err := w.ChangeDomain(t.Context(), tenant, "tester", d.ID, 0, func(s *exposure.DomainSettings) { s.ActiveChecks = true }); err != nil {
			t.Fatal(err)
		}
		out, err := work()
		if err != nil || out != (exposure.CheckedNames{Checked: 4, Resolved: 2, Problems: 2, Dangling: 1}) {
			t.Fatalf("%+v, %v", out, err)
		}
		all := w.names(exposure.Filter{})
		apex := all["example.com"].Checked
		if apex.HTTP == nil || apex.HTTP.Title != "Hello & welcome" || apex.HTTP.Headers["Server"] != "test/1" || apex.Certificate.Problem == "" || all["example.com"].Found != "certificate not trusted" {
			t.Fatalf("%+v", apex)
		}
		if blog := all["blog.example.com"]; blog.Found != "dangling" || !slices.Equal(blog.Checked.Aliases, []string{"nobody.github.io"}) || !strings.Contains(blog.Checked.Dangling, "GitHub Pages") {
			t.Fatalf("%+v", blog.Checked)
		}
		if inner := all["inner.example.com"].Checked; !strings.Contains(inner.TLSError, "not a public address") {
			t.Fatalf("an internal address was called: %+v", inner)
		}
		if _, err := work(); err != nil {
			t.Fatal(err)
		}
		p, err := w.alerts.List(t.Context(), tenant, alert.Query{Filter: alert.Filter{RuleID: exposure.RuleDangling}})
		if err != nil || p.Total != 1 || p.Alerts[0].Occurrences != 1 {
			t.Fatalf("alerts %+v, %v", p, err)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	db := sqldbtest.SQLite(b)
	s := exposure.New(exposure.Config{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if _, err := s.AddDomain(b.Context(), tenant, "tester", "example.com", exposure.DefaultSettings()); err != nil {
		b.Fatal(err)
	}
	for name, fields := range map[string][]string{
		"nothing": {event.User, "root", event.SrcIP, "192.0.2.1"}, "foreign": {event.DNSQuery, "www.some.cdn.example.net"}, "known": {event.DNSQuery, "www.example.com"},
	} {
		e := &event.Event{Tenant: tenant, Time: 1, Arrived: 1}
		for _, f := range []string{event.Source, event.Host, event.HostIP, event.Program, event.Severity, event.Message, event.Category, event.Action, event.Outcome, event.DstIP, event.DstPort, event.Proto} {
			e.Add(f, "x")
		}
		for i := 0; i < len(fields); i += 2 {
			e.Add(fields[i], fields[i+1])
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Observe(e)
			}
		})
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"www.example.com", "*.Example.COM.", "bücher.example", "a.b:443", "CN=www.example.com, O=x", "DNS:a.example.com,DNS:*.b.example.com", "[::1]:443", "_dmarc.example.com"} {
		f.Add(s)
	}
	db := sqldbtest.SQLite(f)
	s := exposure.New(exposure.Config{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if _, err := s.AddDomain(f.Context(), tenant, "tester", "example.com", exposure.DefaultSettings()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, ok := exposure.Normal(text); ok {
			again, ok := exposure.Normal(name)
			if !ok || again != name {
				t.Fatalf("%q becomes %q, which becomes %q", text, name, again)
			}
		}
		e := &event.Event{Tenant: tenant, Time: 1, Arrived: 1}
		for _, field := range []string{event.DNSQuery, event.TLSSNI, event.Domain, "tls.subject", event.DNSAnswer, event.DstIP} {
			e.Add(field, text)
		}
		s.Observe(e)
		if _, err := s.Import(t.Context(), tenant, "tester", strings.NewReader(text), true); err != nil && !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.TooLarge) {
			t.Fatal(err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		next := map[string]string{}
		exposure.ReadAliases(answer, next)
		for from, to := range next {
			if from == "" || to == "" {
				t.Fatal(next)
			}
		}
		exposure.TitleOf(answer)
	})
}
