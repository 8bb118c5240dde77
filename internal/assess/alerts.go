package assess

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// grave are the severities that response checks look at, with the parameters that bound
// them.
var grave = []string{"critical", "high"}

// answered is how many alerts of a severity were first acted on within so many minutes.
type answered struct {
	Severity string `json:"severity"`
	Minutes  int64  `json:"minutes"`
	Alerts   int64  `json:"alerts"`
}

// waits is how alerts of one severity of the period were answered.
type waits struct {
	severity string
	limit    time.Duration
	created  int64
	answers  []answered // by rising minutes
	young    int64      // not answered, and still within the limit
}

func alertMTTA(ctx context.Context, q *inquiry) (*finding, error) {
	from := q.now.Add(-q.p.Days("periodDays")).Truncate(day)
	first := from.Unix() / 86400
	answers, err := rowsOf(ctx, q, func(rows *sql.Rows, a *answered) error { return rows.Scan(&a.Severity, &a.Minutes, &a.Alerts) },
		`SELECT severity, minutes, CAST(sum(n) AS BIGINT) FROM alert_answer WHERE tenant = $1 AND day >= $2 AND severity IN ('critical', 'high') AND n > 0 GROUP BY severity, minutes ORDER BY severity, minutes`, q.tenant, first)
	if err != nil {
		return nil, err
	}
	type total struct {
		severity string
		n        int64
	}
	totals, err := rowsOf(ctx, q, func(rows *sql.Rows, t *total) error { return rows.Scan(&t.severity, &t.n) },
		`SELECT severity, CAST(sum(n) AS BIGINT) FROM alert_day WHERE tenant = $1 AND day >= $2 AND severity IN ('critical', 'high') GROUP BY severity`, q.tenant, first)
	if err != nil {
		return nil, err
	}
	var all []waits
	for _, severity := range grave {
		w := waits{severity: severity, limit: q.p.Minutes(severity + "Minutes")}
		for _, t := range totals {
			if t.severity == severity {
				w.created = t.n
			}
		}
		for _, a := range answers {
			if a.Severity == severity {
				w.answers = append(w.answers, a)
			}
		}
		if w.created > 0 {
			young, err := rowsOf(ctx, q, sqldb.Value[int64], `SELECT count(*) FROM alert WHERE tenant = $1 AND severity = $2 AND created_at > $3 AND answered_at IS NULL`, q.tenant, severity, q.now.Add(-w.limit))
			if err != nil {
				return nil, err
			}
			w.young = young[0]
		}
		all = append(all, w)
	}
	return judgeWaits(all, from, q.p, q.now), nil
}

// at is the p-th percentile of how long alerts waited, in minutes; false where that one
// has not been answered.
func (w *waits) at(percent int64) (minutes int64, ok bool) {
	rank := (w.population()*percent + 99) / 100
	for _, a := range w.answers {
		if rank -= a.Alerts; rank <= 0 {
			return a.Minutes, true
		}
	}
	return 0, false
}

// population is those of which it is known whether they were answered in time.
func (w *waits) population() int64 { return max(w.created-w.young, w.done()) }

func (w *waits) done() (n int64) {
	for _, a := range w.answers {
		n += a.Alerts
	}
	return n
}

// within tells whether the percentile lies within the limit; of nothing it does.
func (w *waits) within(percent int64) bool {
	if w.population() == 0 {
		return true
	}
	minutes, ok := w.at(percent)
	return ok && time.Duration(minutes)*time.Minute <= w.limit
}

