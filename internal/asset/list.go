package asset

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Filter chooses assets; what is empty chooses nothing away.
type Filter struct {
	Search                string // an address, a CIDR, or part of a name or MAC, in any case
	Types, Criticalities  []string
	Tags, Owners, Sources []string // any of each
	SeenFrom, SeenTo      time.Time
	HasOpenAlerts         bool
}

// A Query is one page. Sort is one of Sorts, "" for the first.
type Query struct {
	Filter
	Sort       string
	Ascending  bool
	Page, Size int
}

// Sorts lists what List sorts by.
var Sorts = []string{"lastSeen", "firstSeen", "name", "type", "criticality", "openAlerts", "owner"}

var sortColumns = map[string]string{
	"": "a.last_at", "lastSeen": "a.last_at", "firstSeen": "a.first_at", "name": "a.name", "type": "a.type", "criticality": "a.criticality", "openAlerts": "a.open_alerts", "owner": "a.owner",
}

// a where is a condition that grows with its arguments.
type where struct {
	text strings.Builder
	args []any
}

func (w *where) p(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *where) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	w.text.WriteString(" AND " + column + " IN (")
	for i, v := range values {
		if i > 0 {
			w.text.WriteString(", ")
		}
		w.text.WriteString(w.p(v))
	}
	w.text.WriteString(")")
}

// trait demands that some part of the asset has a trait for which condition holds.
func (w *where) trait(condition string) {
	w.text.WriteString(` AND a.id IN (SELECT m.root FROM asset_trait t JOIN asset m ON m.tenant = t.tenant AND m.id = t.asset WHERE t.tenant = $1 AND ` + condition + `)`)
}

func (f *Filter) where(tenant uint32) *where {
	w := &where{args: []any{int64(tenant)}}
	w.text.WriteString(` WHERE a.tenant = $1 AND a.root = a.id AND NOT a.covered`)
	w.in("a.type", f.Types)
	if len(f.Criticalities) > 0 {
		w.text.WriteString(" AND a.criticality IN (")
		for i, c := range f.Criticalities {
			if i > 0 {
				w.text.WriteString(", ")
			}
			w.text.WriteString(w.p(rankOf(c)))
		}
		w.text.WriteString(")")
	}
	w.in("a.owner", f.Owners)
	if len(f.Tags) > 0 {
		w.text.WriteString(" AND (")
		for i, tag := range f.Tags {
			if i > 0 {
				w.text.WriteString(" OR ")
			}
			text, _ := json.Marshal(tag) // a string always can
			w.text.WriteString("a.tags LIKE " + w.p("%"+literal(string(text))+"%") + ` ESCAPE '!'`)
		}
		w.text.WriteString(")")
	}
	if len(f.Sources) > 0 {
		sub := &where{args: w.args}
		sub.in("t.value", f.Sources)
		w.args = sub.args
		w.trait("t.kind = 'source'" + sub.text.String())
	}
	if !f.SeenFrom.IsZero() {
		w.text.WriteString(" AND a.last_at >= " + w.p(f.SeenFrom.UnixMicro()))
	}
	if !f.SeenTo.IsZero() {
		w.text.WriteString(" AND a.last_at < " + w.p(f.SeenTo.UnixMicro()))
	}
	if f.HasOpenAlerts {
		w.text.WriteString(" AND a.open_alerts > 0")
	}
	f.search(w)
	return w
}

func (f *Filter) search(w *where) {
	text := strings.ToLower(strings.TrimSpace(f.Search))
	if text == "" {
		return
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		p = p.Masked()
		from, to := span16(p)
		w.trait("t.place >= " + w.p(from) + " AND t.place <= " + w.p(to) + " AND t.place <> ''")
		return
	}
	if a, err := netip.ParseAddr(text); err == nil {
		w.trait("t.place = " + w.p(sortable(a.Unmap().WithZone(""))) + " AND t.place <> ''")
		return
	}
	pattern := w.p("%" + literal(text) + "%")
	w.text.WriteString(` AND (LOWER(a.name) LIKE ` + pattern + ` ESCAPE '!' OR a.id IN (SELECT m.root FROM asset_trait t JOIN asset m ON m.tenant = t.tenant AND m.id = t.asset
		WHERE t.tenant = $1 AND t.kind IN ('name', 'alias', 'mac', 'ip') AND t.value LIKE ` + pattern + ` ESCAPE '!'))`)
}

