package identity

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const keyColumns = `
	SELECT id, tenant, name, scope, prefix, cidrs, created_at, created_by, expires_at, last_used_at, revoked_at FROM api_key`

func scanKey(rows *sql.Rows, k *Key) error {
	var cidrs string
	err := rows.Scan(&k.ID, &k.Tenant, &k.Name, &k.Scope, &k.Prefix, &cidrs, sqldb.Micros(&k.CreatedAt), &k.CreatedBy,
		sqldb.MicrosOrNull(&k.ExpiresAt), sqldb.MicrosOrNull(&k.LastUsed), sqldb.MicrosOrNull(&k.RevokedAt))
	if err != nil {
		return err
	}
	for s := range strings.FieldsSeq(cidrs) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("key %s: %w", k.ID, err)
		}
		k.CIDRs = append(k.CIDRs, p)
	}
	return nil
}

func insert(ctx context.Context, tx *sqldb.DB, k *Key, digest string) error {
	cidrs := make([]string, len(k.CIDRs))
	for i, p := range k.CIDRs {
		cidrs[i] = p.String()
	}
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO api_key (id, tenant, name, scope, digest, prefix, cidrs, created_at, created_by, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		k.ID, int64(k.Tenant), k.Name, string(k.Scope), digest, k.Prefix, strings.Join(cidrs, " "),
		k.CreatedAt.UnixMicro(), k.CreatedBy, sqldb.Nullable(k.ExpiresAt))
	return err
}

func get(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (Key, error) {
	return sqldb.One(ctx, db, scanKey, keyColumns+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
}

func byDigest(ctx context.Context, db *sqldb.DB, digest string) (Key, error) {
	return sqldb.One(ctx, db, scanKey, keyColumns+` WHERE digest = $1`, digest)
}

func setRevoked(ctx context.Context, tx *sqldb.DB, id string, now time.Time) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE api_key SET revoked_at = $1 WHERE id = $2`, now.UnixMicro(), id)
	return err
}

// setUsed never goes back: processes may note their uses in any order.
func setUsed(ctx context.Context, db *sqldb.DB, id string, now time.Time) error {
	_, err := sqldb.Exec(ctx, db, `
		UPDATE api_key SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, now.UnixMicro(), id)
	return err
}

// list reads all keys of the tenant that pass the filters. A tenant has few keys,
// so that one plain statement does for every filter and order.
func list(ctx context.Context, tx *sqldb.DB, tenant uint32, f Filter, now time.Time) ([]Key, int64, error) {
	var where strings.Builder
	where.WriteString(` WHERE tenant = $1`)
	args := []any{int64(tenant)}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if len(f.Scopes) > 0 {
		marks := make([]string, len(f.Scopes))
		for i, s := range f.Scopes {
			marks[i] = arg(string(s))
		}
		where.WriteString(` AND scope IN (` + strings.Join(marks, ", ") + `)`)
	}
	if len(f.Statuses) > 0 {
		states := make([]string, len(f.Statuses))
		for i, s := range f.Statuses {
			switch s {
			case Revoked:
				states[i] = `revoked_at IS NOT NULL`
			case Expired:
				states[i] = `(revoked_at IS NULL AND expires_at <= ` + arg(now.UnixMicro()) + `)`
			case Active:
				states[i] = `(revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ` + arg(now.UnixMicro()) + `))`
			}
		}
		where.WriteString(` AND (` + strings.Join(states, " OR ") + `)`)
	}
	if f.Search != "" {
		where.WriteString(` AND lower(name) LIKE ` + arg("%"+likeEscape.Replace(strings.ToLower(f.Search))+"%") + ` ESCAPE '\'`)
	}
	total, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM api_key`+where.String(), args...)
	if err != nil {
		return nil, 0, err
	}
	direction := " DESC"
	if f.Ascending {
		direction = " ASC"
	}
	query := keyColumns + where.String() + ` ORDER BY ` + sortColumn(f.Sort) + direction + `, id` + direction +
		` LIMIT ` + arg(f.Size) + ` OFFSET ` + arg(int64(f.Page)*int64(f.Size))
	keys, err := sqldb.All(ctx, tx, scanKey, query, args...)
	return keys, total, err
}

// likeEscape makes what callers search for literal.
var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// sortColumn gives an absent time its place: the two databases put NULL at
// different ends.
func sortColumn(s Sort) string {
	switch s {
	case ByName:
		return "lower(name)"
	case ByUsed:
		return "COALESCE(last_used_at, 0)"
	case ByExpiry:
		return "COALESCE(expires_at, 9223372036854775807)"
	case ByCreated:
	}
	return "created_at"
}
