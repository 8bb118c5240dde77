package ingest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// Bounds of an entry. What is beyond is left out of the record, which is marked as
// cut: a core dump does not belong into an event.
const (
	maxJournalFields = 1024                  // journald's own bound
	maxJournalName   = 64                    // journald's own bound
	maxJournalData   = 768 << 20             // journald's own bound of one value
	maxJournalValue  = framing.MaxRecord / 2 // as it is written into the record
	maxJournalEntry  = framing.MaxRecord - 64<<10
)

// A journalReader reads journald's export format: fields as NAME=value on a line,
// or, for values of more than a line, NAME on a line, the length in 8 bytes, the
// value and a line feed; an empty line ends the entry.
// See https://systemd.io/JOURNAL_EXPORT_FORMATS/.
type journalReader struct {
	in     *bufio.Reader
	entry  int // number of the entry, from 1
	fields []journalField
	n      int    // fields in use
	room   int    // what the record may still take
	cut    bool   // something was left out
	value  []byte // the value being read
	record []byte
}

// A journalField is a name with its values: it may come more than once.
type journalField struct {
	name   []byte
	values []byte // as JSON, with commas between
	count  int
}

func newJournalReader(src io.Reader) *journalReader {
	return &journalReader{in: bufio.NewReaderSize(src, 64<<10)}
}

// next returns the next entry as a JSON object, valid until the next call; io.EOF
// at the end.
func (j *journalReader) next() (record []byte, cut bool, err error) {
	j.entry++
	j.n, j.room, j.cut = 0, maxJournalEntry, false
	for first := true; ; {
		done, err := j.field()
		switch {
		case errors.Is(err, io.EOF) && (j.n > 0 || !first): // the last entry needs no empty line
			return j.build(), j.cut, nil
		case err != nil:
			return nil, false, err
		case done && first: // an empty line between entries
			continue
		case done:
			return j.build(), j.cut, nil
		}
		first = false
	}
}

func (j *journalReader) wrong(format string, args ...any) error {
	return fault.New(fault.Invalid, "entry %d: %s", j.entry, fmt.Sprintf(format, args...)).In("body")
}

// field reads a field, or the empty line that ends the entry.
func (j *journalReader) field() (done bool, err error) {
	var name [maxJournalName]byte
	n := 0
	for {
		c, err := j.in.ReadByte()
		if err != nil {
			if n > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		if c == '\n' && n == 0 {
			return true, nil
		}
		if n > 0 && (c == '=' || c == '\n') {
			j.value = j.value[:0]
			if c == '=' {
				err = j.line()
			} else {
				err = j.binary(name[:n])
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if err == nil {
				j.keep(name[:n])
			}
			return false, err
		}
		if !isJournalName(c) || n == len(name) {
			return false, j.wrong("want a field's name of at most %d characters A-Z, 0-9 and _ in place of %q", maxJournalName, append(name[:n:n], c))
		}
		name[n] = c
		n++
	}
}

func isJournalName(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' }

// line reads the value to the end of its line.
func (j *journalReader) line() error {
	for {
		part, err := j.in.ReadSlice('\n')
		if err == nil {
			part = part[:len(part)-1]
		}
		room := maxJournalValue - len(j.value)
		if len(part) > room {
			part, j.cut = part[:room], true
		}
		j.value = append(j.value, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// binary reads a value that has its length before it.
func (j *journalReader) binary(name []byte) error {
	var head [8]byte
	if _, err := io.ReadFull(j.in, head[:]); err != nil {
		return err
	}
	size := binary.LittleEndian.Uint64(head[:])
	if size > maxJournalData {
		return j.wrong("field %s says that it has %d bytes, more than %d", name, size, maxJournalData)
	}
	kept := min(int(size), maxJournalValue)
	// The value grows as it arrives: a length alone takes no memory.
	for len(j.value) < kept {
		part, err := j.in.Peek(min(kept-len(j.value), j.in.Size()))
		j.value = append(j.value, part...)
		_, _ = j.in.Discard(len(part)) // they are there
		if err != nil && len(j.value) < kept {
			return err
		}
	}
	if left := int64(size) - int64(kept); left > 0 {
		j.cut = true
		if _, err := io.CopyN(io.Discard, j.in, left); err != nil {
			return err
		}
	}
	end, err := j.in.ReadByte()
	if err == nil && end != '\n' {
		err = j.wrong("field %s does not end after its %d bytes", name, size)
	}
	return err
}

// keep writes the value that was read into the record, as far as there is room.
func (j *journalReader) keep(name []byte) {
	f := j.find(name)
	if f == nil {
		j.cut = true
		return
	}
	before := len(f.values)
	if f.count > 0 {
		f.values = append(f.values, ',')
	}
	room := min(j.room-len(name)-8, maxJournalValue)
	fits := quotedPrefix(j.value, max(room, 0))
	if fits < len(j.value) {
		j.cut = true
	}
	f.values = appendQuoted(f.values, clip(string(j.value), fits))
	f.count++
	j.room -= len(f.values) - before + len(name) + 8
}

// find returns the field of that name; nil if there is no room for another one.
func (j *journalReader) find(name []byte) *journalField {
	if j.room < len(name)+8 {
		return nil
	}
	for i := range j.fields[:j.n] {
		if bytes.Equal(j.fields[i].name, name) {
			return &j.fields[i]
		}
	}
	if j.n == maxJournalFields {
		return nil
	}
	if j.n == len(j.fields) {
		j.fields = append(j.fields, journalField{})
	}
	f := &j.fields[j.n]
	j.n++
	f.name, f.values, f.count = append(f.name[:0], name...), f.values[:0], 0
	return f
}

// quotedPrefix is how many bytes of s take at most room bytes in JSON.
func quotedPrefix(s []byte, room int) int {
	for i, c := range s {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\t' || c == '\r':
			room -= 2
		case c < 0x20:
			room -= 6
		default:
			room--
		}
		if room < 0 {
			return i
		}
	}
	return len(s)
}

// build returns the record: the message first, then the fields in their order.
func (j *journalReader) build() []byte {
	j.record = append(j.record[:0], '{')
	for i := range j.fields[:j.n] {
		if string(j.fields[i].name) == "MESSAGE" {
			j.record = j.fields[i].appendTo(j.record)
		}
	}
	for i := range j.fields[:j.n] {
		if string(j.fields[i].name) != "MESSAGE" {
			j.record = j.fields[i].appendTo(j.record)
		}
	}
	if last := len(j.record) - 1; j.record[last] == ',' {
		j.record = j.record[:last]
	}
	j.record = append(j.record, '}')
	return j.record
}

func (f *journalField) appendTo(dst []byte) []byte {
	dst = append(append(append(dst, '"'), f.name...), `":`...)
	if f.count > 1 {
		dst = append(append(append(dst, '['), f.values...), ']')
	} else {
		dst = append(dst, f.values...)
	}
	return append(dst, ',')
}
