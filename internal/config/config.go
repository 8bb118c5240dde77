// Package config is the whole configuration of a server: defaults, then a
// strict YAML file, then the environment, then the flags that the caller sets.
// It checks values and reports every fault at once; it opens nothing.
package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Config holds every setting. Each works when absent: Default says how.
type Config struct {
	Data         string     `yaml:"data"`          // data folder: everything that KYRA keeps on this machine
	Listen       string     `yaml:"listen"`        // address of the REST API
	PublicURL    string     `yaml:"public_url"`    // how people reach Listen from outside, for links; default from Listen
	TLS          TLS        `yaml:"tls"`           // certificate of Listen; plain HTTP where empty
	Tenant       string     `yaml:"tenant"`        // name of the tenant that the first start makes and that plain syslog belongs to
	Syslog       Syslog     `yaml:"syslog"`        // listeners for plain syslog
	GELF         GELF       `yaml:"gelf"`          // listeners for GELF
	Collectors   Collectors `yaml:"collectors"`    // where agents call
	Database     Database   `yaml:"database"`      // alerts, incidents, rules, keys
	Queue        Queue      `yaml:"queue"`         // what was acknowledged and is not yet processed
	EventStore   EventStore `yaml:"eventstore"`    // the index of events
	Retention    Retention  `yaml:"retention"`     // when events go
	Alerts       Alerts     `yaml:"alerts"`        // how they are raised
	Canary       Canary     `yaml:"canary"`        // test events of KYRA's own
	Compliance   Compliance `yaml:"compliance"`    // how compliance is judged
	Log          Log        `yaml:"log"`           // KYRA's own log, on standard error
	Webhooks     Webhooks   `yaml:"webhooks"`      // calls to addresses that users type in
	Seal         Seal       `yaml:"seal"`          // how secrets are kept
	WebhookAllow []string   `yaml:"webhook_allow"` // older name of webhooks.allow; both count
}

// TLS names a certificate and its key, PEM files.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Syslog says where plain syslog is taken in. An empty address is off.
type Syslog struct {
	UDP      string `yaml:"udp"`
	TCP      string `yaml:"tcp"`
	TLS      string `yaml:"tls"`       // RFC 5425
	RELP     string `yaml:"relp"`      // syslog that is acknowledged
	RELPTLS  string `yaml:"relp_tls"`  // the same within TLS
	Cert     string `yaml:"cert"`      // for TLS, PEM
	Key      string `yaml:"key"`       // for TLS, PEM
	ClientCA string `yaml:"client_ca"` // if set, senders must show a certificate of this authority
	TimeZone string `yaml:"time_zone"` // of times that carry none: "UTC", "Asia/Seoul"
}

// GELF says where Graylog's format is taken in. An empty address is off.
type GELF struct {
	UDP string `yaml:"udp"`
	TCP string `yaml:"tcp"`
}

// Collectors says where agents call. They may always call Listen.
type Collectors struct {
	Listen  string `yaml:"listen"`  // another address for them alone; empty: none
	Address string `yaml:"address"` // host:port that they reach the server by; default from public_url or the addresses above
}

// Database is the control database.
type Database struct {
	URL Secret `yaml:"url"` // postgres://…; empty: SQLite in the data folder
}

// Queue is the durable queue.
type Queue struct {
	URL        Secret `yaml:"url"`        // nats://…; empty: embedded in the data folder
	Partitions int    `yaml:"partitions"` // used when the queue is made
	MaxBytes   Size   `yaml:"max_bytes"`  // full beyond it: senders are told to wait
	Replicas   int    `yaml:"replicas"`   // copies in a NATS cluster
}

// EventStore is the index of events.
type EventStore struct {
	Nodes    []string `yaml:"nodes"`    // host:port of stock storage nodes; empty: a child process with its data in the data folder
	Username string   `yaml:"username"` // of external nodes
	Password Secret   `yaml:"password"`
	Memory   Size     `yaml:"memory"` // bound of the child's caches
}

