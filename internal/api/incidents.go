package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/incident"
)

// IncidentItem has exactly the keys of the reference's list.
type IncidentItem struct {
	ID             string    `json:"id" format:"uuid"`
	Title          string    `json:"title"`
	Severity       string    `json:"severity" enum:"critical,high,medium,low,info"`
	Status         string    `json:"status" enum:"OPEN,CONTAINED,ERADICATED,RECOVERED,CLOSED"`
	AlertCount     int64     `json:"alertCount"`
	CreatedAt      time.Time `json:"createdAt"`
	AssignedTo     *string   `json:"assignedTo" nullable:"true"`
	MitreTactic    string    `json:"mitreTactic"`
	MitreTechnique string    `json:"mitreTechnique"`

	Triage *incidentTriage `json:"triage,omitempty" export:"-" doc:"Only in lists, with include=triage."`

	_ struct{} `additionalProperties:"true"`
}

func incidentOf(in *incident.Incident) IncidentItem {
	return IncidentItem{
		ID: in.ID, Title: in.Title, Severity: in.Severity, Status: string(in.Status), AlertCount: in.AlertCount, CreatedAt: in.CreatedAt,
		AssignedTo: orNull(in.AssignedTo), MitreTactic: in.Tactic, MitreTechnique: in.Technique,
	}
}

type incidentDetail struct {
	IncidentItem
	Origin     string        `json:"origin" enum:"auto,escalated,manual"`
	SLADueAt   time.Time     `json:"slaDueAt"`
	ClosedAt   *time.Time    `json:"closedAt" nullable:"true"`
	MergedInto *string       `json:"mergedInto" nullable:"true" doc:"The incident that this one was merged into."`
	UpdatedAt  time.Time     `json:"updatedAt"`
	Alerts     []AlertItem   `json:"alerts" nullable:"false" doc:"The oldest first, at most 1,000."`
	Entities   []entityItem  `json:"entities" nullable:"false"`
	Comments   []commentItem `json:"comments" nullable:"false"`
	Timeline   []historyItem `json:"timeline" nullable:"false"`

	Tasks          []taskItem     `json:"tasks" nullable:"false"`
	Evidence       []evidenceItem `json:"evidence" nullable:"false"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt" nullable:"true" doc:"When a person first did something about it."`
	ContainedAt    *time.Time     `json:"containedAt" nullable:"true" doc:"When it first left OPEN."`
	OverdueAt      *time.Time     `json:"overdueAt" nullable:"true" doc:"When its due time was noticed to have passed."`
	SplitFrom      *string        `json:"splitFrom" nullable:"true" doc:"The incident that its alerts were taken out of."`

	_ struct{} `additionalProperties:"true"`
}

type commentItem struct {
	ID        string    `json:"id" format:"uuid"`
	Content   string    `json:"content"`
	Author    string    `json:"author"`
	CreatedAt time.Time `json:"createdAt"`

	_ struct{} `additionalProperties:"true"`
}

func commentOf(c *incident.Comment) commentItem {
	return commentItem{ID: c.ID, Content: c.Content, Author: c.Author, CreatedAt: c.CreatedAt}
}

type (
	incidentOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     incidentDetail
	}
	commentOut struct {
		Location string `header:"Location"`
		Body     commentItem
	}
	createIncidentIn struct {
		Body struct {
			Title      string   `json:"title" doc:"1 to 500 characters."`
			Severity   word     `json:"severity" enum:"critical,high,medium,low,info"`
			AssignedTo string   `json:"assignedTo,omitempty"`
			AlertIDs   []string `json:"alertIds,omitempty" nullable:"false" doc:"Alerts to link, at most 1,000."`
		}
	}
	patchIncidentIn struct {
		ID   string `path:"id"`
		Body struct {
			Title      *string  `json:"title,omitempty" nullable:"false"`
			Severity   word     `json:"severity,omitzero" enum:"critical,high,medium,low,info"`
			Status     word     `json:"status,omitzero" enum:"OPEN,CONTAINED,ERADICATED,RECOVERED,CLOSED"`
			Reason     string   `json:"reason,omitempty" doc:"Why; needed where the status goes back or skips."`
			AssignedTo nullText `json:"assignedTo,omitzero" doc:"null takes the assignment back."`
		}
	}
	commentIn struct {
		ID   string `path:"id"`
		Body struct {
			Content string `json:"content" doc:"1 to 10,000 characters."`
		}
	}
	alertIDsIn struct {
		ID   string `path:"id"`
		Body struct {
			AlertIDs []string `json:"alertIds" nullable:"false" doc:"1 to 1,000 alerts."`
		}
	}
	mergeIn struct {
		ID   string `path:"id"`
		Body struct {
			IncidentIDs []string `json:"incidentIds" nullable:"false" doc:"1 to 1,000 other incidents."`
		}
	}
)

