package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// clock is a time that a test moves.
type clock struct{ atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.Store(time.Date(2026, 4, 22, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time       { return time.UnixMicro(c.Load()).UTC() }
func (c *clock) pass(d time.Duration) { c.Add(d.Microseconds()) }

func setup(t *testing.T, db *sqldb.DB, c Config, kinds map[string]Kind) *Service {
	t.Helper()
	c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if c.Poll == 0 {
		c.Poll = 5 * time.Millisecond
	}
	return New(db, c, kinds)
}

// serve runs s until the returned function is called, at the latest when the test ends.
func serve(t *testing.T, s *Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func start(t *testing.T, s *Service, tenant uint32, d Draft) *Job {
	t.Helper()
	j, err := s.Start(t.Context(), tenant, "ann", d)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// until waits for a job to be what ok says.
func until(t *testing.T, s *Service, j *Job, ok func(*Job) bool) *Job {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		now, err := s.Get(t.Context(), j.Tenant, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ok(now) {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job stays %+v", now)
		}
	}
}

func ended(j *Job) bool { return j.State.Ended() }

func TestResult(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		told := make(chan struct{})
		s := setup(t, db, Config{}, map[string]Kind{"sum": {Work: func(ctx context.Context, task *Task) (any, error) {
			var p struct{ A, B int }
			if err := task.Read(&p); err != nil {
				return nil, err
			}
			task.Progress(1, 2, "half \xff"+strings.Repeat("é", 400))
			select {
			case <-told:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			task.Progress(2, 2, "all")
			return map[string]int{"sum": p.A + p.B}, nil
		}}})
		j := start(t, s, 1, Draft{Kind: "sum", Subject: "arithmetic", Params: map[string]int{"A": 40, "B": 2}})
		if j.State != Queued || j.Actor != "ann" || j.Subject != "arithmetic" || j.Result != nil || j.Attempt != 0 {
			t.Errorf("it begins as %+v", j)
		}
		serve(t, s)
		half := until(t, s, j, func(j *Job) bool { return j.Done == 1 })
		if half.State != Running || half.Total != 2 || !strings.HasPrefix(half.Note, "half") || half.StartedAt == nil || half.EndedAt != nil || half.Attempt != 1 {
			t.Errorf("at half it is %+v", half)
		}
		close(told)
		j = until(t, s, j, ended)
		if j.State != Done || string(j.Result) != `{"sum":42}` || j.Done != 2 || j.Note != "all" || j.EndedAt == nil || j.Reason != "" {
			t.Errorf("it ends as %+v with %s", j, j.Result)
		}
		latest, err := s.Latest(t.Context(), 1, "sum", "arithmetic")
		if err != nil || latest.ID != j.ID {
			t.Errorf("Latest = %+v, %v", latest, err)
		}
		if _, total, err := audit.List(t.Context(), db, 1, audit.Filter{Object: j.ID}); err != nil || total != 1 {
			t.Errorf("audit has %d entries, %v", total, err)
		}
	})
}

func TestFailures(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		var tries atomic.Int64
		kinds := map[string]Kind{
			"invalid": {Work: func(context.Context, *Task) (any, error) {
				return nil, fault.New(fault.Invalid, "there is no rule x\x00")
			}},
			"internal": {Work: func(context.Context, *Task) (any, error) { return nil, errors.New("secret of the database") }},
			"panic":    {Work: func(context.Context, *Task) (any, error) { panic("oh") }},
			"large":    {Work: func(context.Context, *Task) (any, error) { return strings.Repeat("a", MaxResult), nil }},
			"endless": {Time: 10 * time.Millisecond, Work: func(ctx context.Context, _ *Task) (any, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}},
			"again": {Attempts: 2, Work: func(context.Context, *Task) (any, error) {
				tries.Add(1)
				return nil, fault.New(fault.Unavailable, "the store is away")
			}},
		}
		s := setup(t, db, Config{Now: c.now, PerTenant: 9, Workers: 3}, kinds)
		serve(t, s)
		for kind, want := range map[string]string{
			"invalid": "there is no rule x\uFFFD", "internal": internalReason, "panic": internalReason,
			"large": "the result has 1048578 bytes, at most 1048576 are kept", "endless": "it took longer than it may: ask for less at a time",
		} {
			if j := until(t, s, start(t, s, 1, Draft{Kind: kind}), ended); j.State != Failed || j.Reason != want || j.Result != nil {
				t.Errorf("%s ends as %s: %q, want %q", kind, j.State, j.Reason, want)
			}
		}
		j := start(t, s, 1, Draft{Kind: "again"})
		waits := until(t, s, j, func(j *Job) bool { return j.State == Queued && j.Attempt == 1 })
		if waits.Reason != "the store is away: tried again later" || tries.Load() != 1 {
			t.Errorf("it waits as %+v after %d tries", waits, tries.Load())
		}
		c.pass(time.Minute)
		if j = until(t, s, j, ended); j.State != Failed || j.Reason != "the store is away" || tries.Load() != 2 {
			t.Errorf("it ends as %+v after %d tries", j, tries.Load())
		}
		if _, err := s.Start(t.Context(), 1, "ann", Draft{Kind: "unknown"}); err == nil {
			t.Error("a job of an unknown kind was taken")
		}
		if _, err := s.Start(t.Context(), 1, "ann", Draft{Kind: "again", Params: strings.Repeat("a", MaxParams)}); !errors.Is(err, fault.TooLarge) {
			t.Errorf("huge params: %v", err)
		}
	})
}

// blocking is a kind that works until it is stopped, and counts its beginnings.
func blocking(begun chan<- string) map[string]Kind {
	return map[string]Kind{"block": {Work: func(ctx context.Context, t *Task) (any, error) {
		begun <- t.ID
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
}

func TestCancel(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		begun := make(chan string, 10)
		s := setup(t, db, Config{}, blocking(begun))
		other := setup(t, db, Config{}, blocking(begun)) // another process
		serve(t, s)
		runs := start(t, s, 1, Draft{Kind: "block"})
		<-begun
		waits := start(t, s, 1, Draft{Kind: "block"})
		for _, id := range []string{runs.ID, waits.ID, "nope", "\x00", "\xff"} {
			if _, err := s.Cancel(t.Context(), 2, "eve", id); !errors.Is(err, fault.NotFound) {
				t.Errorf("another tenant's Cancel(%q) = %v", id, err)
			}
			if _, err := s.Get(t.Context(), 2, id); !errors.Is(err, fault.NotFound) {
				t.Errorf("another tenant's Get(%q) = %v", id, err)
			}
		}
		if j, err := s.Cancel(t.Context(), 1, "bob", waits.ID); err != nil || j.State != Cancelled || j.Reason != "cancelled by bob" || j.EndedAt == nil {
			t.Errorf("a waiting one: %+v, %v", j, err)
		}
		if j, err := other.Cancel(t.Context(), 1, "bob", runs.ID); err != nil || !j.Cancelling && j.State != Cancelled {
			t.Errorf("a running one: %+v, %v", j, err)
		}
		if j := until(t, s, runs, ended); j.State != Cancelled || j.Reason != "cancelled by bob" || j.Cancelling {
			t.Errorf("it ends as %+v", j)
		}
		if j, err := s.Cancel(t.Context(), 1, "bob", runs.ID); err != nil || j.State != Cancelled {
			t.Errorf("a cancelled one: %+v, %v", j, err)
		}
		// A new one may take the place of one that runs and of one that waits.
		first := start(t, s, 1, Draft{Kind: "block", Subject: "r"})
		<-begun
		second := start(t, s, 1, Draft{Kind: "block", Subject: "r", Replace: true})
		third := start(t, s, 1, Draft{Kind: "block", Subject: "r", Replace: true})
		for _, j := range []*Job{first, second} {
			if j := until(t, s, j, ended); j.State != Cancelled || j.Reason != "another took its place" {
				t.Errorf("the replaced is %+v", j)
			}
		}
		until(t, s, third, func(j *Job) bool { return j.State == Running })
	})
}

func TestEndedJobIsNotCancelled(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := setup(t, db, Config{}, map[string]Kind{"nothing": {Work: func(context.Context, *Task) (any, error) { return nil, nil }}})
		serve(t, s)
		j := until(t, s, start(t, s, 1, Draft{Kind: "nothing"}), ended)
		if string(j.Result) != "null" {
			t.Errorf("the result of nothing is %q", j.Result)
		}
		if _, err := s.Cancel(t.Context(), 1, "bob", j.ID); !errors.Is(err, fault.Conflict) {
			t.Errorf("Cancel = %v, want Conflict", err)
		}
	})
}

// A server that stops hands its jobs to the next, and that is not held against them.
func TestStop(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		begun := make(chan string, 10)
		s := setup(t, db, Config{}, blocking(begun))
		stop := serve(t, s)
		j := start(t, s, 1, Draft{Kind: "block"})
		for range 5 {
			<-begun
			stop()
			if now := until(t, s, j, func(*Job) bool { return true }); now.State != Queued || now.Attempt != 0 || now.Reason != "the server was stopped: begun anew" {
				t.Fatalf("after the stop it is %+v", now)
			}
			s = setup(t, db, Config{}, blocking(begun))
			stop = serve(t, s)
		}
	})
}

