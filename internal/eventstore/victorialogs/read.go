package victorialogs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
)

// readBlock turns the rows of a block into events, whose strings are their own.
func readBlock(tenant uint32, db *logstorage.DataBlock) ([]event.Event, error) {
	events := make([]event.Event, db.RowsCount())
	type text struct{ msg, head, kind string }
	texts := make([]text, len(events))
	hasText := db.GetColumnByName(colMsg) != nil
	for i := range events {
		events[i].Tenant = tenant
		events[i].Fields = make([]event.Field, 0, len(db.Columns)/2)
	}
	for _, c := range db.Columns {
		name := strings.Clone(c.Name)
		base, list := strings.CutSuffix(name, string(listMark))
		last, lastCopy := "", "" // neighbours often have the same value
		for i, v := range c.Values {
			if v == "" {
				continue
			}
			if v != last {
				last = v
				lastCopy = strings.Clone(v)
			}
			v = lastCopy
			e := &events[i]
			switch {
			case name == colMsg:
				texts[i].msg = Unmark(v)
			case name == colHead:
				texts[i].head = Unmark(v)
			case name == colKind:
				texts[i].kind = v
			case name == "_time":
				t, err := time.Parse(time.RFC3339Nano, v)
				if err != nil {
					return nil, fmt.Errorf("read the time of a row: %w", err)
				}
				e.Time = t.UnixNano()
			case name == colID:
				id, err := event.ParseID(v)
				if err != nil {
					return nil, fmt.Errorf("read the id of a row: %w", err)
				}
				e.ID = id
			case name == colAt:
				micros, err := strconv.ParseInt(v, 10, 64)
				if err != nil {
					return nil, fmt.Errorf("read the arrival of a row: %w", err)
				}
				e.Arrived = micros * 1000
			case name == colOver:
				parts := splitList(v)
				for j := 0; j+1 < len(parts); j += 2 {
					e.Add(parts[j], parts[j+1])
				}
			case name == "_stream" || name == "_stream_id":
			case list:
				for _, element := range splitList(v) {
					e.Add(base, element)
				}
			default:
				e.Add(name, Unmark(v))
			}
		}
	}
	for i := range events {
		e, t := &events[i], texts[i]
		switch {
		case !hasText: // not asked for
		case t.kind == kindRaw:
			e.Raw = t.msg
		case t.kind == kindText:
		case t.kind == kindMessage:
			e.Raw = t.msg
			e.Add(event.Message, t.msg)
		default:
			if t.head != "" {
				e.Raw = t.head + t.msg
				t.msg = e.Raw[len(t.head):] // shares its memory
			}
			e.Add(event.Message, t.msg)
		}
		slices.SortStableFunc(e.Fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return events, nil
}
