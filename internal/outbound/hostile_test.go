package outbound

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// hostile are addresses that lead inside, or nowhere good. PORT is that of a server on
// this machine that must not be reached.
var hostile = strings.Fields(`
	http://127.0.0.1:PORT/ https://127.0.0.1:PORT/ http://127.0.0.1/ http://127.1:PORT/ http://127.0.1:PORT/ http://127.255.255.254:PORT/
	http://2130706433:PORT/ http://0x7f000001:PORT/ http://0x7f.0.0.1:PORT/ http://0177.0.0.1:PORT/ http://017700000001:PORT/ http://0:PORT/ http://0.0.0.0:PORT/
	http://localhost:PORT/ https://localhost:PORT/ http://LOCALHOST:PORT/ http://localhost.:PORT/ http://anything.localhost:PORT/ http://127.0.0.1.:PORT/
	http://[::1]:PORT/ https://[::1]:PORT/ http://[0:0:0:0:0:0:0:1]:PORT/ http://[::]:PORT/ http://[::ffff:127.0.0.1]:PORT/ http://[::ffff:7f00:1]:PORT/ http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/
	https://[::127.0.0.1]:PORT/ https://[64:ff9b::7f00:1]/ https://[64:ff9b::127.0.0.1]/ https://[64:ff9b:1::a9fe:a9fe]/ https://[2002:7f00:1::]/ https://[2002:a9fe:a9fe::1]/ https://[2001:0:7f00:1::]/
	https://10.0.0.1/ https://10.255.255.255/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.0.1/ https://192.168.255.255/ https://100.64.0.1/ https://100.127.255.254/
	http://169.254.169.254/latest/meta-data/ https://169.254.169.254/ http://[fe80::1]/ http://[fe80::1%25eth0]/ https://[fd00:ec2::254]/ http://100.100.100.200/ https://192.0.0.192/ https://168.63.129.16/ https://[::ffff:169.254.169.254]/ https://[::ffff:a9fe:a9fe]/
	https://[fc00::1]/ https://[fdff::1]/ https://[fec0::1]/ https://[ff02::1]/ https://224.0.0.1/ https://239.255.255.250/ https://255.255.255.255/ https://240.0.0.1/ https://0.1.2.3/
	https://198.18.0.1/ https://192.0.2.1/ https://203.0.113.9/ https://[2001:db8::1]/ https://[100::1]/
	file:///etc/passwd gopher://127.0.0.1:PORT/_ ftp://127.0.0.1/ unix:///run/docker.sock http:127.0.0.1:PORT http:///hook //127.0.0.1:PORT/ 127.0.0.1:PORT
	https://user:pw@127.0.0.1:PORT/ https://example.com@127.0.0.1:PORT/ https://example.com:0/ https://example.com#@127.0.0.1/ https://example.com\@127.0.0.1/
	http://１２７.0.0.1:PORT/ http://127。0。0。1:PORT/ http://[::1%25lo]:PORT/ https://example.com:99999/
`)

