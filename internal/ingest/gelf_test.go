package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kyra-mdr/kyra/internal/framing"
)

func listenGELF(t *testing.T, s *sink) (g *Gate, udp, tcp net.Conn, stop func()) {
	t.Helper()
	g = New(Config{Append: s.Append, Log: testLog(t)})
	server, err := g.ListenGELF(t.Context(), GELFConfig{
		UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Tenant: func() Tenant { return Tenant{Number: 3} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	if udp, err = net.Dial("udp", server.UDPAddr().String()); err != nil {
		t.Fatal(err)
	}
	if tcp, err = net.Dial("tcp", server.TCPAddr().String()); err != nil {
		t.Fatal(err)
	}
	return g, udp, tcp, stop
}

// chunksOf cuts a message into n chunks.
func chunksOf(id uint64, message []byte, n int) [][]byte {
	var all [][]byte
	size := (len(message) + n - 1) / n
	for part := range slices.Chunk(message, size) {
		chunk := binary.BigEndian.AppendUint64([]byte{0x1e, 0x0f}, id)
		all = append(all, append(append(chunk, byte(len(all)), byte(n)), part...))
	}
	return all
}

func gelf(text string) string {
	return fmt.Sprintf(`{"version":"1.1","host":"web1","short_message":%q}`, text)
}

func TestGELFUDP(t *testing.T) {
	t.Parallel()
	s := newSink()
	g, udp, _, stop := listenGELF(t, s)
	long := gelf(strings.Repeat("long ", 10_000))
	sent := [][]byte{[]byte(gelf("plain")), gzipped([]byte(gelf("gzip"))), zlibbed([]byte(gelf("zlib")))}
	backwards := chunksOf(1, []byte(long), 100)
	slices.Reverse(backwards)
	sent = append(sent, backwards...)
	sent = append(sent, backwards[5]) // a chunk that is doubled late makes nothing
	sent = append(sent, chunksOf(2, gzipped([]byte(gelf("both"))), 3)...)
	sent = append(sent, []byte("\x1f\x8bbroken"), []byte("\x1e\x0fshort"))
	for _, d := range sent {
		send(t, udp, string(d))
	}
	want := []string{gelf("plain"), gelf("gzip"), gelf("zlib"), long, gelf("both")}
	if diff := cmp.Diff(want, s.await(t, 5)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c := s.taken()[0]; c.Input != "gelf-udp" || c.Tenant != 3 || c.Peer != "127.0.0.1" {
		t.Errorf("chunk %+v", c)
	}
	stop()
	want2 := map[string]int64{"unreadable": 1, "chunk_invalid": 1, "chunks_missing": 1}
	if diff := cmp.Diff(want2, statsOf(g, "gelf-udp").Dropped); diff != "" {
		t.Errorf("dropped (-want +got)\n%s", diff)
	}
}

func TestGELFTCP(t *testing.T) {
	t.Parallel()
	s := newSink()
	g, _, tcp, _ := listenGELF(t, s)
	long := strings.Repeat("x", 3<<20)
	send(t, tcp, gelf("a")+"\x00\x00"+gelf("b")+"\n\x00"+long+"\x00"+gelf("c")+"\x00"+"{\n}\x00"+gelf("unfinished"))
	_ = tcp.Close()
	got := s.await(t, 6)
	want := []string{gelf("a"), gelf("b"), long[:framing.MaxRecord], gelf("c"), "{\n}", gelf("unfinished")}
	if !slices.Equal(got, want) {
		t.Errorf("%d records", len(got))
	}
	if st := countedOf(t, g, "gelf-tcp", 6); st.Cut != 1 || s.taken()[0].Input != "gelf-tcp" {
		t.Errorf("stats %+v", st)
	}
}

func TestGELFJoinerBounds(t *testing.T) {
	t.Parallel()
	lost := map[string]int{}
	j := &gelfJoiner{lost: func(reason string) { lost[reason]++ }}
	now := time.Now()
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	piece := append(slices.Clone(chunksOf(0, make([]byte, 128), 128)[0]), make([]byte, 60_000)...)
	fill := func(from netip.Addr, n int) {
		for i := range n {
			binary.BigEndian.PutUint64(piece[2:], uint64(i))
			if m, _ := j.join(from, piece, now); m != nil {
				t.Fatal("a message came of it")
			}
		}
	}
	fill(address(0), 1000)
	if j.held > gelfMaxSender || j.held < gelfMaxSender/2 || lost["chunk_memory"] == 0 {
		t.Errorf("one sender holds %d, lost %v", j.held, lost)
	}
	for i := range 100 {
		fill(address(i), 50)
	}
	if j.held > gelfMaxAll || j.held < gelfMaxAll/2 {
		t.Errorf("all hold %d", j.held)
	}
	// Time gives back everything, and another sender gets on.
	now = now.Add(gelfPatience)
	if m, _ := j.join(address(7), []byte(gelf("next")), now); string(m) != gelf("next") {
		t.Errorf("got %q", m)
	}
	if j.held != 0 || len(j.senders) != 0 || len(j.open) != 0 || j.order.Len() != 0 || lost["chunks_missing"] == 0 {
		t.Errorf("%d bytes of %d senders, lost %v", j.held, len(j.senders), lost)
	}
	// A packed message that grows without end is cut.
	m, cut := j.join(address(1), gzipped([]byte(strings.Repeat("0", 50<<20))), now)
	if len(m) != framing.MaxRecord || !cut {
		t.Errorf("%d bytes, cut %v", len(m), cut)
	}
}

func checkGELF(t *testing.T, text []byte, n uint8) {
	t.Helper()
	from, now := netip.MustParseAddr("10.0.0.1"), time.Now()
	j := &gelfJoiner{lost: func(string) {}}
	alone, cut := j.join(from, text, now)
	alone = bytes.Clone(alone)
	if len(alone) > framing.MaxRecord {
		t.Fatalf("%d bytes", len(alone))
	}
	isChunk := bytes.HasPrefix(text, []byte{0x1e, 0x0f})
	if n := min(int(n), len(text), gelfMaxChunks); n > 0 && !isChunk && len(chunksOf(1, text, n)) == n {
		var whole []byte
		var wholeCut bool
		for _, chunk := range chunksOf(1, text, n) {
			whole, wholeCut = j.join(from, chunk, now)
		}
		if !bytes.Equal(alone, whole) || cut != wholeCut {
			t.Fatalf("alone %q, in %d chunks %q", alone, n, whole)
		}
	}
	j.expire(now.Add(gelfPatience))
	if j.held != 0 || len(j.open) != 0 || len(j.senders) != 0 {
		t.Fatalf("%d bytes are held", j.held)
	}
	// The framer gives the same however the stream is cut.
	read := func(step int) (all []string) {
		f := new(gelfFramer)
		for part := range slices.Chunk(text, step) {
			f.Filled(copy(f.Space(), part))
			for m, _, ok := f.Next(); ok; m, _, ok = f.Next() {
				all = append(all, string(m))
			}
		}
		f.Close()
		for m, _, ok := f.Next(); ok; m, _, ok = f.Next() {
			all = append(all, string(m))
		}
		return all
	}
	if diff := cmp.Diff(read(1+int(n)), read(4096)); diff != "" {
		t.Fatal(diff)
	}
}
