package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/identity"
)

type KeyItem struct {
	ID           string     `json:"id" format:"uuid"`
	Name         string     `json:"name"`
	Scope        string     `json:"scope" enum:"read-only,read-write"`
	Prefix       string     `json:"prefix" doc:"The key's first characters, to recognise it by."`
	Status       string     `json:"status" enum:"active,expired,revoked"`
	AllowedCIDRs []string   `json:"allowedCidrs" nullable:"false" doc:"Where it may be used from; empty: anywhere."`
	CreatedAt    time.Time  `json:"createdAt"`
	CreatedBy    string     `json:"createdBy"`
	ExpiresAt    *time.Time `json:"expiresAt" nullable:"true"`
	LastUsedAt   *time.Time `json:"lastUsedAt" nullable:"true" doc:"To the minute."`
	RevokedAt    *time.Time `json:"revokedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) keyOf(k *identity.Key) KeyItem {
	item := KeyItem{
		ID: k.ID, Name: k.Name, Scope: string(k.Scope), Prefix: k.Prefix, Status: string(k.Status(a.Now())),
		AllowedCIDRs: make([]string, len(k.CIDRs)), CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy,
		ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsed, RevokedAt: k.RevokedAt,
	}
	for i, p := range k.CIDRs {
		item.AllowedCIDRs[i] = p.String()
	}
	return item
}

type newKey struct {
	KeyItem
	Key string `json:"key" doc:"The key itself. It is shown here only."`
}

type (
	keyOut    struct{ Body KeyItem }
	newKeyOut struct {
		Location string `header:"Location"`
		Body     newKey
	}
	createKeyIn struct {
		Body struct {
			Name         string   `json:"name" doc:"1 to 100 characters." example:"SIEM Integration"`
			Scope        word     `json:"scope" enum:"read-only,read-write"`
			ExpiresAt    string   `json:"expiresAt,omitempty" format:"date-time" doc:"Never when left out."`
			AllowedCIDRs []string `json:"allowedCidrs,omitempty" doc:"Networks or addresses it may be used from; anywhere when left out."`
		}
	}
)

func (a *api) keys() {
	handle(a, operation{
		id: "listApiKeys", method: http.MethodGet, path: "/api-keys", tag: "API keys", summary: "List API keys",
		params: append(paging(identity.Sorts...),
			param{name: "scope", doc: "Filter by scope.", kind: enum, values: identity.Scopes, many: true},
			param{name: "status", doc: "Filter by status.", kind: enum, values: identity.Statuses, many: true},
			param{name: "search", doc: "Search in name."}),
	}, a.listKeys)
	handle(a, operation{
		id: "createApiKey", method: http.MethodPost, path: "/api-keys", tag: "API keys", summary: "Create an API key", status: http.StatusCreated,
		doc: "The answer shows the key once; only its digest is kept.",
	}, a.createKey)
	handle(a, operation{
		id: "getApiKey", method: http.MethodGet, path: "/api-keys/{id}", uuid: true, tag: "API keys", summary: "Get an API key", single: true,
	}, a.getKey)
	handle(a, operation{
		id: "revokeApiKey", method: http.MethodDelete, path: "/api-keys/{id}", uuid: true, tag: "API keys", summary: "Revoke an API key", status: http.StatusNoContent,
		doc: "It ends with the next request and stays listed as revoked.",
	}, a.revokeKey)
}

func (a *api) listKeys(ctx context.Context, c *call, _ *none) (*pageOut[KeyItem], error) {
	asked := c.query.paging(identity.Sorts[0])
	keys, total, err := a.Keys.List(ctx, c.Tenant.Number, identity.Filter{
		Scopes: words[identity.Scope](c.query.all("scope")), Statuses: words[identity.Status](c.query.all("status")),
		Search: c.query.one("search"), Sort: identity.Sort(asked.sort), Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, keys, a.keyOf), nil
}

func (a *api) createKey(ctx context.Context, c *call, in *createKeyIn) (*newKeyOut, error) {
	scope, p := in.Body.Scope.among("scope", identity.Scopes)
	if p != nil {
		return nil, p
	}
	d := identity.Draft{Name: in.Body.Name, Scope: identity.Scope(scope), CIDRs: in.Body.AllowedCIDRs}
	if in.Body.ExpiresAt != "" {
		t, wrong := parseMoment(in.Body.ExpiresAt)
		if wrong != "" {
			return nil, invalid("expiresAt", wrong)
		}
		d.ExpiresAt = &t
	}
	k, secret, err := a.Keys.Create(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &newKeyOut{Location: base + "/api-keys/" + k.ID, Body: newKey{a.keyOf(k), secret}}, nil
}

func (a *api) getKey(ctx context.Context, c *call, in *byID) (*keyOut, error) {
	k, err := a.Keys.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &keyOut{a.keyOf(k)}, nil
}

func (a *api) revokeKey(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Keys.Revoke(ctx, c.Tenant.Number, c.Actor, in.ID)
}
