package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Bounds of a desired configuration.
const (
	maxFiles     = 64
	maxFileBytes = 64 << 10
	maxConfig    = 256 << 10 // as JSON it must fit into the answer to a heartbeat
	keptConfigs  = 100       // revisions of one collector, or of the default
)

// A Desired is the configuration that a collector shall have: what is missing in it
// the collector shall not have.
type Desired struct {
	Revision  int64             // 0: the server has none for it, and leaves the collector alone
	Files     map[string]string // "sources.d/web.yaml" → text
	Own       bool              // the collector's own, not the tenant's default
	CreatedAt time.Time
	CreatedBy string
}

type configRow struct {
	Desired
	files sql.NullString
}

func scanConfig(rows *sql.Rows, r *configRow) error {
	return rows.Scan(&r.Revision, &r.files, sqldb.Micros(&r.CreatedAt), &r.CreatedBy)
}

// newest returns the last revision for a collector, or of the default; nil where
// there is none, or it was taken back.
func newest(ctx context.Context, db *sqldb.DB, tenant uint32, collector string) (*Desired, error) {
	r, err := sqldb.One(ctx, db, scanConfig, `
		SELECT revision, files, created_at, created_by FROM fleet_config WHERE tenant = $1 AND collector = $2 ORDER BY revision DESC LIMIT 1`,
		int64(tenant), collector)
	if errors.Is(err, fault.NotFound) || err == nil && !r.files.Valid {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the collectors' configuration: %w", err)
	}
	r.Own = collector != ""
	if err := json.Unmarshal([]byte(r.files.String), &r.Files); err != nil {
		return nil, fmt.Errorf("read the collectors' configuration: %w", err)
	}
	return &r.Desired, nil
}

// Default returns the configuration of the tenant's collectors that have none of
// their own.
func (s *Service) Default(ctx context.Context, tenant uint32) (*Desired, error) {
	return s.defaultIn(ctx, s.DB, tenant)
}

func (s *Service) defaultIn(ctx context.Context, db *sqldb.DB, tenant uint32) (*Desired, error) {
	d, err := newest(ctx, db, tenant, "")
	if d == nil && err == nil {
		d = &Desired{}
	}
	return d, err
}

// Desired returns what a collector shall be configured with: its own, else the
// tenant's default.
func (s *Service) Desired(ctx context.Context, tenant uint32, id string) (*Desired, error) {
	d, err := newest(ctx, s.DB, tenant, id)
	if d == nil && err == nil {
		return s.Default(ctx, tenant)
	}
	return d, err
}

func (s *Service) desiredRevision(ctx context.Context, tenant uint32, id string) (int64, error) {
	d, err := s.Desired(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	return d.Revision, nil
}

// SetDesired makes files the configuration of a collector, or, where id is "", of
// all that have none of their own; nil takes it back. expected is the revision that
// it replaces, 0 for any; another one is fault.Conflict in "version".
func (s *Service) SetDesired(ctx context.Context, tenant uint32, actor, id string, files map[string]string, expected int64) error {
	if err := checkFiles(files); err != nil {
		return err
	}
	stored := sql.NullString{Valid: files != nil}
	if files != nil {
		text, err := json.Marshal(files)
		if err != nil {
			return fmt.Errorf("set the collectors' configuration: %w", err)
		}
		stored.String = string(text)
	}
	now := s.moment()
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if id != "" {
			m, err := member(ctx, tx, tenant, id)
			if err != nil {
				return err
			}
			if m.RevokedAt != nil {
				return fault.New(fault.Conflict, "the collector was revoked")
			}
		}
		before, err := newest(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if before == nil {
			if before = (&Desired{}); files == nil {
				return nil // there is nothing to take back
			}
		}
		seen := before
		if seen.Revision == 0 && id != "" { // who asked for it was shown the default
			if seen, err = s.defaultIn(ctx, tx, tenant); err != nil {
				return err
			}
		}
		if expected != 0 && seen.Revision != expected {
			return fault.New(fault.Conflict, "the configuration has changed since").In("version")
		}
		last, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT COALESCE(MAX(revision), 0) FROM fleet_config WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		// The audit log comes first: writers of one tenant thereby run one after
		// another, and no two take the same revision.
		if err := audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: now, Actor: actor, Action: "collectorConfig.update", Object: id,
			Detail: map[string]any{"revision": last + 1, "replaces": before.Revision, "files": slices.Sorted(maps.Keys(files)), "takenBack": files == nil},
		}); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `
			INSERT INTO fleet_config (tenant, revision, collector, files, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)`,
			int64(tenant), last+1, id, stored, now.UnixMicro(), actor); err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `
			DELETE FROM fleet_config WHERE tenant = $1 AND collector = $2 AND revision <= (
				SELECT revision FROM fleet_config WHERE tenant = $1 AND collector = $2 ORDER BY revision DESC LIMIT 1 OFFSET $3)`,
			int64(tenant), id, keptConfigs)
		return err
	})
	s.callers.forget()
	if err != nil {
		return fmt.Errorf("set the collectors' configuration: %w", err)
	}
	return nil
}

var fileName = regexp.MustCompile(`^sources\.d/[a-z0-9][a-z0-9_-]{0,62}\.yaml$`)

// checkFiles refuses what no collector could read. What its sources allow, the
// collector checks itself, and reports.
func checkFiles(files map[string]string) error {
	if len(files) > maxFiles {
		return fault.New(fault.Invalid, "Allowed: at most %d files", maxFiles).In("files")
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		size += len(text)
		if !fileName.MatchString(name) {
			return fault.New(fault.Invalid, "Allowed: names such as sources.d/web.yaml, of small letters, digits, - and _").In("files")
		}
		if len(text) > maxFileBytes || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return fault.New(fault.Invalid, "Allowed: at most %d bytes of UTF-8 text without NUL", maxFileBytes).In("files." + name)
		}
		var source map[string]any
		if err := yaml.Unmarshal([]byte(text), &source); err != nil {
			return fault.New(fault.Invalid, "Allowed: a YAML mapping (%s)", strings.ReplaceAll(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n", " ")).In("files." + name)
		}
	}
	if size > maxConfig {
		return fault.New(fault.Invalid, "Allowed: at most %d bytes in all files", maxConfig).In("files")
	}
	return nil
}
