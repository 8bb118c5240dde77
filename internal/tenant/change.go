package tenant

import (
	"context"
	"fmt"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Patch changes a tenant; nil leaves as it is.
type Patch struct {
	Name              *string
	Plan              *Plan
	RequestsPerMinute *int // with CUSTOM only
	RetentionDays     *int // what is older goes with the next round of retention
}

// Change changes a tenant. A name that is taken is fault.Conflict.
func (s *Service) Change(ctx context.Context, actor string, number uint32, p Patch) (*Tenant, error) {
	var out Tenant
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		t, err := sqldb.One(ctx, tx, scan, selectTenant+` WHERE number = $1`, int64(number))
		if err != nil {
			return err
		}
		d := Draft{Name: t.Name, Plan: t.Plan, RequestsPerMinute: t.Custom, RetentionDays: t.RetentionDays}
		if p.Name != nil {
			d.Name = *p.Name
		}
		if p.Plan != nil {
			d.Plan = *p.Plan
			if d.Plan != CUSTOM {
				d.RequestsPerMinute = 0
			}
		}
		if p.RequestsPerMinute != nil {
			d.RequestsPerMinute = *p.RequestsPerMinute
		}
		if p.RetentionDays != nil {
			if *p.RetentionDays == 0 {
				return fault.New(fault.Invalid, "Allowed: 1 or more").In("retentionDays")
			}
			d.RetentionDays = *p.RetentionDays
		}
		if err := d.check(); err != nil {
			return err
		}
		detail := map[string]any{}
		if d.Name != t.Name {
			detail["name"] = []string{t.Name, d.Name}
		}
		if d.Plan != t.Plan {
			detail["plan"] = []Plan{t.Plan, d.Plan}
		}
		if d.RequestsPerMinute != t.Custom {
			detail["requestsPerMinute"] = []int{t.Custom, d.RequestsPerMinute}
		}
		if d.RetentionDays != t.RetentionDays {
			detail["retentionDays"] = []int{t.RetentionDays, d.RetentionDays}
		}
		out = t
		out.Name, out.Plan, out.Custom, out.RetentionDays = d.Name, d.Plan, d.RequestsPerMinute, d.RetentionDays
		if len(detail) == 0 {
			return nil
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE tenant SET name = $1, plan = $2, requests_per_minute = $3, retention_days = $4 WHERE number = $5`,
			d.Name, string(d.Plan), d.RequestsPerMinute, d.RetentionDays, int64(number)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: number, Actor: actor, Action: "tenant.update", Object: t.ID, Detail: detail})
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "a tenant of that name exists").In("name")
	}
	if err != nil {
		return nil, fmt.Errorf("change tenant: %w", err)
	}
	return &out, nil
}
