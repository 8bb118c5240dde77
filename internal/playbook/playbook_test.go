package playbook

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/playbooks"
)

const tenant = 1

type world struct {
	*Service
	t *testing.T
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	t.Helper()
	alerts := alert.New(db)
	incidents := incident.New(db, alerts, incident.SLA{})
	incidents.SetTell(func(ctx context.Context, tx *sqldb.DB, in *incident.Incident, news incident.News) error {
		name := outbox.IncidentUpdated
		if news == incident.Created {
			name = outbox.IncidentCreated
		}
		return outbox.Add(ctx, tx, outbox.Message{Tenant: in.Tenant, Event: name, Kind: kindIncident, Object: in.ID, Title: in.Title, Severity: in.Severity})
	})
	alerts.SetTell(func(ctx context.Context, tx *sqldb.DB, a *alert.Alert) error {
		return outbox.Add(ctx, tx, outbox.Message{Tenant: a.Tenant, Event: outbox.AlertUpdated, Kind: kindAlert, Object: a.ID, Title: a.Title})
	})
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	guard, err := outbound.NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{
		DB: db, Alerts: alerts, Incidents: incidents, Events: &memory.Store{}, Sealer: sealer, Client: guard.Client(outbound.Limits{Total: time.Minute}),
		Builtin: playbooks.FS, Holder: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, t}
}

// raise makes an alert of brute force and, as it is high, its incident.
func (w *world) raise() (alertID, incidentID string) {
	w.t.Helper()
	now := time.Now()
	err := w.db.Tx(w.t.Context(), func(tx *sqldb.DB) error {
		out, err := w.Alerts.Record(w.t.Context(), tx, now, []alert.Finding{{
			Tenant: tenant, Rule: alert.RuleRef{ID: "r1", Name: "SSH brute force"}, Title: "SSH brute force", Severity: "high", Source: "sshd", Tactic: "credential-access", Technique: "T1110",
			Key: "src_ip=203.0.113.9", Entities: []alert.Entity{{Type: "ip", Field: "src_ip", Value: "203.0.113.9"}, {Type: "user", Field: "user", Value: "root"}},
			First: now.UnixNano(), Last: now.UnixNano(), Count: 5, Events: []event.ID{{Seq: 1}}, Description: "x",
		}})
		if err != nil {
			return err
		}
		alertID = out[0].Alert.ID
		if err := outbox.Add(w.t.Context(), tx, outbox.Message{Tenant: tenant, Event: outbox.AlertCreated, Kind: kindAlert, Object: alertID}); err != nil {
			return err
		}
		if err := w.Incidents.FromAlerts(w.t.Context(), tx, now, out); err != nil {
			return err
		}
		list, err := w.Alerts.ByIDs(w.t.Context(), tx, tenant, []string{alertID})
		incidentID = list[0].IncidentID
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return alertID, incidentID
}

func (w *world) dispatch() {
	w.t.Helper()
	if _, err := outbox.Dispatch(w.t.Context(), w.db, time.Now(), 100, w.Sink); err != nil {
		w.t.Fatal(err)
	}
}

// settle runs what is due, one step after the other, until nothing is.
func (w *world) settle() {
	w.t.Helper()
	for range 1000 {
		idle := true
		for _, slow := range []bool{false, true} {
			id, err := w.claim(w.t.Context(), slow)
			if err != nil {
				w.t.Fatal(err)
			}
			if id != "" {
				idle = false
				w.work(w.t.Context(), id)
			}
		}
		if idle {
			return
		}
	}
	w.t.Fatal("runs go on without end")
}

func (w *world) create(text string) *Playbook {
	w.t.Helper()
	p, err := w.Create(w.t.Context(), tenant, "key:test", text, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) runs(p string) []Run {
	w.t.Helper()
	list, _, err := w.Runs(w.t.Context(), tenant, RunQuery{Playbook: p, Size: 100, Ascending: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) log(run string) (*Run, []StepLog) {
	w.t.Helper()
	r, steps, err := w.GetRun(w.t.Context(), tenant, run)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, steps
}

func statesOf(steps []StepLog) string {
	var all []string
	for _, st := range steps {
		all = append(all, st.Step+" "+string(st.State))
	}
	return strings.Join(all, ", ")
}

func TestBuiltinAnswersBruteForce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		_, incidentID := w.raise()
		w.dispatch()
		w.settle()
		list, _, err := w.Runs(t.Context(), tenant, RunQuery{Object: incidentID, Size: 10})
		if err != nil || len(list) != 1 || list[0].Handle != "brute-force" || list[0].State != Done {
			t.Fatalf("%+v, %v", list, err)
		}
		_, steps := w.log(list[0].ID)
		want := "tag DONE, attempts DONE, successes DONE, report DONE, raise SKIPPED, tell SKIPPED, reset DONE, review DONE, block SKIPPED"
		if got := statesOf(steps); got != want {
			t.Errorf("steps are\n%s, not\n%s", got, want)
			for _, st := range steps {
				t.Logf("%s: %s %s", st.Step, st.Error, st.Result)
			}
		}
		d, err := w.Incidents.Get(t.Context(), tenant, incidentID)
		if err != nil || len(d.Tasks) != 2 || len(d.Comments) != 2 || !strings.Contains(d.Comments[1].Content, "203.0.113.9") {
			t.Errorf("%+v, %v", d, err)
		}
		if d.AcknowledgedAt != nil {
			t.Error("a playbook counts as a person who does something about it")
		}
	})
}

func TestCallSealsSecretsAndIsMadeOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		calls := 0
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			calls++
			body, _ := io.ReadAll(r.Body)
			got = r.URL.String() + " " + r.Header.Get("Authorization") + " " + string(body)
			_, _ = io.WriteString(rw, `{"token":"`+r.Header.Get("Authorization")+`","score":7}`)
		}))
		defer server.Close()
		if _, err := w.SetSecret(t.Context(), tenant, "key:test", "fw", "hunter2!"); err != nil {
			t.Fatal(err)
		}
		p := w.create(`
id: block
name: Block
trigger: {event: alert.created}
steps:
  - id: call
    action: http
    with:
      url: ` + server.URL + `/block?ip={{entities.ip}}
      headers: {Authorization: "Bearer {{secret.fw}}"}
      body: {ips: "{{entities.ip}}", n: 3, say: "it is {{alert.title}}"}
  - id: note
    action: comment
    when: steps.call.result.body.score:>5
    with: {text: "Score {{steps.call.result.body.score}}", on: alert}
`)
		alertID, _ := w.raise()
		w.dispatch()
		w.settle()
		if want := `/block?ip=203.0.113.9 Bearer hunter2! {"ips":["203.0.113.9"],"n":3,"say":"it is SSH brute force"}`; got != want || calls != 1 {
			t.Errorf("called %d times with %s", calls, got)
		}
		r, steps := w.log(w.runs(p.ID)[0].ID)
		if r.State != Done || statesOf(steps) != "call DONE, note DONE" {
			t.Fatalf("%s %s: %s", r.State, r.Reason, statesOf(steps))
		}
		all, err := json.Marshal(steps)
		if err != nil || strings.Contains(string(all), "hunter2") {
			t.Errorf("the log shows the secret: %s", all)
		}
		d, err := w.Alerts.Get(t.Context(), tenant, alertID)
		if err != nil || d.History[len(d.History)-1].Note != "Score 7" {
			t.Errorf("%+v, %v", d.History, err)
		}
	})
}
