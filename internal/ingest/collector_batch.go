package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/queue"
)

const (
	// maxSeq is the last batch that a collector may number, so that the numbers of
	// its chunks fit into 64 bits.
	maxSeq = 1<<48 - 1

	// Limits of the chunks that a batch is cut into. The cut must be the same when a
	// batch comes again, or its chunks would have other numbers: a change of these
	// must not meet batches that were half taken before it.
	numberedBytes   = 512 << 10
	numberedRecords = maxChunkRecords

	// oldestArrival is how far back a collector's word on arrival is taken.
	oldestArrival = 7 * 24 * time.Hour

	turnTime = 20 * time.Second // to wait for a batch of the same collector
)

// A sender is what is known of one collector's batches. Who holds its turn may read
// and change the rest.
type sender struct {
	turn   chan struct{}
	acked  uint64 // this batch and all before are kept
	number uint64 // as queue.Chunk.Number: this chunk and all before are kept
}

// sender returns what is known of a collector, and takes its turn.
func (c *Collectors) sender(ctx context.Context, caller *fleet.Caller) (*sender, error) {
	c.mu.Lock()
	s := c.senders[caller.ID]
	if s == nil {
		s = &sender{turn: make(chan struct{}, 1), acked: caller.Acked}
		c.senders[caller.ID] = s
	}
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	select {
	case s.turn <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "another batch of this collector is under way: send one after the other")
	}
}

// batch takes a batch in. It is acknowledged when all of it is synced; what came
// before is acknowledged again. A batch that stops half way is resent whole: the
// chunks of it that are kept already make no second event, by their numbers.
func (c *Collectors) batch(w http.ResponseWriter, r *http.Request) (*protocol.Ack, error) {
	caller, _, err := c.admit(r)
	if err != nil {
		return nil, err
	}
	b, release, err := c.readBatch(w, r)
	if err != nil {
		return nil, err
	}
	defer release()
	if b.Seq > maxSeq {
		return nil, fault.New(fault.Invalid, "Allowed: numbers below 2^48").In("seq")
	}
	s, err := c.sender(r.Context(), &caller)
	if err != nil {
		return nil, err
	}
	defer func() { <-s.turn }()
	if b.Seq <= s.acked {
		return &protocol.Ack{Acked: s.acked}, nil
	}
	if err := c.take(r.Context(), s, &caller, b); err != nil {
		return nil, err
	}
	s.acked = b.Seq
	c.fleet.Acknowledged(caller.ID, b.Seq)
	return &protocol.Ack{Acked: b.Seq}, nil
}

// readBatch unpacks a body. release gives back the place that it holds in memory.
func (c *Collectors) readBatch(w http.ResponseWriter, r *http.Request) (b *protocol.Batch, release func(), err error) {
	if r.ContentLength > protocol.MaxPacked {
		return nil, nil, errLongBatch
	}
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case c.batches <- struct{}{}:
	case <-timer.C:
		return nil, nil, errBusy
	case <-r.Context().Done():
		return nil, nil, r.Context().Err()
	}
	leave := func() { <-c.batches }
	defer func() {
		if err != nil {
			leave()
		}
	}()
	body := newTimedBody(w, r.Body, c.gate.cfg.BodyIdle, c.gate.cfg.BodyTimeout)
	packed, err := io.ReadAll(&bounded{body, protocol.MaxPacked})
	body.done()
	if errors.Is(err, errTooLarge) {
		return nil, nil, errLongBatch
	}
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "the batch ended early or came too slowly").Because(err)
	}
	codec, _ := c.codecs.Get().(*protocol.Codec)
	defer c.codecs.Put(codec)
	if b, err = codec.Decode(packed); err != nil {
		return nil, nil, fault.New(fault.Invalid, "the batch cannot be read: it is damaged, or of another version").Because(err)
	}
	return b, leave, nil
}

var errLongBatch = fault.New(fault.TooLarge, "the batch is larger than %d bytes", protocol.MaxPacked)

