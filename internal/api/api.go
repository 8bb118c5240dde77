// Package api is the REST API: it reads requests, asks the domain, and words the
// answers as the public reference documents them. It holds no rule of the domain
// and no state but rate limits.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/asset"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/dsr"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/evidence"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/notify"
	"github.com/kyra-mdr/kyra/internal/playbook"
	"github.com/kyra-mdr/kyra/internal/principal"
	"github.com/kyra-mdr/kyra/internal/privacy"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/report"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/rule"
	"github.com/kyra-mdr/kyra/internal/sight"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/sso"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/view"
	"github.com/kyra-mdr/kyra/internal/webhook"
	"github.com/kyra-mdr/kyra/internal/workbench"
)

// base is where the API stands; New's handler expects the whole path.
const base = "/api/v1"

// Config is what the API needs. Every field without a default is required.
type Config struct {
	DB        *sqldb.DB // for the answers kept under Idempotency-Key
	Keys      *identity.Service
	Accounts  *account.Service
	SSO       *sso.Service // nil: there is no single sign-on
	Tenants   *tenant.Service
	Alerts    *alert.Service
	Incidents *incident.Service
	Rules     *rule.Service
	Sources   *source.Service
	Fleet     *fleet.Service
	Privacy   *privacy.Service
	Events    eventstore.Store
	Signer    *audit.Signer  // of heads of the audit log
	Sight     *sight.Service // nil: one that knows what others wrote down

	Workbench *workbench.Service // nil: one on Rules and Events
	Jobs      *job.Service       // nil: one that only queues what another process runs

	LogSources *logsource.Service // nil: one that knows what others wrote down

	Canary       *canary.Service     // nil: one that lists what others ran
	Quarantine   *quarantine.Service // nil: one that lists; its re-runs are another process's
	ServerTenant uint32              // the tenant that sees the server's own figures; 0: none

	Assets     *asset.Service     // nil: one that lists what others discovered
	Principals *principal.Service // nil: one that lists what others saw

	Risk *risk.Service // nil: one that shows what others computed

	Exposure *exposure.Service // nil: one that lists what others found

	Compliance *compliance.Service // nil: one that knows the built-in catalogues
	// CollectEvidence starts the job that evaluates what was chosen; nil: another process does.
	CollectEvidence func(ctx context.Context, tenant uint32, actor string, chosen compliance.Selection) (*job.Job, error)

	Reports *report.Service // nil: there are none

	Evidence *evidence.Service // nil: one that lists what others kept, without files

	Requests *dsr.Service // its Run may be another process's

	Exports *Exports // nil: exports are written to the caller only

	Playbooks *playbook.Service

	Webhooks *webhook.Service
	Notifier *notify.Notifier // sends tests; its Run may be another process's

	Notices    *notice.Service    // its Run feeds the streams
	Connectors *connector.Service // its Run may be another process's

	Indicators *intel.Service
	Feeds      *intel.Feeds // its Run may be another process's

	// Ingest serves POST /api/v1/ingest: the caller is known and may write, the
	// headers of rate limit and request id are set, the body is unread and
	// unbounded. Its requests do not count against the plan's limit.
	Ingest func(w http.ResponseWriter, r *http.Request, caller identity.Caller)

	Demo Demo // its zero value: another process loads demo data

	// CollectorAddress is host:port that collectors reach the server by; nil: not known.
	CollectorAddress func() string

	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
	Version string           // of the program, for the documentation

	// SearchTime bounds one search; 0 means 30 seconds. Searches bounds how many
	// run at a time, so that they cannot starve detection; 0 means 8.
	SearchTime time.Duration
	Searches   int

	// Secure tells that people reach the server over TLS: the session's cookie is then
	// for TLS alone. Origins are where the console is served from besides the server's own
	// address, such as https://kyra.example.com behind a proxy that changes the host.
	Secure  bool
	Origins []string
	URL     func() string // where people reach the console, for links; nil: not known

	// SessionPerMinute bounds the requests of one person; 0 means 3,000.
	SessionPerMinute int

	// AnonymousPerMinute bounds requests without a usable key by address; 0 means 60.
	AnonymousPerMinute int
}

