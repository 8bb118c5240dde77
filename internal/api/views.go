package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/view"
)

type (
	viewItem struct {
		ID        string    `json:"id" format:"uuid"`
		Kind      string    `json:"kind" enum:"alerts,incidents,search,rules,assets" doc:"The list that it is of."`
		Name      string    `json:"name"`
		Query     string    `json:"query" doc:"Filters as the console's address writes them, without a question mark." example:"severity=critical&severity=high&assignedTo=hana@example.com"`
		Shared    bool      `json:"shared" doc:"With everybody of the tenant who may read the list."`
		Own       bool      `json:"own" doc:"It is the caller's."`
		Owner     string    `json:"owner" doc:"Name of whose it is."`
		CreatedAt time.Time `json:"createdAt"`
		UpdatedAt time.Time `json:"updatedAt"`
		Version   int64     `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	viewsOut struct {
		Body struct {
			Views []viewItem `json:"views" nullable:"false" doc:"By name."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	viewOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     viewItem
	}
	createViewIn struct {
		Body struct {
			Kind   word   `json:"kind" enum:"alerts,incidents,search,rules,assets"`
			Name   string `json:"name" doc:"1 to 60 characters; each person's names of a list differ."`
			Query  string `json:"query" doc:"At most 4,000 bytes."`
			Shared bool   `json:"shared,omitempty"`
		}
	}
	updateViewIn struct {
		ID   string `path:"id"`
		Body struct {
			Name   *string `json:"name,omitempty"`
			Query  *string `json:"query,omitempty"`
			Shared *bool   `json:"shared,omitempty"`
		}
	}
)

// viewAreas says what somebody must be allowed to read to be shown a view.
var viewAreas = map[view.Kind]identity.Area{
	view.Alerts: identity.Alerts, view.Incidents: identity.Incidents, view.Search: identity.Events, view.Rules: identity.Rules, view.Assets: identity.Assets,
}

func (a *api) savedViews() {
	const tag, path = "Saved views", "/views"
	handle(a, operation{
		id: "listViews", method: http.MethodGet, path: path, tag: tag, summary: "List saved views",
		doc:    "The caller's own, and those that others of the tenant share.",
		params: []param{{name: "kind", doc: "Of one list.", kind: enum, values: asTexts(view.Kinds)}},
	}, a.listViews)
	handle(a, operation{id: "createView", method: http.MethodPost, path: path, tag: tag, summary: "Save a view", status: http.StatusCreated}, a.createView)
	handle(a, operation{id: "getView", method: http.MethodGet, path: path + "/{id}", uuid: true, tag: tag, summary: "Get a saved view", single: true}, a.getView)
	handle(a, operation{
		id: "updateView", method: http.MethodPatch, path: path + "/{id}", uuid: true, tag: tag, summary: "Change a view", single: true,
		doc: "One's own; an Admin also those that others share.",
	}, a.updateView)
	handle(a, operation{id: "deleteView", method: http.MethodDelete, path: path + "/{id}", uuid: true, tag: tag, summary: "Delete a view", status: http.StatusNoContent}, a.deleteView)
}

func viewPerson(c *call) *view.Person {
	return &view.Person{Tenant: c.Tenant.Number, ID: c.UserID, Actor: c.Actor, Admin: c.Role == identity.Admin}
}

func (c *call) viewOf(v *view.View) viewItem {
	return viewItem{
		ID: v.ID, Kind: string(v.Kind), Name: v.Name, Query: v.Query, Shared: v.Shared, Own: v.Owner == c.UserID, Owner: v.OwnerName,
		CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, Version: v.Version,
	}
}

func (c *call) viewOut(v *view.View) *viewOut {
	return &viewOut{Location: base + "/views/" + v.ID, Revision: v.Version, Body: c.viewOf(v)}
}

func (a *api) listViews(ctx context.Context, c *call, _ *none) (*viewsOut, error) {
	all, err := a.views.List(ctx, viewPerson(c), view.Kind(c.query.one("kind")))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v view.View) bool { return !c.Can(viewAreas[v.Kind].Read()) })
	out := &viewsOut{}
	out.Body.Views = make([]viewItem, len(all))
	for i := range all {
		out.Body.Views[i] = c.viewOf(&all[i])
	}
	return out, nil
}

func (a *api) createView(ctx context.Context, c *call, in *createViewIn) (*viewOut, error) {
	kind, bad := in.Body.Kind.among("kind", asTexts(view.Kinds))
	if bad != nil {
		return nil, bad
	}
	v, err := a.views.Create(ctx, viewPerson(c), view.Draft{Kind: view.Kind(kind), Name: in.Body.Name, Query: in.Body.Query, Shared: in.Body.Shared})
	if err != nil {
		return nil, err
	}
	return c.viewOut(v), nil
}

func (a *api) getView(ctx context.Context, c *call, in *byID) (*viewOut, error) {
	v, err := a.views.Get(ctx, viewPerson(c), in.ID)
	if err == nil && !c.Can(viewAreas[v.Kind].Read()) {
		err = fault.New(fault.NotFound, "no such view")
	}
	if err != nil {
		return nil, err
	}
	return c.viewOut(v), nil
}

func (a *api) updateView(ctx context.Context, c *call, in *updateViewIn) (*viewOut, error) {
	v, err := a.views.Change(ctx, viewPerson(c), in.ID, view.Patch{Name: in.Body.Name, Query: in.Body.Query, Shared: in.Body.Shared, Version: c.version})
	if err != nil {
		return nil, c.condition(err)
	}
	return c.viewOut(v), nil
}

func (a *api) deleteView(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.views.Delete(ctx, viewPerson(c), in.ID)
}
