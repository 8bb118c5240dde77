package intel

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Feed is where indicators come from by themselves.
type Feed struct {
	ID        string // UUIDv7
	Tenant    uint32
	Name      string // the source of its indicators
	Format    Format
	URL       string // https://…, file:NAME in the server's folder of feeds, or "" where files are uploaded
	Settings  Settings
	Enabled   bool
	State     State
	NextRun   time.Time
	Running   bool
	Active    int64 // its indicators that match now
	Version   int64
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time

	run        int64
	secret     []byte
	leaseUntil time.Time
}

// Settings is how a feed is read.
type Settings struct {
	Interval   int64    `json:"interval"`             // seconds between two runs
	Type       Type     `json:"type,omitempty"`       // of all its values; "": found out
	Confidence *int     `json:"confidence,omitempty"` // where the feed says none
	Severity   string   `json:"severity,omitempty"`   // where the feed says none
	Tags       []string `json:"tags,omitempty"`       // that all get
	TTLDays    int      `json:"ttlDays,omitempty"`    // how long an indicator is good after the feed named it last; 0: while it names it
	KeepGone   bool     `json:"keepGone,omitempty"`   // what the feed no longer names stays
	Columns    Columns  `json:"columns,omitzero"`     // of a CSV
	Collection string   `json:"collection,omitempty"` // of a TAXII server: id or title
	AuthType   string   `json:"authType,omitempty"`   // "", bearer, basic or header
	AuthHeader string   `json:"authHeader,omitempty"` // its name
}

// Auth is what a feed asks for. It is sealed, and never shown.
type Auth struct {
	Type     string `json:"type"` // bearer, basic or header
	Header   string `json:"header,omitempty"`
	Username string `json:"username,omitempty"`
	Secret   string `json:"secret"` // token, password or the header's value
}

// State is what the last run left.
type State struct {
	LastRun      *time.Time `json:"lastRun,omitempty"`
	LastSuccess  *time.Time `json:"lastSuccess,omitempty"`
	LastError    string     `json:"lastError,omitempty"`
	Failures     int        `json:"failures,omitempty"` // since the last success
	ETag         string     `json:"etag,omitempty"`
	LastModified string     `json:"lastModified,omitempty"`
	AddedAfter   string     `json:"addedAfter,omitempty"` // of a TAXII server
	Unchanged    bool       `json:"unchanged,omitempty"`  // the feed said that nothing is new
	Seconds      float64    `json:"seconds,omitempty"`
	RunCounts
}

// RunCounts is what a run did.
type RunCounts struct {
	Counts
	Created   int  `json:"created"`
	Changed   int  `json:"changed"`
	Same      int  `json:"unchangedIndicators"`
	Expired   int  `json:"expired"` // the feed no longer names them
	Truncated bool `json:"truncated"`
}

// FeedsConfig is what Feeds needs.
type FeedsConfig struct {
	DB      *sqldb.DB
	Service *Service
	Sealer  *seal.Sealer
	Guard   *outbound.Guard
	Folder  string // where file:NAME lies
	Holder  string // names this server
	Version string // of the program
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
}

// Feeds is the use cases of feeds. It is safe for use by several goroutines.
type Feeds struct {
	FeedsConfig
	db *sqldb.DB
}

// NewFeeds returns the use cases.
func NewFeeds(c FeedsConfig) *Feeds {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Feeds{c, c.DB}
}

var errNoFeed = fault.New(fault.NotFound, "no such feed")

// Bounds of feeds.
const (
	MinInterval      = 5 * time.Minute
	MaxInterval      = 30 * 24 * time.Hour
	standardInterval = time.Hour
	maxFeeds         = 200
	maxFeedName      = 100
)

// A FeedDraft describes a feed to make.
type FeedDraft struct {
	Name     string
	Format   Format
	URL      string
	Settings Settings
	Auth     *Auth
	Disabled bool
}

