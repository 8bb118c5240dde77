package webhook

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Owner is the kind of object that a receiver serves. Webhooks stand alone; receivers
// of others have the id of what they serve, get what it queues, and share with webhooks
// the order, the repeats, the log and the end after three days.
type Owner string

// The owners.
const (
	Alone       Owner = ""
	OfChannel   Owner = "channel"   // a channel of notifications
	OfConnector Owner = "connector" // a connector that takes messages
)

// words are how an owner is named when it is given up.
type words struct{ title, lower, event, kind, noun string }

func (o Owner) words() words {
	switch o {
	case OfChannel:
		return words{"Notification channel", "the channel", outbox.ChannelDisabled, "notification-channels", "channel"}
	case OfConnector:
		return words{"Connector", "the connector", outbox.ConnectorDisabled, "connectors", "connector"}
	}
	return words{"Webhook", "the webhook", outbox.WebhookDisabled, "webhooks", "webhook"}
}

// Of returns the use cases of another owner's receivers: Get, Deliveries, Delivery,
// Replay, ReplayRange without Missed, NewTest and KeepTest. What changes them is below.
func (s *Service) Of(o Owner) *Service {
	other := *s
	other.owner = o
	return &other
}

// Own makes the receiver of an object, in the transaction that makes the object.
func (s *Service) Own(ctx context.Context, tx *sqldb.DB, w *Webhook) error {
	now := s.now()
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO webhook (id, tenant, owner, name, url, format, events, filters, enabled, secret, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, '', '', '[]', '{}', $5, $6, $7, $8, $7)`,
		w.ID, int64(w.Tenant), string(s.owner), w.Name, w.Enabled, []byte{}, now.UnixMicro(), w.CreatedBy)
	return fault.Wrap("make receiver", err)
}

// Owned changes name and state of an object's receiver, in the transaction that changes
// the object. anew says that the target is another, so that what it failed at is forgotten.
func (s *Service) Owned(ctx context.Context, tx *sqldb.DB, tenant uint32, id, name string, enabled, anew bool) error {
	w, err := s.byID(ctx, tx, tenant, id)
	if err != nil {
		return fault.Wrap("change receiver", err)
	}
	was := w.Enabled
	if enabled && (!was || anew) {
		w.Failures, w.FailingSince, w.NotBefore, w.LastError, w.DisabledReason = 0, nil, time.UnixMicro(0).UTC(), "", ""
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET name = $2, enabled = $3, disabled_reason = $4, failures = $5, failing_since = $6, not_before = $7, last_error = $8, updated_at = $9 WHERE id = $1`,
		id, name, enabled, w.DisabledReason, w.Failures, sqldb.Nullable(w.FailingSince), w.NotBefore.UnixMicro(), w.LastError, s.now().UnixMicro()); err != nil {
		return fault.Wrap("change receiver", err)
	}
	if was && !enabled {
		return fault.Wrap("change receiver", giveUp(ctx, tx, id, s.owner.words().lower+" was disabled"))
	}
	return nil
}

// Disown removes an object's receiver and its log, in the transaction that removes the object.
func (s *Service) Disown(ctx context.Context, tx *sqldb.DB, id string) error {
	for _, q := range []string{`DELETE FROM webhook_delivery WHERE webhook_id = $1`, `DELETE FROM webhook WHERE id = $1 AND owner <> ''`} {
		if _, err := sqldb.Exec(ctx, tx, q, id); err != nil {
			return fault.Wrap("remove receiver", err)
		}
	}
	return nil
}

// Receivers returns the tenant's receivers of the owner, by id.
func (s *Service) Receivers(ctx context.Context, tx *sqldb.DB, tenant uint32) (map[string]Webhook, error) {
	list, err := sqldb.All(ctx, tx, s.scan, selectWebhook+` WHERE tenant = $1 AND owner = $2`, int64(tenant), string(s.owner))
	if err != nil {
		return nil, fault.Wrap("find receivers", err)
	}
	all := make(map[string]Webhook, len(list))
	for _, w := range list {
		all[w.ID] = w
	}
	return all, nil
}

// A Queued is a message for one receiver, with the body that it is to get.
type Queued struct {
	Receiver, Body string
	Message        *outbox.Message
}

// Queue makes pending deliveries, in the transaction of a sink or of the object. One
// message is queued once for a receiver, however often it is asked.
func (s *Service) Queue(ctx context.Context, tx *sqldb.DB, list []Queued) error {
	made, of := make([]Delivery, len(list)), make([]*outbox.Message, len(list))
	for i, q := range list {
		made[i], of[i] = Delivery{WebhookID: q.Receiver, Body: q.Body}, q.Message
	}
	return fault.Wrap("queue deliveries", s.insert(ctx, tx, made, of))
}