// A process that dies says nothing: its jobs are begun anew when their lease is over,
// and fail when that happened too often.
func TestDeadProcess(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		begun := make(chan string, 10)
		s := setup(t, db, Config{Now: c.now}, blocking(begun))
		j := start(t, s, 1, Draft{Kind: "block"})
		cancelled := start(t, s, 2, Draft{Kind: "block"})
		for attempt := 1; attempt <= 3; attempt++ {
			dead := setup(t, db, Config{Now: c.now, PerTenant: 2}, blocking(begun))
			claimed, err := dead.claim(t.Context())
			if err != nil || claimed == nil || claimed.ID != j.ID || claimed.Attempt != attempt {
				t.Fatalf("claim = %+v, %v", claimed, err)
			}
			if attempt == 1 {
				if two, err := dead.claim(t.Context()); err != nil || two.ID != cancelled.ID {
					t.Fatalf("claim = %+v, %v", two, err)
				}
				if _, err := s.Cancel(t.Context(), 2, "bob", cancelled.ID); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.takeOver(t.Context()); err != nil {
				t.Fatal(err)
			}
			if now := until(t, s, j, func(*Job) bool { return true }); now.State != Running {
				t.Fatalf("within its lease it is %+v", now)
			}
			c.pass(31 * time.Second)
			if err := s.takeOver(t.Context()); err != nil {
				t.Fatal(err)
			}
			now := until(t, s, j, func(*Job) bool { return true })
			if attempt < 3 && (now.State != Queued || now.Reason != "the process that ran it ended: begun anew") || attempt == 3 && (now.State != Failed || now.Reason != "the process that ran it ended, 3 times") {
				t.Fatalf("after attempt %d it is %+v", attempt, now)
			}
			// What the dead one would still write changes nothing.
			if err := dead.finish(t.Context(), &Task{Job: *claimed}, []byte("1"), nil, nil); err != nil {
				t.Fatal(err)
			}
			if again := until(t, s, j, func(*Job) bool { return true }); again.State != now.State {
				t.Fatalf("a dead process changed it to %+v", again)
			}
		}
		if now := until(t, s, cancelled, func(*Job) bool { return true }); now.State != Cancelled {
			t.Errorf("the cancelled one is %+v", now)
		}
	})
}