func (d *FeedDraft) check(f *Feeds) error {
	d.Name = strings.TrimSpace(d.Name)
	if d.Name == "" || len([]rune(d.Name)) > maxFeedName || clean(d.Name) != d.Name {
		return fault.New(fault.Invalid, "Allowed: 1 to %d characters", maxFeedName).In("name")
	}
	if !slices.Contains(Formats, d.Format) {
		return fault.New(fault.Invalid, "Allowed: plain, csv, stix, taxii, misp, urlhaus, threatfox, feodotracker, malwarebazaar").In("format")
	}
	if name, ok := strings.CutPrefix(d.URL, "file:"); ok {
		if err := checkFile(name); err != nil {
			return err
		}
	} else if d.URL != "" {
		if _, err := f.Guard.CheckURL(d.URL); err != nil {
			if x, ok := errors.AsType[*fault.Error](err); ok {
				return fault.New(x.Kind, "%s", x.Message).In("url")
			}
			return err
		}
	}
	if d.Format == TAXII && !strings.HasPrefix(d.URL, "http") {
		return fault.New(fault.Invalid, "Allowed: the address of a TAXII server, an API root or a collection").In("url")
	}
	if err := d.Settings.check(); err != nil {
		return err
	}
	return d.checkAuth()
}

func checkFile(name string) error {
	if name == "" || len(name) > 200 || strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".") || !sane(name) {
		return fault.New(fault.Invalid, "Allowed: file: and the name of a file in the folder intel of the server's data, without a path").In("url")
	}
	return nil
}

func (d *FeedDraft) checkAuth() error {
	if d.Auth == nil {
		return nil
	}
	a := d.Auth
	d.Settings.AuthType, d.Settings.AuthHeader = a.Type, a.Header
	bad := func(s string) bool { return s == "" || len(s) > 4096 || strings.ContainsAny(s, "\r\n\x00") }
	switch a.Type {
	case "bearer", "basic":
		d.Settings.AuthHeader = ""
	case "header":
		if bad(a.Header) || strings.ContainsAny(a.Header, " :") {
			return fault.New(fault.Invalid, "Allowed: the name of a header, such as Auth-Key").In("auth.header")
		}
	default:
		return fault.New(fault.Invalid, "Allowed: bearer, basic, header").In("auth.type")
	}
	if bad(a.Secret) {
		return fault.New(fault.Invalid, "Allowed: 1 to 4096 characters without line ends").In("auth.secret")
	}
	return nil
}

func (s *Settings) check() error {
	if s.Interval == 0 {
		s.Interval = int64(standardInterval.Seconds())
	}
	if d := time.Duration(s.Interval) * time.Second; s.Interval < 0 || d < MinInterval || d > MaxInterval {
		return fault.New(fault.Invalid, "Allowed: %d to %d seconds", int64(MinInterval.Seconds()), int64(MaxInterval.Seconds())).In("interval")
	}
	if s.Type != "" && !slices.Contains(Types, s.Type) {
		return fault.New(fault.Invalid, "Allowed: ipv4, ipv6, cidr, domain, url, md5, sha1, sha256, email, ja3").In("type")
	}
	if s.Confidence != nil && (*s.Confidence < 0 || *s.Confidence > 100) {
		return fault.New(fault.Invalid, "Allowed: 0 to 100").In("confidence")
	}
	if s.Severity = strings.ToLower(s.Severity); s.Severity != "" && !slices.Contains(event.Severities, s.Severity) {
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(event.Severities, ", ")).In("severity")
	}
	if s.TTLDays < 0 || s.TTLDays > 3650 {
		return fault.New(fault.Invalid, "Allowed: 0 to 3650").In("ttlDays")
	}
	if n := len([]rune(s.Columns.Separator)); n > 1 || n == 1 && strings.ContainsAny(s.Columns.Separator, "\"\r\n\uFFFD#") {
		return fault.New(fault.Invalid, "Allowed: one character, such as ; or a tab").In("columns.separator")
	}
	if !sane(s.Collection) || len(s.Collection) > 200 {
		return fault.New(fault.Invalid, "Allowed: at most 200 characters").In("collection")
	}
	var err error
	s.Tags, err = checkTags(s.Tags)
	return err
}

func feedPurpose(id string) string { return "intel feed " + id }

// Create makes a feed, which is run at once where it has an address.
func (f *Feeds) Create(ctx context.Context, tenant uint32, actor string, d FeedDraft) (*Feed, error) {
	if err := d.check(f); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("create feed: %w", err)
	}
	now := f.Now().UTC().Truncate(time.Microsecond)
	x := &Feed{ID: id.String(), Tenant: tenant, Name: d.Name, Format: d.Format, URL: d.URL, Settings: d.Settings, Enabled: !d.Disabled, NextRun: now, Version: 1, CreatedAt: now, CreatedBy: actor, UpdatedAt: now}
	if x.secret, err = f.sealed(x, d.Auth); err != nil {
		return nil, err
	}
	err = f.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM intel_feed WHERE tenant = $1`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxFeeds {
			return fault.New(fault.Conflict, "there are %d feeds, and no more are allowed: delete one", n)
		}
		if err := f.nameFree(ctx, tx, x); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO intel_feed (id, tenant, name, format, url, settings, secret, enabled, state, next_run, created_at, created_by, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{}', $9, $10, $11, $10)`,
			x.ID, int64(tenant), x.Name, string(x.Format), x.URL, text(x.Settings), x.secret, x.Enabled, x.NextRun.UnixMicro(), now.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "feed.create", Object: x.ID, Detail: described(x)})
	})
	if err != nil {
		return nil, fmt.Errorf("create feed: %w", taken(err))
	}
	return x, nil
}

