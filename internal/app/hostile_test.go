package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHostileInput sends what should never be sent to every door, each time with
// good lines beside it. The documented error comes back, no good line is lost or
// doubled, and the server lives.
func TestHostileInput(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"))
	readOnly := p.newKey("read-only")
	good := 0
	mark := func() string {
		good++
		return fmt.Sprintf("<38>1 %s h goodapp - - - goodline %d", time.Now().UTC().Format(time.RFC3339), good)
	}
	zipped := func(data []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
		return b.Bytes()
	}
	random := make([]byte, 64<<10)
	_, _ = rand.Read(random)

	for _, c := range []struct {
		name     string
		method   string
		header   map[string]string
		body     func() []byte
		key      string
		status   int
		contains string
	}{
		{name: "no key", key: "-", status: 401, contains: `"status":401`},
		{name: "wrong key", key: "kyra_000000000000000000000000000000000000", status: 401},
		{name: "read-only key", key: readOnly, status: 403, contains: `"status":403`},
		{name: "wrong method", method: http.MethodPut, status: 405, contains: `"status":405`},
		{name: "empty body", body: func() []byte { return nil }, status: 400, contains: `"error"`},
		{name: "blank body", body: func() []byte { return []byte("\n \r\n\t\n") }, status: 400},
		{name: "broken JSON line between good ones", body: func() []byte {
			return []byte(`{"message":"` + mark() + "\"}\n{\"a\":\n" + `{"message":"` + mark() + `"}`)
		}, status: 200, contains: `"accepted":3`},
		{name: "array cut off", body: func() []byte { return []byte(`[{"message":"` + mark() + `"},{"b":`) }, status: 200},
		{name: "depth of 100,000", body: func() []byte { return []byte(mark() + "\n" + strings.Repeat(`{"a":[`, 50_000)) }, status: 200},
		{name: "line of 10 MB", body: func() []byte { return []byte(mark() + "\n" + strings.Repeat("x", 10<<20) + "\n" + mark()) }, status: 200, contains: `"accepted":3`},
		{name: "Latin-1", body: func() []byte { return []byte(mark() + "\ncaf\xe9 \xff\xfe\n" + mark()) }, status: 200, contains: `"accepted":3`},
		{name: "NUL and control characters", body: func() []byte { return []byte(mark() + "\na\x00b\x01\x1b[31m\n") }, status: 200},
		{name: "random bytes", body: func() []byte { return append([]byte(mark()+"\n"), random...) }, status: 200},
		{name: "ten thousand keys", body: func() []byte {
			var b strings.Builder
			b.WriteString(`{"message":"` + mark() + `"`)
			for i := range 10_000 {
				fmt.Fprintf(&b, `,"k%d":%d`, i, i)
			}
			return []byte(b.String() + "}")
		}, status: 200},
		{name: "reserved names", body: func() []byte {
			return []byte(`{"_time":"evil","_stream":"evil","_msg":"evil","_id":"evil","tenant":"evil","message":"` + mark() + `"}`)
		}, status: 200},
		{name: "duplicate names", body: func() []byte { return []byte(`{"a":1,"a":2,"message":"` + mark() + `"}`) }, status: 200},
		{name: "times out of this world", body: func() []byte {
			return []byte(`{"timestamp":"9999-12-31T23:59:59Z","message":"a"}` + "\n" + `{"timestamp":-99999999999999999999,"message":"b"}` + "\n" + mark())
		}, status: 200, contains: `"accepted":3`},
		{name: "content type lies", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: func() []byte { return []byte(`{"message":"` + mark() + `"}`) }, status: 200},
		{name: "gzip without saying so", body: func() []byte { return zipped([]byte(mark())) }, status: 200, contains: `"accepted":1`},
		{name: "no gzip though it says so", header: map[string]string{"Content-Encoding": "gzip"}, body: func() []byte { return []byte("plain") }, status: 400},
		{name: "gzip cut off", header: map[string]string{"Content-Encoding": "gzip"}, body: func() []byte { b := zipped(random); return b[:len(b)/2] }, status: 400},
		{name: "unknown encoding", header: map[string]string{"Content-Encoding": "br"}, body: func() []byte { return []byte("x") }, status: 415},
		{name: "bomb", header: map[string]string{"Content-Encoding": "gzip"}, body: func() []byte { return zipped(make([]byte, 65<<20)) }, status: 413},
	} {
		t.Run("http "+c.name, func(t *testing.T) {
			body := []byte("x")
			if c.body != nil {
				body = c.body()
			}
			method := c.method
			if method == "" {
				method = http.MethodPost
			}
			req, err := http.NewRequestWithContext(t.Context(), method, p.url+"/api/v1/ingest", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			key := p.key
			if c.key != "" {
				key = c.key
			}
			if key != "-" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			for k, v := range c.header {
				req.Header.Set(k, v)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.status || !strings.Contains(string(answer), c.contains) {
				t.Errorf("status %d, want %d with %s: %.300s %v", resp.StatusCode, c.status, c.contains, answer, err)
			}
			if resp.Header.Get("X-RateLimit-Limit") == "" || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("headers are missing: %v", resp.Header)
			}
		})
	}

	for _, c := range []struct {
		name string
		send func() string
	}{
		{"random bytes", func() string { return string(random) + "\n" + mark() + "\n" }},
		{"count that never comes", func() string { return mark() + "\n999999999 <1" }},
		{"digits before a message", func() string { return "54 <1 minute elapsed\n" + mark() + "\n" }},
		{"counted and plain in turn", func() string { m := mark(); return fmt.Sprintf("%d %s%s\n", len(m), m, mark()) }},
		{"line of 3 MB", func() string { return strings.Repeat("y", 3<<20) + "\n" + mark() + "\n" }},
		{"no line end", func() string { return mark() }},
		{"NUL as line end", func() string { return mark() + "\x00" + mark() + "\x00" }},
		{"HTTP on the syslog port", func() string { return "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + mark() + "\n" }},
		{"TLS on the plain port", func() string { return "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n" + mark() + "\n" }},
	} {
		t.Run("tcp "+c.name, func(t *testing.T) { p.write(t, "tcp", p.tcp, c.send()) })
	}
	for _, c := range []struct {
		name string
		send func() string
	}{
		{"random bytes", func() string { return string(random[:8192]) }},
		{"nothing", func() string { return "" }},
		{"only a priority", func() string { return "<999999999999>" }},
		{"a good one", func() string { return mark() }},
		{"query of death", func() string { return "<13>1 - - - - - [x@1 a=" }},
	} {
		t.Run("udp "+c.name, func(t *testing.T) { p.write(t, "udp", p.udp, c.send()) })
	}

	from, to := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	eventually(t, fmt.Sprintf("%d good lines", good), func() bool { return p.search("goodline", from, to, 1).Total >= int64(good) })
	seen := map[int]int{}
	for _, e := range p.search("goodline", from, to, 10_000).Events {
		n := 0
		if _, err := fmt.Sscanf(e.Message[strings.Index(e.Message, "goodline"):], "goodline %d", &n); err == nil {
			seen[n]++
		}
	}
	for n := 1; n <= good; n++ {
		if seen[n] != 1 {
			t.Errorf("good line %d is stored %d times", n, seen[n])
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, still := range []string{"kyra_pipeline_panics_total 0", "kyra_pipeline_restarts_total 0", "kyra_pipeline_findings_refused_total 0"} {
		if !strings.Contains(string(page), still) {
			t.Errorf("metrics do not say %q", still)
		}
	}
	p.stop()
}

// newKey makes an API key of the scope.
func (p *process) newKey(scope string) string {
	p.t.Helper()
	var made struct {
		Secret string `json:"secret"`
		Key    string `json:"key"`
	}
	status, err := p.call(http.MethodPost, "/api/v1/api-keys", fmt.Sprintf(`{"name":"test %s","scope":%q}`, scope, scope), &made)
	if err != nil || status != http.StatusCreated {
		p.t.Fatalf("make key: %d %v", status, err)
	}
	return made.Secret + made.Key
}

func (p *process) write(t *testing.T, network, addr, text string) {
	t.Helper()
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.WithoutCancel(t.Context()), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
