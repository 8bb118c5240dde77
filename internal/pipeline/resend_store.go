package pipeline

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// originTerm is how long the number of a sender is kept that sends nothing.
const originTerm = 366 * 24 * time.Hour

// resendChanges is what came to the knowledge of resends between two snapshots.
type resendChanges struct {
	origins map[originKey]originMark
	parts   []idPart
	first   map[uint32]uint64 // the oldest generation that a tenant still has
}

// An idPart goes into the database as one row. whole takes the place of all parts of
// its generation.
type idPart struct {
	tenant         uint32
	no             uint64
	from           int
	oldest, newest int64
	ids            []recordID // nobody changes them
	whole          bool
}

// snapshot returns what changed since the last one.
func (r *resends) snapshot() *resendChanges {
	r.expireAll()
	if len(r.numbered) == 0 && len(r.named) == 0 {
		return nil
	}
	c := &resendChanges{origins: make(map[originKey]originMark, len(r.numbered)), first: make(map[uint32]uint64, len(r.named))}
	for k := range r.numbered {
		c.origins[k] = r.origins[k]
	}
	for tenant := range r.named {
		c.first[tenant] = r.next
		if w := r.windows[tenant]; w != nil && len(w.generations) > 0 {
			c.first[tenant] = w.generations[0].no
			c.parts = append(c.parts, r.unsaved(tenant, w)...)
		}
	}
	clear(r.numbered)
	clear(r.named)
	return c
}

// unsaved returns what of a window is in no snapshot, and marks it saved. A closed
// generation goes as a whole.
func (r *resends) unsaved(tenant uint32, w *window) (parts []idPart) {
	for i := len(w.generations) - 1; i >= 0 && !w.generations[i].settled; i-- {
		g := w.generations[i]
		p := idPart{tenant: tenant, no: g.no, oldest: g.oldest, newest: g.newest}
		g.settled = i < len(w.generations)-1 || len(g.ids) >= r.limits.generation
		if p.whole = g.settled; !p.whole {
			p.from = g.saved
		}
		p.ids = g.ids[p.from:len(g.ids):len(g.ids)]
		g.saved = len(g.ids)
		if len(p.ids) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// saveResends writes changes in the caller's transaction.
func saveResends(ctx context.Context, tx *sqldb.DB, partition int, c *resendChanges) error {
	if c == nil {
		return nil
	}
	for k, m := range c.origins {
		_, err := sqldb.Exec(ctx, tx, `INSERT INTO resend_origin (partition_no, tenant, origin, number, seen_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (partition_no, tenant, origin) DO UPDATE SET number = excluded.number, seen_at = excluded.seen_at`,
			partition, int64(k.tenant), k.origin, int64(m.number), m.seen)
		if err != nil {
			return fmt.Errorf("write number of a sender: %w", err)
		}
	}
	for tenant, no := range c.first {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM resend_id WHERE partition_no = $1 AND tenant = $2 AND generation < $3`, partition, int64(tenant), int64(no)); err != nil {
			return fmt.Errorf("remove forgotten ids: %w", err)
		}
	}
	for i := range c.parts {
		if err := c.parts[i].save(ctx, tx, partition); err != nil {
			return fmt.Errorf("write ids: %w", err)
		}
	}
	return nil
}

func (p *idPart) save(ctx context.Context, tx *sqldb.DB, partition int) error {
	if p.whole {
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM resend_id WHERE partition_no = $1 AND tenant = $2 AND generation = $3`, partition, int64(p.tenant), int64(p.no)); err != nil {
			return err
		}
	}
	text := make([]byte, 0, len(p.ids)*len(recordID{}))
	for i := range p.ids {
		text = append(text, p.ids[i][:]...)
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO resend_id (partition_no, tenant, generation, part, oldest, newest, ids) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		partition, int64(p.tenant), int64(p.no), p.from, p.oldest, p.newest, text)
	return err
}

// load fills r, which is empty, with what the last checkpoint of a partition knew.
func (r *resends) load(ctx context.Context, db *sqldb.DB, partition int) error {
	limit := int64(math.MinInt64)
	for seen, err := range sqldb.Stream(ctx, db, sqldb.Value[int64], `SELECT seen_at FROM resend_origin WHERE partition_no = $1 ORDER BY seen_at DESC LIMIT 1`, partition) {
		if err != nil {
			return fmt.Errorf("read numbers of senders: %w", err)
		}
		limit = seen - int64(originTerm) // not by the clock: what waits in the queue may be old
	}
	if _, err := sqldb.Exec(ctx, db, `DELETE FROM resend_origin WHERE partition_no = $1 AND seen_at < $2`, partition, limit); err != nil {
		return fmt.Errorf("remove numbers of senders: %w", err)
	}
	type origin struct {
		originKey
		originMark
	}
	origins := sqldb.Stream(ctx, db, func(rows *sql.Rows, o *origin) error {
		var number int64
		err := rows.Scan(&o.tenant, &o.origin, &number, &o.seen)
		o.number = uint64(number)
		return err
	}, `SELECT tenant, origin, number, seen_at FROM resend_origin WHERE partition_no = $1`, partition)
	for o, err := range origins {
		if err != nil {
			return fmt.Errorf("read numbers of senders: %w", err)
		}
		r.origins[o.originKey] = o.originMark
		r.latest = max(r.latest, o.seen)
	}
	parts := sqldb.Stream(ctx, db, scanPart, `SELECT tenant, generation, part, oldest, newest, ids FROM resend_id WHERE partition_no = $1 ORDER BY tenant, generation, part`, partition)
	for p, err := range parts {
		if err == nil {
			err = r.restore(&p)
		}
		if err != nil {
			return fmt.Errorf("read ids: %w", err)
		}
	}
	return nil
}

var errGap = errors.New("a part is missing or damaged: delete the rows of its generation in resend_id")

func scanPart(rows *sql.Rows, p *idPart) error {
	var text []byte
	var no int64
	if err := rows.Scan(&p.tenant, &no, &p.from, &p.oldest, &p.newest, &text); err != nil {
		return err
	}
	p.no = uint64(no)
	const size = len(recordID{})
	if len(text) == 0 || len(text)%size != 0 {
		return errGap
	}
	for ; len(text) > 0; text = text[size:] {
		p.ids = append(p.ids, recordID(text))
	}
	return nil
}

// restore adds a part; they come in order.
func (r *resends) restore(p *idPart) error {
	w := r.windows[p.tenant]
	if w == nil {
		w = &window{known: map[recordID]struct{}{}}
		r.windows[p.tenant] = w
	}
	g := w.open()
	if g == nil || g.no != p.no {
		if g != nil {
			g.settled = true // only the newest is open
		}
		g = &generation{no: p.no, oldest: p.oldest}
		w.generations = append(w.generations, g)
	}
	if p.from != len(g.ids) {
		return fmt.Errorf("tenant %d, generation %d: %w", p.tenant, p.no, errGap)
	}
	g.ids = append(g.ids, p.ids...)
	g.newest, g.saved = p.newest, len(g.ids)
	g.settled = len(g.ids) >= r.limits.generation
	for _, id := range p.ids {
		w.known[id] = struct{}{}
	}
	r.known += len(p.ids)
	r.next, r.latest = max(r.next, p.no+1), max(r.latest, p.newest)
	return nil
}
