// Package storetest checks that an eventstore.Store keeps the port's promises.
// It is not linked into the program.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/query"
)

// Run runs the conformance suite. make returns an empty store, or one that the
// other tests may have filled: each test uses a tenant of its own, but for the
// ones that drop whole days, which use days of their own.
func Run(t *testing.T, make func(t *testing.T) eventstore.Store) {
	s := &suite{Store: make(t)}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"values", testValues},
		{"times", testTimes},
		{"histogram", testHistogram},
		{"order and paging", testPaging},
		{"walk", testWalk},
		{"walk large", testWalkLarge},
		{"tenants", testTenants},
		{"present", testPresent},
		{"get", testGet},
		{"fields", testFields},
		{"many names", testManyNames},
		{"queries", testQueries},
		{"random queries", testRandomQueries},
		{"refusals", testRefusals},
		{"cancelled", testCancelled},
		{"large", testLarge},
		{"erase", testErase},
		{"erase matching", testEraseMatching},
		{"drop day", testDropDay},
		{"sync", testSync},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.tenant++
			test.run(t, s)
		})
	}
}

type suite struct {
	eventstore.Store
	tenant uint32
	seq    uint64
}

// base is a time in the middle of a day.
var base = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC).UnixNano()

const second = int64(time.Second)

// put numbers the events, appends and syncs them.
func (s *suite) put(t *testing.T, events ...event.Event) []event.Event {
	t.Helper()
	s.seq++
	for i := range events {
		e := &events[i]
		e.ID = event.ID{Partition: 3, Seq: s.seq, Index: uint32(i)}
		if e.Tenant == 0 {
			e.Tenant = s.tenant
		}
		if e.Time == 0 {
			e.Time = base + int64(i)*second
		}
		if e.Arrived == 0 {
			e.Arrived = base + 1_000_000*int64(i)
		}
	}
	if err := s.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return events
}

func (s *suite) search(t *testing.T, r eventstore.Request) *eventstore.Result {
	t.Helper()
	if r.Tenant == 0 {
		r.Tenant = s.tenant
	}
	if r.To == 0 {
		r.From, r.To = eventstore.MinTime, eventstore.MaxTime+1
	}
	res, err := s.Search(t.Context(), r)
	if err != nil {
		t.Fatalf("search %v: %v", r.Filter, err)
	}
	if res.Partial != "" {
		t.Fatalf("search %v: partial: %s", r.Filter, res.Partial)
	}
	return res
}

