package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/principal"
)

// IdentityItem is an account that events name.
type IdentityItem struct {
	ID               string     `json:"id" format:"uuid"`
	Key              string     `json:"key" doc:"In one form: domain\\user, user@domain, user, or uid:1000." example:"corp\\bob"`
	Name             string     `json:"name" example:"bob"`
	Domain           string     `json:"domain"`
	Type             string     `json:"type" enum:"human,service,machine,built-in"`
	Privileged       bool       `json:"privileged"`
	Status           string     `json:"status" enum:"active,disabled,departed,watched" doc:"What people say."`
	Dormant          bool       `json:"dormant" doc:"No sign-in for as many days as are set."`
	Owner            string     `json:"owner"`
	Tags             []string   `json:"tags" nullable:"false"`
	FirstSeen        time.Time  `json:"firstSeen"`
	LastSeen         time.Time  `json:"lastSeen"`
	LastSignIn       *time.Time `json:"lastSignIn" nullable:"true" doc:"The newest that succeeded."`
	LastSignInFrom   string     `json:"lastSignInFrom"`
	LastSignInHost   string     `json:"lastSignInHost"`
	FailedSignIns24h int64      `json:"failedSignIns24h"`
	FailedSignIns7d  int64      `json:"failedSignIns7d"`
	UsualSources     []string   `json:"usualSources" nullable:"false" doc:"Addresses that it comes from, the most frequent first, up to 10."`

	_ struct{} `additionalProperties:"true"`
}

func identityOf(p *principal.Principal) IdentityItem {
	item := IdentityItem{
		ID: p.ID, Key: p.Word, Name: p.Name, Domain: p.Domain, Type: p.Type, Privileged: p.Privileged, Status: p.Status, Dormant: p.Dormant, Owner: p.Owner, Tags: orEmpty(p.Tags), FirstSeen: p.First, LastSeen: p.Last,
		LastSignIn: p.SignIn, LastSignInFrom: p.SignInFrom, LastSignInHost: p.SignInHost, FailedSignIns24h: p.Failed24h, FailedSignIns7d: p.Failed7d, UsualSources: []string{},
	}
	for _, x := range p.Addresses {
		item.UsualSources = append(item.UsualSources, x.Value)
	}
	return item
}

type (
	identityDetail struct {
		IdentityItem
		UserID             string          `json:"userId"`
		PrivilegedOverride *bool           `json:"privilegedOverride" nullable:"true" doc:"What people say; null: as the evidence says."`
		PrivilegedReasons  []string        `json:"privilegedReasons" nullable:"false" doc:"What the evidence is."`
		Addresses          []identityPlace `json:"addresses" nullable:"false"`
		Hosts              []identityPlace `json:"hosts" nullable:"false" doc:"Machines that it was seen on."`
		Version            int64           `json:"version"`

		_ struct{} `additionalProperties:"true"`
	}
	identityPlace struct {
		Value     string    `json:"value"`
		FirstSeen time.Time `json:"firstSeen"`
		LastSeen  time.Time `json:"lastSeen"`
		Times     int64     `json:"times" doc:"Minutes in which it was seen there."`

		_ struct{} `additionalProperties:"true"`
	}
	identityOut struct {
		Revision int64 `header:"X-Revision"`
		Body     identityDetail
	}
	patchIdentityIn struct {
		ID   string `path:"id"`
		Body struct {
			Owner      *string   `json:"owner,omitempty"`
			Tags       *[]string `json:"tags,omitempty" doc:"Replaces all."`
			Privileged *string   `json:"privileged,omitempty" doc:"yes, no, or auto: as the evidence says." example:"yes"`
			Status     *string   `json:"status,omitempty" example:"watched"`
		}
	}
	identitySettingsBody struct {
		DormantDays int64 `json:"dormantDays" doc:"Without a sign-in, 1 to 3650." example:"90"`
	}
	identitySettingsIn struct {
		Body identitySettingsBody
	}
	identitySettingsOut struct {
		Body identitySettingsBody
	}
)

func identityOutOf(p *principal.Principal) *identityOut {
	places := func(list []principal.Place) []identityPlace {
		out := []identityPlace{}
		for _, x := range list {
			out = append(out, identityPlace{Value: x.Value, FirstSeen: x.First, LastSeen: x.Last, Times: x.Times})
		}
		return out
	}
	return &identityOut{Revision: p.Version, Body: identityDetail{
		IdentityItem: identityOf(p), UserID: p.UID, PrivilegedOverride: p.Override, PrivilegedReasons: orEmpty(p.Reasons), Addresses: places(p.Addresses), Hosts: places(p.Hosts), Version: p.Version,
	}}
}

