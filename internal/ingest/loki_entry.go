package ingest

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// maxLabels bounds what a stream says of all of its entries.
const maxLabels = 64 << 10

// A lokiEntry is a line with what is known of it.
type lokiEntry struct {
	time     time.Time
	line     string
	quoted   []byte // the line as JSON, in place of line
	labels   *lokiLabels
	metadata []byte // more labels, as members of an object
}

// appendTo appends the record: {"timestamp":…,"line":…,"labels":{…}}.
func (e *lokiEntry) appendTo(dst []byte, line string) []byte {
	dst = append(dst, '{')
	dst = appendTime(dst, "timestamp", e.time)
	dst = append(dst, `"line":`...)
	if e.quoted != nil {
		dst = append(dst, e.quoted...)
	} else {
		dst = appendQuoted(dst, line)
	}
	dst = append(append(dst, `,"labels":{`...), e.labels.text...)
	if len(e.labels.text) > 0 && len(e.metadata) > 0 {
		dst = append(dst, ',')
	}
	return append(append(dst, e.metadata...), "}}"...)
}

// lokiLabels are the labels of a stream, as members of an object.
type lokiLabels struct {
	text []byte
	seen map[string]string // name to value, both as they are written
}

// add appends a label that is quoted already.
func (l *lokiLabels) add(name, value []byte) error {
	if l.seen == nil {
		l.seen = map[string]string{}
	}
	if _, twice := l.seen[string(name)]; twice {
		return nil
	}
	l.seen[string(name)] = string(value)
	l.text = appendMember(l.text, name, value)
	if len(l.text) > maxLabels {
		return errLabels
	}
	return nil
}

var errLabels = fault.New(fault.Invalid, "the labels take more than %d bytes", maxLabels)

// metadata appends what an entry says of itself. A label of its stream stays what
// it is; what contradicts it gets the name that Loki gives it.
func (l *lokiLabels) metadata(dst, name, value []byte) []byte {
	if own, taken := l.seen[string(name)]; taken {
		if own == string(value) {
			return dst
		}
		name = append(bytes.TrimSuffix(bytes.Clone(name), []byte(`"`)), `_extracted"`...)
	}
	return appendMember(dst, name, value)
}

func appendMember(dst, name, value []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	return append(append(append(dst, name...), ':'), value...)
}

// withQuotes gives a key of members with the quotes around it.
func withQuotes(key []byte) []byte { return append(append([]byte{'"'}, key...), '"') }

// json takes {"streams":[{"stream":{…},"values":[["<ns>","line",{…}]]}]}.
func (p *lokiPush) json(ctx context.Context, body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errNothing
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	streams := member(body, "streams")
	if !opens(streams, '[') {
		return fault.New(fault.Invalid, `want {"streams":[…]}`).In("body")
	}
	for n, stream := range elements(streams) {
		if err := p.jsonStream(ctx, n, stream); err != nil {
			return err
		}
	}
	return p.intake.Flush(ctx)
}

func (p *lokiPush) jsonStream(ctx context.Context, n int, stream []byte) error {
	values := member(stream, "values")
	if !opens(values, '[') && !isNull(values) || !opens(stream, '{') {
		p.faults.add(`streams[%d]: want {"stream":{…},"values":[…]}`, n)
		return nil
	}
	e := lokiEntry{labels: &lokiLabels{}}
	var wrong error
	named := member(stream, "stream")
	if !opens(named, '{') && !isNull(named) {
		wrong = fault.New(fault.Invalid, "want an object of labels")
	}
	for name, value := range members(named) {
		if wrong = e.labels.add(withQuotes(name), value); wrong != nil {
			break
		}
	}
	for i, value := range elements(values) {
		if wrong != nil {
			p.faults.add("streams[%d].stream: %s", n, wrong.Error())
			continue
		}
		e.time, e.quoted, e.metadata = time.Time{}, nil, e.metadata[:0]
		for k, part := range elements(value) {
			switch k {
			case 0:
				if ns, err := strconv.ParseUint(string(unquoted(part)), 10, 64); err == nil {
					e.time = nanoTime(ns)
				}
			case 1:
				if opens(part, '"') {
					e.quoted = part
				}
			case 2:
				for name, value := range members(part) {
					e.metadata = e.labels.metadata(e.metadata, withQuotes(name), value)
				}
			}
		}
		if e.quoted == nil {
			p.faults.add(`streams[%d].values[%d]: want ["<nanoseconds since 1970>","<line>"]`, n, i)
			continue
		}
		if err := p.add(ctx, &e); err != nil {
			return err
		}
	}
	return nil
}

