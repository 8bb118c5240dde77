package notify

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// TestEvent is the event of a test unless another is asked for.
const TestEvent = "webhook.test"

// Test sends the tenant's webhook a message that tells nothing, waits for the answer, and
// returns the delivery as it stands in the log. event is one of outbox.Events or empty.
func (n *Notifier) Test(ctx context.Context, tenant uint32, id, event string) (*webhook.Delivery, error) {
	w, err := n.Hooks.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	select {
	case n.testing <- struct{}{}:
		defer func() { <-n.testing }()
	default:
		return nil, fault.New(fault.Unavailable, "other webhooks are being tested, try again")
	}
	if event == "" {
		event = TestEvent
	}
	d, err := n.Hooks.NewTest(w, &outbox.Message{
		Tenant: tenant, Event: event, Kind: "webhooks", Object: w.ID, Title: "Test of the webhook " + w.Name, Severity: "info", At: n.now(),
		Text: "This is a test. Nothing happened, and nothing needs to be done.",
	})
	if err != nil {
		return nil, err
	}
	keys, err := n.Hooks.Keys(w)
	if err != nil {
		return nil, err
	}
	return d, n.Hooks.KeepTest(ctx, w, d, n.attempt(ctx, w, keys, d))
}

// Request is what a delivery was sent with at its last attempt, or would be now, but for
// the signature.
func (n *Notifier) Request(d *webhook.Delivery) map[string]string {
	at := n.now()
	if d.AttemptedAt != nil {
		at = d.AttemptedAt.Add(-d.Latency)
	}
	out := map[string]string{}
	for name, v := range requestHeader(n.agent, d.ID, at) {
		out[name] = v[0]
	}
	return out
}
