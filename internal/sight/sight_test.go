package sight

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var start = time.Date(2026, 4, 25, 9, 0, 0, 0, time.UTC)

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

func options(t testing.TB, c *clock) Options {
	return Options{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: c.now,
		Lists: func(_ context.Context, tenant uint32) (map[string][]string, error) {
			return map[string][]string{"Admins": {"root"}, "Empty": {}, "OfTwo": make([]string, tenant-1)}, nil
		},
	}
}

func eventOf(tenant uint32, fields ...string) *event.Event {
	e := &event.Event{Tenant: tenant}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return e
}

func process(tenant uint32, more ...string) *event.Event {
	return eventOf(tenant, append([]string{"source", "windows", "Channel", "Microsoft-Windows-Sysmon/Operational", "EventID", "1"}, more...)...)
}

func ruleText(id, logsource, detection string) string {
	return fmt.Sprintf("title: t\nid: %s\nlogsource: {%s}\ndetection:\n  %s\n", id, logsource, detection)
}

const creation = "product: windows, category: process_creation"

func activeOf(texts ...string) []rule.Active {
	var out []rule.Active
	for i, text := range texts {
		id := fmt.Sprintf("r%d", i)
		out = append(out, rule.Active{ID: id, Version: 1, YAML: strings.ReplaceAll(text, "ID", id)})
	}
	return out
}

func TestReasons(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		s := New(db, options(t, c))
		s.Observe(process(2, "Image", "x", "CommandLine", "y", "Hashes", ""))
		s.Observe(process(3, "ParentImage", "x"))
		rules := []struct{ text, want string }{
			{ruleText("ID", creation, "a: {Image: x}\n  condition: a"), ""},
			{ruleText("ID", creation, "a: {ParentImage: x}\n  condition: a"), "no event of windows/process_creation has the field ParentImage"},
			{ruleText("ID", creation, "a: {Image: x, Hashes: x, User: y}\n  condition: a"), "no event of windows/process_creation has the field Hashes and User"},
			{ruleText("ID", creation, "a: {ParentImage: x}\n  b: {User: x}\n  condition: 1 of *"), ""},
			{ruleText("ID", creation, "a: {ParentImage: x}\n  b: {User: x}\n  condition: a or b"), "no event of windows/process_creation has the field ParentImage or User"},
			{ruleText("ID", creation, "a: [mimikatz]\n  condition: a"), ""},
			{ruleText("ID", "product: aws, service: cloudtrail", "a: {eventName: x}\n  condition: a"), "no events of aws/cloudtrail have arrived in the last 7 days"},
			{ruleText("ID", "product: acme", "a: {b: x}\n  condition: a"), "no events of acme have arrived since a rule first asked for them, less than an hour ago"},
			{ruleText("ID", creation, "a: {Image|expand: '%Admins%'}\n  condition: a"), ""},
			{ruleText("ID", creation, "a: {Image|expand: ['%Empty%', '%None%']}\n  condition: a"), "needs the list Empty and the list None"},
			{ruleText("ID", creation, "a: {Image|expand: '%OfTwo%'}\n  condition: a"), ""},
		}
		rules[3].want = rules[4].want
		var texts []string
		for _, r := range rules {
			texts = append(texts, r.text)
		}
		check := func(s *Service, when string) {
			t.Helper()
			got, err := s.Health(t.Context(), 2, activeOf(texts...))
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rules {
				if got[fmt.Sprintf("r%d", i)] != r.want {
					t.Errorf("%s: rule %d is blind because %q, want %q", when, i, got[fmt.Sprintf("r%d", i)], r.want)
				}
			}
		}
		check(s, "from memory")
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(New(db, options(t, c)), "from the database")

		got, err := s.Health(t.Context(), 3, activeOf(texts[:2]...))
		if err != nil || len(got) != 1 || got["r0"] == "" {
			t.Errorf("what another tenant sees counts: %v, %v", got, err)
		}

		c.add(Period + time.Minute)
		got, err = s.Health(t.Context(), 2, activeOf(texts...))
		if err != nil || got["r0"] != "no events of windows/process_creation have arrived in the last 7 days" || got["r7"] != "no events of acme have arrived in the last 7 days" {
			t.Errorf("after a week without events: %v, %v", got, err)
		}
	})
}

