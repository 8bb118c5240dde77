package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Member is a collector that was let in.
type Member struct {
	ID         string
	Tenant     uint32
	Name       string
	Labels     map[string]string
	EnrolledAt time.Time
	Serial     string // of its newest certificate, hexadecimal
	NotAfter   time.Time
	Acked      uint64     // a batch that is acknowledged, as are all before
	Report     *Report    // nil before its first heartbeat
	AwaySince  *time.Time // when it was noticed that it is gone, nil while it is there
	RevokedAt  *time.Time
	RevokedBy  string
	Hostname   string
	Heard      time.Time // its last heartbeat
}

const memberColumns = `
	SELECT m.id, m.tenant, m.name, m.labels, m.enrolled_at, m.serial, m.not_after, m.acked, m.report, m.away_since, m.revoked_at, m.revoked_by,
		c.hostname, c.last_heartbeat
	FROM fleet_member m JOIN collector c ON c.id = m.id`

func scanMember(rows *sql.Rows, m *Member) error {
	var labels, report string
	var acked int64
	if err := rows.Scan(&m.ID, &m.Tenant, &m.Name, &labels, sqldb.Micros(&m.EnrolledAt), &m.Serial, sqldb.Micros(&m.NotAfter), &acked, &report,
		sqldb.MicrosOrNull(&m.AwaySince), sqldb.MicrosOrNull(&m.RevokedAt), &m.RevokedBy, &m.Hostname, sqldb.Micros(&m.Heard)); err != nil {
		return err
	}
	m.Acked = uint64(acked)
	if report != "" {
		m.Report = &Report{}
		if err := json.Unmarshal([]byte(report), m.Report); err != nil {
			return err
		}
	}
	return json.Unmarshal([]byte(labels), &m.Labels)
}

// Member returns a collector of the tenant, also one that was revoked; fault.NotFound
// for none, and for the server's own inputs.
func (s *Service) Member(ctx context.Context, tenant uint32, id string) (*Member, error) {
	return member(ctx, s.DB, tenant, id)
}

func member(ctx context.Context, db *sqldb.DB, tenant uint32, id string) (*Member, error) {
	m, err := sqldb.One(ctx, db, scanMember, memberColumns+` WHERE m.tenant = $1 AND m.id = $2`, int64(tenant), id)
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no such collector")
	}
	if err != nil {
		return nil, fmt.Errorf("get collector: %w", err)
	}
	return &m, nil
}

// Revoke puts a collector out: from now on none of its certificates opens anything,
// in this process at once, in others within seconds.
func (s *Service) Revoke(ctx context.Context, tenant uint32, actor, id string) error {
	now := s.moment()
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		m, err := member(ctx, tx, tenant, id)
		if err != nil || m.RevokedAt != nil {
			return err
		}
		if _, err := sqldb.Exec(ctx, tx, `UPDATE fleet_member SET revoked_at = $1, revoked_by = $2 WHERE id = $3`, now.UnixMicro(), actor, id); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: now, Actor: actor, Action: "collector.revoke", Object: id, Detail: map[string]any{"name": m.Name, "serial": m.Serial},
		})
	})
	s.callers.forget()
	if err != nil {
		return fmt.Errorf("revoke a collector: %w", err)
	}
	for _, tell := range s.revoked {
		tell(id)
	}
	return nil
}

// A Caller is a collector that shows a good certificate.
type Caller struct {
	ID       string
	Tenant   uint32
	Name     string
	Hostname string
	Acked    uint64 // as the database knows it

	desired int64 // revision of the configuration that it shall have
}

func errUnknown() error {
	return fault.New(fault.Unauthenticated, "collector unknown: enroll again")
}

func errRevoked() error {
	return fault.New(fault.Forbidden, "collector revoked: enroll again")
}

// Admit tells who a collector is whose certificate names id: fault.Unauthenticated
// for nobody, fault.Forbidden for one that was revoked.
func (s *Service) Admit(ctx context.Context, id string) (Caller, error) {
	now := s.Now()
	known, generation := s.callers.get(id, now)
	if known == nil {
		m, err := sqldb.One(ctx, s.DB, scanMember, memberColumns+` WHERE m.id = $1`, id)
		if errors.Is(err, fault.NotFound) {
			return Caller{}, errUnknown()
		}
		if err != nil {
			return Caller{}, fault.New(fault.Unavailable, "collectors cannot be checked now: try again").Because(err)
		}
		known = &knownCaller{caller: Caller{ID: m.ID, Tenant: m.Tenant, Name: m.Name, Hostname: m.Hostname, Acked: m.Acked}, revoked: m.RevokedAt != nil, loaded: now}
		if known.caller.desired, err = s.desiredRevision(ctx, m.Tenant, m.ID); err != nil {
			return Caller{}, fault.New(fault.Unavailable, "the configuration cannot be read now: try again").Because(err)
		}
		s.callers.put(id, known, generation)
	}
	if known.revoked {
		return Caller{}, errRevoked()
	}
	return known.caller, nil
}

const (
	cacheFor  = 3 * time.Second // how long another process's revocation may take to act here
	cacheSize = 20_000
)

// callers holds for a few seconds who asked before.
type callers struct {
	mu         sync.Mutex
	known      map[string]*knownCaller
	generation uint64 // grows with every change that this process makes
}

type knownCaller struct {
	caller  Caller
	revoked bool
	loaded  time.Time
}

// get returns a fresh entry or nil, and the generation to hand to put.
func (c *callers) get(id string, now time.Time) (*knownCaller, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[id]
	if k != nil && (now.Sub(k.loaded) >= cacheFor || now.Before(k.loaded)) {
		k = nil
	}
	return k, c.generation
}

// put keeps k unless something changed since generation: k may have been read before.
func (c *callers) put(id string, k *knownCaller, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if c.known == nil || len(c.known) >= cacheSize {
		c.known = map[string]*knownCaller{}
	}
	c.known[id] = k
}

func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.known = nil
}
