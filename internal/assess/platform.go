package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Platform is what only the installation itself can know. It holds no secret.
type Platform struct {
	Version      string
	Listeners    []Listener
	Certificates []Certificate
	Keys         []Key
	Stores       []Store
	DiskFree     uint64 // bytes, of the data folder
	DiskTotal    uint64 // 0: not known
	CanaryEvery  time.Duration
}

// A Listener takes in what is sent to it.
type Listener struct {
	Name    string `json:"name"` // "api", "syslog udp"
	Address string `json:"address"`
	Local   bool   `json:"local"`         // reachable from this machine alone
	TLS     string `json:"tls,omitempty"` // lowest version that it speaks: "1.2"; "" without
	// Behind tells that something before it ends TLS.
	Behind  bool       `json:"behindProxy,omitempty"`
	Expires *time.Time `json:"certificateExpires,omitempty"`
}

// A Certificate is one that the installation shows.
type Certificate struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// A Key is one that signs or encrypts.
type Key struct {
	Name  string    `json:"name"` // with its id, never the key
	Since time.Time `json:"since"`
}

// A Store is a place where data lies.
type Store struct {
	Name      string `json:"name"`
	Primary   bool   `json:"primary"` // not only archives or backups
	Encrypted bool   `json:"encrypted"`
	How       string `json:"how"` // the algorithm, or why it is not known
}

// A SignInPolicy is how people of a tenant sign in.
type SignInPolicy struct {
	Password PasswordPolicy `json:"password"`
	Sessions SessionPolicy  `json:"sessions"`
}

// A PasswordPolicy is what passwords of people must be.
type PasswordPolicy struct {
	MinLength   int  `json:"minLength"`
	Complexity  bool `json:"complexity"`  // kinds of characters are asked for
	History     int  `json:"history"`     // last ones that may not be used again
	MaxAgeDays  int  `json:"maxAgeDays"`  // 0: they do not expire
	BlockCommon bool `json:"blockCommon"` // known ones are refused
}

// A SessionPolicy is how sign-ins are bounded.
type SessionPolicy struct {
	MaxAttempts int           `json:"maxAttempts"` // that fail in a row; 0: not bounded
	Lock        time.Duration `json:"lock"`        // nanoseconds
	Idle        time.Duration `json:"idle"`        // nanoseconds; 0: sessions do not end by it
}

// installation describes the installation, nil where nobody can.
func (q *inquiry) installation(ctx context.Context) (*Platform, error) {
	return q.platform.get(ctx, q, func(ctx context.Context, q *inquiry) (*Platform, error) {
		if q.Platform == nil {
			return nil, nil
		}
		q.note("the server's own settings, certificates and disks, as it runs")
		return q.Platform(ctx)
	})
}

// unknownPlatform is what checks find where nobody describes the installation.
func unknownPlatform(population string) *finding {
	return missing(population, "This server does not know its own installation.")
}

// secured is a collector's connection.
type secured struct {
	ID, Name string
	NotAfter time.Time
}

// collectorLinks returns the collectors that were let in, with their certificates.
func (q *inquiry) collectorLinks(ctx context.Context) ([]secured, error) {
	return rowsOf(ctx, q, func(rows *sql.Rows, s *secured) error { return rows.Scan(&s.ID, &s.Name, sqldb.Micros(&s.NotAfter)) },
		`SELECT id, name, not_after FROM fleet_member WHERE tenant = $1 AND revoked_at IS NULL ORDER BY id`, q.tenant)
}

const listenerPopulation = "listeners that are reachable from other machines, and enrolled collectors"

func tlsIngest(ctx context.Context, q *inquiry) (*finding, error) {
	p, err := q.installation(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return unknownPlatform(listenerPopulation), nil
	}
	links, err := q.collectorLinks(ctx)
	if err != nil {
		return nil, err
	}
	return judgeTLS(p.Listeners, links, q.p, q.now), nil
}

