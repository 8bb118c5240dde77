package incident

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Settings are how a tenant works its incidents.
type Settings struct {
	SLA      SLA
	Grouping Grouping
	Version  int64 // rises with each change; 0: the defaults
}

// Grouping says what alerts of high and critical severity share to be one incident.
type Grouping string

// The groupings.
const (
	ByRule   Grouping = "rule"   // the rule that raised them
	ByEntity Grouping = "entity" // the rule, or a host, user, address, domain or hash
)

// Groupings lists the groupings, the default first.
var Groupings = []Grouping{ByRule, ByEntity}

// maxSLA bounds the time to answer.
const maxSLA = 365 * 24 * time.Hour

// Settings returns the tenant's settings.
func (s *Service) Settings(ctx context.Context, tenant uint32) (Settings, error) {
	set, err := s.settings(ctx, s.db, tenant)
	return set, fault.Wrap("read incident settings", err)
}

func (s *Service) settings(ctx context.Context, tx *sqldb.DB, tenant uint32) (Settings, error) {
	set, err := sqldb.One(ctx, tx, func(rows *sql.Rows, set *Settings) error {
		var critical, high, medium, low int64
		err := rows.Scan(&critical, &high, &medium, &low, &set.Grouping, &set.Version)
		seconds := func(n int64) time.Duration { return time.Duration(n) * time.Second }
		set.SLA = SLA{seconds(critical), seconds(high), seconds(medium), seconds(low)}
		return err
	}, `SELECT critical, high, medium, low, grouping, version FROM incident_setting WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return Settings{SLA: s.sla, Grouping: ByRule}, nil
	}
	return set, err
}

// SetSettings changes the tenant's settings. They hold for incidents that are made, or
// get another severity, from then on. set.Version is the one that the change was made
// on; another one is fault.Conflict in field "version", unless anyVersion.
func (s *Service) SetSettings(ctx context.Context, tenant uint32, actor string, set Settings, anyVersion bool) (Settings, error) {
	for _, x := range []struct {
		name string
		d    time.Duration
	}{{"critical", set.SLA.Critical}, {"high", set.SLA.High}, {"medium", set.SLA.Medium}, {"low", set.SLA.Low}} {
		if x.d < time.Minute || x.d > maxSLA {
			return Settings{}, fault.New(fault.Invalid, "Allowed: 1 minute to 365 days").In("sla." + x.name)
		}
	}
	if set.Grouping != ByRule && set.Grouping != ByEntity {
		return Settings{}, fault.New(fault.Invalid, "Allowed: rule, entity").In("grouping")
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		now, err := s.settings(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if !anyVersion && now.Version != set.Version {
			return fault.New(fault.Conflict, "the settings were changed meanwhile: they are at version %d", now.Version).In("version")
		}
		set.Version = now.Version + 1
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO incident_setting (tenant, critical, high, medium, low, grouping, version) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (tenant) DO UPDATE SET critical = excluded.critical, high = excluded.high, medium = excluded.medium, low = excluded.low,
				grouping = excluded.grouping, version = excluded.version`,
			int64(tenant), int64(set.SLA.Critical/time.Second), int64(set.SLA.High/time.Second), int64(set.SLA.Medium/time.Second), int64(set.SLA.Low/time.Second),
			string(set.Grouping), set.Version); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, Actor: actor, Action: "incidentSettings.update", Detail: map[string]any{"from": now.record(), "to": set.record()}})
	})
	return set, fault.Wrap("change incident settings", err)
}

// record is how the audit log keeps settings.
func (s Settings) record() map[string]any {
	return map[string]any{
		"critical": s.SLA.Critical.String(), "high": s.SLA.High.String(), "medium": s.SLA.Medium.String(), "low": s.SLA.Low.String(), "grouping": s.Grouping,
	}
}
