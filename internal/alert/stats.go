package alert

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Stats counts a tenant's alerts. Total = Open + InProgress + Resolved + FalsePositive;
// Critical and High are of any status.
type Stats struct {
	Total, Open, InProgress, Critical, High int64
	Today, ThisWeek                         int64 // by CreatedAt; weeks begin on Monday
	Resolved, FalsePositive                 int64
}

// Stats counts from counters: it costs the same at any number of alerts. Days begin
// at midnight in zone, nil meaning UTC.
func (s *Service) Stats(ctx context.Context, tenant uint32, now time.Time, zone *time.Location) (Stats, error) {
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	sinceMonday := (int(today.Weekday()) + 6) % 7
	monday := time.Date(local.Year(), local.Month(), local.Day()-sinceMonday, 0, 0, 0, 0, zone)
	var st Stats
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		counts, err := totals(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for _, c := range counts {
			st.Total += c.n
			switch c.status {
			case Open:
				st.Open += c.n
			case InProgress:
				st.InProgress += c.n
			case Resolved:
				st.Resolved += c.n
			case FalsePositive:
				st.FalsePositive += c.n
			}
			switch c.severity {
			case "critical":
				st.Critical += c.n
			case "high":
				st.High += c.n
			}
		}
		if st.Today, err = countSince(ctx, tx, tenant, today); err != nil {
			return err
		}
		st.ThisWeek, err = countSince(ctx, tx, tenant, monday)
		return err
	})
	return st, fault.Wrap("count alerts", err)
}

// RuleCounts tells what became of the alerts of one rule.
type RuleCounts struct {
	Alerts, Open   int64 // Open: of status OPEN or IN_PROGRESS
	TruePositives  int64 // of that verdict
	FalsePositives int64 // of that verdict or status
	Week           int64 // created in the last 7 days, today included, UTC
}

// ByRule counts the tenant's alerts of each rule that ids name, nil meaning all. Rules
// without alerts are left out. It costs the same at any number of alerts.
func (s *Service) ByRule(ctx context.Context, tenant uint32, ids []string) (map[string]RuleCounts, error) {
	type row struct {
		rule    string
		status  Status
		verdict Verdict
		n       int64
	}
	out := map[string]RuleCounts{}
	gather := func(where string, args []any) error {
		for r, err := range sqldb.Stream(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.rule, &r.status, &r.verdict, &r.n) },
			`SELECT rule_id, status, verdict, n FROM alert_rule WHERE n > 0 AND tenant = $1`+where, args...) {
			if err != nil {
				return err
			}
			c := out[r.rule]
			c.Alerts += r.n
			if r.status == Open || r.status == InProgress {
				c.Open += r.n
			}
			switch {
			case r.verdict == TruePositive:
				c.TruePositives += r.n
			case r.verdict == FalseAlarm || r.status == FalsePositive:
				c.FalsePositives += r.n
			}
			out[r.rule] = c
		}
		return nil
	}
	today := time.Now().UnixMicro() / dayMicros
	week := func(where string, args []any) error {
		type row struct {
			rule string
			n    int64
		}
		for r, err := range sqldb.Stream(ctx, s.db, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.rule, &r.n) },
			fmt.Sprintf(`SELECT rule_id, CAST(sum(n) AS BIGINT) FROM alert_rule_day WHERE tenant = $1 AND day > %d AND day <= %d`, today-7, today)+where+` GROUP BY rule_id`, args...) {
			if err != nil {
				return err
			}
			c := out[r.rule]
			c.Week = r.n
			out[r.rule] = c
		}
		return nil
	}
	both := func(where string, args []any) error {
		if err := gather(where, args); err != nil {
			return err
		}
		return week(where, args)
	}
	var err error
	if ids == nil {
		err = both("", []any{int64(tenant)})
	} else {
		err = chunked(ids, func(in string, args []any) error {
			return both(` AND rule_id IN (`+in+`)`, append([]any{int64(tenant)}, args...))
		})
	}
	return out, fault.Wrap("count alerts by rule", err)
}

type count struct {
	severity string
	status   Status
	n        int64
}

func totals(ctx context.Context, tx *sqldb.DB, tenant uint32) ([]count, error) {
	return sqldb.All(ctx, tx, func(rows *sql.Rows, c *count) error { return rows.Scan(&c.severity, &c.status, &c.n) },
		`SELECT severity, status, n FROM alert_total WHERE tenant = $1`, int64(tenant))
}

const (
	hourMicros = int64(time.Hour / time.Microsecond)
	dayMicros  = 24 * hourMicros
)

// countSince counts the alerts created at or after start: whole days and hours by
// their counters, and one by one only the rest of an hour that start cuts, which a
// time zone of half hours has.
func countSince(ctx context.Context, tx *sqldb.DB, tenant uint32, start time.Time) (int64, error) {
	from := start.UnixMicro()
	hour := (from + hourMicros - 1) / hourMicros
	day := (hour + 23) / 24
	return sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT
		(SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM alert_day WHERE tenant = $1 AND day >= $2) +
		(SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM alert_hour WHERE tenant = $1 AND hour >= $3 AND hour < $4) +
		(SELECT count(*) FROM alert WHERE tenant = $1 AND created_at >= $5 AND created_at < $6)`,
		int64(tenant), day, hour, day*24, from, hour*hourMicros)
}
