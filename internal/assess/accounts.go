package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// user is a person who may sign in to KYRA, in the tenant.
type user struct {
	ID, Email string
	Role      identity.Role
	Added     time.Time
	SignedIn  *time.Time
	Strong    bool // has a second factor: one-time codes, a passkey, or the one of an identity provider that always asks
	Elsewhere bool // signs in at an identity provider
}

func (u *user) privileged() bool { return u.Role == identity.Admin }

// people returns those who may sign in.
func (q *inquiry) people(ctx context.Context) ([]user, error) {
	return q.users.get(ctx, q, func(ctx context.Context, q *inquiry) ([]user, error) {
		return rowsOf(ctx, q, func(rows *sql.Rows, u *user) error {
			return rows.Scan(&u.ID, &u.Email, &u.Role, sqldb.Micros(&u.Added), sqldb.MicrosOrNull(&u.SignedIn), &u.Strong, &u.Elsewhere)
		}, `SELECT u.id, u.email, m.role, m.added_at, u.signed_in_at, `+account.HasFactor+`
				OR u.password = '' AND EXISTS (SELECT 1 FROM sso_identity i JOIN sso_provider p ON p.id = i.provider WHERE i.user_id = u.id AND i.tenant = m.tenant AND p.enabled AND p.second_factor), u.password = '' AND m.origin <> 'local'
			FROM account_member m JOIN account_user u ON u.id = m.user_id WHERE m.tenant = `+account.Home+` AND m.status = 'active' ORDER BY u.id`, q.tenant)
	})
}

const peoplePopulation = "active people who may sign in to KYRA"

var noPeople = say("Nobody has an account in KYRA: make the first with the set-up link that kyra serve prints, or with kyra user add.")

func mfaAll(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.people(ctx)
	if err != nil {
		return nil, err
	}
	return judgeMFA(all, q.p, q.now), nil
}

func judgeMFA(all []user, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: peoplePopulation, size: int64(len(all)), from: now, to: now, resources: []string{"users"},
		threshold: fmt.Sprintf("all >= %s AND administrators >= %s", decimal(p.Float("passRatio")), decimal(p.Float("privilegedRatio"))),
	}
	if len(all) == 0 {
		f.absent = true
		f.reason = noPeople
		return f
	}
	list := &table{}
	var good, mighty, mightyGood int64
	var without []string
	for _, want := range []bool{false, true} {
		for i := range all {
			u := &all[i]
			if u.Strong != want {
				continue
			}
			list.add(u.ID, map[string]any{"id": u.ID, "role": u.Role, "secondFactor": u.Strong, "atProvider": u.Elsewhere})
			if u.privileged() {
				mighty++
			}
			if !want {
				without = append(without, u.Email)
				continue
			}
			good++
			if u.privileged() {
				mightyGood++
			}
		}
	}
	ratio := share(good, f.size)
	f.value, f.unit = new(ratio), "ratio"
	f.facts = map[string]any{"users": list, "withSecondFactor": good, "administrators": mighty, "administratorsWithSecondFactor": mightyGood}
	guarded := mighty == 0 || share(mightyGood, mighty) >= p.Float("privilegedRatio")-near
	switch grade := graded(ratio, p.Float("passRatio"), p.Float("partialRatio")); {
	case guarded:
		f.outcome = grade
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%s people have a second factor, %d of %d administrators", of(good, f.size), mightyGood, mighty), say("let %s set one up; who signs in at an identity provider needs it there, which KYRA does not see", few(without)))
}

// signIn tells how people of the tenant sign in, nil where nobody knows.
func (q *inquiry) signIn(ctx context.Context) (*SignInPolicy, error) {
	if q.SignIn == nil {
		q.note("none: this server does not know how people sign in")
		return nil, nil
	}
	q.note("the rules of sign-in that hold for the tenant, as the server keeps to them")
	return q.SignIn(ctx, q.tenant)
}

func authPolicy(ctx context.Context, q *inquiry) (*finding, error) {
	const population = "KYRA's own rule for passwords; directories of the estate are not connected"
	p, err := q.signIn(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return missing(population, "This server does not know how people sign in."), nil
	}
	f := judgePassword(&p.Password, q.p, q.now)
	f.population = population
	return f, nil
}