type api struct {
	Config
	log        *slog.Logger
	huma       huma.API
	mux        *http.ServeMux
	origins    *http.CrossOriginProtection
	open       map[string]bool // "POST /api/v1/session": calls without a caller
	frameworks *http.ServeMux  // of paths under byFramework
	limits     *fixedWindow
	changing   locks
	searching  chan struct{} // holds one token for each running search
	searches   searches      // that were written down lately
	uploading  chan struct{} // holds one token for each file that is taken in
	importer   *content.Importer
	writing    chan struct{} // holds one token for each export that is being written
	resources  map[string]*exported
	views      *view.Service
}

// New returns the handler of everything under /api/v1/.
func New(c Config) (http.Handler, error) {
	for name, missing := range map[string]bool{
		"DB": c.DB == nil, "Keys": c.Keys == nil, "Accounts": c.Accounts == nil, "Tenants": c.Tenants == nil, "Alerts": c.Alerts == nil, "Incidents": c.Incidents == nil,
		"Rules": c.Rules == nil, "Sources": c.Sources == nil, "Fleet": c.Fleet == nil, "Privacy": c.Privacy == nil, "Events": c.Events == nil, "Ingest": c.Ingest == nil, "Log": c.Log == nil, "Signer": c.Signer == nil,
		"Requests":   c.Requests == nil,
		"Indicators": c.Indicators == nil, "Feeds": c.Feeds == nil,
		"Webhooks": c.Webhooks == nil, "Notifier": c.Notifier == nil,
		"Playbooks": c.Playbooks == nil,
		"Notices":   c.Notices == nil, "Connectors": c.Connectors == nil,
	} {
		if missing {
			return nil, fmt.Errorf("api: Config.%s is missing", name)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.CollectorAddress == nil {
		c.CollectorAddress = func() string { return "SERVER:PORT" }
	}
	if c.SearchTime == 0 {
		c.SearchTime = 30 * time.Second
	}
	if c.Searches == 0 {
		c.Searches = 8
	}
	if c.AnonymousPerMinute == 0 {
		c.AnonymousPerMinute = 60
	}
	if c.URL == nil {
		c.URL = func() string { return "" }
	}
	if c.SessionPerMinute == 0 {
		c.SessionPerMinute = 3000
	}
	if c.Sight == nil {
		c.Sight = sight.New(c.DB, sight.Options{Log: c.Log, Now: c.Now, Lists: c.Rules.Lists, Active: c.Rules.Active})
	}
	if err := c.openLogSources(); err != nil {
		return nil, err
	}
	c.openWorkbench()
	c.openAssets()
	c.openIdentities()
	c.openQuarantine()
	c.openRisk()
	c.openExposure()
	c.openCompliance()
	c.openEvidence()
	a := &api{Config: c, log: c.Log, mux: http.NewServeMux(), frameworks: http.NewServeMux(), limits: newFixedWindow(), searching: make(chan struct{}, c.Searches), uploading: make(chan struct{}, maxUploads)}
	a.views = view.New(c.DB, c.Now)
	a.writing, a.resources = make(chan struct{}, maxExports), map[string]*exported{}
	a.origins = http.NewCrossOriginProtection()
	for _, o := range c.Origins {
		if err := a.origins.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("api: Config.Origins: %w", err)
		}
	}
	a.importer = &content.Importer{Rules: c.Rules, Sight: c.Sight}
	useProblems()
	a.register()
	loosen(a.huma.OpenAPI())
	a.documentation()
	return a, nil
}

// register puts every operation into the router and its description.
func (a *api) register() {
	a.open = map[string]bool{}
	a.huma = huma.NewAPI(humaConfig(a.Version), &router{a.mux, a})
	a.alerts()
	a.incidents()
	a.incidentWork()
	a.incidentFigures()
	a.incidentClocks()
	a.changes()
	a.auditLogs()
	a.exports()
	a.search()
	a.rules()
	a.ruleVersions()
	a.workbench()
	a.jobs()
	a.rulePacks()
	a.valueLists()
	a.collectors()
	a.logSources()
	a.assets()
	a.identities()
	a.keys()
	a.sessions()
	a.users()
	a.profile()
	a.passkeys()
	a.singleSignOn()
	a.provisioning()
	a.tenants()
	a.retention()
	a.demo()
	a.savedViews()
	a.webhooks()
	a.playbooks()
	a.notifications()
	a.connectors()
	a.indicators()
	a.ingestTokens()
	a.masking()
	a.quarantine()
	a.ledger()
	a.canary()
	a.risk()
	a.subdomains()
	a.requests()
	a.compliance()
	a.evidence()
	a.complianceReport()
	a.reports()
	a.mux.HandleFunc("POST "+ingestPath, a.ingest)
}

func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("KYRA", version)
	// No $schema in bodies, no pages of huma's own: they need a network.
	c.CreateHooks, c.OpenAPIPath, c.DocsPath, c.SchemasPath = nil, "", "", ""
	json := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	c.Formats = map[string]huma.Format{"application/json": json, "json": json}
	c.OnAddOperation = []huma.AddOpFunc{tidy}
	c.Components.Headers, c.Components.Responses = rateHeaders(), errorAnswers()
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":     {Type: "http", Scheme: "bearer", Description: "An API key, as POST /api/v1/api-keys shows it once."},
		"session": {Type: "apiKey", In: "cookie", Name: cookiePlain, Description: "The cookie of a session, as POST /api/v1/session sets it; over TLS its name is " + cookieSecure + "."},
	}
	return c
}

