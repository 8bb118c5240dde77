package eventstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Position is where a page ends: the last event on it.
type Position struct {
	Time int64
	ID   string
}

// After tells whether an event comes after p, newest first.
func (p Position) After(t int64, id string) bool {
	return t < p.Time || t == p.Time && id < p.ID
}

// String returns the cursor for p.
func (p Position) String() string { return fmt.Sprintf("%d.%s", p.Time, p.ID) }

// ParseCursor reads what Position.String printed; the error is fault.Invalid.
func ParseCursor(s string) (Position, error) {
	t, id, ok := strings.Cut(s, ".")
	ns, err := strconv.ParseInt(t, 10, 64)
	if _, badID := event.ParseID(id); !ok || err != nil || badID != nil {
		return Position{}, fault.New(fault.Invalid, "the cursor is not one that a search returned").In("cursor")
	}
	return Position{ns, id}, nil
}

// Check refuses requests that no store takes.
func (r *Request) Check() error {
	switch {
	case r.Limit < 0 || r.Limit > MaxLimit:
		return fault.New(fault.Invalid, "limit is 0 to %d", MaxLimit).In("limit")
	case r.NoTotal && r.Histogram:
		return fault.New(fault.Invalid, "a histogram counts the total").In("histogram")
	case r.To < r.From:
		return fault.New(fault.Invalid, "the time range ends before it begins").In("to")
	}
	return nil
}

// Check refuses requests that no store takes.
func (r *WalkRequest) Check() error {
	if r.To < r.From {
		return fault.New(fault.Invalid, "the time range ends before it begins").In("to")
	}
	return nil
}

// CheckErase does what Check does for EraseMatching, which is never asked for
// everything by leaving out the filter.
func (r *WalkRequest) CheckErase() error {
	if r.Filter == nil {
		return fault.New(fault.Invalid, "say what to erase").In("filter")
	}
	return r.Check()
}

// Check refuses requests that no store takes, and sets the default limit.
func (r *FieldsRequest) Check() error {
	if r.Limit == 0 {
		r.Limit = MaxFields
	}
	switch {
	case r.Limit < 0 || r.Limit > MaxFields:
		return fault.New(fault.Invalid, "limit is 1 to %d", MaxFields).In("limit")
	case r.Values < 0 || r.Values > MaxValues:
		return fault.New(fault.Invalid, "values is 0 to %d", MaxValues).In("values")
	case r.Values > 0 && (len(r.Names) == 0 || len(r.Names) > MaxValueFields):
		return fault.New(fault.Invalid, "top values are for 1 to %d named fields", MaxValueFields).In("names")
	case r.To < r.From:
		return fault.New(fault.Invalid, "the time range ends before it begins").In("to")
	}
	return nil
}
