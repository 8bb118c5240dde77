package risk

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// atOnce is how many notes one transaction takes up: the pipeline writes to the same
// database and waits for it.
const atOnce = 50

// Origin marks the alerts of risk rules: what carries it never feeds a score.
const Origin = "builtin:risk"

// Follow takes up notes of changed alerts until there are none, and returns how many
// there were.
func (s *Service) Follow(ctx context.Context) (int, error) {
	total := 0
	for {
		tenants, err := sqldb.All(ctx, s.DB, sqldb.Value[int64], `SELECT DISTINCT tenant FROM risk_due`)
		if err != nil || len(tenants) == 0 {
			return total, fault.Wrap("look for changed alerts", err)
		}
		for _, tenant := range tenants {
			n, err := s.followSome(ctx, uint32(tenant))
			if err != nil {
				return total, fault.Wrap("follow alerts", err)
			}
			total += n
		}
	}
}

// followSome takes up some notes of a tenant: the alerts' contributions are replaced by
// what the alerts say now and the scores of all entities concerned computed anew, in the
// transaction that removes the notes. Doing it twice gives what doing it once gives.
func (s *Service) followSome(ctx context.Context, tenant uint32) (int, error) {
	n := 0
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		type note struct{ id, alert string }
		// Ordered by alert: many notes of one alert are one piece of work.
		notes, err := sqldb.All(ctx, tx, func(rows *sql.Rows, x *note) error { return rows.Scan(&x.id, &x.alert) },
			`SELECT id, alert FROM risk_due WHERE tenant = $1 ORDER BY alert, id LIMIT $2`, int64(tenant), 10*atOnce)
		if err != nil {
			return err
		}
		var alerts []string
		for i, x := range notes {
			if len(alerts) == 0 || alerts[len(alerts)-1] != x.alert {
				if len(alerts) == atOnce {
					notes = notes[:i]
					break
				}
				alerts = append(alerts, x.alert)
			}
		}
		n = len(notes)
		keys, err := s.replace(ctx, tx, tenant, alerts)
		if err != nil {
			return err
		}
		if err := s.score(ctx, tx, tenant, keys); err != nil {
			return err
		}
		for _, x := range notes {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM risk_due WHERE id = $1`, x.id); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// replace writes what alerts contribute as they are now, and returns the entities that
// had or have something from them.
func (s *Service) replace(ctx context.Context, tx *sqldb.DB, tenant uint32, ids []string) ([]Key, error) {
	var keys []Key
	for _, id := range ids {
		before, err := sqldb.All(ctx, tx, func(rows *sql.Rows, k *Key) error { return rows.Scan(&k.Kind, &k.Value) },
			`SELECT kind, entity FROM risk_contribution WHERE tenant = $1 AND alert = $2`, int64(tenant), id)
		if err != nil {
			return nil, err
		}
		keys = append(keys, before...)
		if len(before) > 0 {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM risk_contribution WHERE tenant = $1 AND alert = $2`, int64(tenant), id); err != nil {
				return nil, err
			}
		}
	}
	alerts, err := s.Alerts.ByIDs(ctx, tx, tenant, ids)
	if err != nil {
		return nil, err
	}
	entities, err := s.Alerts.EntitiesByAlert(ctx, tx, tenant, ids)
	if err != nil {
		return nil, err
	}
	for i := range alerts {
		a := &alerts[i]
		if a.Rule.Origin == Origin {
			continue
		}
		labels := map[Key]string{}
		var order []Key
		for _, e := range entities[a.ID] {
			if k, ok := KeyOf(e); ok && labels[k] == "" {
				labels[k] = e.Value
				order = append(order, k)
			}
		}
		if err := s.contribute(ctx, tx, a, order, labels); err != nil {
			return nil, err
		}
		keys = append(keys, order...)
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys), nil
}

func compareKeys(a, b Key) int {
	if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

func (s *Service) contribute(ctx context.Context, tx *sqldb.DB, a *alert.Alert, keys []Key, labels map[Key]string) error {
	hit := s.Indicator != nil && s.Indicator(a.Rule.ID)
	const columns, rowsAtOnce = 14, 50
	for part := range slices.Chunk(keys, rowsAtOnce) {
		args := make([]any, 0, columns*len(part))
		for _, k := range part {
			args = append(args, int64(a.Tenant), string(k.Kind), k.Value, a.ID, labels[k], hit, a.Rule.ID, a.Rule.Name, a.Title, a.Severity, string(a.Status), string(a.Verdict), a.Occurrences, a.LastSeen.UnixMicro())
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_contribution (tenant, kind, entity, alert, label, indicator, rule, rule_name, title, severity, status, verdict, occurrences, at) VALUES `+sqldb.Rows(len(part), columns), args...); err != nil {
			return err
		}
	}
	return nil
}

// Recompute has everything that the tenant's alerts contribute looked at anew, as if none
// of them had been seen.
func (s *Service) Recompute(ctx context.Context, tenant uint32, actor string) error {
	return fault.Wrap("recompute risk", s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		// Ids of alerts are no ids of notes, which are random: a note of the same id is one
		// that an earlier call made and that is still to be done.
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO risk_due (id, tenant, alert) SELECT id, tenant, id FROM alert WHERE tenant = $1 ON CONFLICT DO NOTHING`, int64(tenant)); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE risk_entity SET computed_at = 0 WHERE tenant = $1`, int64(tenant)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "risk.recompute"})
	}))
}
