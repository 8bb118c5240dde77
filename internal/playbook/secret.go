package playbook

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Secret is what HTTP steps use by name. Its value can be set and never read.
type Secret struct {
	Name      string
	UpdatedAt time.Time
	UpdatedBy string
}

const (
	maxSecrets = 100
	maxSecret  = 8 << 10 // bytes
	minSecret  = 4       // what is shorter could not be hidden in answers
)

func purpose(name string) string { return "playbook secret " + name }

// SetSecret sets the tenant's secret of that name.
func (s *Service) SetSecret(ctx context.Context, tenant uint32, actor, name, value string) (*Secret, error) {
	switch {
	case !isName(name):
		return nil, fault.New(fault.Invalid, "Allowed: letters, digits, hyphens and underscores, up to 128").In("name")
	case len(value) < minSecret || len(value) > maxSecret:
		return nil, fault.New(fault.Invalid, "Allowed: %d to %d bytes", minSecret, maxSecret).In("value")
	}
	secret := &Secret{Name: name, UpdatedAt: s.now(), UpdatedBy: actor}
	sealed := s.Sealer.Seal(tenant, purpose(name), []byte(value))
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM playbook_secret WHERE tenant = $1 AND name <> $2`, int64(tenant), name)
		if err != nil {
			return err
		}
		if n >= maxSecrets {
			return fault.New(fault.Conflict, "there are %d secrets, and no more are allowed: delete one", n)
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO playbook_secret (tenant, name, sealed, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			int64(tenant), name, sealed, secret.UpdatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: secret.UpdatedAt, Actor: actor, Action: "playbookSecret.set", Object: name})
	})
	if err != nil {
		return nil, fault.Wrap("set secret", err)
	}
	return secret, nil
}

// DeleteSecret removes the tenant's secret of that name.
func (s *Service) DeleteSecret(ctx context.Context, tenant uint32, actor, name string) error {
	if !isName(name) {
		return fault.New(fault.NotFound, "no such secret")
	}
	return fault.Wrap("delete secret", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM playbook_secret WHERE tenant = $1 AND name = $2`, int64(tenant), name)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "no such secret")
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "playbookSecret.delete", Object: name})
	}))
}

// Secrets lists the tenant's secrets by name, without their values.
func (s *Service) Secrets(ctx context.Context, tenant uint32) ([]Secret, error) {
	list, err := sqldb.All(ctx, s.db, func(rows *sql.Rows, x *Secret) error {
		return rows.Scan(&x.Name, sqldb.Micros(&x.UpdatedAt), &x.UpdatedBy)
	}, `SELECT name, updated_at, updated_by FROM playbook_secret WHERE tenant = $1 ORDER BY name`, int64(tenant))
	return list, fault.Wrap("list secrets", err)
}

// secretsOf opens the secrets that the step names.
func (x *execution) secretsOf(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, name := range namedSecrets(x.step.With) {
		sealed, err := sqldb.All(ctx, x.db, sqldb.Value[[]byte], `SELECT sealed FROM playbook_secret WHERE tenant = $1 AND name = $2`, int64(x.run.Tenant), name)
		if err != nil {
			return nil, err
		}
		if len(sealed) == 0 {
			continue // the step fails when it looks for it, and says so
		}
		value, err := x.Sealer.Open(x.run.Tenant, purpose(name), sealed[0])
		if err != nil {
			return nil, err
		}
		all[name] = string(value)
	}
	return all, nil
}

// namedSecrets lists the secrets that values name.
func namedSecrets(v any) []string {
	var names []string
	switch x := v.(type) {
	case string:
		t, err := parseTemplate(x)
		if err != nil {
			return nil
		}
		for _, path := range t.paths() {
			if path[0] == "secret" && len(path) == 2 {
				names = append(names, path[1])
			}
		}
	case []any:
		for _, item := range x {
			names = append(names, namedSecrets(item)...)
		}
	case map[string]any:
		for _, item := range x {
			names = append(names, namedSecrets(item)...)
		}
	}
	return names
}

// hide takes secrets out of a text, as they are and as addresses write them.
func hide(s string, secrets map[string]string) string {
	for name, value := range secrets {
		for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
			s = strings.ReplaceAll(s, form, "{{secret."+name+"}}")
		}
	}
	return s
}

func hideIn(v any, secrets map[string]string) any {
	if len(secrets) == 0 {
		return v
	}
	switch x := v.(type) {
	case string:
		return hide(x, secrets)
	case []any:
		for i := range x {
			x[i] = hideIn(x[i], secrets)
		}
	case map[string]any:
		hidden := map[string]any{}
		for key, item := range x {
			hidden[hide(key, secrets)] = hideIn(item, secrets)
		}
		return hidden
	}
	return v
}
