package account

import (
	"context"
	"database/sql"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const userColumns = `u.id, u.email, u.name, u.language, u.time_zone, u.theme, u.password, u.password_at, u.totp, u.totp_at, u.totp_step, u.created_at, u.created_by, u.signed_in_at, u.version`

func (u *User) targets(totpAt **time.Time) []any {
	return []any{
		&u.ID, &u.Email, &u.Name, &u.Language, &u.TimeZone, &u.Theme, &u.password, sqldb.MicrosOrNull(&u.PasswordAt), &u.totp, sqldb.MicrosOrNull(totpAt), &u.totpStep,
		sqldb.Micros(&u.CreatedAt), &u.CreatedBy, sqldb.MicrosOrNull(&u.SignedInAt), &u.Version,
	}
}

func scanUser(rows *sql.Rows, u *User) error {
	var totpAt *time.Time
	err := rows.Scan(u.targets(&totpAt)...)
	u.TOTP = totpAt != nil
	return err
}

func userByEmail(ctx context.Context, db *sqldb.DB, email string) (User, error) {
	return sqldb.One(ctx, db, scanUser, `SELECT `+userColumns+` FROM account_user u WHERE u.email = $1`, email)
}

func userByID(ctx context.Context, db *sqldb.DB, id string) (User, error) {
	return sqldb.One(ctx, db, scanUser, `SELECT `+userColumns+` FROM account_user u WHERE u.id = $1`, id)
}

func insertUser(ctx context.Context, tx *sqldb.DB, u *User) error {
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO account_user (id, email, name, language, time_zone, theme, password, password_at, totp_step, created_at, created_by, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, 1)`,
		u.ID, u.Email, u.Name, u.Language, u.TimeZone, u.Theme, u.password, sqldb.Nullable(u.PasswordAt), u.CreatedAt.UnixMicro(), u.CreatedBy)
	return err
}

const memberColumns = `m.user_id, m.tenant, m.role, m.status, m.origin, m.external, m.vouched, m.added_at, m.added_by`

func (m *Member) targets(tenant *int64) []any {
	return []any{&m.UserID, tenant, &m.Role, &m.Status, &m.Origin, &m.External, &m.Vouched, sqldb.Micros(&m.AddedAt), &m.AddedBy}
}

func scanMember(rows *sql.Rows, m *Member) error {
	var tenant int64
	err := rows.Scan(m.targets(&tenant)...)
	m.Tenant = uint32(tenant)
	return err
}

func insertMember(ctx context.Context, tx *sqldb.DB, m *Member) error {
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO account_member (user_id, tenant, role, status, origin, external, vouched, added_at, added_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8)`,
		m.UserID, int64(m.Tenant), string(m.Role), string(m.Status), m.Origin, m.External, m.Vouched, m.AddedAt.UnixMicro(), m.AddedBy)
	return err
}

// membersOf returns where the person has a place, by tenant.
func membersOf(ctx context.Context, db *sqldb.DB, user string) ([]Member, error) {
	return sqldb.All(ctx, db, scanMember, `SELECT `+memberColumns+` FROM account_member m WHERE m.user_id = $1 ORDER BY m.tenant`, user)
}

// elsewhere tells whether the account belongs to other tenants: it has a place there that
// its password opens. Neither an invitation that nobody has followed nor a place that only
// an identity provider opens is one; any tenant can make those.
func elsewhere(ctx context.Context, db *sqldb.DB, user string, tenant uint32) (bool, error) {
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT count(*) FROM account_member WHERE user_id = $1 AND tenant <> $2 AND status <> $3 AND NOT vouched`, user, int64(tenant), string(Invited))
	return n > 0, err
}

// shared tells whether anybody beside the tenant knows, or may come to know, what the
// account signs in with. Another tenant's invitation that nobody has followed does not: once
// the account has a place here, it sets no password.
func shared(ctx context.Context, db *sqldb.DB, u *User, tenant uint32) (bool, error) {
	if u.password != "" {
		return true, nil
	}
	n, err := sqldb.One(ctx, db, sqldb.Value[int64], `SELECT (SELECT count(*) FROM account_member WHERE user_id = $1 AND tenant <> $2 AND status <> $3) + (SELECT count(*) FROM account_passkey WHERE user_id = $1)`, u.ID, int64(tenant), string(Invited))
	return n > 0, err
}

// forsake takes away what somebody signs in with: who knows it, or holds it, has nothing to
// do with the places that it would open.
func forsake(ctx context.Context, tx *sqldb.DB, user string) error {
	for _, query := range []string{
		`UPDATE account_user SET password = '', password_at = NULL, totp = NULL, totp_at = NULL, version = version + 1 WHERE id = $1`,
		`DELETE FROM account_passkey WHERE user_id = $1`,
		`DELETE FROM account_recovery WHERE user_id = $1`,
	} {
		if _, err := sqldb.Exec(ctx, tx, query, user); err != nil {
			return err
		}
	}
	return nil
}

func member(ctx context.Context, db *sqldb.DB, tenant uint32, user string) (Member, error) {
	return sqldb.One(ctx, db, scanMember, `SELECT `+memberColumns+` FROM account_member m WHERE m.tenant = $1 AND m.user_id = $2`, int64(tenant), user)
}
