package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/dsr"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
)

// RequestItem is a data subject request as the list shows it.
type RequestItem struct {
	ID           string               `json:"id" format:"uuid"`
	Kind         string               `json:"kind" enum:"access,erasure,rectification,restriction,objection,portability"`
	Law          string               `json:"law" enum:"GDPR,CCPA,PIPA"`
	Status       string               `json:"status" enum:"RECEIVED,VERIFIED,SEARCHING,REVIEW,FULFILLED,REJECTED"`
	Name         string               `json:"name" doc:"Masked; empty once it was forgotten." example:"A***m"`
	Identifiers  []identifierMaskedAs `json:"identifiers" nullable:"false" doc:"Masked."`
	Channel      string               `json:"channel"`
	ReceivedOn   string               `json:"receivedOn" format:"date"`
	DueOn        string               `json:"dueOn" format:"date" doc:"The last day of the term."`
	DueAt        time.Time            `json:"dueAt" doc:"Its end."`
	Overdue      bool                 `json:"overdue" doc:"The term ended before it was closed."`
	Verification string               `json:"verification" enum:"unverified,verified,failed"`
	AssignedTo   *string              `json:"assignedTo" nullable:"true"`
	AckBy        *string              `json:"acknowledgeBy" nullable:"true" format:"date" doc:"null: the law wants no acknowledgement."`
	AckedAt      *time.Time           `json:"acknowledgedAt" nullable:"true"`
	ClosedAt     *time.Time           `json:"closedAt" nullable:"true"`
	CreatedAt    time.Time            `json:"createdAt"`
	UpdatedAt    time.Time            `json:"updatedAt"`

	_ struct{} `additionalProperties:"true"`
}

