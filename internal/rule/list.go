package rule

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Filter chooses rules; zero fields choose all. Fields join by and, the values of
// one field by or.
type Filter struct {
	Search     string // stands literally, in any case, in name, description, a tactic or a technique
	Severities []string
	Statuses   []Status
	Mitre      string // technique ("T1110" finds T1110.001 too) or tactic, as Tactic reads it
	Source     string
	Builtin    *bool
	Staged     *bool
	License    string // in any case
	Pack       string // in any case; BuiltinPack for the built-in rules
	Healths    []Health
}

// Sorts lists what List can sort by, the default first.
var Sorts = []string{"createdAt", "updatedAt", "name", "severity", "status", "lastMatchAt", "matches24h", "matches7d", "matches30d", "cost"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string // of Sorts, "" for the default
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Rules []Rule // never nil
	Total int64
}

// selectRule reads the rules that tenant $1 sees, matches counted from hour $2. A
// tenant's own rule hides a built-in one of its id, which an update may bring.
func selectRule(now time.Time, more string) string {
	return `SELECT r.tenant, r.id, r.version, r.name, r.description, r.author, ` + severity + `, r.severity, r.type, r.source, r.tactics, r.techniques,
		r.license, r.origin, ` + pack + `, ` + status + `, ` + staged + `, r.created_at, ` + updated + `, m.last_at,
		` + matches24h + `, ` + matches7d + `, ` + matches30d + `, ` + cost("evaluations") + `, ` + cost("nanos") + fmt.Sprintf(`,
		(SELECT count(*) FROM rule_exception x WHERE x.tenant = $1 AND x.rule_id = r.id AND (x.expires_at IS NULL OR x.expires_at > %d))`, now.UnixMicro()) + more + fromRule
}

// BuiltinPack is the pack of the built-in rules.
const BuiltinPack = "kyra"

// What holds for the tenant, over the joins of fromRule.
const (
	status   = `COALESCE(s.status, r.status)`
	staged   = `(` + status + ` = 'DRAFT' AND COALESCE(s.staged, FALSE))`
	pack     = `CASE WHEN r.tenant = 0 THEN '` + BuiltinPack + `' ELSE r.pack END`
	severity = `COALESCE(NULLIF(o.severity, ''), r.severity)`
	decided  = `CASE WHEN COALESCE(s.updated_at, 0) > COALESCE(o.updated_at, 0) THEN s.updated_at ELSE COALESCE(o.updated_at, 0) END`
	updated  = `CASE WHEN ` + decided + ` > r.updated_at THEN ` + decided + ` ELSE r.updated_at END`
)

// What is counted in the last hours of which $2 is 24 hours ago.
var matches24h, matches7d, matches30d = matches(0), matches(7*24 - 24), matches(30*24 - 24)

func matches(hoursMore int) string {
	return fmt.Sprintf(`COALESCE((SELECT CAST(sum(h.n) AS BIGINT) FROM rule_match h
		WHERE h.tenant = $1 AND h.rule_id = r.id AND h.hour >= CAST($2 AS BIGINT) - %d), 0)`, hoursMore)
}

func cost(column string) string {
	return `COALESCE((SELECT CAST(sum(c.` + column + `) AS BIGINT) FROM rule_cost c WHERE c.tenant = $1 AND c.rule_id = r.id AND c.hour >= CAST($2 AS BIGINT)), 0)`
}

const fromRule = ` FROM rule r
	LEFT JOIN rule_status s ON s.tenant = $1 AND s.rule_id = r.id
	LEFT JOIN rule_override o ON o.tenant = $1 AND o.rule_id = r.id
	LEFT JOIN rule_seen m ON m.tenant = $1 AND m.rule_id = r.id
	WHERE (r.tenant = $1 OR r.tenant = 0 AND NOT EXISTS (SELECT 1 FROM rule o WHERE o.tenant = $1 AND o.id = r.id AND $1 <> 0))`

