package canary

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// platform is the way of an event in small: the real parser, matcher and alerts.
type platform struct {
	*Service
	t     *testing.T
	db    *sqldb.DB
	set   *detect.Ruleset
	store memory.Store

	mu      sync.Mutex
	seq     uint64
	refuses error // the queue does
	blind   bool  // nothing is detected
	deaf    bool  // nothing is stored
	lost    []alert.Finding
}

func setup(t *testing.T, db *sqldb.DB) *platform {
	t.Helper()
	docs, err := sigma.Parse([]byte(Rule))
	if err != nil {
		t.Fatal(err)
	}
	set, problems := detect.Options{}.Compile([]detect.Rule{{Document: docs[0], Version: 1, Origin: "builtin"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := &platform{t: t, db: db, set: set}
	p.Service = New(Config{
		DB: db, Every: time.Hour, Within: 400 * time.Millisecond, Tenants: func() []uint32 { return []uint32{1, 2} },
		Append: p.take, Events: &p.store, Alerts: alert.New(db), Record: p.record,
	})
	return p
}

func (p *platform) record(ctx context.Context, tx *sqldb.DB, now time.Time, findings []alert.Finding) error {
	p.Saw(findings)
	for i := range findings {
		if findings[i].Rule.ID == LostRuleID {
			p.lost = append(p.lost, findings[i])
		}
	}
	_, err := p.Alerts.Record(ctx, tx, now, findings)
	return err
}

// take is queue and pipeline.
func (p *platform) take(ctx context.Context, c *queue.Chunk) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses != nil {
		return p.refuses
	}
	p.seq++
	var e event.Event
	parse.New(parse.Options{}).Parse(&parse.Record{Tenant: c.Tenant, Raw: c.Records[0], Arrived: c.Arrived, Source: c.Source, Input: c.Input}, &e)
	e.ID, e.Tenant, e.Arrived = event.ID{Seq: p.seq}, c.Tenant, c.Arrived
	if !p.deaf {
		if err := p.store.Append(ctx, []event.Event{e}); err != nil {
			return err
		}
	}
	if p.blind {
		return nil
	}
	d := detect.New(func(uint32) *detect.Ruleset { return p.set })
	var findings []alert.Finding
	emit := func(f *alert.Finding) { findings = append(findings, *f) }
	d.Apply(&e, p.set.NewMatcher().Match(&e, nil), emit)
	d.EndBatch(emit)
	return p.db.Tx(ctx, func(tx *sqldb.DB) error { return p.record(ctx, tx, time.Now(), findings) })
}

func (p *platform) send(tenant uint32) *Run {
	p.t.Helper()
	r, err := p.Send(p.t.Context(), tenant)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestCanaryComesOut(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		first := p.send(1)
		if first.State != OK || first.Acked == nil || first.Stored == nil || first.Detected == nil || first.Alerted == nil || len(first.Missing()) != 0 || first.Event == "" {
			t.Fatalf("run: %+v, missing %v", first, first.Missing())
		}
		second := p.send(1)
		p.send(2)
		if second.Alert != first.Alert {
			t.Error("each canary makes an alert of its own")
		}
		a, err := p.Alerts.Get(t.Context(), 1, first.Alert)
		if err != nil || a.Severity != "info" || a.Occurrences != 2 || a.Source != Source || !strings.Contains(a.Description, "Nothing has happened") || !strings.Contains(a.Description, "2 came") {
			t.Errorf("alert: %+v, %v", a, err)
		}
		runs, total, err := p.List(t.Context(), 1, 0, 1)
		if err != nil || total != 2 || len(runs) != 1 || runs[0].ID != second.ID || runs[0].State != OK || runs[0].Detected == nil {
			t.Errorf("List: %+v, %d, %v", runs, total, err)
		}
		told, err := sqldb.One(t.Context(), db, sqldb.Value[int64], `SELECT COUNT(*) FROM outbox_message WHERE tenant = 1 AND event = $1 AND severity = 'info'`, outbox.Canary)
		if err != nil || told != 2 {
			t.Errorf("%d were told of, %v; want 2", told, err)
		}
		var page strings.Builder
		p.WriteMetrics(&page)
		if !strings.Contains(page.String(), "kyra_canary_runs_total{state=\"ok\"} 3\n") {
			t.Errorf("metrics:\n%s", page.String())
		}
	})
}

// The alert of a day that is over is resolved, and a new one is made.
func TestCanaryDayEnds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		now := time.Now()
		p.Now = func() time.Time { return now.Add(-25 * time.Hour) }
		// The clock of an earlier day: following it would wait for its own time.
		p.Within = 0
		old := &Run{ID: "0199c0de-0000-7000-8000-000000000000", Sent: p.Now().Truncate(time.Microsecond)}
		record := `{"source":"kyra_canary","product":"kyra","canary_run":"` + old.ID + `"}`
		if err := p.take(t.Context(), &queue.Chunk{Tenant: 1, Input: Input, Source: Source, Arrived: old.Sent.UnixNano(), Records: []string{record}}); err != nil {
			t.Fatal(err)
		}
		p.Now, p.Within = time.Now, time.Second
		r := p.send(1)
		list, err := p.Alerts.List(t.Context(), 1, alert.Query{Filter: alert.Filter{RuleID: RuleID}})
		if err != nil || list.Total != 2 {
			t.Fatalf("alerts: %+v, %v", list, err)
		}
		for _, a := range list.Alerts {
			if want := map[bool]alert.Status{true: alert.Open, false: alert.Resolved}[a.ID == r.Alert]; a.Status != want {
				t.Errorf("alert first seen %s is %s, want %s", a.FirstSeen, a.Status, want)
			}
		}
	})
}

