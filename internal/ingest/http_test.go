package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// serve starts a real HTTP server with one gate behind it.
func serve(t *testing.T, cfg Config, s *sink, rate int) (url string, g *Gate) {
	t.Helper()
	cfg.Append, cfg.Log = s.Append, testLog(t)
	g = New(cfg)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.HTTP(w, r, Caller{Tenant: Tenant{Number: 7, EventsPerSecond: rate}, Key: "key-1"})
	}))
	t.Cleanup(server.Close)
	return server.URL, g
}

// reply is any answer of the door.
type reply struct {
	Code     int
	Header   http.Header
	Error    string
	Message  string
	Status   int
	Accepted int
	Rejected int
	Errors   []note
	Offset   int64
}

func post(t *testing.T, url, encoding string, body io.Reader) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as HEC clients do
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{Code: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if !bytes.Contains(data, []byte(`"errors":[`)) {
		t.Errorf("errors is no array: %s", data)
	}
	if got.Code != http.StatusOK && (got.Status != got.Code || got.Error == "" || got.Message == "") {
		t.Errorf("not the API's error: %d %s", got.Code, data)
	}
	return got
}

func gzipped(in []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(in)
	_ = w.Close()
	return b.Bytes()
}

func zstded(in []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(in, nil)
}

func zlibbed(in []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(in)
	_ = w.Close()
	return b.Bytes()
}

func deflated(in []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 5)
	_, _ = w.Write(in)
	_ = w.Close()
	return b.Bytes()
}

