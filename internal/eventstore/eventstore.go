// Package eventstore is the port to where events are kept and searched. It
// says what a store promises, and two implementations keep it: victorialogs
// for real, memory for tests; package storetest checks both. It holds no
// evidence: the archive does, and a store can be built again from it.
package eventstore

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/query"
)

// A Store keeps events of all tenants. Its methods may be called at the same
// time from several goroutines.
//
// What comes back of an event: ID, Tenant, Time, and the fields exactly, values
// of one name in their order, names sorted. Arrived is cut to microseconds. Raw
// is exact for text; the raw text of JSON input (it begins with a brace) is
// kept only where the event has no field message: the archive has it. Of an
// event larger than MaxEventBytes values are cut from the end, and it gets the
// tag fields_cut. A Time outside MinTime to MaxTime is moved to the nearer one.
type Store interface {
	// Append hands events over, of any tenants, times and order. nil means
	// that the store answered for every one: they will be found soon (Search
	// may miss them for about a second, or until Sync), but they are durable
	// only after Sync. After an error some may have been stored: complete them
	// by Present. The events' memory may be used again after the return.
	Append(ctx context.Context, events []event.Event) error

	// Sync makes all that was appended before it was called searchable and
	// durable. After an error nothing is known to be durable, and Epoch tells
	// whether something may be lost.
	Sync(ctx context.Context) error

	// Epoch is a number that changes when rows appended after the last
	// successful Sync may have been lost: the store's process was started again.
	Epoch() uint64

	// Present returns the indexes of the queue message (partition, seq) that
	// are stored already, looking at event times from ≤ t ≤ to. It sees all
	// that Append answered for.
	Present(ctx context.Context, tenant uint32, partition uint16, seq uint64, from, to int64) (map[uint32]struct{}, error)

	// Search answers r. It never answers with less than it was asked without
	// saying so in Result.Partial: a dead node, a time-out and a cancelled ctx
	// are errors (fault.Unavailable or ctx's own), a filter the store cannot
	// take is fault.Invalid.
	Search(ctx context.Context, r Request) (*Result, error)

	// Walk calls f with all events that r asks for, batch by batch, oldest first,
	// equal times in ascending order of ID.String. It holds few of them at a time,
	// however many there are, so that it may take hours. What is appended meanwhile
	// may be among them or not. An error of f ends it and is returned, as those
	// that Search has; what f was given before has no gap. A batch is never empty,
	// and f may keep it.
	Walk(ctx context.Context, r WalkRequest, f func(events []event.Event) error) error

	// Get returns one event, or fault.NotFound.
	Get(ctx context.Context, tenant uint32, id event.ID) (*event.Event, error)

	// Fields lists the field names that the events of r carry, most frequent
	// first, with the number of events that carry each.
	Fields(ctx context.Context, r FieldsRequest) ([]FieldInfo, error)

	// Erase removes a tenant's events that arrived before arrivedBefore
	// (nanoseconds) and returns how many there were. It returns when they are
	// gone. It is dear: run it at night, for all at once.
	Erase(ctx context.Context, tenant uint32, arrivedBefore int64) (int64, error)

	// EraseMatching removes a tenant's events that match filter, which must not be nil,
	// with times from ≤ t < to, and returns how many are proven gone: counted before
	// and after. It sees all that Append answered for before it was called; after an
	// error some may be gone, and it may be called again. As dear as Erase: name many
	// events at once, though not more than some thousands by their ids.
	EraseMatching(ctx context.Context, tenant uint32, filter query.Node, from, to int64) (int64, error)

	// DropDay removes all events of all tenants whose time is in the UTC day,
	// given as YYYYMMDD. A day that holds nothing is no error.
	DropDay(ctx context.Context, day string) error

	// Usage tells what the store holds.
	Usage(ctx context.Context) (Usage, error)

	// Close gives up what the Store holds. It does not Sync.
	Close() error
}

// A Request asks for the newest events that match a filter.
type Request struct {
	Tenant   uint32
	Filter   query.Node // nil: everything
	From, To int64      // event time, nanoseconds since 1970: From ≤ t < To

	// Limit is how many events to return, 0 to MaxLimit; 0: only counts.
	Limit int

	// Histogram asks for Buckets. NoTotal leaves out Total, which a later page
	// need not count again; it is not allowed together with Histogram.
	Histogram bool
	NoTotal   bool

	// Cursor is the Next of the page before, with the same tenant, filter and
	// times. Total and Buckets always speak of all pages. A page may be shorter
	// than Limit, where events are large, and still have a Next.
	Cursor string
}

// A Result answers a Request.
type Result struct {
	Events []event.Event // newest first; equal times in descending order of ID.String
	Total  uint64        // events that match, exact; 0 if NoTotal

	// Buckets cover From to To without a hole, oldest first, all Step wide and
	// aligned to a multiple of it, so the first and the last may reach outside.
	// Counts add up to Total.
	Buckets []Bucket
	Step    int64 // nanoseconds

	// Partial says what is missing, for people; "" means nothing is.
	Partial string

	// Next is the cursor of the next page, "" when this is the last.
	Next string
}

// A WalkRequest asks for all events that match a filter.
type WalkRequest struct {
	Tenant   uint32
	Filter   query.Node // nil: everything
	From, To int64      // as in Request
}

// A Bucket is one bar of the histogram.
type Bucket struct {
	Time  int64 // begin, nanoseconds since 1970
	Count uint64
	// BySeverity splits Count, in the order of event.Severities. Events with
	// none of the five count as info.
	BySeverity [5]uint64
}

// A FieldsRequest asks which fields the matching events have.
type FieldsRequest struct {
	Tenant   uint32
	Filter   query.Node // nil: everything
	From, To int64      // as in Request

	Names  []string // only these (aliases allowed); empty: all
	Values int      // how many top values of each, 0 to MaxValues; only for at most MaxValueFields names
	Limit  int      // at most so many names; 0: MaxFields
}

// FieldInfo tells about one field.
type FieldInfo struct {
	Name   string
	Hits   uint64       // events that have it
	Values []ValueCount // the most frequent, first; as written, cases apart
}

// ValueCount is one value of a field with the number of events that have it.
type ValueCount struct {
	Value string
	Hits  uint64
}

// Usage is what a store holds.
type Usage struct {
	Rows  uint64
	Bytes uint64   // on disk
	Days  []string // YYYYMMDD, ascending
}

// MinTime and MaxTime are the first and the last event time that is kept,
// nanoseconds since 1970: the years 1970 to 2070.
const (
	MinTime int64 = 0
	MaxTime int64 = 3187295999999999999
)

// MaxEventBytes is how large names, values and text of one event may be.
const MaxEventBytes = 1_900_000

// Limits on requests.
const (
	MaxLimit       = 10_000
	MaxValues      = 100
	MaxValueFields = 100
	MaxFields      = 1_000
)
