package notify

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
)

// TestMetricsOfWhatWaits: what waits is a gauge, what was given up a counter.
func TestMetricsOfWhatWaits(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r := newRig(t, db)
		w := r.hook("gone", "http://127.0.0.1:1/", outbox.AlertCreated) // nobody listens
		r.tell(outbox.AlertCreated, "a", "b")
		want := func(lines ...string) {
			t.Helper()
			r.n.expire(t.Context())
			var b bytes.Buffer
			r.n.Metrics.WritePrometheus(&b)
			for _, line := range lines {
				if !strings.Contains(b.String(), line+"\n") {
					t.Errorf("no %s in\n%s", line, &b)
				}
			}
		}
		want("kyra_outbox_messages_waiting 2", "kyra_webhook_deliveries_waiting 0", "kyra_webhook_deliveries_expired_total 0")
		r.settle()
		want("kyra_outbox_messages_waiting 0", "kyra_webhook_deliveries_waiting 2", "kyra_webhook_deliveries_expired_total 0")
		r.pass(4 * 24 * time.Hour)
		want("kyra_webhook_deliveries_waiting 0", "kyra_webhook_deliveries_expired_total 2")
		if list := r.log(w.ID, "FAILED"); len(list) != 2 {
			t.Errorf("%d deliveries were given up, want 2", len(list))
		}
	})
}
