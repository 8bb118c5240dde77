package asset

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// What is kept of one asset at most, of each kind; what comes later finds no room.
const maxTraits = 256

const atOnce = 100 // sightings in a transaction

// Flush writes down what was seen since the last time. Run calls it.
func (s *Service) Flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	taken := s.observer.take()
	of := map[uint32][]sighting{}
	for x := range taken {
		of[x.tenant] = append(of[x.tenant], x)
	}
	for _, tenant := range slices.Sorted(maps.Keys(of)) {
		// The strong ones first: they open fewer assets that are then merged.
		slices.SortFunc(of[tenant], func(a, b sighting) int {
			return cmp.Or(-cmp.Compare(len(a.words()), len(b.words())), cmp.Compare(a.name, b.name), cmp.Compare(a.mac, b.mac), cmp.Compare(a.ip, b.ip))
		})
		for part := range slices.Chunk(of[tenant], atOnce) {
			if err := s.record(ctx, tenant, part, taken); err != nil {
				s.observer.giveBack(taken)
				return fmt.Errorf("write assets: %w", err)
			}
			for _, x := range part {
				delete(taken, x)
			}
		}
	}
	return nil
}

// words are what tells the machine from others, the strongest first. An address alone
// does so only where nothing else is known.
func (x *sighting) words() (words []string) {
	for _, k := range [...]struct{ kind, value string }{{"guid", x.guid}, {"agent", x.agent}, {"mac", x.mac}, {"name", x.name}} {
		if k.value != "" {
			words = append(words, k.kind+":"+k.value)
		}
	}
	if len(words) == 0 {
		words = append(words, "ip:"+x.ip)
	}
	return words
}

// row is an asset as it stands in the database, without what is shown.
type row struct {
	id, root, parent      string
	first, last, evidence int64
	version               int64
	isNew, changed        bool
}

type trait struct {
	asset, kind, value string
}

// a writer is one transaction's work on a tenant's assets.
type writer struct {
	tx     *sqldb.DB
	tenant uint32
	rows   map[string]*row
	owner  map[string]string // asset by word
	added  []string          // words that are new
	traits map[trait]span
	touch  map[string]bool // roots whose shown values are to be made again
}

// begin waits for other writers of the tenant.
func begin(ctx context.Context, tx *sqldb.DB, tenant uint32) (*writer, error) {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO asset_head (tenant, assets, writes) VALUES ($1, 0, 1) ON CONFLICT (tenant) DO UPDATE SET writes = asset_head.writes + 1`, int64(tenant))
	return &writer{tx: tx, tenant: tenant, rows: map[string]*row{}, owner: map[string]string{}, traits: map[trait]span{}, touch: map[string]bool{}}, err
}

func (s *Service) record(ctx context.Context, tenant uint32, list []sighting, when map[sighting]span) error {
	full := int64(0)
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		full = 0
		w, err := begin(ctx, tx, tenant)
		if err != nil {
			return err
		}
		var words []string
		for i := range list {
			words = append(words, list[i].words()...)
			if list[i].ip != "" {
				words = append(words, "ip:"+list[i].ip)
			}
		}
		if err := w.load(ctx, words); err != nil {
			return err
		}
		count, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT assets FROM asset_head WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		apart, err := w.apart(ctx)
		if err != nil {
			return err
		}
		room := s.options.Max - count
		for i := range list {
			x := &list[i]
			opened, err := w.see(ctx, x, when[*x], room > 0, apart, s)
			if err != nil {
				return err
			}
			switch {
			case opened == nil:
				full++
			case *opened:
				room--
			}
		}
		return w.write(ctx)
	})
	s.full[tenant] += full
	return err
}

func micro(nanos int64) int64 { return nanos / 1000 }

// see takes one sighting up. It returns whether it opened an asset, nil where there was
// no room for one.
func (w *writer) see(ctx context.Context, x *sighting, when span, room bool, apart map[[2]string]bool, s *Service) (*bool, error) {
	words := x.words()
	at := span{micro(when.first), micro(when.last)}
	var own *row
	for _, word := range words {
		if id := w.owner[word]; id != "" {
			own = w.rows[id]
			break
		}
	}
	opened := false
	if own == nil {
		if !room {
			return nil, nil
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		own = &row{id: id.String(), root: id.String(), first: at.first, last: at.last, version: 1, isNew: true}
		w.rows[own.id] = own
		opened = true
	}
	own.first, own.last, own.evidence, own.changed = min(own.first, at.first), max(own.last, at.last), own.evidence|x.bits, true
	w.touch[own.root] = true
	for _, word := range words {
		other := w.owner[word]
		if other == "" {
			w.owner[word] = own.id
			w.added = append(w.added, word)
			continue
		}
		a, b := w.rows[own.id].root, w.rows[other].root
		if a == b || apart[[2]string{min(a, b), max(a, b)}] {
			continue
		}
		if err := w.join(ctx, w.rows[a], w.rows[b], "system", "one event names both "+words[0]+" and "+word, s.options.Now().UnixMicro()); err != nil {
			return nil, err
		}
	}
	for _, t := range [...]struct{ kind, value string }{{"name", x.name}, {"alias", x.alias}, {"ip", x.ip}, {"mac", x.mac}, {"guid", x.guid}, {"agent", x.agent}, {"source", x.source}} {
		if t.value == "" {
			continue
		}
		k := trait{own.id, t.kind, t.value}
		if known, ok := w.traits[k]; ok {
			w.traits[k] = span{min(known.first, at.first), max(known.last, at.last)}
		} else {
			w.traits[k] = at
		}
	}
	if holder := w.owner["ip:"+x.ip]; x.ip != "" && holder != "" {
		w.touch[w.rows[holder].root] = true // it may be covered now
	}
	return &opened, nil
}

// join makes one of two roots part of the other: of that which people changed, or else
// which is older.
func (w *writer) join(ctx context.Context, a, b *row, actor, reason string, now int64) error {
	order := cmp.Or(cmp.Compare(min(b.version, 2), min(a.version, 2)), cmp.Compare(a.first, b.first), cmp.Compare(a.id, b.id))
	if order > 0 {
		a, b = b, a
	}
	return w.mergeInto(ctx, b, a, actor, reason, now)
}

func (w *writer) mergeInto(ctx context.Context, child, into *row, actor, reason string, now int64) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, w.tx, `INSERT INTO asset_merge (tenant, id, asset, into_id, at, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		int64(w.tenant), id.String(), child.id, into.id, now, actor, reason); err != nil {
		return err
	}
	if err := w.loadGroup(ctx, child.id); err != nil {
		return err
	}
	child.parent = into.id
	for _, r := range w.rows {
		if r.root == child.id {
			r.root, r.changed = into.id, true
		}
	}
	w.touch[into.id] = true
	delete(w.touch, child.id)
	return nil
}

