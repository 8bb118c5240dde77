package playbook

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// clean makes a text storable and cuts it to n characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return shorten(s, n)
}

type object = map[string]any

// act does a step inside the house, in tx.
func (x *execution) act(ctx context.Context, tx *sqldb.DB, in map[string]any) (any, error) {
	text := func(name string) string { s, _ := in[name].(string); return s }
	switch x.step.Action {
	case actComment:
		return x.comment(ctx, tx, text("on"), text("text"))
	case actSet:
		return x.set(ctx, tx, in)
	case actIncident, actEscalate:
		return x.open(ctx, tx, text("title"), text("severity"), text("assignee"))
	case actTask:
		return x.task(ctx, tx, text("title"), text("note"), text("assignee"), text("dueIn"))
	case actTag:
		return x.tag(ctx, tx, text("on"), flat(in["tags"]))
	case actNotify:
		return x.notify(ctx, tx, text("title"), text("text"), text("severity"))
	}
	return nil, fault.New(fault.Invalid, "there is no action %s", x.step.Action)
}

// target is what a step acts on: the incident where there is one and nothing else is said.
func (x *execution) target(on string) (onAlert bool, err error) {
	f := x.facts
	switch {
	case on == "incident" && f.incident == nil:
		return false, fault.New(fault.Invalid, "there is no incident here: add a create-incident or escalate step before this one, or write on: alert")
	case on == "alert" && f.alert == nil, f.alert == nil && f.incident == nil:
		return false, fault.New(fault.Invalid, "there is no alert here: the run is about none")
	}
	return on == "alert" || on == "" && f.incident == nil, nil
}

func (x *execution) comment(ctx context.Context, tx *sqldb.DB, on, text string) (any, error) {
	onAlert, err := x.target(on)
	if err != nil {
		return nil, err
	}
	if onAlert {
		_, err := x.Alerts.In(tx).Patch(ctx, x.run.Tenant, x.actor(), x.facts.alert.ID, alert.Patch{Note: clean(text, 10_000)})
		return object{"alert": x.facts.alert.ID}, err
	}
	c, err := x.Incidents.In(tx).Comment(ctx, x.run.Tenant, x.actor(), x.facts.incident.ID, shorten(text, incident.MaxComment-1))
	if err != nil {
		return nil, err
	}
	return object{"incident": x.facts.incident.ID, "comment": c.ID}, nil
}

func (x *execution) set(ctx context.Context, tx *sqldb.DB, in map[string]any) (any, error) {
	on, _ := in["on"].(string)
	onAlert, err := x.target(on)
	if err != nil {
		return nil, err
	}
	reason, _ := in["reason"].(string)
	if reason == "" {
		reason = "Playbook " + x.run.Name
	}
	pointer := func(name string) *string {
		if s, ok := in[name].(string); ok {
			return &s
		}
		return nil
	}
	if onAlert {
		if in["severity"] != nil {
			return nil, fault.New(fault.Invalid, "the severity of an alert is its rule's: set that of an incident")
		}
		p := alert.Patch{AssignedTo: pointer("assignee"), Note: reason}
		if s := pointer("status"); s != nil {
			p.Status = new(alert.Status(*s))
		}
		if s := pointer("verdict"); s != nil {
			p.Verdict = new(alert.Verdict(*s))
		}
		_, err := x.Alerts.In(tx).Patch(ctx, x.run.Tenant, x.actor(), x.facts.alert.ID, p)
		return object{"alert": x.facts.alert.ID}, err
	}
	p := incident.Patch{AssignedTo: pointer("assignee"), Severity: pointer("severity"), Reason: reason}
	if s := pointer("status"); s != nil {
		p.Status = new(incident.Status(*s))
	}
	_, err = x.Incidents.In(tx).Patch(ctx, x.run.Tenant, x.actor(), x.facts.incident.ID, p)
	return object{"incident": x.facts.incident.ID}, err
}

// open makes an incident, or of an alert that is in one already finds that.
func (x *execution) open(ctx context.Context, tx *sqldb.DB, title, severity, assignee string) (any, error) {
	a := x.facts.alert
	incidents := x.Incidents.In(tx)
	if x.step.Action == actEscalate {
		if a == nil {
			return nil, fault.New(fault.Invalid, "there is no alert to escalate")
		}
		if in := x.facts.incident; in != nil {
			return object{"incident": in.ID, "existed": true}, nil
		}
		d, err := incidents.Escalate(ctx, x.run.Tenant, x.actor(), a.ID)
		if err != nil {
			return nil, err
		}
		x.run.incident = d.ID
		return object{"incident": d.ID, "existed": false}, nil
	}
	draft := incident.Draft{Title: shorten(title, 490), Severity: severity, AssignedTo: assignee}
	if a != nil {
		draft.AlertIDs = []string{a.ID}
		if severity == "" {
			draft.Severity = a.Severity
		}
	}
	if draft.Severity == "" {
		draft.Severity = "medium"
	}
	d, err := incidents.Create(ctx, x.run.Tenant, x.actor(), draft)
	if err != nil {
		return nil, err
	}
	x.run.incident = d.ID
	return object{"incident": d.ID}, nil
}

