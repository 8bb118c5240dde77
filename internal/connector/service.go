package connector

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Config is what a Service needs; all but Now is required.
type Config struct {
	DB     *sqldb.DB
	Hooks  *webhook.Service
	Sealer *seal.Sealer
	Guard  *outbound.Guard
	Render func(webhook.Format, *outbox.Message) string // the body that a receiver gets
	Alerts *alert.Service
	Events *arrival.Reader
	Agent  string // the program, for User-Agent
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	db      *sqldb.DB
	hooks   *webhook.Service // of connectors
	client  *http.Client
	testing chan struct{} // holds one token for each test that runs
	traffic traffic
}

// New returns the use cases; Run does what goes by the clock.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{
		Config: c, db: c.DB, hooks: c.Hooks.Of(webhook.OfConnector), testing: make(chan struct{}, 8), traffic: traffic{minutes: map[minuteOf]*Minute{}},
		client: c.Guard.Client(outbound.Limits{Total: callFor, Body: maxAnswer}),
	}
}

const (
	maxConnectors = 100 // of one tenant
	callFor       = 15 * time.Second
	maxAnswer     = 1 << 20
)

var errNone = fault.New(fault.NotFound, "no such connector")

// A Draft describes a connector to make or to try.
type Draft struct {
	Name     string
	Kind     Kind
	Config   map[string]json.RawMessage
	Disabled bool
}

// Create makes a connector. Another one of that name is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, d Draft) (*Connector, error) {
	c, secrets, err := s.draft(tenant, d)
	if err != nil {
		return nil, err
	}
	if c.Name, err = checkName(d.Name); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap("create connector", err)
	}
	c.ID, c.CreatedBy, c.Version, c.Enabled = id.String(), actor, 1, !d.Disabled
	c.CreatedAt = s.now()
	c.UpdatedAt = c.CreatedAt
	c.secrets = s.sealed(c, secrets)
	c.DoneUntil = c.CreatedAt
	if c.Kind == S3 { // the names of objects are of whole minutes
		c.DoneUntil = c.CreatedAt.Truncate(time.Minute)
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM connector WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxConnectors {
			return fault.New(fault.Conflict, "there are %d connectors, and no more are allowed: delete one", n)
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO connector (id, tenant, name, kind, settings, secrets, enabled, done_until, created_at, created_by, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)`,
			c.ID, int64(tenant), c.Name, string(c.Kind), c.encode(), c.secrets, c.Enabled, c.DoneUntil.UnixMicro(), c.CreatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		if c.Kind.receives() {
			if err := s.hooks.Own(ctx, tx, &webhook.Webhook{ID: c.ID, Tenant: tenant, Name: c.Name, Enabled: c.Enabled, CreatedBy: actor}); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: c.CreatedAt, Actor: actor, Action: "connector.create", Object: c.ID, Detail: describe(c)})
	})
	if err != nil {
		return nil, fault.Wrap("create connector", taken(err))
	}
	return s.Get(ctx, tenant, c.ID)
}

// draft checks kind and configuration of a connector that is not there yet.
func (s *Service) draft(tenant uint32, d Draft) (*Connector, map[string]any, error) {
	if !slices.Contains(Kinds, d.Kind) {
		return nil, nil, fault.New(fault.Invalid, "Allowed: %s", join(Kinds)).In("kind")
	}
	config, secrets, err := s.read(d.Kind, d.Config, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	return &Connector{Tenant: tenant, Kind: d.Kind, Config: config, SecretsSet: names(secrets)}, secrets, nil
}

func join(kinds []Kind) string {
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = string(k)
	}
	return strings.Join(all, ", ")
}

// sealed is the secrets as they are stored.
func (s *Service) sealed(c *Connector, secrets map[string]any) []byte {
	b, err := json.Marshal(secrets)
	if err != nil {
		panic(err) // texts always marshal
	}
	return s.Sealer.Seal(c.Tenant, purpose(c.ID), b)
}

// opened is the secrets of a stored connector.
func (s *Service) opened(c *Connector) (map[string]any, error) {
	b, err := s.Sealer.Open(c.Tenant, purpose(c.ID), c.secrets)
	if err != nil {
		return nil, err
	}
	var secrets map[string]any
	return secrets, json.Unmarshal(b, &secrets)
}

// settings is the configuration of a stored connector with its secrets.
func (s *Service) settings(c *Connector) (settings, error) {
	secrets, err := s.opened(c)
	if err != nil {
		return nil, err
	}
	return both(c.Config, secrets), nil
}

func both(config, secrets map[string]any) settings {
	all := settings{}
	for _, m := range []map[string]any{config, secrets} {
		maps.Copy(all, m)
	}
	return all
}

// describe is a connector as the audit log names it.
func describe(c *Connector) map[string]any {
	host := c.settingsHost()
	return map[string]any{"name": c.Name, "kind": c.Kind, "host": host, "enabled": c.Enabled}
}

func (c *Connector) settingsHost() string {
	conf := settings(c.Config)
	for _, name := range []string{"url", "endpoint"} {
		if v := conf.text(name); v != "" {
			return hostOf(v)
		}
	}
	return conf.text("host")
}

func checkName(s string) (string, error) {
	const most = 100
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < 1 || n > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d characters in one line", most).In("name")
	}
	return s, nil
}

func taken(err error) error {
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "there is a connector of that name").In("name").Because(err)
	}
	return err
}

// A Patch is a change of a connector; nil fields stay as they are.
type Patch struct {
	Name    *string
	Config  map[string]json.RawMessage // all of it anew; secrets that are left out stay, null takes one out
	Enabled *bool
	Version int64 // that the change was made on; 0 for any. Another one is fault.Conflict in field "version"
}

// Change changes the tenant's connector and returns it as it then is.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Connector, error) {
	if p.Name == nil && p.Config == nil && p.Enabled == nil {
		return nil, fault.New(fault.Invalid, "Give at least one of name, config, enabled")
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		c, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if p.Version != 0 && p.Version != c.Version {
			return fault.New(fault.Conflict, "the connector was changed meanwhile: it is at version %d", c.Version).In("version")
		}
		before, forwarded := describe(c), c.forwards()
		if p.Name != nil {
			if c.Name, err = checkName(*p.Name); err != nil {
				return err
			}
		}
		if p.Enabled != nil {
			c.Enabled = *p.Enabled
		}
		if p.Config != nil {
			kept, err := s.opened(c)
			if err != nil {
				return err
			}
			config, secrets, err := s.read(c.Kind, p.Config, c.Config, kept)
			if err != nil {
				return err
			}
			c.Config, c.secrets = config, s.sealed(c, secrets)
		}
		c.UpdatedAt = s.now()
		if c.forwards() && !forwarded { // from now on
			c.eventsSeq, c.DoneUntil = -1, c.UpdatedAt
		}
		anew := p.Config != nil || p.Enabled != nil
		failing := `failing_since`
		if anew { // how long it failed as it was tells nothing of it as it is
			failing = `NULL`
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE connector SET name = $2, settings = $3, secrets = $4, enabled = $5, check_at = 0, next_at = 0, version = version + 1, updated_at = $6, events_seq = $7, done_until = $8, failing_since = `+failing+` WHERE id = $1`,
			c.ID, c.Name, c.encode(), c.secrets, c.Enabled, c.UpdatedAt.UnixMicro(), c.eventsSeq, c.DoneUntil.UnixMicro()); err != nil {
			return err
		}
		if c.Kind.receives() {
			if err := s.hooks.Owned(ctx, tx, tenant, c.ID, c.Name, c.Enabled, anew); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: c.UpdatedAt, Actor: actor, Action: "connector.update", Object: c.ID, Detail: map[string]any{"from": before, "to": describe(c), "config": p.Config != nil}})
	})
	if err != nil {
		return nil, fault.Wrap("change connector", taken(err))
	}
	return s.Get(ctx, tenant, id)
}

