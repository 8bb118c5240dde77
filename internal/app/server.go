package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/api"
	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/console"
	"github.com/kyra-mdr/kyra/internal/dsr"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/ingest"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/pipeline"
	"github.com/kyra-mdr/kyra/internal/playbook"
	"github.com/kyra-mdr/kyra/internal/privacy"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/retention"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/run"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/telemetry"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

// Server is a whole server: everything is open and its addresses are bound.
type Server struct {
	// FirstKey is the secret of the API key that the first start made; "" later.
	FirstKey string
	// SetupLink makes the first account; "" once there is one.
	SetupLink string

	cfg      config.Config
	log      *slog.Logger
	folder   *folder
	db       *sqldb.DB
	archive  *archive.Archive
	store    eventstore.Store
	storeRun run.Service // nil where the storage nodes are not ours
	queue    *queue.Queue
	gate     *ingest.Gate
	syslog   *ingest.Syslog
	gelf     *ingest.GELF
	listener net.Listener
	http     *http.Server
	fleet    *fleet.Service
	agents   agents
	health   telemetry.Health
	metrics  *metrics.Set
	disk     *diskGuard

	accounts   *account.Service
	tenants    *tenantCache
	sources    *source.Service
	logs       *logsource.Service
	privacy    *privacy.Service
	detection  detection
	signer     *audit.Signer
	exports    *api.Exports
	owner      uint32 // the default tenant: it is told what concerns the server itself
	integrity  integrity
	telling    telling
	playbooks  *playbook.Service
	indicators indicators
	observers  observers
	risk       *risk.Service
	exposure   *exposure.Service
	requests   *dsr.Service
	proof      proof
	pipeline   *pipeline.Pipeline
	keeper     *retention.Keeper
}

