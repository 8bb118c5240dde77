package assess

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const day = 24 * time.Hour

// kept is how long events are kept, and whether they were.
type kept struct {
	configured int        // days, of index and archive alike
	began      time.Time  // of the tenant
	first      *time.Time // hour of the first arrival ever, nil where nothing came
	archived   time.Time  // first day that the archive still has, zero for none
	early      *time.Time // when something was last removed before its term
	pii        []string   // names of assets that hold personal data
}

func logRetention(ctx context.Context, q *inquiry) (*finding, error) {
	var k kept
	terms, err := rowsOf(ctx, q, func(rows *sql.Rows, k *kept) error { return rows.Scan(&k.configured, sqldb.Micros(&k.began)) },
		`SELECT retention_days, created_at FROM tenant WHERE number = $1`, q.tenant)
	if err != nil {
		return nil, err
	}
	if len(terms) == 0 {
		return missing("index and archive of the tenant's events", "The tenant has no retention set."), nil
	}
	k = terms[0]
	hours, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT hour FROM source_ledger WHERE tenant = $1 ORDER BY hour LIMIT 1`, q.tenant)
	if err != nil {
		return nil, err
	}
	if len(hours) > 0 {
		k.first = new(time.Unix(hours[0]*3600, 0).UTC())
	}
	if q.Archived != nil {
		q.note("first day that the raw archive has of the tenant")
		if k.archived, err = q.Archived(q.tenant); err != nil {
			return nil, err
		}
	}
	early, err := rowsOf(ctx, q, func(rows *sql.Rows, t **time.Time) error { return rows.Scan(sqldb.MicrosOrNull(t)) }, `SELECT early_at FROM retention_run`)
	if err != nil {
		return nil, err
	}
	if len(early) > 0 {
		k.early = early[0]
	}
	if q.p.Int("piiMinDays") > 0 {
		machines, err := q.machines(ctx)
		if err != nil {
			return nil, err
		}
		for i := range machines {
			if machines[i].personal() {
				k.pii = append(k.pii, machines[i].Name)
			}
		}
	}
	return judgeRetention(&k, q.p, q.now), nil
}

func judgeRetention(k *kept, p compliance.Params, now time.Time) *finding {
	need := p.Int("minDays")
	why := none
	if pii := p.Int("piiMinDays"); pii > need && len(k.pii) == 0 {
		why = say(" (%d would be where an asset has the tag personal-data)", pii)
	} else if pii > need {
		need, why = pii, say(", since %s personal data", plural(int64(len(k.pii)), "asset holds", "assets hold"))
	}
	hot := p.Int("hotDays")
	f := &finding{
		population: "index and raw archive of the tenant's events, which share one term", size: 2, from: k.began, to: now, resources: []string{"setting retention", "raw archive", "ledger"},
		value: new(float64(k.configured)), unit: "days",
		threshold: fmt.Sprintf("kept >= %d days AND searchable >= %d days AND nothing gone early", need, hot),
		facts: map[string]any{
			"configuredDays": k.configured, "searchableDays": k.configured, "neededDays": need, "neededHotDays": hot, "tenantSince": k.began,
			"firstArrival": k.first, "archiveFrom": k.archived, "removedEarlyAt": k.early, "assetsWithPersonalData": k.pii[:min(len(k.pii), maxRows)],
		},
	}
	if k.configured < need {
		f.outcome = compliance.Fail
		return f.remedied(say("Events are kept %d days, %d are asked for%s", k.configured, need, why), say("raise the tenant's retention to at least %d days", need))
	}
	if k.first == nil {
		f.size = 0
		f.outcome = compliance.NoData
		return f.remedied(say("Retention is set to %d days, and nothing has arrived yet that could be kept", k.configured), say("send logs"))
	}
	// What should be there: everything since the first arrival, or since the term began.
	should := k.first.Truncate(day)
	if term := now.AddDate(0, 0, -need); should.Before(term) {
		should = term.Truncate(day)
	}
	whole := !k.archived.IsZero() && !k.archived.After(should.Add(day))
	switch {
	case k.configured < hot:
		f.outcome = compliance.Partly
		return f.remedied(say("Events can be searched for %d days, %d are asked for", k.configured, hot), say("raise the tenant's retention"))
	case k.early != nil && k.early.After(now.AddDate(0, 0, -need)):
		f.outcome = compliance.Partly
		return f.remedied(say("Retention is set to %d days, and on %s events were removed before their term since they took more room than retention.max_bytes allows", k.configured, k.early.UTC().Format(time.DateOnly)),
			say("raise retention.max_bytes, and give the disk the room"))
	case !whole:
		f.outcome = compliance.Partly
		have := say("the raw archive has nothing")
		if !k.archived.IsZero() {
			have = say("the raw archive begins on %s", k.archived.Format(time.DateOnly))
		}
		return f.remedied(say("Retention is set to %d days, events arrived since %s, and %s", k.configured, k.first.Format(time.DateOnly), have),
			say("find out where the days between have gone: kyra archive verify checks what is there"))
	}
	f.outcome = compliance.Pass
	return f.remedied(say("Events are kept and can be searched for %d days, %d are asked for%s; everything since %s is there", k.configured, need, why, should.Format(time.DateOnly)), none)
}

// online is a collector with the times in which nothing was heard of it.
type online struct {
	ID, Name, Host string
	From           time.Time // when it began to count
	Last           time.Time // last sign of life
	Gaps           []gap
}

type gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (o *online) up(to time.Time) (up, all time.Duration) {
	all = max(to.Sub(o.From), 0)
	up = all
	for _, g := range o.Gaps {
		up -= g.To.Sub(g.From)
	}
	return max(up, 0), all
}

const collectorPopulation = "collectors that were let in and not put out, and the server's own inputs where test events watch them; the time of each in the period"

func collectorOnline(ctx context.Context, q *inquiry) (*finding, error) {
	from := q.now.Add(-q.p.Days("periodDays"))
	type member struct {
		id, name, host string
		enrolled, last time.Time
		away           *time.Time
	}
	members, err := rowsOf(ctx, q, func(rows *sql.Rows, m *member) error {
		return rows.Scan(&m.id, &m.name, &m.host, sqldb.Micros(&m.enrolled), sqldb.Micros(&m.last), sqldb.MicrosOrNull(&m.away))
	}, `SELECT m.id, m.name, c.hostname, m.enrolled_at, c.last_heartbeat, m.away_since FROM fleet_member m JOIN collector c ON c.id = m.id
		WHERE m.tenant = $1 AND m.revoked_at IS NULL ORDER BY m.id`, q.tenant)
	if err != nil {
		return nil, err
	}
	type told struct {
		id, event string
		at        time.Time
	}
	log, err := rowsOf(ctx, q, func(rows *sql.Rows, t *told) error { return rows.Scan(&t.id, &t.event, sqldb.Micros(&t.at)) },
		`SELECT object, event, at FROM notice WHERE tenant = $1 AND kind = 'collectors' AND at >= $2 ORDER BY at, seq`, q.tenant, from)
	if err != nil {
		return nil, err
	}
	all := []online{}
	for _, m := range members {
		o := online{ID: m.id, Name: m.name, Host: m.host, From: m.enrolled, Last: m.last}
		if o.From.Before(from) {
			o.From = from
		}
		var since *time.Time
		first := true
		for _, t := range log {
			if t.id != m.id {
				continue
			}
			switch {
			case t.event == "collector.disconnected" && since == nil:
				since = new(t.at)
			case t.event == "collector.connected" && since != nil:
				o.Gaps, since = append(o.Gaps, gap{*since, t.at}), nil
			case t.event == "collector.connected" && first: // it was away when the period began
				o.Gaps = append(o.Gaps, gap{o.From, t.at})
			}
			first = false
		}
		if since == nil && m.away != nil {
			since = m.away
			if since.Before(o.From) {
				since = new(o.From)
			}
		}
		if since != nil {
			o.Gaps = append(o.Gaps, gap{*since, q.now})
		}
		all = append(all, o)
	}
	server, err := q.serverOnline(ctx, from)
	if err != nil {
		return nil, err
	}
	if server != nil {
		all = append(all, *server)
	}
	return judgeOnline(all, q.p, q.now), nil
}

// serverOnline is the server's own inputs, as test events that went the whole way prove
// them; nil where there are none.
func (q *inquiry) serverOnline(ctx context.Context, from time.Time) (*online, error) {
	platform, err := q.installation(ctx)
	if err != nil || platform == nil || platform.CanaryEvery <= 0 {
		return nil, err
	}
	sent, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) },
		`SELECT sent_at FROM canary_run WHERE tenant = $1 AND sent_at >= $2 AND state = 'ok' ORDER BY sent_at`, q.tenant, from)
	if err != nil || len(sent) == 0 {
		return nil, err
	}
	o := &online{ID: "server", Name: "server", Host: "the server's own inputs", From: sent[0], Last: sent[len(sent)-1]}
	// One that is missing may be chance.
	longest := 2*platform.CanaryEvery + 5*time.Minute
	for i, at := range append(sent[1:], q.now) {
		if before := sent[i]; at.Sub(before) > longest {
			o.Gaps = append(o.Gaps, gap{before.Add(platform.CanaryEvery), at})
		}
	}
	return o, nil
}

func judgeOnline(all []online, p compliance.Params, now time.Time) *finding {
	f := &finding{population: collectorPopulation, from: now.Add(-p.Days("periodDays")), to: now, resources: []string{"collectors", "inbox: collector.connected, collector.disconnected", "test events"}}
	var up, whole time.Duration
	list := &table{}
	var worst []string
	slices.SortStableFunc(all, func(a, b online) int { return len(b.Gaps) - len(a.Gaps) })
	for i := range all {
		o := &all[i]
		u, w := o.up(now)
		if w < time.Minute {
			continue
		}
		up, whole = up+u, whole+w
		row := map[string]any{"id": o.ID, "name": text(o.Name), "host": text(o.Host), "countedFrom": o.From, "lastHeard": o.Last, "uptime": float64(u) / float64(w), "gaps": o.Gaps[:min(len(o.Gaps), 20)]}
		list.add(o.ID, row)
		if len(o.Gaps) > 0 {
			worst = append(worst, o.Name)
		}
	}
	f.facts = map[string]any{"collectors": list, "hoursUp": up.Hours(), "hours": whole.Hours()}
	if list.count == 0 {
		f.absent = true
		f.reason = say("No collector is enrolled, and no test event has proven the server's own inputs yet: enroll collectors (docs/collector.md), or leave canary.every on.")
		return f
	}
	f.ratio(int64(up/time.Second), int64(whole/time.Second), p)
	f.size = list.count
	found := say("%s, heard of during %s of the time", plural(list.count, "collector is there", "collectors are there"), percent(*f.value))
	return f.remedied(found, say("look at the gaps of %s; a host that is gone for good is put out with DELETE /collectors/{id}", few(worst)))
}

func logSourceCoverage(ctx context.Context, q *inquiry) (*finding, error) {
	machines, err := q.machines(ctx)
	if err != nil {
		return nil, err
	}
	return judgeCoverage(machines, q.p, q.now), nil
}

func judgeCoverage(machines []machine, p compliance.Params, now time.Time) *finding {
	window := p.Hours("windowHours")
	f := &finding{population: machinePopulation, from: now.Add(-window), to: now, resources: []string{"assets"}}
	silent, sending := []*machine{}, []*machine{}
	for i := range machines {
		switch m := &machines[i]; {
		case !m.scoped(now):
		case m.Sent != nil && !m.Sent.Before(now.Add(-window)):
			sending = append(sending, m)
		default:
			silent = append(silent, m)
		}
	}
	list := &table{}
	var names []string
	for _, m := range append(silent, sending...) {
		list.add(m.ID, map[string]any{"id": m.ID, "name": text(m.Name), "lastLog": m.Sent, "lastSeen": m.Last})
	}
	for _, m := range silent {
		names = append(names, m.Name)
	}
	f.facts = map[string]any{"assets": list, "silent": len(silent), "sending": len(sending)}
	if list.count == 0 {
		f.absent = true
		f.reason = say("No asset is known: send logs, or import the inventory with POST /assets/import.")
		return f
	}
	f.ratio(int64(len(sending)), list.count, p)
	return f.remedied(say("%s assets sent logs within %s", of(int64(len(sending)), list.count), span(window)),
		say("connect %s, or give those that need not the tag %s", few(names), outOfScope))
}

// canarySource is what test events of KYRA's own are a log source of.
const canarySource = "kyra_canary"

func sourceSilenceAlert(ctx context.Context, q *inquiry) (*finding, error) {
	if q.Logs == nil {
		return missing("log sources", "This server does not watch log sources."), nil
	}
	sources, err := q.logSources(ctx)
	if err != nil {
		return nil, err
	}
	proven, err := q.delivered(ctx)
	if err != nil {
		return nil, err
	}
	return judgeSilence(sources, &proven, q.p, q.now), nil
}

func judgeSilence(sources []logsource.Source, d *deliveries, p compliance.Params, now time.Time) *finding {
	f := &finding{population: "log sources (product and host) of the last 60 days", from: now.Add(-p.Days("testMaxAgeDays")), to: now, resources: []string{"log sources", "deliveries"}}
	f.threshold = fmt.Sprintf("silence of every source raises an alarm AND an alarm was delivered within %s", span(p.Days("testMaxAgeDays")))
	longest := p.Minutes("maxSilenceMinutes")
	list := &table{}
	open, covered := []phrase{}, int64(0)
	byState := map[string][]*logsource.Source{}
	for i := range sources {
		s := &sources[i]
		if s.Others || s.Name == canarySource {
			continue
		}
		state := "covered"
		switch {
		case s.Muted:
			state = "muted"
		case s.Limit <= 0:
			state = "learning"
		case s.SilentAfter > longest:
			state = "set too long"
		}
		byState[state] = append(byState[state], s)
	}
	for _, state := range []string{"muted", "set too long", "learning", "covered"} {
		for _, s := range byState[state] {
			list.add(s.ID, map[string]any{"source": text(s.Name), "host": text(s.Host), "state": state, "alarmAfter": s.Limit.String(), "lastSeen": s.Last})
			if state == "covered" {
				covered++
			} else {
				open = append(open, say("%s of %s (%s)", s.Name, s.Host, say(state)))
			}
		}
	}
	last := d.lastOf(alarms...)
	f.facts = map[string]any{"rule": logsource.RuleID, "sources": list, "covered": covered, "lastDelivery": last, "receivers": d.receivers}
	f.size = list.count
	if list.count == 0 {
		f.absent = true
		f.reason = say("No log source is known, so that none can fall silent: send logs.")
		return f
	}
	f.value, f.unit = new(share(covered, list.count)), "ratio"
	delivered := last != nil && !last.Before(now.Add(-p.Days("testMaxAgeDays")))
	whole := covered == list.count
	switch {
	case whole && delivered:
		f.outcome = compliance.Pass
	case covered > 0 || delivered:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("Silence of %s sources raises an alarm", of(covered, list.count))
	var remedy []phrase
	if delivered {
		found = found.And(say(", and an alarm was last delivered on %s", last.UTC().Format(time.DateOnly)))
	} else {
		found = found.And(say(", and no alarm was delivered to a receiver"))
		remedy = append(remedy, say("make a channel or webhook that is told of alert.created and collector.disconnected, and test it"))
	}
	if !whole {
		remedy = append(remedy, say("look at %s: a source that is being learned is covered once its silence is known, or at once with silentAfter", few(open)))
	}
	return f.remedied(found, joined("; ", remedy))
}
