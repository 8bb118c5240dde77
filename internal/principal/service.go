package principal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Options are what a Service needs from others. Log is required.
type Options struct {
	Log *slog.Logger
	Now func() time.Time // nil: time.Now
	Max int64            // accounts of a tenant; 0: 50,000
}

// Service is the use cases. It is safe for use by several goroutines, and several may
// run on one database.
type Service struct {
	db       *sqldb.DB
	options  Options
	observer *observer
	full     atomic.Int64
	writing  sync.Mutex
}

// New returns the use cases on db.
func New(db *sqldb.DB, options Options) *Service {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Max == 0 {
		options.Max = 50_000
	}
	return &Service{db: db, options: options, observer: newObserver()}
}

// Observe notes whom e names. Call it for every event; it keeps nothing of e. Failures
// that were counted and not written before a kill are not counted.
func (s *Service) Observe(e *event.Event) { s.observer.observe(e) }

// Run writes down what was seen every three seconds until ctx is done, and once more.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.Flush(last); err != nil {
				s.options.Log.WarnContext(last, "accounts that were seen last are not written down", "err", err)
			}
			return nil
		case <-tick.C:
		}
		err := s.Flush(ctx)
		if n%20 == 0 {
			s.observer.forget()
		}
		if n%1200 == 1 {
			err = errors.Join(err, s.prune(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "accounts are not up to date: trying again", "err", err)
		}
	}
}

// WriteMetrics writes what found no room, in Prometheus' text format.
func (s *Service) WriteMetrics(w io.Writer) {
	fmt.Fprintf(w, "kyra_identity_dropped_total{reason=\"memory\"} %d\nkyra_identity_dropped_total{reason=\"tenant_full\"} %d\n", s.observer.dropped.Load(), s.full.Load())
}

const week = 7 * 24 // hours

func (s *Service) prune(ctx context.Context) error {
	_, err := sqldb.Exec(ctx, s.db, `DELETE FROM principal_failure WHERE hour < $1`, s.options.Now().Unix()/3600-week-1)
	return wrap("forget old failures", err)
}

// Flush writes down what was seen since the last time. Run calls it.
func (s *Service) Flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	taken := s.observer.take()
	of := map[uint32][]entryKey{}
	for k := range taken {
		of[k.tenant] = append(of[k.tenant], k)
	}
	for _, tenant := range slices.Sorted(maps.Keys(of)) {
		keys := of[tenant]
		slices.SortFunc(keys, func(a, b entryKey) int { return strings.Compare(taken[a].word, taken[b].word) }) // writers lock in one order
		for part := range slices.Chunk(keys, 100) {
			if err := s.write(ctx, tenant, part, taken); err != nil {
				s.observer.giveBack(taken)
				return fmt.Errorf("write accounts: %w", err)
			}
			for _, k := range part {
				delete(taken, k)
			}
		}
	}
	return nil
}

func (s *Service) write(ctx context.Context, tenant uint32, keys []entryKey, taken map[entryKey]*entry) error {
	full := int64(0)
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		full = 0
		count, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COUNT(*) FROM principal WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		for _, k := range keys {
			x := taken[k]
			id := idOf(tenant, x.word)
			n, err := sqldb.Exec(ctx, tx, `UPDATE principal SET first_at = CASE WHEN first_at < $1 THEN first_at ELSE $1 END, last_at = CASE WHEN last_at > $2 THEN last_at ELSE $2 END, evidence = evidence | $3,
				uid = CASE WHEN $4 = '' THEN uid ELSE $4 END WHERE tenant = $5 AND id = $6`, x.first/1000, x.last/1000, x.evidence, x.uid, int64(tenant), id)
			if err != nil {
				return err
			}
			if n == 0 {
				if !x.real {
					continue // a name that somebody tried
				}
				if count >= s.options.Max {
					full++
					continue
				}
				count++
				if _, err := sqldb.Exec(ctx, tx, `INSERT INTO principal (tenant, id, word, name, domain, uid, type, evidence, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
					ON CONFLICT DO NOTHING`, int64(tenant), id, x.word, x.name, x.domain, x.uid, x.kind(), x.evidence, x.first/1000, x.last/1000); err != nil {
					return err
				}
			}
			if err := x.writeMore(ctx, tx, tenant, id); err != nil {
				return err
			}
		}
		return nil
	})
	s.full.Add(full)
	return err
}

func (x *entry) writeMore(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	if x.signIn > 0 {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE principal SET signin_at = $1, signin_from = $2, signin_host = $3 WHERE tenant = $4 AND id = $5 AND signin_at <= $1`,
			x.signIn/1000, x.from, x.host, int64(tenant), id); err != nil {
			return err
		}
	}
	for hour, n := range x.failed {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO principal_failure (tenant, principal, hour, failed) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant, principal, hour) DO UPDATE SET failed = principal_failure.failed + excluded.failed`, int64(tenant), id, hour, n); err != nil {
			return err
		}
	}
	for p, at := range x.places {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO principal_trait (tenant, principal, kind, value, first_at, last_at, times) VALUES ($1, $2, $3, $4, $5, $6, 1)
			ON CONFLICT (tenant, principal, kind, value) DO UPDATE SET times = principal_trait.times + 1, first_at = CASE WHEN excluded.first_at < principal_trait.first_at THEN excluded.first_at ELSE principal_trait.first_at END,
				last_at = CASE WHEN excluded.last_at > principal_trait.last_at THEN excluded.last_at ELSE principal_trait.last_at END`, int64(tenant), id, p.kind, p.value, at[0]/1000, at[1]/1000); err != nil {
			return err
		}
	}
	if len(x.places) == 0 {
		return nil
	}
	_, err := sqldb.Exec(ctx, tx, `DELETE FROM principal_trait WHERE tenant = $1 AND principal = $2 AND kind || ':' || value NOT IN (
		SELECT kind || ':' || value FROM principal_trait WHERE tenant = $1 AND principal = $2 ORDER BY last_at DESC, kind, value LIMIT 500)`, int64(tenant), id)
	return err
}

// DormantDays is after how many days without a sign-in an account is dormant, unless set.
const DormantDays = 90

// Setting returns after how many days without a sign-in accounts are dormant.
func (s *Service) Setting(ctx context.Context, tenant uint32) (days int64, err error) {
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, n *int64) error { return rows.Scan(n) }, `SELECT dormant_days FROM principal_setting WHERE tenant = $1`, int64(tenant))
	if err != nil || len(list) == 0 {
		return DormantDays, wrap("read setting of identities", err)
	}
	return list[0], nil
}

func unknown() error { return fault.New(fault.NotFound, "no such identity") }

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
