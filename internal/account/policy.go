package account

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Policy is how people of a tenant have to sign in.
type Policy struct {
	SecondFactor bool          // required: without one a person can only set one up
	Idle         time.Duration // after which an unused session ends
	Longest      time.Duration // after which any ends

	History      int           // so many last passwords are refused as the next one
	Kinds        bool          // letters and digits are asked for
	LockAttempts int           // wrong sign-ins before an account has to wait; 0: as many as without a policy
	LockFor      time.Duration // the first wait after them; 0: the standard one, which is shorter and doubles

	SSOOnly    bool   // people come from the tenant's identity provider: no password, no passkey
	BreakGlass string // id of the Admin whom SSOOnly leaves both
}

// Lock is how long the wait after too many wrong sign-ins gets, at least.
func (p *Policy) Lock() time.Duration {
	return max(p.LockFor, byAccount.most)
}

// standard is the policy of a tenant that has set none.
func (s *Service) standard() Policy {
	return Policy{Idle: s.Idle, Longest: s.Longest, History: DefaultHistory, LockAttempts: int(byAccount.free)}
}

// DefaultHistory is how many passwords are refused again where a tenant says nothing (PCI
// DSS 4.0.1, 8.3.7).
const DefaultHistory = 4

// Bounds of a policy.
const (
	minIdle, maxIdle       = 5 * time.Minute, 24 * time.Hour
	minLongest, maxLongest = time.Hour, 30 * 24 * time.Hour

	MaxHistory               = 24
	MinAttempts, MaxAttempts = 3, 5
	MaxLock                  = time.Hour // a longer one serves those who lock others out
)

func scanPolicy(rows *sql.Rows, p *Policy) error {
	var idle, longest, lock int64
	err := rows.Scan(&p.SecondFactor, &idle, &longest, &p.History, &p.Kinds, &p.LockAttempts, &lock, &p.SSOOnly, &p.BreakGlass)
	p.Idle, p.Longest, p.LockFor = time.Duration(idle)*time.Minute, time.Duration(longest)*time.Hour, time.Duration(lock)*time.Minute
	return err
}

// PolicyOf returns the tenant's policy; of a demo tenant that of the tenant whose people
// come into it.
func (s *Service) PolicyOf(ctx context.Context, tenant uint32) (Policy, error) {
	home, err := homeOf(ctx, s.db, tenant)
	if err != nil {
		return Policy{}, fault.Wrap("read sign-in policy", err)
	}
	return s.policy(ctx, s.db, home)
}

func (s *Service) policy(ctx context.Context, db *sqldb.DB, tenant uint32) (Policy, error) {
	p, err := sqldb.One(ctx, db, scanPolicy, `
		SELECT second_factor, idle_minutes, longest_hours, history, kinds, lock_attempts, lock_minutes, sso_only, break_glass FROM account_policy WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return s.standard(), nil
	}
	return p, fault.Wrap("read sign-in policy", err)
}

// check refuses what is out of bounds.
func (p *Policy) check() error {
	minutes := func(d time.Duration) int { return int(d / time.Minute) }
	switch {
	case p.Idle < minIdle || p.Idle > maxIdle || p.Idle%time.Minute != 0:
		return fault.New(fault.Invalid, "Allowed: %d to %d", minutes(minIdle), minutes(maxIdle)).In("idleMinutes")
	case p.Longest < minLongest || p.Longest > maxLongest || p.Longest%time.Hour != 0:
		return fault.New(fault.Invalid, "Allowed: %d to %d", int(minLongest.Hours()), int(maxLongest.Hours())).In("longestHours")
	case p.History < 0 || p.History > MaxHistory:
		return fault.New(fault.Invalid, "Allowed: 0 to %d", MaxHistory).In("passwordHistory")
	case p.LockAttempts < MinAttempts || p.LockAttempts > MaxAttempts:
		return fault.New(fault.Invalid, "Allowed: %d to %d", MinAttempts, MaxAttempts).In("lockAttempts")
	case p.LockFor < 0 || p.LockFor > MaxLock || p.LockFor%time.Minute != 0:
		return fault.New(fault.Invalid, "Allowed: 0 to %d", minutes(MaxLock)).In("lockMinutes")
	}
	return nil
}

// SetPolicy replaces the tenant's policy but for whether people have to come from its
// identity provider. Sessions that it no longer allows end with their next request.
func (s *Service) SetPolicy(ctx context.Context, tenant uint32, actor string, p Policy) error {
	if p.LockAttempts == 0 {
		p.LockAttempts = int(byAccount.free)
	}
	if err := p.check(); err != nil {
		return err
	}
	return fault.Wrap("set sign-in policy", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		had, err := s.policy(ctx, tx, tenant)
		if err != nil {
			return err
		}
		p.SSOOnly, p.BreakGlass = had.SSOOnly, had.BreakGlass
		return s.writePolicy(ctx, tx, tenant, actor, &p, "settings.signin", map[string]any{
			"secondFactorRequired": p.SecondFactor, "idleMinutes": int(p.Idle / time.Minute), "longestHours": int(p.Longest / time.Hour),
			"passwordHistory": p.History, "passwordKinds": p.Kinds, "lockAttempts": p.LockAttempts, "lockMinutes": int(p.LockFor / time.Minute),
		})
	}))
}

func (s *Service) writePolicy(ctx context.Context, tx *sqldb.DB, tenant uint32, actor string, p *Policy, action string, detail map[string]any) error {
	if err := NoDemo(ctx, tx, tenant); err != nil {
		return err
	}
	now := s.now()
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO account_policy (tenant, second_factor, idle_minutes, longest_hours, history, kinds, lock_attempts, lock_minutes, sso_only, break_glass, changed_at, changed_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (tenant) DO UPDATE SET second_factor = excluded.second_factor, idle_minutes = excluded.idle_minutes, longest_hours = excluded.longest_hours,
			history = excluded.history, kinds = excluded.kinds, lock_attempts = excluded.lock_attempts, lock_minutes = excluded.lock_minutes,
			sso_only = excluded.sso_only, break_glass = excluded.break_glass, changed_at = excluded.changed_at, changed_by = excluded.changed_by`,
		int64(tenant), p.SecondFactor, int64(p.Idle/time.Minute), int64(p.Longest/time.Hour), p.History, p.Kinds, p.LockAttempts, int64(p.LockFor/time.Minute),
		p.SSOOnly, p.BreakGlass, now.UnixMicro(), actor); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: action, Detail: detail})
}