// Delete removes the connector and all that is known of it. One that a notification
// channel sends through is fault.Conflict.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("delete connector", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		c, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		users, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT name FROM notice_channel WHERE tenant = $1 AND connector_id = $2 ORDER BY id LIMIT 1`, int64(tenant), c.ID)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fault.New(fault.Conflict, "the notification channel %q sends through it: change or delete that first", users[0])
		}
		if err := s.hooks.Disown(ctx, tx, c.ID); err != nil {
			return err
		}
		for _, t := range []string{"connector_health", "connector_minute"} {
			if _, err := sqldb.Exec(ctx, tx, `DELETE FROM `+t+` WHERE connector_id = $1`, c.ID); err != nil {
				return err
			}
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM connector WHERE id = $1`, c.ID); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "connector.delete", Object: c.ID, Detail: describe(c)})
	}))
}

const selectConnector = `SELECT id, tenant, name, kind, settings, secrets, enabled, done_until, next_at, lease_until, last_success, last_failure, last_error, version, created_at, created_by, updated_at, events_seq, events_to, events_sent, events_dropped, failing_since FROM connector`

func scan(rows *sql.Rows, c *Connector) error {
	var tenant int64
	var config string
	var next time.Time
	var events Forwarded
	err := rows.Scan(&c.ID, &tenant, &c.Name, &c.Kind, &config, &c.secrets, &c.Enabled, sqldb.Micros(&c.DoneUntil), sqldb.Micros(&next), sqldb.Micros(&c.leaseUntil), sqldb.MicrosOrNull(&c.LastSuccess), sqldb.MicrosOrNull(&c.LastFailure),
		&c.LastError, &c.Version, sqldb.Micros(&c.CreatedAt), &c.CreatedBy, sqldb.Micros(&c.UpdatedAt),
		&c.eventsSeq, &c.eventsTo, &events.Sent, &events.Dropped, sqldb.MicrosOrNull(&events.FailingSince))
	if err != nil {
		return err
	}
	c.Tenant = uint32(tenant)
	if c.Kind == S3 || c.Kind == Syslog {
		c.Events = &events
	}
	if c.Kind == S3 && next.UnixMicro() > 0 {
		c.NextAt = &next
	}
	return json.Unmarshal([]byte(config), &c.Config)
}

// byID returns the tenant's connector without what fill adds.
func byID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Connector, error) {
	if _, err := uuid.Parse(id); err != nil || len(id) != len(uuid.Nil.String()) {
		return nil, errNone
	}
	c, err := sqldb.One(ctx, db, scan, selectConnector+` WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNone
	}
	return &c, err
}

