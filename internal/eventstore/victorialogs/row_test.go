package victorialogs

import (
	"fmt"
	"testing"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"github.com/kyra-mdr/kyra/internal/event"
)

// TestRows: what the encoder writes is what the engine's own reader reads.
func TestRows(t *testing.T) {
	enc := newEncoder(1, "p")
	bufs := [][]byte{nil}
	ids := []event.ID{{}, {Partition: 65535, Seq: 1<<48 - 1, Index: 1<<32 - 1}, {Partition: 16, Seq: 0xabc, Index: 0xfffff}}
	for i, id := range ids {
		e := event.Event{ID: id, Tenant: 7, Time: int64(i+1) * 1e18, Arrived: 5e9, Raw: "head text"}
		for _, f := range [][2]string{{"message", "text"}, {"source", "s"}, {"program", "p"}, {"tags", "a"}, {"tags", "b"}, {"n", "3.10"}, {"_time", "x"}, {"src_port", "http"}} {
			e.Add(f[0], f[1])
		}
		enc.add(bufs, &e)
	}
	rest := bufs[0]
	var row logstorage.InsertRow
	for i, id := range ids {
		var err error
		if rest, err = row.UnmarshalInplace(rest); err != nil {
			t.Fatal(err)
		}
		if again := row.Marshal(nil); i == 0 && string(again) != string(bufs[0][:len(bufs[0])-len(rest)]) {
			t.Errorf("the row is %q, the engine writes %q", bufs[0][:len(bufs[0])-len(rest)], again)
		}
		if row.TenantID.AccountID != 7 || row.Timestamp != int64(i+1)*1e18 {
			t.Errorf("row %d: tenant %v, time %d", i, row.TenantID, row.Timestamp)
		}
		want := map[string]string{
			"_msg": "text", "_head": "head ", "_id": id.String(), "_at": "5000000", "source": "s", "program": "p", "tags\x02": "\x02a\x02b\x02",
			"n": "3.10" + mark, "_over": "\x02_time\x02x\x02", "src_port\x02": "\x02http\x02",
		}
		for _, f := range row.Fields {
			if v, ok := want[f.Name]; !ok || v != f.Value {
				t.Errorf("row %d: column %q is %q, want %q", i, f.Name, f.Value, v)
			}
			delete(want, f.Name)
		}
		if len(want) > 0 {
			t.Errorf("row %d lacks %v", i, want)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestStreamsAreBounded(t *testing.T) {
	enc := newEncoder(1, "p")
	bufs := [][]byte{nil}
	tags := map[string]bool{}
	for i := range 3 * maxStreams {
		e := event.Event{Tenant: 1}
		e.Add("source", "s")
		e.Add("program", fmt.Sprint("p", i))
		enc.add(bufs, &e)
		tags[string(enc.last.shared)] = true
	}
	if len(tags) > maxStreams+1 {
		t.Errorf("%d streams", len(tags))
	}
}

func FuzzMark(f *testing.F) {
	for _, s := range []string{"", "3.10", "0.7", "010.1.1.1", "1.1.1.1x", "-0", "\x01", "a\x01\x01", "2024-02-31T00:00:00.000Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := Unmark(Mark(s)); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
		list := append(appendElement(appendElement(nil, s), "x"), listMark)
		if got := splitList(string(list)); len(got) != 2 || got[0] != s || got[1] != "x" {
			t.Errorf("a list of %q comes back as %q", s, got)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	enc := newEncoder(1, "p")
	e := event.Event{Tenant: 1, Time: 1e18, Arrived: 1e18, Raw: "Mar 14 12:00:00 web-01 sshd[123]: Failed password for root from 203.0.113.7 port 4022 ssh2"}
	for _, f := range [][2]string{{"source", "sshd"}, {"program", "sshd"}, {"host", "web-01"}, {"pid", "123"}, {"severity", "medium"}, {"message", e.Raw[34:]}, {"category", "authentication"}, {"action", "login"}, {"outcome", "failure"}, {"user", "root"}, {"src_ip", "203.0.113.7"}, {"src_port", "4022"}, {"time_quality", "exact"}, {"peer_ip", "10.0.0.5"}} {
		e.Add(f[0], f[1])
	}
	bufs := [][]byte{make([]byte, 0, batchBytes)}
	b.ReportAllocs()
	for b.Loop() {
		enc.add(bufs, &e)
		if len(bufs[0]) > batchBytes/2 {
			bufs[0] = bufs[0][:0]
		}
	}
}
