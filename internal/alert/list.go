package alert

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

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Filter chooses alerts; zero fields choose all. Fields join by and, the values of
// one field by or.
type Filter struct {
	Severities []string // of event.Severities
	Statuses   []Status
	Search     string // stands literally, in any case, in title or description
	Sources    []string
	Mitre      string // technique ("T1110" finds T1110.001 too), tactic ("TA0006", "credential-access")
	RuleID     string
	Entity     string // value of one of its entities, in any case
	AssignedTo string
	Incident   string // incident id
	Tag        string // that a playbook put on it, in that case

	CreatedFrom, CreatedTo time.Time // from inclusive, to exclusive
	UpdatedSince           time.Time // inclusive
}

// Sorts lists what List can sort by, the default first.
var Sorts = []string{"createdAt", "updatedAt", "lastSeen", "severity", "status", "title"}

// A Query asks for one page.
type Query struct {
	Filter
	Sort       string // of Sorts, "" for the default
	Ascending  bool
	Page, Size int // Page from 0; Size 1 to 100, 0 for 20
}

// A Page is part of a list.
type Page struct {
	Alerts []Alert // never nil
	Total  int64   // alerts that the filter chooses
	Capped bool    // Total is where counting stopped: there are at least that many
}

const maxSize = 100

// limits are where one way of answering a query gives way to another. Tests make
// them small.
type limits struct {
	count    int64 // where counting stops that no counter answers
	small    int64 // a filter of no more rows is best looked at row by row
	near     int64 // a page that begins before needs no look at the counters
	words    int   // words that may stand for one part of a search: more are frequent
	probe    int   // texts that the word index may name: more are frequent
	recent   int64 // newest alerts that PostgreSQL looks into before it asks the word index, which reads every row of a frequent word before it gives the first
	frequent int64 // hits among those that make the word index not worth asking
	walk     int64 // newest alerts looked into to count the hits of a frequent search
}

func defaultLimits() limits {
	return limits{count: 10_000, small: 5_000, near: 500, words: 1_000, probe: 2_000, recent: 1_000, frequent: 20, walk: 5_000}
}

// List returns one page, newest first by default; equal ones are told apart by their
// age, so that pages neither repeat nor skip.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (*Page, error) {
	return s.ListIn(ctx, s.db, tenant, q)
}

// ListIn is List in the caller's transaction, so that several pages are of one moment.
func (s *Service) ListIn(ctx context.Context, db *sqldb.DB, tenant uint32, q Query) (*Page, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	var p *Page
	err := db.View(ctx, func(tx *sqldb.DB) error {
		l := lister{tx: tx, tenant: tenant, q: q, sets: q.sets(), limits: s.limits}
		counts, err := totals(ctx, tx, tenant)
		if err != nil {
			return err
		}
		l.counts = counts
		switch {
		case q.Search != "":
			p, err = s.search(ctx, &l)
		case q.plain():
			p, err = l.plain(ctx)
		default:
			p, err = l.filtered(ctx)
		}
		return err
	})
	if err != nil {
		return nil, fault.Wrap("list alerts", err)
	}
	return p, nil
}

// Stream yields every alert that the filter chooses, newest first, from one
// snapshot and in constant memory; at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Alert, error] {
	return s.stream(ctx, tenant, f, alertColumns, scanAlert)
}

// StreamListed is Stream with only what a list shows of each: ID, Title, Severity, Status,
// Source, Tactic, Technique, CreatedAt and Description.
func (s *Service) StreamListed(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Alert, error] {
	const columns = `a.id, a.title, a.severity, a.status, a.source, a.tactic, a.technique, a.created_at, a.description`
	return s.stream(ctx, tenant, f, columns, func(rows *sql.Rows, a *Alert) error {
		return rows.Scan(&a.ID, &a.Title, &a.Severity, &a.Status, &a.Source, &a.Tactic, &a.Technique, sqldb.Micros(&a.CreatedAt), &a.Description)
	})
}

func (s *Service) stream(ctx context.Context, tenant uint32, f Filter, columns string, scan func(*sql.Rows, *Alert) error) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		q := Query{Filter: f}
		if err := q.check(); err != nil {
			yield(Alert{}, err)
			return
		}
		stopped := errors.New("stopped")
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			l := lister{tx: tx, tenant: tenant, q: q, sets: q.sets(), limits: s.limits}
			var b builder
			if q.everything() {
				// In the order of the rows themselves, which is that of creation.
				b.w("WHERE a.seq >= ", b.p(int64(tenant)<<seqBits), " AND a.seq < ", b.p((int64(tenant)+1)<<seqBits), " ORDER BY a.seq DESC")
			} else {
				l.where(&b, false)
				if q.Search != "" {
					b.w(" AND ")
					l.contains(&b, "a.seq")
				}
				b.w(" ORDER BY a.created_at DESC, a.seq DESC")
			}
			for a, err := range sqldb.Stream(ctx, tx, scan, `SELECT `+columns+` FROM alert a `+b.String(), b.args...) {
				if err != nil {
					return err
				}
				if !yield(a, nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(Alert{}, fault.Wrap("export alerts", err))
		}
	}
}

