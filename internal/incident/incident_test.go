package incident_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

var (
	attack = time.Date(2011, 5, 6, 7, 8, 9, 0, time.UTC) // event time
	server = time.Date(2026, 4, 22, 7, 0, 0, 0, time.UTC)
)

type fixture struct {
	*testing.T
	db        *sqldb.DB
	alerts    *alert.Service
	incidents *incident.Service
}

func each(t *testing.T, test func(f fixture)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		alerts := alert.New(db)
		test(fixture{t, db, alerts, incident.New(db, alerts, incident.SLA{})})
	})
}

func scan(at time.Time, severity, key string) alert.Finding {
	return alert.Finding{
		Tenant: 1, Rule: alert.RuleRef{ID: "scan", Name: "TCP SYN Scan Detection", Version: 1}, Title: "TCP SYN Scan Detection", Severity: severity,
		Source: "iptables", Tactic: "discovery", Technique: "T1046", Description: "{count} ports", Key: key,
		Entities: []alert.Entity{{Type: "ip", Field: event.SrcIP, Value: key}}, First: at.UnixNano(), Last: at.UnixNano(), Count: 1,
	}
}

// found records findings and makes incidents of them, as the pipeline does.
func (f fixture) found(now time.Time, findings ...alert.Finding) []alert.Alert {
	f.Helper()
	var alerts []alert.Alert
	err := f.db.Tx(f.Context(), func(tx *sqldb.DB) error {
		alerts = nil
		out, err := f.alerts.Record(f.Context(), tx, now, findings)
		if err != nil {
			return err
		}
		for _, o := range out {
			alerts = append(alerts, o.Alert)
		}
		return f.incidents.FromAlerts(f.Context(), tx, now, out)
	})
	if err != nil {
		f.Fatal(err)
	}
	return alerts
}

func (f fixture) list() []incident.Incident {
	f.Helper()
	p, err := f.incidents.List(f.Context(), 1, incident.Query{})
	if err != nil {
		f.Fatal(err)
	}
	return p.Incidents
}

func (f fixture) get(id string) *incident.Detail {
	f.Helper()
	d, err := f.incidents.Get(f.Context(), 1, id)
	if err != nil {
		f.Fatal(err)
	}
	return d
}

// done fails the test on an error.
func (f fixture) done(d *incident.Detail, err error) *incident.Detail {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	return d
}

func ids(alerts []alert.Alert) []string {
	var all []string
	for _, a := range alerts {
		all = append(all, a.ID)
	}
	return all
}

func steps(d *incident.Detail) string {
	var all []string
	for _, st := range d.Timeline {
		all = append(all, st.Action)
	}
	return strings.Join(all, " ")
}

func TestFromAlerts(t *testing.T) {
	each(t, func(f fixture) {
		alerts := f.found(server, scan(attack, "high", "10.0.0.1"), scan(attack.Add(time.Hour), "high", "10.0.0.2"), scan(attack, "medium", "10.0.0.3"))
		f.found(server.Add(time.Minute), scan(attack.Add(2*time.Hour), "high", "10.0.0.1")) // growth
		more := f.found(server.Add(time.Hour), scan(attack.Add(23*time.Hour), "critical", "10.0.0.4"))
		all := f.list()
		if len(all) != 1 {
			f.Fatalf("%d incidents, want 1: %+v", len(all), all)
		}
		d := f.get(all[0].ID)
		if d.Title != "[Auto] TCP SYN Scan Detection" || d.Severity != "high" || d.Status != incident.Open || d.AlertCount != 3 || !d.CreatedAt.Equal(server) || d.AssignedTo != "" || d.Tactic != "discovery" || d.Technique != "T1046" ||
			!d.SLADueAt.Equal(server.Add(8*time.Hour)) || d.ClosedAt != nil || d.Origin != incident.Auto {
			f.Errorf("incident is %+v", d.Incident)
		}
		if want := []string{alerts[0].ID, alerts[1].ID, more[0].ID}; !slices.Equal(ids(d.Alerts), want) || d.Alerts[0].IncidentID != d.ID {
			f.Errorf("alerts are %v, want %v", ids(d.Alerts), want)
		}
		if len(d.Entities) != 3 || d.Entities[2].Value != "10.0.0.4" || steps(d) != "created linked linked linked" || d.Timeline[0].Actor != audit.System {
			f.Errorf("entities %v, timeline %s", d.Entities, steps(d))
		}
		// A day later, or after closing, another one.
		f.found(server.Add(2*time.Hour), scan(attack.Add(24*time.Hour), "high", "10.0.0.5"))
		if all = f.list(); len(all) != 2 {
			f.Fatalf("%d incidents, want 2", len(all))
		}
		for _, in := range all {
			f.done(f.incidents.Patch(f.Context(), 1, "ann", in.ID, incident.Patch{Status: new(incident.Closed), Reason: "test"}))
		}
		f.found(server.Add(3*time.Hour), scan(attack.Add(time.Hour), "high", "10.0.0.6"))
		other := scan(attack.Add(time.Hour), "high", "10.0.0.6")
		other.Rule.ID = "other"
		f.found(server.Add(3*time.Hour), other)
		if all = f.list(); len(all) != 4 || all[0].AlertCount != 1 || all[1].AlertCount != 1 {
			f.Errorf("incidents are %+v", all)
		}
	})
}