func judgeTLS(listeners []Listener, links []secured, p compliance.Params, now time.Time) *finding {
	f := &finding{population: listenerPopulation, from: now, to: now, resources: []string{"settings", "collectors"}}
	var good, all int64
	var open []phrase
	rows := []Listener{}
	for _, l := range listeners {
		rows = append(rows, l)
		if l.Local && !l.Behind {
			continue
		}
		all++
		switch {
		case l.Behind, l.TLS != "" && l.TLS >= p.String("minVersion") && (l.Expires == nil || l.Expires.After(now)):
			good++
		case l.TLS == "":
			open = append(open, say("%s on %s", l.Name, l.Address))
		default:
			open = append(open, say("%s on %s (certificate or version)", l.Name, l.Address))
		}
	}
	list := &table{}
	for _, s := range links {
		all++
		ok := s.NotAfter.After(now)
		list.add(s.ID, map[string]any{"collector": text(s.Name), "tls": "1.3, mutual", "certificateExpires": s.NotAfter, "ok": ok})
		if ok {
			good++
		} else {
			open = append(open, say("collector %s (its certificate has expired)", s.Name))
		}
	}
	f.facts = map[string]any{"listeners": rows, "collectors": list}
	if all == 0 {
		return f.nothing("Nothing is reachable from other machines and no collector is enrolled, so that nothing is sent over a network.")
	}
	f.ratio(good, all, p)
	f.threshold += " on TLS " + p.String("minVersion") + " or later"
	return f.remedied(say("%s listeners and collectors are on TLS %s or later with a valid certificate", of(good, all), p.String("minVersion")),
		say("set tls.cert and tls.key, use syslog.tls in place of plain syslog or collectors, and close %s", few(open)))
}

const storePopulation = "places where data lies: control database, queue, index, raw archive, files"

func encryptRest(ctx context.Context, q *inquiry) (*finding, error) {
	p, err := q.installation(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil || len(p.Stores) == 0 {
		return unknownPlatform(storePopulation), nil
	}
	return judgeStores(p.Stores, q.now), nil
}

func judgeStores(stores []Store, now time.Time) *finding {
	f := &finding{population: storePopulation, size: int64(len(stores)), from: now, to: now, resources: []string{"settings", "disks"}, threshold: "all encrypted", facts: map[string]any{"stores": stores}}
	var plain []string
	primary := false
	var good int64
	for _, s := range stores {
		if s.Encrypted {
			good++
			continue
		}
		plain = append(plain, s.Name+" ("+s.How+")")
		primary = primary || s.Primary
	}
	f.value, f.unit = new(share(good, f.size)), "ratio"
	switch {
	case len(plain) == 0:
		f.outcome = compliance.Pass
	case !primary:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("%s stores are on encrypted disks as far as the system shows", of(good, f.size))
	return f.remedied(found, say("put the data folder on LUKS or the like; where the provider encrypts below the system, which KYRA cannot see, record an exception with the proof: %s", few(plain)))
}

func certKeyAge(ctx context.Context, q *inquiry) (*finding, error) {
	const population = "keys that sign or encrypt, and certificates that are shown"
	p, err := q.installation(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return unknownPlatform(population), nil
	}
	certificates, keys := slices.Clone(p.Certificates), slices.Clone(p.Keys)
	links, err := q.collectorLinks(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		certificates = append(certificates, Certificate{"collector " + text(l.Name), l.NotAfter})
	}
	authority, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) }, `SELECT created_at FROM fleet_authority`)
	if err != nil {
		return nil, err
	}
	for _, t := range authority {
		keys = append(keys, Key{"authority of collectors", t})
	}
	return judgeKeys(certificates, keys, q.p, q.now), nil
}

func judgeKeys(certificates []Certificate, keys []Key, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "keys that sign or encrypt, and certificates that are shown", size: int64(len(certificates) + len(keys)), from: now, to: now, resources: []string{"settings", "collectors"},
		threshold: fmt.Sprintf("keys younger than %d days AND certificates valid for %d days more", p.Int("maxKeyDays"), p.Int("minCertDays")),
		facts:     map[string]any{"certificates": certificates[:min(len(certificates), maxRows)], "keys": keys[:min(len(keys), maxRows)]},
	}
	if f.size == 0 {
		return f.nothing("No certificate and no key is in use.")
	}
	var old []phrase
	for _, c := range certificates {
		if c.Expires.Before(now.Add(p.Days("minCertDays"))) {
			old = append(old, say("certificate of %s (until %s)", c.Name, c.Expires.UTC().Format(time.DateOnly)))
		}
	}
	for _, k := range keys {
		if k.Since.Before(now.Add(-p.Days("maxKeyDays"))) {
			old = append(old, say("%s (since %s)", k.Name, k.Since.UTC().Format(time.DateOnly)))
		}
	}
	f.value, f.unit = new(float64(len(old))), "items outside"
	f.outcome = compliance.Pass
	if len(old) > 0 {
		f.outcome = compliance.Fail
	}
	return f.remedied(say("%d of %s outside their limits", len(old), plural(f.size, "key or certificate is", "keys and certificates are")), say("renew %s", few(old)))
}