// Retention bounds what is kept. It counts from arrival, never from event time.
type Retention struct {
	Days         int  `yaml:"days"`           // of tenants without a term of their own
	MaxBytes     Size `yaml:"max_bytes"`      // of index and archive together; 0: as the disk allows
	MinFreeBytes Size `yaml:"min_free_bytes"` // less free space than this: intake is refused until there is room
}

// Alerts says how alerts are raised.
type Alerts struct {
	StormAfter int `yaml:"storm_after"` // alerts of one rule and tenant in an hour, beyond which further ones fold into one; 0: never
}

// Canary says how often an event of KYRA's own proves that the whole way is open.
type Canary struct {
	Every string `yaml:"every"` // for each tenant: "15m"; "0": never
}

// Compliance says what compliance is judged by.
type Compliance struct {
	Catalogues string `yaml:"catalogues"` // folder with catalogues (*.yaml) beside those of the program; empty: none
}

// Interval is Every as a duration; 0: never.
func (c Canary) Interval() (time.Duration, error) {
	d, err := time.ParseDuration(c.Every)
	if err != nil || d < 0 || d > 0 && d < 10*time.Second {
		return 0, errors.New(`must be "0" for never, or a time of at least "10s", such as "15m"`)
	}
	return d, nil
}

// Webhooks bounds outbound calls.
type Webhooks struct {
	Allow []string `yaml:"allow"` // networks that outbound calls may reach although they are internal, and without TLS
}

// Seal says how secrets that must be read again are kept.
type Seal struct {
	Key Secret `yaml:"key"` // 32 bytes in base64, the same on all servers of a database; empty: the file seal-key in the data folder
}

// Allowed is every network that outbound calls may reach although it is internal.
func (c *Config) Allowed() []string { return slices.Concat(c.Webhooks.Allow, c.WebhookAllow) }

// Log is KYRA's own log.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text or json
}

// Default returns the settings of a server without a configuration.
func Default() Config {
	return Config{
		Data:       "./kyra-data",
		Listen:     "127.0.0.1:8080",
		Tenant:     "default",
		Syslog:     Syslog{UDP: "127.0.0.1:5514", TCP: "127.0.0.1:5514", TimeZone: "UTC"},
		Queue:      Queue{Partitions: 2, MaxBytes: 8 << 30, Replicas: 1},
		EventStore: EventStore{Memory: 256 << 20},
		Retention:  Retention{Days: 365, MinFreeBytes: 1 << 30},
		Alerts:     Alerts{StormAfter: 100},
		Canary:     Canary{Every: "15m"},
		Log:        Log{Level: "info", Format: "text"},
	}
}

// Load returns Default changed by the file (none where path is empty) and by
// environment variables: KYRA_LISTEN, KYRA_SYSLOG_UDP, KYRA_QUEUE_MAX_BYTES and
// so on, lists separated by commas. Call Validate when flags have been set.
func Load(path string, environ []string) (Config, error) {
	cfg := Default()
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return cfg, fmt.Errorf("read configuration: %w", err)
		}
		if len(strings.TrimSpace(string(data))) > 0 {
			if err := yaml.UnmarshalWithOptions(data, &cfg, yaml.Strict()); err != nil {
				return cfg, fmt.Errorf("configuration %s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, true)))
			}
		}
	}
	if err := applyEnvironment(&cfg, environ); err != nil {
		return cfg, err
	}
	return cfg, nil
}

