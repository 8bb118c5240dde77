package playbook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// TestACallThatAKillCutShortIsNotRepeated: what a killed process leaves behind is a run
// that is held and a step that was begun.
func TestACallThatAKillCutShortIsNotRepeated(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		var calls atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
		defer server.Close()
		p := w.create("id: a\nname: A\ntrigger: {event: manual}\nsteps:\n  - {id: call, action: http, with: {url: '" + server.URL + "/x'}}\n  - {id: after, action: wait, with: {for: 1h}}\n")
		r, err := w.Start(t.Context(), tenant, "key:test", p.ID, "", "")
		if err != nil {
			t.Fatal(err)
		}
		claim := func() {
			t.Helper()
			for _, slow := range []bool{false, true} {
				if id, err := w.claim(t.Context(), slow); err != nil || id != "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
			}
			t.Fatal("nothing to claim")
		}
		claim() // takes it up, and is killed before it does anything
		expire(t, w)
		if r, _ := w.log(r.ID); r.State != Queued {
			t.Fatalf("a run of which nothing was done is %s", r.State)
		}
		id, err := w.claim(t.Context(), true)
		if err != nil || id == "" {
			t.Fatalf("claimed %q: %v", id, err)
		}
		w.work(t.Context(), id) // begins it: only now the condition is looked at
		claim()
		if err := putStep(t.Context(), db, r.ID, &StepLog{Step: "call", Action: actHTTP, State: Running, Attempt: 1, Input: []byte("{}"), BegunAt: w.now()}); err != nil {
			t.Fatal(err)
		}
		expire(t, w)
		w.settle()
		got, steps := w.log(r.ID)
		if got.State != Asking || steps[0].State != Unknown || calls.Load() != 0 {
			t.Fatalf("%s %s, %d calls", got.State, statesOf(steps), calls.Load())
		}
		if _, _, err := w.Decide(t.Context(), tenant, "key:anna", r.ID, Decision{Approve: true, Note: "it was done"}); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if got, steps := w.log(r.ID); got.State != Waiting || statesOf(steps) != "call UNKNOWN, after WAITING" || steps[0].DecidedBy != "key:anna" || calls.Load() != 0 {
			t.Fatalf("%s %s, %d calls", got.State, statesOf(steps), calls.Load())
		}
		if got, _, err := w.Cancel(t.Context(), tenant, "key:anna", r.ID); err != nil || got.State != Cancelled {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// expire ends the leases of this server, as its restart does.
func expire(t *testing.T, w *world) {
	t.Helper()
	if _, err := sqldb.Exec(t.Context(), w.db, `UPDATE playbook_run SET lease_until = 0 WHERE state = 'RUNNING'`); err != nil {
		t.Fatal(err)
	}
	if err := w.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesBeginRunsOnceAndLoopsEnd(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		var ids []string
		for i, status := range []string{"IN_PROGRESS", "RESOLVED", "IN_PROGRESS", "RESOLVED", "IN_PROGRESS", "RESOLVED"} {
			ids = append(ids, w.create("id: p"+string(rune('a'+i))+"\nname: P\ntrigger: {event: alert.updated}\nsteps:\n  - {id: s, action: set, with: {on: alert, status: "+status+"}}\n").ID)
		}
		alertID, _ := w.raise()
		w.dispatch()
		w.settle()
		m := outbox.Message{ID: "01900000-0000-7000-8000-000000000001", Tenant: tenant, Event: outbox.AlertUpdated, Kind: kindAlert, Object: alertID}
		for range 2 { // a sink may be called again with the same message
			if err := w.Sink(t.Context(), db, []outbox.Message{m}); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.runs(ids[0])); n != 1 {
			t.Fatalf("one message began %d runs", n)
		}
		for range 20 {
			w.settle()
			n, err := outbox.Dispatch(t.Context(), db, time.Now(), 500, w.Sink)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				return
			}
		}
		t.Error("playbooks set each other off without end")
	})
}

func TestDenied(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		p := w.create("id: a\nname: A\ntrigger: {event: manual}\napproval: true\nsteps:\n  - {id: s, action: comment, with: {text: hello, on: alert}}\n")
		alertID, _ := w.raise()
		r, err := w.Start(t.Context(), tenant, "key:test", p.ID, alertID, "")
		if err != nil {
			t.Fatal(err)
		}
		w.settle()
		if _, _, err := w.Decide(t.Context(), 2, "key:eve", r.ID, Decision{Approve: true}); err == nil {
			t.Error("another tenant answers")
		}
		got, steps, err := w.Decide(t.Context(), tenant, "key:anna", r.ID, Decision{Note: "no"})
		if err != nil || got.State != Denied || statesOf(steps) != "approval DENIED" || steps[0].Note != "no" {
			t.Errorf("%+v, %s, %v", got, statesOf(steps), err)
		}
	})
}

func TestFaultsNamePlaceAndRemedy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"id: a\nname: b\ntrigger: {event: never}\nsteps: []":                                                                       "line 3, column 18: trigger.event is \"never\". Allowed: alert.created",
		"id: a\nname: b\ntrigger: {event: manual}\nsteps:\n  - {id: s, action: comment, with: {text: '{{secret.x}}'}}":             "secrets can be used in http steps only",
		"id: a\nname: b\ntrigger: {event: manual}\nsteps:\n  - {id: s, action: http, with: {url: 'https://{{entities.domain}}/'}}": "the host of url must be written out",
		"id: a\nname: b\ntrigger: {event: manual}\nsteps:\n  - {id: s, action: comment, with: {text: '{{steps.later.result}}'}}":   "name a step before this one",
		"id: a\nname: b\nname: c":                                   "line 3, column 1: this is not YAML",
		"id: a\nname: b\ntrigger: {event: manual}\ncondition: '(a'": "this opening bracket has no closing one",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}