// Get returns the tenant's connector of that id.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Connector, error) {
	var c *Connector
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		var err error
		if c, err = byID(ctx, tx, tenant, id); err != nil {
			return err
		}
		one := []Connector{*c}
		err = s.fill(ctx, tx, tenant, one)
		c = &one[0]
		return err
	})
	if err != nil {
		return nil, fault.Wrap("get connector", err)
	}
	return c, nil
}

// fill adds what stands elsewhere: receivers, health, and which secrets there are.
func (s *Service) fill(ctx context.Context, tx *sqldb.DB, tenant uint32, list []Connector) error {
	receivers, err := s.hooks.Receivers(ctx, tx, tenant)
	if err != nil {
		return err
	}
	for i := range list {
		c := &list[i]
		secrets, err := s.opened(c)
		if err != nil && !errors.Is(err, fault.Unavailable) { // sealed with another key: it says so when it is used
			return err
		}
		c.SecretsSet = names(secrets)
		health, err := sqldb.All(ctx, tx, scanHealth, selectHealth+` WHERE connector_id = $1 ORDER BY at DESC LIMIT 1`, c.ID)
		if err != nil {
			return err
		}
		if len(health) > 0 {
			c.Health = &health[0]
		}
		if w, ok := receivers[c.ID]; ok {
			c.Receiver = &w
			c.LastSuccess, c.LastFailure = latest(c.LastSuccess, w.LastSuccess), latest(c.LastFailure, w.LastFailure)
			if c.LastError == "" || !c.forwards() {
				c.LastError = w.LastError
			}
			if c.Enabled && !w.Enabled {
				c.Enabled, c.LastError = false, w.DisabledReason
			}
		}
	}
	return nil
}

func latest(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// Query chooses connectors of a list.
type Query struct {
	Filter
	ByName     bool // sorted by name, else by creation
	Ascending  bool
	Page, Size int
}

// Filter narrows a list; zero values let everything through.
type Filter struct {
	Kinds   []Kind
	Search  string // in the name, in any case
	Enabled *bool
	Health  []Status
}

func (f *Filter) matches(c *Connector) bool {
	return (len(f.Kinds) == 0 || slices.Contains(f.Kinds, c.Kind)) && (f.Enabled == nil || *f.Enabled == c.Enabled) &&
		strings.Contains(strings.ToLower(c.Name), strings.ToLower(f.Search)) && (len(f.Health) == 0 || slices.Contains(f.Health, c.Status()))
}

// Status is that of the newest checks.
func (c *Connector) Status() Status {
	if c.Health == nil {
		return Unknown
	}
	return c.Health.Status
}

// List returns one page of the tenant's connectors and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (list []Connector, total int64, err error) {
	kept, err := s.all(ctx, tenant, q.Filter)
	if err != nil {
		return nil, 0, fault.Wrap("list connectors", err)
	}
	slices.SortStableFunc(kept, func(a, b Connector) int {
		n := strings.Compare(a.ID, b.ID)
		if byName := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); q.ByName && byName != 0 {
			n = byName
		}
		if !q.Ascending {
			n = -n
		}
		return n
	})
	from := min(q.Page*q.Size, len(kept))
	return kept[from:min(from+q.Size, len(kept))], int64(len(kept)), nil
}

func (s *Service) all(ctx context.Context, tenant uint32, f Filter) (kept []Connector, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		all, err := sqldb.All(ctx, tx, scan, selectConnector+` WHERE tenant = $1 ORDER BY id DESC`, int64(tenant))
		if err != nil {
			return err
		}
		if err := s.fill(ctx, tx, tenant, all); err != nil {
			return err
		}
		kept = slices.DeleteFunc(all, func(c Connector) bool { return !f.matches(&c) })
		return nil
	})
	return kept, err
}

// Stream yields the connectors that the filter chooses, newest first, from one snapshot;
// at most one error, at the end.
func (s *Service) Stream(ctx context.Context, tenant uint32, f Filter) iter.Seq2[Connector, error] {
	return func(yield func(Connector, error) bool) {
		all, err := s.all(ctx, tenant, f)
		for i := range all {
			if !yield(all[i], nil) {
				return
			}
		}
		if err != nil {
			yield(Connector{}, fault.Wrap("stream connectors", err))
		}
	}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
