package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func w3cParser() content {
	return content{
		Info: Info{
			Name:    "iis",
			Sources: []string{"iis", "w3c", "bluecoat"},
			About:   "W3C extended logs of IIS and of proxies: columns by the #Fields line that came before from the same sender, else IIS' usual ones",
			Samples: []Sample{
				{`2026-03-04 05:06:07 10.0.0.5 GET /owa/auth.aspx url=x&y=1 443 CORP\alice 203.0.113.9 Mozilla/5.0+(X11) https://e.org/ 401 1 1326 15`, []string{
					"source=iis", "dataset=iis.access", "category=web", "action=request", "outcome=failure", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "dst_port=443", "http_method=GET", "url_path=/owa/auth.aspx",
					"url_query=url=x&y=1", "url=/owa/auth.aspx?url=x&y=1", "user=alice", "user_domain=CORP", "user_agent=Mozilla/5.0 (X11)", "referrer=https://e.org/", "http_status=401", "sc-substatus=1",
					"cs-uri-stem=/owa/auth.aspx", "c-ip=203.0.113.9", "time_quality=exact", "program=iis",
				}},
				{`#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-substatus sc-win32-status time-taken`, []string{"source=iis", "category=", "tags="}},
			},
		},
		parse: parseW3C,
	}
}

// iisColumns are those that IIS writes unless it is told otherwise, after date and
// time.
const iisColumns = "s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken"

// isW3C tells a line of such a log. Only the time may stand before it.
func (l *line) isW3C() bool {
	s := l.text
	if s[0] == '#' {
		return strings.HasPrefix(s, "#Fields: ") || strings.HasPrefix(s, "#Software: ")
	}
	if l.header != "time" || !isDigit(s[0]) && !isLetter(s[0]) && s[0] != '-' {
		return false
	}
	if note := l.w3cNote(); note != "" && w3cCount(s) == w3cCount(w3cColumns(note)) {
		return true
	}
	server, rest := cutField(s)
	method, rest := cutField(rest)
	_, ok := address(server)
	return ok && isMethod(method) && rest != "" && rest[0] == '/' && w3cCount(s) == w3cCount(iisColumns)
}

// w3cNote returns the sender's header, "" without. It keeps one copy of each, since
// fields point into it.
func (l *line) w3cNote() string {
	n := l.p.tables.of(l.table("w3c"))
	if n == nil {
		return ""
	}
	return n.string()
}

// w3cCount counts words, those in quotes as one.
func w3cCount(s string) int {
	n := 0
	for s != "" {
		_, s = w3cWord(s)
		n++
	}
	return n
}

func w3cWord(s string) (word, rest string) {
	if value, n := cQuoted(s); n > 0 {
		return value, strings.TrimPrefix(s[n:], " ")
	}
	return cutField(s)
}

// w3cColumns returns what a #Fields line names after date and time.
func w3cColumns(note string) string {
	_, fields, _ := strings.Cut(note, "#Fields: ")
	return strings.TrimSpace(strings.TrimPrefix(fields, "date time "))
}

func parseW3C(l *line) bool {
	s := l.text
	if s == "" {
		return false
	}
	if s[0] == '#' {
		return l.w3cHeader(s)
	}
	if !l.isW3C() {
		return false
	}
	l.source, l.web = "iis", true
	columns := iisColumns
	if note := l.w3cNote(); note != "" && w3cCount(s) == w3cCount(w3cColumns(note)) {
		columns = w3cColumns(note)
		if strings.Contains(note, "SGOS") {
			l.source, l.web = "bluecoat", false
			l.knownAs("bluecoat", "Broadcom", "ProxySG")
		}
	}
	l.utc()
	for s != "" {
		var name, value string
		name, columns = cutField(columns)
		value, s = w3cWord(s)
		if name != "" && value != "-" && value != "" {
			l.w3cField(name, value)
		}
	}
	stem, query := l.e.Get(event.URLPath), l.e.Get(event.URLQuery)
	if query != "" {
		l.once(event.URL, stem+"?"+query)
	}
	l.once(event.URL, stem)
	l.accessStatus(l.e.Get("sc-status"))
	l.put(event.Category, "web")
	switch l.e.Get("sc-filter-result") {
	case "DENIED":
		l.putThree("", "deny", "failure")
	case "OBSERVED", "PROXIED":
		l.putThree("", "proxy", "")
	}
	return true
}

// w3cHeader takes note of the lines before a table.
func (l *line) w3cHeader(s string) bool {
	name, _, ok := strings.Cut(s, ": ")
	if !ok {
		return false
	}
	switch name {
	case "#Software", "#Version", "#Date", "#Start-Date", "#Remark", "#Fields":
	default:
		return false
	}
	l.source, l.web = "iis", true
	if len(s) > maxTableHeader/2 {
		return true
	}
	switch name {
	case "#Software":
		n := l.p.tables.keep(l.table("w3c"))
		n.text = append(n.text[:0], s...)
	case "#Fields":
		n := l.p.tables.keep(l.table("w3c"))
		software, _, _ := strings.Cut(string(n.text), "#Fields")
		n.text = append(append(n.text[:0], software...), s...)
	}
	return true
}

// utc reads the time before the text again: in these logs it is universal time,
// whatever zone the sender lives in.
func (l *line) utc() {
	raw := strings.TrimPrefix(trimTail(l.r.Raw), "\uFEFF")
	var c clock
	if l.header != "time" || l.depth > 0 {
		return
	}
	if _, ok := c.isoTime(raw); !ok {
		return
	}
	c.zoned = true
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
}

// w3cField adds one column.
func (l *line) w3cField(name, value string) {
	l.native("", name, value)
	switch name {
	case "c-ip":
		l.addSource(value, "")
	case "s-ip":
		l.addPeer(event.DstIP, event.DstHost, value)
	case "s-port", "cs-uri-port":
		if l.indexOf(event.DstPort) < 0 {
			l.addInt(event.DstPort, value)
		}
	case "c-port":
		l.addInt(event.SrcPort, value)
	case "s-computername":
		l.host = value
	case "cs-method":
		l.add(event.HTTPMethod, value)
	case "cs-uri-stem", "cs-uri-path":
		l.add(event.URLPath, value)
	case "cs-uri-query":
		l.add(event.URLQuery, value)
	case "cs-uri":
		l.once(event.URL, value)
	case "cs-username":
		l.account(value)
	case "sc-bytes":
		l.addInt(event.DstBytes, value)
	case "cs-bytes":
		l.addInt(event.SrcBytes, value)
	case "cs-host", "cs(Host)":
		l.once(event.Domain, value)
	case "cs(User-Agent)":
		l.add(event.UserAgent, strings.ReplaceAll(value, "+", " "))
	case "cs(Referer)":
		l.add(event.Referrer, value)
	case "cs-version":
		l.add(event.HTTPVersion, strings.TrimPrefix(value, "HTTP/"))
	case "r-ip":
		l.addPeer(event.DstIP, event.DstHost, value)
	case "r-dns":
		l.once(event.Domain, value)
	}
}
