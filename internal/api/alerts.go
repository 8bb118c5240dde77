package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/risk"
)

// AlertItem has exactly the keys of the reference's list.
type AlertItem struct {
	ID             string    `json:"id" format:"uuid"`
	Title          string    `json:"title"`
	Severity       string    `json:"severity" enum:"critical,high,medium,low,info"`
	Status         string    `json:"status" enum:"OPEN,IN_PROGRESS,RESOLVED,FALSE_POSITIVE"`
	Source         string    `json:"source"`
	MitreTactic    string    `json:"mitreTactic"`
	MitreTechnique string    `json:"mitreTechnique"`
	CreatedAt      time.Time `json:"createdAt"`
	Description    string    `json:"description"`

	Triage *alertTriage `json:"triage,omitempty" export:"-" doc:"Only in lists, with include=triage."`

	_ struct{} `additionalProperties:"true"`
}

func alertOf(a *alert.Alert) AlertItem {
	return AlertItem{
		ID: a.ID, Title: a.Title, Severity: a.Severity, Status: string(a.Status), Source: a.Source,
		MitreTactic: a.Tactic, MitreTechnique: a.Technique, CreatedAt: a.CreatedAt, Description: a.Description,
	}
}

type alertDetail struct {
	AlertItem
	Rule        ruleRef       `json:"rule"`
	Occurrences int64         `json:"occurrences" doc:"Events that made it."`
	FirstSeen   time.Time     `json:"firstSeen" doc:"Event time of the first."`
	LastSeen    time.Time     `json:"lastSeen" doc:"Event time of the last."`
	Entities    []entityItem  `json:"entities" nullable:"false"`
	IncidentID  *string       `json:"incidentId" nullable:"true"`
	AssignedTo  *string       `json:"assignedTo" nullable:"true"`
	Verdict     *string       `json:"verdict" nullable:"true" doc:"What triage found."`
	UpdatedAt   time.Time     `json:"updatedAt"`
	Storm       bool          `json:"storm,omitempty" doc:"It stands for many entities: its rule raised too many alerts in an hour."`
	Folded      *foldedItem   `json:"folded,omitempty" doc:"Of a storm: what it took."`
	Events      []eventItem   `json:"events" nullable:"false" doc:"Stored events that made it, the oldest first, at most 100: GET /alerts/{id}/events lists all."`
	EventsTotal int64         `json:"eventsTotal" doc:"Events that GET /alerts/{id}/events lists."`
	Tags        []string      `json:"tags" nullable:"false" doc:"That playbooks put on it."`
	EventsError string        `json:"eventsError,omitempty" doc:"Why events is empty, when the event store cannot be read."`
	History     []historyItem `json:"history" nullable:"false"`

	_ struct{} `additionalProperties:"true"`
}

type ruleRef struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Author  string `json:"author,omitempty"`
	License string `json:"license,omitempty" doc:"Of the rule, as it says itself."`
	Origin  string `json:"origin,omitempty" doc:"Where the rule came from; absent where it is the tenant's own."`
	Version int64  `json:"version"`

	_ struct{} `additionalProperties:"true"`
}

type entityItem struct {
	Type  string `json:"type" doc:"ip, user, host, domain, hash, file or process."`
	Field string `json:"field" doc:"The event field that it came from."`
	Value string `json:"value"`

	_ struct{} `additionalProperties:"true"`
}

type historyItem struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to,omitempty"`
	Note   string    `json:"note,omitempty"`

	_ struct{} `additionalProperties:"true"`
}

func entitiesOf(all []alert.Entity) []entityItem {
	items := make([]entityItem, len(all))
	for i, e := range all {
		items[i] = entityItem{Type: e.Type, Field: e.Field, Value: e.Value}
	}
	return items
}

// orNull is null for what is not set.
func orNull[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	return new(string(s))
}

