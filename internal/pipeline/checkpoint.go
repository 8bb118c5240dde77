package pipeline

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/retention"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// state is what parser and detector remember between batches.
type state struct {
	Parser   []byte `json:"parser"`
	Detector []byte `json:"detector"`
	Latest   int64  `json:"latest"` // of resends
}

// mark is where a partition stands in the database.
type mark struct {
	partition int
	base      uint64
	detected  uint64
	limit     uint64 // no batch beyond it was handed to archive or store
	state     *state // at base; nil where there is none yet
}

// snapshot is what a checkpoint writes beside the sequence.
type snapshot struct {
	state   state
	resends *resendChanges // nil where nothing changed
	counts  *counts
}

// counts gathers what happened since the last checkpoint.
type counts struct {
	bySource map[sourceHour]*source.Count
	failures map[failure]*quarantine.Count
	days     map[retention.Day]int64 // day of event time → newest arrival
	last     *source.Count           // of the previous event: they come in runs
	lastKey  sourceHour
}

type sourceHour struct {
	tenant uint32
	via    string // source.Count.Collector
	source string
	hour   int64
	policy string // source.Count.Policy
}

type failure struct {
	sourceHour
	reason parse.Reason
}

func newCounts() *counts {
	return &counts{bySource: map[sourceHour]*source.Count{}, failures: map[failure]*quarantine.Count{}, days: map[retention.Day]int64{}}
}

// add counts an event that came through via and goes into the store; reason says why it
// is quarantined.
func (c *counts) add(e *event.Event, via string, reason parse.Reason, day retention.Day) {
	n := c.of(sourceHour{tenant: e.Tenant, via: via, source: e.Get(event.Source), hour: e.Arrived / int64(time.Hour)})
	n.Received++
	if reason == "" {
		n.Stored++
	} else {
		n.Quarantined++
		c.fail(e, n.Source, reason)
	}
	if c.days[day] < e.Arrived {
		c.days[day] = e.Arrived
	}
}

// fail counts a quarantined event; from is kept.
func (c *counts) fail(e *event.Event, from string, reason parse.Reason) {
	at := failure{sourceHour{tenant: e.Tenant, source: from, hour: e.Arrived / int64(time.Hour)}, reason}
	n := c.failures[at]
	if n == nil {
		n = &quarantine.Count{Tenant: e.Tenant, Source: from, Reason: reason, First: e.Arrived, Last: e.Arrived}
		c.failures[at] = n
	}
	n.First = min(n.First, e.Arrived)
	if e.Arrived >= n.Last {
		n.Last, n.Sample = e.Arrived, e.ID
	}
	n.Records++
}

// drop counts records that make no event, by the policy that says so.
func (c *counts) drop(tenant uint32, via, from string, arrived int64, records int, policy string) {
	n := c.of(sourceHour{tenant: tenant, via: via, source: from, hour: arrived / int64(time.Hour), policy: policy})
	n.Received += int64(records)
	n.Dropped += int64(records)
}

func (c *counts) of(at sourceHour) *source.Count {
	if c.last == nil || at != c.lastKey {
		n := c.bySource[at]
		if n == nil {
			at.source, at.via = strings.Clone(at.source), strings.Clone(at.via) // else they would hold their whole batch
			n = &source.Count{Tenant: at.tenant, Collector: at.via, Source: at.source, Arrived: at.hour * int64(time.Hour), Policy: at.policy}
			c.bySource[at] = n
		}
		at.source, at.via = n.Source, n.Collector
		c.last, c.lastKey = n, at
	}
	return c.last
}

func listMarks(ctx context.Context, db *sqldb.DB) ([]mark, error) {
	marks, err := sqldb.All(ctx, db, scanMark, `SELECT partition_no, base_seq, detected_seq, handed_limit, state FROM checkpoint ORDER BY partition_no`)
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	return marks, nil
}

func loadMark(ctx context.Context, db *sqldb.DB, partition int) (mark, error) {
	m, err := sqldb.One(ctx, db, scanMark, `SELECT partition_no, base_seq, detected_seq, handed_limit, state FROM checkpoint WHERE partition_no = $1`, partition)
	if errors.Is(err, fault.NotFound) {
		return mark{partition: partition}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return m, nil
}

func scanMark(rows *sql.Rows, m *mark) error {
	var base, detected, limit int64
	var packed []byte
	if err := rows.Scan(&m.partition, &base, &detected, &limit, &packed); err != nil {
		return err
	}
	m.base, m.detected, m.limit = uint64(base), uint64(detected), uint64(limit)
	if len(packed) == 0 {
		return nil
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer dec.Close()
	text, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return fmt.Errorf("unpack checkpoint: %w", err)
	}
	m.state = &state{}
	return json.Unmarshal(text, m.state)
}

// saveLimit notes how far batches may be handed on from now.
func saveLimit(ctx context.Context, db *sqldb.DB, partition int, limit uint64) error {
	_, err := sqldb.Exec(ctx, db, `INSERT INTO checkpoint (partition_no, base_seq, detected_seq, handed_limit) VALUES ($1, 0, 0, $2)
		ON CONFLICT (partition_no) DO UPDATE SET handed_limit = excluded.handed_limit`, partition, int64(limit))
	if err != nil {
		return fmt.Errorf("write hand-over limit: %w", err)
	}
	return nil
}

func saveDetected(ctx context.Context, tx *sqldb.DB, partition int, seq uint64) error {
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO checkpoint (partition_no, base_seq, detected_seq) VALUES ($1, 0, $2)
		ON CONFLICT (partition_no) DO UPDATE SET detected_seq = CASE WHEN checkpoint.detected_seq > excluded.detected_seq THEN checkpoint.detected_seq ELSE excluded.detected_seq END`,
		partition, int64(seq))
	return err
}

func saveCheckpoint(ctx context.Context, tx *sqldb.DB, sources *source.Service, partition int, seq uint64, s *snapshot, now time.Time) error {
	text, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	packed := enc.EncodeAll(text, nil)
	if err := enc.Close(); err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO checkpoint (partition_no, base_seq, detected_seq, state, updated_at) VALUES ($1, $2, $2, $3, $4)
		ON CONFLICT (partition_no) DO UPDATE SET base_seq = excluded.base_seq, state = excluded.state, updated_at = excluded.updated_at,
			detected_seq = CASE WHEN checkpoint.detected_seq > excluded.detected_seq THEN checkpoint.detected_seq ELSE excluded.detected_seq END`,
		partition, int64(seq), packed, now.UnixMicro())
	if err != nil {
		return err
	}
	if err := retention.Note(ctx, tx, s.counts.days); err != nil {
		return err
	}
	if err := saveResends(ctx, tx, partition, s.resends); err != nil {
		return err
	}
	if err := sources.Record(ctx, tx, s.counts.list()); err != nil {
		return err
	}
	return quarantine.Record(ctx, tx, s.counts.failed())
}

func (c *counts) failed() []quarantine.Count {
	list := make([]quarantine.Count, 0, len(c.failures))
	for _, n := range c.failures {
		list = append(list, *n)
	}
	return list
}

func (c *counts) list() []source.Count {
	list := make([]source.Count, 0, len(c.bySource))
	for _, n := range c.bySource {
		list = append(list, *n)
	}
	return list
}
