package workbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func (b *bench) backtest(r BacktestRequest) *BacktestResult {
	b.t.Helper()
	if r.To.IsZero() {
		r.From, r.To = noon.Add(-48*time.Hour), noon
	}
	res, err := b.Backtest(b.t.Context(), 1, r, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func TestBacktest(t *testing.T) {
	stores(t, func(t *testing.T, store eventstore.Store) {
		b := newBench(t, store)
		day := noon.Add(-24 * time.Hour)
		var lines []line
		for i := range 7 { // one alert, on the day before
			lines = append(lines, failure(day.Add(time.Duration(i)*time.Minute/2), "root", "203.0.113.9"))
		}
		for i := range 9 { // none: too slow
			lines = append(lines, failure(noon.Add(-time.Duration(9-i)*10*time.Minute), fmt.Sprint("u", i), "203.0.113.8"))
		}
		lines = append(lines, success(day, "ann", "10.0.0.1"), line{day, "linux", "Apr 21 12:00:00 web-01 cron[1]: nothing of interest"})
		b.put(1, lines...)
		b.put(2, lines...)
		var told []string
		res, err := b.Backtest(t.Context(), 1, BacktestRequest{Subject: Subject{Text: bruteForce}, From: noon.Add(-48 * time.Hour), To: noon}, func(done, total int64, note string) {
			told = append(told, fmt.Sprint(done, "/", total, " ", note))
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Matches != 16 || res.Alerts != 1 || res.Excepted != 0 || res.Partial != "" || res.Estimate != nil || res.Rule != (RuleName{"", "Brute force"}) {
			t.Errorf("result %+v", res)
		}
		if d := cmp.Diff([]DayCount{{"2026-04-21", 7, 1}, {"2026-04-22", 9, 0}}, res.ByDay); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]ValueCount{{"web-01", 16}}, res.ByHost); d != "" {
			t.Error(d)
		}
		if len(res.ByUser) != 10 || res.ByUser[0] != (ValueCount{"root", 7}) || res.MoreUsers != 0 {
			t.Errorf("by user %+v", res.ByUser)
		}
		if len(res.Samples) != 16 || res.Samples[0].ID != (event.ID{Seq: 1}).String() || !strings.Contains(res.Samples[0].Message, "Failed password for root") || res.Samples[0].Rules[0] != "Failed login" || res.Samples[0].Host != "web-01" {
			t.Errorf("samples %+v", res.Samples)
		}
		a := res.AlertSamples[0]
		if a.Title != "Brute force" || a.Severity != "high" || a.Key != "src_ip=203.0.113.9" || a.Count != 7 || !a.FirstSeen.Equal(day) || !a.LastSeen.Equal(day.Add(3*time.Minute)) || len(a.Events) != 7 || a.Entities[0] != "ip 203.0.113.9" {
			t.Errorf("alert %+v", a)
		}
		// Of the log source are 17 events; the 18th need not even be read.
		if res.Cost.Evaluations != 17 || res.EventsRead != 17 || res.Cost.Nanoseconds <= 0 || res.Cost.PerEventNanos <= 0 || res.Cost.ReadNanoseconds <= 0 {
			t.Errorf("cost %+v of %d events", res.Cost, res.EventsRead)
		}
		if len(told) == 0 || !strings.HasPrefix(told[len(told)-1], "17/17 read up to 2026-04-22T11:50:00Z") {
			t.Errorf("told %q", told)
		}
		if res := b.backtest(BacktestRequest{Subject: Subject{Text: bruteForce}, Query: "user:root", From: day, To: noon}); res.Matches != 7 || res.Alerts != 1 {
			t.Errorf("with a query %d matches, %d alerts", res.Matches, res.Alerts)
		}
		if res := b.backtest(BacktestRequest{Subject: Subject{Text: bruteForce}, From: day.Add(time.Minute), To: day.Add(3 * time.Minute)}); res.Matches != 4 || res.Alerts != 0 {
			t.Errorf("of a part %d matches, %d alerts", res.Matches, res.Alerts)
		}
	})
}

func TestBacktestRefuses(t *testing.T) {
	b := newBench(t, &memory.Store{})
	mine, err := b.rules.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte(bruteForce)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		tenant uint32
		r      BacktestRequest
		kind   fault.Kind
		field  string
	}{
		"nothing":     {1, BacktestRequest{}, fault.Invalid, ""},
		"both":        {1, BacktestRequest{Subject: Subject{bruteForce, mine.ID}}, fault.Invalid, ""},
		"syntax":      {1, BacktestRequest{Subject: Subject{Text: "title: x"}}, fault.Invalid, "rule"},
		"unresolved":  {1, BacktestRequest{Subject: Subject{Text: strings.Replace(bruteForce, "rules: [failed]", "rules: [other]", 1)}}, fault.Invalid, "rule"},
		"query":       {1, BacktestRequest{Subject: Subject{Text: bruteForce}, Query: "(a"}, fault.Invalid, "query"},
		"unknown":     {1, BacktestRequest{Subject: Subject{ID: "nope"}}, fault.NotFound, ""},
		"another's":   {2, BacktestRequest{Subject: Subject{ID: mine.ID}}, fault.NotFound, ""},
		"backward":    {1, BacktestRequest{Subject: Subject{Text: bruteForce}, From: noon, To: noon}, fault.Invalid, "fromTime"},
		"all is well": {1, BacktestRequest{Subject: Subject{ID: mine.ID}}, "", ""},
	} {
		if tt.r.To.IsZero() {
			tt.r.From, tt.r.To = noon.Add(-time.Hour), noon
		}
		err := b.Check(t.Context(), tt.tenant, tt.r)
		if tt.kind == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != tt.kind || f.Field != tt.field {
			t.Errorf("%s: %v (%+v)", name, err, f)
		}
	}
}

// What runs live counts: exceptions of the catalogue, rules that a correlation of
// another text refers to, filters.
func TestBacktestOfTheCatalogue(t *testing.T) {
	b := newBench(t, &memory.Store{})
	ctx := t.Context()
	create := func(text string) string {
		d, err := b.rules.Create(ctx, 1, "ann", rule.Change{YAML: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		return d.ID
	}
	base := create("title: Failed\nname: failed_login\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: failure}, condition: s}\n")
	over := create("title: Many\ncorrelation: {type: event_count, rules: [failed_login], group-by: [src_ip], timespan: 5m, condition: {gte: 3}}\n")
	var lines []line
	for i := range 4 {
		lines = append(lines, failure(noon.Add(-time.Hour+time.Duration(i)*time.Second), "root", "203.0.113.9"), failure(noon.Add(-time.Hour+time.Duration(i)*time.Second), "root", "203.0.113.7"))
	}
	b.put(1, lines...)
	res := b.backtest(BacktestRequest{Subject: Subject{ID: over}})
	if res.Matches != 8 || res.Alerts != 2 || res.Rule != (RuleName{over, "Many"}) || len(res.Borrowed) != 1 || res.Borrowed[0] != base {
		t.Errorf("a correlation over another rule: %+v", res)
	}
	filter := create("title: Scanner of our own\nfilter: {rules: [failed_login], selection: {src_ip: 203.0.113.7}, condition: selection}\nlogsource: {product: linux, service: sshd}\n")
	res = b.backtest(BacktestRequest{Subject: Subject{ID: over}})
	if res.Matches != 4 || res.Excepted != 4 || res.Alerts != 1 {
		t.Errorf("with a filter: %d matches, %d excepted, %d alerts", res.Matches, res.Excepted, res.Alerts)
	}
	if _, err := b.rules.Change(ctx, 1, "ann", filter, rule.Change{Status: rule.Off}); err != nil {
		t.Fatal(err)
	}
	if res = b.backtest(BacktestRequest{Subject: Subject{ID: over}}); res.Matches != 8 {
		t.Errorf("with the filter off: %d matches", res.Matches)
	}
}

// A backtest over a stored day must say what the same rules gave live on that day.
func TestBacktestIsWhatLiveGave(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("runs many rules over a whole day")
	}
	stores(t, func(t *testing.T, store eventstore.Store) {
		b := newBench(t, store)
		b.builtin()
		var lines []line
		for l := range demo.Recording(noon) {
			lines = append(lines, line{l.Time, l.Source, l.Text})
		}
		events := b.put(1, lines...)
		active, _, err := b.rules.Active(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var all []detect.Rule
		ids := map[string]string{} // of documents → of rules
		for _, a := range active {
			docs, err := sigma.Parse([]byte(a.YAML))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				all = append(all, detect.Rule{Document: d, Version: a.Version})
				ids[d.ID] = a.ID
			}
		}
		set, problems := detect.Compile(all)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		// Live: batch by batch into the database.
		alerts := alert.New(b.db)
		matcher, detector := set.NewMatcher(), detect.New(func(uint32) *detect.Ruleset { return set })
		want, occurrences := map[string]int64{}, map[string]int64{}
		for i := range events {
			detector.Apply(&events[i], matcher.Match(&events[i], nil), nil)
			if i%500 != 499 && i != len(events)-1 {
				continue
			}
			var findings []alert.Finding
			detector.EndBatch(func(f *alert.Finding) { findings = append(findings, *f) })
			err := b.db.Tx(t.Context(), func(tx *sqldb.DB) error {
				out, err := alerts.Record(t.Context(), tx, noon, findings)
				for i, o := range out {
					if o.Created {
						want[ids[findings[i].Rule.ID]]++
					}
					occurrences[ids[findings[i].Rule.ID]] += findings[i].Count
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(want) < 20 {
			t.Fatalf("only %d rules fire in the recording", len(want))
		}
		got, counted := map[string]int64{}, map[string]int64{}
		read := int64(0)
		asked := 0
		for i, a := range active {
			if want[a.ID] == 0 && i%15 != 0 { // it takes minutes for all
				continue
			}
			asked++
			res := b.backtest(BacktestRequest{Subject: Subject{ID: a.ID}})
			read += res.EventsRead
			if res.Alerts == 0 {
				continue
			}
			got[a.ID] = res.Alerts
			if res.Alerts > maxAlerts {
				counted[a.ID] = occurrences[a.ID]
				continue
			}
			for _, s := range res.AlertSamples {
				counted[a.ID] += s.Count
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("alerts by rule (-live +backtest):\n%s", d)
		}
		if d := cmp.Diff(occurrences, counted); d != "" {
			t.Errorf("occurrences by rule (-live +backtest):\n%s", d)
		}
		t.Logf("%d rules over %d events: %.1f %% were read", asked, len(events), 100*float64(read)/float64(asked*len(events)))
	})
}

// flaky is a store that goes away.
type flaky struct {
	eventstore.Store
	after   int // events
	failing int // how often
	dead    bool
}

func (f *flaky) Walk(ctx context.Context, r eventstore.WalkRequest, do func([]event.Event) error) error {
	given := 0
	return f.Store.Walk(ctx, r, func(events []event.Event) error {
		for i := range events {
			if f.dead || given == f.after && f.failing > 0 {
				f.failing--
				f.dead = f.failing > 100
				return fault.New(fault.Unavailable, "node 2 does not answer")
			}
			given++
			if err := do(events[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestStoreGoesAway(t *testing.T) {
	store := &flaky{Store: &memory.Store{}, after: 4}
	b := newBench(t, store)
	var lines []line
	for i := range 12 { // three at each time, so that it stops within one
		lines = append(lines, failure(noon.Add(-time.Hour+time.Duration(i/3)*time.Second), fmt.Sprint("u", i), "203.0.113.9"))
	}
	b.put(1, lines...)
	store.failing = 3
	if res := b.backtest(BacktestRequest{Subject: Subject{Text: bruteForce}}); res.EventsRead != 12 || res.Matches != 12 || res.Partial != "" || res.AlertSamples[0].Count != 12 {
		t.Errorf("after it came back: %+v", res)
	}
	store.failing = 1000
	res := b.backtest(BacktestRequest{Subject: Subject{Text: bruteForce}})
	if res.EventsRead == 0 || res.EventsRead == 12 || !strings.HasPrefix(res.Partial, "events after 2026-04-22T11:00:0") || !strings.HasSuffix(res.Partial, "node 2 does not answer") {
		t.Errorf("without it: %+v", res)
	}
	if _, err := b.Backtest(t.Context(), 1, BacktestRequest{Subject: Subject{Text: bruteForce}, From: noon.Add(-48 * time.Hour), To: noon}, nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a store that never answers: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Backtest(ctx, 1, BacktestRequest{Subject: Subject{Text: bruteForce}, From: noon.Add(-48 * time.Hour), To: noon}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestForecast(t *testing.T) {
	b := newBench(t, &memory.Store{})
	var lines []line
	for hour := range 14 * 24 { // each hour twelve failures, and one alert for each ten days' worth of hours
		at := noon.Add(-time.Duration(hour+1) * time.Hour)
		for i := range 12 {
			lines = append(lines, failure(at.Add(time.Duration(i)*time.Second), "root", fmt.Sprintf("10.0.%d.%d", hour/200, hour%200)))
		}
	}
	lines = append(lines, failure(noon.Add(-15*24*time.Hour), "before", "10.9.9.9"))
	b.put(1, lines...)
	exact, err := b.Forecast(t.Context(), 1, Subject{Text: bruteForce}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if exact.Matches != 14*24*12 || exact.Alerts != 14*24 || exact.Estimate != nil || exact.EventsRead != 14*24*12 {
		t.Errorf("exact: %d matches, %d alerts", exact.Matches, exact.Alerts)
	}
	b.ForecastEvents = 1000
	guess, err := b.Forecast(t.Context(), 1, Subject{Text: bruteForce}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if guess.EventsRead > 1000 || guess.EventsRead < 900 || guess.Estimate == nil || guess.Estimate.Slices != 83 || guess.Estimate.FoundMatches != guess.EventsRead {
		t.Errorf("guess: %+v, read %d", guess.Estimate, guess.EventsRead)
	}
	if guess.Matches != exact.Matches || guess.Alerts != exact.Alerts { // all hours are alike
		t.Errorf("guess: %d matches, %d alerts; want %d, %d", guess.Matches, guess.Alerts, exact.Matches, exact.Alerts)
	}
}

func TestSpread(t *testing.T) {
	for _, all := range []int{1, 2, 24, 336} {
		for n := 1; n <= all; n++ {
			last, hours := -1, map[int]bool{}
			for i := range n {
				at := spread(i, n, all)
				if at <= last || at >= all {
					t.Fatalf("%d of %d among %d is %d after %d", i, n, all, at, last)
				}
				last = at
				hours[at%24] = true
			}
			if all == 336 && n >= 14 && len(hours) < 8 {
				t.Errorf("%d of %d are at only %d hours of the day", n, all, len(hours))
			}
		}
	}
}

func TestTallyIsBounded(t *testing.T) {
	tl := newTally()
	set, _ := detect.Compile([]detect.Rule{{Document: mustParse(t, "title: a\nid: a\nlogsource: {product: linux}\ndetection: {s: {x: y}, condition: s}\n")[0]}})
	m := set.NewMatcher()
	n := 60_000
	for i := range n {
		e := event.Event{Time: noon.UnixNano() + int64(i)*int64(time.Second), ID: event.ID{Seq: 1, Index: uint32(i)}, Raw: strings.Repeat("é", 5000)}
		e.Add("source", "linux")
		e.Add("x", "y")
		e.Add("host", fmt.Sprint("h", i/2))
		e.Add("user", strings.Repeat("u", i%3*200))
		hits := m.Match(&e, nil)
		tl.match(&e, hits)
		tl.finding(&alert.Finding{Rule: alert.RuleRef{ID: "a"}, Key: fmt.Sprint(i), First: e.Time, Last: e.Time, Count: 1, Events: []event.ID{e.ID}})
	}
	r := tl.done()
	if r.Matches != int64(n) || r.Alerts != int64(n) || len(r.Samples) > maxSamples || len(r.Samples) < maxSamples/2 || len(r.AlertSamples) != maxAlerts || len(tl.hosts) > maxCounted+1 || len(tl.alerts) > maxOpen || len(r.Notes) != 1 {
		t.Errorf("%d matches, %d alerts, %d samples, %d hosts, notes %v", r.Matches, r.Alerts, len(r.Samples), len(tl.hosts), r.Notes)
	}
	if len([]rune(r.Samples[0].Message)) != maxMessage+1 {
		t.Errorf("message of %d", len(r.Samples[0].Message))
	}
	sum := r.MoreHosts
	for _, h := range r.ByHost {
		sum += h.Matches
	}
	if sum != int64(n) {
		t.Errorf("hosts add up to %d", sum)
	}
	if last := r.Samples[len(r.Samples)-1].Time; last.Sub(noon) < 8*time.Hour {
		t.Errorf("the last sample is of %v", last)
	}
}

func mustParse(t testing.TB, text string) []*sigma.Document {
	t.Helper()
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// Correlations that are judged when a window ends must be judged to the end of the
// time, and a forecast's hours must not run into each other.
func TestBacktestOfWindowsThatEnd(t *testing.T) {
	b := newBench(t, &memory.Store{})
	var lines []line
	for i := range 8 { // ten minutes with one failure each, then a host that fell silent
		lines = append(lines, failure(noon.Add(-2*time.Hour+time.Duration(i)*10*time.Minute), "root", "203.0.113.9"))
	}
	b.put(1, lines...)
	few := strings.Replace(bruteForce, "condition: {gte: 5}", "condition: {lt: 2}", 1)
	if res := b.backtest(BacktestRequest{Subject: Subject{Text: few}}); res.Matches != 8 || res.Alerts != 1 || res.AlertSamples[0].Count != 8 {
		t.Errorf("fewer than two within five minutes: %d matches, %d alerts, %+v", res.Matches, res.Alerts, res.AlertSamples)
	}
	if res := b.backtest(BacktestRequest{Subject: Subject{Text: few}, From: noon.Add(-2 * time.Hour), To: noon.Add(-2*time.Hour + 6*time.Minute)}); res.Alerts != 1 {
		t.Errorf("a window that ends with the time: %d alerts", res.Alerts)
	}
	if res := b.backtest(BacktestRequest{Subject: Subject{Text: few}, From: noon.Add(-2 * time.Hour), To: noon.Add(-2*time.Hour + 4*time.Minute)}); res.Alerts != 0 {
		t.Errorf("a window that ends after the time: %d alerts", res.Alerts)
	}
}

// Days that begin with the same burst must each have their alert on that day, however
// many days one batch of the store spans.
func TestAlertsBeginWhereTheyDoLive(t *testing.T) {
	b := newBench(t, &chunked{&memory.Store{}, 90}) // a day and a half
	var lines []line
	for day := range 7 {
		for i := range 60 { // ten hours long
			lines = append(lines, failure(noon.Add(-time.Duration(7-day)*24*time.Hour+time.Duration(i/6)*time.Hour+time.Duration(i%6)*time.Second), "root", "203.0.113.9"))
		}
	}
	b.put(1, lines...)
	res := b.backtest(BacktestRequest{Subject: Subject{Text: bruteForce}, From: noon.Add(-10 * 24 * time.Hour), To: noon})
	for _, d := range res.ByDay {
		if d.Matches > 12 && d.Alerts != 1 {
			t.Errorf("%+v", d)
		}
	}
	if res.Alerts != 7 {
		t.Errorf("%d alerts, want 7: %+v", res.Alerts, res.ByDay)
	}
}

// chunked is a store that hands over so many events at a time.
type chunked struct {
	eventstore.Store
	size int
}

func (c *chunked) Walk(ctx context.Context, r eventstore.WalkRequest, do func([]event.Event) error) error {
	var all []event.Event
	if err := c.Store.Walk(ctx, r, func(events []event.Event) error {
		all = append(all, events...)
		return nil
	}); err != nil {
		return err
	}
	for part := range slices.Chunk(all, c.size) {
		if err := do(part); err != nil {
			return err
		}
	}
	return nil
}
