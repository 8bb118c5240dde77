package app

import (
	"context"
	"maps"
	"runtime"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/api"
	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/exception"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// detection is everything between rules and incidents: what runs, what it raises, and
// what is known of how it fares.
type detection struct {
	rules     *rule.Service
	alerts    *alert.Service
	incidents *incident.Service
	sights    *sight.Service // what arrives
	books     *accounts      // what rules cost
	rulesets  *rulesets      // what runs
	workbench *workbench.Service
	jobs      *job.Service
	canary    *canary.Service
}

// openDetection needs database and event store.
func (s *Server) openDetection(ctx context.Context, now func() time.Time) error {
	d := &s.detection
	var err error
	if d.rules, err = newRules(ctx, s.db, s.log); err != nil {
		return err
	}
	d.alerts = alert.NewWithStorms(s.db, s.cfg.Alerts.StormAfter)
	d.incidents = incident.New(s.db, d.alerts, incident.DefaultSLA)
	tellOf(d.alerts, d.incidents)
	files, err := vault.Open(s.folder.in("files"))
	if err != nil {
		return err
	}
	d.incidents.SetVault(files)
	d.sights = sight.New(s.db, sight.Options{Log: s.log, Lists: d.rules.Lists, Active: d.rules.Active, Now: now})
	d.books = newAccounts(d.rules, s.db, s.log, now)
	d.rulesets = newRulesets(d.rules, d.rules.Lists, d.books, s.log, now)

	d.rules.SetBlind(d.sights.Health)
	d.rules.SetProblems(d.rulesets.Problems)
	d.rules.SetOutcomes(outcomesOf(d.alerts))
	d.rules.SetSilences(exception.New(d.alerts, s.store, d.rules).Silences)

	d.workbench = workbench.New(workbench.Config{
		Events: s.store, Rules: d.rules, Log: s.log, Now: now, Lists: d.rules.Lists, Blind: d.sights.Health, Alerts: d.alerts.ByTechnique,
	})
	// Half of the processors at most: what comes in goes first.
	kinds := d.workbench.Kinds()
	if err := s.openIntegrity(kinds); err != nil {
		return err
	}
	exports, err := vault.Open(s.folder.in("exports"))
	if err != nil {
		return err
	}
	s.exports = api.NewExports(exports)
	maps.Copy(kinds, s.exports.Kinds())
	if err := s.openIndicators(ctx, kinds, now); err != nil {
		return err
	}
	if err := s.openExposure(ctx, kinds, now); err != nil {
		return err
	}
	if err := s.openRequests(kinds, now); err != nil {
		return err
	}
	if err := s.openCompliance(kinds, now); err != nil {
		return err
	}
	maps.Copy(kinds, s.demoKinds(tenant.New(s.db)))
	d.jobs = job.New(s.db, job.Config{Log: s.log, Now: now, Workers: max(1, runtime.GOMAXPROCS(0)/2)}, kinds)
	return nil
}