// Open opens every part in order. What it opened is closed again when a later
// part fails. exe starts this program: the event store's child runs from it.
func Open(ctx context.Context, cfg config.Config, exe []string, log *slog.Logger) (*Server, error) {
	s := &Server{cfg: cfg, log: log, metrics: metrics.NewSet()}
	if err := s.open(ctx, exe); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context, exe []string) error {
	var err error
	// The sockets first: a port that is taken is the fault most often made.
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen for the API: %w: choose another address with --listen", err)
	}
	if s.folder, err = openFolder(s.cfg.Data); err != nil {
		return err
	}
	s.disk = &diskGuard{path: s.folder.path, minimum: uint64(s.cfg.Retention.MinFreeBytes), log: s.log} //nolint:gosec // Validate refuses negative sizes
	s.disk.look(ctx)
	s.health.Add("disk", s.disk.check)

	if s.db, err = OpenDatabase(ctx, s.cfg, s.folder.path); err != nil {
		return err
	}
	s.health.Add("database", s.db.Ping)
	now := time.Now
	tenants := tenant.New(s.db)
	keys := identity.New(s.db, tenants, s.log, now)
	first, err := s.firstStart(ctx, tenants, keys)
	if err != nil {
		return err
	}
	s.owner = first.Number
	if err := s.openAccounts(ctx, tenants, keys, now); err != nil {
		return err
	}
	if s.tenants, err = newTenantCache(ctx, tenants); err != nil {
		return err
	}
	s.sources = source.New(s.db, now)

	if s.archive, err = archive.Open(s.folder.in("archive"), s.log); err != nil {
		return err
	}
	if err := s.openStore(exe); err != nil {
		return err
	}
	if err := s.openDetection(ctx, now); err != nil {
		return err
	}
	s.openRisk(now)
	known, err := pipeline.Base(ctx, s.db)
	if err != nil {
		return err
	}
	// The database may be a backup, older than the archive.
	archived, err := s.archive.LastSeqs(ctx)
	if err != nil {
		return err
	}
	for p, seq := range archived {
		known[p] = max(known[p], seq)
	}
	s.queue, err = queue.Open(ctx, queue.Config{
		URL: string(s.cfg.Queue.URL), Dir: s.folder.in("queue"), Partitions: s.cfg.Queue.Partitions,
		MaxBytes: int64(s.cfg.Queue.MaxBytes), Replicas: s.cfg.Queue.Replicas,
	}, known, s.log)
	if err != nil {
		return err
	}
	s.health.Add("queue", func(ctx context.Context) error {
		_, _, err := s.queue.Backlog(ctx)
		return err
	})
	zone, err := time.LoadLocation(s.cfg.Syslog.TimeZone)
	if err != nil {
		return fmt.Errorf("syslog.time_zone: %w", err)
	}
	days, err := retention.LoadDays(ctx, s.db, 0)
	if err != nil {
		return err
	}
	if err := s.openLogSources(ctx, now, zone); err != nil {
		return err
	}
	s.openObservers(now)
	s.risk.SetWorth((&worths{assets: s.observers.assets, principals: s.observers.principals, now: now, known: map[uint32]*knownWorth{}}).of)
	s.pipeline = pipeline.New(pipeline.Config{
		Days:  days,
		Queue: s.queue, Archive: s.archive, Store: s.store, DB: s.db, Rulesets: s.detection.rulesets.get, Sources: s.sources,
		Record: s.detection.record, Zone: zone, Metrics: pipeline.NewMetrics(s.metrics), Log: s.log, Now: now,
		Observe: s.observe, Sample: s.detection.rulesets.observe,
		Enrich:   s.indicators.matcher.Enrich,
		Settings: s.logs.For, Seen: s.logs.Observe, Erased: s.requests.Erased,
	})
	s.keeper = retention.New(retention.Config{
		DB: s.db, Archive: s.archive, Store: s.store, Tenants: tenants, Days: days, Log: s.log, Now: now, MaxBytes: int64(s.cfg.Retention.MaxBytes),
		Holding: s.requests.Holding,
		Removing: func(ctx context.Context, tenant uint32, before time.Time) {
			s.telling.connectors.LetGo(ctx, tenant, before)
		},
	})
	if err := s.openMasking(ctx); err != nil {
		return err
	}
	if err := s.openIngest(ctx, first); err != nil {
		return err
	}
	if err := s.openFleet(ctx, now); err != nil {
		return err
	}
	if err := s.openTelling(now); err != nil {
		return err
	}
	s.openFeeds(now)
	if err := s.openSigner(); err != nil {
		return err
	}
	s.equipEvidence()
	s.equipAssessment()
	s.equipReports()
	handler, err := api.New(api.Config{
		SSO:      s.singleSignOn(now),
		Accounts: s.accounts, Tenants: tenants, Secure: s.secure(), Origins: s.origins(), URL: s.URL,
		Notices: s.telling.notices, Connectors: s.telling.connectors,
		DB: s.db, Keys: keys, Alerts: s.detection.alerts, Incidents: s.detection.incidents, Rules: s.detection.rules, Sources: s.sources, Fleet: s.fleet, CollectorAddress: s.collectorAddress, Privacy: s.privacy, Events: s.store,
		Sight: s.detection.sights, Workbench: s.detection.workbench, Quarantine: s.integrity.quarantine, Canary: s.detection.canary, ServerTenant: first.Number, Jobs: s.detection.jobs, LogSources: s.logs, Webhooks: s.telling.hooks, Notifier: s.telling.notifier, Ingest: s.ingestHTTP, Log: s.log, Now: now, Version: Version(),
		Signer:     s.signer,
		Indicators: s.indicators.service,
		Feeds:      s.indicators.feeds,
		Assets:     s.observers.assets,
		Principals: s.observers.principals,
		Exports:    s.exports,
		Playbooks:  s.playbooks,
		Risk:       s.risk,
		Requests:   s.requests,
		Exposure:   s.exposure,
		Compliance: s.proof.service,

		CollectEvidence: s.collectEvidence,
		Demo:            api.Demo{Load: s.startDemo(tenants), Remove: s.endDemo},
		Evidence:        s.proof.evidence,
		Reports:         s.proof.reports,
	})
	if err != nil {
		return err
	}
	front, err := console.Handler(s.withDoors(keys, s.withDirectory(handler)))
	if err != nil {
		return err
	}
	s.openHTTP(front)
	return nil
}

// OpenDatabase opens and migrates the control database of a server whose data
// lies in dir.
func OpenDatabase(ctx context.Context, cfg config.Config, dir string) (*sqldb.DB, error) {
	if cfg.Database.URL == "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	return migrated(ctx, func() (*sqldb.DB, error) { return sqldb.Open(ctx, databaseURL(cfg, dir)) })
}

func databaseURL(cfg config.Config, dir string) string {
	if url := string(cfg.Database.URL); url != "" {
		return url
	}
	return "sqlite:" + filepath.Join(dir, databaseFile)
}

