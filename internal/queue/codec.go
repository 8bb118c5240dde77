package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// maxDecoded bounds what one message may unpack to: several times what Append
// lets in, so that only a damaged or foreign message meets it.
const maxDecoded = 64 << 20

// Version 1, which older programs wrote, has neither marks nor what they stand for.
const (
	codecVersion      = 2
	codecVersionPlain = 1
)

// Marks of a chunk: what else it holds.
const (
	hasOrigin = 1 << iota
	hasIDs
	hasAgain
	hasStream
)

// Codec packs chunks into the payload of one message and back. The archive uses
// the same form, so that a batch is compressed once. One goroutine at a time.
//
// Form: a version byte, then one zstd frame over
//
//	uvarint chunks, and for each: uvarint tenant, first, arrived; strings input,
//	peer, source, key; uvarint marks; with hasOrigin string origin and uvarint
//	number; with hasStream string stream; uvarint cuts and each cut; uvarint records, the length of each, then
//	their bytes; with hasIDs the length of each id, then their bytes; with hasAgain
//	uvarint how many came again and each
//
// where a string is a uvarint length and its bytes.
type Codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
	raw []byte
}

// NewCodec returns a Codec.
func NewCodec() (*Codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoded), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make decoder: %w", err)
	}
	return &Codec{enc: enc, dec: dec}, nil
}

// Encode appends the payload for chunks to dst.
func (c *Codec) Encode(dst []byte, chunks []Placed) []byte {
	b := binary.AppendUvarint(c.raw[:0], uint64(len(chunks)))
	for i := range chunks {
		ch := chunks[i].Chunk
		b = binary.AppendUvarint(b, uint64(ch.Tenant))
		b = binary.AppendUvarint(b, uint64(chunks[i].First))
		b = binary.AppendUvarint(b, uint64(ch.Arrived))
		for _, s := range [...]string{ch.Input, ch.Peer, ch.Source, ch.Key} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
		marks := uint64(0)
		if ch.Origin != "" {
			marks |= hasOrigin
		}
		if len(ch.IDs) > 0 {
			marks |= hasIDs
		}
		if len(chunks[i].Again) > 0 {
			marks |= hasAgain
		}
		if ch.Stream != "" {
			marks |= hasStream
		}
		b = binary.AppendUvarint(b, marks)
		if ch.Origin != "" {
			b = binary.AppendUvarint(b, uint64(len(ch.Origin)))
			b = append(b, ch.Origin...)
			b = binary.AppendUvarint(b, ch.Number)
		}
		if ch.Stream != "" {
			b = binary.AppendUvarint(b, uint64(len(ch.Stream)))
			b = append(b, ch.Stream...)
		}
		b = appendIndexes(b, ch.Cut)
		b = binary.AppendUvarint(b, uint64(len(ch.Records)))
		b = appendTexts(b, ch.Records)
		b = appendTexts(b, ch.IDs)
		if len(chunks[i].Again) > 0 {
			b = appendIndexes(b, chunks[i].Again)
		}
	}
	c.raw = b
	if cap(c.raw) > 8<<20 {
		c.raw = nil // one huge batch must not hold its memory for ever
	}
	return c.enc.EncodeAll(b, append(dst, codecVersion))
}

func appendIndexes(b []byte, list []uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, i := range list {
		b = binary.AppendUvarint(b, uint64(i))
	}
	return b
}

// appendTexts appends the length of each text, then all of them.
func appendTexts(b []byte, texts []string) []byte {
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
	}
	for _, t := range texts {
		b = append(b, t...)
	}
	return b
}

var errCorrupt = errors.New("batch is damaged")

// Decode unpacks a payload. The chunks' strings share one buffer of their own:
// they stay valid after the next call.
func (c *Codec) Decode(payload []byte) ([]Placed, error) {
	if len(payload) == 0 || payload[0] != codecVersion && payload[0] != codecVersionPlain {
		return nil, fmt.Errorf("%w: unknown version", errCorrupt)
	}
	b, err := c.dec.DecodeAll(payload[1:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	r := reader{s: unsafe.String(unsafe.SliceData(b), len(b))}
	n := r.count()
	chunks := make([]Placed, 0, min(n, 1024))
	for range n {
		ch := &Chunk{Tenant: uint32(r.uvarint())}
		first := uint32(r.uvarint())
		ch.Arrived = int64(r.uvarint())
		ch.Input, ch.Peer, ch.Source, ch.Key = r.text(), r.text(), r.text(), r.text()
		marks := uint64(0)
		if payload[0] != codecVersionPlain {
			marks = r.uvarint()
		}
		if marks&hasOrigin != 0 {
			ch.Origin, ch.Number = r.text(), r.uvarint()
		}
		if marks&hasStream != 0 {
			ch.Stream = r.text()
		}
		ch.Cut = r.indexes()
		ch.Records = make([]string, r.count())
		r.texts(ch.Records)
		if marks&hasIDs != 0 && !r.bad {
			ch.IDs = make([]string, len(ch.Records))
			r.texts(ch.IDs)
		}
		var again []uint32
		if marks&hasAgain != 0 {
			again = r.indexes()
		}
		if r.bad || marks&^(hasOrigin|hasIDs|hasAgain|hasStream) != 0 {
			return nil, errCorrupt
		}
		chunks = append(chunks, Placed{ch, first, again})
	}
	if r.bad || r.s != "" {
		return nil, errCorrupt
	}
	return chunks, nil
}

// reader takes values off the front of s; bad is set by the first that is not there.
type reader struct {
	s   string
	bad bool
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
	r.s, r.bad = "", true
	return 0
}

// count reads a number of things that take at least a byte each.
func (r *reader) count() uint64 {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.s, r.bad = "", true
		return 0
	}
	return n
}

func (r *reader) take(n uint64) string {
	if n > uint64(len(r.s)) {
		r.s, r.bad = "", true
		return ""
	}
	v := r.s[:n]
	r.s = r.s[n:]
	return v
}

func (r *reader) indexes() []uint32 {
	n := r.count()
	if n == 0 {
		return nil
	}
	list := make([]uint32, n)
	for i := range list {
		list[i] = uint32(r.uvarint())
	}
	return list
}

// texts fills a list that appendTexts wrote.
func (r *reader) texts(list []string) {
	lengths := *r
	for range list {
		r.uvarint()
	}
	for i := range list {
		list[i] = r.take(lengths.uvarint())
	}
}

func (r *reader) text() string { return r.take(r.uvarint()) }