func (r *Rule) scan(rows *sql.Rows, more ...any) error {
	var tenant int64
	var tactics, techniques string
	err := rows.Scan(append([]any{
		&tenant, &r.ID, &r.Version, &r.Name, &r.Description, &r.Author, &r.Severity, &r.TextSeverity, &r.Type, &r.Source, &tactics, &techniques,
		&r.License, &r.Origin, &r.Pack, &r.Status, &r.Staged, sqldb.Micros(&r.CreatedAt), sqldb.Micros(&r.UpdatedAt), sqldb.MicrosOrNull(&r.LastMatchAt), &r.Matches24h, &r.Matches7d, &r.Matches30d,
		&r.Evaluations, &r.CostNanos, &r.Exceptions,
	}, more...)...)
	r.Builtin, r.Tactics, r.Techniques = tenant == builtin, strings.Fields(tactics), strings.Fields(techniques)
	return err
}

// List returns one page of the rules that the tenant sees, the newest first by
// default, equal ones by id.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	where, args, err := q.where(tenant, time.Now())
	if err != nil {
		return nil, err
	}
	// First which rules, then all about these few: what is counted costs too much to
	// be counted for every rule. No transaction is held meanwhile, since judging asks
	// others, who need connections of their own.
	p := &Page{}
	var page []Detail
	ids, total, err := s.choose(ctx, tenant, &q, where, args)
	if err == nil && len(ids) > 0 {
		page, err = s.named(ctx, tenant, ids, args[1])
	}
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	p.Total = total
	p.Rules = make([]Rule, len(page))
	for i := range page {
		p.Rules[i] = page[i].Rule
	}
	return p, nil
}

// Stream yields every rule that the filter chooses, newest first: which ones is decided
// once, what is told of each as it is read. At most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Rule, error] {
	return func(yield func(Rule, error) bool) {
		q := Query{Filter: f}
		where, args, err := q.where(tenant, time.Now())
		var ids []string
		if err == nil {
			q.Size = math.MaxInt32 // all of them: ids are small
			ids, _, err = s.choose(ctx, tenant, &q, where, args)
		}
		if err != nil {
			yield(Rule{}, fmt.Errorf("export rules: %w", err))
			return
		}
		const atOnce = 100
		for part := range slices.Chunk(ids, atOnce) {
			some, err := s.named(ctx, tenant, part, args[1])
			if err != nil {
				yield(Rule{}, fmt.Errorf("export rules: %w", err))
				return
			}
			for i := range some {
				if !yield(some[i].Rule, nil) {
					return
				}
			}
		}
	}
}

