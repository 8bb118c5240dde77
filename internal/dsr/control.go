package dsr

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	maxNamed = 1_000_000 // objects about one person
	changes  = 200       // rows of one transaction
)

// A look goes through control data for one person.
type look struct {
	*Service
	tenant uint32
	m      matcher
	likes  []string
	named  map[string]bool // ids of objects that are about the person
}

// look finds out which objects are about the person, before anything changes: then their
// texts can be told, and those of what refers to them.
func (s *Service) look(ctx context.Context, tenant uint32, list []Identifier) (*look, error) {
	l := &look{Service: s, tenant: tenant, named: map[string]bool{}}
	l.m = newMatcher(list, func(v string) string { return s.pseudonym(tenant, v) })
	l.likes = l.m.likes()
	for i := range Places {
		for j := range Places[i].Tables {
			t := &Places[i].Tables[j]
			if !t.Names {
				continue
			}
			for r, err := range l.rows(ctx, t) {
				if err != nil {
					return nil, fmt.Errorf("look into %s: %w", t.Name, err)
				}
				if l.names(t, &r) {
					l.named[r.object] = true
				}
				if len(l.named) > maxNamed {
					return nil, fault.New(fault.Invalid, "these identifiers name more than %d objects: none of them can mean one person only", maxNamed)
				}
			}
		}
	}
	return l, nil
}

// row is one that may name the person.
type row struct {
	object, about string
	at            int64
	key           []any
	texts         []string // of the table's columns
}

func (l *look) rows(ctx context.Context, t *Table) func(func(row, error) bool) {
	keys := strings.Split(t.Key, ",")
	var b strings.Builder
	about, at := t.About, t.At
	if about == "" {
		about = t.Object
	}
	if at == "" {
		at = "0"
	}
	fmt.Fprintf(&b, "SELECT %s, %s, COALESCE(%s, 0)", t.Object, about, at)
	for _, k := range keys {
		b.WriteString(", x." + k)
	}
	for _, c := range t.Columns {
		fmt.Fprintf(&b, ", COALESCE(%s, '')", c.expression())
	}
	fmt.Fprintf(&b, " FROM %s x %s WHERE %s = $1", t.Name, t.Join, t.Tenant)
	args := []any{int64(l.tenant)}
	if len(l.likes) > 0 {
		for _, p := range l.likes {
			args = append(args, p)
		}
		b.WriteString(" AND (")
		for i, c := range t.Columns {
			for j := range l.likes {
				if i+j > 0 {
					b.WriteString(" OR ")
				}
				fmt.Fprintf(&b, "lower(%s) LIKE $%d", c.expression(), j+2)
			}
		}
		b.WriteString(")")
	}
	if t.And != "" {
		b.WriteString(" AND " + t.And)
	}
	return sqldb.Stream(ctx, l.DB, func(rows *sql.Rows, r *row) error {
		r.key, r.texts = make([]any, len(keys)), make([]string, len(t.Columns))
		into := []any{&r.object, &r.about, &r.at}
		for i := range r.key {
			into = append(into, &r.key[i])
		}
		for i := range r.texts {
			into = append(into, &r.texts[i])
		}
		return rows.Scan(into...)
	}, b.String(), args...)
}

// names tells whether a value of the row names the person.
func (l *look) names(t *Table, r *row) bool {
	for i, c := range t.Columns {
		if c.names() {
			if _, named := c.look(l.m, r.texts[i], false); named {
				return true
			}
		}
	}
	return false
}

// judged is a row that does name the person.
type judged struct {
	row
	drop    bool
	columns []string // what changes
	values  []string
	fields  map[string]string // what names the person
}

