package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

type (
	// ChannelItem is somebody to tell.
	ChannelItem struct {
		ID             string     `json:"id" format:"uuid"`
		Name           string     `json:"name"`
		Kind           string     `json:"kind" enum:"email,slack,teams,discord,webhook"`
		Host           *string    `json:"host" nullable:"true" doc:"Of its address, which is a secret."`
		ConnectorID    *string    `json:"connectorId" nullable:"true"`
		To             []string   `json:"to" nullable:"false" doc:"Recipients of e-mail."`
		Digest         digestItem `json:"digest"`
		QuietHours     *quietItem `json:"quietHours,omitempty"`
		Enabled        bool       `json:"enabled"`
		Status         string     `json:"status" enum:"active,failing,disabled"`
		DisabledReason *string    `json:"disabledReason" nullable:"true" doc:"Why KYRA disabled it."`
		LastSuccessAt  *time.Time `json:"lastSuccessAt" nullable:"true"`
		LastFailureAt  *time.Time `json:"lastFailureAt" nullable:"true"`
		LastError      *string    `json:"lastError" nullable:"true"`
		CreatedAt      time.Time  `json:"createdAt"`
		CreatedBy      string     `json:"createdBy"`
		UpdatedAt      time.Time  `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	channelOut struct {
		Revision int64  `header:"X-Revision"`
		Location string `header:"Location"`
		Body     ChannelItem
	}
	createChannelIn struct {
		Body struct {
			Name        string      `json:"name" example:"SOC on call"`
			Kind        word        `json:"kind" enum:"email,slack,teams,discord,webhook"`
			URL         string      `json:"url,omitempty" doc:"Of a chat's incoming webhook, or of a receiver of the documented payload. It is sealed."`
			ConnectorID string      `json:"connectorId,omitempty" doc:"Of kind smtp: e-mail needs one. Of kind slack: instead of url."`
			To          []string    `json:"to,omitempty" nullable:"false" doc:"Recipients of e-mail, 1 to 50." example:"[\"soc@example.com\"]"`
			Digest      *digestItem `json:"digest,omitempty" doc:"20 in 10 minutes when left out."`
			QuietHours  *quietItem  `json:"quietHours,omitempty" doc:"What happens then is told at their end, as one message."`
			Enabled     *bool       `json:"enabled,omitempty" doc:"true when left out."`
		}
	}
	patchChannelIn struct {
		ID   string `path:"id"`
		Body struct {
			Name        *string     `json:"name,omitempty"`
			URL         *string     `json:"url,omitempty"`
			ConnectorID *string     `json:"connectorId,omitempty"`
			To          []string    `json:"to,omitempty" nullable:"false"`
			Digest      *digestItem `json:"digest,omitempty"`
			QuietHours  *quietItem  `json:"quietHours,omitempty" doc:"From and to both 00:00: none."`
			Enabled     *bool       `json:"enabled,omitempty" doc:"true lets a channel that failed start anew."`
		}
	}

	// RouteItem says which messages go to which channels.
	RouteItem struct {
		ID        string       `json:"id" format:"uuid"`
		Name      string       `json:"name"`
		Enabled   bool         `json:"enabled"`
		Filters   routeFilters `json:"filters"`
		Channels  []string     `json:"channels" nullable:"false" doc:"Ids of notification channels."`
		CreatedAt time.Time    `json:"createdAt"`
		CreatedBy string       `json:"createdBy"`
		UpdatedAt time.Time    `json:"updatedAt"`

		_ struct{} `additionalProperties:"true"`
	}
	routeFilters struct {
		Events        []string `json:"events,omitempty" doc:"alert.created and more; all when left out."`
		Severity      []string `json:"severity,omitempty" example:"[\"critical\",\"high\"]"`
		Rule          []string `json:"rule,omitempty" doc:"Ids of rules."`
		Source        []string `json:"source,omitempty" doc:"Product short names of alerts."`
		TitleContains string   `json:"titleContains,omitempty" doc:"Literally and in any case."`
	}
	routeOut struct {
		Revision int64  `header:"X-Revision"`
		Location string `header:"Location"`
		Body     RouteItem
	}
	createRouteIn struct {
		Body struct {
			Name     string        `json:"name" example:"Urgent to the chat"`
			Channels []string      `json:"channels" nullable:"false"`
			Filters  *routeFilters `json:"filters,omitempty" doc:"Each acts on messages that carry its fact; others pass."`
			Enabled  *bool         `json:"enabled,omitempty" doc:"true when left out."`
		}
	}
	patchRouteIn struct {
		ID   string `path:"id"`
		Body struct {
			Name     *string       `json:"name,omitempty"`
			Channels []string      `json:"channels,omitempty" nullable:"false"`
			Filters  *routeFilters `json:"filters,omitempty" doc:"All of them anew."`
			Enabled  *bool         `json:"enabled,omitempty"`
		}
	}
)

func channelOf(c *notice.Channel) ChannelItem {
	item := ChannelItem{
		ID: c.ID, Name: c.Name, Kind: string(c.Kind), Host: orNull(c.Host), ConnectorID: orNull(c.ConnectorID), To: append([]string{}, c.To...), Digest: digestItem{c.Digest.Above, c.Digest.Minutes}, QuietHours: quietOf(c.Quiet),
		Enabled: c.Enabled, Status: "active", CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, UpdatedAt: c.UpdatedAt,
	}
	if w := c.Receiver; w != nil {
		item.DisabledReason, item.LastSuccessAt, item.LastFailureAt, item.LastError = orNull(w.DisabledReason), w.LastSuccess, w.LastFailure, orNull(w.LastError)
		if w.FailingSince != nil {
			item.Status = "failing"
		}
	}
	if !c.Enabled {
		item.Status = "disabled"
	}
	return item
}

func (a *api) notificationChannels() {
	const tag = "Notifications"
	handle(a, operation{
		id: "listNotificationChannels", method: http.MethodGet, path: "/notification-channels", tag: tag, summary: "List notification channels", params: paging("createdAt"),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[ChannelItem], error) {
		return pageOfAll(c, channelOf)(a.Notices.Channels(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "createNotificationChannel", method: http.MethodPost, path: "/notification-channels", tag: tag, summary: "Create notification channel", status: http.StatusCreated,
		doc: "A channel is told what routes send to it.",
	}, a.createChannel)
	handle(a, operation{
		id: "getNotificationChannel", method: http.MethodGet, path: "/notification-channels/{id}", tag: tag, summary: "Get a notification channel", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*channelOut, error) {
		return outOfChannel(a.Notices.Channel(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateNotificationChannel", method: http.MethodPatch, path: "/notification-channels/{id}", tag: tag, summary: "Change a notification channel", single: true, uuid: true,
	}, a.patchChannel)
	handle(a, operation{
		id: "deleteNotificationChannel", method: http.MethodDelete, path: "/notification-channels/{id}", tag: tag, summary: "Delete a notification channel and its log", status: http.StatusNoContent, uuid: true,
		doc: "Routes lose it.",
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Notices.DeleteChannel(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
	handle(a, operation{
		id: "testNotificationChannel", method: http.MethodPost, path: "/notification-channels/{id}/test", tag: tag, summary: "Send a test", uuid: true,
		doc: "Sent at once, also to a disabled channel, and answered with what came back. A test is not repeated.",
	}, a.testChannel)
	handle(a, operation{
		id: "listChannelDeliveries", method: http.MethodGet, path: "/notification-channels/{id}/deliveries", tag: tag, summary: "List what a channel was sent", uuid: true,
		doc: "What has ended is kept for 30 days.", params: deliveryFilters,
	}, func(ctx context.Context, c *call, in *byID) (*pageOut[DeliveryItem], error) {
		if _, err := a.Notices.Channel(ctx, c.Tenant.Number, in.ID); err != nil {
			return nil, err
		}
		return a.deliveriesOf(ctx, c, a.Webhooks.Of(webhook.OfChannel), in.ID)
	})
	handle(a, operation{
		id: "replayChannelDelivery", method: http.MethodPost, path: "/notification-channels/{id}/deliveries/{delivery}/replay", tag: tag, summary: "Send a delivery of a channel again", status: http.StatusAccepted, uuid: true,
	}, func(ctx context.Context, c *call, in *deliveryIn) (*deliveryOut, error) {
		return a.outOfDelivery(a.Webhooks.Of(webhook.OfChannel).Replay(ctx, c.Tenant.Number, c.Actor, in.ID, in.Delivery))
	})
}

// pageOfAll cuts a page out of a whole list, sorted by creation.
func pageOfAll[D, T any](c *call, wire func(*D) T) func([]D, error) (*pageOut[T], error) {
	return func(list []D, err error) (*pageOut[T], error) {
		if err != nil {
			return nil, err
		}
		asked := c.query.paging("createdAt")
		if !asked.ascending {
			slices.Reverse(list)
		}
		total := len(list)
		from := total
		if asked.page <= total/asked.size {
			from = min(asked.page*asked.size, total)
		}
		return pageOf(asked, int64(total), list[from:min(from+asked.size, total)], wire), nil
	}
}

func outOfChannel(c *notice.Channel, err error) (*channelOut, error) {
	if err != nil {
		return nil, err
	}
	return &channelOut{Revision: c.Version, Body: channelOf(c)}, nil
}

func (a *api) createChannel(ctx context.Context, c *call, in *createChannelIn) (*channelOut, error) {
	b := &in.Body
	kind, bad := b.Kind.among("kind", asTexts(notice.ChannelKinds))
	if bad != nil {
		return nil, bad
	}
	made, err := a.Notices.CreateChannel(ctx, c.Tenant.Number, c.Actor, notice.ChannelDraft{
		Name: b.Name, Kind: notice.ChannelKind(kind), URL: b.URL, ConnectorID: b.ConnectorID, To: b.To, Digest: (*notice.Digest)(b.Digest), Quiet: b.QuietHours.quiet(), Disabled: b.Enabled != nil && !*b.Enabled,
	})
	if err != nil {
		return nil, err
	}
	return &channelOut{Revision: made.Version, Location: base + "/notification-channels/" + made.ID, Body: channelOf(made)}, nil
}

func (a *api) patchChannel(ctx context.Context, c *call, in *patchChannelIn) (*channelOut, error) {
	b := &in.Body
	p := notice.ChannelPatch{Name: b.Name, URL: b.URL, ConnectorID: b.ConnectorID, To: b.To, Digest: (*notice.Digest)(b.Digest), Enabled: b.Enabled, Version: c.version}
	if b.QuietHours != nil {
		quiet := b.QuietHours.quiet()
		if quiet.From == "00:00" && quiet.To == "00:00" {
			quiet = nil
		}
		p.Quiet = &quiet
	}
	changed, err := a.Notices.ChangeChannel(ctx, c.Tenant.Number, c.Actor, in.ID, p)
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfChannel(changed, nil)
}

func (a *api) testChannel(ctx context.Context, c *call, in *byID) (*testedOut, error) {
	ch, err := a.Notices.Channel(ctx, c.Tenant.Number, in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.Notifier.TestChannel(ctx, c.Tenant.Number, in.ID, ch.Kind.Format())
	if err != nil {
		return nil, err
	}
	return &testedOut{testResult{Success: d.State == webhook.Delivered, DeliveryItem: a.deliveryOf(d)}}, nil
}

func routeOf(r *notice.Route) RouteItem {
	return RouteItem{ID: r.ID, Name: r.Name, Enabled: r.Enabled, Filters: routeFilters(r.Filters), Channels: append([]string{}, r.Channels...), CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt}
}

func (a *api) notificationRoutes() {
	const tag = "Notifications"
	handle(a, operation{
		id: "listNotificationRoutes", method: http.MethodGet, path: "/notification-routes", tag: tag, summary: "List notification routes", params: paging("createdAt"),
	}, func(ctx context.Context, c *call, _ *none) (*pageOut[RouteItem], error) {
		return pageOfAll(c, routeOf)(a.Notices.Routes(ctx, c.Tenant.Number))
	})
	handle(a, operation{
		id: "createNotificationRoute", method: http.MethodPost, path: "/notification-routes", tag: tag, summary: "Create notification route", status: http.StatusCreated,
		doc: "Every route that matches counts; a channel that several name is told once.",
	}, func(ctx context.Context, c *call, in *createRouteIn) (*routeOut, error) {
		b := &in.Body
		made, err := a.Notices.CreateRoute(ctx, c.Tenant.Number, c.Actor, notice.RoutePatch{Name: &b.Name, Enabled: b.Enabled, Filters: (*notice.Filters)(b.Filters), Channels: b.Channels})
		if err != nil {
			return nil, err
		}
		return &routeOut{Revision: made.Version, Location: base + "/notification-routes/" + made.ID, Body: routeOf(made)}, nil
	})
	handle(a, operation{
		id: "getNotificationRoute", method: http.MethodGet, path: "/notification-routes/{id}", tag: tag, summary: "Get a notification route", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*routeOut, error) {
		return outOfRoute(a.Notices.Route(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "updateNotificationRoute", method: http.MethodPatch, path: "/notification-routes/{id}", tag: tag, summary: "Change a notification route", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *patchRouteIn) (*routeOut, error) {
		b := &in.Body
		r, err := a.Notices.ChangeRoute(ctx, c.Tenant.Number, c.Actor, in.ID, notice.RoutePatch{Name: b.Name, Enabled: b.Enabled, Filters: (*notice.Filters)(b.Filters), Channels: b.Channels, Version: c.version})
		if err != nil {
			return nil, c.condition(err)
		}
		return outOfRoute(r, nil)
	})
	handle(a, operation{
		id: "deleteNotificationRoute", method: http.MethodDelete, path: "/notification-routes/{id}", tag: tag, summary: "Delete a notification route", status: http.StatusNoContent, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*struct{}, error) {
		return nil, a.Notices.DeleteRoute(ctx, c.Tenant.Number, c.Actor, in.ID)
	})
}

func outOfRoute(r *notice.Route, err error) (*routeOut, error) {
	if err != nil {
		return nil, err
	}
	return &routeOut{Revision: r.Version, Body: routeOf(r)}, nil
}