const rowColumns = `a.id, a.root, a.parent, a.own_first, a.own_last, a.evidence, a.version`

func scanRow(rows *sql.Rows, r *row) error {
	return rows.Scan(&r.id, &r.root, &r.parent, &r.first, &r.last, &r.evidence, &r.version)
}

func (w *writer) take(rows []row) {
	for i := range rows {
		if w.rows[rows[i].id] == nil {
			w.rows[rows[i].id] = &rows[i]
		}
	}
}

// load reads who has the words, and those assets with the roots that they are part of.
func (w *writer) load(ctx context.Context, words []string) error {
	slices.Sort(words)
	words = slices.Compact(words)
	for part := range slices.Chunk(words, 500) {
		args := []any{int64(w.tenant)}
		for _, word := range part {
			args = append(args, word)
		}
		in := places(len(part))
		type owned struct{ word, asset string }
		owners, err := sqldb.All(ctx, w.tx, func(rows *sql.Rows, o *owned) error { return rows.Scan(&o.word, &o.asset) },
			`SELECT word, asset FROM asset_key WHERE tenant = $1 AND word IN (`+in+`)`, args...)
		if err != nil {
			return err
		}
		for _, o := range owners {
			w.owner[o.word] = o.asset
		}
		for _, column := range []string{"id", "root"} { // they, and what they are part of
			rows, err := sqldb.All(ctx, w.tx, scanRow, `SELECT DISTINCT `+rowColumns+` FROM asset_key k JOIN asset o ON o.tenant = k.tenant AND o.id = k.asset
				JOIN asset a ON a.tenant = o.tenant AND a.id = o.`+column+` WHERE k.tenant = $1 AND k.word IN (`+in+`)`, args...)
			if err != nil {
				return err
			}
			w.take(rows)
		}
	}
	return nil
}

// loadGroup reads all that is part of a root.
func (w *writer) loadGroup(ctx context.Context, root string) error {
	rows, err := sqldb.All(ctx, w.tx, scanRow, `SELECT `+rowColumns+` FROM asset a WHERE a.tenant = $1 AND a.root = $2`, int64(w.tenant), root)
	w.take(rows)
	return err
}

// apart returns pairs of roots that people took apart: only people bring them together
// again.
func (w *writer) apart(ctx context.Context) (map[[2]string]bool, error) {
	type pair struct{ a, b string }
	pairs, err := sqldb.All(ctx, w.tx, func(rows *sql.Rows, p *pair) error { return rows.Scan(&p.a, &p.b) }, `SELECT a.root, b.root FROM asset_merge m
		JOIN asset a ON a.tenant = m.tenant AND a.id = m.asset JOIN asset b ON b.tenant = m.tenant AND b.id = m.into_id WHERE m.tenant = $1 AND m.undone_at IS NOT NULL`, int64(w.tenant))
	out := map[[2]string]bool{}
	for _, p := range pairs {
		out[[2]string{min(p.a, p.b), max(p.a, p.b)}] = true
	}
	return out, err
}

