package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

type (
	// WebhookItem is one receiver.
	WebhookItem struct {
		ID             string         `json:"id" format:"uuid"`
		Name           string         `json:"name"`
		URL            string         `json:"url" doc:"Read-only keys see the path of a chat's address, and user and query of any, masked: they are secrets."`
		Format         string         `json:"format" enum:"standard,slack,teams,discord"`
		Events         []string       `json:"events" nullable:"false"`
		Filters        webhookFilters `json:"filters"`
		Enabled        bool           `json:"enabled"`
		Status         string         `json:"status" enum:"active,failing,disabled"`
		DisabledReason *string        `json:"disabledReason" nullable:"true" doc:"Why KYRA disabled it."`
		FailingSince   *time.Time     `json:"failingSince" nullable:"true"`
		NextAttemptAt  *time.Time     `json:"nextAttemptAt" nullable:"true" doc:"Until then a receiver that fails is left alone."`
		LastSuccessAt  *time.Time     `json:"lastSuccessAt" nullable:"true"`
		LastFailureAt  *time.Time     `json:"lastFailureAt" nullable:"true"`
		LastError      *string        `json:"lastError" nullable:"true"`
		OldSecretUntil *time.Time     `json:"oldSecretUntil" nullable:"true" doc:"How long the secret before the last rotation signs too."`
		CreatedAt      time.Time      `json:"createdAt"`
		CreatedBy      string         `json:"createdBy"`
		UpdatedAt      time.Time      `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	webhookFilters struct {
		Severity      []string `json:"severity,omitempty" doc:"critical, high, medium, low, info." example:"[\"critical\",\"high\"]"`
		Rule          []string `json:"rule,omitempty" doc:"Ids of rules."`
		Source        []string `json:"source,omitempty" doc:"Product short names of alerts." example:"[\"sshd\"]"`
		TitleContains string   `json:"titleContains,omitempty" doc:"Literally and in any case."`
	}
	newWebhook struct {
		WebhookItem
		Secret string `json:"secret" doc:"The key of the signatures. It is shown here only."`
	}
	webhookOut struct {
		Revision int64 `header:"X-Revision"`
		Body     WebhookItem
	}
	newWebhookOut struct {
		Location string `header:"Location"`
		Body     newWebhook
	}
	rotatedOut      struct{ Body newWebhook }
	createWebhookIn struct {
		Body struct {
			Name    string          `json:"name" doc:"1 to 100 characters, not that of another webhook." example:"Slack Critical Alerts"`
			URL     string          `json:"url" doc:"https; plain http and internal addresses only where the operator allows them." example:"https://hooks.slack.com/services/T00/B00/xxx"`
			Events  []string        `json:"events" nullable:"false" doc:"alert.created, alert.updated, incident.created, incident.updated, collector.disconnected and more; an unknown one is answered with the list." example:"[\"alert.created\"]"`
			Filters *webhookFilters `json:"filters,omitempty" doc:"Each acts on events that carry its fact; others pass."`
			Format  word            `json:"format,omitzero" enum:"standard,slack,teams,discord" doc:"The shape of the body; by the host of the address when left out."`
			Enabled *bool           `json:"enabled,omitempty" doc:"true when left out."`
		}
	}
	patchWebhookIn struct {
		ID   string `path:"id"`
		Body struct {
			Name    *string         `json:"name,omitempty"`
			URL     *string         `json:"url,omitempty"`
			Events  []string        `json:"events,omitempty" nullable:"false"`
			Filters *webhookFilters `json:"filters,omitempty" doc:"All of them anew."`
			Format  word            `json:"format,omitzero" enum:"standard,slack,teams,discord"`
			Enabled *bool           `json:"enabled,omitempty" doc:"true lets a webhook that failed start anew; false gives up what is pending, which can be replayed."`
		}
	}
	rotateIn struct {
		ID   string `path:"id"`
		Body *struct {
			GraceHours *int `json:"graceHours,omitempty" minimum:"0" maximum:"168" doc:"How long the old secret signs too; 24 when left out."`
		}
	}
	testWebhookIn struct {
		ID   string `path:"id"`
		Body *struct {
			Event word `json:"event,omitzero" doc:"One of the events to subscribe to; webhook.test when left out."`
		}
	}
)

func (a *api) webhookOf(c *call) func(*webhook.Webhook) WebhookItem {
	return func(w *webhook.Webhook) WebhookItem {
		item := WebhookItem{
			ID: w.ID, Name: w.Name, URL: w.URL, Format: string(w.Format), Events: w.Events, Filters: webhookFilters(w.Filters), Enabled: w.Enabled, Status: "active",
			DisabledReason: orNull(w.DisabledReason), FailingSince: w.FailingSince, LastSuccessAt: w.LastSuccess, LastFailureAt: w.LastFailure, LastError: orNull(w.LastError),
			CreatedAt: w.CreatedAt, CreatedBy: w.CreatedBy, UpdatedAt: w.UpdatedAt,
		}
		if w.OldSecretUntil != nil && a.Now().Before(*w.OldSecretUntil) {
			item.OldSecretUntil = w.OldSecretUntil
		}
		if w.NotBefore.After(a.Now()) && w.Enabled {
			item.NextAttemptAt = &w.NotBefore
		}
		switch {
		case !w.Enabled:
			item.Status = "disabled"
		case w.FailingSince != nil:
			item.Status = "failing"
		}
		if !c.CanWrite() {
			item.URL = maskedAddress(w.Format, w.URL)
		}
		return item
	}
}

// maskedAddress hides what may be a secret of an address: all but the host of a chat's,
// else user and query, where tokens are.
func maskedAddress(f webhook.Format, address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return ""
	case f != webhook.Standard:
		return u.Scheme + "://" + u.Host + "/***"
	}
	if u.RawQuery != "" {
		u.RawQuery = "***"
	}
	u.User = nil
	return u.String()
}

func (a *api) webhooks() {
	const tag = "Webhooks"
	handle(a, operation{
		id: "listWebhooks", method: http.MethodGet, path: "/webhooks", tag: tag, summary: "List webhooks",
		params: append(paging("createdAt", "name"),
			param{name: "enabled", doc: "Filter by whether it is enabled.", kind: enum, values: []string{"true", "false"}},
			param{name: "search", doc: "Search in the name."}),
	}, a.listWebhooks)
	handle(a, operation{
		id: "createWebhook", method: http.MethodPost, path: "/webhooks", tag: tag, summary: "Create webhook", status: http.StatusCreated,
		doc: "The address is sent every event that it is subscribed to, signed after Standard Webhooks with the secret that this answer alone shows. Addresses of Slack, Teams and Discord get a message in their form.",
	}, a.createWebhook)
	handle(a, operation{
		id: "getWebhook", method: http.MethodGet, path: "/webhooks/{id}", tag: tag, summary: "Get a webhook", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*webhookOut, error) {
		return a.outOfWebhook(c)(a.Webhooks.Get(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateWebhook", method: http.MethodPatch, path: "/webhooks/{id}", tag: tag, summary: "Change a webhook", single: true, uuid: true,
	}, a.patchWebhook)
	handle(a, operation{
		id: "deleteWebhook", method: http.MethodDelete, path: "/webhooks/{id}", tag: tag, summary: "Delete a webhook and its log", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Webhooks.Delete(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "rotateWebhookSecret", method: http.MethodPost, path: "/webhooks/{id}/rotate-secret", tag: tag, summary: "Give a webhook a new secret", uuid: true,
		doc: "The answer alone shows it. While the old secret is still good, every delivery carries two signatures.",
	}, a.rotateWebhook)
	handle(a, operation{
		id: "testWebhook", method: http.MethodPost, path: "/webhooks/{id}/test", tag: tag, summary: "Send a test", uuid: true,
		doc: "Sent at once, also to a disabled webhook, and answered with what came back. A test is not repeated.",
	}, a.testWebhook)
	a.webhookDeliveries(tag)
}

func (a *api) outOfWebhook(c *call) func(*webhook.Webhook, error) (*webhookOut, error) {
	return func(w *webhook.Webhook, err error) (*webhookOut, error) {
		if err != nil {
			return nil, err
		}
		return &webhookOut{Revision: w.Version, Body: a.webhookOf(c)(w)}, nil
	}
}

func (a *api) listWebhooks(ctx context.Context, c *call, _ *none) (*pageOut[WebhookItem], error) {
	q, asked := c.query, c.query.paging("createdAt")
	query := webhook.Query{Search: q.one("search"), ByName: asked.sort == "name", Ascending: asked.ascending, Page: asked.page, Size: asked.size}
	if v := q.one("enabled"); v != "" {
		query.Enabled = new(v == "true")
	}
	list, total, err := a.Webhooks.List(ctx, c.Tenant.Number, query)
	if err != nil {
		return nil, err
	}
	return pageOf(asked, total, list, a.webhookOf(c)), nil
}

// filters checks the one filter that is an enumeration, for the words of the answer.
func (f *webhookFilters) filters() (webhook.Filters, error) {
	if f == nil {
		return webhook.Filters{}, nil
	}
	for _, s := range f.Severity {
		if _, ok := oneOf(s, event.Severities); !ok {
			return webhook.Filters{}, allowed("severity", event.Severities)
		}
	}
	return webhook.Filters(*f), nil
}

func formatOf(w word) (webhook.Format, error) {
	if !w.set {
		return "", nil
	}
	s, bad := w.among("format", asTexts(webhook.Formats))
	if bad != nil {
		return "", bad
	}
	return webhook.Format(s), nil
}

func (a *api) createWebhook(ctx context.Context, c *call, in *createWebhookIn) (*newWebhookOut, error) {
	b := &in.Body
	d := webhook.Draft{Name: b.Name, URL: b.URL, Events: b.Events, Disabled: b.Enabled != nil && !*b.Enabled}
	var err error
	if d.Filters, err = b.Filters.filters(); err != nil {
		return nil, err
	}
	if d.Format, err = formatOf(b.Format); err != nil {
		return nil, err
	}
	w, secret, err := a.Webhooks.Create(ctx, c.Tenant.Number, c.Actor, d)
	if err != nil {
		return nil, err
	}
	return &newWebhookOut{Location: base + "/webhooks/" + w.ID, Body: newWebhook{a.webhookOf(c)(w), string(secret)}}, nil
}

func (a *api) patchWebhook(ctx context.Context, c *call, in *patchWebhookIn) (*webhookOut, error) {
	b := &in.Body
	p := webhook.Patch{Name: b.Name, URL: b.URL, Events: b.Events, Enabled: b.Enabled, Version: c.version}
	if b.Filters != nil {
		f, err := b.Filters.filters()
		if err != nil {
			return nil, err
		}
		p.Filters = &f
	}
	if b.Format.set {
		f, err := formatOf(b.Format)
		if err != nil {
			return nil, err
		}
		p.Format = &f
	}
	w, err := a.Webhooks.Change(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return a.outOfWebhook(c)(w, nil)
}

func (a *api) rotateWebhook(ctx context.Context, c *call, in *rotateIn) (*rotatedOut, error) {
	grace := 24 * time.Hour
	if in.Body != nil && in.Body.GraceHours != nil {
		grace = time.Duration(*in.Body.GraceHours) * time.Hour
	}
	w, secret, err := a.Webhooks.Rotate(ctx, c.Tenant.Number, c.Actor, in.ID, grace)
	if err != nil {
		return nil, err
	}
	return &rotatedOut{newWebhook{a.webhookOf(c)(w), string(secret)}}, nil
}

func (a *api) testWebhook(ctx context.Context, c *call, in *testWebhookIn) (*testedOut, error) {
	name := ""
	if in.Body != nil && in.Body.Event.set {
		known, bad := in.Body.Event.among("event", outbox.Events)
		if bad != nil {
			return nil, bad
		}
		name = known
	}
	d, err := a.Notifier.Test(ctx, c.Tenant.Number, in.ID, name)
	if err != nil {
		return nil, err
	}
	return &testedOut{testResult{Success: d.State == webhook.Delivered, DeliveryItem: a.deliveryOf(d)}}, nil
}
