// Package event is the record that flows through KYRA: one log entry of one
// tenant, as a flat list of named text values. It holds names and shapes only;
// it never parses, stores or judges.
package event

import (
	"fmt"
	"strconv"
	"strings"
)

// A Field is one named value. Values are text; what the schema calls numeric
// (see Numeric) holds a canonical decimal integer.
type Field struct{ Name, Value string }

// An Event is one stored log record.
//
// Fields holds the canonical fields (the constants of this package) and, beside
// them, every native key of the source under its own name, unchanged. A native
// key whose name is also a canonical one but whose value differs stands under
// NativePrefix + name. A name may occur several times: the field then has
// several values.
//
// Strings may alias one shared buffer: clone what outlives the batch.
type Event struct {
	ID      ID
	Tenant  uint32 // tenant.Tenant.Number
	Time    int64  // event time, UTC, nanoseconds since 1970; any year from 1678 to 2261
	Arrived int64  // when KYRA took it in, nanoseconds since 1970
	Raw     string // the exact input, after framing
	Fields  []Field
}

// NativePrefix stands before native keys that would hide a canonical field.
const NativePrefix = "fields."

// Get returns the first value of the named field, or "" where there is none.
func (e *Event) Get(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// Lookup returns the first value of the named field and whether there is one.
func (e *Event) Lookup(name string) (string, bool) {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			return e.Fields[i].Value, true
		}
	}
	return "", false
}

// Add appends a value; an empty value is kept: present and empty is not absent.
func (e *Event) Add(name, value string) {
	e.Fields = append(e.Fields, Field{name, value})
}

// Set replaces the first value of the named field, or adds it.
func (e *Event) Set(name, value string) {
	for i := range e.Fields {
		if e.Fields[i].Name == name {
			e.Fields[i].Value = value
			return
		}
	}
	e.Add(name, value)
}

// Tag adds one of the Tag constants once.
func (e *Event) Tag(tag string) {
	for _, f := range e.Fields {
		if f.Name == Tags && f.Value == tag {
			return
		}
	}
	e.Add(Tags, tag)
}

// Reset empties e for reuse and keeps its memory.
func (e *Event) Reset() { *e = Event{Fields: e.Fields[:0]} }

// An ID is an event's place in the queue. A replay gives the same ids, which is
// what makes storing exactly-once possible.
type ID struct {
	Partition uint16
	Seq       uint64 // the message in the partition
	Index     uint32 // the record in the message
}

// String returns the form that the API shows: "e2-00000000001a-03f", partition,
// sequence and index in hexadecimal. Ids of one partition sort by their age.
func (id ID) String() string { return fmt.Sprintf("%s%05x", id.BatchPrefix(), id.Index) }

// BatchPrefix returns what the ids of one message of the queue begin with.
func (id ID) BatchPrefix() string { return fmt.Sprintf("e%x-%012x-", id.Partition, id.Seq) }

// ParseID reads what ID.String prints.
func ParseID(s string) (ID, error) {
	bad := fmt.Errorf("event id %q is not of the form e0-000000000000-00000", s)
	rest, ok := strings.CutPrefix(s, "e")
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 3 || len(parts[1]) != 12 || len(parts[2]) < 5 {
		return ID{}, bad
	}
	p, err1 := strconv.ParseUint(parts[0], 16, 16)
	seq, err2 := strconv.ParseUint(parts[1], 16, 64)
	i, err3 := strconv.ParseUint(parts[2], 16, 32)
	id := ID{uint16(p), seq, uint32(i)}
	if err1 != nil || err2 != nil || err3 != nil || id.String() != s {
		return ID{}, bad
	}
	return id, nil
}