// proto takes a logproto.PushRequest.
func (p *lokiPush) proto(ctx context.Context, message []byte) error {
	n := 0
	for f, err := range fields(message) {
		if err != nil {
			return errors.Join(p.intake.Flush(ctx), fault.New(fault.Invalid, "%s behind streams[%d]", err.Error(), n-1).In("body"))
		}
		stream, ok := f.MessageData()
		if f.FieldNum != 1 || !ok {
			continue
		}
		if err := p.protoStream(ctx, n, stream); err != nil {
			return err
		}
		n++
	}
	return p.intake.Flush(ctx)
}

func (p *lokiPush) protoStream(ctx context.Context, n int, stream []byte) error {
	e := lokiEntry{labels: &lokiLabels{}}
	wrong := e.labels.read(string(lastMessage(stream, 1))) // they may stand behind the entries
	i := -1
	for f, err := range fields(stream) {
		if err != nil {
			p.faults.add("streams[%d]: %s behind entries[%d]", n, err.Error(), i)
			return nil
		}
		entry, ok := f.MessageData()
		if f.FieldNum != 2 || !ok {
			continue
		}
		i++
		if wrong != nil {
			p.faults.add("streams[%d].labels: %s", n, wrong.Error())
			continue
		}
		if err := e.proto(entry); err != nil {
			p.faults.add("streams[%d].entries[%d]: %s", n, i, err.Error())
			continue
		}
		if err := p.add(ctx, &e); err != nil {
			return err
		}
	}
	return nil
}

// proto reads a logproto.EntryAdapter.
func (e *lokiEntry) proto(entry []byte) error {
	e.time, e.line, e.quoted, e.metadata = time.Time{}, "", nil, e.metadata[:0]
	for f, err := range fields(entry) {
		if err != nil {
			return err
		}
		data, ok := f.Bytes()
		if !ok {
			continue
		}
		switch f.FieldNum {
		case 1:
			if e.time, err = protoTime(data); err != nil {
				return err
			}
		case 2:
			e.line = string(data)
		case 3:
			name, value, err := protoPair(data)
			if err != nil {
				return err
			}
			e.metadata = e.labels.metadata(e.metadata, appendQuoted(nil, name), appendQuoted(nil, value))
		}
	}
	return nil
}

// protoTime reads a google.protobuf.Timestamp.
func protoTime(message []byte) (time.Time, error) {
	var seconds int64
	var nanos int32
	for f, err := range fields(message) {
		if err != nil {
			return time.Time{}, err
		}
		switch f.FieldNum {
		case 1:
			seconds, _ = f.Int64()
		case 2:
			nanos, _ = f.Int32()
		}
	}
	return time.Unix(seconds, int64(nanos)), nil
}

// protoPair reads a message of a name and a value.
func protoPair(message []byte) (name, value []byte, err error) {
	for f, err := range fields(message) {
		if err != nil {
			return nil, nil, err
		}
		switch f.FieldNum {
		case 1:
			name, _ = f.Bytes()
		case 2:
			value, _ = f.Bytes()
		}
	}
	return name, value, nil
}

// read reads labels as Prometheus writes them: {job="nginx", host="web1"}.
func (l *lokiLabels) read(text string) error {
	wrong := func(at string) error {
		return fault.New(fault.Invalid, `want {name="value", …} at %q`, clip(at, 40))
	}
	s := strings.TrimSpace(text)
	if s == "" {
		return nil
	}
	s, ok := strings.CutPrefix(s, "{")
	if !ok {
		return wrong(text)
	}
	for {
		s = strings.TrimLeft(s, " ,\t")
		if s == "}" {
			return nil
		}
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return wrong(s)
		}
		name = strings.TrimSpace(name)
		if plain, err := strconv.Unquote(name); err == nil { // names beyond ASCII are quoted
			name = plain
		}
		quoted, err := strconv.QuotedPrefix(strings.TrimLeft(rest, " "))
		if err != nil || name == "" {
			return wrong(s)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return wrong(s)
		}
		if err := l.add(appendQuoted(nil, name), appendQuoted(nil, value)); err != nil {
			return err
		}
		s = strings.TrimLeft(rest, " ")[len(quoted):]
	}
}
