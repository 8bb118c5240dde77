package exception

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

const (
	plainRule = `title: Failed logon
id: failed
level: medium
logsource: {product: linux, service: sshd}
detection: {s: {action: login, outcome: failure}, condition: s}
kyra: {entity: [src_ip], entities: [src_ip, user]}
`
	bruteRule = `title: Brute force
id: brute
level: high
correlation: {type: event_count, rules: [failed], group-by: [src_ip], timespan: 5m, condition: {gte: 3}}
kyra: {entities: [src_ip, user]}
`
)

// A world raises alerts as the pipeline does.
type world struct {
	t       *testing.T
	db      *sqldb.DB
	store   *memory.Store
	alerts  *alert.Service
	rules   *rule.Service
	preview *Previews
	set     *detect.Ruleset
	seq     uint64
	ago     time.Duration // that alerts are recorded
}

func newWorld(t *testing.T, db *sqldb.DB, texts ...string) *world {
	t.Helper()
	w := &world{t: t, db: db, store: &memory.Store{}, alerts: alert.New(db)}
	w.rules = rule.New(db, func(yaml []byte) (rule.Meta, error) {
		docs, err := sigma.Parse(yaml)
		if err != nil {
			return rule.Meta{}, err
		}
		return rule.Meta{ID: docs[0].ID, Name: docs[0].Title, Severity: docs[0].Severity(), Type: "detection"}, nil
	})
	w.preview = New(w.alerts, w.store, w.rules)
	var list []detect.Rule
	for _, text := range texts {
		docs, err := sigma.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			list = append(list, detect.Rule{Document: d, Version: 1})
		}
		if _, err := w.rules.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := detect.Compile(list)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	w.set = set
	return w
}

var day = time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)

