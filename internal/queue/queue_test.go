package queue

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/kyra-mdr/kyra/internal/fault"
)

func open(t *testing.T, cfg Config, after map[int]uint64) (*Queue, func()) {
	t.Helper()
	q, err := Open(t.Context(), cfg, after, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			q.Close()
		})
	}
	t.Cleanup(stop)
	return q, stop
}

// collect reads until n records came.
func collect(t *testing.T, q *Queue, partition int, after uint64, n int) (records []string, last uint64) {
	t.Helper()
	codec, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	err = q.Consume(ctx, partition, after, func(m Message) error {
		chunks, err := codec.Decode(m.Payload)
		if err != nil {
			return err
		}
		next := uint32(0)
		for _, c := range chunks {
			if c.First != next {
				t.Errorf("message %d: chunk begins at %d, want %d", m.Seq, c.First, next)
			}
			next += uint32(len(c.Records))
			records = append(records, c.Records...)
		}
		last = m.Seq
		if len(records) >= n {
			return enough
		}
		return nil
	}, func() error { return nil })
	if !errors.Is(err, enough) {
		t.Fatalf("got %d of %d records: %v", len(records), n, err)
	}
	return records, last
}

func TestAppendSurvivesRestart(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Partitions: 2, MaxBytes: 64 << 20}
	q, stop := open(t, cfg, nil)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := q.Append(t.Context(), &Chunk{Tenant: 1, Input: "http", Arrived: 5, Records: []string{fmt.Sprint("a", i), fmt.Sprint("b", i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	p := q.Partition(1)
	stop()
	if err := q.Append(t.Context(), &Chunk{Tenant: 1, Records: []string{"late"}}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("append after stop: %v, want unavailable", err)
	}

	cfg.Partitions = 7 // must not move the tenants of an existing queue
	q, stop = open(t, cfg, nil)
	if q.Partitions() != 2 || q.Partition(1) != p {
		t.Errorf("partitions %d, tenant 1 at %d, was at %d", q.Partitions(), q.Partition(1), p)
	}
	records, last := collect(t, q, p, 0, 100)
	seen := map[string]bool{}
	for _, r := range records {
		seen[r] = true
	}
	if len(records) != 100 || len(seen) != 100 {
		t.Errorf("%d records, %d distinct, want 100", len(records), len(seen))
	}
	if err := q.Trim(t.Context(), p, last); err != nil {
		t.Fatal(err)
	}
	if n, _, err := q.Backlog(t.Context()); err != nil || n != 0 {
		t.Errorf("backlog after trim is %d, %v", n, err)
	}
	if got, err := q.LastSeq(t.Context(), p); err != nil || got != last {
		t.Errorf("last sequence after trim is %d, %v; want %d", got, err, last)
	}
	stop()
}

func TestLostQueueGoesOnBehindKnownSequence(t *testing.T) {
	q, stop := open(t, Config{Dir: t.TempDir(), Partitions: 1, MaxBytes: 64 << 20}, map[int]uint64{0: 41})
	if err := q.Append(t.Context(), &Chunk{Tenant: 1, Records: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	if _, last := collect(t, q, 0, 41, 1); last != 42 {
		t.Errorf("first message has sequence %d, want 42", last)
	}
	stop()
}

func TestFullQueueRefuses(t *testing.T) {
	q, _ := open(t, Config{Dir: t.TempDir(), Partitions: 1, MaxBytes: 64 << 10}, nil)
	big := make([]byte, 30<<10)
	for i := range big {
		big[i] = byte(i * i >> 3 * 7919 >> 2) // does not compress to nothing
	}
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		err = q.Append(t.Context(), &Chunk{Tenant: 1, Records: []string{string(big) + fmt.Sprint(i)}})
	}
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "full") {
		t.Errorf("err = %v, want unavailable: full", err)
	}
}

// A server that cannot hold what the queue may grow to is named, with what helps, and
// without the password.
func TestServerWithoutRoom(t *testing.T) {
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 20, NoSigs: true, NoLog: true,
		Username: "kyra", Password: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS is not ready")
	}
	address := strings.Replace(ns.ClientURL(), "nats://", "nats://kyra:secret@", 1)
	for _, c := range []struct{ url, want string }{{address, "max_file_store"}, {strings.Replace(address, "secret@", "secret2@", 1), "connect to the queue"}, {strings.Replace(address, "kyra:secret@", "secret@", 1), "connect to the queue"}} {
		_, err = Open(t.Context(), Config{URL: c.url, Partitions: 1, MaxBytes: 1 << 30}, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

func TestCodecRoundTrip(t *testing.T) {
	codec, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var want []Placed
		first := uint32(0)
		for range rapid.IntRange(0, 4).Draw(t, "chunks") {
			c := &Chunk{
				Tenant: rapid.Uint32().Draw(t, "tenant"), Input: rapid.String().Draw(t, "input"), Peer: rapid.String().Draw(t, "peer"),
				Source: rapid.String().Draw(t, "source"), Key: rapid.String().Draw(t, "key"), Arrived: rapid.Int64Min(0).Draw(t, "arrived"),
				Records: rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "records"),
			}
			if rapid.Bool().Draw(t, "cut") {
				c.Cut = []uint32{0}
			}
			if rapid.Bool().Draw(t, "numbered") {
				c.Origin, c.Number = rapid.StringN(1, 40, -1).Draw(t, "origin"), rapid.Uint64().Draw(t, "number")
			}
			if rapid.Bool().Draw(t, "read") {
				c.Stream = rapid.String().Draw(t, "stream")
			}
			if rapid.Bool().Draw(t, "named") {
				c.IDs = rapid.SliceOfN(rapid.String(), len(c.Records), len(c.Records)).Draw(t, "ids")
			}
			placed := Placed{Chunk: c, First: first}
			if rapid.Bool().Draw(t, "again") {
				placed.Again = rapid.SliceOfN(rapid.Uint32(), 1, 3).Draw(t, "indexes")
			}
			want = append(want, placed)
			first += uint32(len(c.Records))
		}
		got, err := codec.Decode(codec.Encode(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 && len(got) == 0 {
			return
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// payloadV1 is what a program of version 1 of the codec wrote.
func payloadV1(t testing.TB) []byte {
	t.Helper()
	payload, err := hex.DecodeString("0128b52ffd04006d030014060307008180a8bef694bfbd180a7379736c6f672d746370093139322e302e322e3400000102030700093c31333e6f6e653c31343e7468726565" +
		"0903820468747435056e67696e78056b65792d31000105474554202f0004837469636b0000000000031005c432eacebc0928db26a7da")
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestCodecReadsVersion1(t *testing.T) {
	codec, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.Decode(payloadV1(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []Placed{
		{Chunk: &Chunk{Tenant: 7, Input: "syslog-tcp", Peer: "192.0.2.4", Arrived: 1764000000000000001, Records: []string{"<13>one", "", "<14>three"}, Cut: []uint32{2}}, First: 0},
		{Chunk: &Chunk{Tenant: 9, Input: "http", Peer: "192.0.2.5", Source: "nginx", Key: "key-1", Arrived: 1764000000000000002, Records: []string{"GET /"}}, First: 3},
		{Chunk: &Chunk{Input: "tick", Arrived: 1764000000000000003, Records: []string{}}, First: 4},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAppendRefusesIDsThatDoNotFit(t *testing.T) {
	q, _ := open(t, Config{Dir: t.TempDir(), Partitions: 1, MaxBytes: 64 << 20}, nil)
	if err := q.Append(t.Context(), &Chunk{Tenant: 1, Records: []string{"a", "b"}, IDs: []string{"1"}}); err == nil {
		t.Error("a chunk of two records and one id was taken")
	}
}

func FuzzDecode(f *testing.F) {
	codec, err := NewCodec()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(codec.Encode(nil, []Placed{{Chunk: &Chunk{Tenant: 1, Input: "http", Records: []string{"a", "bc"}}, First: 0}}))
	f.Add(codec.Encode(nil, []Placed{{Chunk: &Chunk{Tenant: 1, Input: "collector", Origin: "c-1", Number: 1 << 20, Stream: "/var/log/a", Records: []string{"a", "bc"}, IDs: []string{"", "id"}}, First: 0}}))
	f.Add(payloadV1(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		chunks, err := codec.Decode(b)
		if err != nil {
			return
		}
		if _, err := codec.Decode(codec.Encode(nil, chunks)); err != nil {
			t.Errorf("what was decoded does not survive encoding: %v", err)
		}
	})
}

func TestConsumeTellsIdle(t *testing.T) {
	q, _ := open(t, Config{Dir: t.TempDir(), Partitions: 1, MaxBytes: 64 << 20}, nil)
	if err := q.Append(t.Context(), &Chunk{Tenant: 1, Records: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen, idle := 0, 0
	err := q.Consume(ctx, 0, 0, func(Message) error { seen++; return nil }, func() error {
		if idle++; idle == 1 {
			return q.Append(ctx, &Chunk{Tenant: 1, Records: []string{"y"}})
		}
		cancel()
		return nil
	})
	if err != nil || seen != 2 || idle != 2 {
		t.Errorf("err %v, %d messages, idle %d times; want 2 and 2", err, seen, idle)
	}
}
