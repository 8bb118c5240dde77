package ingest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/source"
)

func records(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = prefix + strings.Repeat("x", i%7)
	}
	return all
}

func TestBatches(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	arrived := d.now().Add(-time.Hour).UnixNano()
	first := &protocol.Batch{Seq: 3, Chunks: []protocol.Chunk{
		{Input: "file", Peer: "/var/log/auth.log", Arrived: arrived, Records: []string{"one", "two"}, Cut: []uint32{1}},
		{Input: "syslog-udp", Source: "Cisco.ASA", Peer: "192.0.2.9:514", Host: "fw", Arrived: d.now().Add(time.Hour).UnixNano(), Records: []string{"three"}},
		{Input: "bad name", Source: "no name", Peer: "", Host: "db-1", Arrived: 1, Records: []string{strings.Repeat("y", 1<<20), "", strings.Repeat("z", 10)}},
		{},
	}}
	for range 3 {
		if ack, status, _, problem := a.send(first); status != http.StatusOK || ack != 3 {
			t.Fatalf("batch 3: ack %d, %d %+v", ack, status, problem)
		}
	}
	if d.appends != 4 {
		t.Errorf("%d appends: a resend is answered from memory", d.appends)
	}
	if ack, status, _, _ := a.send(&protocol.Batch{Seq: 2, Chunks: []protocol.Chunk{{Records: []string{"late"}}}}); status != http.StatusOK || ack != 3 {
		t.Errorf("an older batch: ack %d, %d", ack, status)
	}
	d.mu.Lock()
	kept := d.kept
	d.mu.Unlock()
	now := d.now().UnixNano()
	for i, want := range []queue.Chunk{
		{Input: "collector-file", Peer: "web-01", Stream: "/var/log/auth.log", Arrived: arrived, Cut: []uint32{1}},
		{Input: "collector-syslog-udp", Source: "cisco.asa", Peer: "192.0.2.9", Arrived: now},
		{Input: "collector", Peer: "db-1", Arrived: now},
		{Input: "collector", Peer: "db-1", Arrived: now},
	} {
		got := kept[i]
		if got.Tenant != d.tenant || got.Key != a.id || got.Origin != a.id || got.Number != 3<<16|uint64(i) {
			t.Errorf("chunk %d is %d of %s", i, got.Number, got.Origin)
		}
		if got.Input != want.Input || got.Peer != want.Peer || got.Stream != want.Stream || got.Source != want.Source || got.Arrived != want.Arrived || len(got.Cut) != len(want.Cut) {
			t.Errorf("chunk %d is %+v, want %+v", i, got, want)
		}
	}
	if ack, status, _, _ := a.send(&protocol.Batch{Seq: 4}); status != http.StatusOK || ack != 4 {
		t.Errorf("an empty batch: ack %d, %d", ack, status)
	}
	for name, body := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "torn": {1, 2, 3}} {
		if status, _, problem, err := a.post(protocol.PathBatch, body, nil); err != nil || status != http.StatusBadRequest {
			t.Errorf("%s: %d %+v %v", name, status, problem, err)
		}
	}
	if status, _, problem, err := a.post(protocol.PathBatch, make([]byte, protocol.MaxPacked+1), nil); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %+v %v", status, problem, err)
	}
	if _, status, _, _ := a.send(&protocol.Batch{Seq: maxSeq + 1}); status != http.StatusBadRequest {
		t.Errorf("a number out of bounds: %d", status)
	}
}

func TestBatchIsCutTheSameEachTime(t *testing.T) {
	t.Parallel()
	b := &protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 12_000)}, {Records: records(strings.Repeat("b", 900), 2_000)}}}
	caller := &fleet.Caller{ID: "c", Tenant: 1}
	first := numbered(caller, b, time.Unix(2, 0))
	again := numbered(caller, b, time.Unix(9999, 0))
	total := 0
	for i := range first {
		if first[i].Number != again[i].Number || len(first[i].Records) != len(again[i].Records) {
			t.Errorf("chunk %d differs", i)
		}
		total += len(first[i].Records)
	}
	if len(first) != len(again) || len(first) < 6 || total != 14_000 {
		t.Errorf("%d and %d chunks of %d records", len(first), len(again), total)
	}
}