func TestHTTPForms(t *testing.T) {
	t.Parallel()
	plain := []byte("{\"a\":1}\n{\"b\":\nplain\n{\"c\":3}")
	want := []string{`{"a":1}`, `{"b":`, "plain", `{"c":3}`}
	for _, tt := range []struct {
		name, encoding string
		body           []byte
	}{
		{"plain", "", plain},
		{"identity", "identity", plain},
		{"gzip", "gzip", gzipped(plain)},
		{"gzip unsaid", "", gzipped(plain)},
		{"gzip in parts", "gzip", append(gzipped(plain[:10]), gzipped(plain[10:])...)},
		{"zstd", "zstd", zstded(plain)},
		{"zstd unsaid", "", zstded(plain)},
		{"zlib", "deflate", zlibbed(plain)},
		{"bare deflate", "deflate", deflated(plain)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			url, g := serve(t, Config{}, s, 0)
			got := post(t, url+"?source=NginX", tt.encoding, bytes.NewReader(tt.body))
			if got.Code != 200 || got.Accepted != 4 || got.Rejected != 0 {
				t.Errorf("answered %+v", got)
			}
			if len(got.Errors) != 1 || got.Errors[0].Index != 1 || got.Errors[0].Line != 2 || got.Errors[0].Error == "" {
				t.Errorf("errors %+v", got.Errors)
			}
			if diff := cmp.Diff(want, s.records()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			c := s.taken()[0]
			if c.Tenant != 7 || c.Input != "http" || c.Source != "nginx" || c.Key != "key-1" || c.Peer != "127.0.0.1" {
				t.Errorf("chunk %+v", c)
			}
			if age := time.Since(time.Unix(0, c.Arrived)); age < 0 || age > time.Minute {
				t.Errorf("arrived %v ago", age)
			}
			if st := statsOf(g, "http"); st.Records != 4 || st.Bytes != 24 || st.Open != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestHTTPLinesType(t *testing.T) {
	t.Parallel()
	s := newSink()
	url, _ := serve(t, Config{}, s, 0)
	resp, err := http.Post(url, framing.LinesType, strings.NewReader("{\"a\":1}{\"b\":2}\n{\n[\"x\"]\n")) //nolint:noctx // test
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if diff := cmp.Diff([]string{`{"a":1}{"b":2}`, "{", `["x"]`}, s.records()); diff != "" || resp.StatusCode != 200 {
		t.Errorf("%d (-want +got)\n%s", resp.StatusCode, diff)
	}
}

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	bomb := gzipped(bytes.Repeat([]byte("x\n"), 4<<20))
	for _, tt := range []struct {
		name, query, encoding string
		body                  []byte
		code, accepted        int
	}{
		{"empty", "", "", nil, 400, 0},
		{"blank", "", "", []byte(" \n\r\n\t"), 400, 0},
		{"empty gzip", "", "gzip", gzipped(nil), 400, 0},
		{"nothing as gzip", "", "gzip", nil, 400, 0},
		{"not gzip", "", "gzip", []byte("hello\n"), 400, 0},
		{"not zstd", "", "zstd", []byte("hello world\n"), 400, 0},
		{"cut gzip", "", "gzip", gzipped([]byte("hello\nworld\n"))[:22], 400, 1},
		{"unknown encoding", "", "br", []byte("hello\n"), 415, 0},
		{"two encodings", "", "gzip, gzip", []byte("hello\n"), 415, 0},
		{"unknown parameter", "?souce=x", "", []byte("hello\n"), 400, 0},
		{"bad source", "?source=a/b", "", []byte("hello\n"), 400, 0},
		{"two sources", "?source=a&source=b", "", []byte("hello\n"), 400, 0},
		{"long source", "?source=" + strings.Repeat("a", 65), "", []byte("hello\n"), 400, 0},
		{"refused source", "?source=nonsense", "", []byte("hello\n"), 400, 0},
		{"too large", "", "", bytes.Repeat([]byte("0123456789abcde\n"), 65537), 413, 0},
		{"bomb", "", "gzip", bomb, 413, 524_288},
		{"bomb, zstd", "", "", zstded(bytes.Repeat([]byte("x\n"), 4<<20)), 413, 524_288},
		{"empty array", "", "", []byte("[]"), 200, 0},
		{"open array", "", "", []byte(`[{"a":1}`), 200, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			url, g := serve(t, Config{MaxBody: 1 << 20, CheckSource: func(name string) error {
				if name == "nonsense" {
					return fault.New(fault.Invalid, "Allowed: linux, nginx")
				}
				return nil
			}}, s, 0)
			got := post(t, url+tt.query, tt.encoding, bytes.NewReader(tt.body))
			if got.Code != tt.code || got.Accepted != tt.accepted || len(s.records()) != tt.accepted {
				t.Errorf("answered %+v and kept %d", got, len(s.records()))
			}
			if tt.code == 413 && tt.accepted > 0 && got.Offset != 1<<20-1 {
				t.Errorf("offset %d", got.Offset)
			}
			if st := statsOf(g, "http"); st.Open != 0 || st.Records != int64(tt.accepted) {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestHTTPCutsLongEvents(t *testing.T) {
	t.Parallel()
	s := newSink()
	url, _ := serve(t, Config{}, s, 0)
	body := "first\n" + strings.Repeat("y", 10<<20) + "\nlast\n"
	got := post(t, url, "", strings.NewReader(body))
	if got.Code != 200 || got.Accepted != 3 || len(got.Errors) != 1 || got.Errors[0].Index != 1 {
		t.Errorf("answered %+v", got)
	}
	var cut []string
	for _, c := range s.taken() {
		for _, i := range c.Cut {
			cut = append(cut, c.Records[i])
		}
	}
	if len(cut) != 1 || cut[0] != body[6:6+framing.MaxRecord] {
		t.Errorf("%d cut records", len(cut))
	}
	if got := s.records(); len(got) != 3 || got[2] != "last" {
		t.Errorf("%d records", len(got))
	}
}

func TestHTTPChunks(t *testing.T) {
	t.Parallel()
	s := newSink()
	url, _ := serve(t, Config{}, s, 0)
	var body bytes.Buffer
	for i := range 12_001 {
		fmt.Fprintf(&body, "{\"n\":%d,\"pad\":\"%s\"}\n", i, strings.Repeat("p", i%700))
	}
	want := strings.Split(strings.TrimSuffix(body.String(), "\n"), "\n")
	if got := post(t, url, "zstd", bytes.NewReader(zstded(body.Bytes()))); got.Code != 200 || got.Accepted != 12_001 {
		t.Errorf("answered %+v", got)
	}
	if diff := cmp.Diff(want, s.records()); diff != "" {
		t.Error("records differ or are out of order")
	}
	for _, c := range s.taken() {
		size := 0
		for _, r := range c.Records {
			size += len(r)
		}
		if size > maxChunkBytes || len(c.Records) > maxChunkRecords {
			t.Errorf("chunk of %d records and %d bytes", len(c.Records), size)
		}
	}
}

// A body that may begin is taken whole; the next one waits for what the tenant then
// owes, and none of it is kept before.
func TestHTTPQuota(t *testing.T) {
	t.Parallel()
	s := newSink()
	url, g := serve(t, Config{}, s, 2000)
	var body strings.Builder
	for i := range 8000 { // more than a chunk
		fmt.Fprintf(&body, "line %d\n", i)
	}
	if got := post(t, url, "", strings.NewReader(body.String())); got.Code != http.StatusOK || got.Accepted != 8000 {
		t.Fatalf("answered %+v", got)
	}
	got := post(t, url, "", strings.NewReader(body.String())) // 4000 are owed
	if got.Code != http.StatusTooManyRequests || got.Accepted != 0 || got.Offset != 0 || got.Header.Get("Retry-After") != "2" {
		t.Fatalf("over quota: answered %+v", got)
	}
	if len(s.records()) != 8000 {
		t.Errorf("kept %d", len(s.records()))
	}
	if st := statsOf(g, "http"); st.Rejected["quota"] == 0 || st.Records != 8000 {
		t.Errorf("stats %+v", st)
	}
	sleep(t.Context(), 2*time.Second)
	if got := post(t, url, "", strings.NewReader("x\n")); got.Code != http.StatusOK {
		t.Errorf("after the time in Retry-After: %+v", got)
	}
}

func TestHTTPQueueFull(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err         error
		code, after int
		retry       string
	}{
		{errFull, 503, 0, "5"},
		{errFull, 503, 2, "5"},
		{fmt.Errorf("publish: %w", errFull), 503, 1, "5"},
		{io.ErrUnexpectedEOF, 500, 1, ""},
	} {
		s := newSink()
		s.err, s.after = tt.err, tt.after
		url, g := serve(t, Config{}, s, 1_000_000)
		body := strings.Repeat("0123456789\n", 20_000)
		got := post(t, url, "", strings.NewReader(body))
		kept := tt.after * maxChunkRecords
		if got.Code != tt.code || got.Accepted != kept || got.Offset != int64(max(kept*11-1, 0)) || got.Header.Get("Retry-After") != tt.retry {
			t.Errorf("%v after %d: answered %+v", tt.err, tt.after, got)
		}
		if strings.Contains(got.Message, "EOF") {
			t.Errorf("the cause leaks: %q", got.Message)
		}
		// What was not kept does not count against the quota.
		if granted, _ := g.quotas.take(Tenant{7, 1_000_000}, 2_000_000); granted < 2_000_000-kept {
			t.Errorf("%d of the quota are left", granted)
		}
	}
}

// A queue that cannot hold a whole chunk in one message gets it in parts.
func TestHTTPSmallQueueMessages(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.largest = 1000
	url, g := serve(t, Config{}, s, 0)
	lines := make([]string, 300)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d %s", i, strings.Repeat("x", i))
	}
	if got := post(t, url, "", strings.NewReader(strings.Join(lines, "\n"))); got.Code != 200 || got.Accepted != 300 {
		t.Errorf("answered %+v", got)
	}
	if diff := cmp.Diff(lines, s.records()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got := post(t, url, "", strings.NewReader("one\ntwo\n"+strings.Repeat("x", 2000)+"\nfour\n"))
	if got.Code != 413 || got.Accepted != 2 || got.Rejected != 2 || got.Offset != 7 {
		t.Errorf("answered %+v", got)
	}
	if st := statsOf(g, "http"); st.Records != 302 || st.Rejected["too_large"] != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestHTTPBusy(t *testing.T) {
	t.Parallel()
	s := newSink()
	s.delay = 4 * time.Second
	url, _ := serve(t, Config{MaxUploads: 1}, s, 0)
	first := make(chan reply, 1)
	go func() { first <- post(t, url, "", strings.NewReader("one\n")) }()
	sleep(t.Context(), 300*time.Millisecond)
	if got := post(t, url, "", strings.NewReader("two\n")); got.Code != 503 || got.Header.Get("Retry-After") != "1" {
		t.Errorf("answered %+v", got)
	}
	if got := <-first; got.Code != 200 {
		t.Errorf("the first was answered %+v", got)
	}
}

// raw sends bytes as they are and returns all of the answer.
func raw(t *testing.T, url, head string, parts []string, pause time.Duration) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // test is over
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", head)
	for _, p := range parts {
		if _, err := io.WriteString(conn, p); err != nil {
			break
		}
		sleep(t.Context(), pause)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	_ = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // the server need not take the rest of the body
		t.Fatalf("%v after %q", err, answer)
	}
	return string(answer)
}

func TestHTTPSlowAndTornBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, head string
		parts      []string
		pause      time.Duration
		want       []string
		kept       int
	}{
		{"torn", "Content-Length: 100", []string{"one\ntwo\nthr"}, 0, []string{" 400 ", `"accepted":2`, `"offset":7`}, 2},
		{"pause", "Content-Length: 100", []string{"one\ntwo\nthr", "ee\n"}, 800 * time.Millisecond, []string{" 408 ", `"accepted":2`, `"offset":7`}, 2},
		{"drops", "Content-Length: 100", strings.Split(strings.Repeat("a \n ", 40), " "), 40 * time.Millisecond, []string{" 408 "}, -1},
		{"continued", "Content-Length: 4\r\nExpect: 100-continue", []string{"one\n"}, 0, []string{" 100 ", " 200 ", `"accepted":1`}, 1},
		{"chunked", "Transfer-Encoding: chunked", []string{"4\r\none\n\r\n", "0\r\n\r\n"}, 0, []string{" 200 ", `"accepted":1`}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSink()
			url, g := serve(t, Config{BodyIdle: 400 * time.Millisecond, BodyTimeout: time.Second}, s, 0)
			answer := raw(t, url, tt.head+"\r\nConnection: close", tt.parts, tt.pause)
			for _, want := range tt.want {
				if !strings.Contains(answer, want) {
					t.Errorf("no %q in %q", want, answer)
				}
			}
			if got := len(s.records()); got != tt.kept && tt.kept >= 0 {
				t.Errorf("kept %d", got)
			}
			if !strings.Contains(answer, fmt.Sprintf(`"accepted":%d,`, len(s.records()))) {
				t.Errorf("kept %d, answered %q", len(s.records()), answer)
			}
			if st := statsOf(g, "http"); st.Open != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}
