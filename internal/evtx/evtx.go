// Package evtx reads the event logs that Windows keeps in files (*.evtx) and gives
// each record as JSON, in the nested form that the Windows parser knows:
//
//	{"Event":{"System":{"Provider":{"#attributes":{"Name":…}},"EventID":…},"EventData":{…}}}
//
// It follows what is published of the format in [MS-EVEN6] 2.2 (binary XML) and in
// Joachim Metz's "Windows XML Event Log (EVTX) format". Files come as they are
// found: cut off, not closed, with torn chunks. What can be read is read, and what
// cannot is counted and said.
package evtx

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// Magic begins every such file.
const Magic = "ElfFile\x00"

const (
	chunkMagic  = "ElfChnk\x00"
	chunkSize   = 64 << 10
	chunkHeader = 512
	headerSize  = 4096
	recordMagic = 0x2a2a
	recordFixed = 24 // signature, size, id, time
)

// maxFaults bounds how many faults are kept with their place.
const maxFaults = 100

// ErrNotEVTX is the answer to what does not begin with Magic.
var ErrNotEVTX = errors.New("not a Windows event log: it does not begin with ElfFile")

// A Record is one event.
type Record struct {
	Number  int       // of the record in the file, from 1
	ID      uint64    // EventRecordID
	Written time.Time // when Windows wrote it
	JSON    []byte    // valid until the next call of Next
}

// A Fault is a place that could not be read.
type Fault struct {
	Chunk  int    // from 0
	Record uint64 // EventRecordID, 0 where it is not known
	Reason string
}

func (f Fault) String() string {
	if f.Record == 0 {
		return fmt.Sprintf("chunk %d: %s", f.Chunk, f.Reason)
	}
	return fmt.Sprintf("chunk %d, record %d: %s", f.Chunk, f.Record, f.Reason)
}

// A Reader reads records in the order in which they lie in the file.
type Reader struct {
	src    *bufio.Reader
	buf    []byte // a chunk
	chunk  chunk
	number int // of the chunk
	at     int // next record in the chunk
	end    int // of its records
	render renderer
	record Record
	faults []Fault
	lost   int64
	done   bool
}

// NewReader reads the header of the file. What does not begin like one is
// ErrNotEVTX.
func NewReader(r io.Reader) (*Reader, error) {
	src := bufio.NewReaderSize(r, chunkSize)
	head := make([]byte, headerSize)
	n, err := io.ReadFull(src, head)
	if n < len(Magic) || string(head[:len(Magic)]) != Magic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read event log: %w", err)
		}
		return nil, ErrNotEVTX
	}
	if err != nil {
		return nil, fmt.Errorf("event log is cut off within its header: %w", err)
	}
	return &Reader{src: src, buf: make([]byte, chunkSize), number: -1}, nil
}

// Next returns the next record, io.EOF after the last. What cannot be read is left
// out and told by Faults.
func (r *Reader) Next() (*Record, error) {
	for {
		if rec := r.nextInChunk(); rec != nil {
			return rec, nil
		}
		if r.done {
			return nil, io.EOF
		}
		if err := r.nextChunk(); err != nil {
			return nil, err
		}
	}
}

// Faults returns the first places that could not be read, and how many there were.
func (r *Reader) Faults() ([]Fault, int64) { return r.faults, r.lost }

func (r *Reader) fault(record uint64, format string, args ...any) {
	r.lost++
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, Fault{r.number, record, fmt.Sprintf(format, args...)})
	}
}

func (r *Reader) nextChunk() error {
	r.number++
	r.at, r.end = 0, 0
	n, err := io.ReadFull(r.src, r.buf)
	switch {
	case errors.Is(err, io.EOF):
		r.done = true
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		r.done = true
	case err != nil:
		return fmt.Errorf("read event log: %w", err)
	}
	data := r.buf[:n]
	if n < chunkHeader || string(data[:len(chunkMagic)]) != chunkMagic {
		if len(bytes.Trim(data, "\x00")) > 0 { // Windows makes room ahead: zeros are no loss
			r.fault(0, "it does not begin with ElfChnk: no record of it can be read")
		}
		return nil
	}
	free := int(min(binary.LittleEndian.Uint32(data[48:]), chunkSize))
	r.at, r.end = chunkHeader, max(free, chunkHeader)
	switch {
	case r.end > n:
		r.fault(0, "the file is cut off: %d bytes of the chunk are missing", r.end-n)
		r.end = n
	case n == chunkSize && crc32.ChecksumIEEE(data[chunkHeader:r.end]) != binary.LittleEndian.Uint32(data[52:]):
		// Not closed or not whole: the records say for themselves. Windows writes the
		// place of the free room last.
		r.end = n
	}
	r.chunk.reset(data)
	r.render.total = 0
	return nil
}

// nextInChunk returns the next record of the chunk that can be read, nil if there
// is none.
func (r *Reader) nextInChunk() *Record {
	for r.at+recordFixed+4 <= r.end {
		data := r.buf[r.at:r.end]
		if binary.LittleEndian.Uint32(data) != recordMagic {
			r.resume()
			continue
		}
		size := int(binary.LittleEndian.Uint32(data[4:]))
		id := binary.LittleEndian.Uint64(data[8:])
		if size < recordFixed+4 || size > len(data) {
			r.fault(id, "its size of %d bytes does not fit into the chunk", size)
			r.at += 8
			continue
		}
		start := r.at
		r.at += size
		r.render.reset(&r.chunk)
		out, err := r.render.record(start+recordFixed, start+size-4)
		if err != nil {
			r.fault(id, "%s", err.Error())
			continue
		}
		r.record = Record{Number: r.record.Number + 1, ID: id, Written: fileTime(binary.LittleEndian.Uint64(data[16:])), JSON: out}
		return &r.record
	}
	return nil
}

var recordStart = []byte{0x2a, 0x2a, 0, 0}

// resume goes on to the next record behind what is none.
func (r *Reader) resume() {
	data := r.buf[r.at:r.end]
	before, _, ok := bytes.Cut(data, recordStart)
	torn := data
	if ok {
		torn = before
	}
	if len(bytes.Trim(torn, "\x00")) > 0 {
		r.fault(0, "%d bytes at %d are no record", len(torn), r.at)
	}
	r.at += len(torn)
}

// fileTime converts 100 ns since 1601.
func fileTime(v uint64) time.Time {
	const unix = 116444736000000000
	ticks := int64(v - unix) //nolint:gosec // what is absurd gives an absurd time, and no panic
	return time.Unix(ticks/1e7, ticks%1e7*100).UTC()
}
