package asset

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A group is all that is shown as one asset.
type group struct {
	root                  member
	first, last, evidence int64
	names                 []named
	strong                bool // more than an address is known
}

type member struct {
	id, root, setName, setType, setOS string
	first, last, evidence, version    int64
}

type named struct {
	root, kind, value string
	last              int64
}

// show makes what is shown of the touched roots anew, from all that is merged into each:
// so it does not depend on the order in which that came.
func (w *writer) show(ctx context.Context) error {
	roots := slices.Sorted(maps.Keys(w.touch))
	for part := range slices.Chunk(roots, 300) {
		if err := w.showSome(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) showSome(ctx context.Context, roots []string) error {
	args := []any{int64(w.tenant)}
	for _, id := range roots {
		args = append(args, id)
	}
	in := places(len(roots))
	members, err := sqldb.All(ctx, w.tx, func(rows *sql.Rows, m *member) error {
		return rows.Scan(&m.id, &m.root, &m.setName, &m.setType, &m.setOS, &m.first, &m.last, &m.evidence, &m.version)
	}, `SELECT id, root, set_name, set_type, set_os, own_first, own_last, evidence, version FROM asset WHERE tenant = $1 AND root IN (`+in+`)`, args...)
	if err != nil {
		return err
	}
	groups := map[string]*group{}
	for _, m := range members {
		g := groups[m.root]
		if g == nil {
			g = &group{first: m.first, last: m.last}
			groups[m.root] = g
		}
		g.first, g.last, g.evidence = min(g.first, m.first), max(g.last, m.last), g.evidence|m.evidence
		if m.id == m.root {
			g.root = m
		}
	}
	names, err := sqldb.All(ctx, w.tx, func(rows *sql.Rows, n *named) error { return rows.Scan(&n.root, &n.kind, &n.value, &n.last) },
		`SELECT a.root, t.kind, t.value, t.last_at FROM asset a JOIN asset_trait t ON t.tenant = a.tenant AND t.asset = a.id
			WHERE a.tenant = $1 AND a.root IN (`+in+`) AND t.kind <> 'source'`, args...)
	if err != nil {
		return err
	}
	for _, n := range names {
		g := groups[n.root]
		g.names = append(g.names, n)
		g.strong = g.strong || n.kind != "ip"
	}
	for _, id := range roots {
		g := groups[id]
		if g == nil {
			continue
		}
		covered := false
		if !g.strong && g.root.version == 1 && len(g.names) > 0 {
			covered, err = w.covered(ctx, g.names[0].value)
			if err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, w.tx, `UPDATE asset SET name = $1, type = $2, os = $3, first_at = $4, last_at = $5, covered = $6 WHERE tenant = $7 AND id = $8`,
			g.name(), cmp.Or(g.root.setType, typeOf(g.evidence)), cmp.Or(g.root.setOS, osOf(g.evidence)), g.first, g.last, covered, int64(w.tenant), id); err != nil {
			return err
		}
	}
	return nil
}

// covered tells whether a machine of which more is known has the address.
func (w *writer) covered(ctx context.Context, address string) (bool, error) {
	n, err := sqldb.One(ctx, w.tx, sqldb.Value[int64], `SELECT COUNT(*) FROM asset_trait t WHERE t.tenant = $1 AND t.kind = 'ip' AND t.value = $2
		AND EXISTS (SELECT 1 FROM asset_trait o WHERE o.tenant = t.tenant AND o.asset = t.asset AND o.kind IN ('name', 'mac', 'guid', 'agent'))`, int64(w.tenant), address)
	return n > 0, err
}

// kinds by how well they name a machine.
var kinds = []string{"name", "alias", "mac", "ip", "agent", "guid"}

// name chooses: what people set, a full name before a short one, then the newest.
func (g *group) name() string {
	if g.root.setName != "" {
		return g.root.setName
	}
	if len(g.names) == 0 {
		return g.root.id
	}
	full := func(n named) int { return -min(strings.Count(n.value, "."), 1) }
	best := slices.MinFunc(g.names, func(a, b named) int {
		order := cmp.Compare(slices.Index(kinds, a.kind), slices.Index(kinds, b.kind))
		if a.kind == "name" && b.kind == "name" {
			order = cmp.Compare(full(a), full(b))
		}
		return cmp.Or(order, cmp.Compare(b.last, a.last), cmp.Compare(a.value, b.value))
	})
	return best.value
}

// CountAlerts brings the number of open alerts of each asset up to date: those that name
// it, or an address while it had that. Run calls it each minute.
func (s *Service) CountAlerts(ctx context.Context) error {
	const hour, day = 3600 * 1_000_000, 24 * 3600 * 1_000_000
	type count struct {
		tenant  int64
		id      string
		now, is int64
	}
	counts, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, c *count) error { return rows.Scan(&c.tenant, &c.id, &c.now, &c.is) }, fmt.Sprintf(`
		SELECT r.tenant, r.id, r.open_alerts, COALESCE(n.open, 0) FROM asset r LEFT JOIN (
			SELECT a.tenant, a.root, COUNT(DISTINCT l.seq) AS open FROM alert l JOIN alert_entity e ON e.seq = l.seq
				JOIN asset_trait t ON t.tenant = l.tenant AND t.value = e.value AND t.kind IN ('name', 'ip') JOIN asset a ON a.tenant = t.tenant AND a.id = t.asset
			WHERE l.status IN ('OPEN', 'IN_PROGRESS') AND (t.kind = 'name' OR l.last_seen >= t.first_at - %d AND l.first_seen <= t.last_at + %d)
			GROUP BY a.tenant, a.root) n ON n.tenant = r.tenant AND n.root = r.id
		WHERE r.open_alerts <> COALESCE(n.open, 0)`, int64(hour), int64(day)))
	if err != nil {
		return fmt.Errorf("count alerts of assets: %w", err)
	}
	for part := range slices.Chunk(counts, 200) {
		if err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
			for _, c := range part {
				if _, err := sqldb.Exec(ctx, tx, `UPDATE asset SET open_alerts = $1 WHERE tenant = $2 AND id = $3`, c.is, c.tenant, c.id); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("count alerts of assets: %w", err)
		}
	}
	return nil
}
