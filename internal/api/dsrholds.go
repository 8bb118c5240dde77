package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/dsr"
)

type (
	holdItem struct {
		ID          string               `json:"id" format:"uuid"`
		Name        string               `json:"name" doc:"Of the case."`
		Reason      string               `json:"reason"`
		Owner       string               `json:"owner"`
		Active      bool                 `json:"active"`
		Identifiers []identifierMaskedAs `json:"identifiers" nullable:"false" doc:"Masked; empty: all events."`
		From        *time.Time           `json:"from" nullable:"true" doc:"Event time; null: open."`
		To          *time.Time           `json:"to" nullable:"true"`
		Until       *time.Time           `json:"until" nullable:"true" doc:"When it ends by itself."`
		CreatedAt   time.Time            `json:"createdAt"`
		CreatedBy   string               `json:"createdBy"`
		ReleasedAt  *time.Time           `json:"releasedAt" nullable:"true"`
		ReleasedBy  *string              `json:"releasedBy" nullable:"true"`

		_ struct{} `additionalProperties:"true"`
	}
	holdOut struct {
		Location string `header:"Location"`
		Body     holdItem
	}
	createHoldIn struct {
		Body struct {
			Name        string         `json:"name"`
			Reason      string         `json:"reason"`
			Owner       string         `json:"owner"`
			Identifiers []identifierIn `json:"identifiers,omitempty" nullable:"false" doc:"Left out: all events."`
			From        *time.Time     `json:"from,omitempty" doc:"Event time."`
			To          *time.Time     `json:"to,omitempty"`
			Until       *time.Time     `json:"until,omitempty"`
		}
	}
)

func (a *api) holdOf(h *dsr.Hold) holdItem {
	return holdItem{
		ID: h.ID, Name: h.Name, Reason: h.Reason, Owner: h.Owner, Active: h.Active(a.Now()), Identifiers: identifiersOf(h.Identifiers), From: h.From, To: h.To, Until: h.Until,
		CreatedAt: h.CreatedAt, CreatedBy: h.CreatedBy, ReleasedAt: h.ReleasedAt, ReleasedBy: orNull(h.ReleasedBy),
	}
}

func (a *api) requestHolds() {
	handle(a, operation{
		id: "listHolds", method: http.MethodGet, path: "/dsr/holds", tag: dsrTag, summary: "List legal holds", params: paging("createdAt"),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[holdItem], error) {
		asked := c.query.paging("createdAt")
		list, total, err := a.Requests.Holds(ctx, c.Tenant.Number, asked.page, asked.size)
		if err != nil {
			return nil, err
		}
		return pageOf(asked, total, list, a.holdOf), nil
	})
	handle(a, operation{
		id: "createHold", method: http.MethodPost, path: "/dsr/holds", tag: dsrTag, summary: "Make a legal hold", status: http.StatusCreated,
		doc: "No erasure touches what it covers, and retention drops nothing of yours while it is active.",
	}, func(ctx context.Context, c *call, in *createHoldIn) (*holdOut, error) {
		b := &in.Body
		h, err := a.Requests.AddHold(ctx, c.Tenant.Number, c.Actor, dsr.Hold{Name: b.Name, Reason: b.Reason, Owner: b.Owner, Identifiers: identifiersIn(b.Identifiers), From: b.From, To: b.To, Until: b.Until})
		if err != nil {
			return nil, err
		}
		return &holdOut{Location: base + "/dsr/holds/" + h.ID, Body: a.holdOf(h)}, nil
	})
	handle(a, operation{
		id: "getHold", method: http.MethodGet, path: "/dsr/holds/{id}", tag: dsrTag, summary: "Get a legal hold", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*holdOut, error) {
		h, err := a.Requests.Hold(ctx, c.Tenant.Number, in.ID)
		if err != nil {
			return nil, err
		}
		return &holdOut{Body: a.holdOf(h)}, nil
	})
	handle(a, operation{
		id: "releaseHold", method: http.MethodDelete, path: "/dsr/holds/{id}", tag: dsrTag, summary: "Release a legal hold", status: http.StatusNoContent, uuid: true,
		doc: "It stays in the list.",
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Requests.Release(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
}
