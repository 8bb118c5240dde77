package alert

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Summary counts the alerts that were made within a period, for reports.
type Summary struct {
	Total                    int64
	BySeverity               [5]int64 // the most severe first
	Open, InProgress         int64    // as they stand now
	Resolved, FalsePositive  int64
	TruePositives            int64 // of that verdict
	Days                     []DayCount
	Rules                    []Ranked // the most alerts first, as the rest; Name is the rule's
	Tactics, Techniques      []Ranked
	Sources, Entities        []Ranked
	Acknowledged             int64         // that somebody acted on
	MeanAnswer, NinetyAnswer time.Duration // from creation to the first act, of those: mean and nine in ten; whole minutes, by days UTC
}

// A DayCount is what was made on one day of the reader's zone.
type DayCount struct {
	Day        time.Time // its beginning
	BySeverity [5]int64
}

// Ranked is one thing that alerts name, and how many do.
type Ranked struct {
	ID, Name string
	Count    int64
	Worst    string // the gravest severity of them
}

// Summary counts the alerts made within [from, to), by days that begin at midnight in
// zone, with the top things that they name.
func (s *Service) Summary(ctx context.Context, tenant uint32, from, to time.Time, zone *time.Location, top int) (*Summary, error) {
	out := &Summary{}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		for _, f := range []func(context.Context, *sqldb.DB, uint32, time.Time, time.Time) error{out.totals, out.answers} {
			if err := f(ctx, tx, tenant, from, to); err != nil {
				return err
			}
		}
		if err := out.days(ctx, tx, tenant, from, to, zone); err != nil {
			return err
		}
		for _, r := range []struct {
			into              *[]Ranked
			id, name, and, on string
		}{
			{&out.Rules, "a.rule_id", "max(a.rule_name)", "", ""},
			{&out.Tactics, "a.tactic", "''", " AND a.tactic <> ''", ""},
			{&out.Techniques, "a.technique", "''", " AND a.technique <> ''", ""},
			{&out.Sources, "a.source", "''", "", ""},
			{&out.Entities, "e.value", "''", "", " JOIN alert_entity e ON e.seq = a.seq"},
		} {
			list, err := sqldb.All(ctx, tx, scanRanked, `SELECT `+r.id+`, `+r.name+`, count(*), min(CASE a.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END)
				FROM alert a`+r.on+` WHERE a.tenant = $1 AND a.created_at >= $2 AND a.created_at < $3`+r.and+` GROUP BY `+r.id+` ORDER BY 3 DESC, 1 LIMIT $4`,
				int64(tenant), ceilMicro(from), ceilMicro(to), top)
			if err != nil {
				return err
			}
			*r.into = list
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap("sum up alerts", err)
	}
	return out, nil
}

func scanRanked(rows *sql.Rows, r *Ranked) error {
	var worst int
	if err := rows.Scan(&r.ID, &r.Name, &r.Count, &worst); err != nil {
		return err
	}
	r.Worst = event.Severities[worst]
	return nil
}

func (o *Summary) totals(ctx context.Context, tx *sqldb.DB, tenant uint32, from, to time.Time) error {
	type row struct {
		severity string
		status   Status
		verdict  Verdict
		n        int64
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.severity, &r.status, &r.verdict, &r.n) },
		`SELECT severity, status, verdict, count(*) FROM alert WHERE tenant = $1 AND created_at >= $2 AND created_at < $3 GROUP BY severity, status, verdict`, int64(tenant), ceilMicro(from), ceilMicro(to)) {
		if err != nil {
			return err
		}
		o.Total += r.n
		o.BySeverity[max(slices.Index(event.Severities, r.severity), 0)] += r.n
		switch r.status {
		case Open:
			o.Open += r.n
		case InProgress:
			o.InProgress += r.n
		case Resolved:
			o.Resolved += r.n
		case FalsePositive:
			o.FalsePositive += r.n
		}
		if r.verdict == TruePositive {
			o.TruePositives += r.n
		}
	}
	return nil
}

// quarter is what every zone's days begin at a multiple of.
const quarter = 15 * time.Minute

func (o *Summary) days(ctx context.Context, tx *sqldb.DB, tenant uint32, from, to time.Time, zone *time.Location) error {
	at := map[int64]int{}
	for day := midnight(from, zone); day.Before(to); {
		at[day.Unix()] = len(o.Days)
		o.Days = append(o.Days, DayCount{Day: day})
		day = time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
	}
	type row struct {
		quarter  int64
		severity string
		n        int64
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.quarter, &r.severity, &r.n) },
		`SELECT created_at / 900000000, severity, count(*) FROM alert WHERE tenant = $1 AND created_at >= $2 AND created_at < $3 GROUP BY 1, 2`, int64(tenant), ceilMicro(from), ceilMicro(to)) {
		if err != nil {
			return err
		}
		day := midnight(time.Unix(r.quarter*int64(quarter/time.Second), 0), zone)
		if i, ok := at[day.Unix()]; ok {
			o.Days[i].BySeverity[max(slices.Index(event.Severities, r.severity), 0)] += r.n
		}
	}
	return nil
}

func midnight(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// answers reads the counters of how long it took to act on alerts.
func (o *Summary) answers(ctx context.Context, tx *sqldb.DB, tenant uint32, from, to time.Time) error {
	type row struct{ minutes, n int64 }
	all, err := sqldb.All(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.minutes, &r.n) },
		`SELECT minutes, CAST(sum(n) AS BIGINT) FROM alert_answer WHERE tenant = $1 AND day >= $2 AND day <= $3 AND n > 0 GROUP BY minutes ORDER BY minutes`,
		int64(tenant), from.UnixMicro()/dayMicros, (to.UnixMicro()-1)/dayMicros)
	if err != nil {
		return err
	}
	sum := 0.0
	for _, r := range all {
		o.Acknowledged += r.n
		sum += float64(r.minutes) * float64(r.n)
	}
	if o.Acknowledged == 0 {
		return nil
	}
	o.MeanAnswer = time.Duration(sum / float64(o.Acknowledged) * float64(time.Minute))
	reached := int64(0)
	for _, r := range all {
		if reached += r.n; reached*10 >= o.Acknowledged*9 {
			o.NinetyAnswer = time.Duration(r.minutes) * time.Minute
			break
		}
	}
	return nil
}
