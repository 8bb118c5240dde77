package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/intel"
)

type (
	// AllowedItem is what never matches.
	AllowedItem struct {
		ID        string    `json:"id" format:"uuid"`
		Type      string    `json:"type" enum:"ipv4,ipv6,cidr,domain,url,md5,sha1,sha256,email,ja3"`
		Value     string    `json:"value"`
		Reason    string    `json:"reason"`
		CreatedAt time.Time `json:"createdAt"`
		CreatedBy string    `json:"createdBy"`

		_ struct{} `additionalProperties:"true"`
	}
	allowedOut    struct{ Body AllowedItem }
	newAllowedOut struct {
		Location string `header:"Location"`
		Body     AllowedItem
	}
	allowIn struct {
		Body struct {
			Type   word   `json:"type,omitzero" enum:"ipv4,ipv6,cidr,domain,url,md5,sha1,sha256,email,ja3" doc:"Found out when left out."`
			Value  string `json:"value" doc:"In any form. A network stands for its addresses, a domain for all below it." example:"cdn.example.com"`
			Reason string `json:"reason,omitempty"`
		}
	}
)

func allowedOf(x *intel.Allowed) AllowedItem {
	return AllowedItem{ID: x.ID, Type: string(x.Type), Value: x.Value, Reason: x.Reason, CreatedAt: x.CreatedAt, CreatedBy: x.CreatedBy}
}

func (a *api) allowedIndicators() {
	handle(a, operation{
		id: "listAllowedIndicators", method: http.MethodGet, path: "/threat-intel-allowlist", tag: intelTag, summary: "List what never matches",
		params: append(paging("createdAt"), param{name: "search", doc: "Search in values."}),
	}, a.listAllowed)
	handle(a, operation{
		id: "allowIndicator", method: http.MethodPost, path: "/threat-intel-allowlist", tag: intelTag, summary: "Keep a value from matching", status: http.StatusCreated,
		doc: "Whatever feeds say of it. It acts within seconds.",
	}, a.allow)
	handle(a, operation{
		id: "getAllowedIndicator", method: http.MethodGet, path: "/threat-intel-allowlist/{id}", tag: intelTag, summary: "Get an entry of the allow-list", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*allowedOut, error) {
		x, err := a.Indicators.Allowed(ctx, c.Tenant.Number, in.ID)
		if err != nil {
			return nil, err
		}
		return &allowedOut{allowedOf(x)}, nil
	})
	handle(a, operation{
		id: "disallowIndicator", method: http.MethodDelete, path: "/threat-intel-allowlist/{id}", tag: intelTag, summary: "Let a value match again", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Indicators.Disallow(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
}

func (a *api) listAllowed(ctx context.Context, c *call, _ *none) (*pageOut[AllowedItem], error) {
	asked := c.query.paging("createdAt")
	list, total, err := a.Indicators.ListAllowed(ctx, c.Tenant.Number, c.query.one("search"), asked.ascending, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, allowedOf), nil
}

func (a *api) allow(ctx context.Context, c *call, in *allowIn) (*newAllowedOut, error) {
	t := ""
	if in.Body.Type.set {
		known, bad := in.Body.Type.among("type", asTexts(intel.Types))
		if bad != nil {
			return nil, bad
		}
		t = known
	}
	x, err := a.Indicators.Allow(ctx, c.Tenant.Number, c.Actor, intel.Type(t), in.Body.Value, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return &newAllowedOut{Location: base + "/threat-intel-allowlist/" + x.ID, Body: allowedOf(x)}, nil
}
