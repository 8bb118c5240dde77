// Package assess finds out what the checks of package compliance ask, from what KYRA
// itself knows: log sources and the ledger, collectors, rules and their health, alerts,
// incidents, accounts, keys, the audit log, retention, deliveries, intelligence, assets and
// requests. Each check has one evaluator: facts are gathered once for a whole round, and a
// function without effects judges them. It decides nothing about controls and keeps
// nothing itself.
//
// No data is never a pass, and neither is an empty population. What KYRA cannot see is
// said so, with what to connect.
package assess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// Config is what an Assessor needs. Of the parts below Save a check that needs one that is
// nil has no data.
type Config struct {
	DB         *sqldb.DB
	Compliance *compliance.Service
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now

	// Save keeps results with their evidence. Results that were not saved count nowhere.
	Save func(ctx context.Context, tenant uint32, results []compliance.Result) error

	Tenants  func() []uint32 // whom Run looks after
	Events   eventstore.Store
	Logs     *logsource.Service
	Rules    *rule.Service
	Blind    rule.HealthFunc
	Problems rule.ProblemFunc
	Coverage func(ctx context.Context, tenant uint32) (*workbench.Coverage, error)
	// Platform describes the installation: what only it itself can know.
	Platform func(ctx context.Context) (*Platform, error)
	// SignIn tells how people of the tenant sign in.
	SignIn func(ctx context.Context, tenant uint32) (*SignInPolicy, error)
	// Archived tells the first day of which raw records of the tenant are kept, the zero
	// time for none.
	Archived func(tenant uint32) (time.Time, error)
}

// Assessor evaluates checks. It is safe for use by several goroutines and processes.
type Assessor struct {
	Config
	holder string // names this process

	mu    sync.Mutex
	texts map[textKey][]logSource // what rules look at
}

// New returns an Assessor.
func New(c Config) *Assessor {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Assessor{Config: c, holder: uuid.NewString(), texts: map[textKey][]logSource{}}
}

// patience is how long one check may take.
const patience = time.Minute

// An evaluator finds out what one check asks.
type evaluator func(ctx context.Context, q *inquiry) (*finding, error)

// evaluatorOf returns the evaluator of a check, nil where there is none: that of its id,
// or else the one that its family shares.
func evaluatorOf(c *compliance.Check) evaluator {
	if e, ok := evaluators[c.ID]; ok {
		return e
	}
	if c.Evaluator == "monitored" {
		return monitored
	}
	return nil
}

var evaluators = map[string]evaluator{
	"log-retention":           logRetention,
	"collector-online":        collectorOnline,
	"log-source-coverage":     logSourceCoverage,
	"source-silence-alert":    sourceSilenceAlert,
	"time-sync":               timeSync,
	"log-field-completeness":  logFieldCompleteness,
	"audit-chain":             auditChain,
	"audit-access-restricted": auditAccessRestricted,
	"log-review":              logReview,
	"rules-active":            rulesActive,
	"attack-coverage":         attackCoverage,
	"capacity-health":         capacityHealth,
	"ti-freshness":            tiFreshness,
	"vuln-scan":               vulnScan,
	"vuln-sla":                vulnSLA,
	"exposure-scan":           exposureScan,
	"alert-mtta":              alertMTTA,
	"alert-backlog":           alertBacklog,
	"incident-mttr":           incidentMTTR,
	"incident-root-cause":     incidentRootCause,
	"incident-notify":         incidentNotify,
	"incident-evidence":       incidentEvidence,
	"playbook-tested":         playbookTested,
	"notify-channel":          notifyChannel,
	"mfa-all":                 mfaAll,
	"auth-policy":             authPolicy,
	"session-policy":          sessionPolicy,
	"dormant-accounts":        dormantAccounts,
	"access-review":           accessReview,
	"role-separation":         roleSeparation,
	"api-key-hygiene":         apiKeyHygiene,
	"leaver-disabled":         leaverDisabled,
	"tls-ingest":              tlsIngest,
	"encrypt-rest":            encryptRest,
	"cert-key-age":            certKeyAge,
	"platform-patch":          platformPatch,
	"platform-backup":         platformBackup,
	"asset-inventory":         assetInventory,
	"dsr-deadline":            dsrDeadline,
	"pii-access-audit":        piiAccessAudit,
	"pii-search-audit":        piiSearchAudit,
	"pii-masking":             piiMasking,
	"retention-deletion":      retentionDeletion,
	"evidence-fresh":          evidenceFresh,
}

// Evaluate finds out what one variant asks of the tenant. What goes wrong is no error but
// a result without data that says so; the error is that of ctx.
func (a *Assessor) Evaluate(ctx context.Context, tenant uint32, v compliance.Variant) (compliance.Result, error) {
	all, err := a.evaluateAll(ctx, tenant, []compliance.Variant{v}, nil)
	if err != nil {
		return compliance.Result{}, err
	}
	return all[0], nil
}

// evaluateAll evaluates variants with facts that are gathered once. What is said of
// evidence itself comes last: it looks at the results of the others too.
func (a *Assessor) evaluateAll(ctx context.Context, tenant uint32, variants []compliance.Variant, progress func(done, total int, check string)) ([]compliance.Result, error) {
	r := &round{Assessor: a, tenant: tenant, now: a.Now().UTC().Truncate(time.Microsecond)}
	out := make([]compliance.Result, len(variants))
	done := 0
	for _, last := range []bool{false, true} {
		for i := range variants {
			if (variants[i].Check == "evidence-fresh") != last {
				continue
			}
			if progress != nil {
				progress(done, len(variants), variants[i].Check)
			}
			out[i] = r.evaluate(ctx, &variants[i])
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			done++
			r.fresh = append(r.fresh, &out[i])
		}
	}
	if progress != nil {
		progress(done, len(variants), "")
	}
	return out, nil
}

// evaluate runs the evaluator of one variant; neither an error nor a panic of it gets out.
func (r *round) evaluate(ctx context.Context, v *compliance.Variant) (result compliance.Result) {
	c := r.Compliance.Catalogue.Check(v.Check)
	q := &inquiry{round: r, p: v.Params}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f, err := q.run(within, c)
	if err != nil && ctx.Err() == nil {
		r.Log.WarnContext(ctx, "a check could not be evaluated", "check", v.Check, "tenant", r.tenant, "err", err)
		f = &finding{outcome: compliance.NoData, reason: say("It could not be evaluated: %s. It is tried again within an hour.", reasonOf(err))}
	}
	if f == nil {
		f = &finding{outcome: compliance.NoData, reason: say("It was not evaluated.")}
	}
	return f.result(q, v, c)
}

// run calls the evaluator of a check; a panic in it is an error.
func (q *inquiry) run(ctx context.Context, c *compliance.Check) (f *finding, err error) {
	defer func() {
		if v := recover(); v != nil {
			q.Log.ErrorContext(ctx, "evaluating a check panicked", "check", c.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			f, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	e := evaluatorOf(c)
	if e == nil {
		return &finding{outcome: compliance.NoData, reason: say("This version of KYRA does not know how to evaluate %s: upgrade it.", c.ID)}, nil
	}
	return e(ctx, q)
}

// reasonOf is what people may read of an error.
func reasonOf(err error) phrase {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return say("%s", strings.TrimSuffix(f.Message, "."))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return say("it took longer than %s", span(patience))
	}
	return say("an internal error, which stands in the server's log")
}