// choose returns the ids of the page and how many rules there are in all.
func (s *Service) choose(ctx context.Context, tenant uint32, q *Query, where string, args []any) (ids []string, total int64, err error) {
	// $2 is used in some orders only; a parameter that nothing uses has no type.
	where += ` AND CAST($2 AS BIGINT) <> 0`
	from := q.Page * q.Size
	if len(q.Healths) == 0 {
		if total, err = sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT count(*)`+fromRule+where, args...); err != nil {
			return nil, 0, err
		}
		ids, err = sqldb.All(ctx, s.db, sqldb.Value[string], `SELECT r.id`+fromRule+where+fmt.Sprintf(" ORDER BY %s LIMIT %d OFFSET %d", q.order(), q.Size, from), args...)
		return ids, total, err
	}
	// How a rule fares is not in the database: judge them all.
	all, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, d *Detail) error {
		var owner int64
		err := rows.Scan(&owner, &d.ID, &d.Version, &d.YAML, &d.Status, &d.Staged, sqldb.Micros(&d.CreatedAt), sqldb.MicrosOrNull(&d.LastMatchAt))
		d.Builtin = owner == builtin
		return err
	}, `SELECT r.tenant, r.id, r.version, r.yaml, `+status+`, `+staged+`, r.created_at, m.last_at`+fromRule+where+` ORDER BY `+q.order(), args...)
	if err != nil {
		return nil, 0, err
	}
	if err := s.judge(ctx, tenant, all); err != nil {
		return nil, 0, err
	}
	for i := range all {
		if !slices.Contains(q.Healths, all[i].Health) {
			continue
		}
		if n := int(total) - from; n >= 0 && n < q.Size {
			ids = append(ids, all[i].ID)
		}
		total++
	}
	return ids, total, nil
}

// named returns all about the rules of those ids, in their order; since is the hour from which
// on matches24h counts.
func (s *Service) named(ctx context.Context, tenant uint32, ids []string, since any) ([]Detail, error) {
	args := []any{int64(tenant), since}
	place := make(map[string]int, len(ids))
	marks := make([]string, len(ids))
	for i, id := range ids {
		args = append(args, id)
		marks[i] = "$" + strconv.Itoa(len(args))
		place[id] = i
	}
	all, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, d *Detail) error { return d.scan(rows, &d.YAML) },
		selectRule(time.Now(), `, r.yaml`)+` AND r.id IN (`+strings.Join(marks, ", ")+`)`, args...)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Detail) int { return place[a.ID] - place[b.ID] })
	return all, s.judge(ctx, tenant, all)
}

func (q *Query) where(tenant uint32, now time.Time) (string, []any, error) {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = Sorts[0]
	}
	const maxSize = 100
	switch {
	case q.Size < 1 || q.Size > maxSize:
		return "", nil, fault.New(fault.Invalid, "Allowed: 1 to %d", maxSize).In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return "", nil, fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !slices.Contains(Sorts, q.Sort):
		return "", nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	var b strings.Builder
	args := []any{int64(tenant), hourOf(now) - 23}
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	in := func(column string, values []string) {
		for i, v := range values {
			values[i] = bind(v)
		}
		if len(values) > 0 {
			b.WriteString(" AND " + column + " IN (" + strings.Join(values, ", ") + ")")
		}
	}
	var severities, statuses []string
	for _, sev := range q.Severities {
		sev = strings.ToLower(sev)
		if event.SeverityRank(sev) == 0 {
			return "", nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
		}
		severities = append(severities, sev)
	}
	for _, st := range q.Statuses {
		st, err := ParseStatus(string(st))
		if err != nil {
			return "", nil, err
		}
		statuses = append(statuses, string(st))
	}
	for _, h := range q.Healths {
		if !slices.Contains(Healths, h) {
			return "", nil, fault.New(fault.Invalid, "Allowed: %s", joined(Healths)).In("health")
		}
	}
	in(severity, severities)
	in(status, statuses)
	if q.Search != "" {
		b.WriteString(" AND instr(r.folded, " + bind(strings.ToLower(storable(q.Search))) + ") > 0")
	}
	if q.Mitre != "" {
		technique := strings.ToUpper(strings.TrimSpace(storable(q.Mitre)))
		b.WriteString(" AND (instr(r.techniques, " + bind(" "+technique+" ") + ") > 0 OR instr(r.techniques, " + bind(" "+technique+".") + ") > 0")
		for _, name := range TacticNames(storable(q.Mitre)) {
			b.WriteString(" OR instr(r.tactics, " + bind(" "+name+" ") + ") > 0")
		}
		b.WriteString(")")
	}
	if q.Source != "" {
		b.WriteString(" AND r.source = " + bind(storable(q.Source)))
	}
	if q.License != "" {
		b.WriteString(" AND lower(r.license) = " + bind(strings.ToLower(storable(q.License))))
	}
	if q.Pack != "" {
		b.WriteString(" AND lower(" + pack + ") = " + bind(strings.ToLower(storable(q.Pack))))
	}
	if q.Staged != nil {
		not := " AND NOT "
		if *q.Staged {
			not = " AND "
		}
		b.WriteString(not + staged)
	}
	if q.Builtin != nil {
		not := "<>"
		if *q.Builtin {
			not = "="
		}
		b.WriteString(" AND r.tenant " + not + " 0")
	}
	return b.String(), args, nil
}

func (q *Query) order() string {
	dir := " DESC"
	if q.Ascending {
		dir = " ASC"
	}
	column := map[string]string{
		"createdAt":   "r.created_at",
		"updatedAt":   updated,
		"name":        "lower(r.name)",
		"severity":    "CASE " + severity + " WHEN 'critical' THEN 5 WHEN 'high' THEN 4 WHEN 'medium' THEN 3 WHEN 'low' THEN 2 ELSE 1 END",
		"status":      "CASE " + status + " WHEN 'ACTIVE' THEN 1 WHEN 'INACTIVE' THEN 2 ELSE 3 END",
		"lastMatchAt": "COALESCE(m.last_at, 0)",
		"matches24h":  matches24h,
		"matches7d":   matches7d,
		"matches30d":  matches30d,
		"cost":        cost("nanos"),
	}[q.Sort]
	return column + dir + ", r.id" + dir
}