// SetSSOOnly says whether people of the tenant have to come from its identity provider.
// breakGlass names the Admin who may still sign in with password or passkey, for the day
// when the provider is out of reach; it may only be "" where everybody may.
func (s *Service) SetSSOOnly(ctx context.Context, tenant uint32, actor string, only bool, breakGlass string) error {
	return fault.Wrap("set single sign-on", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		p, err := s.policy(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if only {
			if err := s.checkBreakGlass(ctx, tx, tenant, breakGlass); err != nil {
				return err
			}
			n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM sso_provider WHERE tenant = $1 AND enabled`, int64(tenant))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.Conflict, "there is no identity provider that is switched on: add one first")
			}
		} else {
			breakGlass = ""
		}
		p.SSOOnly, p.BreakGlass = only, breakGlass
		return s.writePolicy(ctx, tx, tenant, actor, &p, "settings.sso", map[string]any{"only": only, "breakGlass": breakGlass})
	}))
}

func (s *Service) checkBreakGlass(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	p, err := s.person(ctx, tx, tenant, id)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || p.Role != identity.Admin || p.Status != Active || p.Vouched || p.password == "" && p.Passkeys == 0 {
		return fault.New(fault.Invalid, "Allowed: an active Admin who has a password or a passkey").In("breakGlassUserId")
	}
	return nil
}

// opens tells whether a method opens somebody's place in the tenant.
func (p *Policy) opens(m *Member, method string) bool {
	return method == bySSO || !m.Vouched && (!p.SSOOnly || m.UserID == p.BreakGlass)
}

// strict is what binds somebody's next password: the strictest of their tenants.
type strict struct {
	history int
	kinds   bool
}

func (s *Service) strictFor(ctx context.Context, db *sqldb.DB, user string) (strict, error) {
	x, err := sqldb.One(ctx, db, func(rows *sql.Rows, x *strict) error {
		var kinds int
		err := rows.Scan(&x.history, &kinds)
		x.kinds = kinds > 0
		return err
	}, `SELECT COALESCE(max(COALESCE(p.history, $1)), $1), COALESCE(max(CASE WHEN p.kinds THEN 1 ELSE 0 END), 0)
		FROM account_member m LEFT JOIN account_policy p ON p.tenant = m.tenant WHERE m.user_id = $2`, DefaultHistory, user)
	return x, fault.Wrap("read rules for passwords", err)
}

// lockQuery finds how the tenants that somebody of a domain may come into lock accounts.
// The domain is written as in the index account_user_domain.
const lockQuery = `SELECT p.lock_attempts, p.lock_minutes FROM account_policy p WHERE (p.lock_minutes > 0 OR p.lock_attempts <> $1) AND p.tenant IN (
	SELECT m.tenant FROM account_user u JOIN account_member m ON m.user_id = u.id
	WHERE substr(u.email, length(rtrim(u.email, replace(u.email, '@', ''))) + 1) = $2 AND m.status = $3 AND NOT m.vouched)`

// lockOf is how an account has to wait: as the strictest of the tenants says whose doors
// a password of somebody of the address's domain opens. So an address that nobody has waits
// as its colleagues do. An invitation that nobody has followed says nothing, nor does a
// place that only an identity provider opens: any tenant can make those.
func (s *Service) lockOf(ctx context.Context, db *sqldb.DB, email string) (backoff, error) {
	b := byAccount
	at := strings.LastIndexByte(email, '@')
	if at < 0 {
		return b, nil
	}
	type set struct{ attempts, minutes int64 }
	all, err := sqldb.All(ctx, db, func(rows *sql.Rows, x *set) error { return rows.Scan(&x.attempts, &x.minutes) }, lockQuery,
		byAccount.free, email[at+1:], string(Active))
	if err != nil || len(all) == 0 {
		return b, err
	}
	for _, x := range all {
		b.free = min(b.free, x.attempts)
		b.first = max(b.first, time.Duration(x.minutes)*time.Minute)
	}
	b.most = max(b.most, b.first)
	return b, nil
}
