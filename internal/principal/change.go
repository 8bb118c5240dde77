package principal

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Patch changes what people say of an account. nil leaves a thing as it is.
type Patch struct {
	Owner, Status *string
	Tags          *[]string
	Privileged    *string // "yes", "no", or "auto": as the evidence says
	Version       int64   // that the change is made on, 0 for any
}

func (p *Patch) check() error {
	if p.Owner == nil && p.Status == nil && p.Tags == nil && p.Privileged == nil {
		return fault.New(fault.Invalid, "Give at least one of owner, tags, privileged, status")
	}
	if p.Owner != nil && utf8.RuneCountInString(*p.Owner) > 200 {
		return fault.New(fault.Invalid, "Allowed: up to 200 characters").In("owner")
	}
	if p.Status != nil && !slices.Contains(Statuses, *p.Status) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(Statuses, ", ")).In("status")
	}
	if p.Privileged != nil && !slices.Contains([]string{"yes", "no", "auto"}, *p.Privileged) {
		return fault.New(fault.Invalid, "Allowed: yes, no, auto").In("privileged")
	}
	if p.Tags != nil {
		if len(*p.Tags) > 32 {
			return fault.New(fault.Invalid, "Allowed: up to 32 tags").In("tags")
		}
		for _, t := range *p.Tags {
			if strings.TrimSpace(t) == "" || utf8.RuneCountInString(t) > 64 {
				return fault.New(fault.Invalid, "Allowed: tags of 1 to 64 characters").In("tags")
			}
		}
	}
	return nil
}

// Patch changes an account and returns it as it then is.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Principal, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		versions, err := sqldb.All(ctx, tx, sqldb.Value[int64], `SELECT version FROM principal WHERE tenant = $1 AND id = $2`, int64(tenant), id)
		if err != nil {
			return err
		}
		if len(versions) == 0 {
			return unknown()
		}
		if p.Version != 0 && p.Version != versions[0] {
			return fault.New(fault.Conflict, "it has changed since: read it again").In("version")
		}
		w := &where{args: []any{int64(tenant), id}}
		detail := map[string]any{}
		set := func(column, field string, v, shown any) {
			w.text.WriteString(column + " = " + w.p(v) + ", ")
			detail[field] = shown
		}
		if p.Owner != nil {
			set("owner", "owner", *p.Owner, *p.Owner)
		}
		if p.Status != nil {
			set("status", "status", *p.Status, *p.Status)
		}
		if p.Tags != nil {
			text, err := json.Marshal(*p.Tags)
			if err != nil {
				return err
			}
			set("tags", "tags", string(text), *p.Tags)
		}
		if p.Privileged != nil {
			set("set_privileged", "privileged", map[string]int64{"yes": 1, "no": -1, "auto": 0}[*p.Privileged], *p.Privileged)
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE principal SET `+w.text.String()+`version = version + 1 WHERE tenant = $1 AND id = $2`, w.args...); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "identity.update", Object: id, Detail: detail})
	})
	if err != nil {
		return nil, wrap("change identity", err)
	}
	return s.Get(ctx, tenant, id)
}

// SetDormantDays says after how many days without a sign-in accounts are dormant.
func (s *Service) SetDormantDays(ctx context.Context, tenant uint32, actor string, days int64) error {
	if days < 1 || days > 3650 {
		return fault.New(fault.Invalid, "Allowed: 1 to 3650 days").In("dormantDays")
	}
	return wrap("change setting of identities", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO principal_setting (tenant, dormant_days) VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET dormant_days = excluded.dormant_days`, int64(tenant), days); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "identity.setting", Detail: map[string]any{"dormantDays": days}})
	}))
}