func TestEscalate(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		a := f.found(server, scan(attack, "high", "10.0.0.1"))[0]
		d := f.done(f.incidents.Escalate(ctx, 1, "ann", a.ID))
		if d.Title != "Escalated: TCP SYN Scan Detection" || d.AlertCount != 1 || d.Alerts[0].ID != a.ID || d.Severity != "high" || d.Technique != "T1046" || d.Timeline[0].Actor != "ann" {
			f.Errorf("incident is %+v", d)
		}
		if got, err := f.alerts.Get(ctx, 1, a.ID); err != nil || got.IncidentID != d.ID {
			f.Errorf("alert belongs to %q, %v", got.IncidentID, err)
		}
		if _, err := f.incidents.Escalate(ctx, 1, "ann", a.ID); !errors.Is(err, fault.Conflict) {
			f.Errorf("second Escalate = %v, want Conflict", err)
		}
		for _, id := range []string{"nope", "", "550e8400-e29b-41d4-a716-446655440000", "\x00"} {
			if _, err := f.incidents.Escalate(ctx, 1, "ann", id); !errors.Is(err, fault.NotFound) {
				f.Errorf("Escalate(%q) = %v, want NotFound", id, err)
			}
		}
		if _, err := f.incidents.Escalate(ctx, 2, "eve", a.ID); !errors.Is(err, fault.NotFound) {
			f.Errorf("Escalate by another tenant = %v, want NotFound", err)
		}
		if all := f.list(); len(all) != 2 || all[1].AlertCount != 1 {
			f.Errorf("incidents are %+v", all)
		}
	})
}