// judge tells what the row says of the person; ok is false where that is nothing.
func (l *look) judge(t *Table, r *row) (j judged, ok bool) {
	j = judged{row: *r, fields: map[string]string{}}
	all := l.named[r.about] || l.named[r.object]
	for i, c := range t.Columns {
		out, named := c.look(l.m, r.texts[i], all)
		if !named || out == r.texts[i] && c.own() { // an earlier erasure was here
			continue
		}
		j.fields[c.Name] = r.texts[i]
		j.drop = j.drop || t.Drop && c.names()
		if c.own() {
			j.columns, j.values = append(j.columns, c.Name), append(j.values, out)
		}
	}
	return j, len(j.columns) > 0 || j.drop
}

// walk yields each row of a place that names the person.
func (l *look) walk(ctx context.Context, p *Place, each func(*Table, *judged) error) error {
	for i := range p.Tables {
		t := &p.Tables[i]
		if t.Hidden {
			continue
		}
		for r, err := range l.rows(ctx, t) {
			if err != nil {
				return fmt.Errorf("look into %s: %w", t.Name, err)
			}
			if j, ok := l.judge(t, &r); ok {
				if err := each(t, &j); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// count tells how many objects of a place name the person, and hands the rows out.
func (l *look) count(ctx context.Context, p *Place, each func(*judged) error) (int64, error) {
	objects := map[string]bool{}
	err := l.walk(ctx, p, func(_ *Table, j *judged) error {
		if objects[j.object] = true; len(objects) > maxNamed {
			return fault.New(fault.Invalid, "these identifiers name more than %d objects: none of them can mean one person only", maxNamed)
		}
		if each == nil {
			return nil
		}
		return each(j)
	})
	return int64(len(objects)), err
}

// clear does to a place what an erasure does there, some rows at a time, and counts.
// Repeating it goes on where it was.
func (l *look) clear(ctx context.Context, p *Place) (out PlaceErased, err error) {
	out.PlaceFound = PlaceFound{Place: p.Name, Treatment: p.Treatment, Reason: p.Reason}
	if out.Objects, err = l.count(ctx, p, nil); err != nil || out.Objects == 0 {
		return out, err
	}
	if p.Treatment != Kept {
		for i := range p.Tables {
			if t := &p.Tables[i]; !t.Hidden {
				erased, changed, err := l.clearTable(ctx, t)
				out.Erased += erased
				out.Pseudonymised += changed
				if err != nil {
					return out, fmt.Errorf("change %s: %w", t.Name, err)
				}
			}
		}
	}
	out.Remaining, err = l.count(ctx, p, nil)
	return out, err
}

func (l *look) clearTable(ctx context.Context, t *Table) (erased, changed int64, err error) {
	for {
		var some []judged
		for r, err := range l.rows(ctx, t) {
			if err != nil {
				return erased, changed, err
			}
			j, ok := l.judge(t, &r)
			if !ok {
				continue
			}
			if some = append(some, j); len(some) == changes {
				break
			}
		}
		if len(some) == 0 {
			return erased, changed, nil
		}
		var gone, other int64
		err := l.DB.Tx(ctx, func(tx *sqldb.DB) error {
			gone, other = 0, 0
			for i := range some {
				dropped, err := l.change(ctx, tx, t, &some[i])
				if err != nil {
					return err
				}
				if dropped {
					gone++
				} else {
					other++
				}
			}
			return nil
		})
		if err != nil {
			return erased, changed, err
		}
		erased, changed = erased+gone, changed+other
	}
}

// change drops a row, or writes what takes the place of its texts. Where that makes it
// the same as another one, it goes.
func (l *look) change(ctx context.Context, tx *sqldb.DB, t *Table, j *judged) (dropped bool, err error) {
	where := func(columns []string, from int) string {
		parts := make([]string, len(columns))
		for i, c := range columns {
			parts[i] = fmt.Sprintf("%s = $%d", c, from+i)
		}
		return " WHERE " + strings.Join(parts, " AND ")
	}
	key := strings.Split(t.Key, ",")
	if !j.drop {
		if j.drop, err = l.doubles(ctx, tx, t, j, where); err != nil {
			return false, err
		}
	}
	if j.drop {
		_, err = sqldb.Exec(ctx, tx, "DELETE FROM "+t.Name+where(key, 1), j.key...)
		return true, err
	}
	set := make([]string, len(j.columns))
	args := make([]any, 0, len(set)+len(key)+1)
	for i, c := range j.columns {
		set[i] = fmt.Sprintf("%s = $%d", c, i+1)
		args = append(args, j.values[i])
	}
	if t.stamp {
		args = append(args, l.Now().UnixMicro())
		set = append(set, fmt.Sprintf("version = version + 1, updated_at = $%d", len(args)))
	}
	if _, err := sqldb.Exec(ctx, tx, "UPDATE "+t.Name+" SET "+strings.Join(set, ", ")+where(key, len(args)+1), append(args, j.key...)...); err != nil {
		return false, err
	}
	if t.after != nil {
		err = t.after(ctx, tx, l.tenant, j.object)
	}
	return false, err
}

// doubles tells whether another row is already what the row would become.
func (l *look) doubles(ctx context.Context, tx *sqldb.DB, t *Table, j *judged, where func([]string, int) string) (bool, error) {
	names := t.Unique
	if names == "" {
		names = t.Key
	}
	unique := strings.Split(names, ",")
	if !slices.ContainsFunc(unique, func(c string) bool { return slices.Contains(j.columns, c) }) {
		return false, nil
	}
	args, key := make([]any, len(unique)), strings.Split(t.Key, ",")
	for i, c := range unique {
		if n := slices.Index(j.columns, c); n >= 0 {
			args[i] = j.values[n]
			continue
		}
		if n := slices.Index(key, c); n >= 0 {
			args[i] = j.key[n]
			continue
		}
		v, err := sqldb.One(ctx, tx, sqldb.Value[any], "SELECT "+c+" FROM "+t.Name+where(key, 1), j.key...)
		if err != nil {
			return false, err
		}
		args[i] = v
	}
	n, err := sqldb.One(ctx, tx, sqldb.Value[int64], "SELECT count(*) FROM "+t.Name+where(unique, 1), args...)
	return n > 0, err
}

func rewordAlert(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) error {
	return alert.Reword(ctx, tx, tenant, id)
}

// clearControl does to all control data what an erasure does there.
func (s *Service) clearControl(ctx context.Context, tenant uint32, list []Identifier) ([]PlaceErased, error) {
	l, err := s.look(ctx, tenant, list)
	if err != nil {
		return nil, err
	}
	out := []PlaceErased{}
	for i := range Places {
		p, err := l.clear(ctx, &Places[i])
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return alert.ForgetWords(ctx, tx, tenant, func(word string) bool { return l.m.text(word, true) != word })
	})
	return out, fault.Wrap("forget words of alerts", err)
}

// findControl walks over control data that names the person; each gets the rows.
func (s *Service) findControl(ctx context.Context, tenant uint32, list []Identifier, f *Findings, each func(*packedRow) error) error {
	l, err := s.look(ctx, tenant, list)
	if err != nil {
		return err
	}
	for i := range Places {
		p := &Places[i]
		shown := map[string]bool{}
		n, err := l.count(ctx, p, func(j *judged) error {
			at := time.UnixMicro(j.at).UTC()
			if !shown[j.object] && len(shown) < samples {
				shown[j.object] = true
				f.Mentions = append(f.Mentions, Mention{Place: p.Name, ID: j.object, At: at})
			}
			if each == nil {
				return nil
			}
			return each(&packedRow{Place: p.Name, ID: j.object, At: at, Fields: j.fields})
		})
		if err != nil {
			return err
		}
		f.Control[p.Name] = n
		f.Places = append(f.Places, PlaceFound{Place: p.Name, Objects: n, Treatment: p.Treatment, Reason: p.Reason})
	}
	return nil
}
