package exposure

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// absorb adds what was seen to what is known, in one transaction with the alerts that it
// raises. Doing it twice gives what doing it once gives.
func (s *Service) absorb(ctx context.Context, tenant uint32, some []evidence) error {
	if len(some) == 0 {
		return nil
	}
	var refused int64
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		refused = 0
		domains, err := domainsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		known, err := namesOf(ctx, tx, tenant, some)
		if err != nil {
			return err
		}
		now := s.now()
		fresh := map[*Domain][]evidence{}
		for i := range some {
			e := &some[i]
			d := owner(domains, e.name)
			if d == nil {
				continue // the domain was deleted meanwhile
			}
			if n, ok := known[e.name]; ok {
				again, err := s.addTo(ctx, tx, n, e)
				if err != nil {
					return err
				}
				if again {
					fresh[d] = append(fresh[d], *e)
				}
				continue
			}
			if d.Names >= maxNames {
				refused++
				continue
			}
			if err := insertName(ctx, tx, tenant, d, e, Fresh, "", now); err != nil {
				return err
			}
			d.Names++
			fresh[d] = append(fresh[d], *e)
		}
		for i := range domains {
			d := &domains[i]
			if len(fresh[d]) == 0 {
				continue
			}
			if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_domain SET names = $1 WHERE id = $2`, d.Names, d.ID); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, domains, fresh, now)
	})
	if err == nil {
		s.dropped.refused.Add(refused)
	}
	return err
}

// owner returns the domain that a name belongs to: the longest of those it lies under.
func owner(domains []Domain, name string) *Domain {
	var best *Domain
	for i := range domains {
		if under(name, domains[i].Name) && (best == nil || len(domains[i].Name) > len(best.Name)) {
			best = &domains[i]
		}
	}
	return best
}

func namesOf(ctx context.Context, tx *sqldb.DB, tenant uint32, some []evidence) (map[string]*Name, error) {
	args := []any{int64(tenant)}
	var in strings.Builder
	for i := range some {
		args = append(args, some[i].name)
		fmt.Fprintf(&in, ", $%d", len(args))
	}
	all, err := sqldb.All(ctx, tx, scanName, selectName+` WHERE n.tenant = $1 AND n.name IN (`+in.String()[2:]+`)`, args...)
	known := make(map[string]*Name, len(all))
	for i := range all {
		known[all[i].Name] = &all[i]
	}
	return known, err
}

// addTo adds evidence to a name that is known, and tells whether it was gone.
func (s *Service) addTo(ctx context.Context, tx *sqldb.DB, n *Name, e *evidence) (again bool, err error) {
	state := n.State
	if state == Gone && e.last > n.LastSeen.UnixMicro() {
		state, again = Fresh, true
	}
	sources, addresses := sourceNames(sourceBits(n.Sources)|e.sources), slices.Clone(e.addresses)
	for _, a := range n.Addresses {
		if len(addresses) < maxAddresses && !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
	}
	list, err := texts(sources, addresses)
	if err != nil {
		return false, err
	}
	_, err = sqldb.Exec(ctx, tx, `UPDATE exposure_name SET state = $1, first_seen = $2, last_seen = $3, sources = $4, addresses = $5 WHERE id = $6`,
		string(state), min(n.FirstSeen.UnixMicro(), e.first), max(n.LastSeen.UnixMicro(), e.last), list[0], list[1], n.ID)
	return again, err
}

func insertName(ctx context.Context, tx *sqldb.DB, tenant uint32, d *Domain, e *evidence, state State, notes string, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	list, err := texts(sourceNames(e.sources), e.addresses)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO exposure_name (id, tenant, domain, name, state, first_seen, last_seen, sources, addresses, notes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		id.String(), int64(tenant), d.ID, e.name, string(state), e.first, e.last, list[0], list[1], notes, now.UnixMicro())
	return err
}

// texts writes lists as JSON.
func texts(lists ...[]string) ([]string, error) {
	out := make([]string, len(lists))
	for i, list := range lists {
		if list == nil {
			list = []string{}
		}
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		out[i] = string(text)
	}
	return out, nil
}

// Ids of the rules that alerts of this package name.
const (
	RuleNew      = "7c2d9a40-51b3-4b6e-8f60-1d0e3c5a7f01"
	RuleDangling = "7c2d9a40-51b3-4b6e-8f60-1d0e3c5a7f02"
)

// tell raises one alert for each domain that has new names and is past its time of
// learning; those of a day are one alert.
func (s *Service) tell(ctx context.Context, tx *sqldb.DB, domains []Domain, fresh map[*Domain][]evidence, now time.Time) error {
	if s.Record == nil {
		return nil
	}
	var findings []alert.Finding
	for i := range domains {
		d := &domains[i]
		if names := fresh[d]; len(names) > 0 && d.AlertOnNew && now.Sub(d.CreatedAt) >= time.Duration(d.LearningHours)*time.Hour {
			findings = append(findings, newNames(d, names))
		}
	}
	if len(findings) == 0 {
		return nil
	}
	return s.Record(ctx, tx, now, findings)
}

func newNames(d *Domain, names []evidence) alert.Finding {
	f := alert.Finding{
		Tenant: d.Tenant, Title: "New host name under " + d.Name, Severity: "low", Source: "kyra", Tactic: "resource-development", Technique: "T1584.001",
		Rule:        alert.RuleRef{ID: RuleNew, Name: "New host name under an own domain", Author: "KYRA", Origin: "builtin", Version: 1},
		Description: "{count} host {count:name|names} under " + d.Name + " {count:was|were} seen for the first time: {name}.",
		Values:      map[string][]string{}, Key: "domain=" + d.Name, Count: int64(len(names)), First: names[0].first * 1000, Last: names[0].last * 1000,
	}
	for i := range names {
		e := &names[i]
		f.First, f.Last = min(f.First, e.first*1000), max(f.Last, e.last*1000)
		if len(f.Entities) < alert.MaxValues {
			f.Values["name"] = append(f.Values["name"], e.name)
			f.Entities = append(f.Entities, alert.Entity{Type: "domain", Field: event.Domain, Value: e.name})
		}
	}
	return f
}

const selectName = `SELECT n.id, n.domain, d.name, n.name, n.state, n.first_seen, n.last_seen, n.sources, n.addresses, n.found, n.checked, n.checked_at, n.notes, n.version, n.updated_by
	FROM exposure_name n JOIN exposure_domain d ON d.id = n.domain`

func scanName(rows *sql.Rows, n *Name) error {
	var sources, addresses, checked string
	err := rows.Scan(&n.ID, &n.Domain, &n.DomainName, &n.Name, &n.State, sqldb.Micros(&n.FirstSeen), sqldb.Micros(&n.LastSeen), &sources, &addresses, &n.Found, &checked, sqldb.MicrosOrNull(&n.CheckedAt), &n.Notes, &n.Version, &n.UpdatedBy)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(sources), &n.Sources); err != nil {
		return fmt.Errorf("sources of %s: %w", n.Name, err)
	}
	if err := json.Unmarshal([]byte(addresses), &n.Addresses); err != nil {
		return fmt.Errorf("addresses of %s: %w", n.Name, err)
	}
	if checked == "" {
		return nil
	}
	n.Checked = &Check{}
	return json.Unmarshal([]byte(checked), n.Checked)
}
