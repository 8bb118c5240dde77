package compliance

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Standing is a control with everything that is known of it.
type Standing struct {
	Framework *Framework
	Control   *Control
	Judgement
	Attestation *Attestation // the approved one, expired or not; nil for none
	Pending     *Attestation // that waits for a reviewer; nil for none
	Exceptions  []*Exception // that hold now
	Record      Record
	Since       time.Time // when it came to stand so; zero where it never changed
}

// Evidence returns the ids of what proves the standing: of the results that count and of
// what people attached, each once.
func (s *Standing) Evidence() []string {
	out := []string{}
	add := func(id string) {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for i := range s.Findings {
		if f := &s.Findings[i]; f.Result != nil && !f.Stale {
			add(f.Result.EvidenceID)
		}
	}
	if s.Attestation != nil {
		for _, id := range s.Attestation.Evidence {
			add(id)
		}
	}
	return out
}

// A View is how one framework stands for one tenant at one moment.
type View struct {
	Framework *Framework
	Profile   Profile
	Settings  *Settings
	At        time.Time
	// EvaluatedAt is when the newest result of the tenant was gathered; zero for none.
	EvaluatedAt time.Time
	Coverage    Coverage
	Controls    []Standing // of the profile and the chosen categories, in the framework's order
	All         []Standing // every control of the framework, whatever was chosen
}

// DomainCoverage is how one domain of a framework stands.
type DomainCoverage struct {
	Domain *Domain
	Coverage
}

// Domains returns the coverage of each domain that has controls in v, in their order.
func (v *View) Domains() []DomainCoverage {
	parts := map[string][]Standing{}
	for i := range v.Controls {
		d := v.Controls[i].Control.Domain
		parts[d] = append(parts[d], v.Controls[i])
	}
	out := []DomainCoverage{}
	for i := range v.Framework.Domains {
		d := &v.Framework.Domains[i]
		if all := parts[d.ID]; len(all) > 0 {
			out = append(out, DomainCoverage{d, coverageOf(all, v.Settings.weight())})
		}
	}
	return out
}

// Find returns the framework that people call so, in the edition that the tenant chose
// unless the name says another, or fault.NotFound.
func (s *Service) Find(ctx context.Context, tenant uint32, name string) (*Framework, error) {
	f := s.Catalogue.Find(name)
	if f == nil {
		return nil, fault.New(fault.NotFound, "no such framework")
	}
	if slices.Contains([]byte(name), '@') {
		return f, nil
	}
	set, err := s.Settings(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return s.edition(f, set), nil
}

// View judges the framework for the tenant at the time now, in the profile; "" means the
// one that the tenant chose.
func (s *Service) View(ctx context.Context, tenant uint32, f *Framework, p Profile, now time.Time) (*View, error) {
	st, err := s.state(ctx, tenant)
	if err != nil {
		return nil, fault.Wrap("view compliance", err)
	}
	return s.view(st, f, p, now), nil
}

// Views judges every framework of the tenant, each in the profile; "" means the one that
// the tenant chose.
func (s *Service) Views(ctx context.Context, tenant uint32, p Profile, now time.Time) ([]*View, error) {
	st, err := s.state(ctx, tenant)
	if err != nil {
		return nil, fault.Wrap("view compliance", err)
	}
	all := s.chosen(st.settings)
	out := make([]*View, len(all))
	for i, f := range all {
		out[i] = s.view(st, f, p, now)
	}
	return out, nil
}

func (s *Service) view(st *state, f *Framework, p Profile, now time.Time) *View {
	if p == "" {
		p = st.settings.profile(f)
	}
	v := &View{Framework: f, Profile: p, Settings: st.settings, At: now, EvaluatedAt: st.evaluated, All: s.judge(st, f, now)}
	v.Controls = st.settings.choose(f, v.All, p)
	v.Coverage = coverageOf(v.Controls, st.settings.weight())
	return v
}

// choose returns those of all that belong to an assessment in the profile.
func (s *Settings) choose(f *Framework, all []Standing, p Profile) []Standing {
	out := make([]Standing, 0, len(all))
	for i := range all {
		if s.within(f, all[i].Control, p) {
			out = append(out, all[i])
		}
	}
	return out
}

// judge judges every control of f.
func (s *Service) judge(st *state, f *Framework, now time.Time) []Standing {
	out := make([]Standing, len(f.Controls))
	for i := range f.Controls {
		k := &f.Controls[i]
		at := place{f.ID, f.Edition, k.ID}
		x := Standing{
			Framework: f, Control: k, Attestation: st.approved[at], Pending: st.pending[at], Record: st.records[at], Since: st.statuses[at].since,
			Judgement: s.Catalogue.StatusOf(k, st.results, st.approved[at], st.exceptions[at], st.settings.Strict, now),
		}
		for _, e := range st.exceptions[at] {
			if e.active(now) {
				x.Exceptions = append(x.Exceptions, e)
			}
		}
		out[i] = x
	}
	return out
}

// place names a control of an edition.
type place struct{ framework, edition, control string }

// state is everything that judging needs of one tenant.
type state struct {
	settings   *Settings
	results    map[string]*Result // by variant
	approved   map[place]*Attestation
	pending    map[place]*Attestation
	exceptions map[place][]*Exception // that were not ended
	records    map[place]Record
	statuses   map[place]stood
	evaluated  time.Time
}

// stood is how a control stood when it was last judged.
type stood struct {
	status Status
	since  time.Time
}

func (s *Service) state(ctx context.Context, tenant uint32) (*state, error) {
	var st *state
	err := s.DB.View(ctx, func(tx *sqldb.DB) error {
		var err error
		st, err = stateOf(ctx, tx, tenant)
		return err
	})
	return st, err
}

func stateOf(ctx context.Context, tx *sqldb.DB, tenant uint32) (*state, error) {
	st := &state{
		results: map[string]*Result{}, approved: map[place]*Attestation{}, pending: map[place]*Attestation{},
		exceptions: map[place][]*Exception{}, records: map[place]Record{}, statuses: map[place]stood{},
	}
	var err error
	if st.settings, err = settingsOf(ctx, tx, tenant); err != nil {
		return nil, err
	}
	for r, err := range sqldb.Stream(ctx, tx, scanResult, selectResult+` WHERE tenant = $1`, int64(tenant)) {
		if err != nil {
			return nil, err
		}
		st.results[r.Variant] = &r
	}
	for a, err := range sqldb.Stream(ctx, tx, scanAttestation, selectAttestation+` WHERE tenant = $1 AND state IN ('approved', 'pending') ORDER BY id`, int64(tenant)) {
		if err != nil {
			return nil, err
		}
		if at := a.place(); a.State == Approved {
			st.approved[at] = &a
		} else {
			st.pending[at] = &a
		}
	}
	for e, err := range sqldb.Stream(ctx, tx, scanException, selectException+` WHERE tenant = $1 AND ended_at IS NULL ORDER BY id`, int64(tenant)) {
		if err != nil {
			return nil, err
		}
		st.exceptions[e.place()] = append(st.exceptions[e.place()], &e)
	}
	for r, err := range sqldb.Stream(ctx, tx, scanRecord, selectRecord+` WHERE tenant = $1`, int64(tenant)) {
		if err != nil {
			return nil, err
		}
		st.records[r.at] = r.Record
	}
	type row struct {
		at place
		stood
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.at.framework, &r.at.edition, &r.at.control, &r.status, sqldb.Micros(&r.since))
	}, `SELECT framework, edition, control, status, since FROM compliance_status WHERE tenant = $1`, int64(tenant)) {
		if err != nil {
			return nil, err
		}
		st.statuses[r.at] = r.stood
	}
	evaluated, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT evaluated_at FROM compliance_state WHERE tenant = $1`, int64(tenant))
	if err == nil && evaluated > 0 {
		st.evaluated = time.UnixMicro(evaluated).UTC()
	}
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	return st, err
}

const selectResult = `SELECT variant, check_id, version, outcome, value, unit, threshold, reason, population, size, sample, from_at, to_at, effective_at, collected_at, valid_until, method, resources, evidence, said FROM compliance_result`

func scanResult(rows *sql.Rows, r *Result) error {
	var until *time.Time
	var resources, said string
	if err := rows.Scan(&r.Variant, &r.Check, &r.Version, &r.Outcome, &r.Value, &r.Unit, &r.Threshold, &r.Reason, &r.Population.Definition, &r.Population.Size, &r.Population.Sample,
		sqldb.Micros(&r.From), sqldb.Micros(&r.To), sqldb.Micros(&r.EffectiveAt), sqldb.Micros(&r.CollectedAt), sqldb.MicrosOrNull(&until), &r.Method, &resources, &r.EvidenceID, &said); err != nil {
		return err
	}
	if said != "" {
		if err := json.Unmarshal([]byte(said), &r.Said); err != nil {
			return err
		}
	}
	if until != nil {
		r.ValidUntil = *until
	}
	return json.Unmarshal([]byte(resources), &r.Resources)
}

// Results returns the latest result of every variant that was ever evaluated for the
// tenant, by key, without their facts.
func (s *Service) Results(ctx context.Context, tenant uint32) (map[string]*Result, error) {
	all, err := sqldb.All(ctx, s.DB, scanResult, selectResult+` WHERE tenant = $1`, int64(tenant))
	if err != nil {
		return nil, fault.Wrap("list results of checks", err)
	}
	out := make(map[string]*Result, len(all))
	for i := range all {
		out[all[i].Variant] = &all[i]
	}
	return out, nil
}

// Stale tells whether r became too old to count.
func (s *Service) Stale(r *Result, now time.Time) bool {
	c := s.Catalogue.Check(r.Check)
	return c == nil || now.After(r.validUntil(c))
}