// write brings everything into the database and makes what is shown anew.
func (w *writer) write(ctx context.Context) error {
	opened := int64(0)
	var args []any
	n := 0
	for _, id := range slices.Sorted(maps.Keys(w.rows)) {
		r := w.rows[id]
		if !r.changed {
			continue
		}
		if r.isNew {
			opened++
		}
		args = append(args, int64(w.tenant), r.id, r.root, r.parent, r.first, r.last, r.evidence, r.first, r.last)
		n++
	}
	if err := inserts(ctx, w.tx, `INSERT INTO asset (tenant, id, root, parent, own_first, own_last, evidence, first_at, last_at) VALUES `, 9, args,
		` ON CONFLICT (tenant, id) DO UPDATE SET root = excluded.root, parent = excluded.parent, own_first = excluded.own_first, own_last = excluded.own_last, evidence = excluded.evidence`); err != nil {
		return err
	}
	args = nil
	for _, word := range w.added {
		args = append(args, int64(w.tenant), word, w.owner[word])
	}
	if err := inserts(ctx, w.tx, `INSERT INTO asset_key (tenant, word, asset) VALUES `, 3, args, ``); err != nil {
		return err
	}
	if err := w.writeTraits(ctx); err != nil {
		return err
	}
	if opened > 0 {
		if _, err := sqldb.Exec(ctx, w.tx, `UPDATE asset_head SET assets = assets + $1 WHERE tenant = $2`, opened, int64(w.tenant)); err != nil {
			return err
		}
	}
	return w.show(ctx)
}

// writeTraits keeps the newest of each kind where there are too many.
func (w *writer) writeTraits(ctx context.Context) error {
	var args []any
	held := map[string]bool{}
	for k, at := range w.traits {
		args = append(args, int64(w.tenant), k.asset, k.kind, k.value, placeOf(k.kind, k.value), at.first, at.last)
		held[k.asset] = true
	}
	if err := inserts(ctx, w.tx, `INSERT INTO asset_trait (tenant, asset, kind, value, place, first_at, last_at) VALUES `, 7, args,
		` ON CONFLICT (tenant, asset, kind, value) DO UPDATE SET first_at = CASE WHEN excluded.first_at < asset_trait.first_at THEN excluded.first_at ELSE asset_trait.first_at END,
			last_at = CASE WHEN excluded.last_at > asset_trait.last_at THEN excluded.last_at ELSE asset_trait.last_at END`); err != nil || len(held) == 0 {
		return err
	}
	ids := slices.Sorted(maps.Keys(held))
	args = []any{int64(w.tenant)}
	for _, id := range ids {
		args = append(args, id)
	}
	type many struct{ asset, kind string }
	over, err := sqldb.All(ctx, w.tx, func(rows *sql.Rows, m *many) error { return rows.Scan(&m.asset, &m.kind) },
		`SELECT asset, kind FROM asset_trait WHERE tenant = $1 AND asset IN (`+places(len(ids))+`) GROUP BY asset, kind HAVING COUNT(*) > `+fmt.Sprint(maxTraits), args...)
	if err != nil {
		return err
	}
	for _, m := range over {
		if _, err := sqldb.Exec(ctx, w.tx, `DELETE FROM asset_trait WHERE tenant = $1 AND asset = $2 AND kind = $3 AND value NOT IN (
			SELECT value FROM asset_trait WHERE tenant = $1 AND asset = $2 AND kind = $3 ORDER BY last_at DESC, value LIMIT `+fmt.Sprint(maxTraits)+`)`, int64(w.tenant), m.asset, m.kind); err != nil {
			return err
		}
	}
	return nil
}

// inserts writes rows of so many columns, some hundreds in a statement.
func inserts(ctx context.Context, tx *sqldb.DB, head string, columns int, args []any, tail string) error {
	for part := range slices.Chunk(args, columns*300) {
		if _, err := sqldb.Exec(ctx, tx, head+sqldb.Rows(len(part)/columns, columns)+tail, part...); err != nil {
			return err
		}
	}
	return nil
}

// places is what stands in IN (…) for so many values, where the tenant is the first.
func places(n int) string {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "$%d", 2+i)
	}
	return string(b)
}

// placeOf is a text by which addresses sort as numbers do.
func placeOf(kind, value string) string {
	if kind != "ip" {
		return ""
	}
	a, err := netip.ParseAddr(value)
	if err != nil {
		return ""
	}
	return sortable(a)
}

func sortable(a netip.Addr) string {
	b := a.As16()
	return hex.EncodeToString(b[:])
}