func parse(t *testing.T, q string) query.Node {
	t.Helper()
	n, err := query.Parse(q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return n
}

// fields makes an event of names and values.
func fields(raw string, pairs ...string) event.Event {
	e := event.Event{Raw: raw}
	for i := 0; i < len(pairs); i += 2 {
		e.Add(pairs[i], pairs[i+1])
	}
	return e
}

// stored is how an event comes back, by the port's words.
func stored(e event.Event) event.Event {
	e.Arrived -= e.Arrived % 1000
	if _, ok := e.Lookup(event.Message); ok && query.IsJSON(e.Raw) {
		e.Raw = ""
	}
	e.Fields = slices.Clone(e.Fields)
	slices.SortStableFunc(e.Fields, func(a, b event.Field) int { return strings.Compare(a.Name, b.Name) })
	return e
}

func equal(t *testing.T, got, want []event.Event) {
	t.Helper()
	for i := range want {
		want[i] = stored(want[i])
	}
	if len(got) != len(want) {
		t.Fatalf("got %d events, want %d", len(got), len(want))
	}
	for i := range want {
		if len(got[i].Fields) == 0 && len(want[i].Fields) == 0 {
			got[i].Fields, want[i].Fields = nil, nil
		}
		if diff := cmp.Diff(want[i], got[i]); diff != "" {
			t.Fatalf("event %d differs (-want +got):\n%.3000s", i, diff)
		}
	}
}

func reversed(events []event.Event) []event.Event {
	events = slices.Clone(events)
	slices.Reverse(events)
	return events
}

// awkward are values that engines like to change.
var awkward = []string{
	"3.10", "0.7", "0.563", "1000.00", "0.141", "1.5", "-0.5", "-0", "00", "007", "1_000", "1_0.5", "010.001.1.1", "10.1.1.1", "1.2.3.4", "256.1.1.1",
	"9223372036854775807", "18446744073709551615", "18446744073709551616", "123456789012345678901234567890", "9007199254740993", "-9223372036854775808",
	"0x1F", "1e5", "NaN", "Inf", "true", "null", "5m", "10KB", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.123456789Z", "2024-01-01",
	"", " ", "  two  ", "\x00", "a\x00b", "\x01", "a\x01", "\x02", "a\x02b", "\x03\x04", "\xff\xfe", "a\xffb", "\uFFFD", "ünïcode", "İSTANBUL", "ſ", "K", "한글 값", "日本語", "🙂",
	`"`, `\`, `a|b`, "`", "{}", "[1,2]", `{"a":"b"}`, "a=b", "*", "?", "%s", "tab\there", "line\nbreak", "\r\n", "' or 1=1", "<script>", "fe80::1", "2001:DB8::1", "::ffff:1.2.3.4", "C:\\Windows\\System32",
}

func testValues(t *testing.T, s *suite) {
	var events []event.Event
	for round := range 20 { // whole columns of one kind are what tempts an engine
		for i, v := range awkward {
			e := fields("raw text "+v, "v", v, fmt.Sprint("v", i), v, "source", "values")
			if round%2 == 1 {
				e = fields("", "v", v, "w", v, "w", "x", "w", "", event.Message, v)
			}
			e.Add(event.SrcPort, v)
			events = append(events, e)
		}
	}
	decimals := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		events = append(events, fields("", "d", fmt.Sprintf("%d.%0*d", decimals.IntN(1000), 1+decimals.IntN(6), decimals.IntN(100)), "n", fmt.Sprint(decimals.IntN(1e6)), "source", "decimals",
			"ip", fmt.Sprintf("%d.%03d.%d.%d", decimals.IntN(256), decimals.IntN(256), decimals.IntN(256), decimals.IntN(256))))
	}
	for i := range 200 { // what the engine takes for addresses and times, and prints as others
		events = append(events, fields("", "source", "shapes", "a", fmt.Sprintf("010.001.%d.%d", i, i%5), "b", fmt.Sprintf("10.1.%d.%dx", i, i%10),
			"c", fmt.Sprintf("2024-02-31T00:00:%02d.%03dZ", i%60, i), "d", fmt.Sprintf("2024-01-0xT00:00:%02d.%03dZ", i%60, i), "e", fmt.Sprintf("2024-01-01T00:00:%02d.%03dZ", i%60, i), "f", fmt.Sprintf("%d.", i), "g", fmt.Sprintf(".%d", i), "h", fmt.Sprintf("-%d", i), "i", fmt.Sprintf("0%d", i), "j", fmt.Sprintf("%d.%d.%d.%d", i, i, i, i)))
	}
	for _, name := range []string{
		"_time", "_stream", "_stream_id", "_msg", "_id", "_at", "_head", "_kind", "_over", "id", "raw", "timestamp", "", "*", "a*", "a b", "a:b", `q"q`, "한글", "a\x02", "\xff", "a.b.c", "fields.user", strings.Repeat("n", 128), strings.Repeat("n", 300), "_source",
	} {
		events = append(events, fields("reserved", name, "evil", "user", "u"), fields("", name, "", name, "2", "k", "v"))
	}
	events = append(events,
		fields("Apr 1 web sshd: hello there", event.Message, "hello there", "program", "sshd"),
		fields("sshd:hello there", event.Message, "hello there"),
		fields("hello there", event.Message, "hello there"), fields("hello there"), fields("hello", event.Message, "other"),
		fields("x one", event.Message, "one", event.Message, "two"), fields(`{"message":"m"}`, event.Message, "m", "k", "v"), fields(`{"k":"v"}`, "k", "v"),
		fields(`{"m":1}`, event.Message, "one", event.Message, "two"), fields("", event.Message, ""), fields("tail ", event.Message, ""), fields("", event.Message, "3.10"), fields("3.10"), fields("0.7 3.10", event.Message, "3.10"),
		fields(""),
	)
	events = s.put(t, events...)
	var got []event.Event
	for r := (eventstore.Request{Limit: 1000}); ; {
		res := s.search(t, r)
		got = append(got, res.Events...)
		if r.Cursor = res.Next; r.Cursor == "" {
			break
		}
	}
	equal(t, got, reversed(events))

	for _, v := range awkward {
		n := query.Equal{Field: query.NewField("v"), Value: v}
		want := 0
		for i := range events {
			if n.Match(&events[i]) {
				want++
			}
		}
		if res := s.search(t, eventstore.Request{Filter: n}); int(res.Total) != want {
			t.Errorf("v = %q: found %d, want %d", v, res.Total, want)
		}
	}
}

