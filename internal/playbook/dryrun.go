package playbook

import (
	"context"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Trial tells what a run would do. Nothing is changed, and nobody is called.
type Trial struct {
	Condition bool // it holds
	Steps     []TrialStep
}

// A TrialStep is one step of a Trial.
type TrialStep struct {
	Step, Action string
	Outside      bool
	Would        string         // "run", "skip", "fail", or "depends": on what steps before it bring
	Why          string         // of a skip or a failure
	Input        map[string]any // values filled in; those that steps bring, and secrets, by name
}

// DryRun tries the tenant's playbook on an alert, on an incident, or on nothing.
func (s *Service) DryRun(ctx context.Context, tenant uint32, id, alertID, incidentID string) (*Trial, error) {
	var t *Trial
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		p, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		t, err = s.try(ctx, tx, tenant, p, alertID, incidentID)
		return err
	})
	return t, fault.Wrap("try playbook", err)
}

func (s *Service) try(ctx context.Context, tx *sqldb.DB, tenant uint32, p *Playbook, alertID, incidentID string) (*Trial, error) {
	kind, object, err := s.target(ctx, tx, tenant, alertID, incidentID)
	if err != nil {
		return nil, err
	}
	r := &Run{ID: "00000000-0000-0000-0000-000000000000", Tenant: tenant, Handle: p.Handle, Name: p.Name, Event: Manual, Kind: kind, Object: object, CreatedAt: s.now()}
	f, err := s.gather(ctx, tx, r, nil)
	if err != nil {
		return nil, err
	}
	e := f.record(kind)
	t := &Trial{Condition: holds(p.Document.condition, e), Steps: []TrialStep{}}
	fill := filler{values: f.values, dry: true}
	opens := f.incident != nil
	for i := range p.Document.Steps {
		st := &p.Document.Steps[i]
		one := TrialStep{Step: st.ID, Action: st.Action, Outside: actions[st.Action].outside, Would: "run", Input: map[string]any{}}
		depends := strings.Contains(st.When, "steps.") || strings.Contains(st.When, "incident") && !opens && f.incident == nil
		in, err := fill.all(st)
		switch {
		case !depends && !holds(st.when, e):
			one.Would, one.Why = "skip", "its condition does not hold"
		case one.Outside && !p.Outside:
			one.Would, one.Why = "skip", "it leaves the house, and the playbook may not: set allowOutside to let it"
		case err != nil:
			one.Would, one.Why = "fail", messageOf(err)
		case !opens && (st.Action == actTask || st.With["on"] == "incident"):
			one.Would, one.Why = "fail", "there is no incident here: add a create-incident or escalate step before this one"
		case depends:
			one.Would, one.Why = "depends", "its condition asks for what steps before it bring"
		}
		if in != nil {
			one.Input = in
		}
		opens = opens || one.Would == "run" && (st.Action == actIncident || st.Action == actEscalate)
		t.Steps = append(t.Steps, one)
	}
	return t, nil
}