// everything tells whether the filter chooses all.
func (f *Filter) everything() bool {
	return len(f.Severities)+len(f.Statuses)+len(f.Sources) == 0 && f.Search+f.Mitre+f.RuleID+f.Entity+f.AssignedTo+f.Incident+f.Tag == "" &&
		f.CreatedFrom.IsZero() && f.CreatedTo.IsZero() && f.UpdatedSince.IsZero()
}

func (q *Query) check() error {
	if q.Size == 0 {
		q.Size = 20
	}
	if q.Sort == "" {
		q.Sort = Sorts[0]
	}
	switch {
	case q.Size < 1 || q.Size > maxSize:
		return fault.New(fault.Invalid, "Allowed: 1 to %d", maxSize).In("size")
	case q.Page < 0 || q.Page > 1<<40:
		return fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	case !slices.Contains(Sorts, q.Sort):
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Sorts, ", ")).In("sort")
	}
	for i, sev := range q.Severities {
		sev, err := ParseSeverity(sev)
		if err != nil {
			return err
		}
		if i == 0 {
			q.Severities = slices.Clone(q.Severities)
		}
		q.Severities[i] = sev
	}
	for i, st := range q.Statuses {
		st, err := ParseStatus(string(st))
		if err != nil {
			return err
		}
		if i == 0 {
			q.Statuses = slices.Clone(q.Statuses)
		}
		q.Statuses[i] = st
	}
	slices.Sort(q.Severities)
	q.Severities = slices.Compact(q.Severities)
	slices.Sort(q.Statuses)
	q.Statuses = slices.Compact(q.Statuses)
	q.Search = clean(q.Search)
	for _, text := range append([]*string{&q.Mitre, &q.RuleID, &q.Entity, &q.AssignedTo, &q.Incident, &q.Tag}, pointers(q.Sources)...) {
		if strings.ContainsRune(*text, 0) || strings.ToValidUTF8(*text, "") != *text {
			return fault.New(fault.Invalid, "Text must be valid UTF-8 without NUL")
		}
	}
	return nil
}