func (a *api) incidents() {
	const tag = "Incidents"
	handle(a, operation{
		id: "listIncidents", method: http.MethodGet, path: "/incidents", tag: tag, summary: "List incidents",
		params: append(append(paging(incident.Sorts...), incidentFilters()...), includeTriage),
	}, a.listIncidents)
	handle(a, operation{
		id: "createIncident", method: http.MethodPost, path: "/incidents", tag: tag, summary: "Create an incident", status: http.StatusCreated,
	}, a.createIncident)
	handle(a, operation{
		id: "getIncident", method: http.MethodGet, path: "/incidents/{id}", tag: tag, summary: "Get incident detail", uuid: true, single: true,
	}, a.getIncident)
	handle(a, operation{
		id: "updateIncident", method: http.MethodPatch, path: "/incidents/{id}", tag: tag, summary: "Change an incident", uuid: true, single: true,
		doc: "Statuses follow OPEN, CONTAINED, ERADICATED, RECOVERED, CLOSED; going back or skipping needs a reason and is kept in the timeline.",
	}, a.patchIncident)
	handle(a, operation{
		id: "listIncidentComments", method: http.MethodGet, path: "/incidents/{id}/comments", tag: tag, summary: "List an incident's comments", uuid: true,
		doc: "The oldest first.", params: paging("createdAt")[:2],
	}, a.listComments)
	handle(a, operation{
		id: "addIncidentComment", method: http.MethodPost, path: "/incidents/{id}/comments", tag: tag, summary: "Add incident comment", uuid: true, status: http.StatusCreated,
	}, a.addComment)
	handle(a, operation{
		id: "linkAlerts", method: http.MethodPost, path: "/incidents/{id}/link", tag: tag, summary: "Link alerts to an incident", uuid: true,
	}, func(ctx context.Context, c *call, in *alertIDsIn) (*incidentOut, error) {
		return outOfIncident(a.Incidents.Link(ctx, c.Tenant.Number, c.Actor, in.ID, lower(in.Body.AlertIDs)))
	})
	handle(a, operation{
		id: "unlinkAlerts", method: http.MethodPost, path: "/incidents/{id}/unlink", tag: tag, summary: "Take alerts out of an incident", uuid: true,
	}, func(ctx context.Context, c *call, in *alertIDsIn) (*incidentOut, error) {
		return outOfIncident(a.Incidents.Unlink(ctx, c.Tenant.Number, c.Actor, in.ID, lower(in.Body.AlertIDs)))
	})
	handle(a, operation{
		id: "mergeIncidents", method: http.MethodPost, path: "/incidents/{id}/merge", tag: tag, summary: "Merge other incidents into this one", uuid: true,
		doc: "Their alerts join this incident, and they are closed. Each can be taken out again with unmerge.",
	}, func(ctx context.Context, c *call, in *mergeIn) (*incidentOut, error) {
		return outOfIncident(a.Incidents.Merge(ctx, c.Tenant.Number, c.Actor, in.ID, lower(in.Body.IncidentIDs)))
	})
	handle(a, operation{
		id: "unmergeIncident", method: http.MethodPost, path: "/incidents/{id}/unmerge", tag: tag, summary: "Take back that this incident was merged", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*incidentOut, error) {
		return outOfIncident(a.Incidents.Unmerge(ctx, c.Tenant.Number, c.Actor, in.ID))
	})
}

// lower brings ids of a body into their one form.
func lower(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strings.ToLower(id)
	}
	return out
}

func incidentFilters() []param {
	return []param{
		{name: "severity", doc: "Filter by severity.", kind: enum, values: severities(), many: true},
		{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(incident.Statuses), many: true},
		{name: "search", doc: "Search in title, literally."},
		{name: "assignedTo", doc: "Filter by assignee."},
		{name: "alertId", doc: "Those that have this alert."},
		{name: "createdFrom", doc: "Created then or later.", kind: moment},
		{name: "createdTo", doc: "Created before then.", kind: moment},
		{name: "updatedSince", doc: "Changed then or later.", kind: moment},
	}
}

func incidentFilter(q given) incident.Filter {
	return incident.Filter{
		Severities: q.all("severity"), Statuses: words[incident.Status](q.all("status")), Search: q.one("search"),
		AssignedTo: q.one("assignedTo"), AlertID: strings.ToLower(q.one("alertId")),
		CreatedFrom: q.moment("createdFrom"), CreatedTo: q.moment("createdTo"), UpdatedSince: q.moment("updatedSince"),
	}
}

