package notify

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// TestEvent is the event of a test unless another is asked for.
const TestEvent = "webhook.test"

// ChannelTestEvent is that of a notification channel.
const ChannelTestEvent = "channel.test"

// Test sends the tenant's webhook a message that tells nothing, waits for the answer, and
// returns the delivery as it stands in the log. event is one of outbox.Events or empty.
func (n *Notifier) Test(ctx context.Context, tenant uint32, id, event string) (*webhook.Delivery, error) {
	if event == "" {
		event = TestEvent
	}
	return n.test(ctx, n.Hooks, tenant, id, webhook.Standard, &outbox.Message{Event: event, Kind: "webhooks", Title: "Test of the webhook "})
}

// TestChannel does what Test does with a notification channel, whose messages have the
// given format.
func (n *Notifier) TestChannel(ctx context.Context, tenant uint32, id string, f webhook.Format) (*webhook.Delivery, error) {
	return n.test(ctx, n.Hooks.Of(webhook.OfChannel), tenant, id, f, &outbox.Message{Event: ChannelTestEvent, Kind: "notification-channels", Title: "Test of the channel "})
}

func (n *Notifier) test(ctx context.Context, hooks *webhook.Service, tenant uint32, id string, f webhook.Format, m *outbox.Message) (*webhook.Delivery, error) {
	w, err := hooks.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if w.Owner != webhook.Alone {
		w.Format = f
	}
	select {
	case n.testing <- struct{}{}:
		defer func() { <-n.testing }()
	default:
		return nil, fault.New(fault.Unavailable, "others are being tested, try again")
	}
	m.Tenant, m.Object, m.Severity, m.At, m.Text = tenant, w.ID, "info", n.now(), "This is a test. Nothing happened, and nothing needs to be done."
	m.Title += w.Name
	d, err := hooks.NewTest(w, m)
	if err != nil {
		return nil, err
	}
	keys, err := n.keys(w)
	if err != nil {
		return nil, err
	}
	return d, hooks.KeepTest(ctx, w, d, n.attempt(ctx, w, keys, d))
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
