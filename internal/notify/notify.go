// Package notify tells receivers outside what happened: it drains the outbox, sends
// each delivery until its receiver has taken it or time is up, and keeps one receiver's
// trouble from the others. Who gets what, and when it is tried again, package webhook
// decides.
package notify

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Config is what a Notifier needs; all but Now and Timeout is required. Where Notices and
// Connectors are nil, nobody but webhooks is told.
type Config struct {
	DB    *sqldb.DB
	Hooks *webhook.Service
	Guard *outbound.Guard

	Notices    *notice.Service
	Connectors *connector.Service
	Playbooks  outbox.Sink // nil: messages set no playbook off

	Holder  string // names this server among those of one database, the same after a restart
	Version string // of the program, for User-Agent
	Metrics *metrics.Set
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
	Timeout time.Duration    // of one attempt; 0: 10 s
}

const (
	poll        = 100 * time.Millisecond
	fanOutBatch = 500

	// Receivers that are well and those that are slow or fail draw from separate pools,
	// so that the latter, however many, keep no slot from the former.
	fastSlots = 128
	slowSlots = 64
	maxLanes  = 512 // receivers that are being served at a time
	slow      = time.Second

	// KeepFor is how long messages and ended deliveries are kept.
	KeepFor = 30 * 24 * time.Hour
)

// Notifier delivers. Run does the work.
type Notifier struct {
	Config
	client     *http.Client
	agent      string
	fast, slow chan struct{}
	testing    chan struct{}
	sinks      []outbox.Sink
	counts     counts

	mu    sync.Mutex
	lanes map[string]*lane // by webhook
	busy  int              // lanes that run
	work  sync.WaitGroup
}

type counts struct {
	delivered, failed, disabled, told, expired *metrics.Counter

	messages, deliveries atomic.Int64 // that wait, of all servers, as of the last minute
}

// New returns a notifier; Run starts it.
func New(c Config) *Notifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	n := &Notifier{
		Config: c, agent: "KYRA/" + c.Version, lanes: map[string]*lane{},
		fast: make(chan struct{}, fastSlots), slow: make(chan struct{}, slowSlots), testing: make(chan struct{}, 8),
		client: c.Guard.Client(outbound.Limits{Connect: min(5*time.Second, c.Timeout), Total: c.Timeout, Body: maxDrain * 2, PerHost: fastSlots + slowSlots, Idle: fastSlots + slowSlots}),
		counts: counts{
			delivered: c.Metrics.NewCounter(`kyra_webhook_attempts_total{result="delivered"}`), failed: c.Metrics.NewCounter(`kyra_webhook_attempts_total{result="failed"}`),
			disabled: c.Metrics.NewCounter("kyra_webhook_disabled_total"), told: c.Metrics.NewCounter("kyra_outbox_messages_total"),
			expired: c.Metrics.NewCounter("kyra_webhook_deliveries_expired_total"),
		},
	}
	n.sinks = []outbox.Sink{c.Hooks.Sink}
	if c.Notices != nil {
		n.sinks = append(n.sinks, c.Notices.Sink)
	}
	if c.Connectors != nil {
		n.sinks = append(n.sinks, c.Connectors.Sink)
	}
	if c.Playbooks != nil {
		n.sinks = append(n.sinks, c.Playbooks)
	}
	c.Metrics.NewGauge("kyra_webhook_attempts_running", func() float64 { return float64(len(n.fast) + len(n.slow)) })
	c.Metrics.NewGauge("kyra_outbox_messages_waiting", func() float64 { return float64(n.counts.messages.Load()) })
	c.Metrics.NewGauge("kyra_webhook_deliveries_waiting", func() float64 { return float64(n.counts.deliveries.Load()) })
	return n
}

func (n *Notifier) now() time.Time { return n.Now() }

// Run delivers until ctx is done, and then lets attempts that have begun end.
func (n *Notifier) Run(ctx context.Context) error {
	defer n.work.Wait()
	defer n.client.CloseIdleConnections()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	_, err := n.Hooks.SealAddresses(ctx)
	n.report(ctx, "addresses not sealed", err)
	var expired, swept time.Time
	for {
		again := n.round(ctx)
		if now := n.now(); now.Sub(expired) >= time.Minute {
			expired = now
			n.expire(ctx)
			if now.Sub(swept) >= time.Hour {
				swept = now
				n.report(ctx, "deliveries not swept", drop(n.Hooks.Sweep(ctx, now.Add(-KeepFor))))
				n.report(ctx, "messages not swept", drop(outbox.Sweep(ctx, n.DB, now.Add(-KeepFor))))
				n.forget()
			}
		}
		if again && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// expire gives up what was tried for long enough, and counts what waits.
func (n *Notifier) expire(ctx context.Context) {
	gone, err := n.Hooks.Expire(ctx)
	n.report(ctx, "deliveries not given up", err)
	n.counts.expired.AddInt64(gone)
	for _, x := range []struct {
		into  *atomic.Int64
		count func(context.Context) (int64, error)
	}{
		{&n.counts.messages, func(ctx context.Context) (int64, error) { return outbox.Waiting(ctx, n.DB) }},
		{&n.counts.deliveries, n.Hooks.Waiting},
	} {
		waiting, err := x.count(ctx)
		n.report(ctx, "what waits was not counted", err)
		if err == nil {
			x.into.Store(waiting)
		}
	}
}

// round makes deliveries of what waits and starts the lanes that have something to do.
// It tells whether more waits.
func (n *Notifier) round(ctx context.Context) (again bool) {
	told, err := outbox.Dispatch(ctx, n.DB, n.now(), fanOutBatch, n.sinks...)
	n.report(ctx, "messages not dispatched", err)
	n.counts.told.Add(told)
	due, err := n.Hooks.Due(ctx, maxLanes)
	n.report(ctx, "due deliveries not found", err)
	for _, id := range due {
		n.start(ctx, id)
	}
	return told == fanOutBatch
}

func drop(_ int64, err error) error { return err }

func (n *Notifier) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		n.Log.WarnContext(ctx, "telling stands still", "what", what, "err", err)
	}
}