func TestStatusInOrder(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: " Phishing ", Severity: "Critical", AssignedTo: "bob"}))
		if d.Title != "Phishing" || d.Severity != "critical" || d.Origin != incident.Manual || d.AssignedTo != "bob" || d.SLADueAt.Sub(d.CreatedAt) != 4*time.Hour || d.Alerts == nil || d.Comments == nil {
			f.Errorf("incident is %+v", d)
		}
		set := func(st incident.Status, reason string) (*incident.Detail, error) {
			return f.incidents.Patch(ctx, 1, "ann", d.ID, incident.Patch{Status: &st, Reason: reason})
		}
		for _, st := range incident.Statuses[1:] {
			if got := f.done(set(incident.Status(strings.ToLower(string(st))), "")); got.Status != st || (got.ClosedAt != nil) != (st == incident.Closed) {
				f.Errorf("status is %s, closed at %v; want %s", got.Status, got.ClosedAt, st)
			}
		}
		if _, err := set(incident.Open, " "); !errors.Is(err, fault.Invalid) {
			f.Errorf("going back without a reason = %v, want Invalid", err)
		}
		got := f.done(set(incident.Open, "it came back"))
		if last := got.Timeline[len(got.Timeline)-1]; got.ClosedAt != nil || last.Old != "CLOSED" || last.New != "OPEN" || last.Note != "it came back" {
			f.Errorf("closed at %v, last step %+v", got.ClosedAt, last)
		}
		if _, err := set(incident.Recovered, ""); !errors.Is(err, fault.Invalid) {
			f.Errorf("skipping without a reason = %v, want Invalid", err)
		}
		if _, err := set("DONE", "x"); !errors.Is(err, fault.Invalid) {
			f.Errorf("unknown status = %v, want Invalid", err)
		}
		got = f.done(f.incidents.Patch(ctx, 1, "ann", d.ID, incident.Patch{Title: new("Spear phishing"), Severity: new("low"), AssignedTo: new(""), Version: got.Version}))
		if got.Title != "Spear phishing" || got.AssignedTo != "" || got.SLADueAt.Sub(got.CreatedAt) != 72*time.Hour {
			f.Errorf("incident is %+v", got.Incident)
		}
		if _, err := f.incidents.Patch(ctx, 1, "ann", d.ID, incident.Patch{Title: new("x"), Version: 1}); !errors.Is(err, fault.Conflict) {
			f.Errorf("Patch on an old version = %v, want Conflict", err)
		}
		if same := f.done(f.incidents.Patch(ctx, 1, "ann", d.ID, incident.Patch{Title: new("Spear phishing")})); same.Version != got.Version {
			f.Error("a patch that changes nothing made a version")
		}
		for name, p := range map[string]incident.Patch{"nothing": {}, "title": {Title: new(" ")}, "severity": {Severity: new("urgent")}, "assignee": {AssignedTo: new(strings.Repeat("x", 201))}, "reason": {Title: new("x"), Reason: strings.Repeat("x", 10_001)}} {
			if _, err := f.incidents.Patch(ctx, 1, "ann", d.ID, p); !errors.Is(err, fault.Invalid) {
				f.Errorf("Patch with bad %s = %v, want Invalid", name, err)
			}
		}
		if n, err := audit.Verify(ctx, f.db, 1); err != nil || n != 7 {
			f.Errorf("audit has %d entries, %v", n, err)
		}
	})
}

func TestLinkUnlink(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		alerts := f.found(server, scan(attack, "low", "a"), scan(attack, "low", "b"), scan(attack, "low", "c"))
		first := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "one", Severity: "low", AlertIDs: ids(alerts[:1])}))
		second := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "two", Severity: "low"}))
		if first.AlertCount != 1 || first.Technique != "T1046" {
			f.Errorf("incident is %+v", first)
		}
		f.done(f.incidents.Link(ctx, 1, "ann", second.ID, ids(alerts)))
		d := f.done(f.incidents.Link(ctx, 1, "ann", second.ID, ids(alerts))) // again changes nothing
		if d.AlertCount != 3 || len(d.Alerts) != 3 || steps(d) != "created linked linked linked" || d.Technique != "T1046" {
			f.Errorf("%d alerts, timeline %s", d.AlertCount, steps(d))
		}
		if a, _ := f.alerts.Get(ctx, 1, alerts[0].ID); a.IncidentID != second.ID {
			f.Errorf("alert belongs to %s", a.IncidentID)
		}
		f.done(f.incidents.Unlink(ctx, 1, "ann", second.ID, ids(alerts[:2])))
		d = f.done(f.incidents.Unlink(ctx, 1, "ann", second.ID, ids(alerts[:1])))
		if d.AlertCount != 1 || d.Alerts[0].ID != alerts[2].ID {
			f.Errorf("%d alerts: %v", d.AlertCount, ids(d.Alerts))
		}
		for i, want := range []string{first.ID, "", second.ID} {
			if a, err := f.alerts.Get(ctx, 1, alerts[i].ID); err != nil || a.IncidentID != want {
				f.Errorf("alert %d belongs to %q, want %q", i, a.IncidentID, want)
			}
		}
		if _, err := f.incidents.Link(ctx, 1, "ann", first.ID, []string{alerts[1].ID, "nope"}); !errors.Is(err, fault.NotFound) {
			f.Errorf("Link of an unknown alert = %v, want NotFound", err)
		}
		if d := f.get(first.ID); d.AlertCount != 1 {
			f.Errorf("a failed Link left %d alerts", d.AlertCount)
		}
		for _, list := range [][]string{nil, make([]string, 1001)} {
			if _, err := f.incidents.Link(ctx, 1, "ann", first.ID, list); !errors.Is(err, fault.Invalid) {
				f.Errorf("Link of %d = %v, want Invalid", len(list), err)
			}
		}
	})
}