func TestHostileAddressesAreRefused(t *testing.T) {
	if len(hostile) < 60 {
		t.Fatalf("only %d addresses", len(hostile))
	}
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	g, err := NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := g.Client(Limits{Total: 3 * time.Second})
	for _, text := range hostile {
		text = strings.ReplaceAll(text, "PORT", port)
		_, err := g.CheckURL(text)
		ascii := !strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
		if err == nil && ascii {
			t.Errorf("%s looks fine to CheckURL", text)
		}
		if err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v is not a fault of the input", text, err)
		}
		// And again where nobody has looked at it before.
		if strings.Contains(text, "://example.com") {
			continue // its host is public
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, text, nil)
		if err != nil {
			continue
		}
		if res, err := client.Do(r); err == nil {
			res.Body.Close()
			t.Errorf("%s was called: %s", text, res.Status)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
}

func TestPublicAddressesPass(t *testing.T) {
	g, err := NewGuard([]string{"10.1.0.0/16", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "10.1.2.3", "::ffff:10.1.2.3", "::1"} {
		if err := g.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"10.2.0.1", "127.0.0.1"} {
		if err := g.Check(netip.MustParseAddr(text)); !errors.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{
		"https://hooks.slack.com/services/T00/B00/xxx": true, "https://example.com:8443/x?y=z": true, "http://10.1.2.3/": true, "http://8.8.8.8/": false, "https://8.8.8.8/": true,
	} {
		if _, err := g.CheckURL(text); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := NewGuard([]string{"10.0.0.0/33"}); err == nil {
		t.Error("10.0.0.0/33 is taken for a network")
	}
}

// TestNamesAreCheckedAsTheyResolve asks a name server that changes its mind: the first
// answer is public, all later ones are inside.
func TestNamesAreCheckedAsTheyResolve(t *testing.T) {
	var reached, asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	names := nameServer(t, func() [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{93, 184, 216, 34}
		}
		return [4]byte{127, 0, 0, 1}
	})
	g, err := NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", names)
	}}
	if ips, err := g.resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.com"); err != nil || ips[0].Unmap() != netip.MustParseAddr("93.184.216.34") {
		t.Fatalf("%v, %v", ips, err)
	}
	for _, scheme := range []string{"http", "https"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://rebind.example.com:"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.Client(Limits{}).Do(r)
		if err == nil {
			res.Body.Close()
			t.Errorf("%s was called", scheme)
		}
		if reason := Reason(err); !strings.Contains(reason, "127.0.0.1 is not a public address") {
			t.Errorf("reason is %q", reason)
		}
	}
	if reached.Load() > 0 {
		t.Error("the server inside was reached")
	}
}

// nameServer answers every question for an A record with what answer returns.
func nameServer(t *testing.T, answer func() [4]byte) string {
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := bytes.IndexByte(buf[12:n], 0) + 17 // header, name, type and class
			if n < end {
				continue
			}
			out := append([]byte(nil), buf[:end]...)
			copy(out[2:12], []byte{0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}) // an authoritative answer to one question
			if out[end-3] == 1 {                                     // type A
				a := answer()
				out[7] = 1
				out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, a[0], a[1], a[2], a[3])
			}
			_, _ = conn.WriteTo(out, from)
		}
	}()
	return conn.LocalAddr().String()
}

func TestRedirectsAreChecked(t *testing.T) {
	var inside atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/in":
			inside.Add(1)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/away":
			http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusFound)
		default:
			http.Redirect(w, r, "/in", http.StatusFound)
		}
	}))
	defer srv.Close()
	g, err := NewGuard([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	get := func(redirects int, path string) (int, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.Client(Limits{Redirects: redirects}).Do(r)
		if err != nil {
			return 0, err
		}
		res.Body.Close()
		return res.StatusCode, nil
	}
	if code, err := get(0, "/"); code != http.StatusFound || err != nil || inside.Load() != 0 {
		t.Errorf("without redirects: %d, %v", code, err)
	}
	if code, err := get(2, "/"); code != http.StatusOK || err != nil {
		t.Errorf("with redirects: %d, %v", code, err)
	}
	if code, err := get(2, "/loop"); code != http.StatusFound || err != nil {
		t.Errorf("in a loop: %d, %v", code, err)
	}
	if _, err := get(2, "/away"); err == nil || !strings.Contains(err.Error(), "169.254.169.254") {
		t.Errorf("to the metadata service: %v", err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		_, _ = w.Write(make([]byte, n))
	}))
	defer srv.Close()
	g, err := NewGuard([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{0: true, 99: true, 100: true, 101: false, 100_000: false} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"?n="+strconv.Itoa(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := g.Client(Limits{Body: 100}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(res)
		if (err == nil) != want || want && got != n || !want && !errors.Is(err, fault.TooLarge) {
			t.Errorf("%d bytes: read %d, %v", n, got, err)
		}
	}
}

func readAll(res *http.Response) (int, error) {
	defer res.Body.Close()
	n, buf := 0, make([]byte, 64)
	for {
		k, err := res.Body.Read(buf)
		n += k
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return n, err
		}
	}
}