func judgePassword(have *PasswordPolicy, p compliance.Params, now time.Time) *finding {
	f := &finding{size: 1, from: now, to: now, resources: []string{"settings"}, facts: map[string]any{"policy": have}}
	f.threshold = fmt.Sprintf("length >= %d AND last %d refused", p.Int("minLength"), p.Int("history"))
	var grave, light []phrase
	if have.MinLength < p.Int("minLength") {
		grave = append(grave, say("length %d of %d", have.MinLength, p.Int("minLength")))
	}
	if have.History < p.Int("history") {
		grave = append(grave, say("%d of the last %d refused", have.History, p.Int("history")))
	}
	if p.Bool("complexity") {
		f.threshold += " AND kinds of characters asked for"
		if !have.Complexity {
			light = append(light, say("kinds of characters are not asked for"))
		}
	}
	if days := p.Int("maxAgeDays"); days > 0 {
		f.threshold += fmt.Sprintf(" AND changed every %d days", days)
		if have.MaxAgeDays == 0 || have.MaxAgeDays > days {
			light = append(light, say("passwords do not expire in time"))
		}
	}
	if p.Bool("blockCommon") {
		f.threshold += " AND known ones refused"
		if !have.BlockCommon {
			light = append(light, say("known passwords are not refused"))
		}
	}
	f.value, f.unit = new(float64(len(grave)+len(light))), "parameters missed"
	switch {
	case len(grave) > 0:
		f.outcome = compliance.Fail
	case len(light) > 0:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Pass
		return f.remedied(say("Passwords have at least %d characters, and the last %d are refused", have.MinLength, have.History), none)
	}
	return f.remedied(say("The rule for passwords misses %s", joined(", ", append(grave, light...))), say("tighten it in the settings of sign-in, or let people sign in at an identity provider that does"))
}

func sessionPolicy(ctx context.Context, q *inquiry) (*finding, error) {
	const population = "KYRA's own rule for sign-in and sessions"
	p, err := q.signIn(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return missing(population, "This server does not know how people sign in."), nil
	}
	f := judgeSessions(&p.Sessions, q.p, q.now)
	f.population = population
	return f, nil
}

func judgeSessions(have *SessionPolicy, p compliance.Params, now time.Time) *finding {
	f := &finding{size: 1, from: now, to: now, resources: []string{"settings"}, facts: map[string]any{"policy": have}}
	attempts, lock, idle := p.Int("maxAttempts"), p.Minutes("lockMinutes"), p.Minutes("idleMinutes")
	f.threshold = fmt.Sprintf("at most %d attempts AND then %s of waiting AND sessions end after %s unused", attempts, span(lock), span(idle))
	var missed []phrase
	if have.MaxAttempts <= 0 || have.MaxAttempts > attempts {
		missed = append(missed, say("%d attempts where at most %d are allowed", have.MaxAttempts, attempts))
	}
	if have.Lock < lock {
		missed = append(missed, say("%s of waiting after them, %s are asked for", span(have.Lock), span(lock)))
	}
	if have.Idle <= 0 || have.Idle > idle {
		missed = append(missed, say("sessions end after %s unused, %s are asked for", span(have.Idle), span(idle)))
	}
	f.value, f.unit = new(float64(3-len(missed))), "of 3 limits met"
	switch len(missed) {
	case 0:
		f.outcome = compliance.Pass
		return f.remedied(say("Lockout, waiting and idle time are within their limits"), none)
	case 1:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%d of 3 limits met; missed: %s", 3-len(missed), joined(", ", missed)), say("change them in the settings of sign-in"))
}

// key is an API key that works.
type key struct {
	ID, Name, Prefix string
	Scope            identity.Scope
	Created          time.Time
	Expires, Used    *time.Time
	Wrote            *time.Time // its last change of something, within 90 days
}

// apiKeys returns the keys that work.
func (q *inquiry) apiKeys(ctx context.Context) ([]key, error) {
	return q.keys.get(ctx, q, func(ctx context.Context, q *inquiry) ([]key, error) {
		all, err := rowsOf(ctx, q, func(rows *sql.Rows, k *key) error {
			return rows.Scan(&k.ID, &k.Name, &k.Prefix, &k.Scope, sqldb.Micros(&k.Created), sqldb.MicrosOrNull(&k.Expires), sqldb.MicrosOrNull(&k.Used))
		}, `SELECT id, name, prefix, scope, created_at, expires_at, last_used_at FROM api_key WHERE tenant = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) ORDER BY id`, q.tenant, q.now)
		if err != nil || len(all) == 0 {
			return all, err
		}
		for i := range all {
			last, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) },
				`SELECT at FROM audit_entry WHERE tenant = $1 AND key_id = $2 AND key_id <> '' ORDER BY at DESC LIMIT 1`, q.tenant, all[i].ID)
			if err != nil {
				return nil, err
			}
			if len(last) > 0 && !last[0].Before(q.now.Add(-90*day)) {
				all[i].Wrote = &last[0]
			}
		}
		return all, nil
	})
}