func TestMergeUnmerge(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		alerts := f.found(server, scan(attack, "low", "a"), scan(attack, "low", "b"), scan(attack, "low", "c"))
		into := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "into", Severity: "low", AlertIDs: ids(alerts[:2])}))
		from := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "from", Severity: "low", AlertIDs: ids(alerts[1:])}))
		f.done(f.incidents.Patch(ctx, 1, "ann", from.ID, incident.Patch{Status: new(incident.Contained)}))

		d := f.done(f.incidents.Merge(ctx, 1, "ann", into.ID, []string{from.ID}))
		if d.AlertCount != 3 || len(d.Alerts) != 3 {
			f.Errorf("%d alerts after merging", d.AlertCount)
		}
		merged := f.get(from.ID)
		if merged.Status != incident.Closed || merged.MergedInto != into.ID || merged.ClosedAt == nil {
			f.Errorf("merged incident is %+v", merged.Incident)
		}
		if _, err := f.incidents.Patch(ctx, 1, "ann", from.ID, incident.Patch{Title: new("x")}); !errors.Is(err, fault.Conflict) {
			f.Errorf("Patch of a merged incident = %v, want Conflict", err)
		}
		back := f.done(f.incidents.Unmerge(ctx, 1, "ann", from.ID))
		if back.Status != incident.Contained || back.MergedInto != "" || back.ClosedAt != nil || back.AlertCount != 2 {
			f.Errorf("unmerged incident is %+v", back.Incident)
		}
		if d := f.get(into.ID); d.AlertCount != 2 || !slices.Equal(ids(d.Alerts), ids(alerts[:2])) {
			f.Errorf("alerts are %v, want those before merging", ids(d.Alerts))
		}
		if a, _ := f.alerts.Get(ctx, 1, alerts[2].ID); a.IncidentID != from.ID {
			f.Errorf("alert belongs to %q", a.IncidentID)
		}
		if _, err := f.incidents.Unmerge(ctx, 1, "ann", from.ID); !errors.Is(err, fault.Conflict) {
			f.Errorf("second Unmerge = %v, want Conflict", err)
		}
		if _, err := f.incidents.Merge(ctx, 1, "ann", into.ID, []string{into.ID}); !errors.Is(err, fault.Invalid) {
			f.Errorf("Merge with itself = %v, want Invalid", err)
		}
		if _, err := f.incidents.Merge(ctx, 1, "ann", into.ID, []string{"nope"}); !errors.Is(err, fault.NotFound) {
			f.Errorf("Merge of an unknown one = %v, want NotFound", err)
		}
	})
}

