package alert

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// References to events are kept in blocks, one for each alert and batch that it grew
// by: an id takes some four bytes, however many there are.

// referring gathers the references that a batch adds to an alert.
type referring struct {
	blocks, events int64 // stored
	fresh          []event.ID
	first, last    int64 // event time of the fresh ones, nanoseconds
}

func (r *referring) add(f *Finding) {
	if len(f.Events) == 0 {
		return
	}
	if len(r.fresh) == 0 {
		r.first, r.last = f.First, f.Last
	}
	r.first, r.last = min(r.first, f.First), max(r.last, f.Last)
	r.fresh = append(r.fresh, f.Events...)
}

// store writes the fresh references as a block of alert seq. before holds the
// references that the alert had before blocks came: they become the first block.
func (r *referring) store(ctx context.Context, tx *sqldb.DB, seq int64, before referring) error {
	if len(r.fresh) == 0 {
		return nil
	}
	if r.blocks == 0 && len(before.fresh) > 0 {
		if err := before.store(ctx, tx, seq, referring{}); err != nil {
			return err
		}
		r.blocks, r.events = before.blocks, before.events
	}
	_, err := sqldb.Exec(ctx, tx, `INSERT INTO alert_event (seq, n, first_seen, last_seen, events, ids) VALUES ($1, $2, $3, $4, $5, $6)`,
		seq, r.blocks, micros(r.first).UnixMicro(), micros(r.last).UnixMicro(), len(r.fresh), packIDs(r.fresh))
	r.blocks++
	r.events += int64(len(r.fresh))
	r.fresh = nil
	return err
}

// packIDs writes ids as differences: they mostly rise by one.
func packIDs(ids []event.ID) []byte {
	out := make([]byte, 0, 4*len(ids)+16)
	var last event.ID
	for _, id := range ids {
		out = binary.AppendUvarint(out, uint64(id.Partition))
		out = binary.AppendVarint(out, int64(id.Seq-last.Seq)) //nolint:gosec // wraps around both ways
		out = binary.AppendVarint(out, int64(id.Index)-int64(last.Index))
		last = id
	}
	return out
}

var errPacked = errors.New("packed event ids are damaged")

// unpackIDs reads what packIDs wrote.
func unpackIDs(packed []byte) ([]event.ID, error) {
	var ids []event.ID
	var last event.ID
	for len(packed) > 0 {
		partition, n := binary.Uvarint(packed)
		if n <= 0 || partition > math.MaxUint16 {
			return nil, errPacked
		}
		seq, m := binary.Varint(packed[n:])
		if m <= 0 {
			return nil, errPacked
		}
		index, k := binary.Varint(packed[n+m:])
		if k <= 0 || index > math.MaxUint32 || index < -math.MaxUint32 {
			return nil, errPacked
		}
		if index += int64(last.Index); index < 0 || index > math.MaxUint32 {
			return nil, errPacked
		}
		last = event.ID{Partition: uint16(partition), Seq: last.Seq + uint64(seq), Index: uint32(index)} //nolint:gosec // wraps around as in packIDs
		ids = append(ids, last)
		packed = packed[n+m+k:]
	}
	return ids, nil
}

// A References is one page of the events that made an alert, in the order in which
// they were recorded.
type References struct {
	Events      []event.ID
	First, Last time.Time // event time of all of them lies between
	Total       int64     // references of the alert
	Next        string    // cursor of the next page, "" on the last
}

// MaxReferences is how many References one page may hold.
const MaxReferences = 500

// References returns the page of at most size events of the tenant's alert that
// begins at cursor, "" for the first. What one cursor names stays while the alert grows.
func (s *Service) References(ctx context.Context, tenant uint32, id, cursor string, size int) (*References, error) {
	if size < 1 || size > MaxReferences {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", MaxReferences).In("size")
	}
	block, skip, err := parseReference(cursor)
	if err != nil {
		return nil, err
	}
	p := &References{Events: []event.ID{}}
	err = s.db.View(ctx, func(tx *sqldb.DB) error {
		a, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		type row struct {
			blocks, referred int64
			events           string
		}
		r, err := sqldb.One(ctx, tx, func(rows *sql.Rows, r *row) error { return rows.Scan(&r.blocks, &r.referred, &r.events) },
			`SELECT blocks, referred, events FROM alert_detail WHERE seq = $1`, a.seq)
		if err != nil {
			return err
		}
		if r.blocks == 0 { // it has not grown since blocks came
			all, err := decodeEvents(r.events)
			if err != nil {
				return err
			}
			p.Total = int64(len(all))
			if block == 0 {
				p.take(all, 0, skip, size, a.FirstSeen, a.LastSeen)
			}
			return nil
		}
		p.Total = r.referred
		return p.read(ctx, tx, a.seq, block, skip, size)
	})
	return p, fault.Wrap("list events of alert", err)
}

// read gathers from the blocks of alert seq, one more than the page needs.
func (p *References) read(ctx context.Context, tx *sqldb.DB, seq, block, skip int64, size int) error {
	type row struct {
		n           int64
		first, last time.Time
		ids         []byte
	}
	for r, err := range sqldb.Stream(ctx, tx, func(rows *sql.Rows, r *row) error {
		return rows.Scan(&r.n, sqldb.Micros(&r.first), sqldb.Micros(&r.last), &r.ids)
	}, `SELECT n, first_seen, last_seen, ids FROM alert_event WHERE seq = $1 AND n >= $2 ORDER BY n LIMIT $3`, seq, block, size+1) {
		if err != nil {
			return err
		}
		if len(p.Events) == size {
			p.Next = fmt.Sprintf("%d-0", r.n)
			return nil
		}
		ids, err := unpackIDs(r.ids)
		if err != nil {
			return err
		}
		if r.n != block {
			skip = 0
		}
		if p.take(ids, r.n, skip, size, r.first, r.last); p.Next != "" {
			return nil
		}
	}
	return nil
}

// take adds the ids of one block from skip on, as far as there is room.
func (p *References) take(ids []event.ID, block, skip int64, size int, first, last time.Time) {
	ids = ids[min(skip, int64(len(ids))):]
	if len(ids) == 0 {
		return
	}
	if len(p.Events) == 0 || first.Before(p.First) {
		p.First = first
	}
	if len(p.Events) == 0 || last.After(p.Last) {
		p.Last = last
	}
	if room := size - len(p.Events); len(ids) > room {
		ids = ids[:room]
		p.Next = fmt.Sprintf("%d-%d", block, skip+int64(room))
	}
	p.Events = append(p.Events, ids...)
}

// parseReference reads a cursor: the block and how many of its ids come before.
func parseReference(cursor string) (block, skip int64, err error) {
	if cursor == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(cursor, "-")
	block, err1 := strconv.ParseInt(a, 10, 64)
	skip, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil || block < 0 || skip < 0 || fmt.Sprintf("%d-%d", block, skip) != cursor {
		return 0, 0, fault.New(fault.Invalid, "Allowed: the nextCursor of the page before").In("cursor")
	}
	return block, skip, nil
}
