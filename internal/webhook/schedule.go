package webhook

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// One server at a time delivers for a webhook: it holds it by a lease. Of each object
// only the oldest pending delivery is given out, so that a receiver hears of an object
// in order, however often one of its deliveries has to be repeated.

// Lease is how long a server holds a webhook that it took and says nothing more of.
const Lease = time.Minute

// oldest tells whether delivery d is the first pending one of its object.
const oldest = `NOT EXISTS (SELECT 1 FROM webhook_delivery e WHERE e.webhook_id = d.webhook_id AND e.object = d.object AND e.state = 'PENDING' AND e.message_id < d.message_id)`

// Due returns ids of up to limit webhooks that have something to deliver now.
func (s *Service) Due(ctx context.Context, limit int) ([]string, error) {
	now := s.now().UnixMicro()
	ids, err := sqldb.All(ctx, s.db, sqldb.Value[string], `SELECT w.id FROM webhook w WHERE w.enabled AND w.not_before <= $1
		AND EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook_id = w.id AND d.state = 'PENDING' AND d.next_at <= $2 AND `+oldest+`) ORDER BY w.not_before, w.id LIMIT $3`, now, now, limit)
	return ids, fault.Wrap("look for due deliveries", err)
}

// Take takes the webhook for holder and returns it with up to limit deliveries that are
// due. The webhook is nil where another server holds it, or it is not due.
func (s *Service) Take(ctx context.Context, id, holder string, limit int) (*Webhook, []Delivery, error) {
	now := s.now()
	w, err := sqldb.One(ctx, s.db, s.scan, selectWebhook+` WHERE id = $1 AND enabled`, id)
	if isKind(err, fault.NotFound) || err == nil && w.NotBefore.After(now) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fault.Wrap("take webhook", err)
	}
	// On SQLite there is one server: whoever held the webhook before has ended.
	if s.db.Dialect() != sqldb.SQLite && (w.holder != holder || w.leaseUntil.Before(now.Add(Lease/2))) {
		n, err := sqldb.Exec(ctx, s.db, `UPDATE webhook SET holder = $2, lease_until = $3 WHERE id = $1 AND (holder = $2 OR lease_until < $4)`,
			id, holder, now.Add(Lease).UnixMicro(), now.UnixMicro())
		if err != nil || n == 0 {
			return nil, nil, fault.Wrap("take webhook", err)
		}
	}
	list, err := sqldb.All(ctx, s.db, scanDelivery, selectDelivery+` d WHERE d.webhook_id = $1 AND d.state = 'PENDING' AND d.next_at <= $2
		AND `+oldest+` ORDER BY d.next_at, d.message_id LIMIT $3`, id, now.UnixMicro(), limit)
	if err != nil {
		return nil, nil, fault.Wrap("read due deliveries", err)
	}
	return &w, list, nil
}

// A Result is what became of one attempt.
type Result struct {
	Delivery   string // its id
	At         time.Time
	OK         bool
	Gone       bool          // the receiver asks never to be called again
	Status     int           // of the answer, 0 for none
	Answer     string        // begin of its body
	Error      string        // why it failed
	Latency    time.Duration // to the end of the answer
	RetryAfter time.Duration // what the receiver asks for, 0 for nothing
}

const (
	// quietAfter is how many failures without a success between them leave the whole
	// receiver alone for a while, instead of only what failed.
	quietAfter = 5
	// DisableAfter is how long a receiver fails until it is not called any more.
	DisableAfter = 3 * 24 * time.Hour

	firstPause  = 5 * time.Second
	longPause   = 6 * time.Hour    // between attempts of one delivery
	quietPause  = 15 * time.Minute // between attempts at a receiver that fails
	maxAskedFor = 6 * time.Hour    // as Retry-After
)

// pause is how long to wait after so many failures in a row: five seconds, three times
// as long each time, with jitter of a fifth, at most most.
func pause(failures int64, most time.Duration) time.Duration {
	d := firstPause
	for range min(failures-1, 20) {
		if d *= 3; d >= most {
			d = most
			break
		}
	}
	return d - d/5 + rand.N(2*d/5)
}

