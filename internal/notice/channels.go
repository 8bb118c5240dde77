package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

const (
	maxChannels   = 100 // of one tenant, those of readers beside
	maxRecipients = 50
)

var errNoChannel = fault.New(fault.NotFound, "no such channel")

// A ChannelDraft describes a channel to make.
type ChannelDraft struct {
	Name        string
	Kind        ChannelKind
	URL         string // of a chat or receiver
	ConnectorID string
	To          []string
	Digest      *Digest // nil: StandardDigest
	Quiet       *Quiet
	Disabled    bool
}

func purpose(id string) string { return "channel " + id }

// CreateChannel makes a channel. Another one of that name is fault.Conflict.
func (s *Service) CreateChannel(ctx context.Context, tenant uint32, actor string, d ChannelDraft) (*Channel, error) {
	c := &Channel{Tenant: tenant, Kind: d.Kind, ConnectorID: d.ConnectorID, Enabled: !d.Disabled, Version: 1, CreatedBy: actor, Settings: Settings{To: d.To, Digest: StandardDigest, Quiet: d.Quiet}}
	if d.Digest != nil {
		c.Digest = *d.Digest
	}
	var err error
	if c.Name, err = checkName(d.Name); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		n, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM notice_channel WHERE tenant = $1 AND reader = ''`, int64(tenant))
		if err != nil {
			return err
		}
		if n >= maxChannels {
			return fault.New(fault.Conflict, "there are %d channels, and no more are allowed: delete one", n)
		}
		if err := s.make(ctx, tx, c, d.URL); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: c.CreatedAt, Actor: actor, Action: "channel.create", Object: c.ID, Detail: describe(c)})
	})
	if err != nil {
		return nil, fault.Wrap("create channel", taken(err, "channel"))
	}
	return s.Channel(ctx, tenant, c.ID)
}

func (s *Service) make(ctx context.Context, tx *sqldb.DB, c *Channel, address string) error {
	var err error
	if c.ID, err = newID(); err != nil {
		return err
	}
	c.CreatedAt = s.now()
	c.UpdatedAt = c.CreatedAt
	if err := s.check(ctx, tx, c, address); err != nil {
		return err
	}
	text, err := json.Marshal(c.Settings)
	if err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `INSERT INTO notice_channel (id, tenant, name, kind, reader, settings, connector_id, url, host, enabled, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)`,
		c.ID, int64(c.Tenant), c.Name, string(c.Kind), c.Reader, string(text), c.ConnectorID, c.url, c.Host, c.Enabled, c.CreatedAt.UnixMicro(), c.CreatedBy); err != nil {
		return err
	}
	return s.hooks.Own(ctx, tx, &webhook.Webhook{ID: c.ID, Tenant: c.Tenant, Name: c.receiverName(), Enabled: c.Enabled, CreatedBy: c.CreatedBy})
}

// receiverName is unique: readers' own channels share names with others.
func (c *Channel) receiverName() string {
	if c.Reader != "" {
		return c.Name + " " + c.Reader
	}
	return c.Name
}

// check sees that a channel has what its kind needs, and seals address where one is given.
func (s *Service) check(ctx context.Context, tx *sqldb.DB, c *Channel, address string) error {
	if err := within("", &c.Digest, c.Quiet); err != nil {
		return err
	}
	if c.Kind == Email {
		if address != "" {
			return fault.New(fault.Invalid, "E-mail goes through a connector: leave it out").In("url")
		}
		if len(c.To) == 0 || len(c.To) > maxRecipients {
			return fault.New(fault.Invalid, "Allowed: 1 to %d addresses", maxRecipients).In("to")
		}
		for _, to := range c.To {
			if err := mail.CheckAddress(to); err != nil {
				return fault.New(fault.Invalid, "Allowed: e-mail addresses such as soc@example.com").In("to")
			}
		}
		return s.connector(ctx, tx, c, "smtp")
	}
	known := false
	for _, k := range ChannelKinds {
		known = known || k == c.Kind
	}
	if !known {
		all := make([]string, len(ChannelKinds))
		for i, k := range ChannelKinds {
			all[i] = string(k)
		}
		return fault.New(fault.Invalid, "Allowed: %s", strings.Join(all, ", ")).In("kind")
	}
	if len(c.To) > 0 {
		return fault.New(fault.Invalid, "Only e-mail has recipients").In("to")
	}
	if c.ConnectorID != "" {
		if c.Kind != Slack {
			return fault.New(fault.Invalid, "Only e-mail and Slack go through connectors").In("connectorId")
		}
		if address != "" {
			return fault.New(fault.Invalid, "Give either url or connectorId").In("url")
		}
		c.url, c.Host, c.HasURL = nil, "", false
		return s.connector(ctx, tx, c, "slack")
	}
	if address == "" && c.url == nil {
		return fault.New(fault.Invalid, "It is required: the address that messages are sent to").In("url")
	}
	if address == "" {
		return nil
	}
	u, err := s.CheckURL(address)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return fault.New(f.Kind, "%s", f.Message).In("url")
		}
		return err
	}
	c.Host, c.HasURL = u.Host, true
	c.url = s.Sealer.Seal(c.Tenant, purpose(c.ID), []byte(address))
	return nil
}

// connector sees that the channel's connector is there and of the right kind.
func (s *Service) connector(ctx context.Context, tx *sqldb.DB, c *Channel, kind string) error {
	found, err := sqldb.One(ctx, tx, sqldb.Value[int64], `SELECT count(*) FROM connector WHERE tenant = $1 AND id = $2 AND kind = $3`, int64(c.Tenant), c.ConnectorID, kind)
	if err == nil && found == 0 {
		return fault.New(fault.Invalid, "It is required: the id of a connector of kind %s", kind).In("connectorId")
	}
	return err
}

func describe(c *Channel) map[string]any {
	return map[string]any{"name": c.Name, "kind": c.Kind, "host": c.Host, "connector": c.ConnectorID, "to": len(c.To), "enabled": c.Enabled}
}

// A ChannelPatch is a change of a channel; nil fields stay as they are.
type ChannelPatch struct {
	Name, URL, ConnectorID *string
	To                     []string
	Digest                 *Digest
	Quiet                  **Quiet // to nil: none
	Enabled                *bool
	Version                int64 // that the change was made on; 0 for any
}

// ChangeChannel changes the tenant's channel and returns it as it then is.
func (s *Service) ChangeChannel(ctx context.Context, tenant uint32, actor, id string, p ChannelPatch) (*Channel, error) {
	if p.Name == nil && p.URL == nil && p.ConnectorID == nil && p.To == nil && p.Digest == nil && p.Quiet == nil && p.Enabled == nil {
		return nil, fault.New(fault.Invalid, "Give at least one of name, url, connectorId, to, digest, quietHours, enabled")
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		c, err := channelByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if err := stale("channel", p.Version, c.Version); err != nil {
			return err
		}
		before, address := describe(c), ""
		if p.Name != nil {
			if c.Name, err = checkName(*p.Name); err != nil {
				return err
			}
		}
		if p.URL != nil {
			address = *p.URL
			if p.ConnectorID == nil {
				c.ConnectorID = ""
			}
		}
		if p.ConnectorID != nil {
			c.ConnectorID = *p.ConnectorID
		}
		if p.To != nil {
			c.To = p.To
		}
		if p.Digest != nil {
			c.Digest = *p.Digest
		}
		if p.Quiet != nil {
			c.Quiet = *p.Quiet
		}
		if p.Enabled != nil {
			c.Enabled = *p.Enabled
		}
		if err := s.check(ctx, tx, c, address); err != nil {
			return err
		}
		if err := s.store(ctx, tx, c, p.Enabled != nil || p.URL != nil || p.ConnectorID != nil); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: c.UpdatedAt, Actor: actor, Action: "channel.update", Object: c.ID, Detail: map[string]any{"from": before, "to": describe(c), "url": p.URL != nil}})
	})
	if err != nil {
		return nil, fault.Wrap("change channel", taken(err, "channel"))
	}
	return s.Channel(ctx, tenant, id)
}

// store writes a changed channel. anew says that what its receiver failed at is forgotten.
func (s *Service) store(ctx context.Context, tx *sqldb.DB, c *Channel, anew bool) error {
	c.UpdatedAt = s.now()
	text, err := json.Marshal(c.Settings)
	if err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE notice_channel SET name = $2, settings = $3, connector_id = $4, url = $5, host = $6, enabled = $7, version = version + 1, updated_at = $8 WHERE id = $1`,
		c.ID, c.Name, string(text), c.ConnectorID, c.url, c.Host, c.Enabled, c.UpdatedAt.UnixMicro()); err != nil {
		return err
	}
	return s.hooks.Owned(ctx, tx, c.Tenant, c.ID, c.receiverName(), c.Enabled, anew)
}

