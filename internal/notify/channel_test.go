package notify

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// telling is a rig with channels and connectors.
func telling(t *testing.T, db *sqldb.DB) *rig {
	t.Helper()
	sealer, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	public := func() string { return "https://kyra.example" }
	return newRig(t, db, func(c *Config) {
		c.Connectors = connector.New(connector.Config{DB: db, Hooks: c.Hooks, Sealer: sealer, Guard: c.Guard, Render: Renderer(public), Alerts: alert.New(db), Events: &arrival.Reader{DB: db, Events: &memory.Store{}}, Log: slog.New(slog.DiscardHandler), Now: c.Now})
		c.Notices = notice.New(notice.Config{DB: db, Hooks: c.Hooks, Sealer: sealer, CheckURL: c.Guard.CheckURL, Render: Renderer(public), Link: Link(public), Log: slog.New(slog.DiscardHandler), Now: c.Now})
	})
}

// A storm of 100 becomes some messages and one that stands for the rest, and no other.
func TestStormBecomesDigest(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r := telling(t, db)
		rc := newReceiver(t, nil)
		c, err := r.n.Notices.CreateChannel(t.Context(), tenantNo, "test", notice.ChannelDraft{Name: "SOC", Kind: notice.Generic, URL: rc.URL, Digest: &notice.Digest{Above: 5, Minutes: 10}})
		if err != nil {
			t.Fatal(err)
		}
		name := "all"
		if _, err := r.n.Notices.CreateRoute(t.Context(), tenantNo, "test", notice.RoutePatch{Name: &name, Channels: []string{c.ID}}); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			r.tell(outbox.AlertCreated, fmt.Sprint("object ", i))
		}
		r.settle()
		if n := len(rc.got); n != 5 {
			t.Fatalf("%d were sent at once, want 5", n)
		}
		r.pass(11 * time.Minute)
		if err := r.n.Notices.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if n := len(rc.got); n != 6 || rc.got[5].event != notice.DigestEvent {
			t.Fatalf("%d were sent in all, the last of %s", n, rc.got[n-1].event)
		}
		log, _, err := r.hooks.Of(webhook.OfChannel).Deliveries(t.Context(), tenantNo, c.ID, webhook.LogQuery{Event: notice.DigestEvent, Size: 1})
		if err != nil || len(log) != 1 || !strings.Contains(log[0].Body, "95 messages") || !strings.Contains(log[0].Body, "95 high") {
			t.Errorf("digest %v, %v", log, err)
		}
		if _, total, unread, err := r.n.Notices.List(t.Context(), notice.Reader{Tenant: tenantNo, ID: "key"}, notice.Filter{}, false, 0, 1); err != nil || total != 100 || unread != 100 {
			t.Errorf("%d notices, %d unread, %v", total, unread, err)
		}
	})
}