// span16 is the first and the last address of p, as they sort.
func span16(p netip.Prefix) (from, to string) {
	b := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	from = sortable(p.Addr())
	for i := bits; i < 128; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return from, sortable(netip.AddrFrom16(b))
}

// literal makes s stand for itself in LIKE … ESCAPE '!'.
func literal(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

const columns = `a.id, a.root, a.name, a.type, a.os, a.owner, a.criticality, a.tags, a.notes, a.first_at, a.last_at, a.open_alerts, a.version, a.set_type`

func scan(rows *sql.Rows, a *Asset) error {
	var root, setType string
	if err := rows.Scan(&a.ID, &root, &a.Name, &a.Type, &a.OS, &a.Owner, &a.rank, &a.tags, &a.Notes, sqldb.Micros(&a.First), sqldb.Micros(&a.Last), &a.OpenAlerts, &a.Version, &setType); err != nil {
		return err
	}
	a.TypeOverride = setType != ""
	if root != a.ID {
		a.MergedInto = root
	}
	a.Criticality = Criticalities[min(max(a.rank, 1), 4)-1]
	return json.Unmarshal([]byte(a.tags), &a.Tags)
}

// List returns one page of a tenant's assets and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (list []Asset, total int64, err error) {
	w := q.where(tenant)
	direction := "DESC"
	if q.Ascending {
		direction = "ASC"
	}
	column, ok := sortColumns[q.Sort]
	if !ok {
		column = sortColumns[""]
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COUNT(*) FROM asset a`+w.text.String(), w.args...); err != nil {
			return err
		}
		list, err = sqldb.All(ctx, tx, scan, `SELECT `+columns+` FROM asset a`+w.text.String()+
			fmt.Sprintf(` ORDER BY %s %s, a.id %s LIMIT %d OFFSET %d`, column, direction, direction, q.Size, int64(q.Page)*int64(q.Size)), w.args...)
		if err != nil {
			return err
		}
		return fill(ctx, tx, tenant, list)
	})
	return list, total, wrap("list assets", err)
}

// Stream yields the assets that f chooses from one snapshot, the newest first.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Asset, error] {
	return func(yield func(Asset, error) bool) {
		stopped := false
		err := s.db.View(ctx, func(tx *sqldb.DB) error {
			w := f.where(tenant)
			// One connection serves the snapshot: pages of it, each with its traits.
			var after *Asset
			for {
				text, args := w.text.String(), slices.Clone(w.args)
				if after != nil {
					args = append(args, after.Last.UnixMicro(), after.ID)
					n := len(args)
					text += fmt.Sprintf(" AND (a.last_at < $%d OR a.last_at = $%d AND a.id < $%d)", n-1, n-1, n)
				}
				list, err := sqldb.All(ctx, tx, scan, `SELECT `+columns+` FROM asset a`+text+` ORDER BY a.last_at DESC, a.id DESC LIMIT 500`, args...)
				if err == nil {
					err = fill(ctx, tx, tenant, list)
				}
				if err != nil || len(list) == 0 {
					return err
				}
				for i := range list {
					if !yield(list[i], nil) {
						stopped = true
						return nil
					}
				}
				after = &list[len(list)-1]
			}
		})
		if err != nil && !stopped {
			yield(Asset{}, wrap("read assets", err))
		}
	}
}

// shown bounds what a list tells of each kind.
const shown = 16

type rooted struct {
	root string
	Trait
}

func scanTrait(rows *sql.Rows, t *rooted) error {
	return rows.Scan(&t.root, &t.Kind, &t.Value, sqldb.Micros(&t.First), sqldb.Micros(&t.Last))
}

// fill adds addresses, MACs and sources.
func fill(ctx context.Context, tx *sqldb.DB, tenant uint32, list []Asset) error {
	if len(list) == 0 {
		return nil
	}
	args := []any{int64(tenant)}
	at := map[string]*Asset{}
	for i := range list {
		args = append(args, list[i].ID)
		at[list[i].ID] = &list[i]
	}
	for t, err := range sqldb.Stream(ctx, tx, scanTrait, `SELECT m.root, t.kind, t.value, MIN(t.first_at), MAX(t.last_at) FROM asset m JOIN asset_trait t ON t.tenant = m.tenant AND t.asset = m.id
		WHERE m.tenant = $1 AND m.root IN (`+places(len(list))+`) AND t.kind IN ('ip', 'mac', 'source') GROUP BY m.root, t.kind, t.value ORDER BY MAX(t.last_at) DESC, t.value`, args...) {
		if err != nil {
			return err
		}
		a := at[t.root]
		into := map[string]*[]string{"ip": &a.Addresses, "mac": &a.MACs, "source": &a.Sources}[t.Kind]
		if len(*into) < shown {
			*into = append(*into, t.Value)
		}
	}
	return nil
}

// Get returns one asset with its history, or fault.NotFound. What is merged into another
// is found under its id still, with the merge that says where it is.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Asset, error) {
	var a Asset
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		list, err := sqldb.All(ctx, tx, scan, `SELECT `+columns+` FROM asset a WHERE a.tenant = $1 AND a.id = $2`, int64(tenant), id)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return unknown()
		}
		if err := fill(ctx, tx, tenant, list); err != nil {
			return err
		}
		a = list[0]
		return a.history(ctx, tx, tenant)
	})
	if err != nil {
		return nil, wrap("read asset", err)
	}
	return &a, nil
}

func (a *Asset) history(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	traits, err := sqldb.All(ctx, tx, scanTrait, `SELECT m.root, t.kind, t.value, MIN(t.first_at), MAX(t.last_at) FROM asset m JOIN asset_trait t ON t.tenant = m.tenant AND t.asset = m.id
		WHERE m.tenant = $1 AND (m.root = $2 OR m.id = $2) GROUP BY m.root, t.kind, t.value ORDER BY MAX(t.last_at) DESC, t.kind, t.value LIMIT 1000`, int64(tenant), a.ID)
	if err != nil {
		return err
	}
	for i := range traits {
		a.History = append(a.History, traits[i].Trait)
	}
	a.Merges, err = sqldb.All(ctx, tx, func(rows *sql.Rows, m *Merge) error {
		return rows.Scan(&m.ID, &m.Asset, &m.Into, sqldb.Micros(&m.At), &m.Actor, &m.Reason, sqldb.MicrosOrNull(&m.UndoneAt), &m.UndoneBy)
	}, `SELECT id, asset, into_id, at, actor, reason, undone_at, undone_by FROM asset_merge WHERE tenant = $1 AND (asset = $2 OR into_id = $2) ORDER BY id DESC LIMIT 100`, int64(tenant), a.ID)
	if err != nil {
		return err
	}
	a.Candidates, err = sqldb.All(ctx, tx, sqldb.Value[string], `SELECT DISTINCT o.root FROM asset m JOIN asset_trait t ON t.tenant = m.tenant AND t.asset = m.id AND t.kind IN ('name', 'alias')
		JOIN asset_trait x ON x.tenant = t.tenant AND x.value = t.value AND x.kind IN ('name', 'alias') JOIN asset o ON o.tenant = x.tenant AND o.id = x.asset
		WHERE m.tenant = $1 AND m.root = $2 AND o.root <> $2 ORDER BY o.root LIMIT 20`, int64(tenant), a.ID)
	return err
}

// Values returns what alerts and events may call the asset: its names and addresses.
func (a *Asset) Values() []string {
	var out []string
	for i := range a.History {
		if t := &a.History[i]; (t.Kind == "name" || t.Kind == "ip") && len(out) < 64 {
			out = append(out, t.Value)
		}
	}
	return out
}