// take appends what is new of a batch, in order.
func (c *Collectors) take(ctx context.Context, s *sender, caller *fleet.Caller, b *protocol.Batch) error {
	var chunks []*queue.Chunk
	left := 0
	for _, chunk := range numbered(caller, b, c.fleet.Now()) {
		if chunk.Number > s.number {
			chunks = append(chunks, chunk)
			left += len(chunk.Records)
		}
	}
	t := c.tenant(caller.Tenant)
	if wait := c.gate.quotas.admit(t, left, false); left > 0 && wait > 0 {
		c.in.reject("quota", left)
		return overQuota{wait}
	}
	for _, chunk := range chunks {
		// A collector that hangs up must not leave it open whether its records are kept.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
		err := c.gate.cfg.Append(ctx, chunk)
		cancel()
		switch {
		case err == nil:
			c.in.took(chunk)
		case errors.Is(err, fault.TooLarge) || errors.Is(err, fault.Invalid):
			// Sending it again does not help; what is behind must not starve.
			c.log.ErrorContext(ctx, "queue refused records of a collector", "collector", caller.ID, "records", len(chunk.Records), "err", err)
			c.in.drop("refused", len(chunk.Records))
		default:
			c.gate.quotas.refund(t, left)
			c.in.reject("queue", left)
			c.log.WarnContext(ctx, "queue takes no records, collector told to wait", "collector", caller.ID, "err", err)
			return err
		}
		s.number = chunk.Number
		left -= len(chunk.Records)
	}
	return nil
}

// numbered cuts a batch into chunks for the queue, each with its own number: the
// same ones whenever the batch comes.
func numbered(caller *fleet.Caller, b *protocol.Batch, now time.Time) []*queue.Chunk {
	var all []*queue.Chunk
	for i := range b.Chunks {
		ch := &b.Chunks[i]
		cut := ch.Cut
		var open *queue.Chunk
		size := 0
		for at, record := range ch.Records {
			isCut := len(cut) > 0 && int(cut[0]) == at
			if isCut {
				cut = cut[1:]
			}
			if len(record) > framing.MaxRecord {
				record, isCut = record[:framing.MaxRecord], true
			}
			if open == nil || size+len(record) > numberedBytes || len(open.Records) == numberedRecords {
				open, size = &queue.Chunk{
					Tenant: caller.Tenant, Input: inputOf(ch), Peer: hostOf(ch, caller), Stream: streamOf(ch), Source: sourceOf(ch), Key: caller.ID,
					Arrived: arrivalOf(ch, now), Origin: caller.ID, Number: b.Seq<<16 | uint64(len(all)),
				}, 0
				all = append(all, open)
			}
			if isCut {
				open.Cut = append(open.Cut, uint32(len(open.Records)))
			}
			open.Records = append(open.Records, record)
			size += len(record)
		}
	}
	return all
}

// arrivalOf is when the collector took the records in: those without a time of their
// own count from then. A clock that is wrong moves them neither into the future nor
// out of what is kept.
func arrivalOf(ch *protocol.Chunk, now time.Time) int64 {
	if ch.Arrived < now.Add(-oldestArrival).UnixNano() {
		return now.UnixNano()
	}
	return min(ch.Arrived, now.UnixNano())
}

// inputOf says how the records came: "collector-file".
func inputOf(ch *protocol.Chunk) string {
	if name := plainName(ch.Input, 32); name != "" {
		return InputCollector + "-" + name
	}
	return InputCollector
}

// maxStream bounds the name of a stream: the end of a long path tells it apart.
const maxStream = 512

// streamOf names what the collector read the records from: the path of a file, where
// Peer is no address.
func streamOf(ch *protocol.Chunk) string {
	if _, err := parseAddr(ch.Peer); err == nil {
		return ""
	}
	return ch.Peer[max(0, len(ch.Peer)-maxStream):]
}

func sourceOf(ch *protocol.Chunk) string { return plainName(ch.Source, 64) }

// plainName returns a name in small letters, "" where it is none.
func plainName(name string, most int) string {
	name = strings.ToLower(name)
	bad := strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
	if bad || len(name) > most {
		return ""
	}
	return name
}

// parseAddr reads an address, with or without a port.
func parseAddr(s string) (string, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().Unmap().String(), nil
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().String(), err
}
