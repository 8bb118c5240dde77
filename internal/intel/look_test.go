package intel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
)

func snapshotOf(t testing.TB, allow []string, values ...string) *Snapshot {
	t.Helper()
	make := func(values []string) *Snapshot {
		b := newBuilder(len(values))
		for i, v := range values {
			kind, text, _ := strings.Cut(v, " ")
			n, err := Normalise(Type(kind), text)
			if err != nil {
				t.Fatal(err)
			}
			b.add(compact{Type: Type(kind), Value: n, Source: fmt.Sprint("feed", i), Tags: "c2", Confidence: 80, SeverityRank: 4})
		}
		return b.build()
	}
	s := make(values)
	if len(allow) > 0 {
		s.allow = make(allow)
	}
	return s
}

func eventOf(fields ...string) *event.Event {
	e := &event.Event{Time: 1e18, Arrived: 1e18}
	for i := 0; i < len(fields); i += 2 {
		e.Add(fields[i], fields[i+1])
	}
	return e
}

func looked(s *Snapshot, e *event.Event) []hit {
	l := look{s: s, e: e}
	l.run()
	return slices.Clone(l.found())
}

func TestLook(t *testing.T) {
	sha := strings.Repeat("ab", 32)
	s := snapshotOf(t, []string{"domain good.evil.example", "cidr 198.51.100.0/28", "email friend@spam.example", "ipv4 192.0.2.200"},
		"ipv4 203.0.113.7", "ipv6 2001:db8::7", "cidr 198.51.100.0/24", "cidr 2001:db8:ff::/48", "cidr 192.0.0.0/12", "domain evil.example", "domain bücher.example", "url http://shop.example/a?b=1", "url https://203.0.113.99:8443/x",
		"md5 d41d8cd98f00b204e9800998ecf8427e", "sha1 "+strings.Repeat("0c", 20), "sha256 "+sha, "email bob@bad.example", "domain spam.example", "ja3 "+strings.Repeat("1f", 16))
	for _, c := range []struct{ fields, want string }{
		{"src_ip 203.0.113.7", "203.0.113.7"},
		{"src_ip ::ffff:203.0.113.7", "203.0.113.7"},
		{"src_ip 203.0.113.8", ""},
		{"src_ip 203.0.113.07", ""},
		{"host_ip 203.0.113.7", ""},
		{"dst_ip 198.51.100.77", "198.51.100.0/24"},
		{"dst_ip 198.51.100.7", ""}, // allowed
		{"dst_ip 192.0.2.200", ""},  // allowed in a network
		{"dst_ip 192.0.2.201", "192.0.0.0/12"},
		{"dst_ip 2001:DB8:0::7", "2001:db8::7"},
		{"dst_ip 2001:db8:ff:1::", "2001:db8:ff::/48"},
		{"dst_ip 2001:db8:fe:1::", ""},
		{"dns_query a.b.EVIL.example.", "evil.example"},
		{"dns_query notevil.example", ""},
		{"dns_query x.good.evil.example", ""}, // allowed
		{"dns_query good.evil.example.evil.example", "evil.example"},
		{"tls_sni bücher.example", "xn--bcher-kva.example"},
		{"dns_answer 192.168.0.1,203.0.113.7", "203.0.113.7"},
		{"dst_host evil.example:443", "evil.example"},
		{"domain 203.0.113.7:80", "203.0.113.7"},
		{"url https://SHOP.example:443/a?b=1#c", "http://shop.example/a?b=1"},
		{"url /a?b=1|domain shop.example", "http://shop.example/a?b=1"},
		{"url https://203.0.113.99:8443/x", "https://203.0.113.99:8443/x"},
		{"url http://user@www.evil.example/y", "evil.example"},
		{"url http://[2001:db8::7]/", "2001:db8::7"},
		{"referrer http://www.evil.example/y", ""},
		{"hash_md5 D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"},
		{"Hashes MD5=00,SHA256=" + strings.ToUpper(sha), sha},
		{"sha1 " + strings.Repeat("0C", 20), strings.Repeat("0c", 20)},
		{"ja3 " + strings.Repeat("1F", 16), strings.Repeat("1f", 16)},
		{"hash_md5 " + strings.Repeat("1f", 16), ""},
		{"user Bob@BAD.example", "bob@bad.example"},
		{"from <x@spam.example>", "spam.example"},
		{"user friend@spam.example", ""},
		{"src_ip 203.0.113.7|dst_ip 198.51.100.99|related_ip 203.0.113.7", "203.0.113.7 198.51.100.0/24"},
		{"src_ip -|dst_ip |url :|domain ...|dns_query .|user @|Hashes =|ja3 x", ""},
	} {
		var fields []string
		for f := range strings.SplitSeq(c.fields, "|") {
			name, v, _ := strings.Cut(f, " ")
			fields = append(fields, name, v)
		}
		var got []string
		for _, h := range looked(s, eventOf(fields...)) {
			got = append(got, s.value(&s.entries[h.entry]))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: found %q, want %q", c.fields, got, c.want)
		}
	}
}

