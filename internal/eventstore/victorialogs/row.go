package victorialogs

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/query"
)

// The columns that are no fields.
const (
	colMsg  = "_msg"
	colHead = "_head"
	colKind = "_kind"
	colID   = "_id"
	colAt   = "_at"
	colOver = "_over"

	kindMessage = "m"
	kindRaw     = "r"
	kindText    = "t"
)

// reserved are names that no field may have as a column.
func reserved(name string) bool {
	if name == "" || name[0] != '_' {
		return name == ""
	}
	switch name {
	case colMsg, colHead, colKind, colID, colAt, colOver, "_time", "_stream", "_stream_id":
		return true
	}
	return false
}

// storable tells whether a field of the name can be a column at all.
func storable(name string) bool {
	if reserved(name) || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	last := name[len(name)-1]
	return last != listMark && last != '*'
}

// Limits of the engine, kept with room to spare: it drops rows of more than
// 1,000 fields, and what is left of a block with more than 2,000 names.
const (
	maxRow          = 2_000_000 // bytes, of 2 MiB
	maxName         = 120       // bytes, of 128, less the list suffix
	maxRowColumns   = 600       // columns of one row
	sharedNames     = 150       // unknown names in a stream that outlives the process
	ownNames        = 1200      // unknown names in a stream of this process
	maxStreams      = 2_000     // streams of one tenant
	maxKnownStreams = 20_000
)

// An encoder turns events into rows. It is not safe for concurrent use.
type encoder struct {
	nodes   int
	process string // makes streams of this process's own
	streams map[streamKey]*stream
	tenants map[uint32]int // streams of each
	last    *stream
	lastKey streamKey
	row     uint64 // number of the row that is encoded
	over    []int  // indexes of fields that are no columns
	list    []byte
	days    []int64 // touched since the caller emptied it
	counts  Counts
}

// Counts tell what Append did that should be seldom.
type Counts struct {
	Overflow uint64 // events with fields that are no columns
	Cut      uint64 // events larger than eventstore.MaxEventBytes
	Moved    uint64 // events whose time is outside what is kept
}

type streamKey struct {
	tenant          uint32
	source, program string
}

type stream struct {
	shared, own []byte // canonical tags, marshalled; own is used from sharedNames on
	node        int
	ownNode     int
	unknown     int
	columns     map[string]*column
}

type column struct {
	name    string // as marshalled: length and text
	multi   string // the list's name, marshalled
	numeric bool
	own     bool   // canonical
	row     uint64 // the last row with the field
	count   int    // how often that row has it
}

func newEncoder(nodes int, process string) *encoder {
	return &encoder{
		nodes: nodes, process: process,
		streams: map[streamKey]*stream{}, tenants: map[uint32]int{},
	}
}

// stream returns the stream of the event, made when it is new.
func (enc *encoder) stream(e *event.Event) *stream {
	key := streamKey{tenant: e.Tenant}
	for i := range e.Fields {
		switch e.Fields[i].Name {
		case event.Source:
			key.source = e.Fields[i].Value
		case event.Program:
			key.program = e.Fields[i].Value
		}
	}
	if enc.last != nil && key == enc.lastKey {
		return enc.last
	}
	s := enc.streams[key]
	if s == nil {
		if len(enc.streams) >= maxKnownStreams {
			clear(enc.streams)
			clear(enc.tenants)
			enc.process += "+" // names are counted anew, so their streams are new too
		}
		key = streamKey{key.tenant, strings.Clone(key.source), strings.Clone(key.program)}
		source, program := key.source, key.program
		if enc.tenants[key.tenant]++; enc.tenants[key.tenant] > maxStreams {
			source, program = "other", "" // too many for a stream each; the fields say it all the same
		}
		s = &stream{columns: map[string]*column{}}
		s.shared = marshalTags(event.Program, program, event.Source, source)
		s.own = marshalTags("process", enc.process, event.Program, program, event.Source, source)
		s.node = enc.route(key.tenant, s.shared)
		s.ownNode = enc.route(key.tenant, s.own)
		enc.streams[key] = s
	}
	enc.last, enc.lastKey = s, key
	return s
}

