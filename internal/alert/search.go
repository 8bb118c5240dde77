package alert

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// search answers a query with text. In short:
//
//	no word of the tenant contains it  nothing, exact
//	the other filters leave few rows   look into those, exact
//	the word index names few rows      look into those, exact
//	else it is frequent                walk from the newest; the total is capped
func (s *Service) search(ctx context.Context, l *lister) (*Page, error) {
	none := &Page{Alerts: []Alert{}}
	size := l.count(l.sets)
	if size > l.limits.small && !l.q.plain() {
		n, err := l.countFiltered(ctx, l.limits.small+1)
		if err != nil {
			return nil, err
		}
		size = n
	}
	if size == 0 {
		return none, nil
	}
	v, err := s.vocabulary(ctx, l.tx, l.tenant)
	if err != nil {
		return nil, err
	}
	needs, impossible := v.needs(l.folded(), l.limits.words)
	switch {
	case impossible:
		return none, nil
	case size <= l.limits.small:
		return l.among(ctx, nil)
	case len(needs) == 0:
		return l.walk(ctx, nil)
	}
	if l.tx.Dialect() == sqldb.Postgres {
		hits, _, err := l.newest(ctx, l.limits.recent)
		if err != nil {
			return nil, err
		}
		if hits >= l.limits.frequent {
			return l.walk(ctx, nil)
		}
	}
	rows, err := l.probe(ctx, needs)
	if err != nil {
		return nil, err
	}
	if len(rows) <= l.limits.probe {
		return l.among(ctx, rows)
	}
	if l.tx.Dialect() == sqldb.Postgres {
		return l.walk(ctx, nil) // its rows come in no order
	}
	return l.walk(ctx, rows[:l.limits.probe])
}

// contains writes where what is searched for stands in the text of alert row. It is a
// look-up for each row that gets so far: a join lets PostgreSQL read all texts.
func (l *lister) contains(b *builder, row string) {
	b.w(`(SELECT instr(t.folded, `, b.p(l.folded()), `) FROM alert_text t WHERE t.seq = `, row, `) > 0`)
}

// matching writes the tables, the filter and the search; rows, unless nil, are the
// only ones to look into.
func (l *lister) matching(b *builder, rows []int64) {
	if rows == nil {
		l.from(b, false)
	} else {
		b.w(`(`)
		l.listed(b, rows)
		b.w(`) r CROSS JOIN alert a `)
		l.where(b, false)
		b.w(` AND a.seq = r.seq`)
	}
	b.w(` AND `)
	l.contains(b, "a.seq")
}

// listed makes a table of rows out of one argument.
func (l *lister) listed(b *builder, rows []int64) {
	if l.tx.Dialect() == sqldb.Postgres {
		b.w(`SELECT unnest(CAST(`, b.p(list(rows, "{", "}")), ` AS BIGINT[])) AS seq`)
		return
	}
	b.w(`SELECT value AS seq FROM json_each(`, b.p(list(rows, "[", "]")), `)`)
}

// among looks into every one of rows, or of the filter's where rows is nil: exact.
func (l *lister) among(ctx context.Context, rows []int64) (*Page, error) {
	p := &Page{Alerts: []Alert{}}
	if rows != nil && len(rows) == 0 {
		return p, nil
	}
	var b builder
	b.w(`SELECT a.seq FROM `)
	l.matching(&b, rows)
	b.w(` ORDER BY `, l.q.order())
	hits, err := sqldb.All(ctx, l.tx, sqldb.Value[int64], b.String(), b.args...)
	if err != nil {
		return nil, err
	}
	p.Total = int64(len(hits))
	if l.offset() >= p.Total {
		return p, nil
	}
	hits = hits[l.offset():min(l.offset()+int64(l.q.Size), p.Total)]
	b = builder{}
	b.w(`SELECT `, alertColumns, ` FROM alert a WHERE `)
	for i, seq := range hits {
		if i == 0 {
			b.w(`a.seq IN (`)
		} else {
			b.w(`, `)
		}
		b.w(b.p(seq))
	}
	b.w(`)`)
	p.Alerts, err = sqldb.All(ctx, l.tx, scanAlert, b.String(), b.args...)
	slices.SortFunc(p.Alerts, func(a, b Alert) int { return cmp.Compare(slices.Index(hits, a.seq), slices.Index(hits, b.seq)) })
	return p, err
}