// Every indicator of a large random set is found, and what is not in it is not.
func TestLookAgainstASet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	have := map[string]bool{}
	b := newBuilder(0)
	for range 20_000 {
		v := randomValue(r)
		have[v] = true
		b.add(compact{Type: IPv4, Value: v, Source: "x", Confidence: 50, SeverityRank: 3})
	}
	s := b.build()
	for v := range have {
		if len(looked(s, eventOf(event.DstIP, v))) != 1 {
			t.Fatalf("%s is not found", v)
		}
	}
	for range 100_000 {
		v := randomValue(r)
		if got := len(looked(s, eventOf(event.DstIP, v))) == 1; got != have[v] {
			t.Fatalf("%s: found %v, want %v", v, got, have[v])
		}
	}
}

func randomValue(r *rand.Rand) string {
	v := r.Uint32N(1 << 20)
	return fmt.Sprintf("203.%d.%d.%d", v>>16, v>>8&255, v&255)
}

func TestEnrich(t *testing.T) {
	b := newBuilder(3)
	b.add(compact{Type: IPv4, Value: "203.0.113.7", Source: "one", Tags: "c2\x00bot", Confidence: 40, SeverityRank: 5})
	b.add(compact{Type: IPv4, Value: "203.0.113.7", Source: "two", Confidence: 90, SeverityRank: 3})
	b.add(compact{Type: IPv4, Value: "203.0.113.7", Source: "old", Confidence: 99, SeverityRank: 5, Until: 1})
	s := b.build()
	for _, c := range []struct {
		action, severity string
		staged           bool
		limit            int
	}{{"allow", "critical", false, 30}, {"drop", "low", true, 30}, {"allow", "critical", true, 41}} {
		s.thresholds["critical"] = c.limit
		e := eventOf(event.Host, "fw-01", event.SrcIP, "203.0.113.7", event.DstIP, "10.0.0.1", event.Action, c.action)
		var found []alert.Finding
		s.Enrich(e, func(f *alert.Finding) { found = append(found, *f) })
		if len(found) != 1 {
			t.Fatalf("%d findings", len(found))
		}
		f := found[0]
		if f.Severity != c.severity || f.Staged != c.staged || f.Rule.ID != ruleIDs[IPv4] || !strings.HasPrefix(f.Key, "indicator=203.0.113.7") || strings.HasSuffix(f.Key, " refused") != (c.action == "drop") {
			t.Errorf("%s: %+v", c.action, f)
		}
		if f.Entities[0].Value != "fw-01" || f.Entities[1].Value != "10.0.0.1" || f.Entities[2].Value != "203.0.113.7" {
			t.Errorf("entities %+v", f.Entities)
		}
		if want := "The address 203.0.113.7, known from one and two with confidence 40, stands in src_ip of 1 event of fw-01."; f.Text() != want {
			t.Errorf("text %q, want %q", f.Text(), want)
		}
		if e.Get(FieldName) != "203.0.113.7" || e.Get(FieldConfidence) != "40" || e.Get(FieldTag) != "c2" || e.Get(FieldMatched) != event.SrcIP {
			t.Errorf("fields %v", e.Fields)
		}
	}
}

