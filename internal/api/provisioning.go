package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/scim"
)

type (
	provisioningBody struct {
		URL         string        `json:"url" doc:"Base address of SCIM 2.0, to enter at the directory."`
		HasToken    bool          `json:"hasToken"`
		TokenPrefix string        `json:"tokenPrefix" doc:"The token's first characters, to recognise it by."`
		TokenMadeAt *time.Time    `json:"tokenMadeAt" nullable:"true"`
		TokenMadeBy string        `json:"tokenMadeBy"`
		LastUsedAt  *time.Time    `json:"lastUsedAt" nullable:"true" doc:"To the minute."`
		DefaultRole string        `json:"defaultRole" doc:"Of those in no mapped group; empty: they are switched off."`
		Roles       []RoleMapping `json:"roles" nullable:"false" doc:"By the groups' names; of several the mightiest counts."`

		_ struct{} `additionalProperties:"true"`
	}
	provisioningOut   struct{ Body provisioningBody }
	setProvisioningIn struct {
		Body struct {
			DefaultRole string        `json:"defaultRole" doc:"Admin, Analyst, Viewer, Auditor, or empty for none."`
			Roles       []RoleMapping `json:"roles" nullable:"false"`
		}
	}
	directoryTokenOut struct {
		Body struct {
			URL   string `json:"url" doc:"Base address of SCIM 2.0."`
			Token string `json:"token" doc:"Bearer token for the directory. It is shown here only."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) provisioning() {
	const tag = "Provisioning"
	handle(a, operation{id: "getProvisioning", method: http.MethodGet, path: "/settings/scim", tag: tag, summary: "Get how a directory provisions people (SCIM 2.0)"}, a.getProvisioning)
	handle(a, operation{
		id: "setProvisioning", method: http.MethodPut, path: "/settings/scim", tag: tag, summary: "Set which roles the directory's groups give",
		doc: "Whom the directory has provisioned gets their role at once.",
	}, a.setProvisioning)
	handle(a, operation{
		id: "createDirectoryToken", method: http.MethodPost, path: "/settings/scim/token", tag: tag, summary: "Make the directory's token", status: http.StatusCreated,
		doc: "It opens SCIM and nothing else. The one before ends at once.",
	}, a.createDirectoryToken)
	handle(a, operation{id: "deleteDirectoryToken", method: http.MethodDelete, path: "/settings/scim/token", tag: tag, summary: "End the directory's token", status: http.StatusNoContent}, a.deleteDirectoryToken)
}

func (a *api) directoryURL() string { return a.URL() + scim.Base }

func (a *api) getProvisioning(ctx context.Context, c *call, _ *none) (*provisioningOut, error) {
	p, err := a.Accounts.ProvisioningOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	return &provisioningOut{provisioningBody{
		URL: a.directoryURL(), HasToken: p.Token, TokenPrefix: p.Prefix, TokenMadeAt: p.MadeAt, TokenMadeBy: p.MadeBy, LastUsedAt: p.UsedAt, DefaultRole: string(p.DefaultRole), Roles: mappingsOf(p.Roles),
	}}, nil
}

func (a *api) setProvisioning(ctx context.Context, c *call, in *setProvisioningIn) (*provisioningOut, error) {
	if err := a.Accounts.SetProvisioning(ctx, c.Tenant.Number, c.Actor, identity.Role(in.Body.DefaultRole), toMappings(in.Body.Roles)); err != nil {
		return nil, err
	}
	return a.getProvisioning(ctx, c, nil)
}

func (a *api) createDirectoryToken(ctx context.Context, c *call, _ *none) (*directoryTokenOut, error) {
	token, err := a.Accounts.NewDirectoryToken(ctx, c.Tenant.Number, c.Actor)
	if err != nil {
		return nil, err
	}
	out := &directoryTokenOut{}
	out.Body.URL, out.Body.Token = a.directoryURL(), token
	return out, nil
}

func (a *api) deleteDirectoryToken(ctx context.Context, c *call, _ *none) (*struct{}, error) {
	return nil, a.Accounts.EndDirectoryToken(ctx, c.Tenant.Number, c.Actor)
}
