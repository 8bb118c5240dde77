package incident

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Filter chooses incidents; zero fields choose all. Fields join by and, the values
// of one field by or.
type Filter struct {
	Severities             []string
	Statuses               []Status
	Search                 string // stands literally in the title, in any case of ASCII letters
	AssignedTo             string
	AlertID                string    // has this alert
	CreatedFrom, CreatedTo time.Time // from inclusive, to exclusive
	UpdatedSince           time.Time // inclusive
}

// Sorts lists what List can sort by, the default first.
var Sorts = []string{"createdAt", "updatedAt", "severity", "status", "title", "slaDueAt", "alertCount"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string // of Sorts, "" for the default
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Incidents []Incident // never nil
	Total     int64
}

// List returns one page, newest first by default, equal ones by id.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	where, args := q.where(tenant)
	p := &Page{}
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if q.counted() {
			p.Total, err = q.total(ctx, tx, tenant)
		} else {
			p.Total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM incident`+where, args...)
		}
		if err != nil {
			return err
		}
		limit := fmt.Sprintf(" ORDER BY %s LIMIT %d OFFSET %d", q.order(), q.Size, int64(q.Page)*int64(q.Size))
		p.Incidents, err = sqldb.All(ctx, tx, scan, selectIncident+where+limit, args...)
		return err
	})
	if err != nil {
		return nil, fault.Wrap("list incidents", err)
	}
	return p, nil
}

// Stream yields every incident that the filter chooses, newest first, from one
// snapshot and in constant memory; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Incident, error] {
	return func(yield func(Incident, error) bool) {
		q := Query{Filter: f}
		if err := q.check(); err != nil {
			yield(Incident{}, err)
			return
		}
		where, args := q.where(tenant)
		stopped := errors.New("stopped")
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			for in, err := range sqldb.Stream(ctx, tx, scan, selectIncident+where+" ORDER BY "+q.order(), args...) {
				if err != nil {
					return err
				}
				if !yield(in, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Incident{}, fault.Wrap("export incidents", err))
		}
	}
}

func (q *Query) check() error {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = Sorts[0]
	}
	const maxSize = 100
	switch {
	case q.Size < 1 || q.Size > maxSize:
		return fault.New(fault.Invalid, "Allowed: 1 to %d", maxSize).In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !slices.Contains(Sorts, q.Sort):
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	q.Severities, q.Statuses = slices.Clone(q.Severities), slices.Clone(q.Statuses)
	var err error
	for i := range q.Severities {
		if q.Severities[i], err = alert.ParseSeverity(q.Severities[i]); err != nil {
			return err
		}
	}
	for i := range q.Statuses {
		if q.Statuses[i], err = ParseStatus(string(q.Statuses[i])); err != nil {
			return err
		}
	}
	return nil
}

// counted tells whether the counters know the total.
func (q *Query) counted() bool {
	return q.Search == "" && q.AssignedTo == "" && q.AlertID == "" && q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() && q.UpdatedSince.IsZero()
}

func (q *Query) total(ctx context.Context, tx *sqldb.DB, tenant uint32) (int64, error) {
	var sum int64
	type row struct {
		severity string
		status   Status
		n        int64
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.severity, &r.status, &r.n) },
		`SELECT severity, status, n FROM incident_total WHERE tenant = $1`, int64(tenant)) {
		if err != nil {
			return 0, err
		}
		if (len(q.Severities) == 0 || slices.Contains(q.Severities, r.severity)) && (len(q.Statuses) == 0 || slices.Contains(q.Statuses, r.status)) {
			sum += r.n
		}
	}
	return sum, nil
}

func (q *Query) where(tenant uint32) (string, []any) {
	var b strings.Builder
	var args []any
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	b.WriteString(" WHERE tenant = " + bind(int64(tenant)))
	if len(q.Severities) > 0 {
		b.WriteString(" AND severity IN (" + places(q.Severities, bind) + ")")
	}
	if len(q.Statuses) > 0 {
		b.WriteString(" AND status IN (" + places(q.Statuses, bind) + ")")
	}
	if q.Search != "" {
		b.WriteString(" AND instr(lower(title), lower(" + bind(clean(q.Search, true)) + ")) > 0")
	}
	if q.AssignedTo != "" {
		b.WriteString(" AND assigned_to = " + bind(clean(q.AssignedTo, true)))
	}
	if q.AlertID != "" {
		b.WriteString(" AND id IN (SELECT incident_id FROM incident_alert WHERE alert_id = " + bind(clean(q.AlertID, true)) + ")")
	}
	if !q.CreatedFrom.IsZero() {
		b.WriteString(" AND created_at >= " + bind(q.CreatedFrom.UnixMicro()))
	}
	if !q.CreatedTo.IsZero() {
		b.WriteString(" AND created_at < " + bind(q.CreatedTo.UnixMicro()))
	}
	if !q.UpdatedSince.IsZero() {
		b.WriteString(" AND updated_at >= " + bind(q.UpdatedSince.UnixMicro()))
	}
	return b.String(), args
}

func places[S ~string](values []S, bind func(any) string) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = bind(string(v))
	}
	return strings.Join(list, ", ")
}

func (q *Query) order() string {
	dir := " DESC"
	if q.Ascending {
		dir = " ASC"
	}
	column := map[string]string{
		"createdAt":  "created_at",
		"updatedAt":  "updated_at",
		"severity":   "CASE severity WHEN 'critical' THEN 5 WHEN 'high' THEN 4 WHEN 'medium' THEN 3 WHEN 'low' THEN 2 ELSE 1 END",
		"status":     "CASE status WHEN 'OPEN' THEN 1 WHEN 'CONTAINED' THEN 2 WHEN 'ERADICATED' THEN 3 WHEN 'RECOVERED' THEN 4 ELSE 5 END",
		"title":      "lower(title)",
		"slaDueAt":   "sla_due_at",
		"alertCount": "alert_count",
	}[q.Sort]
	return column + dir + ", id" + dir
}