func (f *Feeds) sealed(x *Feed, a *Auth) ([]byte, error) {
	if a == nil {
		return nil, nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return f.Sealer.Seal(x.Tenant, feedPurpose(x.ID), b), nil
}

// described is a feed as the audit log names it. An address may hold a key in its query.
func described(x *Feed) map[string]any {
	url, _, _ := strings.Cut(x.URL, "?")
	return map[string]any{"name": x.Name, "format": x.Format, "url": url, "settings": x.Settings, "enabled": x.Enabled}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}" // of these types all marshal
	}
	return string(b)
}

func (f *Feeds) nameFree(ctx context.Context, tx *sqldb.DB, x *Feed) error {
	other, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM intel_feed WHERE tenant = $1 AND lower(name) = lower($2) AND id <> $3`, int64(x.Tenant), x.Name, x.ID)
	if err == nil && len(other) > 0 {
		return fault.New(fault.Conflict, "there is a feed of that name: %s", other[0]).In("name")
	}
	return err
}

func taken(err error) error {
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "there is a feed of that name").In("name").Because(err)
	}
	return err
}

const selectFeed = `SELECT f.id, f.tenant, f.name, f.format, f.url, f.settings, f.secret, f.enabled, f.state, f.next_run, f.run, f.lease_until, f.version, f.created_at, f.created_by, f.updated_at FROM intel_feed f`

func scanFeed(rows *sql.Rows, x *Feed) error {
	var settings, state string
	err := rows.Scan(&x.ID, &x.Tenant, &x.Name, &x.Format, &x.URL, &settings, &x.secret, &x.Enabled, &state, sqldb.Micros(&x.NextRun), &x.run, sqldb.Micros(&x.leaseUntil), &x.Version, sqldb.Micros(&x.CreatedAt), &x.CreatedBy, sqldb.Micros(&x.UpdatedAt))
	if err != nil {
		return err
	}
	return errors.Join(json.Unmarshal([]byte(settings), &x.Settings), json.Unmarshal([]byte(state), &x.State))
}

// Get returns the tenant's feed of that id.
func (f *Feeds) Get(ctx context.Context, tenant uint32, id string) (*Feed, error) {
	x, err := feedByID(ctx, f.db, tenant, id)
	if err != nil {
		return nil, err
	}
	return x, f.complete(ctx, x)
}

func feedByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Feed, error) {
	if !isID(id) {
		return nil, errNoFeed
	}
	x, err := sqldb.One(ctx, db, scanFeed, selectFeed+` WHERE f.id = $1 AND f.tenant = $2`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoFeed
	}
	if err != nil {
		return nil, fmt.Errorf("get feed: %w", err)
	}
	return &x, nil
}

// complete adds what is not stored with the feed.
func (f *Feeds) complete(ctx context.Context, x *Feed) error {
	now := f.Now()
	x.Running = now.Before(x.leaseUntil)
	var err error
	x.Active, err = sqldb.One(ctx, f.db, sqldb.Value[int64], `SELECT count(*) FROM intel_indicator WHERE feed_id = $1 AND feed_id <> '' AND NOT disabled AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)`, x.ID, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("count the indicators of a feed: %w", err)
	}
	return nil
}

// FeedQuery asks for one page of feeds.
type FeedQuery struct {
	Search     string // in the name
	Formats    []string
	Enabled    *bool
	ByName     bool // else by creation
	Ascending  bool
	Page, Size int
}

// List returns one page of the tenant's feeds.
func (f *Feeds) List(ctx context.Context, tenant uint32, q FeedQuery) ([]Feed, int64, error) {
	where, args := " WHERE f.tenant = $1", []any{int64(tenant)}
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if q.Search != "" {
		where += " AND lower(f.name) LIKE " + arg("%"+escapeLike(strings.ToLower(clean(q.Search)))+"%") + ` ESCAPE '\'`
	}
	if q.Enabled != nil {
		where += " AND f.enabled = " + arg(*q.Enabled)
	}
	if len(q.Formats) > 0 {
		var all []string
		for _, v := range q.Formats {
			all = append(all, arg(v))
		}
		where += " AND f.format IN (" + strings.Join(all, ", ") + ")"
	}
	direction, column := "DESC", "f.id"
	if q.Ascending {
		direction = "ASC"
	}
	if q.ByName {
		column = "lower(f.name)"
	}
	total, err := sqldb.One(ctx, f.db, sqldb.Value[int64], `SELECT count(*) FROM intel_feed f`+where, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list feeds: %w", err)
	}
	list, err := sqldb.All(ctx, f.db, scanFeed, fmt.Sprintf(`%s%s ORDER BY %s %s LIMIT %d OFFSET %d`, selectFeed, where, column, direction, q.Size, int64(q.Page)*int64(q.Size)), args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list feeds: %w", err)
	}
	for i := range list {
		if err := f.complete(ctx, &list[i]); err != nil {
			return nil, 0, err
		}
	}
	return list, total, nil
}

