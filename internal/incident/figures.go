package incident

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Figures tell how the tenant's incidents of a period fare. Merged ones are left out:
// the one that they were merged into counts.
type Figures struct {
	From, To time.Time

	Created      int64 // in the period
	Closed       int64 // of those
	Open         int64 // now, whenever they were made: those that are not closed
	Unassigned   int64 // of Open
	Overdue      int64 // of Open
	CreatedToday int64 // since midnight UTC

	Acknowledge Durations // from creation to the first act of a person: MTTA
	Contain     Durations // to when it first left OPEN: MTTC
	Resolve     Durations // to when it was closed: MTTR

	// SLAMet counts the incidents closed in time, of those of Closed.
	SLAMet int64

	BySeverity []SeverityFigures // the most severe first, all five
}

// SeverityFigures are the figures of one severity.
type SeverityFigures struct {
	Severity                      string
	Created, Closed, Open         int64
	SLAMet                        int64
	Acknowledge, Contain, Resolve Durations
}

// Durations sum up how long something took.
type Durations struct {
	Count          int64 // of incidents where it has happened
	Mean, P50, P90 time.Duration
}

func durationsOf(list []time.Duration) Durations {
	if len(list) == 0 {
		return Durations{}
	}
	slices.Sort(list)
	var sum time.Duration
	for _, d := range list {
		sum += d / time.Duration(len(list)) // a sum of many could overflow
	}
	at := func(percent int) time.Duration { return list[(len(list)*percent+99)/100-1] }
	return Durations{Count: int64(len(list)), Mean: sum, P50: at(50), P90: at(90)}
}

// took gathers the durations of one kind, by severity and together.
type took struct {
	all        []time.Duration
	bySeverity [5][]time.Duration
}

func (t *took) add(severity int, from time.Time, to *time.Time) {
	if to == nil {
		return
	}
	d := max(to.Sub(from), 0)
	t.all = append(t.all, d)
	t.bySeverity[severity] = append(t.bySeverity[severity], d)
}

// Figures returns the figures of incidents created from ≤ t < to.
func (s *Service) Figures(ctx context.Context, tenant uint32, from, to, now time.Time) (*Figures, error) {
	f := &Figures{From: from, To: to, BySeverity: make([]SeverityFigures, len(event.Severities))}
	place := map[string]int{}
	for i, severity := range event.Severities {
		place[severity] = i
		f.BySeverity[i].Severity = severity
	}
	type row struct {
		severity                      string
		created, due                  time.Time
		acknowledged, contained, done *time.Time
	}
	var acknowledged, contained, closed took
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error {
			return rows.Scan(&r.severity, sqldb.Micros(&r.created), sqldb.Micros(&r.due), sqldb.MicrosOrNull(&r.acknowledged), sqldb.MicrosOrNull(&r.contained), sqldb.MicrosOrNull(&r.done))
		}, `SELECT severity, created_at, sla_due_at, acknowledged_at, contained_at, closed_at FROM incident WHERE tenant = $1 AND created_at >= $2 AND created_at < $3 AND merged_into = ''`,
			int64(tenant), from.UnixMicro(), to.UnixMicro()) {
			if err != nil {
				return err
			}
			i := place[r.severity]
			b := &f.BySeverity[i]
			f.Created++
			b.Created++
			acknowledged.add(i, r.created, r.acknowledged)
			contained.add(i, r.created, r.contained)
			closed.add(i, r.created, r.done)
			if r.done == nil {
				continue
			}
			f.Closed++
			b.Closed++
			if !r.done.After(r.due) {
				f.SLAMet++
				b.SLAMet++
			}
		}
		return f.present(ctx, tx, tenant, now, place)
	})
	if err != nil {
		return nil, fault.Wrap("figures of incidents", err)
	}
	f.Acknowledge, f.Contain, f.Resolve = durationsOf(acknowledged.all), durationsOf(contained.all), durationsOf(closed.all)
	for i := range f.BySeverity {
		b := &f.BySeverity[i]
		b.Acknowledge, b.Contain, b.Resolve = durationsOf(acknowledged.bySeverity[i]), durationsOf(contained.bySeverity[i]), durationsOf(closed.bySeverity[i])
	}
	return f, nil
}

// present fills in what is so now, whatever the period.
func (f *Figures) present(ctx context.Context, tx *sqldb.DB, tenant uint32, now time.Time, place map[string]int) error {
	type row struct {
		severity                  string
		open, unassigned, overdue int64
	}
	today := now.UTC().Truncate(24 * time.Hour)
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.severity, &r.open, &r.unassigned, &r.overdue)
	}, `SELECT severity, count(*), sum(CASE WHEN assigned_to = '' THEN 1 ELSE 0 END), sum(CASE WHEN sla_due_at <= $2 THEN 1 ELSE 0 END)
		FROM incident WHERE tenant = $1 AND status IN ('OPEN', 'CONTAINED', 'ERADICATED', 'RECOVERED') GROUP BY severity`, int64(tenant), now.UnixMicro()) {
		if err != nil {
			return err
		}
		f.BySeverity[place[r.severity]].Open = r.open
		f.Open += r.open
		f.Unassigned += r.unassigned
		f.Overdue += r.overdue
	}
	var err error
	f.CreatedToday, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM incident WHERE tenant = $1 AND created_at >= $2 AND merged_into = ''`, int64(tenant), today.UnixMicro())
	return err
}
