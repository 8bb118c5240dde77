package ingest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// proto takes an ExportLogsServiceRequest. Its messages may hold their parts in any
// order, so what is said of several records is looked for first.
func (x *otlpLogs) proto(ctx context.Context, message []byte) error {
	n := 0
	for f, err := range fields(message) {
		if err != nil {
			return errors.Join(x.intake.Flush(ctx), fault.New(fault.Invalid, "%s behind resourceLogs[%d]", err.Error(), n-1).In("body"))
		}
		logs, ok := f.MessageData()
		if f.FieldNum != 1 || !ok {
			continue
		}
		if err := x.resourceProto(ctx, n, logs); err != nil {
			return err
		}
		n++
	}
	return x.intake.Flush(ctx)
}

func (x *otlpLogs) resourceProto(ctx context.Context, i int, logs []byte) error {
	attributes, err := appendKVsProto(nil, lastMessage(logs, 1), 1, 0)
	if err == nil {
		x.record.resource, err = setShared(x.record.resource, "resource", attributes)
	}
	j := -1
	for f, broken := range fields(logs) {
		if broken != nil {
			x.faults.add("resourceLogs[%d]: %s behind scopeLogs[%d]", i, broken.Error(), j)
			return nil
		}
		scope, ok := f.MessageData()
		if f.FieldNum != 2 || !ok {
			continue
		}
		j++
		if stop := x.scopeProto(ctx, i, j, scope, err); stop != nil {
			return stop
		}
	}
	return nil
}

// scopeProto takes the records of a ScopeLogs; wrong is what is wrong with all of them.
func (x *otlpLogs) scopeProto(ctx context.Context, i, j int, logs []byte, wrong error) error {
	var name []byte
	var err error
	for f, broken := range fields(lastMessage(logs, 1)) {
		if err = broken; err != nil {
			break
		}
		if text, ok := f.Bytes(); ok && f.FieldNum == 1 {
			name = appendQuoted(nil, text)
		}
	}
	if err == nil {
		x.record.scope, err = setShared(x.record.scope, "scope", name)
	}
	if wrong == nil {
		wrong = err
	}
	k := -1
	for f, broken := range fields(logs) {
		if broken != nil {
			x.faults.add("resourceLogs[%d].scopeLogs[%d]: %s behind logRecords[%d]", i, j, broken.Error(), k)
			return nil
		}
		record, ok := f.MessageData()
		if f.FieldNum != 2 || !ok {
			continue
		}
		k++
		this := wrong
		if this == nil {
			this = x.record.proto(record)
		}
		if this != nil {
			x.faults.add("resourceLogs[%d].scopeLogs[%d].logRecords[%d]: %s", i, j, k, this.Error())
		} else if err := x.add(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lastMessage is the field of a message, the last one if there are several. What is
// broken behind it is found by those who read on.
func lastMessage(message []byte, number uint32) (found []byte) {
	for f, broken := range fields(message) {
		if broken != nil {
			break
		}
		if data, ok := f.MessageData(); ok && f.FieldNum == number {
			found = data
		}
	}
	return found
}

// proto reads a LogRecord.
func (o *otlpRecord) proto(record []byte) error {
	o.reset()
	for f, err := range fields(record) {
		if err != nil {
			return err
		}
		data, _ := f.Bytes()
		switch f.FieldNum {
		case 1:
			o.time, _ = f.Fixed64()
		case 11:
			o.observed, _ = f.Fixed64()
		case 2:
			if n, ok := f.Int32(); ok && n != 0 {
				o.number = strconv.AppendInt(nil, int64(n), 10)
			}
		case 3:
			o.severity = appendQuoted(nil, data)
		case 5:
			o.body, err = appendAnyProto(o.body[:0], data, 0)
		case 9:
			o.traceID = appendQuoted(nil, hex.EncodeToString(data))
		case 10:
			o.spanID = appendQuoted(nil, hex.EncodeToString(data))
		case 12:
			o.event = appendQuoted(nil, data)
		}
		if err != nil {
			return err
		}
	}
	var err error
	o.attributes, err = appendKVsProto(o.attributes[:0], record, 6, 0)
	return err
}

// appendKVsProto appends the KeyValues in the field number of message as an object.
func appendKVsProto(dst, message []byte, number uint32, depth int) ([]byte, error) {
	dst = append(dst, '{')
	start := len(dst)
	for f, err := range fields(message) {
		if err != nil {
			return dst, err
		}
		kv, ok := f.MessageData()
		if f.FieldNum != number || !ok {
			continue
		}
		key, value, err := protoPair(kv)
		if err != nil {
			return dst, err
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, key), ':')
		if dst, err = appendAnyProto(dst, value, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendAnyProto appends an AnyValue as the JSON value that it means.
func appendAnyProto(dst, value []byte, depth int) ([]byte, error) {
	if depth > maxNesting {
		return dst, errNesting
	}
	for f, err := range fields(value) {
		if err != nil {
			return dst, err
		}
		data, _ := f.Bytes()
		switch f.FieldNum {
		case 1:
			return appendQuoted(dst, data), nil
		case 2:
			v, _ := f.Bool()
			return strconv.AppendBool(dst, v), nil
		case 3:
			v, _ := f.Int64()
			return strconv.AppendInt(dst, v, 10), nil
		case 4:
			v, _ := f.Double()
			return appendDouble(dst, v), nil
		case 5:
			return appendArrayProto(dst, data, depth)
		case 6:
			return appendKVsProto(dst, data, 1, depth)
		case 7:
			return appendQuoted(dst, base64.StdEncoding.EncodeToString(data)), nil
		}
	}
	return append(dst, "null"...), nil
}

func appendArrayProto(dst, array []byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	start := len(dst)
	for f, err := range fields(array) {
		if err != nil {
			return dst, err
		}
		value, ok := f.MessageData()
		if f.FieldNum != 1 || !ok {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if dst, err = appendAnyProto(dst, value, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}
