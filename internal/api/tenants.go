package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

type (
	// TenantItem is a customer and what it may use.
	TenantItem struct {
		ID            string       `json:"id" format:"uuid"`
		Name          string       `json:"name"`
		Plan          string       `json:"plan" enum:"FREE,MDR,PRO,CUSTOM"`
		Limits        tenantLimits `json:"limits"`
		RetentionDays int          `json:"retentionDays" doc:"How long events are kept, counted from arrival."`
		CreatedAt     time.Time    `json:"createdAt"`

		_ struct{} `additionalProperties:"true"`
	}
	tenantLimits struct {
		RequestsPerMinute int `json:"requestsPerMinute" doc:"Of API keys; 0: no limit."`
		EventsPerSecond   int `json:"eventsPerSecond" doc:"0: no limit."`
	}
	tenantUsage struct {
		EventsToday         int64   `json:"eventsToday" doc:"Taken in since midnight UTC, from the ledger."`
		EventsPerSecond     float64 `json:"eventsPerSecond" doc:"Of the hour that goes on, on average."`
		RequestsThisMinute  int64   `json:"requestsThisMinute" doc:"By API keys, at this server."`
		People              int64   `json:"people" doc:"Who may sign in."`
		PeopleWithoutFactor int64   `json:"peopleWithoutSecondFactor"`
		APIKeys             int64   `json:"apiKeys" doc:"Active ones."`
		Collectors          int64   `json:"collectors" doc:"That are enrolled."`
		LogSources          int64   `json:"logSources"`

		_ struct{} `additionalProperties:"true"`
	}
	ownTenantOut struct {
		Body struct {
			TenantItem
			Usage tenantUsage `json:"usage"`
		}
	}
	tenantOut struct {
		Location string `header:"Location"`
		Body     TenantItem
	}
	tenantsOut struct {
		Body page[TenantItem]
	}
	updateTenantIn struct {
		Body struct {
			Name          *string `json:"name,omitempty"`
			RetentionDays *int    `json:"retentionDays,omitempty" minimum:"1" maximum:"36500"`
		}
	}
	createTenantIn struct {
		Body struct {
			Name              string `json:"name" doc:"1 to 100 characters."`
			Plan              word   `json:"plan" enum:"FREE,MDR,PRO,CUSTOM"`
			RequestsPerMinute int    `json:"requestsPerMinute,omitempty" minimum:"0" doc:"With CUSTOM only; 0: no limit."`
			RetentionDays     int    `json:"retentionDays,omitempty" minimum:"0" maximum:"36500" doc:"90 when left out."`
		}
	}
	changeTenantIn struct {
		ID   string `path:"id"`
		Body struct {
			Name              *string `json:"name,omitempty"`
			Plan              word    `json:"plan,omitzero" enum:"FREE,MDR,PRO,CUSTOM"`
			RequestsPerMinute *int    `json:"requestsPerMinute,omitempty" minimum:"0"`
			RetentionDays     *int    `json:"retentionDays,omitempty" minimum:"1" maximum:"36500"`
		}
	}
	// ProviderAlert is an alert of one of several tenants.
	ProviderAlert struct {
		AlertItem
		Tenant SessionTenant `json:"tenant"`
	}
	providerAlertsOut struct{ Body page[ProviderAlert] }
)

func tenantOf(t *tenant.Tenant) TenantItem {
	l := t.Limits()
	return TenantItem{ID: t.ID, Name: t.Name, Plan: string(t.Plan), Limits: tenantLimits{l.RequestsPerMinute, l.EventsPerSecond}, RetentionDays: t.RetentionDays, CreatedAt: t.CreatedAt}
}

