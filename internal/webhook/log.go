package webhook

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// LogQuery chooses deliveries of a webhook.
type LogQuery struct {
	States     []State // none: all
	Event      string  // "": all
	Object     string  // "": all
	Ascending  bool
	Page, Size int
}

// Deliveries returns one page of the webhook's log, newest first unless asked otherwise,
// and how many deliveries there are.
func (s *Service) Deliveries(ctx context.Context, tenant uint32, id string, q LogQuery) (list []Delivery, total int64, err error) {
	order := " ORDER BY id DESC"
	if q.Ascending {
		order = " ORDER BY id"
	}
	in := func(st State) bool { return len(q.States) == 0 || slices.Contains(q.States, st) }
	const where = ` WHERE webhook_id = $1 AND ((state = 'PENDING' AND $2) OR (state = 'DELIVERED' AND $3) OR (state = 'FAILED' AND $4)) AND ($5 = '' OR event = $5) AND ($6 = '' OR object = $6)`
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		w, err := s.byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		args := []any{w.ID, in(Pending), in(Delivered), in(Failed), q.Event, q.Object}
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM webhook_delivery`+where, args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scanDelivery, selectDelivery+where+order+` LIMIT $7 OFFSET $8`, append(args, q.Size, q.Page*q.Size)...)
		return err
	})
	return list, total, fault.Wrap("list deliveries", err)
}

// Delivery returns one delivery of the tenant's webhook.
func (s *Service) Delivery(ctx context.Context, tenant uint32, id, delivery string) (*Delivery, error) {
	w, err := s.byID(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fault.Wrap("get delivery", err)
	}
	d, err := deliveryByID(ctx, s.db, w.ID, delivery)
	return d, fault.Wrap("get delivery", err)
}

func deliveryByID(ctx context.Context, db *sqldb.DB, webhook, id string) (*Delivery, error) {
	if !isID(id) {
		return nil, errNoDelivery
	}
	d, err := sqldb.One(ctx, db, scanDelivery, selectDelivery+` WHERE id = $1 AND webhook_id = $2`, id, webhook)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoDelivery
	}
	return &d, err
}

// NewTest returns a delivery that tells m to the webhook at once; KeepTest puts it into
// the log with what became of it. It is not tried again.
func (s *Service) NewTest(w *Webhook, m *outbox.Message) (*Delivery, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("test webhook", err)
	}
	now := s.now()
	return &Delivery{ID: id.String(), WebhookID: w.ID, Event: m.Event, Object: m.Object, Body: s.Render(w.Format, m), CreatedAt: now, NextAt: now, ExpiresAt: now, Attempts: 1}, nil
}

// KeepTest puts a test into the log.
func (s *Service) KeepTest(ctx context.Context, w *Webhook, d *Delivery, r Result) error {
	d.State = Failed
	if r.OK {
		d.State = Delivered
	}
	d.AttemptedAt, d.Status, d.Answer, d.Error, d.Latency = &r.At, r.Status, r.Answer, r.Error, r.Latency
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if r.OK { // it proves that the receiver is there, as any delivery does
			if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET last_success = $2 WHERE id = $1 AND (last_success IS NULL OR last_success < $2)`, w.ID, r.At.UnixMicro()); err != nil {
				return err
			}
		}
		_, err := sqldb.Exec(ctx, tx, `INSERT INTO webhook_delivery (id, tenant, webhook_id, message_id, event, object, state, body, attempts, next_at, expires_at, created_at, attempted_at, status, answer, error, latency)
			VALUES ($1, $2, $3, '', $4, $5, $6, $7, 1, $8, $8, $8, $9, $10, $11, $12, $13)`,
			d.ID, int64(w.Tenant), w.ID, d.Event, d.Object, string(d.State), d.Body, d.CreatedAt.UnixMicro(), r.At.UnixMicro(), d.Status, d.Answer, d.Error, d.Latency.Microseconds())
		return err
	})
	if sqldb.Violation(err) == sqldb.ForeignKey {
		return errNoWebhook // deleted meanwhile
	}
	return fault.Wrap("keep test", err)
}

func isKind(err error, k fault.Kind) bool { return err != nil && errors.Is(err, k) }
