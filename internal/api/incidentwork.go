package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/incident"
)

type taskItem struct {
	ID         string     `json:"id" format:"uuid"`
	Title      string     `json:"title"`
	Note       string     `json:"note"`
	Status     string     `json:"status" enum:"TODO,DOING,DONE,SKIPPED"`
	AssignedTo *string    `json:"assignedTo" nullable:"true"`
	DueAt      *time.Time `json:"dueAt" nullable:"true"`
	DoneAt     *time.Time `json:"doneAt" nullable:"true"`
	CreatedBy  string     `json:"createdBy"`
	CreatedAt  time.Time  `json:"createdAt"`
	UpdatedAt  time.Time  `json:"updatedAt"`

	_ struct{} `additionalProperties:"true"`
}

func taskOf(t *incident.Task) taskItem {
	return taskItem{
		ID: t.ID, Title: t.Title, Note: t.Note, Status: string(t.Status), AssignedTo: orNull(t.AssignedTo), DueAt: t.DueAt, DoneAt: t.DoneAt,
		CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}

type evidenceItem struct {
	ID        string    `json:"id" format:"uuid"`
	Name      string    `json:"name"`
	MediaType string    `json:"mediaType" doc:"By the file's first bytes."`
	Size      int64     `json:"size" doc:"Bytes."`
	SHA256    string    `json:"sha256" doc:"Of the content, hexadecimal; looked at each time the file is read."`
	Note      string    `json:"note"`
	AddedBy   string    `json:"addedBy"`
	AddedAt   time.Time `json:"addedAt"`

	_ struct{} `additionalProperties:"true"`
}

func evidenceOf(e *incident.Evidence) evidenceItem {
	return evidenceItem{ID: e.ID, Name: e.Name, MediaType: e.MediaType, Size: e.Size, SHA256: e.SHA256, Note: e.Note, AddedBy: e.AddedBy, AddedAt: e.AddedAt}
}

type relatedItem struct {
	Incident IncidentItem `json:"incident"`
	Shared   []entityItem `json:"shared" nullable:"false" doc:"What both have, the most telling first."`
	Alerts   int          `json:"alerts" doc:"Alerts of that incident that have one of them."`
	Weight   int          `json:"weight" doc:"2 for a shared address, host, domain or hash, 1 for a user, file or process."`

	_ struct{} `additionalProperties:"true"`
}

// TaskChange is what a task is made of or changed by.
type TaskChange struct {
	Title      *string  `json:"title,omitempty" nullable:"false" doc:"1 to 500 characters."`
	Note       *string  `json:"note,omitempty" nullable:"false" doc:"Up to 10,000 characters."`
	Status     word     `json:"status,omitzero" enum:"TODO,DOING,DONE,SKIPPED"`
	AssignedTo nullText `json:"assignedTo,omitzero" doc:"null takes the assignment back."`
	DueAt      nullTime `json:"dueAt,omitzero" doc:"null: no time."`
}

func (in *TaskChange) patch() (incident.TaskPatch, error) {
	p := incident.TaskPatch{Title: in.Title, Note: in.Note}
	if in.Status.set {
		s, bad := in.Status.among("status", asTexts(incident.TaskStatuses))
		if bad != nil {
			return p, bad
		}
		p.Status = new(incident.TaskStatus(s))
	}
	if in.AssignedTo.set {
		p.AssignedTo = &in.AssignedTo.text
	}
	if in.DueAt.set {
		p.DueAt = new(time.Time)
		if in.DueAt.at != nil {
			p.DueAt = in.DueAt.at
		}
	}
	return p, nil
}

type (
	addTaskIn struct {
		ID   string `path:"id"`
		Body TaskChange
	}
	patchTaskIn struct {
		ID   string `path:"id"`
		Task string `path:"task"`
		Body TaskChange
	}
	taskOut struct {
		Location string `header:"Location"`
		Body     taskItem
	}
	addEvidenceIn struct {
		ID      string `path:"id"`
		RawBody []byte `contentType:"application/octet-stream"`
	}
	evidenceIn struct {
		ID       string `path:"id"`
		Evidence string `path:"evidence"`
	}
	evidenceOut struct {
		Location string `header:"Location"`
		Body     evidenceItem
	}
	fileOut struct {
		Type   string `header:"Content-Type"`
		Name   string `header:"Content-Disposition"`
		Digest string `header:"Repr-Digest" doc:"SHA-256 of the content (RFC 9530)."`
		Body   []byte
	}
	splitIn struct {
		ID   string `path:"id"`
		Body struct {
			AlertIDs []string `json:"alertIds" nullable:"false" doc:"1 to 1,000 alerts of the incident, not all of them."`
			Title    string   `json:"title,omitempty" doc:"Of the new incident; the old one's with Split: before it when left out."`
		}
	}
	relatedOut struct {
		Body []relatedItem
	}
)

func (a *api) incidentWork() {
	const tag = "Incidents"
	handle(a, operation{
		id: "addIncidentTask", method: http.MethodPost, path: "/incidents/{id}/tasks", tag: tag, summary: "Add a task to an incident", uuid: true, status: http.StatusCreated,
		doc: "The incident's detail lists its tasks.",
	}, a.addTask)
	handle(a, operation{
		id: "updateIncidentTask", method: http.MethodPatch, path: "/incidents/{id}/tasks/{task}", tag: tag, summary: "Change a task", uuid: true,
	}, a.patchTask)
	handle(a, operation{
		id: "addIncidentEvidence", method: http.MethodPost, path: "/incidents/{id}/evidence", tag: tag, summary: "Add a file of evidence", uuid: true, status: http.StatusCreated,
		doc:   "The body is the file, raw or as the file of a form; up to 64 MiB. Its SHA-256 is taken when it comes. The incident's detail lists its evidence.",
		media: []string{"application/octet-stream", "multipart/form-data"}, upload: incident.MaxEvidence,
		params: []param{{name: "name", doc: "File name; that of the form's file when left out."}, {name: "note", doc: "What it shows; up to 10,000 characters."}},
	}, a.addEvidence)
	handle(a, operation{
		id: "getIncidentEvidence", method: http.MethodGet, path: "/incidents/{id}/evidence/{evidence}", tag: tag, summary: "Download a file of evidence", uuid: true,
		doc: "A file that is not what was added is 409: it was changed on disk.",
	}, a.getEvidence)
	handle(a, operation{
		id: "removeIncidentEvidence", method: http.MethodDelete, path: "/incidents/{id}/evidence/{evidence}", tag: tag, summary: "Take a file out of an incident", uuid: true, status: http.StatusNoContent,
		doc: "Name and hash stay in the timeline.",
	}, func(ctx context.Context, c *call, in *evidenceIn) (*struct{}, error) {
		return nil, a.Incidents.RemoveEvidence(ctx, c.Tenant.Number, c.Actor, in.ID, in.Evidence)
	})
	handle(a, operation{
		id: "splitIncident", method: http.MethodPost, path: "/incidents/{id}/split", tag: tag, summary: "Make a new incident of some of an incident's alerts", uuid: true, status: http.StatusCreated,
		doc: "Merging the new incident back into the old one undoes it.",
	}, func(ctx context.Context, c *call, in *splitIn) (*incidentOut, error) {
		return created(outOfIncident(a.Incidents.Split(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Title, lower(in.Body.AlertIDs))))
	})
	handle(a, operation{
		id: "relatedIncidents", method: http.MethodGet, path: "/incidents/{id}/related", tag: tag, summary: "List incidents that share entities with this one", uuid: true,
		doc: "Whose alerts were first seen within a week of this one's, the closest first, at most 20, with what they share. Entities that very many alerts have are left out: they say nothing.",
	}, a.related)
}

func (a *api) addTask(ctx context.Context, c *call, in *addTaskIn) (*taskOut, error) {
	p, err := in.Body.patch()
	if err != nil {
		return nil, err
	}
	t, err := a.Incidents.AddTask(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, err
	}
	return &taskOut{Location: base + "/incidents/" + in.ID + "/tasks/" + t.ID, Body: taskOf(t)}, nil
}

func (a *api) patchTask(ctx context.Context, c *call, in *patchTaskIn) (*taskOut, error) {
	p, err := in.Body.patch()
	if err != nil {
		return nil, err
	}
	t, err := a.Incidents.PatchTask(ctx, c.Tenant.Number, c.Actor, in.ID, in.Task, p)
	if err != nil {
		return nil, err
	}
	return &taskOut{Body: taskOf(t)}, nil
}

func (a *api) addEvidence(ctx context.Context, c *call, in *addEvidenceIn) (*evidenceOut, error) {
	name, content, p := uploaded(c.media, in.RawBody, "the file")
	if p != nil {
		return nil, p
	}
	if asked := c.query.one("name"); asked != "" {
		name = asked
	}
	e, err := a.Incidents.AddEvidence(ctx, c.Tenant.Number, c.Actor, in.ID, name, c.query.one("note"), content)
	if err != nil {
		return nil, err
	}
	return &evidenceOut{Location: base + "/incidents/" + in.ID + "/evidence/" + e.ID, Body: evidenceOf(e)}, nil
}

// getEvidence reads the whole file before it answers, so that nobody gets one that was
// changed.
func (a *api) getEvidence(ctx context.Context, c *call, in *evidenceIn) (*fileOut, error) {
	e, r, err := a.Incidents.OpenEvidence(ctx, c.Tenant.Number, in.ID, in.Evidence)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	_ = r.Close() // it was only read
	if err != nil {
		return nil, changedFile(err)
	}
	return &fileOut{
		// Never shown by a browser: what an attacker left is among evidence.
		Type: "application/octet-stream", Name: mime.FormatMediaType("attachment", map[string]string{"filename": e.Name}), Digest: reprDigest(e.SHA256), Body: content,
	}, nil
}

func (a *api) related(ctx context.Context, c *call, in *byID) (*relatedOut, error) {
	list, err := a.Incidents.Related(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	out := &relatedOut{Body: make([]relatedItem, len(list))}
	for i := range list {
		r := &list[i]
		out.Body[i] = relatedItem{Incident: incidentOf(&r.Incident), Shared: entitiesOf(r.Shared), Alerts: r.Alerts, Weight: r.Weight}
	}
	return out, nil
}