// detailOf maps an alert and reads its events. An alert can be read although the
// event store cannot: the answer then says so.
func (a *api) detailOf(ctx context.Context, d *alert.Detail) *alertDetailOut {
	out := alertDetail{
		AlertItem:   alertOf(&d.Alert),
		Rule:        ruleRef{ID: d.Rule.ID, Name: d.Rule.Name, Author: d.Rule.Author, License: d.Rule.License, Origin: d.Rule.Origin, Version: d.Rule.Version},
		Occurrences: d.Occurrences, FirstSeen: d.FirstSeen, LastSeen: d.LastSeen, Entities: entitiesOf(d.Entities),
		IncidentID: orNull(d.IncidentID), AssignedTo: orNull(d.AssignedTo), Verdict: orNull(d.Verdict), UpdatedAt: d.UpdatedAt,
		Storm: d.Storm, Folded: foldedOf(d.Folded), EventsTotal: d.Referred, Tags: append([]string{}, d.Tags...),
		History: make([]historyItem, len(d.History)),
	}
	for i, h := range d.History {
		out.History[i] = historyItem{At: h.At, Actor: h.Actor, Action: h.Action, From: h.Old, To: h.New, Note: h.Note}
	}
	events, err := a.eventsByID(ctx, d.Tenant, d.Events, d.FirstSeen, d.LastSeen)
	if err != nil {
		events = []eventItem{}
		out.EventsError = problemFor(ctx, a.log, err).Message
	}
	out.Events = events
	return &alertDetailOut{Revision: d.Version, Body: out}
}