// component is a part of the platform with its version.
type component struct{ ID, Name, Version string }

func platformPatch(ctx context.Context, q *inquiry) (*finding, error) {
	p, err := q.installation(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return unknownPlatform("server and collectors"), nil
	}
	all, err := rowsOf(ctx, q, func(rows *sql.Rows, c *component) error { return rows.Scan(&c.ID, &c.Name, &c.Version) },
		`SELECT m.id, m.name, c.version FROM fleet_member m JOIN collector c ON c.id = m.id WHERE m.tenant = $1 AND m.revoked_at IS NULL ORDER BY m.id`, q.tenant)
	if err != nil {
		return nil, err
	}
	return judgeVersions(p.Version, all, q.p, q.now), nil
}

// release is the part of a version that fixes do not change: "v1.4" of "v1.4.2".
func release(version string) string {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

func judgeVersions(server string, all []component, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "the server and enrolled collectors", from: now, to: now, resources: []string{"server", "collectors"}}
	all = append([]component{{"server", "server", server}}, all...)
	list := &table{}
	var good int64
	var old []string
	for _, c := range all {
		ok := release(c.Version) == release(server) && !strings.HasPrefix(c.Version, "devel")
		if ok {
			good++
		} else {
			old = append(old, c.Name+" ("+c.Version+")")
		}
		list.add(c.ID, map[string]any{"name": text(c.Name), "version": text(c.Version), "supported": ok})
	}
	f.facts = map[string]any{"components": list, "knownFlaws": "not looked up: KYRA calls nobody to ask for flaws of its own"}
	f.ratio(good, int64(len(all)), p)
	return f.remedied(say("%s components run a release, that of the server (%s); whether that has known flaws KYRA does not look up", of(good, int64(len(all))), server),
		say("upgrade %s", few(old)))
}

// platformBackup looks for what the audit log says of backups: KYRA makes none itself.
func platformBackup(ctx context.Context, q *inquiry) (*finding, error) {
	type row struct {
		action string
		at     time.Time
	}
	rows, err := rowsOf(ctx, q, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.action, sqldb.Micros(&r.at)) },
		`SELECT action, max(at) FROM audit_entry WHERE tenant IN (0, $1) AND action IN ('backup.create', 'backup.restore', 'backup.fail') GROUP BY action`, q.tenant)
	if err != nil {
		return nil, err
	}
	at := map[string]time.Time{}
	for _, r := range rows {
		at[r.action] = r.at
	}
	return judgeBackup(at["backup.create"], at["backup.restore"], at["backup.fail"], q.p, q.now), nil
}

func judgeBackup(made, restored, failed time.Time, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "backups of the platform that are on record", from: now.Add(-p.Days("restoreDays")), to: now, resources: []string{"audit log"},
		threshold: fmt.Sprintf("backup within %s AND restore test within %d days AND none failed since", span(p.Hours("backupHours")), p.Int("restoreDays")),
		facts:     map[string]any{"lastBackup": made, "lastRestore": restored, "lastFailure": failed},
	}
	if made.IsZero() {
		f.absent = true
		f.reason = say("No backup of the platform is on record: run kyra backup --to DIR each day. If something else backs it up, record an exception that names the proof.")
		return f
	}
	age := now.Sub(made)
	f.size, f.value, f.unit = 1, new(age.Hours()), "hours"
	broken := !failed.IsZero() && !restored.After(failed)
	tested := !restored.IsZero() && !restored.Before(f.from) && !broken
	switch {
	case age <= p.Hours("backupHours") && tested:
		f.outcome = compliance.Pass
	case age <= p.Hours("backupHours"):
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("The last backup was made %s ago", span(age))
	if tested {
		return f.remedied(found.And(say(", and one was restored on %s", restored.Format(time.DateOnly))), say("make one each day"))
	}
	if broken {
		return f.remedied(found.And(say(", but restoring one failed on %s", failed.Format(time.DateOnly))), say("read why in the audit log (backup.fail), make a new backup and test it: kyra backup test --from DIR"))
	}
	return f.remedied(found.And(say(", and none was restored within %s", span(p.Days("restoreDays")))), say("see whether one restores: kyra backup test --from DIR"))
}