// walk finds the page of a frequent search by reading from the sort's beginning, or
// among known rows where those are the first in that order. Its total is the hits among known rows, or else among the newest of the filter's:
// at least so many.
func (l *lister) walk(ctx context.Context, known []int64) (*Page, error) {
	p := &Page{}
	if known != nil {
		var err error
		if p, err = l.among(ctx, known); err != nil {
			return nil, err
		}
		p.Capped = true
		// Those known are the first in order of creation.
		if l.q.Sort == "createdAt" && l.offset()+int64(l.q.Size) <= p.Total {
			return p, nil
		}
	} else {
		hits, looked, err := l.newest(ctx, l.limits.walk)
		if err != nil {
			return nil, err
		}
		p.Total, p.Capped = hits, looked >= l.limits.walk
		if !p.Capped && l.offset() >= p.Total {
			p.Alerts = []Alert{}
			return p, nil
		}
	}
	var err error
	if p.Alerts, err = l.walked(ctx); err != nil {
		return nil, err
	}
	end := l.offset() + int64(len(p.Alerts))
	if len(p.Alerts) < l.q.Size && (len(p.Alerts) > 0 || l.offset() == 0) {
		p.Total, p.Capped = end, false // the walk came to the end of all
	}
	if len(p.Alerts) > 0 {
		p.Total = max(p.Total, end)
	}
	return p, nil
}

// walked reads matches in the query's order until the page is full.
func (l *lister) walked(ctx context.Context) ([]Alert, error) {
	var b builder
	limit := l.offset() + int64(l.q.Size)
	switch l.q.Sort {
	case "updatedAt", "lastSeen", "title":
		b.w(`SELECT `, alertColumns, ` FROM alert a `)
		l.where(&b, true)
		b.w(` AND `)
		l.contains(&b, "a.seq")
	default:
		// Each set is walked by its own index in order of creation, and only as far as
		// the page may need; the outer order puts sets together.
		b.w(`SELECT `, alertColumns, ` FROM (`)
		dir := " DESC"
		if l.q.Ascending {
			dir = " ASC"
		}
		for i, s := range l.split() {
			if i > 0 {
				b.w(` UNION ALL `)
			}
			b.w(`SELECT * FROM (SELECT a.seq FROM alert a `)
			s.where(&b, l.tenant)
			l.rest(&b)
			b.w(` AND `)
			l.contains(&b, "a.seq")
			b.w(` ORDER BY a.created_at`, dir, `, a.seq`, dir, ` LIMIT `, b.p(limit), `) s`, strconv.Itoa(i))
		}
		b.w(`) k JOIN alert a ON a.seq = k.seq`)
	}
	b.w(` ORDER BY `, l.q.order(), ` LIMIT `, b.p(l.q.Size), ` OFFSET `, b.p(l.offset()))
	return sqldb.All(ctx, l.tx, scanAlert, b.String(), b.args...)
}

// split is the sets, narrowed to single values of what the query sorts by.
func (l *lister) split() []set {
	var all []set
	for _, s := range l.sets {
		switch {
		case l.q.Sort == "severity" && s.severity == "":
			for _, sev := range event.Severities {
				all = append(all, set{sev, s.status})
			}
		case l.q.Sort == "status" && s.status == "":
			for _, st := range Statuses {
				all = append(all, set{s.severity, st})
			}
		default:
			all = append(all, s)
		}
	}
	return all
}

