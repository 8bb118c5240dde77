package webhook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Config is what a Service needs; all but Now is required.
type Config struct {
	DB       *sqldb.DB
	Sealer   *seal.Sealer
	CheckURL func(string) (*url.URL, error)       // refuses addresses that may not be called
	Render   func(Format, *outbox.Message) string // the body that a receiver gets
	Now      func() time.Time                     // nil: time.Now
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	db    *sqldb.DB
	owner Owner // whose receivers it speaks of
}

// New returns the use cases.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c, db: c.DB}
}

var (
	errNoWebhook  = fault.New(fault.NotFound, "no such webhook")
	errNoDelivery = fault.New(fault.NotFound, "no such delivery")
)

// A Draft describes a webhook to make.
type Draft struct {
	Name, URL string
	Format    Format // "": by the host
	Events    []string
	Filters   Filters
	Disabled  bool
}

// Create makes a webhook and returns it with its secret, which nobody can read again.
// Another one of that name is fault.Conflict.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, d Draft) (*Webhook, Secret, error) {
	w := &Webhook{Tenant: tenant, URL: d.URL, Format: d.Format, Filters: d.Filters, Enabled: !d.Disabled, Version: 1, CreatedBy: actor}
	var err error
	if w.Name, err = checkName(d.Name); err != nil {
		return nil, "", err
	}
	if w.Events, err = checkEvents(d.Events); err != nil {
		return nil, "", err
	}
	if err := w.Filters.check(); err != nil {
		return nil, "", err
	}
	if err := s.checkTarget(w); err != nil {
		return nil, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, "", fault.Wrap("create webhook", err)
	}
	w.ID = id.String()
	w.CreatedAt = s.now()
	w.UpdatedAt = w.CreatedAt
	secret := newSecret()
	w.secret = s.Sealer.Seal(tenant, purpose(w.ID), []byte(secret))
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM webhook WHERE tenant = $1 AND owner = ''`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxWebhooks {
			return fault.New(fault.Conflict, "there are %d webhooks, and no more are allowed: delete one", n)
		}
		if err := nameFree(ctx, tx, w); err != nil {
			return err
		}
		events, filters := encode(w)
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO webhook (id, tenant, name, url, format, events, filters, enabled, secret, created_at, created_by, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10)`,
			w.ID, int64(tenant), w.Name, s.seal(w), string(w.Format), events, filters, w.Enabled, w.secret, w.CreatedAt.UnixMicro(), actor); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: w.CreatedAt, Actor: actor, Action: "webhook.create", Object: w.ID, Detail: describe(w)})
	})
	if err != nil {
		return nil, "", fault.Wrap("create webhook", taken(err))
	}
	return w, secret, nil
}

// describe is a webhook as the audit log names it: the path of its address may be secret.
func describe(w *Webhook) map[string]any {
	host := ""
	if u, err := url.Parse(w.URL); err == nil {
		host = u.Host
	}
	return map[string]any{"name": w.Name, "host": host, "format": w.Format, "events": w.Events, "filters": w.Filters, "enabled": w.Enabled}
}

// checkTarget checks address and format, and finds the format where none is given.
func (s *Service) checkTarget(w *Webhook) error {
	u, err := s.CheckURL(w.URL)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return fault.New(f.Kind, "%s", f.Message).In("url")
		}
		return err
	}
	if w.Format == "" {
		w.Format = FormatOf(u.Hostname())
	}
	for _, f := range Formats {
		if strings.EqualFold(string(f), string(w.Format)) {
			w.Format = f
			return nil
		}
	}
	return fault.New(fault.Invalid, "Allowed: standard, slack, teams, discord").In("format")
}

func nameFree(ctx context.Context, tx *sqldb.DB, w *Webhook) error {
	other, err := sqldb.All(ctx, tx, sqldb.Value[string], `SELECT id FROM webhook WHERE tenant = $1 AND owner = '' AND lower(name) = lower($2) AND id <> $3`, int64(w.Tenant), w.Name, w.ID)
	if err == nil && len(other) > 0 {
		return fault.New(fault.Conflict, "there is a webhook of that name: %s", other[0]).In("name")
	}
	return err
}

// taken names what two creations at once ran into.
func taken(err error) error {
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "there is a webhook of that name").In("name").Because(err)
	}
	return err
}

