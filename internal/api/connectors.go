package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

type (
	// ConnectorItem is one system outside that is connected.
	ConnectorItem struct {
		ID            string         `json:"id" format:"uuid"`
		Name          string         `json:"name"`
		Kind          string         `json:"kind" enum:"smtp,slack,http,syslog,s3,taxii"`
		Enabled       bool           `json:"enabled"`
		Health        string         `json:"health" enum:"ok,failed,unknown" doc:"Of the newest checks."`
		CheckedAt     *time.Time     `json:"checkedAt" nullable:"true"`
		LastSuccessAt *time.Time     `json:"lastSuccessAt" nullable:"true" doc:"Of its work."`
		LastFailureAt *time.Time     `json:"lastFailureAt" nullable:"true"`
		LastError     *string        `json:"lastError" nullable:"true"`
		Config        map[string]any `json:"config" doc:"By its kind, as GET /connectors/kinds says, without secrets."`
		Secrets       []string       `json:"secrets" nullable:"false" doc:"Names of the secrets that are stored. Nobody can read them again."`
		ExportedUntil *time.Time     `json:"exportedUntil" nullable:"true" doc:"Of kind s3: alerts that were created and events that were stored before are in the bucket."`
		EventsSent    *int64         `json:"eventsSent" nullable:"true" doc:"Of kinds s3 and syslog: stored events that were exported or forwarded."`
		EventsDropped *int64         `json:"eventsDropped" nullable:"true" doc:"Of kinds s3 and syslog: events that were not sent, since the receiver failed for three days or they were removed before."`
		CreatedAt     time.Time      `json:"createdAt"`
		CreatedBy     string         `json:"createdBy"`
		UpdatedAt     time.Time      `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	connectorOut struct {
		Revision int64  `header:"X-Revision"`
		Location string `header:"Location"`
		Body     ConnectorItem
	}
	createConnectorIn struct {
		Body struct {
			Name    string         `json:"name" doc:"1 to 100 characters, not that of another connector." example:"SOC mail"`
			Kind    word           `json:"kind" enum:"smtp,slack,http,syslog,s3,taxii"`
			Config  map[string]any `json:"config" doc:"By its kind, as GET /connectors/kinds says." example:"{\"host\":\"smtp.example.com\",\"from\":\"kyra@example.com\",\"username\":\"kyra\",\"password\":\"…\"}"`
			Enabled *bool          `json:"enabled,omitempty" doc:"true when left out."`
		}
	}
	testConnectorIn struct {
		Body struct {
			Name   string         `json:"name,omitempty" doc:"Ignored, so that the body of a creation can be tested as it is."`
			Kind   word           `json:"kind" enum:"smtp,slack,http,syslog,s3,taxii"`
			Config map[string]any `json:"config"`
		}
	}
	patchConnectorIn struct {
		ID   string `path:"id"`
		Body struct {
			Name    *string        `json:"name,omitempty"`
			Config  map[string]any `json:"config,omitempty" doc:"All of it anew; secrets that are left out stay, null takes one out. Where the target changes, they are given anew."`
			Enabled *bool          `json:"enabled,omitempty"`
		}
	}
	HealthItem struct {
		At     time.Time         `json:"at"`
		Status string            `json:"status" enum:"ok,failed"`
		Checks []connector.Check `json:"checks" nullable:"false" doc:"connectivity, authentication, dataFlow; each ok, failed or skipped."`

		_ struct{} `additionalProperties:"true"`
	}
	testedConnectorOut struct {
		Body struct {
			Success bool `json:"success"`
			HealthItem
		}
	}
	healthOut struct {
		Body struct {
			Status  string            `json:"status" enum:"ok,failed,unknown"`
			At      *time.Time        `json:"at" nullable:"true"`
			Checks  []connector.Check `json:"checks" nullable:"false"`
			History []HealthItem      `json:"history" nullable:"false" doc:"Newest first, at most one day."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	metricsItem struct {
		Window    string  `json:"window" enum:"1m,5m,15m,1h"`
		Sent      int64   `json:"sent"`
		Failed    int64   `json:"failed"`
		Bytes     int64   `json:"bytes"`
		LatencyMs latency `json:"latencyMs" doc:"Of all attempts, to within a fifth."`

		_ struct{} `additionalProperties:"true"`
	}
	latency struct {
		P50 float64 `json:"p50"`
		P95 float64 `json:"p95"`
	}
	metricsOut struct {
		Body struct {
			Windows []metricsItem `json:"windows" nullable:"false"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	kindItem struct {
		Kind    string           `json:"kind"`
		Purpose string           `json:"purpose"`
		Fields  []connectorField `json:"fields" nullable:"false"`

		_ struct{} `additionalProperties:"true"`
	}
	connectorField struct {
		Name        string   `json:"name"`
		Type        string   `json:"type" enum:"text,number,boolean,url,list"`
		Description string   `json:"description"`
		Required    bool     `json:"required"`
		Secret      bool     `json:"secret"`
		Default     any      `json:"default,omitempty"`
		Allowed     []string `json:"allowed,omitempty"`
		Minimum     *int     `json:"minimum,omitempty"`
		Maximum     *int     `json:"maximum,omitempty"`

		_ struct{} `additionalProperties:"true"`
	}
	kindsOut struct{ Body []kindItem }
)

func connectorOf(c *connector.Connector) ConnectorItem {
	item := ConnectorItem{
		ID: c.ID, Name: c.Name, Kind: string(c.Kind), Enabled: c.Enabled, Health: string(c.Status()), LastSuccessAt: c.LastSuccess, LastFailureAt: c.LastFailure, LastError: orNull(c.LastError),
		Config: c.Config, Secrets: append([]string{}, c.SecretsSet...), CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, UpdatedAt: c.UpdatedAt,
	}
	if c.Health != nil {
		item.CheckedAt = &c.Health.At
	}
	if c.Kind == connector.S3 {
		item.ExportedUntil = &c.DoneUntil
	}
	if c.Events != nil {
		item.EventsSent, item.EventsDropped = &c.Events.Sent, &c.Events.Dropped
	}
	return item
}

var connectorFilters = []param{
	{name: "kind", doc: "Filter by kind.", kind: enum, values: asTexts(connector.Kinds), many: true},
	{name: "enabled", doc: "Filter by whether it is enabled.", kind: enum, values: []string{"true", "false"}},
	{name: "health", doc: "Filter by the newest checks.", kind: enum, values: []string{"ok", "failed", "unknown"}, many: true},
	{name: "search", doc: "Search in the name."},
}

func connectorFilter(q given) connector.Filter {
	f := connector.Filter{Kinds: words[connector.Kind](q.all("kind")), Health: words[connector.Status](q.all("health")), Search: q.one("search")}
	if v := q.one("enabled"); v != "" {
		f.Enabled = new(v == "true")
	}
	return f
}

func (a *api) connectors() {
	const tag = "Connectors"
	handle(a, operation{
		id: "listConnectors", method: http.MethodGet, path: "/connectors", tag: tag, summary: "List connectors", params: append(paging("createdAt", "name"), connectorFilters...),
	}, a.listConnectors)
	handle(a, operation{
		id: "createConnector", method: http.MethodPost, path: "/connectors", tag: tag, summary: "Create connector", status: http.StatusCreated,
		doc: "Secrets are sealed, and shown to nobody again. Internal addresses, and connections without TLS, only where the operator allows the network.",
	}, a.createConnector)
	handle(a, operation{
		id: "listConnectorKinds", method: http.MethodGet, path: "/connectors/kinds", tag: tag, summary: "List the kinds of connectors, and what each needs",
	}, func(context.Context, *call, *none) (*kindsOut, error) { return &kindsOut{connectorKinds()}, nil })
	handle(a, operation{
		id: "tryConnector", method: http.MethodPost, path: "/connectors/test", tag: tag, summary: "Test a connector before it is saved",
		doc: "Connects, signs in, and keeps nothing. Kinds that only a message can test (http, slack, syslog) are sent one that says so.",
	}, a.tryConnector)
	handle(a, operation{
		id: "getConnector", method: http.MethodGet, path: "/connectors/{id}", tag: tag, summary: "Get a connector", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*connectorOut, error) {
		return outOfConnector(a.Connectors.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateConnector", method: http.MethodPatch, path: "/connectors/{id}", tag: tag, summary: "Change a connector", single: true, uuid: true,
	}, a.patchConnector)
	handle(a, operation{
		id: "deleteConnector", method: http.MethodDelete, path: "/connectors/{id}", tag: tag, summary: "Delete a connector", status: http.StatusNoContent, uuid: true,
		doc: "One that a notification channel sends through is 409.",
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Connectors.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "testConnector", method: http.MethodPost, path: "/connectors/{id}/test", tag: tag, summary: "Test a connector", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*testedConnectorOut, error) {
		return testedOf(a.Connectors.Test(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "getConnectorHealth", method: http.MethodGet, path: "/connectors/{id}/health", tag: tag, summary: "Get a connector's health", uuid: true,
		doc: "Enabled connectors are looked at every five minutes.",
	}, a.connectorHealth)
	handle(a, operation{
		id: "getConnectorMetrics", method: http.MethodGet, path: "/connectors/{id}/metrics", tag: tag, summary: "Get what went through a connector", uuid: true,
	}, a.connectorMetrics)
	handle(a, operation{
		id: "listConnectorDeliveries", method: http.MethodGet, path: "/connectors/{id}/deliveries", tag: tag, summary: "List what a connector was sent", uuid: true,
		doc: "Of kinds http and syslog; empty for others. What has ended is kept for 30 days.", params: deliveryFilters,
	}, func(ctx context.Context, c *call, in *byID) (*pageOut[DeliveryItem], error) {
		if _, err := a.Connectors.Get(ctx, c.Tenant.Number, in.ID); err != nil {
			return nil, err
		}
		return a.deliveriesOf(ctx, c, a.Webhooks.Of(webhook.OfConnector), in.ID)
	})
}

func outOfConnector(c *connector.Connector, err error) (*connectorOut, error) {
	if err != nil {
		return nil, err
	}
	return &connectorOut{Revision: c.Version, Body: connectorOf(c)}, nil
}

func (a *api) listConnectors(ctx context.Context, c *call, _ *none) (*pageOut[ConnectorItem], error) {
	asked := c.query.paging("createdAt")
	list, total, err := a.Connectors.List(ctx, c.Tenant.Number, connector.Query{
		Filter: connectorFilter(c.query), ByName: asked.sort == "name", Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, connectorOf), nil
}

// rawValues is a configuration as the domain reads it: each key by itself.
func rawValues(config map[string]any) (map[string]json.RawMessage, error) {
	if config == nil {
		return nil, nil
	}
	out := make(map[string]json.RawMessage, len(config))
	for name, v := range config {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[name] = b
	}
	return out, nil
}

func connectorDraft(kind word, config map[string]any) (connector.Draft, error) {
	k, bad := kind.among("kind", asTexts(connector.Kinds))
	if bad != nil {
		return connector.Draft{}, bad
	}
	raw, err := rawValues(config)
	return connector.Draft{Kind: connector.Kind(k), Config: raw}, err
}

func (a *api) createConnector(ctx context.Context, c *call, in *createConnectorIn) (*connectorOut, error) {
	d, err := connectorDraft(in.Body.Kind, in.Body.Config)
	if err != nil {
		return nil, err
	}
	d.Name, d.Disabled = in.Body.Name, in.Body.Enabled != nil && !*in.Body.Enabled
	made, err := a.Connectors.Create(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &connectorOut{Revision: made.Version, Location: base + "/connectors/" + made.ID, Body: connectorOf(made)}, nil
}

func (a *api) patchConnector(ctx context.Context, c *call, in *patchConnectorIn) (*connectorOut, error) {
	raw, err := rawValues(in.Body.Config)
	if err != nil {
		return nil, err
	}
	changed, err := a.Connectors.Change(ctx, c.Tenant.Number, c.Actor, in.ID, connector.Patch{Name: in.Body.Name, Config: raw, Enabled: in.Body.Enabled, Version: c.version})
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfConnector(changed, nil)
}

func (a *api) tryConnector(ctx context.Context, c *call, in *testConnectorIn) (*testedConnectorOut, error) {
	d, err := connectorDraft(in.Body.Kind, in.Body.Config)
	if err != nil {
		return nil, err
	}
	return testedOf(a.Connectors.Try(ctx, c.Tenant.Number, d))
}

func healthItemOf(h *connector.Health) HealthItem {
	return HealthItem{At: h.At, Status: string(h.Status), Checks: append([]connector.Check{}, h.Checks...)}
}

func testedOf(h *connector.Health, err error) (*testedConnectorOut, error) {
	if err != nil {
		return nil, err
	}
	out := &testedConnectorOut{}
	out.Body.Success, out.Body.HealthItem = h.Status == connector.OK, healthItemOf(h)
	return out, nil
}

func (a *api) connectorHealth(ctx context.Context, c *call, in *byID) (*healthOut, error) {
	const day = 288
	list, err := a.Connectors.History(ctx, c.Tenant.Number, in.ID, day)
	if err != nil {
		return nil, err
	}
	out := &healthOut{}
	out.Body.Status, out.Body.Checks, out.Body.History = string(connector.Unknown), []connector.Check{}, []HealthItem{}
	for i := range list {
		out.Body.History = append(out.Body.History, healthItemOf(&list[i]))
	}
	if len(list) > 0 {
		out.Body.Status, out.Body.At, out.Body.Checks = string(list[0].Status), &list[0].At, list[0].Checks
	}
	return out, nil
}

func (a *api) connectorMetrics(ctx context.Context, c *call, in *byID) (*metricsOut, error) {
	all, err := a.Connectors.Metrics(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	out := &metricsOut{}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for _, m := range all {
		out.Body.Windows = append(out.Body.Windows, metricsItem{Window: m.Window, Sent: m.Sent, Failed: m.Failed, Bytes: m.Bytes, LatencyMs: latency{ms(m.P50), ms(m.P95)}})
	}
	return out, nil
}

func connectorKinds() []kindItem {
	var out []kindItem
	for _, k := range connector.Kinds {
		item := kindItem{Kind: string(k), Purpose: k.Purpose()}
		for _, f := range k.Fields() {
			one := connectorField{Name: f.Name, Type: string(f.Type), Description: f.Doc, Required: f.Required, Secret: f.Secret, Default: f.Default, Allowed: f.Values}
			if f.Type == connector.Number {
				one.Minimum, one.Maximum = &f.Min, &f.Max
			}
			item.Fields = append(item.Fields, one)
		}
		out = append(out, item)
	}
	return out
}
