package exposure

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

var errNoDomain = fault.New(fault.NotFound, "no such domain")

const selectDomain = `SELECT id, tenant, name, token, verified_at, checked_at, names, alert_on_new, learning_hours, active_checks, gone_days, notes, version, created_at, created_by, updated_at, updated_by FROM exposure_domain`

func scanDomain(rows *sql.Rows, d *Domain) error {
	var tenant int64
	err := rows.Scan(&d.ID, &tenant, &d.Name, &d.Token, sqldb.MicrosOrNull(&d.VerifiedAt), sqldb.MicrosOrNull(&d.CheckedAt), &d.Names, &d.AlertOnNew, &d.LearningHours, &d.ActiveChecks, &d.GoneAfterDays, &d.Notes,
		&d.Version, sqldb.Micros(&d.CreatedAt), &d.CreatedBy, sqldb.Micros(&d.UpdatedAt), &d.UpdatedBy)
	d.Tenant = uint32(tenant) //nolint:gosec // it was one
	return err
}

func domainsOf(ctx context.Context, db *sqldb.DB, tenant uint32) ([]Domain, error) {
	return sqldb.All(ctx, db, scanDomain, selectDomain+` WHERE tenant = $1 ORDER BY name`, int64(tenant))
}

// Domains returns the tenant's domains by name, at most maxDomains.
func (s *Service) Domains(ctx context.Context, tenant uint32) ([]Domain, error) {
	all, err := domainsOf(ctx, s.DB, tenant)
	return all, fault.Wrap("list domains", err)
}

// Domain returns the tenant's domain of that id, or fault.NotFound.
func (s *Service) Domain(ctx context.Context, tenant uint32, id string) (*Domain, error) {
	d, err := domainByID(ctx, s.DB, tenant, id)
	return d, fault.Wrap("get domain", err)
}

func domainByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Domain, error) {
	if !sane(id) {
		return nil, errNoDomain
	}
	d, err := sqldb.One(ctx, db, scanDomain, selectDomain+` WHERE tenant = $1 AND id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, errNoDomain
	}
	return &d, err
}

// sane tells whether a text from outside may go into a query.
func sane(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// DefaultSettings are those of a domain of which nothing is said.
func DefaultSettings() DomainSettings {
	return DomainSettings{AlertOnNew: true, LearningHours: 24, GoneAfterDays: 90}
}

func (c *DomainSettings) check(verified bool) error {
	switch {
	case c.LearningHours < 0 || c.LearningHours > 30*24:
		return fault.New(fault.Invalid, "Allowed: 0 to 720").In("learningHours")
	case c.GoneAfterDays < 1 || c.GoneAfterDays > 3650:
		return fault.New(fault.Invalid, "Allowed: 1 to 3650").In("goneAfterDays")
	case utf8.RuneCountInString(c.Notes) > maxNotes:
		return fault.New(fault.Invalid, "Allowed: up to %d characters", maxNotes).In("notes")
	case c.ActiveChecks && !verified:
		return fault.New(fault.Conflict, "active checks need a domain that is verified: POST /domains/{id}/verify first").In("activeChecks")
	}
	return nil
}

// AddDomain adds a domain that the tenant calls its own. Names under it are looked for
// at once here, on other servers within seconds.
func (s *Service) AddDomain(ctx context.Context, tenant uint32, actor, text string, settings DomainSettings) (*Domain, error) {
	name, err := domainName(text)
	if err != nil {
		return nil, err
	}
	if err := settings.check(false); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	now := s.now()
	d := &Domain{ID: id.String(), Tenant: tenant, Name: name, Token: newToken(), Names: 1, DomainSettings: settings, Version: 1, CreatedAt: now, UpdatedAt: now, CreatedBy: actor, UpdatedBy: actor}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		// Its chain makes changes of one tenant wait for each other: the count holds.
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "domain.create", Object: d.ID, Detail: map[string]any{"name": name, "settings": settings}}); err != nil {
			return err
		}
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM exposure_domain WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxDomains {
			return fault.New(fault.Conflict, "the tenant has %d domains: delete some first", n)
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO exposure_domain (id, tenant, name, token, alert_on_new, learning_hours, active_checks, gone_days, notes, names, version, created_at, created_by, updated_at, updated_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, 1, $10, $11, $10, $11)`,
			d.ID, int64(tenant), d.Name, d.Token, d.AlertOnNew, d.LearningHours, d.ActiveChecks, d.GoneAfterDays, d.Notes, now.UnixMicro(), actor); err != nil {
			return err
		}
		return takeOver(ctx, tx, tenant, d)
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil, fault.New(fault.Conflict, "%s is one of your domains already", name).In("name")
	}
	if err != nil {
		return nil, fault.Wrap("add domain", err)
	}
	return d, s.Load(ctx)
}