// openIdentities gives c a service that lists what others saw, where it has none.
func (c *Config) openIdentities() {
	if c.Principals == nil {
		c.Principals = principal.New(c.DB, principal.Options{Log: c.Log, Now: c.Now})
	}
}

func identityFilters() []param {
	yes := []string{"true", "false"}
	return []param{
		{name: "search", doc: "Search in name and domain."},
		{name: "privileged", doc: "Filter by privilege.", kind: enum, values: yes},
		{name: "dormant", doc: "Filter by dormancy.", kind: enum, values: yes},
		{name: "domain", doc: "Filter by domain.", many: true},
		{name: "type", doc: "Filter by type.", kind: enum, values: principal.Types, many: true},
		{name: "status", doc: "Filter by status.", kind: enum, values: principal.Statuses, many: true},
		{name: "host", doc: "Only those seen on this machine."},
	}
}

func identityFilter(q given) principal.Filter {
	flag := func(name string) *bool {
		if q.one(name) == "" {
			return nil
		}
		yes := q.one(name) == "true"
		return &yes
	}
	return principal.Filter{
		Search: q.one("search"), Privileged: flag("privileged"), Dormant: flag("dormant"), Domains: q.all("domain"), Types: q.all("type"), Statuses: q.all("status"), Host: q.one("host"),
	}
}

func (a *api) identities() {
	const tag = "Identities"
	handle(a, operation{
		id: "listIdentities", method: http.MethodGet, path: "/identities", tag: tag, summary: "List identities", doc: "Accounts that events name. A name that somebody only tried is none.",
		params: append(paging(principal.Sorts...), identityFilters()...),
	}, a.listIdentities)
	handle(a, operation{
		id: "getIdentity", method: http.MethodGet, path: "/identities/{id}", uuid: true, tag: tag, summary: "Get an identity with where it is seen", single: true,
	}, a.getIdentity)
	handle(a, operation{
		id: "patchIdentity", method: http.MethodPatch, path: "/identities/{id}", uuid: true, tag: tag, summary: "Say whose an identity is and what it may", single: true,
	}, a.patchIdentity)
	handle(a, operation{
		id: "getIdentitySettings", method: http.MethodGet, path: "/identities/settings", tag: tag, summary: "Get when an identity is dormant", single: true,
	}, a.getIdentitySettings)
	handle(a, operation{
		id: "putIdentitySettings", method: http.MethodPut, path: "/identities/settings", tag: tag, summary: "Say when an identity is dormant",
	}, a.putIdentitySettings)
}

func (a *api) listIdentities(ctx context.Context, c *call, _ *none) (*pageOut[IdentityItem], error) {
	asked := c.query.paging(principal.Sorts[0])
	list, total, err := a.Principals.List(ctx, c.Tenant.Number, principal.Query{Filter: identityFilter(c.query), Sort: asked.sort, Ascending: asked.ascending, Page: asked.page, Size: asked.size})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, identityOf), nil
}

func (a *api) getIdentity(ctx context.Context, c *call, in *byID) (*identityOut, error) {
	p, err := a.Principals.Get(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	return identityOutOf(p), nil
}

func (a *api) patchIdentity(ctx context.Context, c *call, in *patchIdentityIn) (*identityOut, error) {
	p, err := a.Principals.Patch(ctx, c.Tenant.Number, c.Actor, in.ID, principal.Patch{
		Owner: in.Body.Owner, Tags: in.Body.Tags, Privileged: in.Body.Privileged, Status: in.Body.Status, Version: c.version,
	})
	if err != nil {
		return nil, c.condition(err)
	}
	return identityOutOf(p), nil
}

func (a *api) getIdentitySettings(ctx context.Context, c *call, _ *none) (*identitySettingsOut, error) {
	days, err := a.Principals.Setting(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	return &identitySettingsOut{identitySettingsBody{days}}, nil
}

func (a *api) putIdentitySettings(ctx context.Context, c *call, in *identitySettingsIn) (*identitySettingsOut, error) {
	if err := a.Principals.SetDormantDays(ctx, c.Tenant.Number, c.Actor, in.Body.DormantDays); err != nil {
		return nil, err
	}
	return &identitySettingsOut{in.Body}, nil
}
