package ingest

import (
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/queue"
)

// A batch gathers records in one piece of memory until they become a chunk.
type batch struct {
	text    []byte
	ends    []int // end of each record in text
	cut     []uint32
	ids     []string  // of records, as far as one has an id
	named   int       // bytes of ids
	arrived time.Time // of the first record
}

// fits reports whether a record of n bytes may join.
func (b *batch) fits(n int) bool {
	return len(b.ends) == 0 || len(b.ends) < maxChunkRecords && len(b.text)+b.named+n <= maxChunkBytes
}

func (b *batch) add(record []byte, cut bool) {
	if len(b.ends) == 0 {
		b.arrived = time.Now()
	}
	if cut {
		b.cut = append(b.cut, uint32(len(b.ends)))
	}
	b.text = append(b.text, record...)
	b.ends = append(b.ends, len(b.text))
}

// name gives the last record an id.
func (b *batch) name(id string) {
	for len(b.ids) < len(b.ends) {
		b.ids = append(b.ids, "")
	}
	b.ids[len(b.ends)-1] = id
	b.named += len(id)
}

func (b *batch) len() int { return len(b.ends) }

func (b *batch) reset() {
	clear(b.ids)
	b.text, b.ends, b.cut, b.ids, b.named = b.text[:0], b.ends[:0], b.cut[:0], b.ids[:0], 0
}

// chunk returns the records as a chunk that shares no memory with b.
func (b *batch) chunk(tenant uint32, from origin) *queue.Chunk {
	text := string(b.text)
	records := make([]string, len(b.ends))
	start := 0
	for i, end := range b.ends {
		records[i] = text[start:end]
		start = end
	}
	c := &queue.Chunk{
		Tenant: tenant, Input: from.input, Peer: from.peer, Source: from.source, Key: from.key,
		Arrived: b.arrived.UnixNano(), Records: records,
	}
	if len(b.cut) > 0 {
		c.Cut = append([]uint32(nil), b.cut...)
	}
	if len(b.ids) > 0 {
		c.IDs = make([]string, len(records))
		copy(c.IDs, b.ids)
	}
	return c
}

// first returns the first n records of c as a chunk.
func first(c *queue.Chunk, n int) *queue.Chunk {
	if n == len(c.Records) {
		return c
	}
	part := *c
	part.Records, part.Cut = c.Records[:n:n], nil
	if c.IDs != nil {
		part.IDs = c.IDs[:n:n]
	}
	for _, i := range c.Cut {
		if int(i) < n {
			part.Cut = append(part.Cut, i)
		}
	}
	return &part
}

// rest returns c without its first n records.
func rest(c *queue.Chunk, n int) *queue.Chunk {
	part := *c
	part.Records, part.Cut = c.Records[n:], nil
	if c.IDs != nil {
		part.IDs = c.IDs[n:]
	}
	for _, i := range c.Cut {
		if int(i) >= n {
			part.Cut = append(part.Cut, i-uint32(n))
		}
	}
	return &part
}

// A batchPool lends batches, so that a thousand idle connections hold none.
type batchPool struct{ pool sync.Pool }

func (p *batchPool) get() *batch {
	if b, ok := p.pool.Get().(*batch); ok {
		return b
	}
	return new(batch)
}

func (p *batchPool) put(b *batch) {
	b.reset()
	p.pool.Put(b)
}