func (enc *encoder) route(tenant uint32, tags []byte) int {
	h := uint64(14695981039346656037) // FNV-1a: a stream stays on its node over restarts
	for _, b := range tags {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h ^= uint64(tenant) * 0x9e3779b97f4a7c15
	return int((h ^ h>>32) % uint64(enc.nodes))
}

// marshalTags returns stream tags, given sorted by name, as the engine wants
// them. Empty values are no tags.
func marshalTags(pairs ...string) []byte {
	var tags []byte
	n := uint64(0)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			tags = appendString(appendString(tags, pairs[i]), pairs[i+1])
			n++
		}
	}
	return append(binary.AppendUvarint(nil, n), tags...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendValue adds a value with its mark.
func appendValue(dst []byte, v string) []byte {
	if !marked(v) {
		return appendString(dst, v)
	}
	dst = binary.AppendUvarint(dst, uint64(len(v)+len(mark)))
	return append(append(dst, v...), mark...)
}

// column returns what is known of a name in s, or nil if the field can be no
// column there.
func (s *stream) column(name string) *column {
	c, known := s.columns[name]
	if known {
		return c
	}
	if !event.IsCanonical(name) {
		if s.unknown >= ownNames || !storable(name) {
			return nil
		}
		s.unknown++
	}
	name = strings.Clone(name)
	c = &column{
		name:    string(appendString(nil, name)),
		multi:   string(appendString(nil, name+string(listMark))),
		numeric: event.Numeric(name),
		own:     event.IsCanonical(name),
	}
	s.columns[name] = c
	return c
}

// add appends the event as a row to the buffer of its node.
func (enc *encoder) add(bufs [][]byte, e *event.Event) {
	e, small := eventstore.Fit(e, eventstore.MaxEventBytes)
	if !small {
		enc.counts.Cut++
	}
	enc.row++
	s := enc.stream(e)

	// First the fields are looked up, because the number of columns, and the
	// stream, which depends on the number of names, stand before them.
	columns, message, messages := 2, -1, 0
	enc.over = enc.over[:0]
	lists := false
	for i := range e.Fields {
		f := &e.Fields[i]
		if f.Name == event.Message {
			if messages++; messages == 1 {
				message = i
			}
		}
		c := s.column(f.Name)
		if c == nil || columns >= maxRowColumns && c.row != enc.row && !c.own {
			enc.over = append(enc.over, i)
			continue
		}
		if c.row != enc.row {
			c.row, c.count = enc.row, 0
			columns++
		}
		if c.count++; c.count > 1 || c.numeric && !isInteger(f.Value) {
			lists = true
			c.count = max(c.count, 2)
		}
	}
	if len(enc.over) > 0 {
		columns++
		enc.counts.Overflow++
	}

	msg, head, kind := e.Raw, "", kindRaw
	switch noRaw := query.IsJSON(e.Raw) || e.Raw == ""; {
	case messages > 1 && noRaw:
		msg, kind = e.Fields[message].Value, kindText
	case messages == 1:
		text := e.Fields[message].Value
		switch {
		case noRaw:
			msg, kind = text, ""
		case text == e.Raw:
			msg, kind = text, kindMessage
		case len(text) > 0 && strings.HasSuffix(e.Raw, text) && blankBefore(e.Raw, len(e.Raw)-len(text)):
			msg, head, kind = text, e.Raw[:len(e.Raw)-len(text)], ""
		}
	}
	if kind == kindRaw || kind == kindText {
		messages = 0 // the field message, if there is one, is a column like others
	} else {
		columns--
	}
	columns++ // _msg
	if head != "" {
		columns++
	}
	if kind != "" {
		columns++
	}

	t := min(max(e.Time, eventstore.MinTime), eventstore.MaxTime)
	if t != e.Time {
		enc.counts.Moved++
	}
	if d := t / day; len(enc.days) == 0 || enc.days[len(enc.days)-1] != d && !slices.Contains(enc.days, d) {
		enc.days = append(enc.days, d)
	}
	tags, node := s.shared, s.node
	if s.unknown > sharedNames {
		tags, node = s.own, s.ownNode
	}

	dst := bufs[node]
	dst = binary.BigEndian.AppendUint32(dst, e.Tenant)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = append(binary.AppendUvarint(dst, uint64(len(tags))), tags...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t))
	dst = binary.AppendUvarint(dst, uint64(columns))
	dst = appendValue(appendString(dst, colMsg), msg)
	if head != "" {
		dst = appendValue(appendString(dst, colHead), head)
	}
	if kind != "" {
		dst = appendString(appendString(dst, colKind), kind)
	}
	dst = append(dst, "\x03"+colID...)
	dst = appendID(dst, e.ID)
	dst = append(dst, "\x03"+colAt...)
	at := len(dst)
	dst = strconv.AppendInt(append(dst, 0), e.Arrived/1000, 10)
	dst[at] = byte(len(dst) - at - 1)

	for i := range e.Fields {
		f := &e.Fields[i]
		if i == message && messages == 1 {
			continue
		}
		c := s.columns[f.Name]
		if c == nil || c.row != enc.row {
			continue
		}
		switch {
		case c.count == 1:
			dst = appendValue(append(dst, c.name...), f.Value)
		case c.count > 1 && lists:
			enc.list = enc.list[:0]
			for j := i; j < len(e.Fields); j++ {
				if e.Fields[j].Name == f.Name {
					enc.list = appendElement(enc.list, e.Fields[j].Value)
				}
			}
			enc.list = append(enc.list, listMark)
			dst = binary.AppendUvarint(append(dst, c.multi...), uint64(len(enc.list)))
			dst = append(dst, enc.list...)
			c.count = 0 // written
		}
	}
	if len(enc.over) > 0 {
		enc.list = enc.list[:0]
		for _, i := range enc.over {
			enc.list = appendElement(appendElement(enc.list, e.Fields[i].Name), e.Fields[i].Value)
		}
		enc.list = append(enc.list, listMark)
		dst = binary.AppendUvarint(appendString(dst, colOver), uint64(len(enc.list)))
		dst = append(dst, enc.list...)
	}
	if len(dst)-len(bufs[node]) > maxRow { // lists of many control characters grow
		e, _ = eventstore.Fit(e, eventstore.MaxEventBytes/3)
		enc.counts.Cut++
		enc.add(bufs, e)
		return
	}
	bufs[node] = dst
}

const day = int64(24 * 60 * 60 * 1e9)

// blankBefore tells whether a split of s at i cuts no word: nothing or white
// space stands before it.
func blankBefore(s string, i int) bool {
	return i == 0 || s[i-1] == ' ' || s[i-1] == '\t'
}

const hexDigits = "0123456789abcdef"

// appendID adds event.ID.String with its length, without allocating.
func appendID(dst []byte, id event.ID) []byte {
	at := len(dst)
	dst = append(dst, 0, 'e')
	dst = strconv.AppendUint(dst, uint64(id.Partition), 16)
	dst = append(dst, '-')
	dst = appendHex(dst, id.Seq, 12)
	dst = append(dst, '-')
	dst = appendHex(dst, uint64(id.Index), 5)
	dst[at] = byte(len(dst) - at - 1)
	return dst
}

// appendHex adds v with leading zeros to at least the width.
func appendHex(dst []byte, v uint64, width int) []byte {
	for n := max(width, 16); n > 0; n-- {
		digit := v >> (4 * (n - 1)) & 15
		if n <= width || v>>(4*(n-1)) != 0 {
			dst = append(dst, hexDigits[digit])
		}
	}
	return dst
}
