package incident

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// What alerts share is a reason to see them together only where it is rare: an address
// that hundreds of alerts name is the tenant's own gateway, and "root" is everywhere.
const (
	commonAt     = 100 // alerts within the window that have the entity, from which on it says nothing
	maxValues    = 50  // entities of an incident that are looked for
	relatedReach = 7 * 24 * time.Hour
	maxRelated   = 20
)

// weightOf says how much sharing an entity of a type tells. One that is unique to a
// machine or file binds alone; a user or process needs a second one beside it.
func weightOf(kind string) int {
	switch kind {
	case "ip", "host", "domain", "hash":
		return 2
	case "user", "file", "process":
		return 1
	}
	return 0
}

const bindingWeight = 2

// joinByEntity puts a newly made alert into another rule's open automatic incident of the
// last 24 hours with which it shares entities, where the tenant groups so, and says in the
// timeline what they share. Unlink or Split undo it.
func (s *Service) joinByEntity(ctx context.Context, tx *sqldb.DB, now time.Time, a *alert.Alert) (bool, error) {
	set, err := s.settings(ctx, tx, a.Tenant)
	if err != nil || set.Grouping != ByEntity {
		return false, err
	}
	entities, err := s.alerts.EntitiesOf(ctx, tx, a.Tenant, []string{a.ID})
	if err != nil {
		return false, err
	}
	found, err := s.sharing(ctx, tx, a.Tenant, entities, a.FirstSeen.Add(-window), a.FirstSeen.Add(window), "")
	if err != nil {
		return false, err
	}
	for _, r := range found {
		in := r.Incident
		if in.Origin != Auto || in.Status == Closed || r.Weight < bindingWeight {
			continue
		}
		if err := s.link(ctx, tx, now, audit.System, &in, a, ""); err != nil {
			return false, err
		}
		if event.SeverityRank(a.Severity) > event.SeverityRank(in.Severity) {
			before := in.Severity
			in.Severity = a.Severity
			if in.SLADueAt = in.CreatedAt.Add(set.SLA.For(in.Severity)); in.SLADueAt.After(now) {
				in.OverdueAt = nil
			}
			if err := s.write(ctx, tx, now, audit.System, &in, "incident.update", []Step{{At: now, Actor: audit.System, Action: "severity", Old: before, New: in.Severity, Note: "of alert " + a.ID}}); err != nil {
				return false, err
			}
		}
		return true, step(ctx, tx, in.ID, Step{At: now, Actor: audit.System, Action: "grouped", New: a.ID, Note: "shares " + r.Text() + " with alerts of this incident"})
	}
	return false, nil
}

// Related is an incident that shares entities with another one.
type Related struct {
	Incident Incident
	Shared   []alert.Entity // what both have, the most telling first; at most 20
	Alerts   int            // of Incident that have one of them
	Weight   int            // rises with what is shared: 2 for an address, host, domain or hash, 1 for a user, file or process
}

// Text names what is shared, for people.
func (r *Related) Text() string {
	parts := make([]string, len(r.Shared))
	for i, e := range r.Shared {
		parts[i] = e.Type + " " + e.Value
	}
	return strings.Join(parts, ", ")
}

// Related returns incidents whose alerts, first seen within a week of the incident's,
// share entities with it, the closest first, at most 20.
func (s *Service) Related(ctx context.Context, tenant uint32, id string) ([]Related, error) {
	var out []Related
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		alerts, err := s.alertsOf(ctx, tx, in, "")
		if err != nil || len(alerts) == 0 {
			return err
		}
		from, to := alerts[0].FirstSeen, alerts[0].FirstSeen
		ids := make([]string, len(alerts))
		for i := range alerts {
			ids[i] = alerts[i].ID
			if t := alerts[i].FirstSeen; t.Before(from) {
				from = t
			} else if t.After(to) {
				to = t
			}
		}
		entities, err := s.alerts.EntitiesOf(ctx, tx, tenant, ids)
		if err != nil {
			return err
		}
		out, err = s.sharing(ctx, tx, tenant, entities, from.Add(-relatedReach), to.Add(relatedReach), in.ID)
		return err
	})
	return out[:min(len(out), maxRelated)], fault.Wrap("find related incidents", err)
}

// sharing returns the incidents, but for one, whose alerts have any of entities, the
// closest first.
func (s *Service) sharing(ctx context.Context, tx *sqldb.DB, tenant uint32, entities []alert.Entity, from, to time.Time, but string) ([]Related, error) {
	telling := map[string]alert.Entity{} // by lower-case value
	slices.SortStableFunc(entities, func(a, b alert.Entity) int { return cmp.Compare(weightOf(b.Type), weightOf(a.Type)) })
	for _, e := range entities {
		v := strings.ToLower(e.Value)
		if _, ok := telling[v]; !ok && weightOf(e.Type) > 0 && len(telling) < maxValues {
			telling[v] = e
		}
	}
	values := make([]string, 0, len(telling))
	for v := range telling {
		values = append(values, v)
	}
	slices.Sort(values)
	shared, err := s.alerts.Sharing(ctx, tx, tenant, values, from, to)
	if err != nil {
		return nil, err
	}
	often := map[string]int{}
	for _, x := range shared {
		often[x.Value]++
	}
	type finding struct {
		values map[string]bool
		alerts map[string]bool
	}
	found := map[string]*finding{}
	for _, x := range shared {
		if x.IncidentID == but || often[x.Value] >= commonAt {
			continue
		}
		f := found[x.IncidentID]
		if f == nil {
			f = &finding{map[string]bool{}, map[string]bool{}}
			found[x.IncidentID] = f
		}
		f.values[x.Value], f.alerts[x.AlertID] = true, true
	}
	var out []Related
	for id, f := range found {
		in, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return nil, err
		}
		r := Related{Incident: *in, Alerts: len(f.alerts)}
		for v := range f.values {
			r.Shared = append(r.Shared, telling[v])
			r.Weight += weightOf(telling[v].Type)
		}
		slices.SortFunc(r.Shared, func(a, b alert.Entity) int {
			return cmp.Or(cmp.Compare(weightOf(b.Type), weightOf(a.Type)), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
		})
		r.Shared = r.Shared[:min(len(r.Shared), maxRelated)]
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Related) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), b.Incident.CreatedAt.Compare(a.Incident.CreatedAt), cmp.Compare(a.Incident.ID, b.Incident.ID))
	})
	return out, nil
}

// worst is the severity of the worst alert.
func worst(alerts []alert.Alert) string {
	return slices.MaxFunc(alerts, func(a, b alert.Alert) int {
		return cmp.Compare(event.SeverityRank(a.Severity), event.SeverityRank(b.Severity))
	}).Severity
}