// load is how the platform copes.
type load struct {
	lags    []time.Duration // of test events of the last 24 hours, from sending to the event store
	lost    int64
	free    float64 // percent; below 0: not known
	alarms  bool    // somebody is told, and test events run
	canary  bool
	running time.Duration // since the tenant is there
}

func capacityHealth(ctx context.Context, q *inquiry) (*finding, error) {
	p, err := q.installation(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return unknownPlatform("the server"), nil
	}
	began, err := q.began(ctx)
	if err != nil {
		return nil, err
	}
	l := load{free: -1, canary: p.CanaryEvery > 0, running: q.now.Sub(began)}
	if p.DiskTotal > 0 {
		l.free = 100 * float64(p.DiskFree) / float64(p.DiskTotal)
	}
	type run struct {
		state        string
		sent, stored *time.Time
	}
	runs, err := rowsOf(ctx, q, func(rows *sql.Rows, r *run) error {
		return rows.Scan(&r.state, sqldb.MicrosOrNull(&r.sent), sqldb.MicrosOrNull(&r.stored))
	}, `SELECT state, sent_at, stored_at FROM canary_run WHERE tenant = $1 AND sent_at >= $2 ORDER BY id`, q.tenant, q.now.Add(-day))
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		switch {
		case r.state == "lost":
			l.lost++
		case r.stored != nil && r.sent != nil:
			l.lags = append(l.lags, r.stored.Sub(*r.sent))
		}
	}
	told, err := q.delivered(ctx)
	if err != nil {
		return nil, err
	}
	l.alarms = l.canary && len(told.receivers) > 0
	return judgeLoad(&l, q.p, q.now), nil
}

func judgeLoad(l *load, p compliance.Params, now time.Time) *finding {
	limit, free := p.Seconds("maxLagSeconds"), p.Float("minFreePercent")
	f := &finding{
		population: "test events of the last 24 hours, and the disk of the data folder", size: int64(len(l.lags)) + l.lost, from: now.Add(-day), to: now, resources: []string{"test events", "disk", "channels and webhooks"},
		threshold: fmt.Sprintf("p95 of the way into the event store <= %s AND free storage >= %s %% AND alarms set", span(limit), decimal(free)),
		facts:     map[string]any{"testEvents": len(l.lags), "lost": l.lost, "freePercent": l.free, "alarmsSet": l.alarms},
	}
	if f.size == 0 {
		if l.canary && l.running < time.Hour {
			return f.nothing("No test event has gone its way yet: wait for the first one.")
		}
		f.absent = true
		f.reason = say("No test event of the last 24 hours tells how long records take: set canary.every to 15m.")
		return f
	}
	// What is lost takes for ever.
	slices.Sort(l.lags)
	p95, late := time.Duration(0), true
	if rank := (int(f.size)*95 + 99) / 100; rank <= len(l.lags) {
		p95 = l.lags[rank-1]
		late = p95 > limit
		f.value, f.unit = new(p95.Seconds()), "seconds"
		f.facts["p95Seconds"] = p95.Seconds()
	}
	full := l.free < free
	var found phrase
	if f.value == nil {
		found = say("%d of %d test events were lost", l.lost, f.size)
	} else {
		found = say("95 %% of records are in the event store within %s", span(p95))
	}
	if l.free >= 0 {
		found = found.And(say(", %s %% of the disk are free", decimal(float64(int(l.free*10))/10)))
	} else {
		found = found.And(say(", how much of the disk is free is not known"))
	}
	var remedy []phrase
	if late {
		remedy = append(remedy, say("give the server more processors or disk, or send less"))
	}
	if full {
		remedy = append(remedy, say("make room on the disk, or keep events shorter"))
	}
	if !l.alarms {
		found = found.And(say(", and nobody is told when something is wrong"))
		remedy = append(remedy, say("make a channel or webhook that is told of alert.created, and leave canary.every on"))
	}
	nearly := !late || f.value != nil && p95 <= limit*3/2
	almost := !full || l.free >= free/2
	switch {
	case !late && !full && l.alarms:
		f.outcome = compliance.Pass
	case l.alarms && late != full && nearly && almost:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(found, joined("; ", remedy))
}