func TestCorrelationsNeedTheirRules(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		o := options(t, c)
		sees := ruleText("sees", creation, "a: {Image: x}\n  condition: a")
		blind := ruleText("blind", creation, "a: {User: x}\n  condition: a")
		o.Active = func(context.Context, uint32) ([]rule.Active, uint64, error) {
			return []rule.Active{{ID: "sees", Version: 1, YAML: sees}, {ID: "blind", Version: 1, YAML: blind}}, 1, nil
		}
		s := New(db, o)
		s.Observe(process(2, "Image", "x"))
		correlation := func(kind, rules string) string {
			more := ", condition: {gte: 5}"
			if kind, condition, ok := strings.Cut(kind, " "); ok {
				return "title: t\nid: ID\ncorrelation: {type: " + kind + ", rules: [" + rules + "], timespan: 5m, condition: " + condition + "}\n"
			}
			if strings.HasPrefix(kind, "temporal") {
				more = ""
			}
			return "title: t\nid: ID\ncorrelation: {type: " + kind + ", rules: [" + rules + "], timespan: 5m" + more + "}\n"
		}
		const why = "no event of windows/process_creation has the field User"
		cases := []struct{ text, want string }{
			{correlation("event_count", "sees"), ""},
			{correlation("event_count", "blind"), why},
			{correlation("event_count", "blind, sees"), ""},
			{correlation("temporal", "sees, blind"), why},
			{correlation("temporal_ordered", "sees"), ""},
			{correlation("event_count", "gone"), "the rule gone, which it counts, is not active"},
			{ruleText("inner", creation, "a: {Image: y}\n  condition: a") + "---\n" + correlation("event_count", "inner"), ""},
			{ruleText("inner2", creation, "a: {User: y}\n  condition: a") + "---\n" + correlation("event_count", "inner2"), why},
			{correlation("temporal", "sees, r7"), why},
			{correlation("temporal sees or blind", "sees, blind"), ""},
			{correlation("temporal sees and blind", "sees, blind"), why},
			{correlation("temporal sees and not blind", "sees, blind"), ""},
			{correlation("temporal {gte: 1}", "sees, blind"), ""},
			{correlation("temporal {gte: 2}", "sees, blind"), why},
			{correlation("event_count", "r14"), ""}, // itself: no rule, but no endless loop either
		}
		var texts []string
		for _, x := range cases {
			texts = append(texts, x.text)
		}
		got, err := s.Health(t.Context(), 2, activeOf(texts...))
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range cases {
			if got[fmt.Sprintf("r%d", i)] != x.want {
				t.Errorf("correlation %d is blind because %q, want %q", i, got[fmt.Sprintf("r%d", i)], x.want)
			}
		}
	})
}

func TestSeen(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		s := New(db, options(t, c))
		s.Observe(eventOf(2, "source", "okta_system", "eventType", "x"))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.add(2 * time.Hour)
		s.Observe(eventOf(2, "source", "okta_system", "actor", "y"))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*Service{s, New(db, options(t, c))} {
			got, err := s.Seen(t.Context(), 2)
			if err != nil || len(got) == 0 {
				t.Fatalf("Seen() = %v, %v", got, err)
			}
			i := slices.IndexFunc(got, func(x Source) bool { return x.LogSource == sigma.LogSource{Product: "okta"} })
			if i < 0 {
				t.Fatalf("Seen() = %+v", got)
			}
			okta := got[i]
			if !okta.First.Equal(start) || !okta.Last.Equal(start.Add(2*time.Hour)) ||
				!okta.Fields["eventType"].Equal(start) || !okta.Fields["actor"].Equal(start.Add(2*time.Hour)) {
				t.Errorf("Seen() = %+v", okta)
			}
		}
		if got, err := s.Seen(t.Context(), 3); err != nil || len(got) != 0 {
			t.Errorf("another tenant sees %v, %v", got, err)
		}
	})
}

