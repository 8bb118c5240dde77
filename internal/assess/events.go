package assess

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// offset is how far a collector's clock is from the server's.
type offset struct {
	ID, Name string
	Offset   time.Duration
}

func timeSync(ctx context.Context, q *inquiry) (*finding, error) {
	if q.Logs == nil {
		return missing("log sources", "This server does not see log sources."), nil
	}
	q.note("median of arrival minus event time, of up to 64 records of each log source at least 5 seconds apart, since the server started")
	type row struct{ id, name, report string }
	reports, err := rowsOf(ctx, q, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.id, &r.name, &r.report) },
		`SELECT m.id, m.name, m.report FROM fleet_member m JOIN collector c ON c.id = m.id WHERE m.tenant = $1 AND m.revoked_at IS NULL AND m.report <> '' AND c.last_heartbeat >= $2 ORDER BY m.id`,
		q.tenant, q.now.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	var offsets []offset
	for _, r := range reports {
		var report fleet.Report
		if json.Unmarshal([]byte(r.report), &report) == nil {
			offsets = append(offsets, offset{r.id, r.name, report.ClockOffset})
		}
	}
	return judgeClocks(q.Logs.Clocks(q.tenant), offsets, q.p, q.now), nil
}

// collectorSkew is how far a collector's clock may be off.
const collectorSkew = time.Second

func judgeClocks(clocks []logsource.Clock, offsets []offset, p compliance.Params, now time.Time) *finding {
	limit := p.Seconds("maxSkewSeconds")
	f := &finding{population: fmt.Sprintf("log sources of which at least %d records carried a time of their own", logsource.EnoughSamples), from: now, to: now, resources: []string{"log sources", "heartbeats of collectors"}}
	list := &table{}
	var off []phrase
	few30, good := 0, int64(0)
	for _, late := range []bool{true, false} {
		for _, c := range clocks {
			if c.Source == canarySource {
				continue
			}
			if c.Samples < logsource.EnoughSamples {
				if late {
					few30++
				}
				continue
			}
			if (c.Median.Abs() > limit) != late {
				continue
			}
			list.add(c.ID, map[string]any{"source": text(c.Source), "host": text(c.Host), "medianSeconds": c.Median.Seconds(), "samples": c.Samples, "zoneAssumed": c.Zoneless})
			if late {
				off = append(off, say("%s of %s (%s)", c.Source, c.Host, span(c.Median)))
			} else {
				good++
			}
		}
	}
	collectors := &table{}
	var wrong []phrase
	for _, o := range offsets {
		collectors.add(o.ID, map[string]any{"collector": text(o.Name), "offsetSeconds": o.Offset.Seconds()})
		if o.Offset.Abs() > collectorSkew {
			wrong = append(wrong, say("%s (%s)", o.Name, span(o.Offset)))
		}
	}
	f.facts = map[string]any{"sources": list, "collectors": collectors, "sourcesWithFewRecords": few30}
	if list.count == 0 {
		return f.nothing("No log source has sent %d records with a time of their own since the server started: wait, or let senders write times (RFC 5424).", logsource.EnoughSamples)
	}
	f.ratio(good, list.count, p)
	f.threshold += fmt.Sprintf(" within %s AND every collector within %s", span(limit), span(collectorSkew))
	if f.outcome == compliance.Pass && len(wrong) > 0 {
		f.outcome = compliance.Partly
	}
	found := say("The clocks of %s log sources are within %s of arrival", of(good, list.count), span(limit))
	var remedy []phrase
	if len(off) > 0 {
		remedy = append(remedy, say("set the clock or the time zone of %s", few(off)))
	}
	if len(wrong) > 0 {
		found = found.And(say(", and %s off by more than %s", plural(int64(len(wrong)), "collector is", "collectors are"), span(collectorSkew)))
		remedy = append(remedy, say("set the clock of the collectors %s by NTP", few(wrong)))
	}
	return f.remedied(found, joined("; ", remedy))
}

// attributed are the categories of events that somebody did.
const attributed = `category:(authentication OR session OR iam OR configuration OR database OR file)`

// complete are those that say when, what, by whom and how it ended.
const complete = attributed + ` AND NOT time_quality:received AND action:* AND outcome:* AND (user:* OR user_id:* OR src_user:* OR src_ip:*)`

const attributionWindow = 24 * time.Hour

func logFieldCompleteness(ctx context.Context, q *inquiry) (*finding, error) {
	if q.Events == nil {
		return missing("events", "This server sees no events."), nil
	}
	from := q.now.Add(-attributionWindow)
	all, err := q.bySource(ctx, attributed, from, q.now)
	if err != nil {
		return nil, err
	}
	whole := map[string]int64{}
	if len(all) > 0 {
		if whole, err = q.bySource(ctx, complete, from, q.now); err != nil {
			return nil, err
		}
	}
	return judgeAttribution(all, whole, q.p, q.now), nil
}