// A batch that the queue takes half of, a server that dies, and a resend through the
// next one: every record is an event once.
func TestExactlyOnceAcrossRestarts(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	var want []string
	batchOf := func(seq uint64) *protocol.Batch {
		b := &protocol.Batch{Seq: seq, Chunks: []protocol.Chunk{{Input: "file", Records: records("a", 6000)}, {Input: "file", Records: records("b", 10)}}}
		return b
	}
	for seq := uint64(1); seq <= 6; seq++ {
		b := batchOf(seq)
		for _, ch := range b.Chunks {
			want = append(want, ch.Records...)
		}
		d.mu.Lock()
		at := d.appends
		switch seq {
		case 2: // the queue is full half way
			d.refuse = func(n int) error {
				if n == at+2 {
					return fault.New(fault.Unavailable, "full")
				}
				return nil
			}
		case 4: // the queue has it, and nobody learns
			d.refuse = func(n int) error {
				if n == at+3 {
					d.kept = append(d.kept, *numbered(&fleet.Caller{ID: a.id, Tenant: d.tenant}, b, d.clock)[2])
					return context.DeadlineExceeded
				}
				return nil
			}
		default:
			d.refuse = nil
		}
		d.mu.Unlock()
		ack, status, header, _ := a.send(b)
		if seq == 2 || seq == 4 {
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("batch %d: %d", seq, status)
			}
			d.restart(a)
			ack, status, _, _ = a.send(b)
		}
		if status != http.StatusOK || ack != seq {
			t.Errorf("batch %d: ack %d, %d", seq, ack, status)
		}
		if seq == 5 { // acknowledged, and the answer is lost
			if err := d.fleet.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.restart(a)
			before := d.appends
			if ack, status, _, _ := a.send(b); status != http.StatusOK || ack != 5 || d.appends != before {
				t.Errorf("batch 5 again: ack %d, %d, %d appends more", ack, status, d.appends-before)
			}
		}
	}
	got := d.events()
	if len(got) != len(want) {
		t.Fatalf("%d events of %d records", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("event %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// restart ends the server and starts another one.
func (d *depot) restart(agents ...*agent) {
	d.t.Helper()
	d.stop()
	d.start(nil)
	for _, a := range agents {
		a.connect()
	}
}

func TestCollectorQuota(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	d.quota = 50
	a := d.enrolled()
	// More than the bucket holds: taken whole, and paid for afterwards.
	if _, status, _, problem := a.send(&protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 1000)}}}); status != http.StatusOK {
		t.Fatalf("the first batch: %d %+v", status, problem)
	}
	_, status, header, problem := a.send(&protocol.Batch{Seq: 2, Chunks: []protocol.Chunk{{Records: records("a", 1)}}})
	if status != http.StatusTooManyRequests || problem.Code != "quota" || header.Get("Retry-After") == "" || header.Get("Retry-After") < "1" {
		t.Errorf("in debt: %d %+v, retry after %q", status, problem, header.Get("Retry-After"))
	}
	if n, wait := d.door.gate.quotas.take(Tenant{d.tenant, 50}, 5); n != 0 || wait <= 0 {
		t.Errorf("other doors are granted %d, wait %v", n, wait)
	}
	if len(d.events()) != 1000 {
		t.Errorf("%d events", len(d.events()))
	}
}

func TestOneBatchAtATime(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	b := &protocol.Batch{Seq: 1, Chunks: []protocol.Chunk{{Records: records("a", 100)}}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if ack, status, _, problem := a.send(b); status != http.StatusOK || ack != 1 {
				t.Errorf("ack %d, %d %+v", ack, status, problem)
			}
		})
	}
	all.Wait()
	if d.appends != 1 {
		t.Errorf("%d appends of one batch", d.appends)
	}
}

func TestHeartbeatCarriesConfiguration(t *testing.T) {
	t.Parallel()
	d := newDepot(t, nil)
	a := d.enrolled()
	files := map[string]string{"sources.d/web.yaml": "source: {type: file}\n"}
	if err := d.fleet.SetDesired(t.Context(), d.tenant, "key:admin", a.id, files, 0); err != nil {
		t.Fatal(err)
	}
	var out protocol.HeartbeatResponse
	beat := protocol.Heartbeat{
		Hostname: "web-02", OSFamily: "linux", Version: "2", Clock: d.now().Add(3 * time.Second).UnixNano(), SpoolRecords: 5,
		Sources: []protocol.SourceReport{{Name: "web", Type: "file", Records: 7, Dropped: 1, Filtered: 2, Rate: 1.5}},
	}
	if status, _, problem, err := a.post(protocol.PathHeartbeat, beat, &out); err != nil || status != http.StatusOK {
		t.Fatalf("%d %+v %v", status, problem, err)
	}
	if out.Config == nil || out.Config.Revision != "1" || out.Config.Files["sources.d/web.yaml"] != files["sources.d/web.yaml"] || out.IntervalSeconds != 15 || out.ServerTime == 0 || out.Renew {
		t.Errorf("answer: %+v", out)
	}
	beat.ConfigRevision = "1"
	out = protocol.HeartbeatResponse{}
	if _, _, _, err := a.post(protocol.PathHeartbeat, beat, &out); err != nil || out.Config != nil {
		t.Errorf("it has it: %+v %v", out.Config, err)
	}
	if err := d.fleet.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := d.fleet.Member(t.Context(), d.tenant, a.id)
	if err != nil || m.Hostname != "web-02" || m.Report.ClockOffset != 3*time.Second || m.Report.Address != "127.0.0.1" || m.Report.ConfigRevision != "1" ||
		m.Report.Sources[0].Records != 7 || m.Report.Sources[0].Dropped != 1 || m.Report.Sources[0].Filtered != 2 || m.Report.SpoolRecords != 5 {
		t.Errorf("%+v %+v %v", m, m.Report, err)
	}
	if status, _, problem, err := a.post(protocol.PathHeartbeat, []byte("{"), nil); err != nil || status != http.StatusBadRequest {
		t.Errorf("broken JSON: %d %+v %v", status, problem, err)
	}
	if status, _, _, err := a.post(protocol.PathHeartbeat, make([]byte, protocol.MaxMessage+1), nil); err == nil && status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %v", status, err)
	}
}

// The domain and the wire agree on when a collector is gone.
func TestOfflineAfter(t *testing.T) {
	t.Parallel()
	if source.OfflineAfter != 45*time.Second || source.BeatEvery != 15*time.Second {
		t.Errorf("offline after %v, a beat every %v", source.OfflineAfter, source.BeatEvery)
	}
}