// fails stores failed logons of users from an address, a second apart, and raises
// what the rules make of them. It returns the alerts' ids by rule.
func (w *world) fails(at time.Time, src string, users ...string) map[string]string {
	w.t.Helper()
	matcher, detector := w.set.NewMatcher(), detect.New(func(uint32) *detect.Ruleset { return w.set })
	var findings []alert.Finding
	for i, user := range users {
		w.seq++
		e := event.Event{ID: event.ID{Seq: w.seq}, Tenant: 1, Time: at.Add(time.Duration(i) * time.Second).UnixNano(), Arrived: at.Add(time.Hour).UnixNano()}
		for _, f := range []string{"source=sshd", "action=login", "outcome=failure", "src_ip=" + src, "user=" + user} {
			name, value, _ := strings.Cut(f, "=")
			e.Add(name, value)
		}
		if err := w.store.Append(w.t.Context(), []event.Event{e}); err != nil {
			w.t.Fatal(err)
		}
		detector.Apply(&e, matcher.Match(&e, nil), nil)
	}
	detector.EndBatch(func(f *alert.Finding) { findings = append(findings, *f) })
	out := map[string]string{}
	if err := w.db.Tx(w.t.Context(), func(tx *sqldb.DB) error {
		outcomes, err := w.alerts.Record(w.t.Context(), tx, time.Now().Add(-w.ago), findings)
		for _, o := range outcomes {
			out[o.Alert.Rule.ID] = o.Alert.ID
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// confirm marks an alert as a true positive.
func (w *world) confirm(id string) {
	w.t.Helper()
	if _, err := w.alerts.Patch(w.t.Context(), 1, "ann", id, alert.Patch{Verdict: new(alert.TruePositive)}); err != nil {
		w.t.Fatal(err)
	}
}

// try previews an exception and says what it would do, the alerts by the names given.
func (w *world) try(text string, s rule.Scope, names map[string]string) string {
	w.t.Helper()
	id := strings.Fields(text[strings.Index(text, "id: ")+4:])[0]
	filter, err := s.Sigma(id)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.preview.Silences(w.t.Context(), 1, id, text, filter)
	if err != nil {
		w.t.Fatal(err)
	}
	out := fmt.Sprintf("%d of %d, hidden %d, reduced %d, %d/%d events:", p.Examined, p.Alerts, p.Hidden, p.Reduced, p.EventsSilenced, p.Events)
	for _, a := range p.List {
		out += " " + names[a.ID]
		if a.TruePositive {
			out += "!"
		}
		if !a.Hidden {
			out += fmt.Sprintf("(%d/%d)", a.EventsSilenced, a.Events)
		}
		if a.ByEntities {
			out += "~"
		}
	}
	return out
}

func user(name string) rule.Scope { return rule.Scope{Fields: map[string][]string{"user": {name}}} }

func TestSilences(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, plainRule)
		names := map[string]string{}
		for i, users := range [][]string{{"ann", "ann"}, {"ann", "bob"}, {"bob"}} {
			names[w.fails(day, fmt.Sprintf("10.0.0.%d", i), users...)["failed"]] = string(rune('a' + i))
		}
		for name, tt := range map[string]struct {
			scope rule.Scope
			want  string
		}{
			"user":    {user("ann"), "3 of 3, hidden 1, reduced 1, 3/5 events: b(1/2) a"},
			"address": {rule.Scope{Entity: &rule.EntityScope{Type: "ip", Value: "10.0.0.2"}}, "3 of 3, hidden 1, reduced 0, 1/5 events: c"},
			"network": {rule.Scope{Entity: &rule.EntityScope{Field: "src_ip", Value: "10.0.0.0/24"}}, "3 of 3, hidden 3, reduced 0, 5/5 events: c b a"},
			"filter":  {rule.Scope{Filter: "s: {user|startswith: b}\ncondition: s"}, "3 of 3, hidden 1, reduced 1, 2/5 events: c b(1/2)"},
			"nobody":  {user("eve"), "3 of 3, hidden 0, reduced 0, 0/5 events:"},
		} {
			if got := w.try(plainRule, tt.scope, names); got != tt.want {
				t.Errorf("%s: %s, want %s", name, got, tt.want)
			}
		}
		for id, name := range names {
			if name == "a" {
				w.confirm(id)
			}
			if name == "b" {
				w.confirm(id)
			}
		}
		if got, want := w.try(plainRule, user("ann"), names), "3 of 3, hidden 1, reduced 1, 3/5 events: b!(1/2) a!"; got != want {
			t.Errorf("with verdicts: %s, want %s", got, want)
		}
		// A filter of the catalogue may be several.
		two := "title: f\nfilter: {s: {user: ann}, condition: s}\n---\ntitle: g\nfilter: {s: {user: bob}, condition: s}\n"
		if p, err := w.preview.Silences(t.Context(), 1, "failed", plainRule, two); err != nil || p.Hidden != 3 || p.EventsSilenced != 5 {
			t.Errorf("with two filters: %+v, %v", p, err)
		}
		if p, err := w.preview.Silences(t.Context(), 2, "failed", plainRule, "title: f\nfilter: {s: {user: ann}, condition: s}"); err != nil || p.Examined != 0 || p.Alerts != 0 {
			t.Errorf("another tenant sees %+v, %v", p, err)
		}
	})
}

// A correlation still fires while enough events remain.
func TestSilencesOfACorrelation(t *testing.T) {
	db := sqldbtest.SQLite(t)
	// The rule that is counted stands in a text of its own.
	w := newWorld(t, db, plainRule, bruteRule)
	names := map[string]string{
		w.fails(day, "10.0.0.1", "ann", "ann", "ann", "bob")["brute"]:        "a",
		w.fails(day, "10.0.0.2", "ann", "bob", "bob", "bob", "bob")["brute"]: "b",
		w.fails(day, "10.0.0.3", "eve", "eve", "eve")["brute"]:               "c",
	}
	if got, want := w.try(bruteRule, user("ann"), names), "3 of 3, hidden 1, reduced 1, 4/12 events: b(1/5) a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// With the others it is one text: the exception is the correlation's.
	if got, want := w.try(bruteRule+"---\n"+plainRule, user("eve"), names), "3 of 3, hidden 1, reduced 0, 3/12 events: c"; got != want {
		t.Errorf("in one text: %s, want %s", got, want)
	}
}

// Where the events are gone, the alert's entities tell.
func TestSilencesByEntities(t *testing.T) {
	db := sqldbtest.SQLite(t)
	w := newWorld(t, db, plainRule)
	names := map[string]string{w.fails(day, "10.0.0.1", "ann")["failed"]: "a", w.fails(day, "10.0.0.2", "bob")["failed"]: "b"}
	if err := w.store.DropDay(t.Context(), "20260304"); err != nil {
		t.Fatal(err)
	}
	for id := range names {
		w.confirm(id)
	}
	if got, want := w.try(plainRule, user("ann"), names), "2 of 2, hidden 1, reduced 0, 0/0 events: a!~"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := w.try(plainRule, rule.Scope{Entity: &rule.EntityScope{Type: "ip", Value: "10.0.0.2"}}, names), "2 of 2, hidden 1, reduced 0, 0/0 events: b!~"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A rule that has changed since does not match its old events: nothing of them is
// silenced. A correlation that lacks some of them is judged with care.
func TestSilencesOfAnIncompletePast(t *testing.T) {
	db := sqldbtest.SQLite(t)
	w := newWorld(t, db, plainRule, bruteRule)
	a := w.fails(day, "10.0.0.1", "ann", "bob", "bob", "bob")
	names := map[string]string{a["brute"]: "a", a["failed"]: "f"}
	stricter := strings.Replace(bruteRule, "gte: 3", "gte: 9", 1)
	if got, want := w.try(stricter, user("ann"), names), "1 of 1, hidden 1, reduced 0, 1/4 events: a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	other := strings.Replace(plainRule, "outcome: failure", "outcome: success", 1)
	if got, want := w.try(other, user("ann"), names), "0 of 0, hidden 0, reduced 0, 0/0 events:"; got != want && !strings.HasSuffix(got, "events:") {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPreviewIsBounded(t *testing.T) {
	db := sqldbtest.SQLite(t)
	w := newWorld(t, db, plainRule)
	var first string
	for i := range 205 {
		w.ago = time.Duration(205-i) * time.Minute // else it would be a storm
		id := w.fails(day, fmt.Sprintf("10.0.1.%d", i), "ann")["failed"]
		if i == 0 {
			first = id
		}
	}
	w.confirm(first)
	filter, err := (&rule.Scope{Fields: map[string][]string{"user": {"ann"}}}).Sigma("failed")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	p, err := w.preview.Silences(t.Context(), 1, "failed", plainRule, filter)
	if err != nil || p.Examined != 201 || p.Hidden != 201 || !p.List[0].TruePositive || p.List[0].ID != first {
		t.Errorf("preview is %d examined, %d hidden, %v", p.Examined, p.Hidden, err)
	}
	t.Logf("%d alerts took %v", p.Examined, time.Since(begin))

	// Without time there is no answer where true positives wait for it.
	late, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := w.preview.Silences(late, 1, "failed", plainRule, filter); err == nil {
		t.Error("a preview without time looked through true positives")
	}
}
