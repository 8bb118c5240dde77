package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/job"
)

// DomainItem is a domain that the tenant calls its own.
type DomainItem struct {
	ID            string             `json:"id" format:"uuid"`
	Name          string             `json:"name" example:"example.com"`
	Verified      bool               `json:"verified"`
	VerifiedAt    *time.Time         `json:"verifiedAt" nullable:"true"`
	Verification  domainVerification `json:"verification"`
	Subdomains    int64              `json:"subdomains" doc:"Names that are known under it, itself included."`
	AlertOnNew    bool               `json:"alertOnNew"`
	LearningHours int                `json:"learningHours"`
	ActiveChecks  bool               `json:"activeChecks"`
	CheckedAt     *time.Time         `json:"checkedAt" nullable:"true" doc:"When active checks last began."`
	GoneAfterDays int                `json:"goneAfterDays"`
	Notes         string             `json:"notes"`
	CreatedAt     time.Time          `json:"createdAt"`
	CreatedBy     string             `json:"createdBy"`
	UpdatedAt     time.Time          `json:"updatedAt"`
	UpdatedBy     string             `json:"updatedBy"`
	Version       int64              `json:"version"`

	_ struct{} `additionalProperties:"true"`
}

type (
	domainVerification struct {
		Type  string `json:"type" enum:"TXT"`
		Name  string `json:"name" doc:"Where the record must stand." example:"_kyra-verify.example.com"`
		Value string `json:"value" doc:"What it must say."`

		_ struct{} `additionalProperties:"true"`
	}
	domainOut struct {
		Location string `header:"Location"`
		Revision int64  `header:"X-Revision"`
		Body     DomainItem
	}
	// DomainChange is what people decide of a domain.
	DomainChange struct {
		AlertOnNew    *bool   `json:"alertOnNew,omitempty" doc:"New names raise an alert: one for each domain and day. true, when left out."`
		LearningHours *int    `json:"learningHours,omitempty" doc:"After the domain was added, in which new names raise none: 0 to 720, 24 when left out."`
		ActiveChecks  *bool   `json:"activeChecks,omitempty" doc:"Once a day its names are resolved and their TLS and HTTP looked at. Only of a verified domain."`
		GoneAfterDays *int    `json:"goneAfterDays,omitempty" doc:"Without being seen, after which a name is gone: 1 to 3,650, 90 when left out."`
		Notes         *string `json:"notes,omitempty" doc:"Up to 10,000 characters."`
	}
	createDomainIn struct {
		Body struct {
			Name string `json:"name" example:"example.com"`
			DomainChange
		}
	}
	patchDomainIn struct {
		ID   string `path:"id"`
		Body DomainChange
	}
)

func domainOf(d *exposure.Domain) DomainItem {
	return DomainItem{
		ID: d.ID, Name: d.Name, Verified: d.VerifiedAt != nil, VerifiedAt: d.VerifiedAt, Verification: domainVerification{Type: "TXT", Name: d.RecordName(), Value: d.RecordValue()},
		Subdomains: d.Names, AlertOnNew: d.AlertOnNew, LearningHours: d.LearningHours, ActiveChecks: d.ActiveChecks, CheckedAt: d.CheckedAt, GoneAfterDays: d.GoneAfterDays, Notes: d.Notes,
		CreatedAt: d.CreatedAt, CreatedBy: d.CreatedBy, UpdatedAt: d.UpdatedAt, UpdatedBy: d.UpdatedBy, Version: d.Version,
	}
}

func outOfDomain(d *exposure.Domain, err error) (*domainOut, error) {
	if err != nil {
		return nil, err
	}
	return &domainOut{Revision: d.Version, Body: domainOf(d)}, nil
}

func (in *DomainChange) apply(s *exposure.DomainSettings) {
	set(&s.AlertOnNew, in.AlertOnNew)
	set(&s.LearningHours, in.LearningHours)
	set(&s.ActiveChecks, in.ActiveChecks)
	set(&s.GoneAfterDays, in.GoneAfterDays)
	set(&s.Notes, in.Notes)
}

var domainSorts = []string{"name", "createdAt", "subdomains"}

