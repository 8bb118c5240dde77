package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/fleet"
)

type CollectorTokenItem struct {
	ID          string            `json:"id" format:"uuid"`
	Name        string            `json:"name" doc:"That the collector gets."`
	Labels      map[string]string `json:"labels" nullable:"false" doc:"That the collector gets."`
	Status      string            `json:"status" enum:"open,used,expired,revoked"`
	CreatedAt   time.Time         `json:"createdAt"`
	CreatedBy   string            `json:"createdBy"`
	ExpiresAt   time.Time         `json:"expiresAt"`
	UsedAt      *time.Time        `json:"usedAt" nullable:"true"`
	CollectorID *string           `json:"collectorId" nullable:"true" doc:"The collector that it let in."`
	RevokedAt   *time.Time        `json:"revokedAt" nullable:"true"`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) collectorTokenOf(t *fleet.Token) CollectorTokenItem {
	item := CollectorTokenItem{
		ID: t.ID, Name: t.Name, Labels: t.Labels, Status: t.Status(a.Now()), CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, ExpiresAt: t.ExpiresAt,
		UsedAt: t.UsedAt, CollectorID: orNull(t.UsedBy), RevokedAt: t.RevokedAt,
	}
	if item.Labels == nil {
		item.Labels = map[string]string{}
	}
	return item
}

type newCollectorToken struct {
	CollectorTokenItem
	Token   string `json:"token" doc:"The token itself. It is shown here only, and good once."`
	Command string `json:"command" doc:"What to run on the machine that the collector is for."`
}

type (
	collectorTokenOut    struct{ Body CollectorTokenItem }
	newCollectorTokenOut struct {
		Location string `header:"Location"`
		Body     newCollectorToken
	}
	createCollectorTokenIn struct {
		Body struct {
			Name      string            `json:"name" doc:"1 to 100 characters." example:"Web server"`
			Labels    map[string]string `json:"labels,omitempty" doc:"At most 16." example:"{\"site\":\"Seoul\"}"`
			ExpiresAt string            `json:"expiresAt,omitempty" format:"date-time" doc:"Within 30 days; 24 hours when left out."`
		}
	}
)

func (a *api) collectorTokens() {
	const tag = collectorsTag
	handle(a, operation{
		id: "listCollectorTokens", method: http.MethodGet, path: "/collector-tokens", tag: tag, summary: "List enrolment tokens", params: paging("createdAt"),
	}, a.listCollectorTokens)
	handle(a, operation{
		id: "createCollectorToken", method: http.MethodPost, path: "/collector-tokens", tag: tag, summary: "Create an enrolment token", status: http.StatusCreated,
		doc: "It lets one collector in, once. The answer shows it, with the command that uses it; only its digest is kept.",
	}, a.createCollectorToken)
	handle(a, operation{
		id: "getCollectorToken", method: http.MethodGet, path: "/collector-tokens/{id}", uuid: true, tag: tag, summary: "Get an enrolment token", single: true,
	}, a.getCollectorToken)
	handle(a, operation{
		id: "revokeCollectorToken", method: http.MethodDelete, path: "/collector-tokens/{id}", uuid: true, tag: tag, summary: "Revoke an enrolment token", status: http.StatusNoContent,
		doc: "One that was used is 409: revoke its collector.",
	}, a.revokeCollectorToken)
}

func (a *api) listCollectorTokens(ctx context.Context, c *call, _ *none) (*pageOut[CollectorTokenItem], error) {
	asked := c.query.paging("createdAt")
	tokens, total, err := a.Fleet.Tokens(ctx, c.Tenant.Number, asked.ascending, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, tokens, a.collectorTokenOf), nil
}

func (a *api) createCollectorToken(ctx context.Context, c *call, in *createCollectorTokenIn) (*newCollectorTokenOut, error) {
	d := fleet.TokenDraft{Name: in.Body.Name, Labels: in.Body.Labels}
	if in.Body.ExpiresAt != "" {
		t, wrong := parseMoment(in.Body.ExpiresAt)
		if wrong != "" {
			return nil, invalid("expiresAt", wrong)
		}
		d.ExpiresAt = &t
	}
	t, text, err := a.Fleet.CreateToken(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &newCollectorTokenOut{Location: base + "/collector-tokens/" + t.ID, Body: newCollectorToken{
		CollectorTokenItem: a.collectorTokenOf(t), Token: text,
		// By standard input: others on a machine can read the command lines of its processes.
		Command: "echo " + text + " | kyra collector enroll --server https://" + a.CollectorAddress() + " --token-file -",
	}}, nil
}

func (a *api) getCollectorToken(ctx context.Context, c *call, in *byID) (*collectorTokenOut, error) {
	t, err := a.Fleet.Token(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return &collectorTokenOut{a.collectorTokenOf(t)}, nil
}

func (a *api) revokeCollectorToken(ctx context.Context, c *call, in *byID) (*struct{}, error) {
	return nil, a.Fleet.RevokeToken(ctx, c.Tenant.Number, c.Actor, in.ID)
}