// migrated opens a database and migrates it.
func migrated(ctx context.Context, open func() (*sqldb.DB, error)) (*sqldb.DB, error) {
	db, err := open()
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// OpenExisting opens and migrates the control database of a server that has been
// started before; it may be running.
func OpenExisting(ctx context.Context, cfg config.Config) (*sqldb.DB, error) {
	return migrated(ctx, func() (*sqldb.DB, error) { return OpenAsIs(ctx, cfg) })
}

// OpenAsIs is OpenExisting for who must leave the schema alone: a backup before an upgrade.
func OpenAsIs(ctx context.Context, cfg config.Config) (*sqldb.DB, error) {
	if cfg.Database.URL == "" {
		if _, err := os.Stat(filepath.Join(cfg.Data, databaseFile)); errors.Is(err, os.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "there is no server's data in %s: start kyra serve first, or name its folder with --data", cfg.Data)
		}
	}
	return sqldb.Open(ctx, databaseURL(cfg, cfg.Data))
}

// databaseFile is the name of the SQLite file in the data folder.
const databaseFile = "kyra.db"

// firstStart makes the default tenant and, where the installation has no key at
// all, one that can do everything.
func (s *Server) firstStart(ctx context.Context, tenants *tenant.Service, keys *identity.Service) (*tenant.Tenant, error) {
	t, err := tenants.ByName(ctx, s.cfg.Tenant)
	if isNotFound(err) && s.cfg.Tenant == tenant.DefaultName {
		t, err = tenants.Default(ctx) // it was given a name of its own
	}
	if isNotFound(err) {
		t, err = tenants.Create(ctx, "setup", tenant.Draft{Name: s.cfg.Tenant, RetentionDays: s.cfg.Retention.Days})
	}
	if err != nil {
		return nil, fmt.Errorf("default tenant: %w", err)
	}
	_, n, err := keys.List(ctx, t.Number, identity.Filter{})
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return t, nil
	}
	_, secret, err := keys.Create(ctx, t.Number, "setup", identity.Draft{Name: "first key", Scope: identity.ReadWrite})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.folder.in("first-key"), []byte(secret+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write first key: %w", err)
	}
	s.FirstKey = secret
	return t, nil
}

func (s *Server) openIngest(ctx context.Context, t *tenant.Tenant) error {
	s.gate = ingest.New(ingest.Config{Append: s.privacy.Guard(s.disk.guarded(s.queue.Append)), Log: s.log})
	secure, err := syslogTLS(s.cfg.Syslog)
	if err != nil {
		return err
	}
	number := t.Number
	s.syslog, err = s.gate.ListenSyslog(ctx, ingest.SyslogConfig{
		UDP: s.cfg.Syslog.UDP, TCP: s.cfg.Syslog.TCP, TLS: s.cfg.Syslog.TLS, RELP: s.cfg.Syslog.RELP, RELPTLS: s.cfg.Syslog.RELPTLS, TLSConfig: secure,
		Tenant: func() ingest.Tenant { return s.tenants.ingest(number) },
	})
	if err != nil {
		return fmt.Errorf("listen for syslog: %w", err)
	}
	s.gelf, err = s.gate.ListenGELF(ctx, ingest.GELFConfig{
		UDP: s.cfg.GELF.UDP, TCP: s.cfg.GELF.TCP,
		Tenant: func() ingest.Tenant { return s.tenants.ingest(number) },
	})
	if err != nil {
		return fmt.Errorf("listen for GELF: %w", err)
	}
	return nil
}

func (s *Server) ingestHTTP(w http.ResponseWriter, r *http.Request, c identity.Caller) {
	limits := c.Tenant.Limits()
	s.gate.HTTP(w, r, ingest.Caller{
		Tenant: ingest.Tenant{Number: c.Tenant.Number, EventsPerSecond: limits.EventsPerSecond}, Key: c.KeyID,
	})
}

func (s *Server) openHTTP(apiHandler http.Handler) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health.Live)
	mux.HandleFunc("GET /readyz", s.health.Ready)
	mux.Handle("GET /metrics", s.metricsPage())
	mux.Handle("/", apiHandler)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // OpenTelemetry's exporters call with gRPC, without TLS on a host of their own
	s.http = &http.Server{
		Protocols: &protocols,
		Handler:   mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(s.telling.notices.CloseStreams)
}

func (s *Server) metricsPage() http.Handler {
	s.metrics.NewGauge("kyra_disk_free_bytes", func() float64 { return float64(s.disk.free.Load()) })
	page := telemetry.MetricsHandler(s.metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.ServeHTTP(w, r)
		s.gate.WriteMetrics(w)
		s.detection.books.writeMetrics(w)
		s.privacy.WriteMetrics(w)
		s.detection.canary.WriteMetrics(w)
		s.observers.writeMetrics(w)
		fmt.Fprintf(w, "kyra_detect_left_out_rules %d\n", s.detection.rulesets.leftOut())
		if messages, bytes, err := s.queue.Backlog(r.Context()); err == nil {
			fmt.Fprintf(w, "kyra_queue_messages %d\nkyra_queue_bytes %d\n", messages, bytes)
		}
	})
}

