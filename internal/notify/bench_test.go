package notify

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sqldb/sqldbtest"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// BenchmarkDeliver sends 5,000 messages to a receiver that is well, beside ten that never
// answer, from the outbox to the log.
func BenchmarkDeliver(b *testing.B) {
	sqldbtest.EachBench(b, func(b *testing.B, db *sqldb.DB) {
		const messages = 5000
		r := newRig(b, db, func(c *Config) { c.Now, c.Timeout = time.Now, 10*time.Second })
		var got atomic.Int64
		well := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			got.Add(1)
		}))
		defer well.Close()
		dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			<-q.Context().Done()
		}))
		defer dead.Close()
		hook := r.hook("well", well.URL, outbox.AlertCreated)
		for i := range 10 {
			r.hook(fmt.Sprint("dead ", i), dead.URL, outbox.AlertCreated)
		}
		var spent time.Duration
		for n := range b.N {
			b.StopTimer()
			err := db.Tx(b.Context(), func(tx *sqldb.DB) error {
				for i := range messages {
					if err := outbox.Add(b.Context(), tx, outbox.Message{Tenant: tenantNo, Event: outbox.AlertCreated, Kind: "alerts", Object: fmt.Sprint(n, "-", i), Title: "T", Severity: "high"}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			begin := time.Now()
			for got.Load() < int64((n+1)*messages) {
				r.n.round(b.Context())
			}
			for len(r.log(hook.ID, webhook.Pending)) > 0 {
				r.n.round(b.Context())
			}
			spent += time.Since(begin)
		}
		b.ReportMetric(float64(b.N*messages)/spent.Seconds(), "deliveries/s")
		dead.CloseClientConnections()
		r.n.work.Wait()
	})
}