func (x *execution) task(ctx context.Context, tx *sqldb.DB, title, note, assignee, dueIn string) (any, error) {
	if _, err := x.target("incident"); err != nil {
		return nil, err
	}
	p := incident.TaskPatch{Title: new(shorten(title, 490))}
	if note != "" {
		p.Note = &note
	}
	if assignee != "" {
		p.AssignedTo = &assignee
	}
	if dueIn != "" {
		d, err := parseSpan(dueIn)
		if err != nil {
			return nil, fault.New(fault.Invalid, "dueIn is %q: it must be a time such as 4h", dueIn)
		}
		p.DueAt = new(x.now().Add(d))
	}
	t, err := x.Incidents.In(tx).AddTask(ctx, x.run.Tenant, x.actor(), x.facts.incident.ID, p)
	if err != nil {
		return nil, err
	}
	return object{"incident": x.facts.incident.ID, "task": t.ID}, nil
}

const maxTag = 100 // characters

func (x *execution) tag(ctx context.Context, tx *sqldb.DB, on string, tags []string) (any, error) {
	onAlert, err := x.target(on)
	if err != nil {
		return nil, err
	}
	var where, id string
	if onAlert {
		where, id = "alert", x.facts.alert.ID
	} else {
		where, id = "incident", x.facts.incident.ID
	}
	for _, tag := range tags {
		if tag = strings.TrimSpace(clean(tag, maxTag)); tag == "" {
			continue
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO playbook_tag (tenant, object, tag, actor, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			int64(x.run.Tenant), id, tag, x.actor(), x.now().UnixMicro()); err != nil {
			return nil, err
		}
	}
	if _, err := x.comment(ctx, tx, where, "Tagged: "+strings.Join(tags, ", ")); err != nil {
		return nil, err
	}
	return object{where: id, "tags": tags}, nil
}

func (x *execution) notify(ctx context.Context, tx *sqldb.DB, title, text, severity string) (any, error) {
	m := outbox.Message{Tenant: x.run.Tenant, Event: outbox.PlaybookNotice, Kind: "playbook-runs", Object: x.run.ID, Title: title, Text: text, Severity: severity, At: x.now()}
	if a := x.facts.alert; a != nil {
		m.Kind, m.Object, m.Rule, m.Source = kindAlert, a.ID, a.Rule.ID, a.Source
		if severity == "" {
			m.Severity = a.Severity
		}
	}
	if in := x.facts.incident; in != nil {
		m.Kind, m.Object = kindIncident, in.ID
		if severity == "" {
			m.Severity = in.Severity
		}
	}
	if m.Title == "" {
		m.Title = x.run.Name
	}
	return object{"told": m.Kind + "/" + m.Object}, outbox.Add(ctx, tx, m)
}

// search looks into the stored events. It changes nothing.
func (x *execution) search(ctx context.Context, in map[string]any) (any, error) {
	text, _ := in["query"].(string)
	q, err := query.Parse(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s", err)
	}
	last := 24 * time.Hour
	if s, ok := in["last"].(string); ok {
		if last, err = parseSpan(s); err != nil || last <= 0 || last > maxDays*24*time.Hour {
			return nil, fault.New(fault.Invalid, "last is %q: it must be a time such as 24h, up to %d days", s, maxDays)
		}
	}
	limit := int64(10)
	if n, ok := in["limit"].(int64); ok {
		limit = n
	}
	now := x.now()
	res, err := x.Events.Search(ctx, eventstore.Request{Tenant: x.run.Tenant, Filter: q, From: now.Add(-last).UnixNano(), To: now.UnixNano() + 1, Limit: int(limit)})
	if err != nil {
		return nil, err
	}
	list := make([]object, 0, len(res.Events))
	for i := range res.Events {
		e := &res.Events[i]
		message := e.Get(event.Message)
		if message == "" {
			message = e.Raw
		}
		list = append(list, object{
			"id": e.ID.String(), "timestamp": time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), "source": e.Get(event.Source), "host": e.Get(event.Host),
			"user": e.Get(event.User), "srcIp": e.Get(event.SrcIP), "message": clean(message, 500),
		})
	}
	out := object{"total": res.Total, "events": list}
	if res.Partial != "" {
		out["partial"] = res.Partial
	}
	return out, nil
}