func (a *api) tenants() {
	handle(a, operation{id: "getTenant", method: http.MethodGet, path: "/tenant", tag: "Tenant", summary: "Get the tenant, its plan and what it uses"}, a.getTenant)
	handle(a, operation{
		id: "updateTenant", method: http.MethodPatch, path: "/tenant", tag: "Settings", summary: "Change the tenant's name or retention",
		doc: "A shorter retention removes what is older for good, with the next round.",
	}, a.updateTenant)
	const tag = "Provider"
	handle(a, operation{id: "listTenants", method: http.MethodGet, path: "/tenants", tag: tag, summary: "List all tenants", doc: "For Admins of the installation's own tenant.", params: paging("createdAt")[:2]}, a.listTenants)
	handle(a, operation{
		id: "createTenant", method: http.MethodPost, path: "/tenants", tag: tag, summary: "Create a tenant", status: http.StatusCreated,
		doc: "Whoever creates it becomes its Admin, and can switch to it where their password or passkey has signed them in.",
	}, a.createTenant)
	handle(a, operation{id: "changeTenant", method: http.MethodPatch, path: "/tenants/{id}", uuid: true, tag: tag, summary: "Change a tenant and its plan"}, a.changeTenant)
	handle(a, operation{
		id: "listProviderAlerts", method: http.MethodGet, path: "/provider/alerts", tag: "Alerts", summary: "List alerts over all own tenants",
		doc: "The most severe of every tenant in which the caller's role may read alerts, the newest first among equals, demo data left out; an API key sees its own tenant's.",
		params: []param{
			{name: "size", doc: "How many.", kind: number, min: 1, max: 100, standard: "50"},
			{name: "severity", doc: "Filter by severity.", kind: enum, values: event.Severities, many: true},
			{name: "status", doc: "Filter by status.", kind: enum, values: asTexts(alert.Statuses), many: true},
			{name: "search", doc: "Search in title, description."},
		},
	}, a.listProviderAlerts)
}