func pointers(list []string) []*string {
	all := make([]*string, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}

// plain tells whether severity and status are all that is asked besides the search:
// counters then know how many alerts there are.
func (q *Query) plain() bool {
	return len(q.Sources) == 0 && q.Mitre == "" && q.RuleID == "" && q.Entity == "" && q.AssignedTo == "" && q.Incident == "" && q.Tag == "" &&
		q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() && q.UpdatedSince.IsZero()
}

// A set is the alerts of one severity and one status, "" for any: each has an index
// in order of creation.
type set struct {
	severity string
	status   Status
}

// sets returns what the filter's severities and statuses are made of.
func (q *Query) sets() []set {
	severities, statuses := q.Severities, q.Statuses
	if len(severities) == 0 {
		severities = []string{""}
	}
	if len(statuses) == 0 {
		statuses = []Status{""}
	}
	var all []set
	for _, sev := range severities {
		for _, st := range statuses {
			all = append(all, set{sev, st})
		}
	}
	return all
}

func (s set) has(severity string, status Status) bool {
	return (s.severity == "" || s.severity == severity) && (s.status == "" || s.status == status)
}

// lister answers one query in one snapshot.
type lister struct {
	tx     *sqldb.DB
	tenant uint32
	q      Query
	sets   []set
	counts []count
	limits limits
}

func (l *lister) count(sets []set) int64 {
	var n int64
	for _, c := range l.counts {
		if slices.ContainsFunc(sets, func(s set) bool { return s.has(c.severity, c.status) }) {
			n += c.n
		}
	}
	return n
}

func (l *lister) offset() int64 { return int64(l.q.Page) * int64(l.q.Size) }

func (l *lister) folded() string { return strings.ToLower(l.q.Search) }

// builder gathers a statement's text and arguments.
type builder struct {
	strings.Builder
	args []any
}

func (b *builder) w(parts ...string) {
	for _, p := range parts {
		b.WriteString(p)
	}
}

// p binds v and returns its place.
func (b *builder) p(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

func (s set) where(b *builder, tenant uint32) {
	b.w("WHERE a.tenant = ", b.p(int64(tenant)))
	if s.severity != "" {
		b.w(" AND a.severity = ", b.p(s.severity))
	}
	if s.status != "" {
		b.w(" AND a.status = ", b.p(string(s.status)))
	}
}

// where writes the whole filter but for the search. With hide, severity and status
// are written so that no index on them is taken: the sort's index is to be walked.
func (l *lister) where(b *builder, hide bool) {
	l.choose(b, hide)
	l.rest(b)
}

func (l *lister) choose(b *builder, hide bool) {
	switch {
	case hide:
		b.w("WHERE a.tenant = ", b.p(int64(l.tenant)))
		in(b, "a.severity || ''", l.q.Severities)
		in(b, "a.status || ''", l.q.Statuses)
	case len(l.sets) == 1:
		l.sets[0].where(b, l.tenant)
	default:
		b.w("WHERE a.tenant = ", b.p(int64(l.tenant)))
		in(b, "a.severity", l.q.Severities)
		in(b, "a.status", l.q.Statuses)
	}
}

// rest writes the filter without severity, status and search.
func (l *lister) rest(b *builder) {
	l.other(b)
	if l.q.Entity != "" {
		b.w(" AND a.seq IN (SELECT e.seq FROM alert_entity e WHERE e.tenant = ", b.p(int64(l.tenant)), " AND e.value = ", b.p(entityValue(l.q.Entity)), ")")
	}
}

// other writes the filter without severity, status, entity and search.
func (l *lister) other(b *builder) {
	f := &l.q.Filter
	in(b, "a.source", f.Sources)
	if f.Mitre != "" {
		mitre(b, f.Mitre)
	}
	if f.RuleID != "" {
		b.w(" AND a.rule_id = ", b.p(f.RuleID))
	}
	if f.AssignedTo != "" {
		b.w(" AND a.assigned_to <> '' AND a.assigned_to = ", b.p(f.AssignedTo))
	}
	if f.Incident != "" {
		b.w(" AND a.incident_id <> '' AND a.incident_id = ", b.p(f.Incident))
	}
	if f.Tag != "" {
		b.w(" AND a.id IN (SELECT t.object FROM playbook_tag t WHERE t.tenant = ", b.p(int64(l.tenant)), " AND t.tag = ", b.p(f.Tag), ")")
	}
	if !f.CreatedFrom.IsZero() {
		b.w(" AND a.created_at >= ", b.p(ceilMicro(f.CreatedFrom)))
	}
	if !f.CreatedTo.IsZero() {
		b.w(" AND a.created_at < ", b.p(ceilMicro(f.CreatedTo)))
	}
	if !f.UpdatedSince.IsZero() {
		b.w(" AND a.updated_at >= ", b.p(ceilMicro(f.UpdatedSince)))
	}
}

// from writes tables and filter; an entity, where there is one, leads to its alerts.
func (l *lister) from(b *builder, hide bool) {
	if l.q.Entity == "" {
		b.w("alert a ")
		l.where(b, hide)
		return
	}
	b.w("alert_entity e CROSS JOIN alert a ")
	l.choose(b, true)
	l.other(b)
	b.w(" AND a.seq = e.seq AND e.tenant = ", b.p(int64(l.tenant)), " AND e.value = ", b.p(entityValue(l.q.Entity)))
}

func entityValue(s string) string { return strings.ToLower(bound(s)) }

// ceilMicro is the first stored moment not before t.
func ceilMicro(t time.Time) int64 {
	n := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		n++
	}
	return n
}

func in[S ~string](b *builder, column string, values []S) {
	if len(values) == 0 {
		return
	}
	b.w(" AND ", column, " IN (")
	for i, v := range values {
		if i > 0 {
			b.w(", ")
		}
		b.w(b.p(string(v)))
	}
	b.w(")")
}

func mitre(b *builder, id string) {
	technique := strings.ToUpper(id)
	// '/' follows '.': this is every sub-technique.
	b.w(" AND (a.technique = ", b.p(technique), " OR (a.technique >= ", b.p(technique+"."), " AND a.technique < ", b.p(technique+"/"), ")")
	for _, name := range rule.TacticNames(id) {
		b.w(" OR a.tactic = ", b.p(name))
	}
	b.w(")")
}

// order is the sort as SQL, ending in what makes it total.
func (q *Query) order() string {
	dir := " DESC"
	if q.Ascending {
		dir = " ASC"
	}
	rank := func(column string, values []string) string {
		var b strings.Builder
		b.WriteString("CASE " + column)
		for i, v := range values {
			fmt.Fprintf(&b, " WHEN '%s' THEN %d", v, i)
		}
		return b.String() + " END"
	}
	switch q.Sort {
	case "updatedAt":
		return "a.updated_at" + dir + ", a.seq" + dir
	case "lastSeen":
		return "a.last_seen" + dir + ", a.seq" + dir
	case "title":
		return "a.title" + dir + ", a.created_at" + dir + ", a.seq" + dir
	case "severity":
		ranks := slices.Clone(event.Severities)
		slices.Reverse(ranks)
		return rank("a.severity", ranks) + dir + ", a.created_at" + dir + ", a.seq" + dir
	case "status":
		ranks := make([]string, len(Statuses))
		for i, st := range Statuses {
			ranks[i] = string(st)
		}
		return rank("a.status", ranks) + dir + ", a.created_at" + dir + ", a.seq" + dir
	default:
		return "a.created_at" + dir + ", a.seq" + dir
	}
}