func judgeWaits(all []waits, from time.Time, p compliance.Params, now time.Time) *finding {
	f := &finding{
		population: "critical and high alerts created in the period, without those that are still within their limit; answered by a person or by a change of status", from: from, to: now, resources: []string{"alerts"},
		threshold: fmt.Sprintf("90 %% answered within %s (critical) and %s (high)", span(p.Minutes("criticalMinutes")), span(p.Minutes("highMinutes"))),
	}
	p90, p50 := true, true
	var words []phrase
	rows := []map[string]any{}
	for i := range all {
		w := &all[i]
		n := w.population()
		f.size += n
		p90, p50 = p90 && w.within(90), p50 && w.within(50)
		row := map[string]any{"severity": w.severity, "limitMinutes": w.limit.Minutes(), "created": w.created, "answered": w.done(), "stillYoung": w.young, "population": n}
		if n > 0 {
			said := say("not answered")
			for _, percentile := range []int64{50, 90} {
				row[fmt.Sprintf("p%d", percentile)] = nil
				if minutes, ok := w.at(percentile); ok {
					row[fmt.Sprintf("p%d", percentile)] = minutes
					if percentile == 90 {
						said = span(time.Duration(minutes) * time.Minute)
						if f.value == nil || float64(minutes) > *f.value {
							f.value, f.unit = new(float64(minutes)), "minutes"
						}
					}
				}
			}
			words = append(words, say("%s of %d %s", said, n, say(w.severity)))
		}
		rows = append(rows, row)
	}
	f.facts = map[string]any{"severities": rows}
	if f.size == 0 {
		return f.nothing("No critical or high alert of the period has had its time to be answered.")
	}
	switch {
	case p90:
		f.outcome = compliance.Pass
	case p50:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	return f.remedied(say("The 90th percentile of the time to the first answer is %s", joined(", ", words)), say("assign or take up critical and high alerts sooner, route them to a channel, and tune the rules that raise too many"))
}

// backlog is alerts by severity that are older than the limit.
type backlog struct {
	Severity string `json:"severity"`
	Recent   int64  `json:"recent"`     // created in the 30 days before the limit
	Open     int64  `json:"openRecent"` // of them
	Older    int64  `json:"openOlder"`  // still open, created before
}

type openAlert struct {
	ID       string    `json:"id"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	Created  time.Time `json:"createdAt"`
}

const backlogPeriod = 30 * day

func alertBacklog(ctx context.Context, q *inquiry) (*finding, error) {
	limit := q.now.Add(-q.p.Hours("maxOpenHours")).Truncate(time.Hour)
	from := limit.Add(-backlogPeriod)
	type row struct {
		severity string
		all, n   int64
	}
	scan := func(rows *sql.Rows, r *row) error { return rows.Scan(&r.severity, &r.all, &r.n) }
	recent, err := rowsOf(ctx, q, scan, `SELECT severity, CAST(sum(n) AS BIGINT), CAST(sum(CASE WHEN status = 'OPEN' THEN n ELSE 0 END) AS BIGINT) FROM alert_hour
		WHERE tenant = $1 AND hour >= $2 AND hour < $3 AND severity IN ('critical', 'high') GROUP BY severity`, q.tenant, from.Unix()/3600, limit.Unix()/3600)
	if err != nil {
		return nil, err
	}
	// Those that are older: all that are open, without those of the time since.
	since, err := rowsOf(ctx, q, scan, `SELECT t.severity, t.n, COALESCE((SELECT CAST(sum(h.n) AS BIGINT) FROM alert_hour h WHERE h.tenant = t.tenant AND h.hour >= $2 AND h.severity = t.severity AND h.status = 'OPEN'), 0)
		FROM alert_total t WHERE t.tenant = $1 AND t.status = 'OPEN' AND t.severity IN ('critical', 'high')`, q.tenant, from.Unix()/3600)
	if err != nil {
		return nil, err
	}
	var all []backlog
	var oldest []openAlert
	for _, severity := range grave {
		b := backlog{Severity: severity}
		for _, r := range recent {
			if r.severity == severity {
				b.Recent, b.Open = r.all, r.n
			}
		}
		for _, r := range since {
			if r.severity == severity {
				b.Older = max(r.all-r.n, 0)
			}
		}
		all = append(all, b)
		if b.Open+b.Older == 0 {
			continue
		}
		some, err := rowsOf(ctx, q, func(rows *sql.Rows, a *openAlert) error {
			return rows.Scan(&a.ID, &a.Severity, &a.Title, sqldb.Micros(&a.Created))
		}, `SELECT id, severity, title, created_at FROM alert WHERE tenant = $1 AND severity = $2 AND status = 'OPEN' AND created_at < $3 ORDER BY created_at, seq LIMIT 50`, q.tenant, severity, limit)
		if err != nil {
			return nil, err
		}
		oldest = append(oldest, some...)
	}
	return judgeBacklog(all, oldest, q.p, q.now), nil
}

func judgeBacklog(all []backlog, oldest []openAlert, p compliance.Params, now time.Time) *finding {
	age := p.Hours("maxOpenHours")
	f := &finding{
		population: fmt.Sprintf("critical and high alerts created in the 30 days that ended %s ago, and all older ones that are still OPEN", span(age)),
		from:       now.Add(-age - backlogPeriod), to: now.Add(-age), resources: []string{"alerts"},
	}
	var open, old int64
	for _, b := range all {
		f.size += b.Recent + b.Older
		open += b.Open + b.Older
		old += b.Older
	}
	list := &table{}
	for _, a := range oldest {
		a.Title = text(a.Title)
		list.add(a.ID, a)
	}
	f.facts = map[string]any{"severities": all, "oldest": list, "open": open}
	if f.size == 0 {
		return f.nothing("There is no critical or high alert that is older than %s.", span(age))
	}
	v := share(open, f.size)
	f.value, f.unit, f.threshold = new(v), "ratio", "share still OPEN <= "+decimal(p.Float("passRatio"))
	switch {
	case v <= p.Float("passRatio")+near:
		f.outcome = compliance.Pass
	case v <= p.Float("partialRatio")+near:
		f.outcome = compliance.Partly
	default:
		f.outcome = compliance.Fail
	}
	found := say("%d of %d critical and high alerts (%s) are still OPEN after %s", open, f.size, percent(v), span(age))
	if old > 0 {
		found = found.And(say(", %d of them for more than %s", old, span(age+backlogPeriod)))
	}
	return f.remedied(found, say("work them off, the oldest first (GET /alerts?status=OPEN&sort=createdAt), and tune the rules that raise too many"))
}