func (a *api) getTenant(ctx context.Context, c *call, _ *none) (*ownTenantOut, error) {
	now := a.Now().UTC()
	hour := now.Truncate(time.Hour)
	today, err := a.Sources.Balance(ctx, c.Tenant.Number, source.LedgerQuery{From: now.Truncate(24 * time.Hour), To: now.Add(time.Hour)})
	if err != nil {
		return nil, err
	}
	current, err := a.Sources.Balance(ctx, c.Tenant.Number, source.LedgerQuery{From: hour, To: hour.Add(time.Hour)})
	if err != nil {
		return nil, err
	}
	f, err := a.Accounts.FiguresOf(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	_, keys, err := a.Keys.List(ctx, c.Tenant.Number, identity.Filter{Statuses: []identity.Status{identity.Active}, Size: 1})
	if err != nil {
		return nil, err
	}
	collectors, err := a.Sources.List(ctx, c.Tenant.Number)
	if err != nil {
		return nil, err
	}
	_, sources, err := a.LogSources.List(ctx, c.Tenant.Number, logsource.Query{Size: 1})
	if err != nil {
		return nil, err
	}
	out := &ownTenantOut{}
	out.Body.TenantItem = tenantOf(&c.Tenant)
	out.Body.Usage = tenantUsage{
		EventsToday: today.Total.Received, EventsPerSecond: float64(current.Total.Received) / max(1, now.Sub(hour).Seconds()),
		RequestsThisMinute: a.limits.used(c.Tenant.ID, now), People: f.People, PeopleWithoutFactor: f.People - f.SecondFactor,
		APIKeys: keys, Collectors: int64(len(collectors)), LogSources: sources,
	}
	return out, nil
}

func (a *api) updateTenant(ctx context.Context, c *call, in *updateTenantIn) (*tenantOut, error) {
	t, err := a.Tenants.Change(ctx, c.Actor, c.Tenant.Number, tenant.Patch{Name: in.Body.Name, RetentionDays: in.Body.RetentionDays})
	if err != nil {
		return nil, err
	}
	return &tenantOut{Body: tenantOf(t)}, nil
}

func (a *api) listTenants(ctx context.Context, c *call, _ *none) (*tenantsOut, error) {
	all, err := a.Tenants.List(ctx)
	if err != nil {
		return nil, err
	}
	asked := c.query.paging("createdAt")
	from := min(asked.page*asked.size, len(all))
	return &tenantsOut{pageOf(asked, int64(len(all)), all[from:min(from+asked.size, len(all))], tenantOf).Body}, nil
}

func (a *api) createTenant(ctx context.Context, c *call, in *createTenantIn) (*tenantOut, error) {
	plan, p := in.Body.Plan.among("plan", asTexts(tenant.Plans))
	if p != nil {
		return nil, p
	}
	if c.UserID != "" {
		who, err := a.Accounts.Get(ctx, c.Home, c.UserID)
		if err != nil {
			return nil, err
		}
		if who.Vouched { // their password, which others may know, would open it
			return nil, fault.New(fault.Conflict, "only the identity provider lets you in here, and it opens no other tenant: have an Admin send you a link, follow it, and sign in with your password")
		}
	}
	t, err := a.Tenants.Create(ctx, c.Actor, tenant.Draft{Name: in.Body.Name, Plan: tenant.Plan(plan), RequestsPerMinute: in.Body.RequestsPerMinute, RetentionDays: in.Body.RetentionDays})
	if err != nil {
		return nil, err
	}
	if c.UserID != "" {
		if _, err := a.Accounts.Add(ctx, c.Actor, t.Number, account.Draft{Email: c.signed.User.Email, Role: identity.Admin}); err != nil {
			return nil, err
		}
	}
	return &tenantOut{Location: base + "/tenants/" + t.ID, Body: tenantOf(t)}, nil
}

func (a *api) changeTenant(ctx context.Context, c *call, in *changeTenantIn) (*tenantOut, error) {
	patch := tenant.Patch{Name: in.Body.Name, RequestsPerMinute: in.Body.RequestsPerMinute, RetentionDays: in.Body.RetentionDays}
	if in.Body.Plan.set {
		plan, p := in.Body.Plan.among("plan", asTexts(tenant.Plans))
		if p != nil {
			return nil, p
		}
		patch.Plan = new(tenant.Plan(plan))
	}
	t, err := a.Tenants.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if t, err = a.Tenants.Change(ctx, c.Actor, t.Number, patch); err != nil {
		return nil, err
	}
	return &tenantOut{Body: tenantOf(t)}, nil
}

func (a *api) listProviderAlerts(ctx context.Context, c *call, _ *none) (*providerAlertsOut, error) {
	places := []account.Place{{Tenant: c.Tenant, Role: identity.Viewer}}
	if c.UserID != "" {
		var err error
		if places, err = a.Accounts.Places(ctx, &c.Caller); err != nil {
			return nil, err
		}
		demos, err := a.Tenants.Demos(ctx)
		if err != nil {
			return nil, err
		}
		places = slices.DeleteFunc(places, func(p account.Place) bool { _, demo := demos[p.Tenant.Number]; return demo || p.Weak })
	}
	size := c.query.number("size")
	out := &providerAlertsOut{Body: page[ProviderAlert]{Content: []ProviderAlert{}, Size: size}}
	for i := range places {
		p := &places[i]
		if !slices.Contains(p.Role.Rights(), identity.Alerts.Read()) {
			continue
		}
		found, err := a.Alerts.List(ctx, p.Tenant.Number, alert.Query{
			Filter: alert.Filter{Severities: c.query.all("severity"), Statuses: words[alert.Status](c.query.all("status")), Search: c.query.one("search")}, Sort: "severity", Size: size,
		})
		if err != nil {
			return nil, err
		}
		out.Body.TotalElements += found.Total
		for j := range found.Alerts {
			out.Body.Content = append(out.Body.Content, ProviderAlert{alertOf(&found.Alerts[j]), sessionTenantOf(&p.Tenant, p.Role)})
		}
	}
	slices.SortStableFunc(out.Body.Content, func(x, y ProviderAlert) int {
		return cmp.Or(cmp.Compare(event.SeverityRank(y.Severity), event.SeverityRank(x.Severity)), y.CreatedAt.Compare(x.CreatedAt), cmp.Compare(x.ID, y.ID))
	})
	out.Body.Content = out.Body.Content[:min(size, len(out.Body.Content))]
	out.Body.TotalPages = (out.Body.TotalElements + int64(size) - 1) / int64(size)
	return out, nil
}
