package exposure

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// evidence is that a name was seen.
type evidence struct {
	name        string
	first, last int64 // microseconds since 1970
	sources     uint8
	addresses   []string
}

// Load takes up the domains as the database has them: names under others are not looked
// for.
func (s *Service) Load(ctx context.Context) error {
	type row struct {
		tenant int64
		name   string
	}
	rows, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.tenant, &r.name) }, `SELECT tenant, name FROM exposure_domain`)
	if err != nil {
		return fault.Wrap("load domains", err)
	}
	before := *s.views.Load()
	views := map[uint32]*view{}
	for _, r := range rows {
		tenant := uint32(r.tenant) //nolint:gosec // it was one
		v := views[tenant]
		if v == nil {
			v = &view{domains: map[string]bool{}}
			if old := before[tenant]; old != nil {
				v.mu, v.names = old.mu, old.names
			} else {
				v.mu, v.names = &sync.Mutex{}, map[string]*sighting{}
			}
			views[tenant] = v
		}
		v.domains[r.name] = true
		v.lengths[len(r.name)/64] |= 1 << (len(r.name) % 64)
	}
	s.views.Store(&views)
	return nil
}

// Flush writes down what was seen since the last time. Run calls it.
func (s *Service) Flush(ctx context.Context) error {
	views := *s.views.Load()
	for _, tenant := range slices.Sorted(maps.Keys(views)) {
		v := views[tenant]
		for some := range slices.Chunk(v.changed(), namesAtOnce) {
			if err := s.absorb(ctx, tenant, some); err != nil {
				return fault.Wrap("write names that were seen", err)
			}
			v.saved(some)
		}
		v.forget()
	}
	return nil
}

const namesAtOnce = 200

// changed returns what the database does not know, in the order of names, so that
// writers of one tenant wait for each other in turn.
func (v *view) changed() []evidence {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []evidence
	for name, x := range v.names {
		if x.changed {
			out = append(out, evidence{name, x.first / 1000, x.last / 1000, x.sources, slices.Clone(x.addresses)})
		}
	}
	slices.SortFunc(out, func(a, b evidence) int { return strings.Compare(a.name, b.name) })
	return out
}

// saved notes what was written. What has come since stays to be written.
func (v *view) saved(some []evidence) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range some {
		e := &some[i]
		if x := v.names[e.name]; x != nil {
			x.saved = e.last * 1000
			x.changed = x.sources != e.sources || !slices.Equal(x.addresses, e.addresses)
		}
	}
}

// forget makes room where there is little: a name that comes again is read anew.
func (v *view) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.names) < maxSeen/2 {
		return
	}
	for name, x := range v.names {
		if !x.changed {
			delete(v.names, name)
		}
	}
}