// Validate returns every fault of c, each with the key that it is about.
func (c *Config) Validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	address := func(key, v string, required bool) {
		if v == "" && !required {
			return
		}
		if _, port, err := net.SplitHostPort(v); err != nil || port == "" {
			fault(key, "%q is not of the form host:port", v)
		}
	}
	if c.Data == "" {
		fault("data", "must name a folder")
	}
	address("listen", c.Listen, true)
	address("syslog.udp", c.Syslog.UDP, false)
	address("syslog.tcp", c.Syslog.TCP, false)
	address("syslog.tls", c.Syslog.TLS, false)
	address("syslog.relp", c.Syslog.RELP, false)
	address("syslog.relp_tls", c.Syslog.RELPTLS, false)
	address("gelf.udp", c.GELF.UDP, false)
	address("gelf.tcp", c.GELF.TCP, false)
	address("collectors.listen", c.Collectors.Listen, false)
	address("collectors.address", c.Collectors.Address, false)
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		fault("tls", "needs both cert and key")
	}
	for key, v := range map[string]string{"syslog.tls": c.Syslog.TLS, "syslog.relp_tls": c.Syslog.RELPTLS} {
		if v != "" && (c.Syslog.Cert == "" || c.Syslog.Key == "") {
			fault(key, "needs syslog.cert and syslog.key")
		}
	}
	if _, err := time.LoadLocation(c.Syslog.TimeZone); err != nil {
		fault("syslog.time_zone", "%q is not a time zone: use a name such as UTC or Asia/Seoul", c.Syslog.TimeZone)
	}
	if c.Tenant == "" {
		fault("tenant", "must not be empty")
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			fault("public_url", "%q is not an http or https address", c.PublicURL)
		}
	}
	if u := string(c.Database.URL); u != "" && !strings.HasPrefix(u, "postgres://") && !strings.HasPrefix(u, "postgresql://") {
		fault("database.url", "must begin with postgres://, or be empty for SQLite in the data folder")
	}
	if c.Queue.Partitions < 1 || c.Queue.Partitions > 256 {
		fault("queue.partitions", "is %d, allowed: 1 to 256", c.Queue.Partitions)
	}
	if c.Queue.Replicas < 1 || c.Queue.Replicas > 5 {
		fault("queue.replicas", "is %d, allowed: 1 to 5", c.Queue.Replicas)
	}
	if c.Queue.MaxBytes < 16<<20 {
		fault("queue.max_bytes", "is %s, allowed: 16MiB or more", c.Queue.MaxBytes)
	}
	for i, n := range c.EventStore.Nodes {
		address(fmt.Sprintf("eventstore.nodes[%d]", i), n, true)
	}
	if c.EventStore.Memory < 32<<20 {
		fault("eventstore.memory", "is %s, allowed: 32MiB or more", c.EventStore.Memory)
	}
	if c.Retention.Days < 1 || c.Retention.Days > 36500 {
		fault("retention.days", "is %d, allowed: 1 to 36500", c.Retention.Days)
	}
	if c.Retention.MaxBytes < 0 || c.Retention.MinFreeBytes < 0 {
		fault("retention", "sizes must not be negative")
	}
	if _, err := c.Canary.Interval(); err != nil {
		fault("canary.every", "is %q, %v", c.Canary.Every, err)
	}
	if c.Alerts.StormAfter < 0 {
		fault("alerts.storm_after", "is %d, allowed: 0 (never) or more", c.Alerts.StormAfter)
	}
	if _, ok := levels[c.Log.Level]; !ok {
		fault("log.level", "is %q, allowed: debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		fault("log.format", "is %q, allowed: text, json", c.Log.Format)
	}
	if key, err := base64.StdEncoding.DecodeString(string(c.Seal.Key)); c.Seal.Key != "" && (err != nil || len(key) != 32) {
		fault("seal.key", "is not 32 bytes in base64: make one with openssl rand -base64 32")
	}
	for key, list := range map[string][]string{"webhooks.allow": c.Webhooks.Allow, "webhook_allow": c.WebhookAllow} {
		for i, n := range list {
			_, err := netip.ParseAddr(n)
			if err != nil {
				_, err = netip.ParsePrefix(n)
			}
			if err != nil {
				fault(fmt.Sprintf("%s[%d]", key, i), "%q is not a network such as 10.0.0.0/8", n)
			}
		}
	}
	return errors.Join(faults...)
}