func judgeAttribution(all, whole map[string]int64, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "events of the last 24 hours that are authentication, session, iam, configuration, database or file", from: now.Add(-attributionWindow), to: now, resources: []string{"events"},
	}
	type row struct {
		Source   string  `json:"source"`
		Events   int64   `json:"events"`
		Complete int64   `json:"complete"`
		Ratio    float64 `json:"ratio"`
	}
	var rows []row
	var events, good int64
	for source, n := range all {
		if source == canarySource {
			continue
		}
		g := min(whole[source], n)
		rows = append(rows, row{source, n, g, share(g, n)})
		events, good = events+n, good+g
	}
	// Where most are missing first: that is where to begin.
	slices.SortFunc(rows, func(a, b row) int {
		if d := (b.Events - b.Complete) - (a.Events - a.Complete); d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a.Source, b.Source)
	})
	list := &table{}
	var worst []string
	for _, r := range rows {
		list.add(r.Source, r)
		if r.Complete < r.Events {
			worst = append(worst, r.Source)
		}
	}
	f.facts = map[string]any{"sources": list, "fields": []string{"time", "source", "action", "outcome", "user or user_id or src_user or src_ip"}}
	if events == 0 {
		return f.nothing("No event of the last 24 hours says who did something: connect sources that log sign-ins and changes.")
	}
	f.ratio(good, events, p)
	return f.remedied(say("%s events carry time, source, action, outcome and who", of(good, events)),
		say("most are missing in %s: look at them with POST /siem/parse, and set a parser or aliases for the log source", few(worst)))
}

// term is how retention went.
type term struct {
	days     int
	began    time.Time
	ended    *time.Time // of the last run that came to its end
	archived time.Time
	oldest   *time.Time // arrival of what the oldest day of the event store holds at the latest
	holds    int64
}

func retentionDeletion(ctx context.Context, q *inquiry) (*finding, error) {
	terms, err := rowsOf(ctx, q, func(rows *sql.Rows, t *term) error { return rows.Scan(&t.days, sqldb.Micros(&t.began)) },
		`SELECT retention_days, created_at FROM tenant WHERE number = $1`, q.tenant)
	if err != nil {
		return nil, err
	}
	if len(terms) == 0 {
		return missing("events of the tenant", "The tenant has no retention set."), nil
	}
	t := terms[0]
	longest, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT COALESCE(max(retention_days), 0) FROM tenant`)
	if err != nil {
		return nil, err
	}
	ended, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) }, `SELECT ended_at FROM retention_run`)
	if err != nil {
		return nil, err
	}
	if len(ended) > 0 {
		t.ended = &ended[0]
	}
	// A day of the store holds all tenants: it goes by the longest term, and what a shorter
	// one asks for is erased in it.
	if int64(t.days) == longest[0] {
		oldest, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) }, `SELECT last_arrival FROM event_day ORDER BY last_arrival LIMIT 1`)
		if err != nil {
			return nil, err
		}
		if len(oldest) > 0 {
			t.oldest = &oldest[0]
		}
	}
	if q.Archived != nil {
		q.note("first day that the raw archive has of the tenant")
		if t.archived, err = q.Archived(q.tenant); err != nil {
			return nil, err
		}
	}
	holds, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT count(*) FROM dsr_hold WHERE released_at IS NULL AND (until IS NULL OR until > $1)`, q.now)
	if err != nil {
		return nil, err
	}
	t.holds = holds[0]
	return judgeDeletion(&t, q.p, q.now), nil
}

func judgeDeletion(t *term, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "index and raw archive of the tenant's events", size: 2, from: t.began, to: now, resources: []string{"setting retention", "raw archive", "days of the event store", "legal holds"},
		threshold: fmt.Sprintf("deletion ran within %d days AND nothing is older than %d + %d days", p.Int("jobDays"), t.days, p.Int("graceDays")),
		facts:     map[string]any{"retentionDays": t.days, "lastRun": t.ended, "archiveFrom": t.archived, "oldestDayArrived": t.oldest, "legalHolds": t.holds},
	}
	if t.ended == nil {
		if now.Sub(t.began) < 2*time.Hour {
			return f.nothing("Deletion runs each hour, and has not run yet since the tenant was made.")
		}
		f.absent, f.size = true, 0
		f.reason = say("No run of deletion is on record: it runs each hour in kyra serve; look into the server's log for why it fails.")
		return f
	}
	age := now.Sub(*t.ended)
	f.value, f.unit = new(age.Hours()/24), "days"
	limit := now.AddDate(0, 0, -t.days-p.Int("graceDays"))
	over := !t.archived.IsZero() && t.archived.Before(limit.Add(-day)) || t.oldest != nil && t.oldest.Before(limit)
	found := say("Deletion last ran to its end %s ago, and events are kept %d days", span(age), t.days)
	switch {
	case age > 30*day:
		f.outcome = compliance.Fail
		return f.remedied(found, say("look into the server's log for why deletion does not end"))
	case over && t.holds > 0:
		f.outcome = compliance.Partly
		return f.remedied(say("%s; older ones are kept for %s", found, plural(t.holds, "legal hold", "legal holds")), say("release holds whose reason has ended (GET /dsr/holds)"))
	case over || age > p.Days("jobDays"):
		f.outcome = compliance.Partly
		what := say("look into the server's log for why deletion does not end")
		if over {
			found = found.And(say(", and there are older ones"))
			what = say("look into the server's log for why they are still there")
		}
		return f.remedied(found, what)
	}
	f.outcome = compliance.Pass
	return f.remedied(found.And(say("; nothing is older")), none)
}
