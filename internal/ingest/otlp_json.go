package ingest

import (
	"bytes"
	"context"
	"errors"
	"strconv"

	"github.com/kyra-mdr/kyra/internal/fault"
)

var (
	errNesting   = errors.New("the value nests too deep")
	errAttribute = errors.New(`want attributes as [{"key":…,"value":{…}}]`)
	errAnyValue  = errors.New(`want a value as {"stringValue":…}, with its type`)
)

// json takes {"resourceLogs":[{"resource":{…},"scopeLogs":[{"scope":{…},"logRecords":[…]}]}]}.
func (x *otlpLogs) json(ctx context.Context, body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return errNothing
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	logs := member(body, "resourceLogs")
	if body = bytes.TrimSpace(body); !opens(body, '{') || !isNull(logs) && !opens(logs, '[') {
		return fault.New(fault.Invalid, `want {"resourceLogs":[…]}`).In("body")
	}
	for i, resource := range elements(logs) {
		attributes, err := appendKVsJSON(nil, member(member(resource, "resource"), "attributes"), 0)
		if err == nil {
			x.record.resource, err = setShared(x.record.resource, "resource", attributes)
		}
		for j, scope := range elements(member(resource, "scopeLogs")) {
			wrong := err
			if wrong == nil {
				wrong = x.scopeJSON(member(scope, "scope"))
			}
			for k, record := range elements(member(scope, "logRecords")) {
				this := wrong
				if this == nil {
					this = x.record.json(record)
				}
				if this != nil {
					x.faults.add("resourceLogs[%d].scopeLogs[%d].logRecords[%d]: %s", i, j, k, this.Error())
				} else if err := x.add(ctx); err != nil {
					return err
				}
			}
		}
	}
	return x.intake.Flush(ctx)
}

func (x *otlpLogs) scopeJSON(scope []byte) (err error) {
	name := member(scope, "name")
	if !isNull(name) && !opens(name, '"') {
		return errors.New("want a string as name of the scope")
	}
	x.record.scope, err = setShared(x.record.scope, "scope", name)
	return err
}

// json reads a LogRecord.
func (o *otlpRecord) json(record []byte) error {
	if !opens(record, '{') {
		return errors.New("want an object")
	}
	o.reset()
	var err error
	for key, value := range members(record) {
		switch string(key) {
		case "timeUnixNano":
			o.time, err = jsonNanos(value)
		case "observedTimeUnixNano":
			o.observed, err = jsonNanos(value)
		case "severityText":
			o.severity, err = jsonString(value)
		case "severityNumber":
			if o.number = value; opens(value, '{') || opens(value, '[') {
				err = errors.New("want a number as severityNumber")
			} else if string(value) == "0" {
				o.number = nil
			}
		case "body":
			if !isNull(value) {
				o.body, err = appendAnyJSON(o.body[:0], value, 0)
			}
		case "attributes":
			o.attributes, err = appendKVsJSON(o.attributes[:0], value, 0)
		case "traceId":
			o.traceID, err = jsonString(value)
		case "spanId":
			o.spanID, err = jsonString(value)
		case "eventName":
			o.event, err = jsonString(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func jsonString(value []byte) ([]byte, error) {
	if !isNull(value) && !opens(value, '"') {
		return nil, errors.New("want a string in place of " + clip(string(value), 40))
	}
	return value, nil
}

func jsonNanos(value []byte) (uint64, error) {
	if isNull(value) {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(unquoted(value)), 10, 64)
	if err != nil {
		return 0, errors.New("want nanoseconds since 1970 in place of " + clip(string(value), 40))
	}
	return n, nil
}

// appendKVsJSON appends a list of KeyValue as an object.
func appendKVsJSON(dst, list []byte, depth int) ([]byte, error) {
	if !isNull(list) && !opens(list, '[') {
		return dst, errAttribute
	}
	dst = append(dst, '{')
	start := len(dst)
	for _, kv := range elements(list) {
		key, value := member(kv, "key"), member(kv, "value")
		if !opens(key, '"') {
			return dst, errAttribute
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, key...), ':')
		if isNull(value) {
			dst = append(dst, "null"...)
			continue
		}
		var err error
		if dst, err = appendAnyJSON(dst, value, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendAnyJSON appends an AnyValue as the JSON value that it means.
func appendAnyJSON(dst, value []byte, depth int) ([]byte, error) {
	if depth > maxNesting {
		return dst, errNesting
	}
	if !opens(value, '{') {
		return dst, errAnyValue
	}
	for key, v := range members(value) {
		if isNull(v) {
			continue
		}
		switch string(key) {
		case "stringValue", "bytesValue":
			if !opens(v, '"') {
				return dst, errAnyValue
			}
			return append(dst, v...), nil
		case "intValue":
			if n, err := strconv.ParseInt(string(unquoted(v)), 10, 64); err == nil {
				return strconv.AppendInt(dst, n, 10), nil
			}
			return dst, errors.New("want an integer in place of " + clip(string(v), 40))
		case "boolValue", "doubleValue": // NaN and the infinite ones are strings
			if opens(v, '{') || opens(v, '[') {
				return dst, errAnyValue
			}
			return append(dst, v...), nil
		case "kvlistValue":
			return appendKVsJSON(dst, member(v, "values"), depth)
		case "arrayValue":
			dst = append(dst, '[')
			for i, e := range elements(member(v, "values")) {
				if i > 0 {
					dst = append(dst, ',')
				}
				var err error
				if dst, err = appendAnyJSON(dst, e, depth+1); err != nil {
					return dst, err
				}
			}
			return append(dst, ']'), nil
		}
	}
	return append(dst, "null"...), nil
}