func TestBounds(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := newClock()
		begun := make(chan string, 100)
		s := setup(t, db, Config{Now: c.now, Waiting: 3, Workers: 2, Keep: 4, KeepFor: time.Hour}, blocking(begun))
		var first []*Job
		for range 3 {
			first = append(first, start(t, s, 1, Draft{Kind: "block"}))
			c.pass(time.Microsecond)
		}
		if _, err := s.Start(t.Context(), 1, "ann", Draft{Kind: "block"}); !errors.Is(err, fault.Limited) {
			t.Errorf("the fourth: %v, want Limited", err)
		}
		other := start(t, s, 2, Draft{Kind: "block"})
		serve(t, s)
		// One tenant has one place of two.
		at := map[string]bool{<-begun: true, <-begun: true}
		if !at[first[0].ID] || !at[other.ID] {
			t.Errorf("%v began, want %s and %s", at, first[0].ID, other.ID)
		}
		for range 3 {
			for _, j := range first {
				if _, err := s.Cancel(t.Context(), 1, "ann", j.ID); err != nil {
					t.Fatal(err)
				}
			}
			for _, j := range first {
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
					now, err := s.Get(t.Context(), 1, j.ID)
					if errors.Is(err, fault.NotFound) || err == nil && now.State.Ended() {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("%v, %v", now, err)
					}
				}
			}
			first = nil
			for range 3 {
				first = append(first, start(t, s, 1, Draft{Kind: "block"}))
			}
		}
		p, err := s.List(t.Context(), 1, Query{Filter: Filter{States: []State{"cancelled"}}})
		if err != nil || p.Total != 4 {
			t.Errorf("%d ended jobs are kept, %v; want 4", p.Total, err)
		}
		c.pass(2 * time.Hour)
		if _, err := s.Cancel(t.Context(), 1, "ann", first[2].ID); err != nil {
			t.Fatal(err)
		}
		if p, err = s.List(t.Context(), 1, Query{Filter: Filter{States: []State{Cancelled}}}); err != nil || p.Total != 1 {
			t.Errorf("%d ended jobs are kept after their time, %v; want 1", p.Total, err)
		}
	})
}

func TestEachRunsOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var mu sync.Mutex
		runs := map[string]int{}
		kinds := map[string]Kind{"count": {Work: func(_ context.Context, t *Task) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			runs[t.ID]++
			return nil, nil
		}}}
		var jobs []*Job
		services := make([]*Service, 3)
		for i := range services {
			services[i] = setup(t, db, Config{PerTenant: 5, Workers: 3, Waiting: 100}, kinds)
		}
		for i := range 40 {
			jobs = append(jobs, start(t, services[0], uint32(1+i%4), Draft{Kind: "count"}))
		}
		for _, s := range services {
			serve(t, s)
		}
		for _, j := range jobs {
			if j = until(t, services[0], j, ended); j.State != Done || j.Attempt != 1 {
				t.Errorf("job is %+v", j)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for id, n := range runs {
			if n != 1 {
				t.Errorf("job %s ran %d times", id, n)
			}
		}
	})
}

func TestList(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := setup(t, db, Config{}, map[string]Kind{"a": {}, "b": {}})
		var ids []string
		for i := range 5 {
			ids = append(ids, start(t, s, 1, Draft{Kind: []string{"a", "b"}[i%2], Subject: fmt.Sprint("s", i%3)}).ID)
		}
		start(t, s, 2, Draft{Kind: "a"})
		for _, tt := range []struct {
			filter Filter
			want   []int
		}{
			{Filter{}, []int{4, 3, 2, 1, 0}},
			{Filter{Kinds: []string{"b"}}, []int{3, 1}},
			{Filter{Kinds: []string{"a"}, Subject: "s0"}, []int{0}},
			{Filter{States: []State{Running, Done}}, nil},
			{Filter{Subject: "\x00\xff"}, nil},
		} {
			for _, ascending := range []bool{false, true} {
				var got []string
				for page := range 4 {
					p, err := s.List(t.Context(), 1, Query{Filter: tt.filter, Ascending: ascending, Page: page, Size: 2})
					if err != nil || p.Total != int64(len(tt.want)) {
						t.Fatalf("%+v: %+v, %v", tt.filter, p, err)
					}
					for _, j := range p.Jobs {
						got = append(got, j.ID)
					}
				}
				if len(got) != len(tt.want) {
					t.Fatalf("%+v: %d jobs, want %d", tt.filter, len(got), len(tt.want))
				}
				for i := range got {
					want := ids[tt.want[i]]
					if ascending {
						want = ids[tt.want[len(got)-1-i]]
					}
					if got[i] != want {
						t.Errorf("%+v: %v", tt.filter, got)
					}
				}
			}
		}
		for _, q := range []Query{{Size: 101}, {Page: -1}, {Filter: Filter{States: []State{"GONE"}}}} {
			if _, err := s.List(t.Context(), 1, q); !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}