func (a *api) domains(tag string) {
	handle(a, operation{
		id: "listDomains", method: http.MethodGet, path: "/domains", tag: tag, summary: "List own domains",
		params: append(paging(domainSorts...), param{name: "search", doc: "Part of the name or the notes."}),
	}, a.listDomains)
	handle(a, operation{
		id: "createDomain", method: http.MethodPost, path: "/domains", tag: tag, summary: "Add an own domain", status: http.StatusCreated,
		doc: "Names under it are looked for in events from now on. Set the DNS record of verification to prove that it is yours.",
	}, a.createDomain)
	handle(a, operation{
		id: "getDomain", method: http.MethodGet, path: "/domains/{id}", uuid: true, tag: tag, summary: "Get an own domain", single: true,
	}, func(ctx context.Context, c *call, in *byID) (*domainOut, error) {
		return outOfDomain(a.Exposure.Domain(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateDomain", method: http.MethodPatch, path: "/domains/{id}", uuid: true, tag: tag, summary: "Change an own domain", single: true,
	}, func(ctx context.Context, c *call, in *patchDomainIn) (*domainOut, error) {
		out, err := outOfDomain(a.Exposure.ChangeDomain(ctx, c.Tenant.Number, c.Actor, in.ID, c.version, in.Body.apply))
		return out, c.condition(err)
	})
	handle(a, operation{
		id: "deleteDomain", method: http.MethodDelete, path: "/domains/{id}", uuid: true, tag: tag, summary: "Forget an own domain and the names under it", status: http.StatusNoContent,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Exposure.DeleteDomain(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "verifyDomain", method: http.MethodPost, path: "/domains/{id}/verify", uuid: true, tag: tag, summary: "Look for the DNS record that proves a domain",
		doc: "409 says what was found instead; a domain that was proven before is then no more.",
	}, func(ctx context.Context, c *call, in *byID) (*domainOut, error) {
		return outOfDomain(a.Exposure.VerifyDomain(ctx, c.Tenant.Number, c.Actor, in.ID))
	})
	handle(a, operation{
		id: "checkDomain", method: http.MethodPost, path: "/domains/{id}/check", uuid: true, tag: tag, summary: "Check the names of a domain now", status: http.StatusAccepted,
		doc: "The answer is a job: it resolves each name that is not ignored, looks at the certificate and asks for /, up to five names in a second and 2,000 in all. Only of a verified domain whose active checks are on.",
	}, a.checkDomain)
}

func (a *api) listDomains(ctx context.Context, c *call, _ *none) (*pageOut[DomainItem], error) {
	asked := c.query.paging(domainSorts[0])
	all, err := a.Exposure.Domains(ctx, c.Tenant.Number) // some hundred at most
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(c.query.one("search"))
	all = slices.DeleteFunc(all, func(d exposure.Domain) bool {
		return !strings.Contains(strings.ToLower(d.Name+"\n"+d.Notes), search)
	})
	slices.SortStableFunc(all, func(x, y exposure.Domain) int {
		var order int
		switch asked.sort {
		case "createdAt":
			order = x.CreatedAt.Compare(y.CreatedAt)
		case "subdomains":
			order = cmp.Compare(x.Names, y.Names)
		default:
			order = strings.Compare(x.Name, y.Name)
		}
		if !asked.ascending {
			order = -order
		}
		return order
	})
	from := min(asked.page*asked.size, len(all))
	return pageOf(asked, int64(len(all)), all[from:min(from+asked.size, len(all))], domainOf), nil
}

func (a *api) createDomain(ctx context.Context, c *call, in *createDomainIn) (*domainOut, error) {
	settings := exposure.DefaultSettings()
	in.Body.apply(&settings)
	out, err := outOfDomain(a.Exposure.AddDomain(ctx, c.Tenant.Number, c.Actor, in.Body.Name, settings))
	if err != nil {
		return nil, err
	}
	out.Location = base + "/domains/" + out.Body.ID
	return out, nil
}

func (a *api) checkDomain(ctx context.Context, c *call, in *byID) (*startedOut, error) {
	d, err := a.Exposure.CheckDomain(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return started(a.Jobs.Start(ctx, c.Tenant.Number, c.Actor, job.Draft{Kind: exposure.Kind, Subject: d.ID, Params: exposure.Params{Domain: d.ID}, Replace: true}))
}