// newest looks into at most n of the newest rows of the filter, and counts the hits
// and the rows.
func (l *lister) newest(ctx context.Context, n int64) (hits, looked int64, err error) {
	var b builder
	b.w(`SELECT COALESCE(sum(CASE WHEN `)
	l.contains(&b, "r.seq")
	b.w(` THEN 1 ELSE 0 END), 0), count(*) FROM (SELECT a.seq FROM alert a `)
	l.where(&b, false)
	b.w(` ORDER BY a.created_at DESC, a.seq DESC LIMIT `, b.p(n), `) r`)
	_, err = sqldb.One(ctx, l.tx, func(rows *sql.Rows, _ *struct{}) error { return rows.Scan(&hits, &looked) }, b.String(), b.args...)
	return hits, looked, err
}

// probe asks the word index for rows that meet the needs, at most limits.probe+1; on
// SQLite the first ones in order of creation, which is that of row numbers.
func (l *lister) probe(ctx context.Context, needs []need) ([]int64, error) {
	var b builder
	if l.tx.Dialect() == sqldb.Postgres {
		b.w(`SELECT w.seq FROM alert_words w WHERE `)
		for i, n := range needs {
			if i > 0 {
				b.w(` AND `)
			}
			b.w(`w.words && CAST(`, b.p("{"+wordIDs(l.tenant, n, "", ",")+"}"), ` AS BIGINT[])`)
		}
		b.w(` LIMIT `, b.p(l.limits.probe+1))
	} else {
		var match strings.Builder
		for i, n := range needs {
			if i > 0 {
				match.WriteString(" AND ")
			}
			match.WriteString("(" + wordIDs(l.tenant, n, "w", " OR ") + ")")
		}
		dir := " DESC"
		if l.q.Ascending {
			dir = " ASC"
		}
		b.w(`SELECT rowid FROM alert_words WHERE alert_words MATCH `, b.p(match.String()), ` ORDER BY rowid`, dir, ` LIMIT `, b.p(l.limits.probe+1))
	}
	return sqldb.All(ctx, l.tx, sqldb.Value[int64], b.String(), b.args...)
}

// cachedVocabulary is a tenant's vocabulary as far as this process has read it.
type cachedVocabulary struct {
	mu sync.Mutex
	v  vocabulary

	used time.Time // these two under Service.mu
	size int
}

// maxVocabularies bounds the memory of all vocabularies, in bytes of text.
const maxVocabularies = 64 << 20

// vocabulary returns at least the words that tx sees, reading only what is new.
func (s *Service) vocabulary(ctx context.Context, tx *sqldb.DB, tenant uint32) (vocabulary, error) {
	s.mu.Lock()
	c := s.vocabularies[tenant]
	if c == nil {
		c = &cachedVocabulary{}
		s.vocabularies[tenant] = c
	}
	c.used = time.Now()
	s.mu.Unlock()

	c.mu.Lock()
	words, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT word FROM alert_word WHERE tenant = $1 AND n > $2 ORDER BY n`, int64(tenant), c.v.len())
	if err == nil {
		c.v.extend(words)
	}
	v := c.v
	c.mu.Unlock()
	if err != nil {
		return vocabulary{}, fmt.Errorf("read vocabulary: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.size = len(v.text)
	s.forgetVocabularies()
	return v, nil
}

// forgetVocabularies drops those longest unused while all are too large together;
// who searches there again reads it again. The caller holds s.mu.
func (s *Service) forgetVocabularies() {
	for {
		var oldest uint32
		var sum int
		for tenant, c := range s.vocabularies {
			sum += c.size
			if o := s.vocabularies[oldest]; o == nil || c.used.Before(o.used) {
				oldest = tenant
			}
		}
		if sum <= maxVocabularies || len(s.vocabularies) == 1 {
			return
		}
		delete(s.vocabularies, oldest)
	}
}

// list writes numbers as one argument: "[1,2]".
func list(numbers []int64, open, end string) string {
	b := []byte(open)
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, end...))
}