func TestRareSourcesBesideALoudOne(t *testing.T) {
	t.Parallel()
	c := &clock{t: start}
	o := newObserver(c.now)
	loud := eventOf(2, "source", "nginx", "category", "web", "url", "/", "http_status", "200")
	for range 100_000 {
		o.observe(loud)
	}
	o.observe(eventOf(2, "source", "okta_system", "eventType", "x"))
	sources := map[string]*Source{}
	o.merge(2, sources, 0)
	if sources["okta/*/*"] == nil {
		t.Errorf("one event of okta among many was not seen: %v", sources)
	}
	if looks := o.tenants[2].looks; looks > 600 {
		t.Errorf("looked at %d of 100,000 like events", looks)
	}
}

func TestHostileNamesAreBounded(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		s := New(db, options(t, c))
		text := ruleText("ID", creation, "a: {RareField: x}\n  condition: a")
		if got, err := s.Health(t.Context(), 2, activeOf(text)); err != nil || got["r0"] == "" {
			t.Fatal(got, err)
		}
		for i := range 30_000 {
			e := process(2)
			for j := range 3 {
				e.Add(fmt.Sprintf("%0*d", 5+i%60, i*3+j), "x")
			}
			s.observer.look(e)
		}
		s.Observe(process(2, strings.Repeat("x", 1<<20), "x", "RareField", "x"))
		v := s.observer.tenants[2]
		n := 0
		for _, src := range v.sources {
			n += len(src.fields)
		}
		if v.others > maxOthers || n > maxOthers+100 {
			t.Errorf("%d names are kept, %d of them others", n, v.others)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.add(time.Minute)
		if got, err := s.Health(t.Context(), 2, activeOf(text)); err != nil || len(got) != 0 {
			t.Errorf("a name that a rule needs found no room: %v, %v", got, err)
		}
		// Room comes back once they stay away, while what comes stays.
		c.add(keepUnseen + time.Hour)
		s.Observe(process(2, "RareField", "x"))
		for range 2 {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if v.others > 50 {
			t.Errorf("%d other names are kept after a day without them", v.others)
		}
		c.add(keepRows)
		s.Observe(process(2, "RareField", "x"))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT count(*) FROM sight_field`)
		if err != nil || rows > 50 {
			t.Errorf("%d rows are left after a month, %v", rows, err)
		}
	})
}

func TestForgetBoundsRows(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &clock{t: start}
		s := New(db, options(t, c))
		at := start.UnixMicro()
		if _, err := sqldb.Exec(t.Context(), db, `INSERT INTO sight_field (tenant, source, field, last_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50100) SELECT 2, 'x', CAST(i AS TEXT), CAST($1 AS BIGINT) + i FROM n`, at); err != nil {
			t.Fatal(err)
		}
		if err := s.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		rows, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT count(*) FROM sight_field WHERE tenant = 2`)
		if err != nil || rows != maxFields {
			t.Errorf("%d rows are left, %v", rows, err)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := &clock{t: start}
	s := New(sqldbtest.SQLite(t), options(t, c))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				s.Observe(process(uint32(2+g%2), fmt.Sprintf("F%d", i%50), "x"))
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := s.Flush(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			if _, err := s.Health(t.Context(), 2, activeOf(ruleText("ID", creation, "a: {F1: x}\n  condition: a"))); err != nil {
				t.Error(err)
			}
			c.add(time.Minute)
		}
	})
	wg.Wait()
}

func TestRunWritesAtTheEnd(t *testing.T) {
	t.Parallel()
	c := &clock{t: start}
	db := sqldbtest.SQLite(t)
	s := New(db, options(t, c))
	s.Observe(process(2, "Image", "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := New(db, options(t, c)).Seen(t.Context(), 2); err != nil || len(got) == 0 {
		t.Errorf("Seen() = %v, %v", got, err)
	}
}

func BenchmarkObserve(b *testing.B) {
	o := newObserver(time.Now)
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("Field%d", i), "value")
	}
	o.learn([]detect.Need{{LogSource: sigma.LogSource{Product: "windows"}}})
	e := process(2, names...)
	b.Run("mixed", func(b *testing.B) {
		for b.Loop() {
			o.observe(e)
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			o.tenants[2].looks = 0
			o.look(e)
		}
	})
}