const ingestPath = base + "/ingest"

func (a *api) ingest(w http.ResponseWriter, r *http.Request) {
	caller := callerOf(r)
	if p := refused(&caller, identity.Ingest.Write()); p != nil {
		p.write(w)
		return
	}
	a.Ingest(w, r, caller)
}

// public tells which calls need no caller.
func (a *api) public(r *http.Request) bool {
	return r.URL.Path == specPath || r.URL.Path == docsPath || a.open[r.Method+" "+r.URL.Path]
}

type callerKey struct{}

// sender is who sent a request, with what a session tells beside.
type sender struct {
	identity.Caller
	signed *account.Signed // nil for a key
}

// senderOf returns who sent r; admit has put it there.
func senderOf(r *http.Request) sender {
	s, _ := r.Context().Value(callerKey{}).(sender)
	return s
}

// callerOf returns who sent r.
func callerOf(r *http.Request) identity.Caller { return senderOf(r).Caller }

// ServeHTTP implements http.Handler: request id, panics, key, rate limit, route.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := requestID(r)
	aw := &answer{ResponseWriter: w}
	h := aw.Header()
	h["X-Request-Id"] = []string{id}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if a.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	log := a.log.With("request_id", id)
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v) // the server's own way to end a connection
		}
		log.ErrorContext(r.Context(), "request panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", stack())
		if aw.begun {
			panic(http.ErrAbortHandler) // the answer is torn: say so by ending the connection
		}
		internalError().write(aw)
	}()
	if r, ok := a.admit(aw, r, log); ok {
		a.route(aw, r)
	}
}