func (a *api) listIncidents(ctx context.Context, c *call, _ *none) (*pageOut[IncidentItem], error) {
	q, asked := c.query, c.query.paging(incident.Sorts[0])
	p, err := a.Incidents.List(ctx, c.Tenant.Number, incident.Query{
		Filter: incidentFilter(q),
		Sort:   asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	out := pageOf(asked, p.Total, p.Incidents, incidentOf)
	if q.one("include") != "" {
		for i := range p.Incidents {
			out.Body.Content[i].Triage = incidentTriageOf(&p.Incidents[i])
		}
	}
	return out, nil
}

// outOfIncident maps what a use case of an incident returned.
func outOfIncident(d *incident.Detail, err error) (*incidentOut, error) {
	if err != nil {
		return nil, err
	}
	b := incidentDetail{
		IncidentItem: incidentOf(&d.Incident), Origin: string(d.Origin), SLADueAt: d.SLADueAt, ClosedAt: d.ClosedAt,
		MergedInto: orNull(d.MergedInto), UpdatedAt: d.UpdatedAt,
		Alerts: make([]AlertItem, len(d.Alerts)), Entities: entitiesOf(d.Entities),
		Comments: make([]commentItem, len(d.Comments)), Timeline: make([]historyItem, len(d.Timeline)),
	}
	for i := range d.Alerts {
		b.Alerts[i] = alertOf(&d.Alerts[i])
	}
	for i := range d.Comments {
		b.Comments[i] = commentOf(&d.Comments[i])
	}
	for i, s := range d.Timeline {
		b.Timeline[i] = historyItem{At: s.At, Actor: s.Actor, Action: s.Action, From: s.Old, To: s.New, Note: s.Note}
	}
	b.AcknowledgedAt, b.ContainedAt, b.OverdueAt, b.SplitFrom = d.AcknowledgedAt, d.ContainedAt, d.OverdueAt, orNull(d.SplitFrom)
	b.Tasks, b.Evidence = make([]taskItem, len(d.Tasks)), make([]evidenceItem, len(d.Evidence))
	for i := range d.Tasks {
		b.Tasks[i] = taskOf(&d.Tasks[i])
	}
	for i := range d.Evidence {
		b.Evidence[i] = evidenceOf(&d.Evidence[i])
	}
	return &incidentOut{Revision: d.Version, Body: b}, nil
}

// created adds where the new incident is.
func created(out *incidentOut, err error) (*incidentOut, error) {
	if out != nil {
		out.Location = base + "/incidents/" + out.Body.ID
	}
	return out, err
}

func (a *api) createIncident(ctx context.Context, c *call, in *createIncidentIn) (*incidentOut, error) {
	severity, p := in.Body.Severity.among("severity", severities())
	if p != nil {
		return nil, p
	}
	return created(outOfIncident(a.Incidents.Create(ctx, c.Tenant.Number, c.Actor, incident.Draft{
		Title: in.Body.Title, Severity: severity, AssignedTo: in.Body.AssignedTo, AlertIDs: lower(in.Body.AlertIDs),
	})))
}

func (a *api) escalateAlert(ctx context.Context, c *call, in *byID) (*incidentOut, error) {
	return created(outOfIncident(a.Incidents.Escalate(ctx, c.Tenant.Number, c.Actor, in.ID)))
}

func (a *api) getIncident(ctx context.Context, c *call, in *byID) (*incidentOut, error) {
	return outOfIncident(a.Incidents.Get(ctx, c.Tenant.Number, in.ID))
}

func (a *api) patchIncident(ctx context.Context, c *call, in *patchIncidentIn) (*incidentOut, error) {
	b := &in.Body
	change := incident.Patch{Title: b.Title, Reason: b.Reason, Version: c.version}
	if b.Severity.set {
		s, p := b.Severity.among("severity", severities())
		if p != nil {
			return nil, p
		}
		change.Severity = &s
	}
	if b.Status.set {
		s, p := b.Status.among("status", asTexts(incident.Statuses))
		if p != nil {
			return nil, p
		}
		change.Status = new(incident.Status(s))
	}
	if b.AssignedTo.set {
		change.AssignedTo = &b.AssignedTo.text
	}
	out, err := outOfIncident(a.Incidents.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, change))
	return out, c.condition(err)
}

func (a *api) listComments(ctx context.Context, c *call, in *byID) (*pageOut[commentItem], error) {
	asked := c.query.paging("createdAt")
	comments, total, err := a.Incidents.Comments(ctx, c.Tenant.Number, in.ID, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, comments, commentOf), nil
}

func (a *api) addComment(ctx context.Context, c *call, in *commentIn) (*commentOut, error) {
	made, err := a.Incidents.Comment(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Content)
	if err != nil {
		return nil, err
	}
	// A comment has no page of its own: the list holds it.
	return &commentOut{Location: base + "/incidents/" + in.ID + "/comments", Body: commentOf(made)}, nil
}
