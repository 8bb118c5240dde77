package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func squidParser() content {
	return content{
		Info: Info{
			Name:     "squid",
			Sources:  []string{"squid"},
			Programs: []string{"squid", "(squid-1)", "squid-1"},
			About:    "Squid's access log in its native format",
			Samples: []Sample{
				{`1772600767.123    142 10.0.0.9 TCP_MISS/200 4512 GET http://e.org/a?b=c alice HIER_DIRECT/203.0.113.80 text/html`, []string{
					"source=squid", "dataset=squid.access", "category=web", "action=request", "outcome=success", "src_ip=10.0.0.9", "dst_ip=203.0.113.80", "http_method=GET", "http_status=200", "dst_bytes=4512",
					"url=http://e.org/a?b=c", "url_path=/a", "url_query=b=c", "domain=e.org", "user=alice", "time_quality=exact", "cache_result=TCP_MISS", "program=squid",
				}},
				{`1772600767.123     92 10.0.0.9 TCP_MISS/200 4512 GET http://e.org/v1.2/Setup.EXE?b=c.d - HIER_DIRECT/203.0.113.80 application/x-msdownload`, []string{"url_path=/v1.2/Setup.EXE", "url_extension=exe"}},
				{`1772600767.123     92 10.0.0.9 TCP_MISS/200 4512 GET http://e.org - HIER_DIRECT/203.0.113.80 text/html`, []string{"domain=e.org", "url_extension="}},
				{`<134>Mar  4 05:06:07 px1 (squid-1): 1772600767.500      0 10.0.0.9 TCP_DENIED/403 3900 CONNECT evil.example:443 - HIER_NONE/- text/html`, []string{
					"source=squid", "host=px1", "action=deny", "outcome=failure", "http_method=CONNECT", "domain=evil.example", "dst_port=443", "user=", "severity=low",
				}},
			},
		},
		parse: parseSquid,
	}
}

// isSquid tells "EPOCH.MMM DURATION CLIENT RESULT/STATUS …".
func isSquid(s string) bool {
	if len(s) < 40 || digits(s) != 10 || s[10] != '.' || digits(s[11:]) != 3 || s[14] != ' ' {
		return false
	}
	rest := skipSpaces(s[14:])
	n := digits(rest)
	return n > 0 && n < len(rest) && rest[n] == ' ' && (before(rest, " TCP_", 80) || before(rest, " NONE", 80) || before(rest, " UDP_", 80))
}

func parseSquid(l *line) bool {
	if !isSquid(l.text) {
		return false
	}
	stamp, s := cutWord(l.text)
	if t, ok := epoch(stamp); ok {
		l.setTime(t, qualityExact)
	}
	l.source, l.web, l.program = "squid", true, "squid"
	took, s := cutWord(s)
	l.add("duration", took)
	client, s := cutWord(s)
	l.addSource(client, "")
	result, s := cutWord(s)
	result, status, _ := strings.Cut(result, "/")
	bytes, s := cutWord(s)
	method, s := cutWord(s)
	url, s := cutWord(s)
	user, s := cutWord(s)
	way, kind := cutWord(s)
	l.add("cache_result", result)
	l.accessStatus(status)
	l.put(event.Category, "web")
	if strings.Contains(result, "DENIED") {
		l.putThree("", "deny", "failure")
		l.atLeast(low)
	}
	l.addInt(event.DstBytes, bytes)
	l.addNonDash(event.HTTPMethod, method)
	if method == "CONNECT" {
		l.add(event.URL, url)
		host, port := addressPort(url)
		l.add(event.Domain, host)
		l.addInt(event.DstPort, port)
	} else {
		l.addURL(url)
		l.addExtension(url)
		if _, host, ok := strings.Cut(url, "://"); ok {
			if i := strings.IndexAny(host, ":/?"); i >= 0 {
				host = host[:i]
			}
			l.add(event.Domain, host)
		}
	}
	l.addNonDash(event.User, user)
	way, peer, _ := strings.Cut(way, "/")
	l.addNonDash("hierarchy", way)
	l.addPeer(event.DstIP, event.DstHost, peer)
	l.addNonDash("content_type", kind)
	return true
}