// DeleteChannel removes the channel and its log. Routes lose it.
func (s *Service) DeleteChannel(ctx context.Context, tenant uint32, actor, id string) error {
	return fault.Wrap("delete channel", s.db.Tx(ctx, func(tx *sqldb.DB) error {
		c, err := channelByID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if err := s.unroute(ctx, tx, tenant, c.ID); err != nil {
			return err
		}
		if err := s.remove(ctx, tx, c); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "channel.delete", Object: c.ID, Detail: describe(c)})
	}))
}

func (s *Service) remove(ctx context.Context, tx *sqldb.DB, c *Channel) error {
	for _, q := range []string{`DELETE FROM notice_digest WHERE channel_id = $1`, `DELETE FROM notice_channel WHERE id = $1`} {
		if _, err := sqldb.Exec(ctx, tx, q, c.ID); err != nil {
			return err
		}
	}
	return s.hooks.Disown(ctx, tx, c.ID)
}

// setOwn makes, changes or removes the channel of a reader's letters.
func (s *Service) setOwn(ctx context.Context, tx *sqldb.DB, r Reader, own *Own) error {
	list, err := sqldb.All(ctx, tx, scanChannel, selectChannel+` WHERE tenant = $1 AND reader = $2`, int64(r.Tenant), r.ID)
	if err != nil {
		return err
	}
	if own == nil {
		for i := range list {
			if err := s.remove(ctx, tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	c := &Channel{Tenant: r.Tenant, Name: "Letters", Kind: Email, Reader: r.ID, Enabled: true, CreatedBy: r.Actor}
	if len(list) > 0 {
		c = &list[0]
	}
	c.ConnectorID, c.Enabled = own.ConnectorID, true
	c.Settings = Settings{To: []string{own.Address}, Severity: own.Severity, Events: own.Events, Digest: own.Digest, Quiet: own.Quiet}
	if len(list) > 0 {
		err = s.check(ctx, tx, c, "")
		if err == nil {
			err = s.store(ctx, tx, c, true)
		}
	} else {
		err = s.make(ctx, tx, c, "")
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Field != "" {
		return fault.New(f.Kind, "%s", f.Message).In("email." + f.Field)
	}
	return err
}

const selectChannel = `SELECT id, tenant, name, kind, reader, settings, connector_id, url, host, enabled, window_at, window_n, version, created_at, created_by, updated_at FROM notice_channel`

func scanChannel(rows *sql.Rows, c *Channel) error {
	var tenant int64
	var text string
	err := rows.Scan(&c.ID, &tenant, &c.Name, &c.Kind, &c.Reader, &text, &c.ConnectorID, &c.url, &c.Host, &c.Enabled, sqldb.Micros(&c.windowAt), &c.windowN, &c.Version, sqldb.Micros(&c.CreatedAt), &c.CreatedBy, sqldb.Micros(&c.UpdatedAt))
	if err != nil {
		return err
	}
	c.Tenant, c.HasURL = uint32(tenant), c.url != nil
	return json.Unmarshal([]byte(text), &c.Settings)
}

// channelByID returns a channel of the tenant that is nobody's own.
func channelByID(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Channel, error) {
	if !isID(id) {
		return nil, errNoChannel
	}
	c, err := sqldb.One(ctx, db, scanChannel, selectChannel+` WHERE id = $1 AND tenant = $2 AND reader = ''`, id, int64(tenant))
	if errors.Is(err, fault.NotFound) {
		return nil, errNoChannel
	}
	return &c, err
}

// channels returns all channels of a tenant, by id, those of readers too.
func (s *Service) channels(ctx context.Context, tx *sqldb.DB, tenant uint32) ([]Channel, error) {
	list, err := sqldb.All(ctx, tx, scanChannel, selectChannel+` WHERE tenant = $1 ORDER BY id`, int64(tenant))
	if err != nil {
		return nil, err
	}
	receivers, err := s.hooks.Receivers(ctx, tx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if w, ok := receivers[list[i].ID]; ok {
			list[i].Receiver = &w
			list[i].Enabled = list[i].Enabled && w.Enabled
		}
	}
	return list, nil
}

// Channel returns the tenant's channel of that id.
func (s *Service) Channel(ctx context.Context, tenant uint32, id string) (*Channel, error) {
	all, err := s.Channels(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i], nil
		}
	}
	return nil, errNoChannel
}

// Channels returns the tenant's channels in the order of their creation, without those
// that are a reader's own.
func (s *Service) Channels(ctx context.Context, tenant uint32) (kept []Channel, err error) {
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		all, err := s.channels(ctx, tx, tenant)
		kept = nil
		for _, c := range all {
			if c.Reader == "" {
				kept = append(kept, c)
			}
		}
		return err
	})
	return kept, fault.Wrap("list channels", err)
}

// A Target is where a channel's messages go.
type Target struct {
	Kind        ChannelKind
	URL         string
	ConnectorID string
	To          []string
}

// Target returns where the messages of a channel go, with its secrets.
func (s *Service) Target(ctx context.Context, tenant uint32, id string) (*Target, error) {
	c, err := sqldb.One(ctx, s.db, scanChannel, selectChannel+` WHERE id = $1 AND tenant = $2`, id, int64(tenant))
	if err != nil {
		return nil, fault.Wrap("find channel", err)
	}
	t := &Target{Kind: c.Kind, ConnectorID: c.ConnectorID, To: c.To}
	if c.url != nil {
		address, err := s.Sealer.Open(c.Tenant, purpose(c.ID), c.url)
		if err != nil {
			return nil, err
		}
		t.URL = string(address)
	}
	return t, nil
}