// takeOver gives a new domain the names that are known under a shorter one, and its own.
func takeOver(ctx context.Context, tx *sqldb.DB, tenant uint32, d *Domain) error {
	if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_name SET domain = $1 WHERE tenant = $2 AND (name = $3 OR substr(name, length(name) - length($3)) = '.' || $3)
		AND (SELECT length(o.name) FROM exposure_domain o WHERE o.id = exposure_name.domain) < length($3)`, d.ID, int64(tenant), d.Name); err != nil {
		return err
	}
	known, err := namesOf(ctx, tx, tenant, []evidence{{name: d.Name}})
	if err != nil {
		return err
	}
	if known[d.Name] == nil {
		at := d.CreatedAt.UnixMicro()
		if err := insertName(ctx, tx, tenant, d, &evidence{name: d.Name, first: at, last: at, sources: fromImport}, Known, "", d.CreatedAt); err != nil {
			return err
		}
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_domain SET names = (SELECT count(*) FROM exposure_name n WHERE n.domain = exposure_domain.id) WHERE tenant = $1`, int64(tenant)); err != nil {
		return err
	}
	d.Names, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT names FROM exposure_domain WHERE id = $1`, d.ID)
	return err
}

// newToken is 26 characters of which nobody can guess any.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// ChangeDomain edits what people decide of a domain. version is the one that the caller
// has seen, 0 for any; another is fault.Conflict.
func (s *Service) ChangeDomain(ctx context.Context, tenant uint32, actor, id string, version int64, edit func(*DomainSettings)) (*Domain, error) {
	return s.changeDomain(ctx, tenant, actor, id, "domain.update", func(d *Domain) (any, error) {
		if version != 0 && version != d.Version {
			return nil, fault.New(fault.Conflict, "the domain has changed since").In("version")
		}
		before := d.DomainSettings
		edit(&d.DomainSettings)
		if err := d.check(d.VerifiedAt != nil); err != nil || before == d.DomainSettings {
			return nil, err
		}
		return map[string]any{"from": before, "to": d.DomainSettings}, nil
	})
}

// changeDomain writes what edit makes of a domain; with a nil detail nothing changes.
func (s *Service) changeDomain(ctx context.Context, tenant uint32, actor, id, action string, edit func(*Domain) (detail any, err error)) (*Domain, error) {
	var d *Domain
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if d, err = domainByID(ctx, tx, tenant, id); err != nil {
			return err
		}
		detail, err := edit(d)
		if err != nil || detail == nil {
			return err
		}
		d.Version++
		d.UpdatedAt, d.UpdatedBy = s.now(), actor
		if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_domain SET verified_at = $1, alert_on_new = $2, learning_hours = $3, active_checks = $4, gone_days = $5, notes = $6, version = $7, updated_at = $8, updated_by = $9 WHERE id = $10`,
			sqldb.Nullable(d.VerifiedAt), d.AlertOnNew, d.LearningHours, d.ActiveChecks, d.GoneAfterDays, d.Notes, d.Version, d.UpdatedAt.UnixMicro(), actor, d.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: d.UpdatedAt, Actor: actor, Action: action, Object: d.ID, Detail: detail})
	})
	if err != nil {
		return nil, fault.Wrap("change domain", err)
	}
	return d, nil
}

// DeleteDomain forgets a domain and what was found under it.
func (s *Service) DeleteDomain(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		d, err := domainByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM exposure_domain WHERE id = $1`, d.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "domain.delete", Object: d.ID, Detail: map[string]any{"name": d.Name, "names": d.Names}})
	})
	if err != nil {
		return fault.Wrap("delete domain", err)
	}
	return s.Load(ctx)
}

// VerifyDomain looks for the record that proves the domain. Where it is not there that
// is fault.Conflict with what was found, and a domain that was proven before is no more.
func (s *Service) VerifyDomain(ctx context.Context, tenant uint32, actor, id string) (*Domain, error) {
	d, err := s.Domain(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	found, err := s.proven(ctx, d)
	if err != nil {
		return nil, fault.Wrap("verify domain", err)
	}
	at := s.now()
	if found == "" {
		return s.changeDomain(ctx, tenant, actor, id, "domain.verify", func(d *Domain) (any, error) {
			if d.VerifiedAt != nil {
				return nil, nil
			}
			d.VerifiedAt = &at
			return map[string]any{"name": d.Name, "verified": true}, nil
		})
	}
	if _, err := s.changeDomain(ctx, tenant, actor, id, "domain.verify", func(d *Domain) (any, error) {
		if d.VerifiedAt == nil {
			return nil, nil
		}
		d.VerifiedAt, d.ActiveChecks = nil, false
		return map[string]any{"name": d.Name, "verified": false, "why": found}, nil
	}); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Conflict, "%s has no TXT record %q: %s. DNS may take some minutes to show a new one", d.RecordName(), d.RecordValue(), found)
}

const lookupTime = 10 * time.Second

// proven returns "" where the record is there, and else what was found. A server that
// does not answer is fault.Unavailable.
func (s *Service) proven(ctx context.Context, d *Domain) (found string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	records, err := s.resolver(nil).LookupTXT(ctx, d.RecordName()+".")
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "the name has no TXT record", nil
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "DNS did not answer for %s, try again", d.RecordName()).Because(err)
	}
	for _, r := range records {
		if strings.TrimSpace(r) == d.RecordValue() {
			return "", nil
		}
	}
	return fmt.Sprintf("it has %d other TXT records", len(records)), nil
}
