package compliance

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Day is how a framework stood at the end of a day, UTC, with the settings that it was
// judged by.
type Day struct {
	Day        time.Time
	Edition    string
	Profile    Profile
	Strict     bool
	Weight     int64 // of partial, in hundredths
	Categories []string
	Coverage   Coverage
	Official   *int64 // score of CMMC
	At         time.Time
}

// maxDays bounds a history.
const maxDays = 2000

// History returns the days of a framework in a profile within [from, to], the newest
// first, up to 2,000.
func (s *Service) History(ctx context.Context, tenant uint32, f *Framework, p Profile, from, to time.Time) ([]Day, error) {
	all, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, d *Day) error {
		var day int64
		var categories string
		c := &d.Coverage
		if err := rows.Scan(&d.Edition, &d.Profile, &day, &d.Strict, &d.Weight, &categories, &c.Total, &c.Compliant, &c.Partial, &c.NonCompliant, &c.NotAssessed, &c.NotApplicable,
			&c.Score, &c.AssessedScore, &c.EvidenceCoverage, &d.Official, sqldb.Micros(&d.At)); err != nil {
			return err
		}
		d.Day = dayTime(day)
		return json.Unmarshal([]byte(categories), &d.Categories)
	}, `SELECT edition, profile, day, strict, weight, categories, total, compliant, partial, non_compliant, not_assessed, not_applicable, score, assessed_score, evidence_coverage, official, at
		FROM compliance_day WHERE tenant = $1 AND framework = $2 AND edition = $3 AND profile = $4 AND day >= $5 AND day <= $6 ORDER BY day DESC LIMIT $7`,
		int64(tenant), f.ID, f.Edition, string(p), dayOf(from), dayOf(to), maxDays)
	return all, fault.Wrap("list history of compliance", err)
}

// A Change is one change of a control's status.
type Change struct {
	ID                          string // UUIDv7
	Framework, Edition, Control string
	At                          time.Time
	From, To                    Status
	Code                        Code
	Reason                      string // how it stands since, in English
	Why                         Reason // the same by its parts; without a code where only Reason was kept
	Cause                       string // what brought it about
}

// ReasonIn is the reason in the language, where its parts were kept.
func (c *Change) ReasonIn(language string) string {
	if c.Why.Code == "" {
		return c.Reason
	}
	return c.Why.In(language)
}

// Slice is a page of a list: Page from 0, Size 1 to 100.
type Slice struct{ Page, Size int }

func (p Slice) check() error {
	switch {
	case p.Size < 1 || p.Size > 100:
		return fault.New(fault.Invalid, "Allowed: 1 to 100").In("size")
	case p.Page < 0 || p.Page > 1<<40:
		return fault.New(fault.Invalid, "Allowed: 0 or more").In("page")
	}
	return nil
}

// where gathers conditions and their arguments.
type where struct {
	text strings.Builder
	args []any
}

func whereTenant(tenant uint32) *where {
	w := &where{args: []any{int64(tenant)}}
	w.text.WriteString(` WHERE tenant = $1`)
	return w
}

// and adds a condition in which ? stands for v.
func (w *where) and(condition string, v any) {
	w.args = append(w.args, v)
	w.text.WriteString(` AND ` + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(w.args))))
}

func (w *where) in(column string, values []string) {
	if len(values) == 0 {
		return
	}
	places := make([]string, len(values))
	for i, v := range values {
		w.args = append(w.args, v)
		places[i] = "$" + strconv.Itoa(len(w.args))
	}
	w.text.WriteString(` AND ` + column + ` IN (` + strings.Join(places, ", ") + `)`)
}

