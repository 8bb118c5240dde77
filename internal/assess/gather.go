package assess

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A round is one evaluation of a tenant's checks, all at the same moment. One goroutine.
type round struct {
	*Assessor
	tenant uint32
	now    time.Time
	fresh  []*compliance.Result // of this round, so far

	platform  fact[*Platform]
	sources   fact[[]logsource.Source]
	ledger    fact[ledger]
	rules     fact[[]watcher]
	assets    fact[[]machine]
	since     fact[time.Time]
	keys      fact[[]key]
	users     fact[[]user]
	incidents fact[[]incidentRow]
	channels  fact[deliveries]
	reviews   fact[[]reviewDay]
	classes   map[string]*fact[seenClass]
}

// An inquiry is one check under evaluation.
type inquiry struct {
	*round
	p      compliance.Params
	method []string // what was asked, as it was asked
}

func (q *inquiry) note(format string, args ...any) {
	q.method = append(q.method, fmt.Sprintf(format, args...))
}

// A fact is found out at most once in a round.
type fact[T any] struct {
	done   bool
	v      T
	err    error
	method []string
}

// get finds the fact out by load, unless it is known.
func (f *fact[T]) get(ctx context.Context, q *inquiry, load func(ctx context.Context, q *inquiry) (T, error)) (T, error) {
	if !f.done {
		of := &inquiry{round: q.round}
		f.v, f.err = load(ctx, of)
		f.done, f.method = true, of.method
	}
	q.method = append(q.method, f.method...)
	return f.v, f.err
}

// rowsOf asks the database and notes how. Times become microseconds.
func rowsOf[T any](ctx context.Context, q *inquiry, scan func(*sql.Rows, *T) error, text string, args ...any) ([]T, error) {
	given := make([]any, len(args))
	var shown strings.Builder
	for i, a := range args {
		word := fmt.Sprint(a)
		switch x := a.(type) {
		case time.Time:
			given[i], word = x.UnixMicro(), fmt.Sprintf("%d (%s)", x.UnixMicro(), x.UTC().Format(time.RFC3339))
		case uint32:
			given[i] = int64(x)
		default:
			given[i] = a
		}
		fmt.Fprintf(&shown, "; $%d = %s", i+1, word)
	}
	q.note("SQL: %s%s", strings.Join(strings.Fields(text), " "), shown.String())
	all, err := sqldb.All(ctx, q.DB, scan, text, given...)
	if err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	return all, nil
}

// bySource counts the events that match a query of KYRA's search language, by source.
func (q *inquiry) bySource(ctx context.Context, text string, from, to time.Time) (map[string]int64, error) {
	node, err := query.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the query of a check: %w", err)
	}
	q.note("events: %s; event time from %s to %s; counted by source", text, from.Format(time.RFC3339), to.Format(time.RFC3339))
	fields, err := q.Events.Fields(ctx, eventstore.FieldsRequest{
		Tenant: q.tenant, Filter: node, From: from.UnixNano(), To: to.UnixNano(), Names: []string{"source"}, Values: eventstore.MaxValues, Limit: 1,
	})
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, f := range fields {
		for _, v := range f.Values {
			out[v.Value] += int64(v.Hits) //nolint:gosec // no store holds 2^63 events
		}
	}
	return out, nil
}

// A ledger is how many events of each source were kept, by hours since 1970, over the
// last week.
type ledger map[string]map[int64]int64

const ledgerSpan = 7 * 24 * time.Hour

func loadLedger(ctx context.Context, q *inquiry) (ledger, error) {
	type row struct {
		source  string
		hour, n int64
	}
	rows, err := rowsOf(ctx, q, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.source, &r.hour, &r.n) },
		`SELECT source, hour, stored FROM source_ledger WHERE tenant = $1 AND hour >= $2 AND stored > 0`, q.tenant, q.now.Add(-ledgerSpan).Unix()/3600)
	if err != nil {
		return nil, err
	}
	out := ledger{}
	for _, r := range rows {
		if out[r.source] == nil {
			out[r.source] = map[int64]int64{}
		}
		out[r.source][r.hour] += r.n
	}
	return out, nil
}

// since counts the events of a source that arrived since t, to the hour.
func (l ledger) since(source string, t time.Time) (n int64) {
	for hour, events := range l[source] {
		if hour >= t.Unix()/3600 {
			n += events
		}
	}
	return n
}

// logSources returns all log sources of the tenant.
func (q *inquiry) logSources(ctx context.Context) ([]logsource.Source, error) {
	return q.sources.get(ctx, q, func(ctx context.Context, q *inquiry) ([]logsource.Source, error) {
		if q.Logs == nil {
			return nil, nil
		}
		q.note("log sources of the tenant, as GET /log-sources lists them")
		all, _, err := q.Logs.List(ctx, q.tenant, logsource.Query{Sort: "source", Ascending: true, Size: 1 << 30})
		return all, err
	})
}

// began tells since when the tenant is there.
func (q *inquiry) began(ctx context.Context) (time.Time, error) {
	return q.since.get(ctx, q, func(ctx context.Context, q *inquiry) (time.Time, error) {
		all, err := rowsOf(ctx, q, func(rows *sql.Rows, t *time.Time) error { return rows.Scan(sqldb.Micros(t)) },
			`SELECT created_at FROM tenant WHERE number = $1`, q.tenant)
		if err != nil || len(all) == 0 {
			return q.now, err
		}
		return all[0], nil
	})
}

// A watcher is a rule that is on.
type watcher struct {
	ID, Name   string
	Tactics    []string
	Techniques []string
	Failing    string // why the engine does not take it, "" where it does
	Blind      string // why nothing that arrives can feed it, "" where something does
	looks      []logSource
}

// activeRules returns the rules that are on, without those that only run on trial.
func (q *inquiry) activeRules(ctx context.Context) ([]watcher, error) {
	return q.rules.get(ctx, q, func(ctx context.Context, q *inquiry) ([]watcher, error) {
		if q.Rules == nil {
			return nil, nil
		}
		q.note("rules of the tenant whose status is ACTIVE, with what they name of ATT&CK, what the engine says of them, and which are blind by what arrived in the last 7 days")
		mappings, err := q.Rules.Mappings(ctx, q.tenant)
		if err != nil {
			return nil, err
		}
		active, _, err := q.Rules.Active(ctx, q.tenant)
		if err != nil {
			return nil, err
		}
		var problems, blind map[string]string
		if q.Problems != nil {
			problems = q.Problems(q.tenant)
		}
		var on []rule.Active
		for i := range active {
			if !active[i].Staged {
				on = append(on, active[i])
			}
		}
		if q.Blind != nil {
			if blind, err = q.Blind(ctx, q.tenant, on); err != nil {
				return nil, fmt.Errorf("find blind rules: %w", err)
			}
		}
		texts := make(map[string]*rule.Active, len(on))
		for i := range on {
			texts[on[i].ID] = &on[i]
		}
		out := make([]watcher, 0, len(mappings))
		for _, m := range mappings {
			w := watcher{ID: m.ID, Name: strings.TrimSpace(m.Name), Tactics: m.Tactics, Techniques: m.Techniques, Failing: problems[m.ID], Blind: blind[m.ID]}
			if r := texts[m.ID]; r != nil {
				w.looks = q.looksAt(q.tenant, r)
			}
			out = append(out, w)
		}
		return out, nil
	})
}
