package playbook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// later moves the world's clock on.
func (w *world) later(d time.Duration) {
	now := w.Now
	w.Now = func() time.Time { return now().Add(d) }
}

func (w *world) started(text string) *Run {
	w.t.Helper()
	p := w.create(text)
	if _, err := w.Change(w.t.Context(), tenant, "key:test", p.ID, Patch{Outside: new(true)}); err != nil {
		w.t.Fatal(err)
	}
	r, err := w.Start(w.t.Context(), tenant, "key:test", p.ID, "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	return r
}

// A call that fails is repeated as often as is said, each time only after the wait, and
// then ends the run.
func TestRetry(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for _, c := range []struct {
			name, want string
			good       int64 // the call that succeeds, 0 for none
			state      State
			attempts   int
		}{
			{"in the end", "call DONE, after WAITING", 3, Waiting, 3},
			{"never", "call FAILED", 0, Failed, 3},
		} {
			t.Run(c.name, func(t *testing.T) {
				w := newWorld(t, db)
				var calls atomic.Int64
				server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
					if calls.Add(1) != c.good {
						out.WriteHeader(http.StatusBadGateway)
					}
				}))
				defer server.Close()
				id := map[bool]string{true: "a", false: "b"}[c.good > 0]
				r := w.started("id: " + id + "\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: call, action: http, with: {url: '" + server.URL + "/x'}, retry: {times: 2, wait: 1m}}\n  - {id: after, action: wait, with: {for: 1h}}\n")
				for n := range 3 {
					if got := calls.Load(); got != int64(n+1) {
						t.Fatalf("%d calls before wait %d", got, n+1)
					}
					w.later(30 * time.Second)
					w.settle()
					if got := calls.Load(); got != int64(n+1) {
						t.Fatalf("repeated too early")
					}
					w.later(31 * time.Second)
					w.settle()
				}
				got, steps := w.log(r.ID)
				if got.State != c.state || statesOf(steps) != c.want || steps[0].Attempt != c.attempts || calls.Load() != 3 {
					t.Errorf("%s %s, attempt %d, %d calls", got.State, statesOf(steps), steps[0].Attempt, calls.Load())
				}
			})
		}
	})
}

// A schedule begins one run each time it is due, and none of a playbook that is disabled.
func TestSchedule(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.create("id: a\nname: A\ntrigger: {event: schedule, every: 1h}\nsteps:\n  - {id: s, action: wait, with: {for: 1m}}\n")
		look := func(want int) {
			t.Helper()
			for range 2 { // of two servers one begins it
				if err := w.schedule(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.settle()
			if n := len(w.runs(p.ID)); n != want {
				t.Fatalf("%d runs, want %d", n, want)
			}
		}
		look(0)
		w.later(61 * time.Minute)
		look(1)
		w.later(5 * time.Hour) // nobody was there: missed times are not made up for
		look(2)
		w.later(2 * time.Minute)
		w.settle()
		for _, r := range w.runs(p.ID) {
			if r.State != Done || r.Event != Schedule {
				t.Errorf("%s, %s", r.State, r.Event)
			}
		}
		if _, err := w.Change(t.Context(), tenant, "key:test", p.ID, Patch{Enabled: new(false)}); err != nil {
			t.Fatal(err)
		}
		w.later(2 * time.Hour)
		look(2)
	})
}

