package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func haproxyParser() content {
	return content{
		Info: Info{
			Name:     "haproxy",
			Sources:  []string{"haproxy"},
			Programs: []string{"haproxy"},
			About:    "HAProxy's HTTP, HTTPS and TCP logs, its errors of connections",
			Samples: []Sample{
				{`Mar  4 05:06:07 lb1 haproxy[14389]: 203.0.113.9:33317 [04/Mar/2026:05:06:06.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {example.com|curl/8} "GET /index.html?a=b HTTP/1.1"`, []string{
					"source=haproxy", "dataset=haproxy.http", "host=lb1", "category=web", "action=request", "outcome=success", "src_ip=203.0.113.9", "src_port=33317", "http_method=GET", "http_status=200", "url_path=/index.html",
					"url_query=a=b", "dst_bytes=2750", "frontend=http-in", "backend=static", "server=srv1", "captured=example.com|curl/8",
				}},
				{`203.0.113.9:40001 [04/Mar/2026:05:06:07.123] tcp-in db/db1 0/0/5007 212 -- 0/0/0/0/3 0/0`, []string{"source=haproxy", "dataset=haproxy.tcp", "category=network", "action=session_close", "src_ip=203.0.113.9", "dst_bytes=212", "backend=db"}},
				{`203.0.113.9:50033 [04/Mar/2026:05:06:07.123] https-in/1: SSL handshake failure (error:0A0000C1:SSL routines::no shared cipher)`, []string{"source=haproxy", "category=network", "outcome=failure", "src_ip=203.0.113.9", "src_port=50033", "reason=SSL handshake failure (error:0A0000C1:SSL routines::no shared cipher)"}},
			},
		},
		parse: parseHAProxy,
	}
}

// isHAProxy tells "ADDRESS:PORT [DAY/MON/YEAR:HH:MM:SS.mmm] ".
func isHAProxy(s string) bool {
	i := strings.IndexByte(s, ' ')
	if i < 9 || i > 54 || len(s) < i+27 || s[i+1] != '[' || s[i+4] != '/' || s[i+8] != '/' || s[i+22] != '.' || s[i+26] != ']' {
		return false
	}
	_, port := addressPort(s[:i])
	return port != ""
}

func parseHAProxy(l *line) bool {
	s := l.text
	if !isHAProxy(s) {
		return false
	}
	i := strings.IndexByte(s, ' ')
	l.source = "haproxy"
	l.addSource(addressPort(s[:i]))
	var c clock
	if _, ok := c.clfTime(s[i+2 : i+22]); ok && (!l.hasTime || l.quality != qualityExact) {
		c.fraction(s[i+22 : i+26])
		if t, q, ok := l.resolve(&c); ok {
			l.setTime(t, q)
		}
	}
	s = skipSpaces(s[i+27:])
	if l.program == "" {
		l.program = l.source
	}
	front, rest := cutWord(s)
	if front == "" || front[len(front)-1] == ':' { // an error of the connection
		l.add("frontend", strings.TrimSuffix(front, ":"))
		l.add(event.Reason, rest)
		l.mean("network", "connect", "failure", low)
		return true
	}
	l.add("frontend", strings.TrimSuffix(front, "~"))
	back, rest := cutWord(rest)
	backend, server, _ := strings.Cut(back, "/")
	l.add("backend", backend)
	l.add("server", server)
	timers, rest := cutWord(rest)
	l.add("timers", timers)
	if strings.Count(timers, "/") < 3 { // TCP
		bytes, rest := cutWord(rest)
		l.addInt(event.DstBytes, bytes)
		state, _ := cutWord(rest)
		l.add("termination_state", state)
		l.dataset = "haproxy.tcp"
		l.mean("network", "session_close", "success", unsaid)
		return true
	}
	status, rest := cutWord(rest)
	bytes, rest := cutWord(rest)
	l.addInt(event.DstBytes, strings.TrimPrefix(bytes, "+"))
	_, rest = cutWord(rest) // captured cookies
	_, rest = cutWord(rest)
	state, rest := cutWord(rest)
	l.add("termination_state", state)
	if captured, ok := between(rest, "{", "}"); ok {
		l.add("captured", captured)
	}
	if q := strings.IndexByte(rest, '"'); q >= 0 {
		if request := strings.TrimSuffix(rest[q+1:], `"`); request != "<BADREQ>" {
			accessRequest(l, request)
		}
	}
	l.dataset = "haproxy.http"
	l.put(event.Category, "web")
	l.accessStatus(status)
	return true
}