func TestComments(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: "x", Severity: "low"}))
		longest := strings.Repeat("한", incident.MaxComment)
		for _, content := range []string{"Isolated host from network.\nInvestigating.", longest} {
			c, err := f.incidents.Comment(ctx, 1, "bob", d.ID, content)
			if err != nil || c.Content != content || c.Author != "bob" || c.ID == "" {
				f.Errorf("Comment = %+v, %v", c, err)
			}
		}
		for _, content := range []string{"", " \n", longest + "!"} {
			if _, err := f.incidents.Comment(ctx, 1, "bob", d.ID, content); !errors.Is(err, fault.Invalid) {
				f.Errorf("Comment of %d bytes = %v, want Invalid", len(content), err)
			}
		}
		for _, id := range []string{"7c9e6679-a1f4", "", "7c9e6679-a1f4-4b3c-80ba-e44f95541174", strings.Repeat("\x00", 36)} {
			if _, err := f.incidents.Comment(ctx, 1, "bob", id, "x"); !errors.Is(err, fault.NotFound) {
				f.Errorf("Comment on %q = %v, want NotFound", id, err)
			}
		}
		if _, err := f.incidents.Comment(ctx, 2, "eve", d.ID, "x"); !errors.Is(err, fault.NotFound) {
			f.Errorf("Comment by another tenant = %v, want NotFound", err)
		}
		if _, err := f.incidents.Get(ctx, 2, d.ID); !errors.Is(err, fault.NotFound) {
			f.Errorf("Get by another tenant = %v, want NotFound", err)
		}
		if d = f.get(d.ID); len(d.Comments) != 2 || d.Comments[1].Content != longest || steps(d) != "created commented commented" {
			f.Errorf("%d comments, timeline %s", len(d.Comments), steps(d))
		}
		page, total, err := f.incidents.Comments(ctx, 1, d.ID, 1, 1)
		if err != nil || total != 2 || len(page) != 1 || page[0].Content != longest {
			f.Errorf("Comments = %v of %d, %v", page, total, err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(f fixture) {
		ctx := f.Context()
		severities := []string{"low", "critical", "high", "medium", "low", "high"}
		for i, sev := range severities {
			d := f.done(f.incidents.Create(ctx, 1, "ann", incident.Draft{Title: fmt.Sprintf("Case_%d 100%%", i), Severity: sev}))
			if i%2 == 0 {
				f.done(f.incidents.Patch(ctx, 1, "ann", d.ID, incident.Patch{Status: new(incident.Contained), AssignedTo: new("bob")}))
			}
		}
		f.done(f.incidents.Create(ctx, 2, "eve", incident.Draft{Title: "theirs", Severity: "low"}))
		for _, tt := range []struct {
			q    incident.Query
			want string // numbers of the cases
		}{
			{incident.Query{}, "5 4 3 2 1 0"},
			{incident.Query{Size: 2, Page: 1}, "3 2"},
			{incident.Query{Size: 2, Page: 9}, ""},
			{incident.Query{Sort: "severity"}, "1 5 2 3 4 0"},
			{incident.Query{Sort: "severity", Ascending: true}, "0 4 3 2 5 1"},
			{incident.Query{Sort: "title", Ascending: true}, "0 1 2 3 4 5"},
			{incident.Query{Sort: "slaDueAt", Ascending: true}, "1 2 5 3 0 4"},
			{incident.Query{Sort: "status", Ascending: true}, "1 3 5 0 2 4"},
			{incident.Query{Filter: incident.Filter{Statuses: []incident.Status{"open"}}}, "5 3 1"},
			{incident.Query{Filter: incident.Filter{Severities: []string{"LOW", "critical"}}}, "4 1 0"},
			{incident.Query{Filter: incident.Filter{AssignedTo: "bob", Severities: []string{"high"}}}, "2"},
			{incident.Query{Filter: incident.Filter{Search: "case_3 100%"}}, "3"},
			{incident.Query{Filter: incident.Filter{Search: "case%"}}, ""},
		} {
			p, err := f.incidents.List(ctx, 1, tt.q)
			if err != nil {
				f.Fatal(err)
			}
			var got []string
			for _, in := range p.Incidents {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(in.Title, "Case_"), " 100%"))
			}
			if strings.Join(got, " ") != tt.want || p.Incidents == nil {
				f.Errorf("List(%+v) = %v, want %s", tt.q, got, tt.want)
			}
			if n := int64(len(strings.Fields(tt.want))); tt.q.Size == 0 && p.Total != n || tt.q.Size > 0 && p.Total != 6 {
				f.Errorf("List(%+v): total %d", tt.q, p.Total)
			}
		}
		for name, q := range map[string]incident.Query{"size": {Size: 101}, "page": {Page: -1}, "sort": {Sort: "DROP"}, "severity": {Filter: incident.Filter{Severities: []string{"x"}}}, "status": {Filter: incident.Filter{Statuses: []incident.Status{"x"}}}} {
			if _, err := f.incidents.List(ctx, 1, q); !errors.Is(err, fault.Invalid) {
				f.Errorf("List with bad %s = %v, want Invalid", name, err)
			}
		}
		n := 0
		for in, err := range f.incidents.Stream(ctx, 1, incident.Filter{Severities: []string{"high"}}) {
			if err != nil || in.Severity != "high" {
				f.Errorf("Stream gave %+v, %v", in, err)
			}
			n++
		}
		if n != 2 {
			f.Errorf("Stream gave %d, want 2", n)
		}
	})
}

// Several writers make one incident, not one each.
func TestFromAlertsAtOnce(t *testing.T) {
	each(t, func(f fixture) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() { f.found(server, scan(attack, "high", fmt.Sprint("10.0.0.", i))) })
		}
		all.Wait()
		if list := f.list(); len(list) != 1 || list[0].AlertCount != 4 {
			f.Errorf("incidents are %+v", list)
		}
	})
}