func testTimes(t *testing.T, s *suite) {
	var events []event.Event
	for _, year := range []int{1970, 1999, 2011, 2026, 2047, 2070} {
		e := fields(fmt.Sprint("year ", year))
		e.Time = time.Date(year, 1, 1, 0, 0, 1, 5, time.UTC).UnixNano()
		events = append(events, e)
	}
	events = s.put(t, events...)
	equal(t, s.search(t, eventstore.Request{Limit: 10}).Events, reversed(events))
	for _, e := range events {
		for _, r := range []struct {
			from, to int64
			want     uint64
		}{{e.Time, e.Time + 1, 1}, {e.Time - 1, e.Time, 0}, {e.Time + 1, e.Time + 2, 0}, {e.Time - 10, e.Time + 10, 1}, {e.Time, e.Time, 0}} {
			res := s.search(t, eventstore.Request{From: r.from, To: r.to, Limit: 5, Histogram: true})
			if res.Total != r.want || len(res.Events) != int(r.want) {
				t.Errorf("%d to %d: total %d and %d events, want %d", r.from, r.to, res.Total, len(res.Events), r.want)
			}
		}
	}
	s.put(t, event.Event{Time: -1, Raw: "before"}, event.Event{Time: 1 << 62, Raw: "after"})
	res := s.search(t, eventstore.Request{Filter: parse(t, "before OR after"), Limit: 10})
	if len(res.Events) != 2 || res.Events[0].Time != eventstore.MaxTime || res.Events[1].Time != eventstore.MinTime {
		t.Errorf("times out of range come back as %v", res.Events)
	}
}

func testHistogram(t *testing.T, s *suite) {
	random := rand.New(rand.NewPCG(3, 4))
	var events []event.Event
	for range 3000 {
		e := fields("h", "severity", append([]string{"none", ""}, event.Severities...)[random.IntN(7)])
		e.Time = base - random.Int64N(20*24*3600*second)
		events = append(events, e)
	}
	events = s.put(t, events...)
	for _, width := range []int64{24 * 3600 * second, 20 * 24 * 3600 * second, 3600 * second, 90 * 365 * 24 * 3600 * second / 100 * 50, 1234567, 100, 7 * second} {
		for _, q := range []string{"", "severity:high", "severity:nothing"} {
			from, to := base-width, base+1
			from = max(from, 0)
			res := s.search(t, eventstore.Request{From: from, To: to, Histogram: true, Filter: parse(t, q)})
			want := uint64(0)
			for i := range events {
				if e := &events[i]; e.Time >= from && e.Time < to && parse(t, q).Match(e) {
					want++
				}
			}
			sum := uint64(0)
			for i, b := range res.Buckets {
				if b.Time != res.Buckets[0].Time+int64(i)*res.Step || b.Time%res.Step != 0 {
					t.Fatalf("width %d: bucket %d begins at %d, step %d", width, i, b.Time, res.Step)
				}
				by := uint64(0)
				for _, n := range b.BySeverity {
					by += n
				}
				if by != b.Count {
					t.Errorf("bucket %d: severities add up to %d, not %d", i, by, b.Count)
				}
				sum += b.Count
			}
			if n := len(res.Buckets); n < 30 || n > 120 {
				t.Errorf("width %d: %d buckets", width, n)
			}
			if res.Total != want || sum != want {
				t.Errorf("width %d, %q: total %d, buckets %d, want %d", width, q, res.Total, sum, want)
			}
			if first, last := res.Buckets[0].Time, res.Buckets[len(res.Buckets)-1].Time; first > from || first+res.Step <= from || last >= to || last+res.Step < to {
				t.Errorf("width %d: buckets cover %d to %d, not %d to %d", width, first, last+res.Step, from, to)
			}
		}
	}
}

