package notify

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/webhook"
)

const (
	pageSize  = 256
	maxWidth  = 32 // attempts at one receiver at a time
	probe     = 5  // deliveries that one who fails is tried with
	giveUp    = 5  // failures in a row that end a page
	pageBegun = 20 * time.Second
)

// A lane serves one receiver. It begins narrow and widens with success; a failure makes
// it as narrow as can be, so that a dead receiver holds one slot.
type lane struct {
	running bool
	width   int
	failing bool
	latency time.Duration // of late
}

// start has the webhook served, unless it is already.
func (n *Notifier) start(ctx context.Context, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.lanes[id]
	if l == nil {
		l = &lane{width: 1}
		n.lanes[id] = l
	}
	if l.running || n.busy >= maxLanes {
		return
	}
	l.running = true
	n.busy++
	n.work.Go(func() {
		n.serve(ctx, id, l)
		n.mu.Lock()
		defer n.mu.Unlock()
		l.running = false
		n.busy--
	})
}

// forget drops what is remembered of receivers that have nothing to get.
func (n *Notifier) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, l := range n.lanes {
		if !l.running && !l.failing {
			delete(n.lanes, id)
		}
	}
}

// serve sends what is due, page by page, until nothing is or the receiver fails.
func (n *Notifier) serve(ctx context.Context, id string, l *lane) {
	for ctx.Err() == nil {
		limit := pageSize
		if l.failing {
			limit = probe
		}
		w, list, err := n.Hooks.Take(ctx, id, n.Holder, limit)
		if err != nil || w == nil || len(list) == 0 {
			n.report(ctx, "due deliveries not read", err)
			return
		}
		l.failing = w.Failures > 0
		results := n.page(ctx, w, list, l)
		if len(results) == 0 {
			return
		}
		// What was sent is noted even while stopping: else it would be sent again.
		disabled, err := n.Hooks.Finish(context.WithoutCancel(ctx), id, results)
		if err != nil {
			n.Log.WarnContext(ctx, "deliveries not noted: they will be repeated", "webhook", id, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			return
		}
		if disabled {
			n.counts.disabled.Inc()
			n.Log.WarnContext(ctx, "webhook disabled", "webhook", id, "tenant", w.Tenant, "reason", results[len(results)-1].Error)
			return
		}
	}
}

// page sends deliveries, several at a time, and returns what became of those that were
// begun. It stops early when the receiver fails or asks for rest.
func (n *Notifier) page(ctx context.Context, w *webhook.Webhook, list []webhook.Delivery, l *lane) []webhook.Result {
	keys, err := n.keys(w)
	if err != nil {
		n.Log.ErrorContext(ctx, "secret of a webhook cannot be read", "webhook", w.ID, "err", err)
		return []webhook.Result{{Delivery: list[0].ID, At: n.now(), Error: "the secret cannot be read: see the server's log"}}
	}
	began, failures, rest := time.Now(), 0, false
	ended := make(chan webhook.Result, len(list))
	var results []webhook.Result
	for next, running := 0, 0; ; {
		for next < len(list) && running < l.width && failures < giveUp && !rest && time.Since(began) < pageBegun {
			slots := n.fast
			if l.failing || l.latency > slow {
				slots = n.slow
			}
			if !take(ctx, slots) {
				rest = true
				break
			}
			d := &list[next]
			next++
			running++
			n.work.Go(func() {
				defer func() { <-slots }()
				ended <- n.attempt(context.WithoutCancel(ctx), w, keys, d)
			})
		}
		if running == 0 {
			return results
		}
		r := <-ended
		running--
		results = append(results, r)
		l.latency = (3*l.latency + r.Latency) / 4
		if r.OK {
			n.counts.delivered.Inc()
			l.width, l.failing, failures = min(2*l.width, maxWidth), false, 0
			continue
		}
		n.counts.failed.Inc()
		l.width, l.failing = 1, true
		failures++
		rest = rest || r.Gone || r.RetryAfter > 0
	}
}

// keys are those that sign; receivers that serve something else have none.
func (n *Notifier) keys(w *webhook.Webhook) ([][]byte, error) {
	if w.Owner != webhook.Alone {
		return nil, nil
	}
	return n.Hooks.Keys(w)
}

func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return ctx.Err() == nil || release(slots)
	case <-ctx.Done():
		return false
	}
}

// release gives a slot back and returns false.
func release(slots chan struct{}) bool {
	<-slots
	return false
}
