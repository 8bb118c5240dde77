package compliance

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// SaveResults keeps results as the latest of their variants, inside tx, and judges every
// control that they bear upon. A result that passes without a population is kept as
// NoData: nothing was looked at.
func (s *Service) SaveResults(ctx context.Context, tx *sqldb.DB, tenant uint32, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	now := s.now()
	err := tx.Tx(ctx, func(tx *sqldb.DB) error {
		before, err := sqldb.All(ctx, tx, scanResult, selectResult+` WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		was := map[string]Outcome{}
		for i := range before {
			was[before[i].Variant] = before[i].Outcome
		}
		changed := map[string]string{}
		for i := range results {
			r := results[i]
			if err := s.complete(&r, now); err != nil {
				return err
			}
			if err := r.store(ctx, tx, tenant); err != nil {
				return err
			}
			from := was[r.Variant]
			if from == "" {
				from = NoData
			}
			changed[r.Variant] = fmt.Sprintf("%s: %s → %s", r.Check, from, r.Outcome)
			if from == r.Outcome {
				changed[r.Variant] = fmt.Sprintf("%s: %s, evaluated again", r.Check, r.Outcome)
			}
		}
		return s.settleBy(ctx, tx, tenant, func(x *Standing) string {
			var all []string
			for i := range x.Findings {
				if c, ok := changed[x.Findings[i].Link.Key]; ok && !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
			if len(all) == 0 {
				return byTime(x)
			}
			return strings.Join(all, "; ")
		}, now)
	})
	return fault.Wrap("save results of checks", err)
}

// complete checks a result and fills in what was left out.
func (s *Service) complete(r *Result, now time.Time) error {
	c := s.Catalogue.Check(r.Check)
	switch {
	case c == nil || r.Variant != r.Check && !strings.HasPrefix(r.Variant, r.Check+"?"):
		return fmt.Errorf("result of variant %q: there is no check %q", r.Variant, r.Check)
	case !slices.Contains(Outcomes, r.Outcome):
		return fmt.Errorf("result of variant %q: there is no outcome %q", r.Variant, r.Outcome)
	}
	if r.Version == 0 {
		r.Version = c.Version
	}
	if r.CollectedAt.IsZero() {
		r.CollectedAt = now
	}
	if r.EffectiveAt.IsZero() {
		r.EffectiveAt = r.CollectedAt
	}
	if r.To.IsZero() {
		r.To = r.EffectiveAt
	}
	if r.From.IsZero() {
		r.From = r.To
	}
	if r.Value != nil && (math.IsNaN(*r.Value) || math.IsInf(*r.Value, 0)) {
		r.Value = nil
	}
	if r.Outcome == Pass && r.Population.Size <= 0 {
		r.Outcome = NoData
		if r.Said.String() == r.Reason {
			r.Said = Say("There was nothing to look at. %s", r.Said)
		}
		r.Reason = "There was nothing to look at. " + r.Reason
	}
	return nil
}

var severity = map[Outcome]int64{Pass: 0, Partly: 1, Fail: 2, NoData: 3}

func (r *Result) store(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	resources, err := json.Marshal(append([]string{}, r.Resources...))
	if err != nil {
		return err
	}
	said := ""
	if !r.Said.None() {
		text, err := json.Marshal(r.Said)
		if err != nil {
			return err
		}
		said = string(text)
	}
	var until *time.Time
	if !r.ValidUntil.IsZero() {
		until = &r.ValidUntil
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO compliance_result (tenant, variant, check_id, version, outcome, value, unit, threshold, reason, population, size, sample, from_at, to_at, effective_at, collected_at, valid_until, method, resources, evidence, said)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
		ON CONFLICT (tenant, variant) DO UPDATE SET version = excluded.version, outcome = excluded.outcome, value = excluded.value, unit = excluded.unit, threshold = excluded.threshold,
			reason = excluded.reason, population = excluded.population, size = excluded.size, sample = excluded.sample, from_at = excluded.from_at, to_at = excluded.to_at,
			effective_at = excluded.effective_at, collected_at = excluded.collected_at, valid_until = excluded.valid_until, method = excluded.method, resources = excluded.resources, evidence = excluded.evidence, said = excluded.said
		WHERE excluded.collected_at >= compliance_result.collected_at`,
		int64(tenant), r.Variant, r.Check, int64(r.Version), string(r.Outcome), r.Value, r.Unit, r.Threshold, r.Reason, r.Population.Definition, r.Population.Size, r.Population.Sample,
		r.From.UnixMicro(), r.To.UnixMicro(), r.EffectiveAt.UnixMicro(), r.CollectedAt.UnixMicro(), sqldb.Nullable(until), r.Method, string(resources), r.EvidenceID, said); err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `
		INSERT INTO compliance_outcome (tenant, variant, day, last, worst, value, runs) VALUES ($1, $2, $3, $4, $5, $6, 1)
		ON CONFLICT (tenant, variant, day) DO UPDATE SET last = excluded.last, value = excluded.value, runs = compliance_outcome.runs + 1,
			worst = CASE WHEN excluded.worst > compliance_outcome.worst THEN excluded.worst ELSE compliance_outcome.worst END`,
		int64(tenant), r.Variant, dayOf(r.CollectedAt), string(r.Outcome), severity[r.Outcome], r.Value)
	return err
}

const dayMicros = int64(24 * time.Hour / time.Microsecond)

// dayOf counts days since 1970, UTC.
func dayOf(t time.Time) int64 { return t.UnixMicro() / dayMicros }

func dayTime(day int64) time.Time { return time.UnixMicro(day * dayMicros).UTC() }

// Settle judges every control of the tenant again, as far as time alone changed it.
func (s *Service) Settle(ctx context.Context, tenant uint32) error {
	return fault.Wrap("judge controls", s.DB.Tx(ctx, func(tx *sqldb.DB) error { return s.settleBy(ctx, tx, tenant, byTime, s.now()) }))
}

// byTime says what time alone has brought about.
func byTime(x *Standing) string {
	var stale []string
	for i := range x.Findings {
		if x.Findings[i].Stale {
			stale = append(stale, x.Findings[i].Link.Check)
		}
	}
	switch {
	case len(stale) > 0:
		return "the evidence became too old: " + strings.Join(stale, ", ")
	case x.Why.Code == AttestationExpired:
		return "the attestation expired"
	}
	return "an exception ended, or the framework's catalogue changed"
}

func (s *Service) settle(ctx context.Context, tx *sqldb.DB, tenant uint32, cause string, now time.Time) error {
	return s.settleBy(ctx, tx, tenant, func(*Standing) string { return cause }, now)
}

// A change of one control's status.
type change struct {
	at       place
	from, to Status
	why      Reason
	cause    string
}

// settleBy judges every control of every framework of the tenant, and writes down what
// changed with its cause and how each framework stands today.
func (s *Service) settleBy(ctx context.Context, tx *sqldb.DB, tenant uint32, cause func(*Standing) string, now time.Time) error {
	// This row makes those who judge one tenant wait for each other.
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_state (tenant, version, evaluated_at) VALUES ($1, 1, 0)
		ON CONFLICT (tenant) DO UPDATE SET version = compliance_state.version + 1`, int64(tenant)); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE compliance_state SET evaluated_at = coalesce((SELECT max(collected_at) FROM compliance_result WHERE tenant = $1), 0) WHERE tenant = $1`, int64(tenant)); err != nil {
		return err
	}
	st, err := stateOf(ctx, tx, tenant)
	if err != nil {
		return err
	}
	var changes []change
	counts := map[string]int{}
	for _, f := range s.chosen(st.settings) {
		all := s.judge(st, f, now)
		for i := range all {
			x := &all[i]
			at := place{f.ID, f.Edition, x.Control.ID}
			before, judged := st.statuses[at]
			if !judged {
				before.status = NotAssessed
			}
			if before.status == x.Status {
				continue
			}
			changes = append(changes, change{at, before.status, x.Status, x.Why, cause(x)})
			counts[f.ID]++
		}
		for _, p := range Profiles {
			v := &View{Framework: f, Profile: p, Settings: st.settings, At: now, All: all, Controls: st.settings.choose(f, all, p)}
			v.Coverage = coverageOf(v.Controls, st.settings.weight())
			if err := v.storeDay(ctx, tx, tenant); err != nil {
				return err
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	for part := range slices.Chunk(changes, 100) {
		if err := storeChanges(ctx, tx, tenant, part, now); err != nil {
			return err
		}
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: audit.System, Action: "compliance.status", Detail: map[string]any{"changed": counts}})
}

func storeChanges(ctx context.Context, tx *sqldb.DB, tenant uint32, part []change, now time.Time) error {
	var log, current []any
	for i := range part {
		c := &part[i]
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		why, err := json.Marshal(c.why)
		if err != nil {
			return err
		}
		log = append(log, id.String(), int64(tenant), c.at.framework, c.at.edition, c.at.control, now.UnixMicro(), string(c.from), string(c.to), string(c.why.Code), c.why.String(), c.cause, string(why))
		current = append(current, int64(tenant), c.at.framework, c.at.edition, c.at.control, string(c.to), now.UnixMicro())
	}
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_change (id, tenant, framework, edition, control, at, from_status, to_status, code, reason, cause, why) VALUES `+sqldb.Rows(len(part), 12), log...); err != nil {
		return err
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO compliance_status (tenant, framework, edition, control, status, since) VALUES `+sqldb.Rows(len(part), 6)+`
		ON CONFLICT (tenant, framework, edition, control) DO UPDATE SET status = excluded.status, since = excluded.since`, current...)
	return err
}

func (v *View) storeDay(ctx context.Context, tx *sqldb.DB, tenant uint32) error {
	categories, err := json.Marshal(append([]string{}, v.Settings.Frameworks[v.Framework.ID].Categories...))
	if err != nil {
		return err
	}
	var official any
	if o := v.Official(); o != nil {
		official = int64(o.Score)
	}
	c := &v.Coverage
	_, err = sqldb.Exec(ctx, tx, `
		INSERT INTO compliance_day (tenant, framework, edition, profile, day, strict, weight, categories, total, compliant, partial, non_compliant, not_assessed, not_applicable, score, assessed_score, evidence_coverage, official, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, CAST($18 AS BIGINT), $19)
		ON CONFLICT (tenant, framework, edition, profile, day) DO UPDATE SET strict = excluded.strict, weight = excluded.weight, categories = excluded.categories, total = excluded.total,
			compliant = excluded.compliant, partial = excluded.partial, non_compliant = excluded.non_compliant, not_assessed = excluded.not_assessed, not_applicable = excluded.not_applicable,
			score = excluded.score, assessed_score = excluded.assessed_score, evidence_coverage = excluded.evidence_coverage, official = excluded.official, at = excluded.at`,
		int64(tenant), v.Framework.ID, v.Framework.Edition, string(v.Profile), dayOf(v.At), v.Settings.Strict, v.Settings.weight(), string(categories),
		int64(c.Total), int64(c.Compliant), int64(c.Partial), int64(c.NonCompliant), int64(c.NotAssessed), int64(c.NotApplicable), c.Score, c.AssessedScore, c.EvidenceCoverage, official, v.At.UnixMicro())
	return err
}