func apiKeyHygiene(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.apiKeys(ctx)
	if err != nil {
		return nil, err
	}
	return judgeHygiene(all, q.p, q.now), nil
}

func judgeHygiene(all []key, p compliance.Params, now time.Time) *finding {
	old, idle := p.Days("maxAgeDays"), p.Days("maxIdleDays")
	f := &finding{population: "API keys that work", size: int64(len(all)), from: now.Add(-idle), to: now, resources: []string{"API keys", "audit log"}, threshold: "no key without expiry, too old, unused or wider than needed"}
	if len(all) == 0 {
		return f.nothing("There is no API key that works.")
	}
	list := &table{}
	var bad int64
	var names []phrase
	for i := range all {
		k := &all[i]
		var faults []phrase
		if k.Expires == nil {
			faults = append(faults, say("no expiry"))
		}
		if now.Sub(k.Created) > old {
			faults = append(faults, say("older than %s", span(old)))
		}
		if now.Sub(k.Created) > idle && (k.Used == nil || now.Sub(*k.Used) > idle) {
			faults = append(faults, say("unused"))
		} else if k.Scope == identity.ReadWrite && now.Sub(k.Created) > idle && k.Wrote == nil {
			faults = append(faults, say("may write and did not"))
		}
		list.add(k.ID, map[string]any{"id": k.ID, "name": text(k.Name), "prefix": k.Prefix, "scope": k.Scope, "createdAt": k.Created, "expiresAt": k.Expires, "lastUsedAt": k.Used, "faults": english(faults)})
		if len(faults) > 0 {
			bad++
			names = append(names, say("%s (%s)", k.Name, joined(", ", faults)))
		}
	}
	ratio := share(bad, f.size)
	f.value, f.unit = new(ratio), "ratio with a fault"
	f.facts = map[string]any{"keys": list}
	switch {
	case bad == 0:
		f.outcome = compliance.Pass
	case ratio <= 0.10+near:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%s API keys have a fault", of(bad, f.size)), say("replace or revoke %s", few(names)))
}

// rights is who may do what in KYRA.
type rights struct {
	users []user
	keys  []key
	// refuses tells whether the database itself refuses changes of the audit log.
	refuses bool
}

func (q *inquiry) rightsNow(ctx context.Context) (*rights, error) {
	var r rights
	var err error
	if r.users, err = q.people(ctx); err != nil {
		return nil, err
	}
	if r.keys, err = q.apiKeys(ctx); err != nil {
		return nil, err
	}
	guards := `SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'`
	if q.DB.Dialect() == sqldb.Postgres {
		guards = `SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relname = 'audit_entry' AND NOT t.tgisinternal AND t.tgenabled <> 'D'`
	}
	n, err := rowsOf(ctx, q, sqldb.Value[int64], guards)
	if err != nil {
		return nil, err
	}
	r.refuses = n[0] > 0
	return &r, nil
}

func auditAccessRestricted(ctx context.Context, q *inquiry) (*finding, error) {
	r, err := q.rightsNow(ctx)
	if err != nil {
		return nil, err
	}
	q.note("the table of authorisation: which roles and scopes of keys may read the audit log")
	return judgeAccess(r, q.p, q.now), nil
}

func judgeAccess(r *rights, p compliance.Params, now time.Time) *finding {
	allowed := p.Strings("allowedRoles")
	f := &finding{
		population: "people and API keys that may do something in the tenant", size: int64(len(r.users) + len(r.keys)), from: now, to: now, resources: []string{"users", "API keys", "table of authorisation"},
		threshold: "read by " + strings.Join(allowed, " and ") + " alone AND changed by nobody",
	}
	list := &table{}
	var outside []string
	add := func(id, name, role string, reads, ok bool) {
		if !reads {
			ok = true
		}
		list.add(id, map[string]any{"id": id, "name": text(name), "role": role, "readsAuditLog": reads, "allowed": ok})
		if !ok {
			outside = append(outside, name)
		}
	}
	for i := range r.users {
		u := &r.users[i]
		add(u.ID, string(u.Role)+" "+u.Email, string(u.Role), slices.Contains(u.Role.Rights(), identity.Audit.Read()), slices.Contains(allowed, strings.ToLower(string(u.Role))))
	}
	for i := range r.keys {
		k := &r.keys[i]
		// A key that may write may make others: it stands for an administrator.
		add(k.ID, "key "+k.Name, string(k.Scope), slices.Contains(k.Scope.Rights(), identity.Audit.Read()), k.Scope == identity.ReadWrite && slices.Contains(allowed, "admin"))
	}
	f.facts = map[string]any{"principals": list, "outside": len(outside), "databaseRefusesChanges": r.refuses}
	f.value, f.unit = new(float64(len(outside))), "principals outside"
	switch {
	case !r.refuses:
		f.size, f.outcome = max(f.size, 1), compliance.Fail
		return f.remedied(say("The database lets entries of the audit log be changed: the triggers that refuse it are gone"), say("find out who removed them, verify the chain, and let KYRA's migrations make them again in a restored database"))
	case f.size == 0:
		return f.nothing("Nobody has an account or a key that could read the audit log.")
	case len(outside) > 0:
		f.outcome = compliance.Partly
		return f.remedied(say("Nobody can change or purge the audit log; %d of %d people and keys may read it without being %s", len(outside), f.size, strings.Join(allowed, ", ")),
			say("give %s another role, or replace keys that only read by narrower ones", few(outside)))
	}
	f.outcome = compliance.Pass
	return f.remedied(say("Nobody can change or purge the audit log, and of %d people and keys only %s may read it", f.size, strings.Join(allowed, ", ")), none)
}

func roleSeparation(ctx context.Context, q *inquiry) (*finding, error) {
	all, err := q.people(ctx)
	if err != nil {
		return nil, err
	}
	q.note("the table of authorisation: a person has one role in a tenant")
	return judgeRoles(all, q.p, q.now), nil
}

func judgeRoles(all []user, p compliance.Params, now time.Time) *finding {
	limit := p.Float("maxAdminRatio")
	f := &finding{
		population: peoplePopulation, size: int64(len(all)), from: now, to: now, resources: []string{"users", "table of authorisation"},
		threshold: "no conflicting roles AND administrators <= " + percent(limit),
	}
	if len(all) == 0 {
		f.absent = true
		f.reason = noPeople
		return f
	}
	list := &table{}
	counts := map[identity.Role]int64{}
	var admins []string
	for i := range all {
		u := &all[i]
		counts[u.Role]++
		list.add(u.ID, map[string]any{"id": u.ID, "role": u.Role})
		if u.privileged() {
			admins = append(admins, u.Email)
		}
	}
	ratio := share(int64(len(admins)), f.size)
	f.value, f.unit = new(ratio), "ratio of administrators"
	f.facts = map[string]any{"users": list, "byRole": counts, "conflicts": p.Lists("conflicts")}
	f.outcome = compliance.Partly
	if ratio <= limit+near {
		f.outcome = compliance.Pass
	}
	return f.remedied(say("%s people are administrators; each has one role, so that nobody holds two that conflict", of(int64(len(admins)), f.size)), say("make analysts, viewers or auditors of those who need no more: %s", few(admins)))
}