// FeedPatch is what people change of a feed; nil leaves it.
type FeedPatch struct {
	Name     *string
	URL      *string
	Settings func(*Settings) // changes them
	Auth     **Auth          // a pointer to nil removes it
	Enabled  *bool
	Version  int64
}

// Change applies p. A feed whose address or form changed is read as a whole next time.
func (f *Feeds) Change(ctx context.Context, tenant uint32, actor, id string, p FeedPatch) (*Feed, error) {
	err := f.db.Tx(ctx, func(tx *sqldb.DB) error {
		x, err := feedByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if p.Version != 0 && p.Version != x.Version {
			return fault.New(fault.Conflict, "the feed has changed since").In("version")
		}
		before := described(x)
		d := FeedDraft{Name: x.Name, Format: x.Format, URL: x.URL, Settings: x.Settings, Disabled: !x.Enabled}
		if p.Name != nil {
			d.Name = *p.Name
		}
		if p.URL != nil {
			if d.URL = *p.URL; d.URL != x.URL && p.Auth == nil && x.secret != nil {
				return fault.New(fault.Invalid, "Allowed with a new url: the secret again, or null for none; it is not sent to another address").In("auth")
			}
		}
		if p.Settings != nil {
			p.Settings(&d.Settings)
		}
		if p.Auth != nil {
			d.Auth = *p.Auth
			d.Settings.AuthType, d.Settings.AuthHeader = "", ""
		}
		if err := d.check(f); err != nil {
			return err
		}
		if p.Auth != nil {
			if x.secret, err = f.sealed(x, d.Auth); err != nil {
				return err
			}
		}
		if p.Enabled != nil {
			x.Enabled = *p.Enabled
		}
		x.Name, x.URL, x.Settings = d.Name, d.URL, d.Settings
		x.State.ETag, x.State.LastModified, x.State.AddedAfter = "", "", ""
		now := f.Now()
		if err := f.nameFree(ctx, tx, x); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE intel_feed SET name = $1, url = $2, settings = $3, secret = $4, enabled = $5, state = $6, next_run = $7, version = version + 1, updated_at = $7 WHERE id = $8`,
			x.Name, x.URL, text(x.Settings), x.secret, x.Enabled, text(x.State), now.UnixMicro(), x.ID); err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE intel_indicator SET source = $1 WHERE feed_id = $2 AND source <> $1`, x.Name, x.ID); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "feed.update", Object: id, Detail: map[string]any{"before": before, "after": described(x)}})
	})
	if err != nil {
		return nil, fmt.Errorf("change feed: %w", taken(err))
	}
	return f.Get(ctx, tenant, id)
}

// Delete removes a feed with its indicators.
func (f *Feeds) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := f.db.Tx(ctx, func(tx *sqldb.DB) error {
		x, err := feedByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		n, err := sqldb.Exec(ctx, tx, `DELETE FROM intel_indicator WHERE feed_id = $1 AND feed_id <> ''`, id)
		if err != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `DELETE FROM intel_feed WHERE id = $1`, id); err != nil {
			return err
		}
		if err := bump(ctx, tx, tenant); err != nil {
			return err
		}
		detail := described(x)
		detail["indicators"] = n
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: f.Now(), Actor: actor, Action: "feed.delete", Object: id, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("delete feed: %w", err)
	}
	return nil
}
