package rule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Versions returns one page of the texts that the rule had, the newest first,
// without the texts themselves. page is from 0; size is at most 100, 0 for 20.
func (s *Service) Versions(ctx context.Context, tenant uint32, id string, page, size int) (versions []Version, total int64, err error) {
	if size == 0 {
		size = 20
	}
	if size < 1 || size > 100 || page < 0 || page > 1<<40 {
		return nil, 0, fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		owner, err := ownerOf(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM rule_version WHERE tenant = $1 AND rule_id = $2`, owner, id); err != nil {
			return err
		}
		versions, err = sqldb.All(ctx, tx, func(rows *sql.Rows, v *Version) error {
			return rows.Scan(&v.Version, sqldb.Micros(&v.At), &v.Actor, &v.Reason)
		}, fmt.Sprintf(`SELECT version, at, actor, reason FROM rule_version WHERE tenant = $1 AND rule_id = $2 ORDER BY version DESC LIMIT %d OFFSET %d`, size, page*size), owner, id)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("get versions of rule: %w", err)
	}
	return versions, total, nil
}

// GetVersion returns a text that the rule had, or fault.NotFound.
func (s *Service) GetVersion(ctx context.Context, tenant uint32, id string, version int64) (*Version, error) {
	var v *Version
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		v, err = getVersion(ctx, tx, tenant, id, version)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get version of rule: %w", err)
	}
	return v, nil
}

// Diff compares two texts that the rule had, as a unified diff; from 0 means the one
// before to, which for the first version is no text at all.
func (s *Service) Diff(ctx context.Context, tenant uint32, id string, from, to int64) (string, error) {
	var text string
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		b, err := getVersion(ctx, tx, tenant, id, to)
		if err != nil {
			return err
		}
		a := &Version{}
		if from == 0 {
			from = to - 1
		}
		if from > 0 {
			if a, err = getVersion(ctx, tx, tenant, id, from); err != nil {
				return err
			}
		}
		text = Unified(fmt.Sprintf("version %d", from), fmt.Sprintf("version %d", to), a.YAML, b.YAML)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("compare versions of rule: %w", err)
	}
	return text, nil
}

// Restore makes the text of a former version the rule's newest version.
func (s *Service) Restore(ctx context.Context, tenant uint32, actor, id string, version int64, reason string) (*Detail, error) {
	v, err := s.GetVersion(ctx, tenant, id, version)
	if err != nil {
		return nil, err
	}
	if reason == "" {
		reason = fmt.Sprintf("Version %d restored", version)
	}
	// The engine may have grown stricter since: the text is read as any new one is.
	return s.Change(ctx, tenant, actor, id, Change{YAML: []byte(v.YAML), Reason: reason})
}

func getVersion(ctx context.Context, tx *sqldb.DB, tenant uint32, id string, version int64) (*Version, error) {
	owner, err := ownerOf(ctx, tx, tenant, id)
	if err != nil {
		return nil, err
	}
	v, err := sqldb.One(ctx, tx, func(rows *sql.Rows, v *Version) error {
		return rows.Scan(&v.Version, sqldb.Micros(&v.At), &v.Actor, &v.Reason, &v.YAML)
	}, `SELECT version, at, actor, reason, yaml FROM rule_version WHERE tenant = $1 AND rule_id = $2 AND version = $3`, owner, id, version)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such version")
	}
	return &v, err
}

// ownerOf tells whose the rule is that the tenant sees under id.
func ownerOf(ctx context.Context, tx *sqldb.DB, tenant uint32, id string) (int64, error) {
	d, err := get(ctx, tx, time.Now(), tenant, id)
	if err != nil {
		return 0, err
	}
	if d.Builtin {
		return builtin, nil
	}
	return int64(tenant), nil
}
