package compliance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Settings are how a tenant wants to be assessed. Every number that comes out of an
// assessment is kept with them.
type Settings struct {
	PartialWeight     float64 `json:"partialWeight"`     // of a partial control in the score, 0 to 1
	Strict            bool    `json:"strict"`            // controls of which telemetry shows only part need a person
	ReviewRequired    bool    `json:"reviewRequired"`    // every attestation needs another person's approval
	AttestationMonths int     `json:"attestationMonths"` // after which one expires
	// Frameworks are what differs by framework, by id.
	Frameworks map[string]FrameworkSettings `json:"frameworks"`

	Version   int64     `json:"-"` // 0 where nothing was ever changed
	UpdatedAt time.Time `json:"-"`
	UpdatedBy string    `json:"-"`
}

// FrameworkSettings are what a tenant wants of one framework; zero values mean the
// framework's own.
type FrameworkSettings struct {
	Profile           Profile  `json:"profile,omitempty"`
	Edition           string   `json:"edition,omitempty"`
	Categories        []string `json:"categories,omitempty"` // that are assessed; empty: all that do not stand apart
	AttestationMonths int      `json:"attestationMonths,omitempty"`
}

// Defaults are the settings of a tenant that has changed none.
func Defaults() Settings {
	return Settings{PartialWeight: 0.5, AttestationMonths: 12, Frameworks: map[string]FrameworkSettings{}}
}

const maxMonths = 60

// weight is that of partial in hundredths.
func (s *Settings) weight() int64 { return int64(math.Round(100 * s.PartialWeight)) }

// months is how long an attestation of a control of f holds.
func (s *Settings) months(f *Framework) int {
	if m := s.Frameworks[f.ID].AttestationMonths; m > 0 {
		return m
	}
	return s.AttestationMonths
}

// profile is the one that is shown of f unless another is asked for.
func (s *Settings) profile(f *Framework) Profile {
	if p := s.Frameworks[f.ID].Profile; p != "" {
		return p
	}
	return f.DefaultProfile
}

// within tells whether a control of f belongs to an assessment in the profile.
func (s *Settings) within(f *Framework, k *Control, p Profile) bool {
	chosen := s.Frameworks[f.ID].Categories
	switch {
	case k.Apart:
		return slices.Contains(chosen, k.Category)
	case p == Core && !k.Core:
		return false
	}
	return k.Category == "" || len(chosen) == 0 || slices.Contains(chosen, k.Category)
}

// check refuses what cannot be meant, and leaves out what says nothing.
func (s *Settings) check(c *Catalogue) error {
	switch {
	case math.IsNaN(s.PartialWeight) || s.PartialWeight < 0 || s.PartialWeight > 1 || math.Round(100*s.PartialWeight) != 100*s.PartialWeight:
		return fault.New(fault.Invalid, "Allowed: 0 to 1, up to two decimals").In("partialWeight")
	case s.AttestationMonths < 1 || s.AttestationMonths > maxMonths:
		return fault.New(fault.Invalid, "Allowed: 1 to %d", maxMonths).In("attestationMonths")
	}
	for id, f := range s.Frameworks {
		if err := f.check(c, id); err != nil {
			return err
		}
		if f.Profile == "" && f.Edition == "" && len(f.Categories) == 0 && f.AttestationMonths == 0 {
			delete(s.Frameworks, id)
		}
	}
	return nil
}

func (f *FrameworkSettings) check(c *Catalogue, id string) error {
	field := func(name string) string { return "frameworks." + id + "." + name }
	editions := c.Editions(id)
	if len(editions) == 0 {
		return fault.New(fault.Invalid, "There is no framework of that id").In("frameworks." + id)
	}
	chosen := editions[0]
	if f.Edition != "" {
		i := slices.IndexFunc(editions, func(e *Framework) bool { return e.Edition == f.Edition })
		if i < 0 {
			names := make([]string, len(editions))
			for j, e := range editions {
				names[j] = e.Edition
			}
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(names, ", ")).In(field("edition"))
		}
		chosen = editions[i]
	}
	if f.Profile != "" && !slices.Contains(Profiles, f.Profile) {
		return fault.New(fault.Invalid, "Allowed: core, full").In(field("profile"))
	}
	if f.AttestationMonths < 0 || f.AttestationMonths > maxMonths {
		return fault.New(fault.Invalid, "Allowed: 1 to %d", maxMonths).In(field("attestationMonths"))
	}
	all, _ := chosen.Categories()
	for _, name := range f.Categories {
		if !slices.Contains(all, name) {
			return fault.New(fault.Invalid, "Allowed: %s", strings.Join(all, ", ")).In(field("categories"))
		}
	}
	if len(f.Categories) > 0 && !slices.ContainsFunc(chosen.Controls, func(k Control) bool {
		return k.Core && (k.Category == "" || slices.Contains(f.Categories, k.Category))
	}) {
		return fault.New(fault.Invalid, "Nothing of the core profile would be left: choose more").In(field("categories"))
	}
	return nil
}

// Settings returns those of the tenant.
func (s *Service) Settings(ctx context.Context, tenant uint32) (*Settings, error) {
	set, err := settingsOf(ctx, s.DB, tenant)
	return set, fault.Wrap("get compliance settings", err)
}

func settingsOf(ctx context.Context, db *sqldb.DB, tenant uint32) (*Settings, error) {
	set := Defaults()
	text, err := sqldb.One(ctx, db, func(rows *sql.Rows, text *string) error {
		return rows.Scan(text, &set.Version, sqldb.Micros(&set.UpdatedAt), &set.UpdatedBy)
	}, `SELECT settings, version, updated_at, updated_by FROM compliance_settings WHERE tenant = $1`, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return &set, nil
	}
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal([]byte(text), &set)
	if set.Frameworks == nil {
		set.Frameworks = map[string]FrameworkSettings{}
	}
	return &set, err
}

// Change edits the tenant's settings and judges every control anew by them. version is
// the one that the caller has seen, 0 for any; another is fault.Conflict.
func (s *Service) Change(ctx context.Context, tenant uint32, actor string, version int64, edit func(*Settings)) (*Settings, error) {
	var set *Settings
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		before, err := settingsOf(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if version != 0 && version != before.Version {
			return fault.New(fault.Conflict, "the settings have changed since").In("version")
		}
		if set, err = settingsOf(ctx, tx, tenant); err != nil {
			return err
		}
		edit(set)
		if err := set.check(s.Catalogue); err != nil {
			return err
		}
		text, err := json.Marshal(set)
		if err != nil {
			return err
		}
		now := s.now()
		set.Version, set.UpdatedAt, set.UpdatedBy = before.Version+1, now, actor
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_settings (tenant, settings, version, updated_at, updated_by) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant) DO UPDATE SET settings = excluded.settings, version = excluded.version, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
			int64(tenant), string(text), set.Version, now.UnixMicro(), actor); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "compliance.settings", Detail: map[string]any{"from": before, "to": set}}); err != nil {
			return err
		}
		return s.settle(ctx, tx, tenant, "settings changed by "+actor, now)
	})
	if err != nil {
		return nil, fault.Wrap("change compliance settings", err)
	}
	return set, nil
}