type (
	alertsOut struct {
		Capped string `header:"X-Total-Count-Capped" doc:"true where totalElements is where counting stopped."`
		Body   page[AlertItem]
	}
	alertDetailOut struct {
		Revision int64 `header:"X-Revision"`
		Body     alertDetail
	}
	statsOut struct {
		Body struct {
			Total         int64 `json:"total_alerts"`
			Open          int64 `json:"open_alerts"`
			Critical      int64 `json:"critical_alerts"`
			High          int64 `json:"high_alerts"`
			Today         int64 `json:"alerts_today"`
			ThisWeek      int64 `json:"alerts_this_week"`
			Resolved      int64 `json:"resolved_alerts"`
			FalsePositive int64 `json:"false_positive_alerts"`
		}
	}
	AlertChange struct {
		Status     word     `json:"status,omitzero" enum:"OPEN,IN_PROGRESS,RESOLVED,FALSE_POSITIVE"`
		AssignedTo nullText `json:"assignedTo,omitzero" doc:"null takes the assignment back."`
		Verdict    nullText `json:"verdict,omitzero" enum:"TRUE_POSITIVE,FALSE_POSITIVE,BENIGN,INCONCLUSIVE" doc:"null takes it back."`
		Note       string   `json:"note,omitempty" doc:"Joins the history; up to 10,000 characters."`
	}
	patchAlertIn struct {
		ID   string `path:"id"`
		Body AlertChange
	}
	bulkIn struct {
		Body struct {
			IDs []string `json:"ids" nullable:"false" doc:"1 to 1,000 alerts."`
			AlertChange
		}
	}
	bulkOut struct {
		Body struct {
			Results []bulkItem `json:"results" nullable:"false" doc:"One for each id, in their order."`
			Changed int        `json:"changed"`
			Failed  int        `json:"failed"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	bulkItem struct {
		ID      string `json:"id"`
		Status  int    `json:"status" doc:"As the single call would answer."`
		Error   string `json:"error,omitempty"`
		Message string `json:"message,omitempty"`

		_ struct{} `additionalProperties:"true"`
	}
)

func severities() []string { return event.Severities }

func asTexts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

func (a *api) alerts() {
	const tag = "Alerts"
	handle(a, operation{
		id: "listAlerts", method: http.MethodGet, path: "/alerts", tag: tag, summary: "List alerts",
		params: append(append(paging(append(slices.Clone(alert.Sorts), byPriority)...), alertFilters()...), includeTriage),
		doc:    "By priority, the thousand most severe that match are weighed; those behind them follow by severity.",
	}, a.listAlerts)
	handle(a, operation{
		id: "getAlertStats", method: http.MethodGet, path: "/alerts/stats", tag: tag, summary: "Get alert stats",
		doc:    "Days begin at midnight and weeks on Monday, in UTC unless tz is given. It costs the same at any number of alerts.",
		params: []param{{name: "tz", doc: "IANA time zone, such as Asia/Seoul."}},
	}, a.alertStats)
	handle(a, operation{
		id: "getAlert", method: http.MethodGet, path: "/alerts/{id}", uuid: true, tag: tag, summary: "Get alert detail", single: true,
	}, a.getAlert)
	handle(a, operation{
		id: "getAlertEvents", method: http.MethodGet, path: "/alerts/{id}/events", uuid: true, tag: tag, summary: "List every event that made an alert",
		params: []param{
			{name: "size", doc: "Events per page.", kind: number, min: 1, max: alert.MaxReferences, standard: "100"},
			{name: "cursor", doc: "nextCursor of the page before."},
		},
	}, a.alertEvents)
	handle(a, operation{
		id: "updateAlert", method: http.MethodPatch, path: "/alerts/{id}", uuid: true, tag: tag, summary: "Change an alert", single: true,
	}, a.patchAlert)
	handle(a, operation{
		id: "updateAlerts", method: http.MethodPost, path: "/alerts/bulk", tag: tag, summary: "Change several alerts",
		doc: "The same change for each id, with a result for each.",
	}, a.bulkAlerts)
	handle(a, operation{
		id: "escalateAlert", method: http.MethodPost, path: "/alerts/{id}/escalate", uuid: true, tag: tag, summary: "Make an incident of an alert", status: http.StatusCreated,
		doc: "The incident is titled Escalated: and the alert's title.",
	}, a.escalateAlert)
}

func alertFilters() []param {
	return []param{
		{name: "severity", doc: "Filter by severity.", kind: enum, values: severities(), many: true},
		{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(alert.Statuses), many: true},
		{name: "search", doc: "Search in title, description, literally, whatever the case."},
		{name: "source", doc: "Filter by source.", many: true},
		{name: "mitre", doc: "Filter by ATT&CK tactic or technique; T1110 also finds T1110.001."},
		{name: "ruleId", doc: "Filter by rule."},
		{name: "entity", doc: "Filter by host, user or address."},
		{name: "assignedTo", doc: "Filter by assignee."},
		{name: "tag", doc: "Filter by a tag that a playbook put on it."},
		{name: "createdFrom", doc: "Created then or later.", kind: moment},
		{name: "createdTo", doc: "Created before then.", kind: moment},
		{name: "updatedSince", doc: "Changed then or later.", kind: moment},
	}
}

func alertFilter(q given) alert.Filter {
	return alert.Filter{
		Severities: q.all("severity"), Statuses: words[alert.Status](q.all("status")), Search: q.one("search"),
		Sources: q.all("source"), Mitre: q.one("mitre"), RuleID: q.one("ruleId"), Entity: q.one("entity"), AssignedTo: q.one("assignedTo"), Tag: q.one("tag"),
		CreatedFrom: q.moment("createdFrom"), CreatedTo: q.moment("createdTo"), UpdatedSince: q.moment("updatedSince"),
	}
}

func (a *api) listAlerts(ctx context.Context, c *call, _ *none) (*alertsOut, error) {
	q, asked := c.query, c.query.paging(alert.Sorts[0])
	triage := slices.Contains(q.all("include"), "triage")
	wanted := alert.Query{Filter: alertFilter(q), Ascending: asked.ascending, Page: asked.page, Size: asked.size}
	var p *alert.Page
	var weighed *risk.Weighed
	var err error
	if asked.sort == byPriority {
		if weighed, err = a.Risk.Queue(ctx, c.Tenant.Number, wanted); err == nil {
			p = &weighed.Page
		}
	} else {
		wanted.Sort = asked.sort
		if p, err = a.Alerts.List(ctx, c.Tenant.Number, wanted); err == nil && triage {
			weighed, err = a.Risk.Weigh(ctx, c.Tenant.Number, p)
		}
	}
	if err != nil {
		return nil, err
	}
	out := &alertsOut{Body: pageOf(asked, p.Total, p.Alerts, alertOf).Body}
	if triage {
		addTriage(out.Body.Content, weighed)
	}
	if p.Capped {
		out.Capped = "true"
	}
	return out, nil
}

func (a *api) alertStats(ctx context.Context, c *call, _ *none) (*statsOut, error) {
	zone := time.UTC
	if tz := c.query.one("tz"); tz != "" {
		var err error
		// "Local" would be the server's own zone, which is nobody's business.
		if zone, err = time.LoadLocation(tz); err != nil || tz == "Local" {
			return nil, invalid("tz", "Allowed: an IANA time zone such as UTC or Asia/Seoul")
		}
	}
	s, err := a.Alerts.Stats(ctx, c.Tenant.Number, a.Now(), zone)
	if err != nil {
		return nil, err
	}
	out := &statsOut{}
	b := &out.Body
	b.Total, b.Open, b.Critical, b.High = s.Total, s.Open, s.Critical, s.High
	b.Today, b.ThisWeek, b.Resolved, b.FalsePositive = s.Today, s.ThisWeek, s.Resolved, s.FalsePositive
	return out, nil
}

func (a *api) getAlert(ctx context.Context, c *call, in *byID) (*alertDetailOut, error) {
	d, err := a.Alerts.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return a.detailOf(ctx, d), nil
}

// patch reads a change of an alert; Version is the caller's condition.
func (in *AlertChange) patch(c *call) (alert.Patch, error) {
	p := alert.Patch{Note: in.Note, Version: c.version}
	if in.Status.set {
		s, bad := in.Status.among("status", asTexts(alert.Statuses))
		if bad != nil {
			return p, bad
		}
		p.Status = new(alert.Status(s))
	}
	if in.AssignedTo.set {
		p.AssignedTo = &in.AssignedTo.text
	}
	if in.Verdict.set {
		p.Verdict = new(alert.Undecided)
		if in.Verdict.text != "" {
			v, bad := in.Verdict.among("verdict", asTexts(alert.Verdicts))
			if bad != nil {
				return p, bad
			}
			p.Verdict = new(alert.Verdict(v))
		}
	}
	return p, nil
}

func (a *api) patchAlert(ctx context.Context, c *call, in *patchAlertIn) (*alertDetailOut, error) {
	p, err := in.Body.patch(c)
	if err != nil {
		return nil, err
	}
	d, err := a.Alerts.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return a.detailOf(ctx, d), nil
}

func (a *api) bulkAlerts(ctx context.Context, c *call, in *bulkIn) (*bulkOut, error) {
	p, err := in.Body.patch(c)
	if err != nil {
		return nil, err
	}
	results, err := a.Alerts.Bulk(ctx, c.Tenant.Number, c.Actor, in.Body.IDs, p)
	if err != nil {
		return nil, err
	}
	out := &bulkOut{}
	out.Body.Results = make([]bulkItem, len(results))
	for i, r := range results {
		item := bulkItem{ID: r.ID, Status: http.StatusOK}
		if r.Err != nil {
			bad := problemFor(ctx, a.log, r.Err)
			item.Status, item.Error, item.Message = bad.Status, bad.Err, bad.Message
			out.Body.Failed++
		} else {
			out.Body.Changed++
		}
		out.Body.Results[i] = item
	}
	return out, nil
}
