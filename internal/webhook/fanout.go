package webhook

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// TryFor is how long a delivery is tried, from its creation or its last replay.
const TryFor = 3 * 24 * time.Hour

// Sink makes the deliveries of messages: one for each enabled webhook that wants one.
func (s *Service) Sink(ctx context.Context, tx *sqldb.DB, messages []outbox.Message) error {
	hooks := map[uint32][]Webhook{}
	var made []Delivery
	var of []*outbox.Message
	for i := range messages {
		m := &messages[i]
		list, ok := hooks[m.Tenant]
		if !ok {
			var err error
			if list, err = sqldb.All(ctx, tx, s.scan, selectWebhook+` WHERE tenant = $1 AND owner = '' AND enabled ORDER BY id`, int64(m.Tenant)); err != nil {
				return fault.Wrap("find webhooks", err)
			}
			hooks[m.Tenant] = list
		}
		for j := range list {
			if list[j].wants(m) {
				made = append(made, Delivery{WebhookID: list[j].ID, Body: s.Render(list[j].Format, m)})
				of = append(of, m)
			}
		}
	}
	return fault.Wrap("make deliveries", s.insert(ctx, tx, made, of))
}

// insert stores pending deliveries of messages. Those that are there already stay.
func (s *Service) insert(ctx context.Context, tx *sqldb.DB, made []Delivery, of []*outbox.Message) error {
	const columns, atOnce = 10, 100
	now := s.now()
	for from := 0; from < len(made); from += atOnce {
		part := made[from:min(from+atOnce, len(made))]
		args := make([]any, 0, len(part)*columns)
		for i := range part {
			m := of[from+i]
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			args = append(args, id.String(), int64(m.Tenant), part[i].WebhookID, m.ID, m.Event, m.Object, part[i].Body, now.UnixMicro(), now.Add(TryFor).UnixMicro(), now.UnixMicro())
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO webhook_delivery (id, tenant, webhook_id, message_id, event, object, state, body, next_at, expires_at, created_at) `+
			`SELECT v.id, v.tenant, v.webhook_id, v.message_id, v.event, v.object, 'PENDING', v.body, v.next_at, v.expires_at, v.created_at FROM (`+typedRows(len(part))+`) v WHERE true
			ON CONFLICT DO NOTHING`, args...); err != nil {
			return err
		}
	}
	return nil
}

// typedRows is a table of n rows of parameters whose types both databases know.
func typedRows(n int) string {
	columns := [][2]string{
		{"id", "TEXT"},
		{"tenant", "BIGINT"},
		{"webhook_id", "TEXT"},
		{"message_id", "TEXT"},
		{"event", "TEXT"},
		{"object", "TEXT"},
		{"body", "TEXT"},
		{"next_at", "BIGINT"},
		{"expires_at", "BIGINT"},
		{"created_at", "BIGINT"},
	}
	var b strings.Builder
	p := 0
	for i := range n {
		if i > 0 {
			b.WriteString(" UNION ALL ")
		}
		b.WriteString("SELECT ")
		for j, c := range columns {
			if j > 0 {
				b.WriteString(", ")
			}
			p++
			b.WriteString("CAST($" + strconv.Itoa(p) + " AS " + c[1] + ") AS " + c[0])
		}
	}
	return b.String()
}

// Replay has a delivery that has ended sent again, with the same body and id; one that
// is pending is tried at once. It takes an enabled webhook.
func (s *Service) Replay(ctx context.Context, tenant uint32, actor, id, delivery string) (*Delivery, error) {
	var d *Delivery
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w, err := s.replayable(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if d, err = deliveryByID(ctx, tx, w.ID, delivery); err != nil {
			return err
		}
		if err := s.requeue(ctx, tx, []string{d.ID}); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: s.owner.words().noun + ".replay", Object: w.ID, Detail: map[string]any{"delivery": d.ID}}); err != nil {
			return err
		}
		d, err = deliveryByID(ctx, tx, w.ID, delivery)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("replay delivery", err)
	}
	return d, nil
}

func (s *Service) replayable(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (*Webhook, error) {
	w, err := s.byID(ctx, tx, tenant, id)
	if err == nil && !w.Enabled {
		err = fault.New(fault.Conflict, "%s is disabled: enable it first", s.owner.words().lower)
	}
	return w, err
}

func (s *Service) requeue(ctx context.Context, tx *sqldb.DB, ids []string) error {
	now := s.now()
	for _, id := range ids {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook_delivery SET state = 'PENDING', attempts = CASE WHEN state = 'PENDING' THEN attempts ELSE 0 END, next_at = $2, expires_at = $3 WHERE id = $1`,
			id, now.UnixMicro(), now.Add(TryFor).UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// MaxReplay is how many deliveries one ReplayRange sends again at most.
const MaxReplay = 10_000

// A Range chooses what ReplayRange sends again: what was made from From on and before To.
type Range struct {
	From, To time.Time
	States   []State // ended ones; none means Failed
	Missed   bool    // also what happened while the webhook was disabled, or before it was there
}

// Replayed tells what a ReplayRange found.
type Replayed struct {
	Again int  // deliveries that are sent again
	New   int  // messages that had no delivery
	More  bool // there are more: call again with a later From, or once these are delivered
}

// ReplayRange has all ended deliveries of a range sent again, oldest first. It takes an
// enabled webhook.
func (s *Service) ReplayRange(ctx context.Context, tenant uint32, actor, id string, r Range) (Replayed, error) {
	if !r.From.Before(r.To) {
		return Replayed{}, fault.New(fault.Invalid, "Allowed: a time before to").In("from")
	}
	if len(r.States) == 0 {
		r.States = []State{Failed}
	}
	var n Replayed
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n = Replayed{}
		w, err := s.replayable(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		ids, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM webhook_delivery
			WHERE webhook_id = $1 AND created_at >= $2 AND created_at < $3 AND message_id <> '' AND ((state = 'FAILED' AND $4) OR (state = 'DELIVERED' AND $5)) ORDER BY id LIMIT $6`,
			w.ID, r.From.UnixMicro(), r.To.UnixMicro(), slices.Contains(r.States, Failed), slices.Contains(r.States, Delivered), MaxReplay+1)
		if err != nil {
			return err
		}
		n.More = len(ids) > MaxReplay
		ids = ids[:min(len(ids), MaxReplay)]
		n.Again = len(ids)
		if err := s.requeue(ctx, tx, ids); err != nil {
			return err
		}
		if r.Missed {
			made, more, err := s.missed(ctx, tx, w, r)
			if err != nil {
				return err
			}
			n.New, n.More = made, n.More || more
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: s.owner.words().noun + ".replay", Object: w.ID, Detail: map[string]any{
			"from": r.From, "to": r.To, "states": r.States, "again": n.Again, "new": n.New,
		}})
	})
	return n, fault.Wrap("replay deliveries", err)
}

// missed makes deliveries of what the webhook wants and was never sent.
func (s *Service) missed(ctx context.Context, tx *sqldb.DB, w *Webhook, r Range) (n int, more bool, err error) {
	messages, err := outbox.Range(ctx, tx, w.Tenant, r.From, r.To, MaxReplay+1)
	if err != nil {
		return 0, false, err
	}
	have, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT d.message_id FROM webhook_delivery d JOIN outbox_message m ON m.id = d.message_id
		WHERE d.webhook_id = $1 AND m.tenant = $2 AND m.at >= $3 AND m.at < $4`, w.ID, int64(w.Tenant), r.From.UnixMicro(), r.To.UnixMicro())
	if err != nil {
		return 0, false, err
	}
	known := make(map[string]bool, len(have))
	for _, id := range have {
		known[id] = true
	}
	var made []Delivery
	var of []*outbox.Message
	for i := range messages[:min(len(messages), MaxReplay)] {
		if m := &messages[i]; !known[m.ID] && w.wants(m) {
			made = append(made, Delivery{WebhookID: w.ID, Body: s.Render(w.Format, m)})
			of = append(of, m)
		}
	}
	return len(made), len(messages) > MaxReplay, s.insert(ctx, tx, made, of)
}