// An unknown outcome that a person denies ends the run; one that may be passed over does
// not ask.
func TestUnknownOutcome(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		begin := func(id, more string) *Run {
			t.Helper()
			p := w.create("id: " + id + "\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: call, action: http, with: {url: 'http://127.0.0.1:1/x'}" + more + "}\n  - {id: after, action: wait, with: {for: 1h}}\n")
			r, err := w.Start(t.Context(), tenant, "key:test", p.ID, "", "")
			if err != nil {
				t.Fatal(err)
			}
			claim := func() {
				t.Helper()
				for _, slow := range []bool{false, true} {
					if got, err := w.claim(t.Context(), slow); err != nil || got == r.ID {
						if err != nil {
							t.Fatal(err)
						}
						return
					}
				}
				t.Fatal("it is not taken up")
			}
			claim()
			w.work(t.Context(), r.ID) // begins it
			claim()
			if err := putStep(t.Context(), db, r.ID, &StepLog{Step: "call", Action: actHTTP, State: Running, Attempt: 1, Input: []byte("{}"), BegunAt: w.now()}); err != nil {
				t.Fatal(err)
			}
			expire(t, w)
			w.settle()
			return r
		}
		r := begin("denied", "")
		if got, _, err := w.Decide(t.Context(), tenant, "key:anna", r.ID, Decision{}); err != nil || got.State != Denied {
			t.Errorf("denied: %+v, %v", got, err)
		}
		r = begin("continued", ", onError: continue")
		if got, steps := w.log(r.ID); got.State != Waiting || statesOf(steps) != "call UNKNOWN, after WAITING" {
			t.Errorf("continued: %s %s", got.State, statesOf(steps))
		}
		r = begin("unanswered", "")
		w.later(31 * 24 * time.Hour)
		w.settle()
		if got, steps := w.log(r.ID); got.State != Failed || steps[0].State != Unknown {
			t.Errorf("unanswered: %s %s", got.State, statesOf(steps))
		}
	})
}

// A question that nobody answers in time ends the run, or is passed over.
func TestAskExpires(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		for id, want := range map[string]string{"a": "ask FAILED", "b": "ask FAILED, after WAITING"} {
			w := newWorld(t, db)
			more := ""
			if id == "b" {
				more = ", onError: continue"
			}
			r := w.started("id: " + id + "\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: ask, action: ask, with: {question: 'Block it?', expires: 10m}" + more + "}\n  - {id: after, action: wait, with: {for: 1h}}\n")
			w.later(9 * time.Minute)
			w.settle()
			if got, _ := w.log(r.ID); got.State != Asking || got.Reason != "Block it?" {
				t.Fatalf("%s, %q", got.State, got.Reason)
			}
			w.later(2 * time.Minute)
			w.settle()
			if got, steps := w.log(r.ID); statesOf(steps) != want || steps[0].Error != "nobody answered in time" || got.State != map[string]State{"a": Failed, "b": Waiting}[id] {
				t.Errorf("%s %s %q", got.State, statesOf(steps), steps[0].Error)
			}
			if id == "a" {
				if _, _, err := w.Decide(t.Context(), tenant, "key:anna", r.ID, Decision{Approve: true}); err == nil {
					t.Error("an answer that came too late is taken")
				}
			}
		}
	})
}

// What a playbook tags is shown by the alert and found by its tag.
func TestTagsOfAlerts(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		alertID, _ := w.raise()
		p := w.create("id: a\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: s, action: tag, with: {on: alert, tags: [vip, 'brute force', vip]}}\n")
		if _, err := w.Start(t.Context(), tenant, "key:test", p.ID, alertID, ""); err != nil {
			t.Fatal(err)
		}
		w.settle()
		d, err := w.Alerts.Get(t.Context(), tenant, alertID)
		if err != nil || strings.Join(d.Tags, ", ") != "brute force, vip" {
			t.Errorf("tags %q, %v", d.Tags, err)
		}
		for _, c := range []struct {
			tenant uint32
			tag    string
			want   int64
		}{{tenant, "vip", 1}, {tenant, "vi", 0}, {2, "vip", 0}} {
			if got, err := w.Alerts.List(t.Context(), c.tenant, alert.Query{Filter: alert.Filter{Tag: c.tag}}); err != nil || got.Total != c.want || len(got.Alerts) != int(c.want) {
				t.Errorf("%d %s: %+v, %v", c.tenant, c.tag, got, err)
			}
		}
	})
}