// ordinary is an event of a web server with nothing bad in it.
func ordinary(i int) *event.Event {
	return eventOf(event.Source, "nginx", event.Host, "web-01", event.Program, "nginx", event.Severity, "info", event.Message, "GET /index.html", event.Category, "web", event.Action, "request",
		event.SrcIP, "198.18."+strconv.Itoa(i>>8&255)+"."+strconv.Itoa(i&255), event.DstIP, "10.0.0.1", event.Domain, "www.shop"+strconv.Itoa(i)+".example", event.URL, "https://www.shop.example/index.html?page="+strconv.Itoa(i),
		event.HTTPMethod, "GET", event.HTTPStatus, "200", event.UserAgent, "Mozilla/5.0", event.DNSQuery, "cdn"+strconv.Itoa(i)+".static.example.net", event.HashSHA256, fmt.Sprintf("%064x", i), event.User, "ann@corp.example", event.RelatedIP, "198.18.1."+strconv.Itoa(i&255))
}

func manyIndicators(n int) *Snapshot {
	b := newBuilder(n)
	for i := range n {
		c := compact{Source: "feed" + strconv.Itoa(i%20), Tags: "tag" + strconv.Itoa(i%500), Confidence: i % 100, SeverityRank: 1 + i%5}
		switch i % 8 {
		case 0, 1:
			c.Type, c.Value = IPv4, fmt.Sprintf("%d.%d.%d.%d", 11+i%180, i>>16&255, i>>8&255, i&255)
		case 2, 3:
			c.Type, c.Value = Domain, "host"+strconv.Itoa(i)+".evil"+strconv.Itoa(i%1000)+".example"
		case 4:
			c.Type, c.Value = URL, "http://evil"+strconv.Itoa(i)+".example/download/payload-"+strconv.Itoa(i)+".exe"
		case 5, 6:
			c.Type, c.Value = SHA256, fmt.Sprintf("%064x", uint64(i)<<32)
		case 7:
			if c.Type, c.Value = MD5, fmt.Sprintf("%032x", uint64(i)<<20); i%10 == 0 {
				c.Type, c.Value = CIDR, fmt.Sprintf("%d.%d.%d.0/24", 11+i%180, i>>12&255, i>>4&255)
			}
		}
		b.add(c)
	}
	return b.build()
}

func TestLookAllocatesNothing(t *testing.T) {
	if os.Getenv("KYRA_TEST_RACE") != "" {
		t.Skip()
	}
	s := manyIndicators(10_000)
	e := ordinary(1)
	emit := func(*alert.Finding) { t.Error("found") }
	if n := testing.AllocsPerRun(100, func() { s.Enrich(e, emit) }); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

func BenchmarkEnrichMillion(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := manyIndicators(1_000_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	events := make([]*event.Event, 4096)
	for i := range events {
		events[i] = ordinary(i * 7919)
	}
	emit := func(*alert.Finding) {}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Enrich(events[i&4095], emit)
		i++
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
	runtime.KeepAlive(s)
}

func FuzzLook(f *testing.F) {
	f.Add("url", "http://a.b/c")
	f.Add("dns_answer", "a.b, c.d;1.2.3.4")
	f.Add("Hashes", "MD5=a,b")
	f.Add("user", "a@b@c.d")
	f.Add("src_ip", "[::1%x]")
	s := snapshotOf(f, []string{"domain b.c"}, "ipv4 203.0.113.7", "cidr 203.0.112.0/24", "domain evil.example", "url http://shop.example/a", "email a@b.c", "cidr 2001:db8::/32")
	f.Fuzz(func(t *testing.T, field, value string) {
		hits := looked(s, eventOf(field, value, event.Domain, value))
		if len(hits) > maxHits || slices.ContainsFunc(hits, func(h hit) bool { return int(h.entry) >= s.Len() }) {
			t.Fatal(hits)
		}
	})
}

func TestValidity(t *testing.T) {
	b := newBuilder(1)
	b.add(compact{Type: IPv4, Value: "203.0.113.7", Source: "one", Confidence: 90, SeverityRank: 5, From: 100, Until: 200})
	s := b.build()
	for at, want := range map[int64]int{99: 0, 100: 1, 199: 1, 200: 0} {
		e := eventOf(event.SrcIP, "203.0.113.7")
		e.Arrived = at * int64(time.Second)
		n := 0
		s.Enrich(e, func(*alert.Finding) { n++ })
		if n != want {
			t.Errorf("at %d: %d", at, n)
		}
	}
}
