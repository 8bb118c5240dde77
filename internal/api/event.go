package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// eventItem is one stored event. It writes its own JSON: an answer may hold ten
// thousand of them with fifty fields each.
type eventItem struct{ *event.Event }

// storedEvent is what eventItem writes, for the documentation.
type storedEvent struct {
	ID        string         `json:"id" doc:"For GET /siem/events/{id}." example:"e0-00000000001a-0003f"`
	Timestamp time.Time      `json:"timestamp" doc:"Event time."`
	Source    string         `json:"source" example:"sshd"`
	Host      string         `json:"host"`
	Severity  string         `json:"severity" enum:"critical,high,medium,low,info"`
	Message   string         `json:"message"`
	Fields    map[string]any `json:"fields" doc:"Every field: a text, or a list of texts where it has several values. Among them raw, the exact input, and ingest_time."`

	_ struct{} `additionalProperties:"true"`
}

// Schema implements huma.SchemaProvider.
func (eventItem) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(typeOfEvent, true, "Event")
}

// MarshalJSON implements json.Marshaler, for events inside other objects.
func (e eventItem) MarshalJSON() ([]byte, error) { return e.appendJSON(nil), nil }

func (e eventItem) appendJSON(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, e.ID.String()...)
	b = append(b, `","timestamp":"`...)
	b = appendTime(b, e.Time)
	for _, name := range []string{event.Source, event.Host, event.Severity} {
		b = append(b, `","`...)
		b = append(b, name...)
		b = append(b, `":`...)
		b = appendText(b, e.Get(name))
		b = b[:len(b)-1] // the closing quote opens the next key
	}
	b = append(b, `","message":`...)
	message, ok := e.Lookup(event.Message)
	if !ok {
		message = e.Raw
	}
	b = appendText(b, message)
	b = append(b, `,"fields":{"ingest_time":"`...)
	b = appendTime(b, e.Arrived)
	b = append(b, '"')
	if e.Raw != "" { // the store may have left it to the archive
		b = append(b, `,"raw":`...)
		b = appendText(b, e.Raw)
	}
	return append(appendFields(b, e.Fields), '}', '}')
}

func byFieldName(a, b event.Field) int { return strings.Compare(a.Name, b.Name) }

// appendFields writes ,"name":"value" or ,"name":["value","value"] for each name.
func appendFields(b []byte, fields []event.Field) []byte {
	if !slices.IsSortedFunc(fields, byFieldName) {
		fields = slices.Clone(fields)
		slices.SortStableFunc(fields, byFieldName)
	}
	for i := 0; i < len(fields); {
		name := fields[i].Name
		end := i + 1
		for end < len(fields) && fields[end].Name == name {
			end++
		}
		b = append(b, ',')
		b = appendText(b, name)
		b = append(b, ':')
		if end == i+1 {
			b = appendText(b, fields[i].Value)
		} else {
			for j := i; j < end; j++ {
				b = append(b, ',')
				if j == i {
					b[len(b)-1] = '['
				}
				b = appendText(b, fields[j].Value)
			}
			b = append(b, ']')
		}
		i = end
	}
	return b
}

func appendTime(b []byte, ns int64) []byte {
	return time.Unix(0, ns).UTC().AppendFormat(b, time.RFC3339Nano)
}

const hexDigits = "0123456789abcdef"

// appendText writes s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// eventsByID reads the events that an alert refers to, the oldest first, with one
// search. Those that the retention has removed are left out.
func (a *api) eventsByID(ctx context.Context, tenant uint32, ids []event.ID, first, last time.Time) ([]eventItem, error) {
	items := []eventItem{}
	if len(ids) == 0 {
		return items, nil
	}
	var text bytes.Buffer
	for i, id := range ids {
		if i > 0 {
			text.WriteString(" OR ")
		}
		text.WriteString("id:" + id.String())
	}
	filter, err := query.Parse(text.String())
	if err != nil {
		return nil, fmt.Errorf("read an alert's events: %w", err)
	}
	res, err := a.searchStore(ctx, eventstore.Request{
		Tenant: tenant, Filter: filter, Limit: len(ids), NoTotal: true,
		// The alert keeps microseconds, events have nanoseconds.
		From: first.UnixNano(), To: last.Add(time.Microsecond).UnixNano(),
	})
	if err != nil {
		return nil, err
	}
	if res.Partial != "" {
		return nil, fault.New(fault.Unavailable, "only a part of the events can be read: %s", res.Partial)
	}
	for i := range slices.Backward(res.Events) {
		items = append(items, eventItem{&res.Events[i]})
	}
	return items, nil
}

var _ json.Marshaler = eventItem{}