// Finish stores what became of attempts at one webhook, in the order of their ends, and
// tells whether it was disabled for it.
func (s *Service) Finish(ctx context.Context, id string, results []Result) (disabled bool, err error) {
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		disabled = false
		w, err := sqldb.One(ctx, tx, s.scan, selectWebhook+` WHERE id = $1`, id)
		if isKind(err, fault.NotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		now := s.now()
		wasQuiet, gone := w.Failures >= quietAfter, false
		for i := range results {
			r := &results[i]
			gone = gone || r.Gone
			if err := s.note(ctx, tx, &w, r, now); err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET failures = $2, failing_since = $3, not_before = $4, last_success = $5, last_failure = $6, last_error = $7, lease_until = $8 WHERE id = $1`,
			w.ID, w.Failures, sqldb.Nullable(w.FailingSince), w.NotBefore.UnixMicro(), sqldb.Nullable(w.LastSuccess), sqldb.Nullable(w.LastFailure), w.LastError, now.Add(Lease).UnixMicro()); err != nil {
			return err
		}
		why := ""
		switch {
		case !w.Enabled:
		case gone:
			why = "the receiver answered 410 Gone"
		case w.FailingSince != nil && now.Sub(*w.FailingSince) >= DisableAfter:
			why = fmt.Sprintf("nothing was delivered since %s: %s", w.FailingSince.Format(time.RFC3339), w.LastError)
		case wasQuiet && w.Failures == 0: // it is back: what waited need not wait longer
			_, err := sqldb.Exec(ctx, tx, `UPDATE webhook_delivery SET next_at = $2 WHERE webhook_id = $1 AND state = 'PENDING' AND next_at > $2`, w.ID, now.UnixMicro())
			return err
		}
		if why == "" {
			return nil
		}
		disabled = true
		return s.disable(ctx, tx, &w, now, why)
	})
	return disabled, fault.Wrap("note deliveries", err)
}

// note stores one result and counts it in w.
func (s *Service) note(ctx context.Context, tx *sqldb.DB, w *Webhook, r *Result, now time.Time) error {
	at := r.At.UTC().Truncate(time.Microsecond)
	// A delivery that was given up meanwhile stays so, but for one that arrived.
	query := `UPDATE webhook_delivery SET state = CASE WHEN $9 THEN 'DELIVERED' WHEN expires_at <= $3 THEN 'FAILED' ELSE state END, attempts = attempts + 1, next_at = $3,
		attempted_at = $4, status = $5, answer = $6, error = $7, latency = $8 WHERE id = $1 AND webhook_id = $2 AND (state = 'PENDING' OR $9)`
	next := at
	if r.OK {
		w.Failures, w.FailingSince, w.NotBefore, w.LastSuccess, w.LastError = 0, nil, time.UnixMicro(0).UTC(), &at, ""
	} else {
		w.Failures++
		if w.FailingSince == nil {
			w.FailingSince = &at
		}
		w.LastFailure, w.LastError = &at, r.Error
		attempts, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT attempts FROM webhook_delivery WHERE id = $1`, r.Delivery)
		if err != nil || len(attempts) == 0 {
			return err
		}
		asked := min(r.RetryAfter, maxAskedFor)
		next = now.Add(max(pause(attempts[0]+1, longPause), asked))
		if w.Failures >= quietAfter {
			w.NotBefore = later(w.NotBefore, now.Add(pause(w.Failures-quietAfter+1, quietPause)))
		}
		if asked > 0 {
			w.NotBefore = later(w.NotBefore, now.Add(asked))
		}
	}
	_, err := sqldb.Exec(ctx, tx, query, r.Delivery, w.ID, next.UnixMicro(), at.UnixMicro(), r.Status, r.Answer, r.Error, r.Latency.Microseconds(), r.OK)
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Expire gives up what was tried for long enough, and returns how many that were.
func (s *Service) Expire(ctx context.Context) (int64, error) {
	n, err := sqldb.Exec(ctx, s.db, `UPDATE webhook_delivery SET state = 'FAILED', error = CASE WHEN error = '' THEN 'it was not delivered in three days' ELSE error END
		WHERE state = 'PENDING' AND expires_at <= $1`, s.now().UnixMicro())
	return n, fault.Wrap("give up deliveries", err)
}

// Sweep forgets ended deliveries that were made before the given time.
func (s *Service) Sweep(ctx context.Context, before time.Time) (int64, error) {
	n, err := sqldb.Exec(ctx, s.db, `DELETE FROM webhook_delivery WHERE created_at < $1 AND state <> 'PENDING'`, before.UnixMicro())
	return n, fault.Wrap("sweep deliveries", err)
}

// Waiting returns how many deliveries are pending, of all tenants.
func (s *Service) Waiting(ctx context.Context) (int64, error) {
	return sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*) FROM webhook_delivery WHERE state = 'PENDING'`)
}

const selectDelivery = `SELECT id, webhook_id, event, object, state, body, attempts, created_at, next_at, expires_at, attempted_at, status, answer, error, latency FROM webhook_delivery`

func scanDelivery(rows *sql.Rows, d *Delivery) error {
	var latency int64
	err := rows.Scan(&d.ID, &d.WebhookID, &d.Event, &d.Object, &d.State, &d.Body, &d.Attempts, sqldb.Micros(&d.CreatedAt), sqldb.Micros(&d.NextAt), sqldb.Micros(&d.ExpiresAt),
		sqldb.MicrosOrNull(&d.AttemptedAt), &d.Status, &d.Answer, &d.Error, &latency)
	d.Latency = time.Duration(latency) * time.Microsecond
	return err
}
