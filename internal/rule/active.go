package rule

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Active is a rule that runs for a tenant: one that is on, or a staged draft.
type Active struct {
	ID               string
	Version          int64
	YAML             string
	Builtin          bool
	Staged           bool   // its findings raise nothing: see RecordStaged
	SeverityOverride string // one of event.Severities; "" leaves the text's own
	Origin, License  string
	Exceptions       []ActiveException // in order of their ids
}

// An ActiveException is a Sigma filter that silences one rule.
type ActiveException struct {
	ID    string
	YAML  string
	Until time.Time // from then on it holds no more; zero: it has no end
}

// Identity tells a apart from every rule that would run otherwise. Two tenants with
// the same identities may share what was compiled; tenant counts only where the text
// or an exception is the tenant's own.
func (a *Active) Identity(tenant uint32) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%d", a.ID, a.Version)
	if !a.Builtin || len(a.Exceptions) > 0 {
		fmt.Fprintf(&b, "/%d", tenant)
	}
	if a.Staged {
		b.WriteString("+staged")
	}
	if a.SeverityOverride != "" {
		b.WriteString("=" + a.SeverityOverride)
	}
	for i := range a.Exceptions {
		x := &a.Exceptions[i]
		fmt.Fprintf(&b, "-%s.%x.%d", x.ID, sha256.Sum256([]byte(x.YAML)), x.Until.UnixMicro())
	}
	return b.String()
}

// Active returns the rules that run for the tenant, in order of their ids, and the
// generation that they are.
func (s *Service) Active(ctx context.Context, tenant uint32) (rules []Active, generation uint64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		if generation, err = currentGeneration(ctx, tx, tenant); err != nil {
			return err
		}
		rules, err = sqldb.All(ctx, tx, func(rows *sql.Rows, r *Active) error {
			var owner int64
			err := rows.Scan(&owner, &r.ID, &r.Version, &r.YAML, &r.Staged, &r.SeverityOverride, &r.Origin, &r.License)
			r.Builtin = owner == builtin
			return err
		}, `SELECT r.tenant, r.id, r.version, r.yaml, `+staged+`, COALESCE(o.severity, ''), r.origin, r.license`+fromRule+
			` AND (`+status+` = 'ACTIVE' OR `+staged+`) ORDER BY r.id`, int64(tenant))
		if err != nil {
			return err
		}
		return withExceptions(ctx, tx, tenant, rules)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("get active rules: %w", err)
	}
	return rules, generation, nil
}

// withExceptions gives the rules, in order of their ids, the exceptions that hold.
func withExceptions(ctx context.Context, tx *sqldb.DB, tenant uint32, rules []Active) error {
	type row struct {
		rule string
		ActiveException
	}
	rows, err := sqldb.All(ctx, tx, func(rows *sql.Rows, r *row) error {
		var until *time.Time
		err := rows.Scan(&r.rule, &r.ID, &r.YAML, sqldb.MicrosOrNull(&until))
		if until != nil {
			r.Until = *until
		}
		return err
	}, `SELECT rule_id, id, yaml, expires_at FROM rule_exception WHERE tenant = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY rule_id, id`,
		int64(tenant), time.Now().UnixMicro())
	if err != nil {
		return err
	}
	for _, x := range rows {
		if i, ok := slices.BinarySearchFunc(rules, x.rule, func(r Active, id string) int { return strings.Compare(r.ID, id) }); ok {
			rules[i].Exceptions = append(rules[i].Exceptions, x.ActiveException)
		}
	}
	return nil
}

// Generation returns a number that rises whenever Active would answer otherwise. It
// costs one look-up: poll it.
func (s *Service) Generation(ctx context.Context, tenant uint32) (uint64, error) {
	n, err := currentGeneration(ctx, s.db, tenant)
	if err != nil {
		return 0, fmt.Errorf("get generation of rules: %w", err)
	}
	return n, nil
}

// The sum of two numbers that only rise changes whenever either does.
func currentGeneration(ctx context.Context, db *sqldb.DB, tenant uint32) (uint64, error) {
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM rule_generation WHERE tenant IN (0, $1)`, int64(tenant))
	return uint64(n), err
}
