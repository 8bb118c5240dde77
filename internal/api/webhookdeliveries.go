package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

type (
	// DeliveryItem is one message for one receiver.
	DeliveryItem struct {
		ID            string           `json:"id" format:"uuid" doc:"The header webhook-id, the same on every attempt."`
		WebhookID     string           `json:"webhookId" format:"uuid"`
		Event         string           `json:"event"`
		ObjectID      string           `json:"objectId" doc:"Of what it is about."`
		State         string           `json:"state" enum:"PENDING,DELIVERED,FAILED"`
		Attempts      int64            `json:"attempts" doc:"Since it was made, or replayed last."`
		CreatedAt     time.Time        `json:"createdAt"`
		LastAttemptAt *time.Time       `json:"lastAttemptAt" nullable:"true" doc:"When the last attempt ended."`
		NextAttemptAt *time.Time       `json:"nextAttemptAt" nullable:"true" doc:"null: none is to come."`
		ExpiresAt     *time.Time       `json:"expiresAt" nullable:"true" doc:"When a pending one is given up."`
		Error         *string          `json:"error" nullable:"true" doc:"Why the last attempt failed."`
		Request       deliveryRequest  `json:"request"`
		Response      deliveryResponse `json:"response" doc:"To the last attempt."`
		LatencyMs     *float64         `json:"latencyMs" nullable:"true" doc:"Of the last attempt."`

		_ struct{} `additionalProperties:"true"`
	}
	deliveryRequest struct {
		Headers map[string]string `json:"headers" doc:"Without the signature."`
		Body    string            `json:"body"`

		_ struct{} `additionalProperties:"true"`
	}
	deliveryResponse struct {
		Status *int   `json:"status" nullable:"true" doc:"null: nothing answered."`
		Body   string `json:"body" doc:"The first 1,000 bytes."`

		_ struct{} `additionalProperties:"true"`
	}
	testResult struct {
		Success bool `json:"success"`
		DeliveryItem
	}
	testedOut   struct{ Body testResult }
	deliveryOut struct{ Body DeliveryItem }
	deliveryIn  struct {
		ID       string `path:"id"`
		Delivery string `path:"delivery"`
	}
	replayRangeIn struct {
		ID   string `path:"id"`
		Body struct {
			From   string `json:"from" format:"date-time" doc:"Deliveries made then or later."`
			To     string `json:"to,omitempty" format:"date-time" doc:"And before then; now, when left out."`
			States []word `json:"states,omitempty" nullable:"false" doc:"FAILED, DELIVERED; FAILED when left out."`
			Missed *bool  `json:"missed,omitempty" doc:"Also what happened while the webhook was disabled or before it was made; false when left out."`
		}
	}
	replayedOut struct {
		Body struct {
			Replayed int  `json:"replayed" doc:"Deliveries that are sent again."`
			Created  int  `json:"created" doc:"Messages that had no delivery."`
			More     bool `json:"more" doc:"The range has more than one call sends again: call again with a later from."`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) deliveryOf(d *webhook.Delivery) DeliveryItem {
	item := DeliveryItem{
		ID: d.ID, WebhookID: d.WebhookID, Event: d.Event, ObjectID: d.Object, State: string(d.State), Attempts: d.Attempts, CreatedAt: d.CreatedAt, LastAttemptAt: d.AttemptedAt,
		Error: orNull(d.Error), Request: deliveryRequest{Headers: a.Notifier.Request(d), Body: d.Body},
	}
	if d.State == webhook.Pending {
		item.NextAttemptAt, item.ExpiresAt = &d.NextAt, &d.ExpiresAt
	}
	if d.Status != 0 {
		item.Response = deliveryResponse{Status: &d.Status, Body: d.Answer}
	}
	if d.AttemptedAt != nil {
		item.LatencyMs = new(float64(d.Latency.Microseconds()) / 1000)
	}
	return item
}

var deliveryFilters = append(paging("createdAt"),
	param{name: "state", doc: "Filter by state.", kind: enum, values: asTexts(webhook.States), many: true},
	param{name: "event", doc: "Filter by event.", kind: enum, values: append([]string{"webhook.test"}, outbox.Events...)},
	param{name: "objectId", doc: "Filter by what they are about."})

func (a *api) webhookDeliveries(tag string) {
	handle(a, operation{
		id: "listDeliveries", method: http.MethodGet, path: "/webhooks/{id}/deliveries", tag: tag, summary: "List what a webhook was sent", uuid: true,
		doc:    "What has ended is kept for 30 days.",
		params: deliveryFilters,
	}, func(ctx context.Context, c *call, in *byID) (*pageOut[DeliveryItem], error) {
		return a.deliveriesOf(ctx, c, a.Webhooks, in.ID)
	})
	handle(a, operation{
		id: "getDelivery", method: http.MethodGet, path: "/webhooks/{id}/deliveries/{delivery}", tag: tag, summary: "Get a delivery", uuid: true, single: true,
	}, func(ctx context.Context, c *call, in *deliveryIn) (*deliveryOut, error) {
		return a.outOfDelivery(a.Webhooks.Delivery(ctx, c.Tenant.Number, in.ID, in.Delivery))
	})
	handle(a, operation{
		id: "replayDelivery", method: http.MethodPost, path: "/webhooks/{id}/deliveries/{delivery}/replay", tag: tag, summary: "Send a delivery again", status: http.StatusAccepted, uuid: true,
		doc: "With the same body and webhook-id. One that is pending is tried at once. A disabled webhook is 409.",
	}, func(ctx context.Context, c *call, in *deliveryIn) (*deliveryOut, error) {
		return a.outOfDelivery(a.Webhooks.Replay(ctx, c.Tenant.Number, c.Actor, in.ID, in.Delivery))
	})
	handle(a, operation{
		id: "replayDeliveries", method: http.MethodPost, path: "/webhooks/{id}/deliveries/replay", tag: tag, summary: "Send a range of deliveries again", status: http.StatusAccepted, uuid: true,
		doc: "At most 10,000 at a time, oldest first. A disabled webhook is 409.",
	}, a.replayDeliveries)
}

func (a *api) outOfDelivery(d *webhook.Delivery, err error) (*deliveryOut, error) {
	if err != nil {
		return nil, err
	}
	return &deliveryOut{a.deliveryOf(d)}, nil
}

// deliveriesOf lists what a receiver of one owner was sent.
func (a *api) deliveriesOf(ctx context.Context, c *call, hooks *webhook.Service, id string) (*pageOut[DeliveryItem], error) {
	q, asked := c.query, c.query.paging("createdAt")
	list, total, err := hooks.Deliveries(ctx, c.Tenant.Number, id, webhook.LogQuery{
		States: words[webhook.State](q.all("state")), Event: q.one("event"), Object: q.one("objectId"), Ascending: asked.ascending, Page: asked.page, Size: asked.size,
	})
	// Others were found by who asks here; not all of them have a receiver.
	if err != nil && (hooks == a.Webhooks || !errors.Is(err, fault.NotFound)) {
		return nil, err
	}
	return pageOf(asked, total, list, a.deliveryOf), nil
}

func (a *api) replayDeliveries(ctx context.Context, c *call, in *replayRangeIn) (*replayedOut, error) {
	b := &in.Body
	r := webhook.Range{To: a.Now(), Missed: b.Missed != nil && *b.Missed}
	var wrong string
	if r.From, wrong = parseMoment(b.From); wrong != "" {
		return nil, invalid("from", wrong)
	}
	if b.To != "" {
		if r.To, wrong = parseMoment(b.To); wrong != "" {
			return nil, invalid("to", wrong)
		}
	}
	for _, st := range b.States {
		s, bad := st.among("states", []string{string(webhook.Failed), string(webhook.Delivered)})
		if bad != nil {
			return nil, bad
		}
		r.States = append(r.States, webhook.State(s))
	}
	n, err := a.Webhooks.ReplayRange(ctx, c.Tenant.Number, c.Actor, in.ID, r)
	if err != nil {
		return nil, err
	}
	out := &replayedOut{}
	out.Body.Replayed, out.Body.Created, out.Body.More = n.Again, n.New, n.More
	return out, nil
}