type identifierMaskedAs struct {
	Type  string `json:"type" enum:"email,user,ip,phone,other"`
	Value string `json:"value" example:"a***@example.com"`
	Words bool   `json:"words" doc:"It is looked for as a word of any text too."`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) requestOf(r *dsr.Request) RequestItem {
	return RequestItem{
		ID: r.ID, Kind: string(r.Kind), Law: string(r.Law), Status: string(r.Status), Name: r.Masked.Name, Identifiers: identifiersOf(r.Masked.Identifiers), Channel: r.Channel,
		ReceivedOn: r.ReceivedOn, DueOn: r.DueOn, DueAt: r.DueAt, Overdue: r.Overdue(a.Now()), Verification: r.Verification, AssignedTo: orNull(r.AssignedTo), AckBy: orNull(r.AckBy),
		AckedAt: r.AckedAt, ClosedAt: r.ClosedAt, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

func identifiersOf(list []dsr.Identifier) []identifierMaskedAs {
	out := make([]identifierMaskedAs, len(list))
	for i, x := range list {
		out[i] = identifierMaskedAs{Type: x.Type, Value: x.Value, Words: x.Words}
	}
	return out
}

type (
	identifierIn struct {
		Type  string `json:"type" enum:"email,user,ip,phone,other"`
		Value string `json:"value" doc:"3 to 256 characters."`
		Words bool   `json:"words,omitempty" doc:"Look for a user as a word of any text too; the other types always are."`
	}
	requestDetail struct {
		RequestItem
		Extension   *string       `json:"extension" nullable:"true" doc:"Why the term was made longer."`
		Told        *string       `json:"extensionToldOn" nullable:"true" format:"date" doc:"When the person was told why; null: not known."`
		VerifiedHow string        `json:"verifiedHow"`
		VerifiedBy  *string       `json:"verifiedBy" nullable:"true"`
		Reason      *string       `json:"reason" nullable:"true" doc:"Of a rejection."`
		ApprovedBy  *string       `json:"approvedBy" nullable:"true" doc:"Of the erasure."`
		MinimisedAt *time.Time    `json:"minimisedAt" nullable:"true" doc:"When who asked was forgotten."`
		Package     *dsr.Package  `json:"package,omitempty" doc:"Absent before one was made."`
		Findings    *dsr.Findings `json:"findings,omitempty" doc:"Of the last search; absent before it."`
		Erasures    []dsr.Proof   `json:"erasures" nullable:"false"`
		History     []requestStep `json:"history" nullable:"false" doc:"Oldest first, comments among it."`
		Version     int64         `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	requestStep struct {
		ID     string    `json:"id" format:"uuid"`
		At     time.Time `json:"at"`
		Actor  string    `json:"actor"`
		Action string    `json:"action"`
		From   string    `json:"from"`
		To     string    `json:"to"`
		Note   string    `json:"note"`

		_ struct{} `additionalProperties:"true"`
	}
	requestOut struct {
		Revision int64  `header:"X-Revision"`
		Location string `header:"Location"`
		Body     requestDetail
	}
	createRequestIn struct {
		Body struct {
			Kind        string         `json:"kind" enum:"access,erasure,rectification,restriction,objection,portability"`
			Law         string         `json:"law,omitempty" enum:"GDPR,CCPA,PIPA" doc:"As the settings say when left out."`
			Name        string         `json:"name" doc:"Of the person; sealed."`
			Identifiers []identifierIn `json:"identifiers" nullable:"false" doc:"1 to 50; sealed."`
			ReceivedOn  string         `json:"receivedOn,omitempty" format:"date" doc:"Today when left out."`
			Channel     string         `json:"channel,omitempty"`
			AssignedTo  string         `json:"assignedTo,omitempty"`
			Note        string         `json:"note,omitempty" doc:"Sealed."`
		}
	}
	patchRequestIn struct {
		ID   string `path:"id"`
		Body struct {
			Status       *string `json:"status,omitempty" enum:"RECEIVED,VERIFIED,SEARCHING,REVIEW,FULFILLED,REJECTED"`
			Reason       *string `json:"reason,omitempty" doc:"Of a rejection."`
			Verification *string `json:"verification,omitempty" enum:"unverified,verified,failed"`
			VerifiedHow  *string `json:"verifiedHow,omitempty"`
			AssignedTo   *string `json:"assignedTo,omitempty"`
			Extension    *string `json:"extension,omitempty" doc:"Why the term is made longer: once, before it ends."`
			Told         *string `json:"extensionToldOn,omitempty" format:"date" doc:"When the person was told why; PIPA demands it with extension."`
			Acknowledged bool    `json:"acknowledged,omitempty" doc:"Receipt was confirmed to the person."`
			Approve      bool    `json:"approve,omitempty" doc:"The erasure, for another key to do."`
		}
	}
	commentRequestIn struct {
		ID   string `path:"id"`
		Body struct {
			Content string `json:"content"`
		}
	}
	eraseIn struct {
		ID   string `path:"id"`
		Body struct {
			Confirm string `json:"confirm" doc:"The word erase: it cannot be undone."`
		}
	}
	erasePreviewOut struct {
		Body struct {
			Events   int64    `json:"events" doc:"That would be erased."`
			Held     []string `json:"heldBy" nullable:"false" doc:"Legal holds that stand against it."`
			Approved bool     `json:"approved" doc:"Nobody else need approve it for your key."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	personOut struct {
		Body struct {
			Name        string               `json:"name"`
			Identifiers []identifierMaskedAs `json:"identifiers" nullable:"false"`
			Note        string               `json:"note"`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

const dsrTag = "Data subject requests"

func requestFilters() []param {
	return []param{
		{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(dsr.Statuses), many: true},
		{name: "kind", doc: "Filter by kind.", kind: enum, values: asTexts(dsr.Kinds), many: true},
		{name: "law", doc: "Filter by law.", kind: enum, values: asTexts(dsr.Laws), many: true},
		{name: "assignedTo", doc: "Filter by who works on it."},
		{name: "overdue", doc: "Open and late, or not.", kind: enum, values: []string{"true", "false"}},
		{name: "search", doc: "The whole name or a whole identifier, whatever the case: parts cannot be found, since they are sealed."},
	}
}

func requestFilter(q given) dsr.Filter {
	f := dsr.Filter{Kinds: words[dsr.Kind](q.all("kind")), Laws: words[dsr.Law](q.all("law")), Statuses: words[dsr.Status](q.all("status")), AssignedTo: q.one("assignedTo"), Search: q.one("search")}
	if v := q.one("overdue"); v != "" {
		f.Overdue = new(v == "true")
	}
	return f
}

func (a *api) requests() {
	handle(a, operation{
		id: "listRequests", method: http.MethodGet, path: "/dsr", tag: dsrTag, summary: "List data subject requests",
		doc: "Who asks is masked, here and in exports.", params: append(paging(dsr.Sorts...), requestFilters()...),
	}, a.listRequests)
	handle(a, operation{
		id: "createRequest", method: http.MethodPost, path: "/dsr", tag: dsrTag, summary: "Take a data subject request in", status: http.StatusCreated,
		doc: "Its term is counted as its law counts from the day on which it was received.",
	}, a.createRequest)
	a.requestHolds()
	a.requestSettings()
	handle(a, operation{
		id: "getRequest", method: http.MethodGet, path: "/dsr/{id}", tag: dsrTag, summary: "Get a data subject request", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*requestOut, error) {
		return a.outOfRequest(a.Requests.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateRequest", method: http.MethodPatch, path: "/dsr/{id}", tag: dsrTag, summary: "Change a data subject request", single: true, uuid: true,
		doc: "Verify the person, go on, make the term longer, approve an erasure.",
	}, a.patchRequest)
	handle(a, operation{
		id: "commentRequest", method: http.MethodPost, path: "/dsr/{id}/comments", tag: dsrTag, summary: "Comment a data subject request", status: http.StatusCreated, uuid: true,
	}, func(ctx context.Context, c *call, in *commentRequestIn) (*requestOut, error) {
		return a.outOfRequest(a.Requests.Comment(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Content))
	})
	handle(a, operation{
		id: "revealRequest", method: http.MethodPost, path: "/dsr/{id}/reveal", tag: dsrTag, summary: "See who asks", uuid: true,
		doc: "Unmasked, for a key that may write. The audit log notes it.",
	}, a.revealRequest)
	handle(a, operation{
		id: "searchPerson", method: http.MethodPost, path: "/dsr/{id}/search", tag: dsrTag, summary: "Look for the person", status: http.StatusAccepted, uuid: true,
		doc: "The answer is a job: it counts events by source, day and identifier, and looks into every place of control data. The person must be verified. The audit log notes it.",
	}, a.requestJob(dsr.SearchKind))
	handle(a, operation{
		id: "packPerson", method: http.MethodPost, path: "/dsr/{id}/package", tag: dsrTag, summary: "Put the person's data together", status: http.StatusAccepted, uuid: true,
		doc: "The answer is a job. The package can be fetched for 30 days.",
	}, a.requestJob(dsr.PackageKind))
	handle(a, operation{
		id: "getPackage", method: http.MethodPost, path: "/dsr/{id}/package/download", tag: dsrTag, summary: "Fetch the package", uuid: true,
		doc: "A zip of manifest.json, data.json, events.ndjson and control.ndjson. For a key that may write. The audit log notes it.",
	}, func(ctx context.Context, c *call, in *byID) (*streamedFile, error) {
		p, r, err := a.Requests.Download(ctx, c.Tenant.Number, c.Actor, in.ID)
		if err != nil {
			return nil, err
		}
		return streamed("application/zip", "request-"+in.ID+".zip", p.Size, p.SHA256, r), nil
	})
	handle(a, operation{
		id: "previewErasure", method: http.MethodPost, path: "/dsr/{id}/erase/preview", tag: dsrTag, summary: "Count what an erasure would remove", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*erasePreviewOut, error) {
		p, err := a.Requests.Preview(ctx, c.Tenant.Number, c.Actor, in.ID)
		if err != nil {
			return nil, err
		}
		out := &erasePreviewOut{}
		out.Body.Events, out.Body.Held, out.Body.Approved = p.Events, p.Held, p.Approved
		return out, nil
	})
	handle(a, operation{
		id: "erasePerson", method: http.MethodPost, path: "/dsr/{id}/erase", tag: dsrTag, summary: "Erase the person", status: http.StatusAccepted, uuid: true,
		doc: "The answer is a job, whose result is the proof. Where there is another key that may write, that key must have approved. Events go; control data is erased, pseudonymised or kept, as places tells for each. The raw archive holds the records until archivedTo.",
	}, a.erasePerson)
}

func (a *api) outOfRequest(d *dsr.Detail, err error) (*requestOut, error) {
	if err != nil {
		return nil, err
	}
	out := requestDetail{
		RequestItem: a.requestOf(&d.Request), Extension: orNull(d.Extension), Told: orNull(d.ExtensionTold), VerifiedHow: d.VerifiedHow, VerifiedBy: orNull(d.VerifiedBy), Reason: orNull(d.Reason), ApprovedBy: orNull(d.ApprovedBy),
		MinimisedAt: d.MinimisedAt, Package: d.Package, Findings: d.Findings, Erasures: d.Erasures, History: make([]requestStep, len(d.History)), Version: d.Version,
	}
	for i, h := range d.History {
		out.History[i] = requestStep{ID: h.ID, At: h.At, Actor: h.Actor, Action: h.Action, From: h.Old, To: h.New, Note: h.Note}
	}
	return &requestOut{Revision: d.Version, Body: out}, nil
}

func (a *api) listRequests(ctx context.Context, c *call, _ *none) (*pageOut[RequestItem], error) {
	asked := c.query.paging(dsr.Sorts[0])
	list, total, err := a.Requests.List(ctx, c.Tenant.Number, dsr.Query{Filter: requestFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, a.requestOf), nil
}

func identifiersIn(list []identifierIn) []dsr.Identifier {
	out := make([]dsr.Identifier, len(list))
	for i, x := range list {
		out[i] = dsr.Identifier{Type: x.Type, Value: x.Value, Words: x.Words}
	}
	return out
}

func (a *api) createRequest(ctx context.Context, c *call, in *createRequestIn) (*requestOut, error) {
	b := &in.Body
	out, err := a.outOfRequest(a.Requests.Create(ctx, c.Tenant.Number, c.Actor, dsr.Draft{
		Kind: dsr.Kind(b.Kind), Law: dsr.Law(b.Law), ReceivedOn: b.ReceivedOn, Channel: b.Channel, AssignedTo: b.AssignedTo,
		Person: dsr.Person{Name: b.Name, Identifiers: identifiersIn(b.Identifiers), Note: b.Note},
	}))
	if err == nil {
		out.Location = base + "/dsr/" + out.Body.ID
	}
	return out, err
}

func (a *api) patchRequest(ctx context.Context, c *call, in *patchRequestIn) (*requestOut, error) {
	b := &in.Body
	p := dsr.Patch{Reason: b.Reason, Verification: b.Verification, VerifiedHow: b.VerifiedHow, AssignedTo: b.AssignedTo, Extension: b.Extension, Told: b.Told, Acknowledged: b.Acknowledged, Approve: b.Approve, Version: c.version}
	if b.Status != nil {
		p.Status = new(dsr.Status(*b.Status))
	}
	d, err := a.Requests.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return a.outOfRequest(d, nil)
}

func (a *api) revealRequest(ctx context.Context, c *call, in *byID) (*personOut, error) {
	p, err := a.Requests.Reveal(ctx, c.Tenant.Number, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	out := &personOut{}
	out.Body.Name, out.Body.Identifiers, out.Body.Note = p.Name, identifiersOf(p.Identifiers), p.Note
	return out, nil
}

func (a *api) requestJob(kind string) func(context.Context, *call, *byID) (*startedOut, error) {
	return func(ctx context.Context, c *call, in *byID) (*startedOut, error) {
		d, err := a.Requests.Get(ctx, c.Tenant.Number, in.ID)
		if err != nil {
			return nil, err
		}
		if d.Verification != dsr.IsVerified || d.Status.Closed() {
			return nil, fault.New(fault.Conflict, "the request must be open and its person verified")
		}
		return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: kind, Subject: in.ID}))
	}
}

func (a *api) erasePerson(ctx context.Context, c *call, in *eraseIn) (*startedOut, error) {
	if err := a.Requests.CheckErase(ctx, c.Tenant.Number, c.Actor, in.ID, in.Body.Confirm); err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: dsr.EraseKind, Subject: in.ID}))
}