// listed returns a page of a table, the newest first, and how many rows there are.
func listed[T any](ctx context.Context, db *sqldb.DB, table, query string, w *where, p Slice, scan func(*sql.Rows, *T) error) (page []T, total int64, err error) {
	if err := p.check(); err != nil {
		return nil, 0, err
	}
	err = db.View(ctx, func(tx *sqldb.DB) error {
		if total, err = sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM `+table+w.text.String(), w.args...); err != nil {
			return err
		}
		page, err = sqldb.All(ctx, tx, scan, fmt.Sprintf(`%s%s ORDER BY id DESC LIMIT %d OFFSET %d`, query, w.text.String(), p.Size, int64(p.Page)*int64(p.Size)), w.args...)
		return err
	})
	return page, total, err
}

// A ChangeFilter chooses changes; zero fields choose all.
type ChangeFilter struct {
	Framework *Framework
	Control   string
	From, To  time.Time // From inclusive, To exclusive
}

// Changes returns a page of the tenant's changes, the newest first.
func (s *Service) Changes(ctx context.Context, tenant uint32, f ChangeFilter, p Slice) ([]Change, int64, error) {
	w := whereTenant(tenant)
	if f.Framework != nil {
		w.and(`framework = ?`, f.Framework.ID)
		w.and(`edition = ?`, f.Framework.Edition)
	}
	if f.Control != "" {
		w.and(`control = ?`, f.Control)
	}
	if !f.From.IsZero() {
		w.and(`at >= ?`, f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		w.and(`at < ?`, f.To.UnixMicro())
	}
	page, total, err := listed(ctx, s.DB, `compliance_change`, `SELECT id, framework, edition, control, at, from_status, to_status, code, reason, cause, why FROM compliance_change`, w, p,
		func(rows *sql.Rows, c *Change) error {
			var why string
			if err := rows.Scan(&c.ID, &c.Framework, &c.Edition, &c.Control, sqldb.Micros(&c.At), &c.From, &c.To, &c.Code, &c.Reason, &c.Cause, &why); err != nil || why == "" {
				return err
			}
			return json.Unmarshal([]byte(why), &c.Why)
		})
	return page, total, fault.Wrap("list changes of compliance", err)
}

// An AttestationFilter chooses attestations; zero fields choose all.
type AttestationFilter struct {
	Framework     *Framework
	Control       string
	States        []string
	Statuses      []string
	ExpiresBefore time.Time // only approved ones that end before it
}

// Attestations returns a page of the tenant's attestations, the newest first.
func (s *Service) Attestations(ctx context.Context, tenant uint32, f AttestationFilter, p Slice) ([]Attestation, int64, error) {
	w := whereTenant(tenant)
	if f.Framework != nil {
		w.and(`framework = ?`, f.Framework.ID)
		w.and(`edition = ?`, f.Framework.Edition)
	}
	if f.Control != "" {
		w.and(`control = ?`, f.Control)
	}
	w.in(`state`, f.States)
	w.in(`status`, f.Statuses)
	if !f.ExpiresBefore.IsZero() {
		w.and(`expires_at < ?`, f.ExpiresBefore.UnixMicro())
		w.in(`state`, []string{string(Approved)})
	}
	page, total, err := listed(ctx, s.DB, `compliance_attestation`, selectAttestation, w, p, scanAttestation)
	return page, total, fault.Wrap("list attestations", err)
}

// An ExceptionFilter chooses exceptions; zero fields choose all.
type ExceptionFilter struct {
	Framework *Framework
	Control   string
	Active    *bool
}

// Exceptions returns a page of the tenant's exceptions, the newest first.
func (s *Service) Exceptions(ctx context.Context, tenant uint32, f ExceptionFilter, p Slice) ([]Exception, int64, error) {
	w := whereTenant(tenant)
	if f.Framework != nil {
		w.and(`framework = ?`, f.Framework.ID)
		w.and(`edition = ?`, f.Framework.Edition)
	}
	if f.Control != "" {
		w.and(`control = ?`, f.Control)
	}
	if f.Active != nil {
		condition := `(ended_at IS NULL AND ends_at > ?)`
		if !*f.Active {
			condition = `(ended_at IS NOT NULL OR ends_at <= ?)`
		}
		w.and(condition, s.now().UnixMicro())
	}
	page, total, err := listed(ctx, s.DB, `compliance_exception`, selectException, w, p, scanException)
	return page, total, fault.Wrap("list exceptions", err)
}

// An OutcomeDay is what a variant found on a day, UTC.
type OutcomeDay struct {
	Variant     string
	Day         time.Time
	Last, Worst Outcome
	Value       *float64 // of the last
	Runs        int64
}

// Outcomes returns what the variants of a check found by day within [from, to], the
// newest first, up to 2,000.
func (s *Service) Outcomes(ctx context.Context, tenant uint32, check string, from, to time.Time) ([]OutcomeDay, error) {
	all, err := sqldb.All(ctx, s.DB, func(rows *sql.Rows, d *OutcomeDay) error {
		var day, worst int64
		err := rows.Scan(&d.Variant, &day, &d.Last, &worst, &d.Value, &d.Runs)
		d.Day, d.Worst = dayTime(day), Outcomes[min(max(worst, 0), 3)]
		return err
	}, `SELECT variant, day, last, worst, value, runs FROM compliance_outcome WHERE tenant = $1 AND (variant = $2 OR variant >= $3 AND variant < $4) AND day >= $5 AND day <= $6
		ORDER BY day DESC, variant LIMIT $7`, int64(tenant), check, check+"?", check+"@", dayOf(from), dayOf(to), maxDays)
	return all, fault.Wrap("list outcomes of checks", err)
}