func TestCanaryIsLost(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		for _, tt := range []struct {
			name    string
			do      func()
			missing []string
		}{
			{"queue", func() { p.refuses = errors.New("disk full") }, []string{"acknowledged", "stored", "detected", "alerted"}},
			{"detection", func() { p.refuses, p.blind = nil, true }, []string{"detected", "alerted"}},
			{"store", func() { p.blind, p.deaf = false, true }, []string{"stored"}},
		} {
			tt.do()
			r := p.send(1)
			if r.State != Lost || r.Reason == "" || !slices.Equal(r.Missing(), tt.missing) {
				t.Errorf("%s: %+v, missing %v", tt.name, r, r.Missing())
			}
		}
		list, err := p.Alerts.List(t.Context(), 1, alert.Query{Filter: alert.Filter{RuleID: LostRuleID}})
		if err != nil || list.Total != 1 || list.Alerts[0].Severity != "high" || list.Alerts[0].Occurrences != 3 || !strings.HasPrefix(list.Alerts[0].Title, "KYRA does not see") {
			t.Errorf("alerts of lost canaries: %+v, %v", list, err)
		}
		p.deaf = false
		if r := p.send(1); r.State != OK {
			t.Errorf("afterwards: %+v", r)
		}
	})
}

// What a process sent that ended is followed by the next one.
func TestCanaryOutlivesARestart(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		p := setup(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		p.blind = true
		p.Within = time.Hour
		done := make(chan error)
		go func() {
			_, err := p.Send(ctx, 1)
			done <- err
		}()
		for {
			if runs, _, err := p.List(t.Context(), 1, 0, 1); err == nil && len(runs) == 1 && runs[0].Acked != nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Send ends with %v", err)
		}
		if err := p.save(t.Context(), db, &Run{ID: "0199c0de-0000-7000-8000-000000000001", Tenant: 1, State: Running, Sent: time.Now()}); err != nil {
			t.Fatal(err)
		}
		// Its pipeline comes to it only now.
		next := setup(t, db)

		runs, _, err := p.List(t.Context(), 1, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		sent := runs[0]
		record := `{"source":"kyra_canary","product":"kyra","canary_run":"` + sent.ID + `"}`
		if err := next.take(t.Context(), &queue.Chunk{Tenant: 1, Input: Input, Source: Source, Arrived: sent.Sent.UnixNano(), Records: []string{record}}); err != nil {
			t.Fatal(err)
		}
		next.resume(t.Context(), 1)
		runs, _, err = next.List(t.Context(), 1, 0, 10)
		if err != nil || len(runs) != 2 || runs[0].State != OK || runs[0].ID != sent.ID || runs[1].State != Aborted {
			t.Errorf("after the restart: %+v, %v", runs, err)
		}
	})
}
