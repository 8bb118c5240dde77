package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Report is what a collector tells of itself with a heartbeat.
type Report struct {
	Address       string     `json:"address"`    // that it came from
	CPUPercent    float64    `json:"cpuPercent"` // of one processor
	MemoryBytes   int64      `json:"memoryBytes"`
	SpoolBytes    int64      `json:"spoolBytes"`
	SpoolRecords  int64      `json:"spoolRecords"`
	SpoolLimit    int64      `json:"spoolLimit"`              // at which the spool is full, bytes
	OldestSpooled *time.Time `json:"oldestSpooled,omitempty"` // arrival of the oldest record that is not acknowledged

	// ClockOffset is how far the collector's clock is ahead of ours, nanoseconds;
	// the way of the heartbeat is in it.
	ClockOffset time.Duration `json:"clockOffset"`

	ConfigRevision string         `json:"configRevision"`          // that it runs with, "" for none
	ConfigRefused  string         `json:"configRefused,omitempty"` // that it did not take
	ConfigError    string         `json:"configError,omitempty"`
	Sources        []SourceReport `json:"sources"`
}

// A SourceReport tells how one source of a collector fares.
type SourceReport struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Records    int64      `json:"records"` // spooled since the host was enrolled; the figures below are of the same time, errors since the source started
	Bytes      int64      `json:"bytes"`
	Filtered   int64      `json:"filtered"` // left out by the source's own rules
	Dropped    int64      `json:"dropped"`  // lost
	Errors     int64      `json:"errors"`
	LastError  string     `json:"lastError,omitempty"`
	LastRecord *time.Time `json:"lastRecord,omitempty"`
	Rate       float64    `json:"rate"` // records a second
}

// wants tells whether the collector lacks a revision. One that it refused is not
// shown to it again.
func (r *Report) wants(revision int64) bool {
	text := strconv.FormatInt(revision, 10)
	return cmp.Or(r.ConfigRevision, "0") != text && r.ConfigRefused != text
}

// maxSources bounds what is kept of one report.
const maxSources = 500

func (r *Report) trim() {
	r.Address, r.ConfigError = brief(r.Address, 64), brief(r.ConfigError, 2000)
	r.ConfigRevision, r.ConfigRefused = brief(r.ConfigRevision, 32), brief(r.ConfigRefused, 32)
	r.Sources = r.Sources[:min(len(r.Sources), maxSources)]
	for i := range r.Sources {
		src := &r.Sources[i]
		src.Name, src.Type, src.LastError = brief(src.Name, 128), brief(src.Type, 32), brief(src.LastError, 500)
	}
}

// An Answer to a heartbeat is what the collector is to do.
type Answer struct {
	Desired *Desired // nil: the configuration that it has is right
	Renew   bool     // ask for a new certificate
}

type beat struct {
	tenant  uint32
	machine Machine
	report  Report
	at      time.Time
}

// Heartbeat hears of a collector, whose certificate ends then. It is written down
// by the next flush.
func (s *Service) Heartbeat(ctx context.Context, c Caller, m Machine, r Report, certificateEnds time.Time) (Answer, error) {
	now := s.Now()
	m.trim()
	if m.Hostname == "" {
		m.Hostname = c.Hostname
	}
	r.trim()
	s.mu.Lock()
	s.beats[c.ID] = beat{c.Tenant, m, r, now}
	s.mu.Unlock()
	answer := Answer{Renew: certificateEnds.Sub(now) < renewBefore}
	if r.wants(c.desired) {
		d, err := s.Desired(ctx, c.Tenant, c.ID)
		if err != nil {
			return Answer{}, err
		}
		if r.wants(d.Revision) {
			answer.Desired = d
		}
	}
	return answer, nil
}

// Acknowledged notes that a collector's batches up to seq are kept. It is written
// down by the next flush: a smaller number in the database does no harm.
func (s *Service) Acknowledged(id string, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked[id] = max(s.acked[id], seq)
}

// flushSize bounds one transaction.
const flushSize = 200

// Flush writes down what was heard. What cannot be written now is kept for the next
// time.
func (s *Service) Flush(ctx context.Context) error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	beats, acked := s.beats, s.acked
	s.beats, s.acked = map[string]beat{}, map[string]uint64{}
	s.mu.Unlock()
	ids := map[string]bool{}
	for id := range beats {
		ids[id] = true
	}
	for id := range acked {
		ids[id] = true
	}
	// In order: servers that share the database then wait for each other in turn.
	for some := range slices.Chunk(slices.Sorted(maps.Keys(ids)), flushSize) {
		err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
			for _, id := range some {
				if err := s.write(ctx, tx, id, beats, acked); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.keep(beats, acked)
			return fmt.Errorf("write heartbeats: %w", err)
		}
		for _, id := range some {
			delete(beats, id)
			delete(acked, id)
		}
	}
	return nil
}

// keep takes back what could not be written, where nothing newer was heard.
func (s *Service) keep(beats map[string]beat, acked map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, b := range beats {
		if _, newer := s.beats[id]; !newer {
			s.beats[id] = b
		}
	}
	for id, seq := range acked {
		s.acked[id] = max(s.acked[id], seq)
	}
}

func (s *Service) write(ctx context.Context, tx *sqldb.DB, id string, beats map[string]beat, acked map[string]uint64) error {
	if seq := acked[id]; seq > 0 {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE fleet_member SET acked = $1 WHERE id = $2 AND acked < $1`, int64(seq), id); err != nil {
			return err
		}
	}
	b, ok := beats[id]
	if !ok {
		return nil
	}
	m, err := member(ctx, tx, b.tenant, id)
	if errors.Is(err, fault.NotFound) {
		return nil // the database is another one than before
	}
	if err != nil {
		return err
	}
	if m.RevokedAt != nil {
		return nil
	}
	report, err := json.Marshal(b.report)
	if err != nil {
		return err
	}
	if err := s.Sources.Heartbeat(ctx, tx, source.Beat{
		Tenant: b.tenant, ID: id, Name: id, Hostname: b.machine.Hostname, Version: b.machine.Version, OSFamily: b.machine.OSFamily, At: b.at,
	}); err != nil {
		return err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE fleet_member SET report = $1, away_since = NULL WHERE id = $2`, string(report), id); err != nil {
		return err
	}
	if m.AwaySince == nil {
		return nil
	}
	return outbox.Add(ctx, tx, outbox.Message{
		Tenant: m.Tenant, Event: outbox.CollectorConnected, Object: m.ID, Kind: "collectors", Severity: "info", At: b.at,
		Title: fmt.Sprintf("Collector %s is back", m.Name),
		Text:  fmt.Sprintf("The collector on %s is heard of again, for the first time since %s.", b.machine.Hostname, m.Heard.Format(time.RFC3339)),
	})
}
