package ingest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"container/list"
	"io"
	"net/netip"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

const (
	gelfHeader    = 12 // magic, identity, number, count
	gelfMaxChunks = 128
	gelfPatience  = 5 * time.Second // from the first chunk of a message to its last

	// What unfinished messages may take, of one sender and in all. Each counts
	// with gelfOverhead besides its chunks.
	gelfMaxSender = 8 << 20
	gelfMaxAll    = 64 << 20
	gelfOverhead  = 4 << 10
)

// A gelfJoiner makes messages of GELF datagrams: it joins chunks and unpacks. One
// goroutine uses it.
type gelfJoiner struct {
	lost func(reason string) // called for each message or datagram that is lost

	open    map[gelfID]*list.Element // of unfinished *gelfMessage
	order   list.List                // the oldest first
	senders map[netip.Addr]int       // bytes held of each
	held    int

	gzip   *gzip.Reader
	zlib   io.ReadCloser
	output bytes.Buffer
}

type gelfID struct {
	from netip.Addr
	id   [8]byte
}

type gelfMessage struct {
	gelfID

	began   time.Time
	chunks  [][]byte
	missing int
	cost    int
}

// join takes a datagram and returns the message that it completes, if any, valid
// until the next call, and whether it was cut.
func (j *gelfJoiner) join(from netip.Addr, datagram []byte, now time.Time) (message []byte, cut bool) {
	j.expire(now)
	if len(datagram) >= 2 && datagram[0] == 0x1e && datagram[1] == 0x0f {
		if datagram = j.chunk(from, datagram, now); datagram == nil {
			return nil, false
		}
	}
	return j.unpack(datagram)
}

// chunk keeps a chunk and returns the whole once it is the last missing one.
func (j *gelfJoiner) chunk(from netip.Addr, datagram []byte, now time.Time) []byte {
	if len(datagram) <= gelfHeader {
		j.lost("chunk_invalid")
		return nil
	}
	number, count, payload := int(datagram[10]), int(datagram[11]), datagram[gelfHeader:]
	if count < 1 || count > gelfMaxChunks || number >= count {
		j.lost("chunk_invalid")
		return nil
	}
	if count == 1 {
		return payload
	}
	id := gelfID{from: from, id: [8]byte(datagram[2:10])}
	at := j.open[id]
	cost := len(payload)
	if at == nil {
		cost += gelfOverhead
	}
	if j.held+cost > gelfMaxAll || j.senders[from]+cost > gelfMaxSender {
		if at != nil {
			j.remove(at)
		}
		j.lost("chunk_memory")
		return nil
	}
	if at == nil {
		at = j.begin(id, count, now)
	}
	m := at.Value.(*gelfMessage) //nolint:forcetypeassert // the list holds no other
	if len(m.chunks) != count {
		j.lost("chunk_invalid")
		return nil
	}
	if m.chunks[number] != nil {
		return nil // the network doubled it
	}
	m.chunks[number] = bytes.Clone(payload)
	m.missing--
	j.charge(m, len(payload))
	if m.missing > 0 {
		return nil
	}
	j.remove(at)
	return bytes.Join(m.chunks, nil)
}

func (j *gelfJoiner) begin(id gelfID, count int, now time.Time) *list.Element {
	if j.open == nil {
		j.open, j.senders = make(map[gelfID]*list.Element), make(map[netip.Addr]int)
	}
	m := &gelfMessage{gelfID: id, began: now, chunks: make([][]byte, count), missing: count}
	j.open[id] = j.order.PushBack(m)
	j.charge(m, gelfOverhead)
	return j.open[id]
}

func (j *gelfJoiner) charge(m *gelfMessage, n int) {
	m.cost += n
	j.held += n
	j.senders[m.from] += n
}

func (j *gelfJoiner) remove(at *list.Element) {
	m := j.order.Remove(at).(*gelfMessage) //nolint:forcetypeassert // the list holds no other
	delete(j.open, m.gelfID)
	j.held -= m.cost
	if j.senders[m.from] -= m.cost; j.senders[m.from] == 0 {
		delete(j.senders, m.from)
	}
}

// expire drops the messages whose chunks did not all come in time.
func (j *gelfJoiner) expire(now time.Time) {
	for at := j.order.Front(); at != nil; at = j.order.Front() {
		if now.Sub(at.Value.(*gelfMessage).began) < gelfPatience { //nolint:forcetypeassert // the list holds no other
			return
		}
		j.remove(at)
		j.lost("chunks_missing")
	}
}

// drop forgets all that is unfinished.
func (j *gelfJoiner) drop() {
	for j.order.Len() > 0 {
		j.remove(j.order.Front())
		j.lost("chunks_missing")
	}
}

// unpack returns what a message says, cut at the length of a record.
func (j *gelfJoiner) unpack(packed []byte) (message []byte, cut bool) {
	var err error
	var plain io.Reader
	switch {
	case len(packed) > 2 && packed[0] == 0x1f && packed[1] == 0x8b:
		if j.gzip == nil {
			j.gzip = new(gzip.Reader)
		}
		err = j.gzip.Reset(bytes.NewReader(packed))
		plain = j.gzip
	case len(packed) > 2 && packed[0]&0x0f == 8 && (int(packed[0])<<8|int(packed[1]))%31 == 0:
		if j.zlib == nil {
			j.zlib, err = zlib.NewReader(bytes.NewReader(packed))
		} else {
			err = j.zlib.(zlib.Resetter).Reset(bytes.NewReader(packed), nil) //nolint:forcetypeassert // as its documentation says
		}
		plain = j.zlib
	default:
		return clipRecord(packed)
	}
	if err == nil {
		j.output.Reset()
		_, err = j.output.ReadFrom(io.LimitReader(plain, framing.MaxRecord+1))
	}
	if err != nil {
		j.lost("unreadable")
		return nil, false
	}
	return clipRecord(j.output.Bytes())
}

func clipRecord(text []byte) (record []byte, cut bool) {
	text = bytes.TrimRight(text, "\r\n\x00")
	if len(text) > framing.MaxRecord {
		return text[:framing.MaxRecord], true
	}
	return text, false
}