// admit finds out who calls and whether they may go on now; if not it has
// answered.
func (a *api) admit(w http.ResponseWriter, r *http.Request, log *slog.Logger) (*http.Request, bool) {
	from := remoteAddr(r)
	now := a.Now()
	if a.public(r) || !strings.HasPrefix(r.URL.Path, base+"/") {
		if !a.charge(w, addressKey(from), a.AnonymousPerMinute, 1, now) || !a.sameOrigin(w, r) {
			return r, false
		}
		return r.WithContext(audit.From(r.Context(), audit.Origin{Address: addressText(from), Request: w.Header().Get("X-Request-Id")})), true
	}
	who, err := a.authenticate(r, from)
	if err != nil {
		p := problemFor(r.Context(), log, err)
		if a.charge(w, addressKey(from), a.AnonymousPerMinute, 1, now) {
			if p.Status == http.StatusUnauthorized && a.sessionToken(r) != "" {
				http.SetCookie(w, new(a.cookie("")))
			}
			p.write(w)
		}
		return r, false
	}
	cost := int64(1)
	if r.URL.Path == ingestPath {
		cost = 0 // bounded by events, not by requests
	}
	key, limit := who.Tenant.ID, who.Tenant.Limits().RequestsPerMinute
	if who.UserID != "" {
		// The console asks more often than a plan allows to programs.
		key, limit = "user "+who.UserID, a.SessionPerMinute
	}
	if !a.charge(w, key, limit, cost, now) || who.UserID != "" && !a.sameOrigin(w, r) {
		return r, false
	}
	ctx := context.WithValue(r.Context(), callerKey{}, who)
	return r.WithContext(audit.From(ctx, audit.Origin{Address: addressText(from), KeyID: who.KeyID, Request: w.Header().Get("X-Request-Id")})), true
}

// sameOrigin refuses what another site makes a browser do in the name of who has signed
// in. Programs, which send neither Origin nor Sec-Fetch-Site, pass.
func (a *api) sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	if a.origins.Check(r) == nil {
		return true
	}
	(&problem{Err: "Forbidden", Message: "The request comes from another site", Status: http.StatusForbidden}).write(w)
	return false
}

// charge counts a request and writes the headers of the limit, and 429 when it is
// over.
func (a *api) charge(w http.ResponseWriter, key string, limit int, cost int64, now time.Time) bool {
	left := a.limits.take(key, int64(limit), cost, now)
	left.write(w.Header())
	if left.ok {
		return true
	}
	p := &problem{Err: "Too many requests", Message: "Rate limit exceeded", Status: http.StatusTooManyRequests, retryAfter: left.wait}
	p.write(w)
	return false
}

// authenticate takes the key where there is one, and else the session's cookie.
func (a *api) authenticate(r *http.Request, from netip.Addr) (sender, error) {
	given := r.Header.Values("Authorization")
	if token := a.sessionToken(r); len(given) == 0 && token != "" {
		signed, err := a.Accounts.Authenticate(r.Context(), token)
		if err != nil {
			return sender{}, err
		}
		return sender{signed.Caller, signed}, nil
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || len(given) > 1 {
		return sender{}, fault.New(fault.Unauthenticated, "missing or invalid API key")
	}
	c, err := a.Keys.Authenticate(r.Context(), strings.TrimSpace(token), from)
	return sender{Caller: c}, err
}

// remoteAddr is the peer's address; the zero Addr where there is none, such as
// on a Unix socket.
func remoteAddr(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// route finds the call; unknown paths and methods get their answers in our form,
// which the mux does not know.
func (a *api) route(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != path.Clean(r.URL.Path) {
		notFound().write(w) // the mux would redirect
		return
	}
	methods := ""
	for _, mux := range []*http.ServeMux{a.mux, a.frameworks} {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		rec := newRecorded()
		h.ServeHTTP(rec, r)
		if rec.status == http.StatusMethodNotAllowed && methods == "" {
			methods = rec.header.Get("Allow")
		}
	}
	if methods != "" {
		w.Header().Set("Allow", methods)
		(&problem{Err: "Method not allowed", Message: "Allowed: " + methods, Status: http.StatusMethodNotAllowed}).write(w)
		return
	}
	notFound().write(w)
}
