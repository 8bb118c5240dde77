package dsr

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Settings are how a tenant counts terms.
type Settings struct {
	Law      Law      // where a request names none; "": each must
	Zone     string   // IANA name: where days begin and end
	Holidays []string // YYYY-MM-DD, in order: besides weekends no working days
	Version  int64    // 0: never changed
}

const maxHolidays = 1000

// Settings returns the tenant's settings.
func (s *Service) Settings(ctx context.Context, tenant uint32) (Settings, error) {
	set, err := settings(ctx, s.DB, tenant)
	return set, fault.Wrap("get settings of requests", err)
}

func settings(ctx context.Context, db *sqldb.DB, tenant uint32) (Settings, error) {
	set, err := sqldb.One(ctx, db, func(rows *sql.Rows, set *Settings) error {
		var days string
		err := rows.Scan(&set.Law, &set.Zone, &days, &set.Version)
		return errors.Join(err, json.Unmarshal([]byte(days), &set.Holidays))
	}, `SELECT law, zone, holidays, version FROM dsr_setting WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return Settings{Zone: "UTC", Holidays: []string{}}, nil
	}
	return set, err
}

// SetSettings changes them, where they are at the version that set names. Terms that
// are being counted stay as they are.
func (s *Service) SetSettings(ctx context.Context, tenant uint32, actor string, set Settings) (Settings, error) {
	if set.Law != "" && !slices.Contains(Laws, set.Law) {
		return Settings{}, fault.New(fault.Invalid, "Allowed: GDPR, CCPA, PIPA, or nothing").In("law")
	}
	if _, err := time.LoadLocation(set.Zone); err != nil || set.Zone == "" || set.Zone == "Local" {
		return Settings{}, fault.New(fault.Invalid, "Allowed: a time zone such as Asia/Seoul").In("timeZone")
	}
	set.Holidays = append([]string{}, set.Holidays...)
	slices.Sort(set.Holidays)
	set.Holidays = slices.Compact(set.Holidays)
	if len(set.Holidays) > maxHolidays {
		return Settings{}, fault.New(fault.Invalid, "Allowed: up to %d days", maxHolidays).In("holidays")
	}
	for _, d := range set.Holidays {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			return Settings{}, fault.New(fault.Invalid, "Allowed: days such as 2026-12-25").In("holidays")
		}
	}
	days, err := json.Marshal(set.Holidays)
	if err != nil {
		return Settings{}, err
	}
	now, seen := s.Now().UTC(), set.Version
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		was, err := settings(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if was.Version != seen {
			return fault.New(fault.Conflict, "the settings were changed meanwhile: they are at version %d", was.Version).In("version")
		}
		set.Version = was.Version + 1
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO dsr_setting (tenant, law, zone, holidays, version, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (tenant) DO UPDATE SET law = excluded.law, zone = excluded.zone, holidays = excluded.holidays, version = excluded.version,
				updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			int64(tenant), string(set.Law), set.Zone, string(days), set.Version, now.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "dsrSettings.update", Detail: map[string]any{"from": was.record(), "to": set.record()}})
	})
	return set, fault.Wrap("change settings of requests", err)
}

func (set Settings) record() map[string]any {
	return map[string]any{"law": set.Law, "timeZone": set.Zone, "holidays": len(set.Holidays)}
}

// calendar is the tenant's.
func (set Settings) calendar() (*Calendar, error) {
	zone, err := time.LoadLocation(set.Zone)
	if err != nil {
		return nil, fault.Wrap("time zone of requests", err)
	}
	c := &Calendar{Zone: zone, Holidays: make(map[string]bool, len(set.Holidays))}
	for _, d := range set.Holidays {
		c.Holidays[d] = true
	}
	return c, nil
}