func testPaging(t *testing.T, s *suite) {
	random := rand.New(rand.NewPCG(5, 6))
	var events []event.Event
	for i := range 2500 / scale {
		e := fields(fmt.Sprint("p ", i), "k", fmt.Sprint(i%3), "r", fmt.Sprintf("%d.%d", i%7, i%11))
		e.Time = base - random.Int64N(40)*random.Int64N(40)*random.Int64N(2000)*second
		if i%5 == 0 {
			e.Time = base // many at one time
		}
		events = append(events, e)
	}
	events = s.put(t, events...)
	more := make([]event.Event, 50) // another partition at the same time
	for i := range more {
		more[i] = fields("q", "k", "1")
		more[i].ID = event.ID{Partition: 17, Seq: 9, Index: uint32(i)}
		more[i].Tenant, more[i].Time, more[i].Arrived = s.tenant, base, base
	}
	if err := s.Append(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	events = append(events, more...)
	slices.SortFunc(events, func(a, b event.Event) int {
		if a.Time != b.Time {
			return int(min(max(b.Time-a.Time, -1), 1))
		}
		return strings.Compare(b.ID.String(), a.ID.String())
	})
	for _, q := range []string{"", "k:1", "r:>=3.5", "p"} {
		n := parse(t, q)
		var want []event.Event
		for i := range events {
			if n.Match(&events[i]) {
				want = append(want, events[i])
			}
		}
		for _, limit := range []int{1, 7, 100, 999, 10000} {
			var got []event.Event
			r := eventstore.Request{Filter: n, Limit: limit, From: base - 100*24*3600*second, To: base + 1}
			pages := 0
			for {
				res := s.search(t, r)
				got = append(got, res.Events...)
				if len(res.Events) > limit {
					t.Fatalf("%q: %d events on a page of %d", q, len(res.Events), limit)
				}
				if !r.NoTotal && int(res.Total) != len(want) {
					t.Fatalf("%q: page %d: total %d, want %d", q, pages, res.Total, len(want))
				}
				pages++
				r.Cursor, r.NoTotal = res.Next, pages%2 == 1
				if res.Next == "" || limit == 1 && pages == 20 || limit == 7 && pages == 100 {
					break
				}
			}
			if limit < 10 {
				want := want[:min(len(want), len(got))]
				equal(t, got, slices.Clone(want))
				continue
			}
			equal(t, got, slices.Clone(want))
		}
	}
}

func testTenants(t *testing.T, s *suite) {
	mine := s.tenant
	s.tenant += 1000
	other := s.put(t, fields("secret", "user", "bob"))
	s.tenant = mine
	s.put(t, fields("open", "user", "bob"))
	for _, q := range []string{"", "user:bob", "secret", "NOT open", "secret OR open"} {
		for _, e := range s.search(t, eventstore.Request{Filter: parse(t, q), Limit: 10}).Events {
			if e.Raw != "open" {
				t.Errorf("%q found another tenant's %q", q, e.Raw)
			}
		}
	}
	if _, err := s.Get(t.Context(), mine, other[0].ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("another tenant's event: %v", err)
	}
	if found, err := s.Present(t.Context(), mine, 3, other[0].ID.Seq, 0, base*2); err != nil || len(found) != 0 {
		t.Errorf("another tenant's events are present: %v, %v", found, err)
	}
}

func testPresent(t *testing.T, s *suite) {
	s.seq += 5
	var events []event.Event
	for i := range 300 {
		e := fields("p")
		e.ID = event.ID{Partition: 3, Seq: 0x1000 + uint64(i%3), Index: uint32(i)}
		e.Tenant, e.Time, e.Arrived = s.tenant, base+int64(i)*second, base
		if i%2 == 0 {
			events = append(events, e)
		}
	}
	if err := s.Append(t.Context(), events); err != nil { // no Sync: Present sees it all the same
		t.Fatal(err)
	}
	for seq := uint64(0x1000); seq < 0x1004; seq++ {
		got, err := s.Present(t.Context(), s.tenant, 3, seq, base, base+298*second)
		if err != nil {
			t.Fatal(err)
		}
		want := map[uint32]struct{}{}
		for _, e := range events {
			if e.ID.Seq == seq {
				want[e.ID.Index] = struct{}{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sequence %x (-want +got):\n%s", seq, diff)
		}
	}
	if got, err := s.Present(t.Context(), s.tenant, 4, 0x1000, base, base+300*second); err != nil || len(got) != 0 {
		t.Errorf("another partition has %v, %v", got, err)
	}
}

func testGet(t *testing.T, s *suite) {
	events := s.put(t, fields("one", "user", "a"), fields("two", "user", "b"))
	for _, e := range events {
		got, err := s.Get(t.Context(), s.tenant, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, []event.Event{*got}, []event.Event{e})
	}
	if _, err := s.Get(t.Context(), s.tenant, event.ID{Partition: 9, Seq: 9, Index: 9}); !errors.Is(err, fault.NotFound) {
		t.Errorf("an event that is not there: %v", err)
	}
}

func testFields(t *testing.T, s *suite) {
	var events []event.Event
	for i := range 500 {
		e := fields(fmt.Sprint("raw ", i), "user", fmt.Sprint("u", i%7), "src_port", fmt.Sprint(1000+i%3), event.Message, fmt.Sprint("m", i%2), "ratio", fmt.Sprintf("0.%d", 560+i%5))
		if i%2 == 0 {
			e.Add(event.Tags, "even")
			e.Add(event.Tags, fmt.Sprint("t", i%4))
		}
		if i%10 == 0 {
			e.Add("_time", "evil")
		}
		events = append(events, e)
	}
	s.put(t, events...)
	oracle := &memory.Store{}
	if err := oracle.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	for _, r := range []eventstore.FieldsRequest{
		{},
		{Filter: parse(t, "user:u3")},
		{Filter: parse(t, "ratio:>0.5630")},
		{Names: []string{"user", "tags", "ratio", "message", "src_port", "_time", "nothing"}, Values: 10},
		{Names: []string{"user.name", "source.port"}, Values: 2, Filter: parse(t, "tags:even")},
		{Names: []string{"tags"}, Values: 5, Filter: parse(t, "ratio:[0.561 TO 0.563]")},
	} {
		r.Tenant, r.From, r.To = s.tenant, 0, eventstore.MaxTime
		got, err := s.Fields(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want, err := oracle.Fields(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v of %v (-want +got):\n%s", r.Names, r.Filter, diff)
		}
	}
}

func testManyNames(t *testing.T, s *suite) {
	var events []event.Event
	for i := range 400 { // a sender with random keys must not make others of its stream vanish
		e := fields(fmt.Sprint("event ", i), "source", "wild", "user", "u")
		for j := range 10 {
			e.Add(fmt.Sprintf("key%d", i*10+j), fmt.Sprint("Value", i))
		}
		events = append(events, e)
	}
	wide := fields("wide", "source", "wide")
	for i := range 3000 {
		wide.Add(fmt.Sprintf("wide%d", i), fmt.Sprint(i))
	}
	events = s.put(t, append(events, wide)...)
	equal(t, s.search(t, eventstore.Request{Limit: 1000}).Events, reversed(events))
	for q, want := range map[string]uint64{"key3999:value399": 1, "key3999:*": 1, "key5:value0": 1, "value399": 1, "wide2999:2999": 1, "wide2999:[2998 TO 2999]": 1, "NOT key3999:*": 400, "user:u": 400, "key3999:val*": 1, "key3999:/^V/": 1} {
		if res := s.search(t, eventstore.Request{Filter: parse(t, q), Limit: 1}); res.Total != want || len(res.Events) != int(min(want, 1)) {
			t.Errorf("%s: found %d, want %d", q, res.Total, want)
		}
	}
}

func testRefusals(t *testing.T, s *suite) {
	for _, r := range []eventstore.Request{{Limit: -1}, {Limit: eventstore.MaxLimit + 1}, {Cursor: "x"}, {Cursor: "1.e0-x"}, {NoTotal: true, Histogram: true}, {From: 2, To: 1}} {
		r.Tenant = s.tenant
		if _, err := s.Search(t.Context(), r); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if err := s.DropDay(t.Context(), "../x"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a day that is none: %v", err)
	}
}

func testCancelled(t *testing.T, s *suite) {
	events := make([]event.Event, 20000)
	for i := range events {
		events[i] = fields(fmt.Sprint("some longer text to look through ", i), "k", fmt.Sprint(i))
	}
	s.put(t, events...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := eventstore.Request{Tenant: s.tenant, From: 0, To: eventstore.MaxTime, Limit: 10, Histogram: true, Filter: parse(t, "/o.*o.*k.*9$/")}
	if res, err := s.Search(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled search returns %v, %v", res, err)
	}
	if err := s.Append(ctx, events[:1]); err == nil {
		t.Error("a cancelled append succeeds")
	}
	if err := s.Sync(ctx); err == nil {
		t.Error("a cancelled sync succeeds")
	}
	whole := s.search(t, r).Total
	for _, after := range []time.Duration{time.Microsecond, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		res, err := s.Search(ctx, r)
		cancel()
		if err == nil && res.Total != whole {
			t.Errorf("a search cut after %v returns %d of %d without an error", after, res.Total, whole)
		}
	}
}

func testLarge(t *testing.T, s *suite) {
	long := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	events := s.put(t,
		fields("head: "+long, event.Message, long, "user", "a"), fields(`{"message":"x"}`, event.Message, long),
		fields(`{"k":"`+long+`"}`, "k", long), fields("three", "a", long, "b", long, "c", long), fields("lists", "l", strings.Repeat("\x02", 1<<20), "l", "x"),
	)
	res := s.search(t, eventstore.Request{Limit: 10})
	if res.Total != 5 || len(res.Events) != 5 {
		t.Fatalf("total %d and %d events, want 5", res.Total, len(res.Events))
	}
	equal(t, res.Events[3:], reversed(events[:2]))
	for i, name := range map[int]string{2: "k", 1: "a", 0: "l"} {
		e := &res.Events[i]
		if name == "a" && e.Get(event.Tags) != event.TagFieldsCut {
			t.Errorf("event %d has the tags %q", i, e.Get(event.Tags))
		}
		if e.Get(name) == "" {
			t.Errorf("event %d lost its field %s", i, name)
		}
	}
	if got := res.Events[2].Get("k"); got != long {
		t.Errorf("a field of 1 MiB came back with %d bytes", len(got))
	}
}

func testErase(t *testing.T, s *suite) {
	var events []event.Event
	for i := range 1000 {
		e := fields(fmt.Sprint("e ", i))
		e.Arrived = base + int64(i)*second
		e.Time = base - int64(i)*second*60
		events = append(events, e)
	}
	s.put(t, events...)
	other := s.tenant + 2000
	mine := s.tenant
	s.tenant = other
	s.put(t, fields("other's"))
	s.tenant = mine
	n, err := s.Erase(t.Context(), mine, base+400*second)
	if err != nil || n != 400 {
		t.Errorf("erased %d, %v, want 400", n, err)
	}
	res := s.search(t, eventstore.Request{Limit: 1000})
	if res.Total != 600 || len(res.Events) != 600 {
		t.Errorf("%d are left, want 600", res.Total)
	}
	for _, e := range res.Events {
		if e.Arrived < base+400*second {
			t.Fatalf("%v is left", e.ID)
		}
	}
	if res := s.search(t, eventstore.Request{Tenant: other}); res.Total != 1 {
		t.Errorf("another tenant has %d left, want 1", res.Total)
	}
	if n, err := s.Erase(t.Context(), mine, base); err != nil || n != 0 {
		t.Errorf("erased %d, %v, want 0", n, err)
	}
}

func testDropDay(t *testing.T, s *suite) {
	at := time.Date(2001, 2, 3, 23, 59, 59, 999999999, time.UTC).UnixNano()
	one, two, three := fields("before"), fields("in"), fields("after")
	one.Time, two.Time, three.Time = at-24*3600*second, at, at+1
	events := s.put(t, one, two, three)
	u, err := s.Usage(t.Context())
	if err != nil || u.Rows < 3 || u.Bytes == 0 || !slices.Contains(u.Days, "20010203") || !slices.IsSorted(u.Days) {
		t.Errorf("usage is %+v, %v", u, err)
	}
	for range 2 {
		if err := s.DropDay(t.Context(), "20010203"); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, s.search(t, eventstore.Request{Limit: 10}).Events, []event.Event{events[2], events[0]})
	again := fields("again")
	again.Time = at
	s.put(t, again)
	if res := s.search(t, eventstore.Request{}); res.Total != 3 {
		t.Errorf("a dropped day takes no more events: %d, want 3", res.Total)
	}
}

func testSync(t *testing.T, s *suite) {
	epoch := s.Epoch()
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
			}
			e := fields("busy", "n", fmt.Sprint(n))
			e.ID = event.ID{Partition: 5, Seq: uint64(n), Index: 0}
			e.Tenant, e.Time, e.Arrived = s.tenant, base, base
			if err := s.Append(t.Context(), []event.Event{e}); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 5 {
		if err := s.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	n := <-done
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := s.search(t, eventstore.Request{}); int(res.Total) != n {
		t.Errorf("found %d of %d", res.Total, n)
	}
	if s.Epoch() != epoch {
		t.Error("the epoch changed without a restart")
	}
}