// URL is where the API answers.
func (s *Server) URL() string {
	if s.cfg.PublicURL != "" {
		return strings.TrimSuffix(s.cfg.PublicURL, "/")
	}
	scheme := "http"
	if s.cfg.TLS.Cert != "" {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// SyslogAddrs returns the bound addresses of the syslog listeners, "" where off.
func (s *Server) SyslogAddrs() (udp, tcp, tls string) {
	text := func(a net.Addr) string {
		if a == nil {
			return ""
		}
		return a.String()
	}
	return text(s.syslog.UDPAddr()), text(s.syslog.TCPAddr()), text(s.syslog.TLSAddr())
}

// Drained tells whether everything that was acknowledged is processed and synced.
func (s *Server) Drained(ctx context.Context) (bool, error) {
	messages, _, err := s.queue.Backlog(ctx)
	return err == nil && messages == 0, err
}

// Run serves until ctx is done and then stops in order: intake first, then the
// queue's door, then the pipeline, then the event store. What was acknowledged
// is processed or stays in the queue. ready is called when everything serves.
func (s *Server) Run(ctx context.Context, ready func()) error {
	if err := s.resumeDemos(ctx, tenant.New(s.db)); err != nil {
		s.log.WarnContext(ctx, "demo data that a process left empty stays so until the next start", "err", err)
	}
	var store []run.Service
	if s.storeRun != nil {
		store = append(store, s.storeRun)
	}
	return run.Tiers(ctx,
		store,
		[]run.Service{
			s.pipeline.Run,
			s.runMasking,
			s.fleet.Run,
			s.detection.rulesets.run,
			s.detection.books.run,
			s.detection.sights.Run,
			s.logs.Run,
			s.observers.assets.Run,
			s.observers.principals.Run,
			s.detection.jobs.Run,
			s.risk.Run,
			s.requests.Run,
			s.proof.service.Run,
			s.proof.assessor.Run,
			s.proof.reports.Schedule,
			s.exposure.Run,
			s.telling.notifier.Run,
			s.playbooks.Run,
			s.telling.notices.Run,
			s.telling.connectors.Run,
			s.indicators.matcher.Run,
			s.indicators.feeds.Run,
			s.watchIncidents,
			s.watchAudit,
			s.watchEvidence,
			s.keeper.Run,
			s.watchLedger,
			s.detection.canary.Run,
			s.tenants.run,
			s.disk.run,
		},
		[]run.Service{s.queue.Run},
		[]run.Service{s.serveHTTP, s.agents.run, s.syslog.Run, s.gelf.Run, s.heartbeat, func(ctx context.Context) error {
			if err := s.awaitStore(ctx); err != nil {
				return err
			}
			s.health.SetServing(true)
			defer s.health.SetServing(false)
			if ready != nil && ctx.Err() == nil {
				ready()
			}
			<-ctx.Done()
			return nil
		}},
	)
}

func (s *Server) serveHTTP(ctx context.Context) error {
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err := s.http.Shutdown(drain)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests did not end in time: %w", err), s.http.Close())
		}
		done <- err
	})
	err := s.http.Serve(s.agents.front.API())
	// The same stop closes the front: either of the two may be first.
	if stopped := ctx.Err() != nil && errors.Is(err, net.ErrClosed); !stopped && !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the API: %w", err)
	}
	if err := <-done; err != nil {
		s.log.WarnContext(ctx, "API stopped late", "err", err)
	}
	return nil
}

// watchIncidents notices incidents that become overdue.
func (s *Server) watchIncidents(ctx context.Context) error {
	return s.detection.incidents.Run(ctx, s.log)
}

// heartbeat shows the server's own inputs as a collector that is there.
func (s *Server) heartbeat(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	tick := time.NewTicker(source.BeatEvery)
	defer tick.Stop()
	for {
		for _, number := range s.tenants.numbers() {
			err := s.sources.Heartbeat(ctx, s.db, source.Beat{Tenant: number, Name: source.Server, Hostname: host, Version: Version(), OSFamily: osFamily})
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "heartbeat not written", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close closes every part. Run has ended before.
func (s *Server) Close() error {
	var errs []error
	if s.syslog != nil {
		s.syslog.Close()
	}
	if s.gelf != nil {
		s.gelf.Close()
	}
	if s.listener != nil {
		_ = s.listener.Close() // Run has closed it already
	}
	s.agents.close()
	if s.queue != nil {
		s.queue.Close()
	}
	if s.archive != nil {
		errs = append(errs, s.archive.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.close())
	}
	return errors.Join(errs...)
}
