package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Locked is the refusal of a sign-in after too many wrong ones. It is the same for
// accounts that exist and those that do not.
type Locked struct{ Wait time.Duration }

func (l *Locked) Error() string {
	return fmt.Sprintf("too many wrong sign-ins: wait %s", l.Wait.Round(time.Second))
}

// Unwrap tells the kind.
func (*Locked) Unwrap() error { return fault.Limited }

// A backoff says how many failures are free, and how long the next ones wait: first, then
// twice as long each time, up to most.
type backoff struct {
	free        int64
	first, most time.Duration
}

var (
	byAccount = backoff{free: 5, first: 30 * time.Second, most: 15 * time.Minute}
	byAddress = backoff{free: 20, first: time.Minute, most: time.Hour}
)

// tryFor is how long a failure counts.
const tryFor = 24 * time.Hour

func (b backoff) wait(failures int64) time.Duration {
	if failures < b.free {
		return 0
	}
	const shifts = 12 // first << 12 is above every most
	return min(b.first<<min(failures-b.free, shifts), b.most)
}

// attempt counts one sign-in as wrong before it is checked, so that many at the same time
// cannot share one count; pass takes it back. It tells whether the account has just been
// locked. The error is Locked where one of the two has to wait.
func (s *Service) attempt(ctx context.Context, email string, from From) (locked bool, err error) {
	now := s.now()
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		locked = false
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM account_try WHERE at < $1`, now.Add(-tryFor).UnixMicro()); err != nil {
			return err
		}
		account, err := s.lockOf(ctx, tx, email)
		if err != nil {
			return err
		}
		for _, t := range []struct {
			who string
			backoff
		}{{addressName(from), byAddress}, {accountName(email), account}} {
			if t.who == "" {
				continue
			}
			n, err := s.count(ctx, tx, t.who, t.backoff, now)
			if err != nil {
				return err
			}
			locked = n == t.free
		}
		return nil
	})
	return locked, err
}

func (s *Service) count(ctx context.Context, tx *sqldb.DB, who string, b backoff, now time.Time) (int64, error) {
	type row struct {
		failures int64
		until    time.Time
	}
	had, err := sqldb.One(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.failures, sqldb.Micros(&r.until)) },
		`SELECT failures, until FROM account_try WHERE who = $1`, who)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return 0, err
	}
	if now.Before(had.until) {
		return 0, &Locked{had.until.Sub(now)}
	}
	n := had.failures + 1
	_, err = sqldb.Exec(ctx, tx, `
		INSERT INTO account_try (who, failures, at, until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (who) DO UPDATE SET failures = excluded.failures, at = excluded.at, until = excluded.until`, who, n, now.UnixMicro(), now.Add(b.wait(n)).UnixMicro())
	return n, err
}

// pass takes back what attempt counted; right tells that the whole sign-in was right, which
// forgives the account's failures before.
func (s *Service) pass(ctx context.Context, tx *sqldb.DB, email string, from From, right bool) error {
	for who, all := range map[string]bool{addressName(from): false, accountName(email): right} {
		if who == "" {
			continue
		}
		query := `UPDATE account_try SET failures = failures - 1, until = 0 WHERE who = $1 AND failures > 0`
		if all {
			query = `DELETE FROM account_try WHERE who = $1`
		}
		if _, err := sqldb.Exec(ctx, tx, query, who); err != nil {
			return err
		}
	}
	return nil
}

// accountName is "" where no account was named, as with a passkey: then only the address
// counts.
func accountName(email string) string {
	if email == "" {
		return ""
	}
	return "account " + email
}

// addressName counts an IPv6 subscriber's whole network as one; "" where there is no
// address, such as on a Unix socket.
func addressName(from From) string {
	if !from.Address.IsValid() {
		return ""
	}
	a := from.Address.Unmap().WithZone("")
	if a.Is6() {
		const subscriber = 64
		p, _ := a.Prefix(subscriber) // a valid length of every IPv6 address
		return "address " + p.String()
	}
	return "address " + a.String()
}
