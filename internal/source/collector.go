package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Server names the collector that stands for the server's own inputs.
const Server = "server"

// A collector beats each BeatEvery and is offline when nothing was heard of it
// for longer than OfflineAfter: two beats may be lost.
const (
	BeatEvery    = protocol.HeartbeatInterval
	OfflineAfter = protocol.OfflineAfter
)

// Status tells whether a collector is there.
type Status string

// The states of a collector.
const (
	Online  Status = "online"
	Offline Status = "offline"
)

// A Collector is an agent, or the server itself, that events of one tenant come
// through.
type Collector struct {
	ID       string // UUIDv7, for ever the same
	Tenant   uint32
	Name     string // Server, or the agent's id
	Hostname string
	Version  string
	OSFamily string // "linux", "windows", "darwin", …

	Created       time.Time
	LastHeartbeat time.Time
	Status        Status // by the age of LastHeartbeat, when it was read

	// EventsIngested counts what was received through it; it never goes back.
	EventsIngested int64
}

// A Beat is one sign of life.
type Beat struct {
	Tenant                      uint32
	ID                          string // that it has where it is new; "": one is made
	Name                        string // Server, or the agent's id
	Hostname, Version, OSFamily string
	At                          time.Time // zero: now
}

// Service keeps collectors and ledger.
type Service struct {
	db  *sqldb.DB
	now func() time.Time
}

// New returns a Service; now is time.Now outside of tests.
func New(db *sqldb.DB, now func() time.Time) *Service { return &Service{db: db, now: now} }

// Heartbeat notes that a collector lives, and makes it when it is new. tx may be
// the database itself or a transaction of the caller's.
func (s *Service) Heartbeat(ctx context.Context, tx *sqldb.DB, b Beat) error {
	if b.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		b.ID = id.String()
	}
	if b.At.IsZero() {
		b.At = s.now()
	}
	// A clock that went back, or an older beat that comes late, changes nothing.
	_, err := sqldb.Exec(ctx, tx, `
		INSERT INTO collector (id, tenant, name, hostname, version, os_family, created_at, last_heartbeat)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
		ON CONFLICT (tenant, name) DO UPDATE SET
			hostname = excluded.hostname, version = excluded.version, os_family = excluded.os_family,
			last_heartbeat = excluded.last_heartbeat
		WHERE collector.last_heartbeat <= excluded.last_heartbeat`,
		b.ID, int64(b.Tenant), b.Name, b.Hostname, b.Version, b.OSFamily, b.At.UnixMicro())
	if err != nil {
		return fmt.Errorf("heartbeat of %s: %w", b.Name, err)
	}
	return nil
}

const collectorColumns = `
	SELECT c.id, c.tenant, c.name, c.hostname, c.version, c.os_family, c.created_at, c.last_heartbeat, COALESCE(t.received, 0)
	FROM collector c LEFT JOIN collector_total t ON t.tenant = c.tenant AND t.collector = c.name`

// List returns all collectors of a tenant, by host name, but for those that were
// revoked.
func (s *Service) List(ctx context.Context, tenant uint32) ([]Collector, error) {
	all, err := sqldb.All(ctx, s.db, s.scan, collectorColumns+`
		WHERE c.tenant = $1 AND NOT EXISTS (SELECT 1 FROM fleet_member m WHERE m.id = c.id AND m.revoked_at IS NOT NULL)
		ORDER BY c.hostname, c.id`, int64(tenant))
	if err != nil {
		return nil, fmt.Errorf("list collectors: %w", err)
	}
	return all, nil
}

// Get returns one collector, or fault.NotFound.
func (s *Service) Get(ctx context.Context, tenant uint32, id string) (Collector, error) {
	c, err := sqldb.One(ctx, s.db, s.scan, collectorColumns+` WHERE c.tenant = $1 AND c.id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return c, fault.New(fault.NotFound, "no such collector")
	}
	if err != nil {
		return c, fmt.Errorf("get collector: %w", err)
	}
	return c, nil
}

func (s *Service) scan(rows *sql.Rows, c *Collector) error {
	err := rows.Scan(&c.ID, &c.Tenant, &c.Name, &c.Hostname, &c.Version, &c.OSFamily,
		sqldb.Micros(&c.Created), sqldb.Micros(&c.LastHeartbeat), &c.EventsIngested)
	c.Status = Online
	if s.now().Sub(c.LastHeartbeat) > OfflineAfter {
		c.Status = Offline
	}
	return err
}