func newSecret() Secret {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return Secret("whsec_" + base64.StdEncoding.EncodeToString(key))
}

func purpose(id string) string { return "webhook " + id }

// Keys returns the keys that sign what the webhook is sent now: one, or two while its
// secret is being rotated, the new one first.
func (s *Service) Keys(w *Webhook) ([][]byte, error) {
	var keys [][]byte
	sealed := [][]byte{w.secret}
	if w.oldSecret != nil && w.OldSecretUntil != nil && s.Now().Before(*w.OldSecretUntil) {
		sealed = append(sealed, w.oldSecret)
	}
	for _, b := range sealed {
		text, err := s.Sealer.Open(w.Tenant, purpose(w.ID), b)
		if err != nil {
			return nil, err
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(text), "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("secret of webhook %s: %w", w.ID, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

const selectWebhook = `SELECT id, tenant, owner, name, url, format, events, filters, enabled, disabled_reason, secret, old_secret, old_until, failures, failing_since, not_before,
	last_success, last_failure, last_error, holder, lease_until, version, created_at, created_by, updated_at FROM webhook`

func (s *Service) scan(rows *sql.Rows, w *Webhook) error {
	var tenant int64
	var events, filters string
	err := rows.Scan(&w.ID, &tenant, &w.Owner, &w.Name, &w.URL, &w.Format, &events, &filters, &w.Enabled, &w.DisabledReason, &w.secret, &w.oldSecret, sqldb.MicrosOrNull(&w.OldSecretUntil),
		&w.Failures, sqldb.MicrosOrNull(&w.FailingSince), sqldb.Micros(&w.NotBefore), sqldb.MicrosOrNull(&w.LastSuccess), sqldb.MicrosOrNull(&w.LastFailure), &w.LastError,
		&w.holder, sqldb.Micros(&w.leaseUntil), &w.Version, sqldb.Micros(&w.CreatedAt), &w.CreatedBy, sqldb.Micros(&w.UpdatedAt))
	if err != nil {
		return err
	}
	w.Tenant = uint32(tenant)
	w.stored = w.URL
	w.URL = s.open(w, w.stored)
	return errors.Join(json.Unmarshal([]byte(events), &w.Events), json.Unmarshal([]byte(filters), &w.Filters))
}

func encode(w *Webhook) (events, filters string) {
	e, err := json.Marshal(w.Events)
	if err != nil {
		panic(err) // texts always marshal
	}
	f, err := json.Marshal(w.Filters)
	if err != nil {
		panic(err)
	}
	return string(e), string(f)
}

// byID returns the tenant's webhook of that id.
func (s *Service) byID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Webhook, error) {
	if !isID(id) {
		return nil, errNoWebhook
	}
	w, err := sqldb.One(ctx, db, s.scan, selectWebhook+` WHERE id = $1 AND tenant = $2 AND owner = $3`, id, int64(tenant), string(s.owner))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoWebhook
	}
	return &w, err
}

// isID tells whether a text can be an id: one with a NUL is none, and PostgreSQL refuses it.
func isID(s string) bool {
	return len(s) == len(uuid.Nil.String()) && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// Get returns the tenant's webhook of that id.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (*Webhook, error) {
	w, err := s.byID(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fault.Wrap("get webhook", err)
	}
	return w, nil
}

// Query chooses webhooks of a list.
type Query struct {
	Search     string // in name, in any case; "" for all
	Enabled    *bool
	ByName     bool // sorted by name, else by creation
	Ascending  bool
	Page, Size int
}

// List returns one page of the tenant's webhooks and how many there are.
func (s *Service) List(ctx context.Context, tenant uint32, q Query) (list []Webhook, total int64, err error) {
	all, err := sqldb.All(ctx, s.db, s.scan, selectWebhook+` WHERE tenant = $1 AND owner = $2 ORDER BY id`, int64(tenant), string(s.owner))
	if err != nil {
		return nil, 0, fault.Wrap("list webhooks", err)
	}
	kept := all[:0]
	for _, w := range all {
		if strings.Contains(strings.ToLower(w.Name), strings.ToLower(q.Search)) && (q.Enabled == nil || *q.Enabled == w.Enabled) {
			kept = append(kept, w)
		}
	}
	sortBy(kept, q)
	from := min(q.Page*q.Size, len(kept))
	return kept[from:min(from+q.Size, len(kept))], int64(len(kept)), nil
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
