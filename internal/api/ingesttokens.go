package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/identity"
)

type IngestTokenItem struct {
	ID         string     `json:"id" format:"uuid"`
	Name       string     `json:"name"`
	Source     string     `json:"source" doc:"What its logs are; empty: it is recognised."`
	Prefix     string     `json:"prefix" doc:"The token's first characters, to recognise it by."`
	Status     string     `json:"status" enum:"active,expired,revoked"`
	CreatedAt  time.Time  `json:"createdAt"`
	CreatedBy  string     `json:"createdBy"`
	ExpiresAt  *time.Time `json:"expiresAt" nullable:"true"`
	LastUsedAt *time.Time `json:"lastUsedAt" nullable:"true" doc:"To the minute."`
	RevokedAt  *time.Time `json:"revokedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) ingestTokenOf(t *identity.IngestToken) IngestTokenItem {
	return IngestTokenItem{
		ID: t.ID, Name: t.Name, Source: t.Source, Prefix: t.Prefix, Status: string(t.Status(a.Now())), CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
		ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsed, RevokedAt: t.RevokedAt,
	}
}

type newIngestToken struct {
	IngestTokenItem
	Token string `json:"token" doc:"The token itself. It is shown here only."`
}

type (
	ingestTokenOut    struct{ Body IngestTokenItem }
	newIngestTokenOut struct {
		Location string `header:"Location"`
		Body     newIngestToken
	}
	createIngestTokenIn struct {
		Body struct {
			Name      string `json:"name" doc:"1 to 100 characters." example:"Web servers"`
			Source    string `json:"source,omitempty" doc:"What its logs are, such as nginx; left out, it is recognised." example:"nginx"`
			ExpiresAt string `json:"expiresAt,omitempty" format:"date-time" doc:"Never when left out."`
		}
	}
)

func (a *api) ingestTokens() {
	const tag = "Ingest"
	handle(a, operation{
		id: "listIngestTokens", method: http.MethodGet, path: "/ingest-tokens", tag: tag, summary: "List ingest tokens", params: paging("createdAt"),
	}, a.listIngestTokens)
	handle(a, operation{
		id: "createIngestToken", method: http.MethodPost, path: "/ingest-tokens", tag: tag, summary: "Create an ingest token", status: http.StatusCreated,
		doc: "Senders show it at the doors of ingest, and it opens nothing else. The answer shows it once; only its digest is kept.",
	}, a.createIngestToken)
	handle(a, operation{
		id: "getIngestToken", method: http.MethodGet, path: "/ingest-tokens/{id}", uuid: true, tag: tag, summary: "Get an ingest token", single: true,
	}, a.getIngestToken)
	handle(a, operation{
		id: "revokeIngestToken", method: http.MethodDelete, path: "/ingest-tokens/{id}", uuid: true, tag: tag, summary: "Revoke an ingest token", status: http.StatusNoContent,
	}, a.revokeIngestToken)
}

func (a *api) listIngestTokens(ctx context.Context, c *call, _ *none) (*pageOut[IngestTokenItem], error) {
	asked := c.query.paging("createdAt")
	tokens, total, err := a.Keys.IngestTokens(ctx, c.Tenant.Number, asked.ascending, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, tokens, a.ingestTokenOf), nil
}

func (a *api) createIngestToken(ctx context.Context, c *call, in *createIngestTokenIn) (*newIngestTokenOut, error) {
	d := identity.IngestDraft{Name: in.Body.Name, Source: in.Body.Source}
	if in.Body.ExpiresAt != "" {
		t, wrong := parseMoment(in.Body.ExpiresAt)
		if wrong != "" {
			return nil, invalid("expiresAt", wrong)
		}
		d.ExpiresAt = &t
	}
	t, secret, err := a.Keys.CreateIngestToken(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &newIngestTokenOut{Location: base + "/ingest-tokens/" + t.ID, Body: newIngestToken{a.ingestTokenOf(t), secret}}, nil
}

func (a *api) getIngestToken(ctx context.Context, c *call, in *byID) (*ingestTokenOut, error) {
	t, err := a.Keys.IngestToken(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &ingestTokenOut{a.ingestTokenOf(t)}, nil
}

func (a *api) revokeIngestToken(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Keys.RevokeIngestToken(ctx, c.Tenant.Number, c.Actor, in.ID)
}
