package playbook

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// facts are what a run knows when a step begins: of its alert or incident as they then
// are, and of the steps before.
type facts struct {
	values   map[string]any // what templates find
	alert    *alert.Alert   // nil for none
	incident *incident.Incident
}

const maxEntities = 100 // of one type

// gather reads the facts of a run. An object that is gone is fault.NotFound.
func (s *Service) gather(ctx context.Context, tx *sqldb.DB, r *Run, steps []StepLog) (*facts, error) {
	f := &facts{values: map[string]any{
		"trigger": map[string]any{"event": r.Event, "at": r.CreatedAt.Format(time.RFC3339)},
		"run":     map[string]any{"id": r.ID, "playbook": r.Handle, "name": r.Name},
	}}
	var entities []alert.Entity
	incidentID := r.incident
	switch r.Kind {
	case kindAlert:
		d, err := s.Alerts.In(tx).Get(ctx, r.Tenant, r.Object)
		if err != nil {
			return nil, err
		}
		f.alert, entities = &d.Alert, d.Entities
		if incidentID == "" {
			incidentID = d.IncidentID
		}
	case kindIncident:
		incidentID = r.Object
	}
	if incidentID != "" {
		d, err := s.Incidents.In(tx).Get(ctx, r.Tenant, incidentID)
		if err != nil {
			return nil, err
		}
		f.incident = &d.Incident
		if f.alert == nil {
			entities = d.Entities
			if len(d.Alerts) > 0 {
				f.alert = &d.Alerts[0]
			}
		}
	}
	f.describe(entities)
	tags, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT tag FROM playbook_tag WHERE tenant = $1 AND object = $2 ORDER BY tag`, int64(r.Tenant), r.Object)
	if err != nil {
		return nil, err
	}
	f.values["tags"] = anyList(tags)
	f.values["steps"] = stepFacts(steps)
	return f, nil
}

func (f *facts) describe(entities []alert.Entity) {
	byType := map[string]any{}
	for _, e := range entities {
		list, _ := byType[e.Type].([]any)
		if len(list) < maxEntities && !contains(list, e.Value) {
			byType[e.Type] = append(list, e.Value)
		}
	}
	f.values["entities"] = byType
	if a := f.alert; a != nil {
		f.values["alert"] = map[string]any{
			"id": a.ID, "title": a.Title, "description": a.Description, "severity": a.Severity, "status": string(a.Status), "source": a.Source, "tactic": a.Tactic, "technique": a.Technique,
			"assignee": a.AssignedTo, "verdict": string(a.Verdict), "occurrences": a.Occurrences, "firstSeen": a.FirstSeen.Format(time.RFC3339), "lastSeen": a.LastSeen.Format(time.RFC3339),
		}
		f.values["rule"] = map[string]any{"id": a.Rule.ID, "name": a.Rule.Name}
	}
	if in := f.incident; in != nil {
		f.values["incident"] = map[string]any{
			"id": in.ID, "title": in.Title, "severity": in.Severity, "status": string(in.Status), "assignee": in.AssignedTo, "alertCount": in.AlertCount, "tactic": in.Tactic, "technique": in.Technique,
		}
	}
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func contains(list []any, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// stepFacts are what later steps know of earlier ones.
func stepFacts(steps []StepLog) map[string]any {
	all := map[string]any{}
	for i := range steps {
		st := &steps[i]
		one := map[string]any{"status": strings.ToLower(string(st.State)), "error": st.Error, "note": st.Note, "decidedBy": st.DecidedBy}
		var result any
		if len(st.Result) > 0 && json.Unmarshal(st.Result, &result) == nil {
			one["result"] = result
		}
		all[st.Step] = one
	}
	return all
}

// record is the facts as the query language sees them: the fields of the alert, or of the
// incident where the run is on one, and below their own names both.
func (f *facts) record(kind string) *event.Event {
	e := &event.Event{}
	first, second := "alert", "incident"
	if kind == kindIncident {
		first, second = second, first
	}
	seen := map[string]bool{}
	for _, name := range []string{first, second} {
		m, _ := f.values[name].(map[string]any)
		for key, v := range m {
			for _, text := range flat(v) {
				e.Add(name+"."+key, text)
				if text != "" && (!seen[key] || name == first) {
					e.Add(key, text)
				}
			}
			seen[key] = true
		}
	}
	for _, key := range []string{"tactic", "technique"} {
		for _, name := range []string{first, second} {
			if v, ok := find(f.values, []string{name, key}); ok && v != "" {
				e.Add("mitre", flat(v)[0])
			}
		}
	}
	for _, key := range []string{"id", "name"} {
		if v, ok := find(f.values, []string{"rule", key}); ok {
			e.Add("rule", flat(v)[0])
		}
	}
	entities, _ := f.values["entities"].(map[string]any)
	for kind, v := range entities {
		for _, text := range flat(v) {
			e.Add(kind, text)
			e.Add("entity", text)
		}
	}
	for _, tag := range flat(f.values["tags"]) {
		e.Add("tag", tag)
	}
	for _, text := range flat(func() any { v, _ := find(f.values, []string{"trigger", "event"}); return v }()) {
		e.Add("event", text)
	}
	left := maxStepFields
	spread(e, "steps", f.values["steps"], &left)
	return e
}

const maxStepFields = 1000

// spread adds every text below v under its path.
func spread(e *event.Event, path string, v any, left *int) {
	if *left <= 0 {
		return
	}
	switch x := v.(type) {
	case map[string]any:
		for key, item := range x {
			spread(e, path+"."+key, item, left)
		}
	case []any:
		for _, item := range x {
			spread(e, path, item, left)
		}
	default:
		for _, text := range flat(x) {
			*left--
			e.Add(path, text)
		}
	}
}

func holds(n query.Node, e *event.Event) bool { return n == nil || n.Match(e) }
