package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// Bounds of one batch.
const (
	MaxUnpacked = 8 << 20 // bytes
	MaxPacked   = MaxUnpacked + 64<<10
	MaxRecords  = 20_000
	MaxChunks   = 1 << 12   // each has its number within the batch in 16 bits
	MaxSeq      = 1<<48 - 1 // so that a batch's and a chunk's number fit into 64 bits
)

// A Batch is what is sent, acknowledged and sent again as one. Its number and
// content never change once it is on the collector's disk.
type Batch struct {
	Seq    uint64 // at least 1, below 1<<48, rising with gaps, never used twice by one identity
	Chunks []Chunk
}

// A Chunk is records that share their origin.
type Chunk struct {
	Source  string // what sent the records, "" where the server should recognise it
	Input   string // how the collector came by them: file, syslog-udp, journald …
	Peer    string // address of the sender, or the path of the file
	Host    string // the host that the records are about where they do not say it
	Arrived int64  // at the collector, nanoseconds since 1970

	Records []string
	Cut     []uint32 // indexes of records that were longer than the limit and were cut, rising
}

const batchVersion = 1

// A Codec packs batches and unpacks them. One goroutine at a time.
//
// Form: a version byte, then one zstd frame with its checksum over
//
//	uvarint seq, chunks, and for each chunk: strings source, input, peer, host;
//	uvarint arrived; uvarint cuts and each cut; uvarint records, the length of
//	each, then their bytes
//
// where a string is a uvarint length and its bytes.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
	raw []byte
}

// Encode appends the packed form of b to dst. A batch beyond the bounds is an error.
func (c *Codec) Encode(dst []byte, b *Batch) ([]byte, error) {
	if c.enc == nil {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, fmt.Errorf("make encoder: %w", err)
		}
		c.enc = enc
	}
	raw, err := b.appendPlain(c.raw[:0])
	if err != nil {
		return nil, err
	}
	if c.raw = raw; cap(c.raw) > 1<<20 {
		c.raw = nil // one large batch must not hold its memory for ever
	}
	return c.enc.EncodeAll(raw, append(dst, batchVersion)), nil
}

func (b *Batch) appendPlain(raw []byte) ([]byte, error) {
	raw = binary.AppendUvarint(raw, b.Seq)
	raw = binary.AppendUvarint(raw, uint64(len(b.Chunks)))
	records := 0
	for i := range b.Chunks {
		ch := &b.Chunks[i]
		for _, s := range [...]string{ch.Source, ch.Input, ch.Peer, ch.Host} {
			raw = binary.AppendUvarint(raw, uint64(len(s)))
			raw = append(raw, s...)
		}
		raw = binary.AppendUvarint(raw, uint64(ch.Arrived))
		raw = binary.AppendUvarint(raw, uint64(len(ch.Cut)))
		for _, cut := range ch.Cut {
			raw = binary.AppendUvarint(raw, uint64(cut))
		}
		raw = binary.AppendUvarint(raw, uint64(len(ch.Records)))
		for _, r := range ch.Records {
			raw = binary.AppendUvarint(raw, uint64(len(r)))
		}
		for _, r := range ch.Records {
			raw = append(raw, r...)
		}
		records += len(ch.Records)
	}
	if len(raw) > MaxUnpacked || records > MaxRecords || len(b.Chunks) > MaxChunks {
		return nil, fmt.Errorf("batch of %d bytes, %d records, %d chunks is over the bounds", len(raw), records, len(b.Chunks))
	}
	return raw, nil
}

// ErrBatch marks bytes that are no batch.
var ErrBatch = errors.New("not a batch")

// Decode unpacks a batch. Its strings share one buffer of their own: they stay
// valid after the next call.
func (c *Codec) Decode(packed []byte) (*Batch, error) {
	if len(packed) == 0 || packed[0] != batchVersion {
		return nil, fmt.Errorf("%w: unknown version", ErrBatch)
	}
	if len(packed) > MaxPacked {
		return nil, fmt.Errorf("%w: too large", ErrBatch)
	}
	if c.dec == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxUnpacked), zstd.WithDecoderMaxWindow(MaxUnpacked), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("make decoder: %w", err)
		}
		c.dec = dec
	}
	plain, err := c.dec.DecodeAll(packed[1:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBatch, err)
	}
	r := reader{s: unsafe.String(unsafe.SliceData(plain), len(plain))}
	b := r.batch()
	if r.bad || r.s != "" {
		return nil, fmt.Errorf("%w: damaged", ErrBatch)
	}
	return b, nil
}

// reader takes values off the front of s; bad is set by the first that is not
// there or is out of bounds.
type reader struct {
	s   string
	bad bool
}

func (r *reader) fail() {
	r.s, r.bad = "", true
}

func (r *reader) batch() *Batch {
	b := &Batch{Seq: r.uvarint()}
	if b.Seq == 0 || b.Seq > MaxSeq {
		r.fail()
	}
	left := MaxRecords
	n := r.count(MaxChunks)
	b.Chunks = make([]Chunk, 0, min(n, 64))
	for range n {
		var ch Chunk
		ch.Source, ch.Input, ch.Peer, ch.Host = r.text(), r.text(), r.text(), r.text()
		ch.Arrived = int64(r.uvarint())
		cuts := r.count(left)
		if cuts > 0 {
			ch.Cut = make([]uint32, 0, cuts)
		}
		for range cuts {
			ch.Cut = append(ch.Cut, uint32(min(r.uvarint(), MaxRecords)))
		}
		records := r.count(left)
		left -= records
		r.records(&ch, records)
		for i, cut := range ch.Cut {
			if int(cut) >= records || i > 0 && cut <= ch.Cut[i-1] {
				r.fail()
			}
		}
		if r.bad {
			return nil
		}
		b.Chunks = append(b.Chunks, ch)
	}
	return b
}

// records reads n lengths, then as many records.
func (r *reader) records(ch *Chunk, n int) {
	lengths := *r
	for range n {
		r.uvarint()
	}
	if r.bad {
		return
	}
	ch.Records = make([]string, 0, n)
	for range n {
		ch.Records = append(ch.Records, r.take(lengths.uvarint()))
	}
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.s) && i < binary.MaxVarintLen64; i++ {
		c := r.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.s = r.s[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

// count reads a number of at most most things that take at least a byte each.
func (r *reader) count(most int) int {
	n := r.uvarint()
	if n > uint64(len(r.s)) || n > uint64(most) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) take(n uint64) string {
	if n > uint64(len(r.s)) {
		r.fail()
		return ""
	}
	v := r.s[:n]
	r.s = r.s[n:]
	return v
}

func (r *reader) text() string { return r.take(r.uvarint()) }
