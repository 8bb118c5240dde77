package parse

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func kvParser() content {
	return content{
		Info: Info{
			Name:    "kv",
			Sources: []string{"kv"},
			About:   "key=value pairs with quoted values (logfmt and many appliances), names understood as in JSON; FortiGate's by their keys",
			Samples: []Sample{
				{`time="2025-01-30T05:07:30Z" level=warning msg="HTTP: POST \"x\"" httpStatus=401 client_ip=198.51.100.31 userAgent="Mozilla/5.0"`, []string{
					"source=kv", "level=warning", "severity=low", `message=HTTP: POST "x"`, "src_ip=198.51.100.31", "user_agent=Mozilla/5.0", "time_quality=exact", "httpStatus=401",
				}},
				{`<189>date=2026-03-04 time=05:06:07 devname="fw01" devid="FGT60" tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" srcip=10.1.1.1 srcport=4711 srcintf="lan" dstip=203.0.113.5 dstport=443 proto=6 action="deny" policyid=7 service="HTTPS"`, []string{
					"source=fortinet_fortigate", "host=fw01", "src_ip=10.1.1.1", "src_port=4711", "dst_ip=203.0.113.5", "dst_port=443", "proto=tcp", "action=deny",
					"rule_id=7", "event_code=0000000013", "in_iface=lan", "dataset=traffic.forward", "srcip=10.1.1.1", "outcome=failure",
				}},
				{`<189>date=2026-03-04 time=05:06:07 devname="fw01" devid="FGT60" tz="+0100" logid="0419016384" type="utm" subtype="ips" level="alert" severity="high" srcip=203.0.113.9 dstip=10.0.0.5 action="dropped" proto=6 service="HTTP" attack="Web.Server" srcport=4000 dstport=80 hostname="example.com" url="/etc/passwd?a"`, []string{
					"category=intrusion_detection", "outcome=failure", "severity=high", "rule_name=Web.Server", "domain=example.com", "url_path=/etc/passwd", "url_query=a", "app_proto=http",
				}},
				{`<189>date=2026-03-04 time=05:06:07 devname="fw01" devid="FGT60" tz="+0100" logid="0100032002" type="event" subtype="system" level="alert" user="admin" ui="ssh(203.0.113.9)" action="login" status="failed" reason="name_invalid"`, []string{
					"category=authentication", "action=login", "outcome=failure", "user=admin", "src_ip=203.0.113.9", "ui=ssh(203.0.113.9)",
				}},
				{"reason=Allowed\tevent_id=77\tuser=bob smith\tserverip=192.0.2.1", []string{"source=kv", "reason=Allowed", "user=bob smith", "serverip=192.0.2.1"}},
				{`logger=context t=2025-07-17T13:08:44.734245376Z level=info msg="Request Completed" method=POST path=/login?a=b status=401 remote_addr=192.168.1.1 size=94`, []string{
					"category=web", "action=request", "outcome=failure", "http_method=POST", "url_path=/login", "http_status=401", "src_ip=192.168.1.1", "time_quality=exact",
				}},
				{"type=LOGIN_ERROR, realmId=keycloak, ipAddress=192.0.2.2, error=user_not_found, username=bob", []string{"src_ip=192.0.2.2", "user=bob", "type=LOGIN_ERROR"}},
			},
		},
		strict: true,
		parse:  parseKV,
	}
}

// isKeyByte tells what a key may be made of.
func isKeyByte(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '@' || c == '/'
}

// keyLen returns the length of a key that "=" ends, or 0.
func keyLen(s string) int {
	n := 0
	for n < len(s) && n < 64 && isKeyByte(s[n]) {
		n++
	}
	if n == 0 || n >= len(s) || s[n] != '=' || !isLetter(s[0]) && s[0] != '_' && s[0] != '@' {
		return 0
	}
	return n
}

// kvStart tells whether s begins with two pairs.
func kvStart(s string) bool {
	n := keyLen(s)
	if n == 0 {
		return false
	}
	_, n = kvValue(nil, s[n+1:], kvSeparator(s))
	rest := s[keyLen(s)+1:]
	return n < len(rest) && keyLen(strings.TrimLeft(rest[n:], " ,;\t")) > 0
}

// kvSeparator is a tab where the line has any (values then hold spaces), else a
// space.
func kvSeparator(s string) byte {
	if strings.IndexByte(s, '\t') >= 0 {
		return '\t'
	}
	return ' '
}

// kvValue reads a value up to the separator; n is how many bytes it took. With a
// nil line quotes are not resolved.
func kvValue(l *line, s string, separator byte) (value string, n int) {
	if s != "" && s[0] == '"' {
		if l == nil {
			if _, n = cQuoted(s); n > 0 {
				return "", n
			}
		} else if value, n = quoted(l, s); n > 0 {
			return value, n
		}
	}
	n = strings.IndexByte(s, separator)
	if n < 0 {
		n = len(s)
	}
	value = s[:n]
	if separator == ' ' {
		value = strings.TrimSuffix(value, ",")
	}
	return value, n
}

// parseKV reads pairs; words between them that are none are left out.
func parseKV(l *line) bool {
	if !kvStart(l.text) {
		return false
	}
	j := &l.p.json
	j.forget()
	mark := len(l.e.Fields)
	s := l.text
	top := l.p.flat.top()
	link := &top.inside
	separator := kvSeparator(s)
	for s != "" {
		n := keyLen(s)
		if n == 0 {
			i := strings.IndexByte(s, separator)
			if i < 0 {
				break
			}
			s = strings.TrimLeft(s[i+1:], " \t,;")
			continue
		}
		key := s[:n]
		value, took := kvValue(l, s[n+1:], separator)
		name := link.named(key)
		if name == nil {
			name = l.p.flat.child(top, key)
			link.learn(name)
		}
		link = &name.after
		l.take(name, value, jsonString)
		s = strings.TrimLeft(s[n+1+took:], " \t,;")
	}
	if j.found.timeRank == 0 {
		l.kvTime()
	}
	if j.found.hasMessage {
		l.say(trimTail(j.found.message))
	}
	l.source = "kv"
	if j.found.shape&shapeRequest == shapeRequest {
		webRequest(l, mark)
	}
	if j.found.shape&shapeFortiGate == shapeFortiGate {
		fortiGate(l)
	} else if l.e.Get(event.Vendor) == "Zscaler" {
		l.zscalerWeb()
	} else if _, ok := l.e.Lookup(event.Category); !ok {
		l.loginFailure(cmp.Or(l.message, l.text))
	}
	return true
}

// kvTime joins the fields date and time.
func (l *line) kvTime() {
	date, clock, zone := l.e.Get("date"), l.e.Get("time"), l.e.Get("tz")
	if len(date) != 10 || len(clock) < 8 || len(clock) > 20 || len(zone) > 6 {
		return
	}
	var short [40]byte
	b := append(append(append(short[:0], date...), ' '), clock...)
	b = append(b, zone...)
	if t, q, ok := l.timeText(string(b)); ok {
		l.setTime(t, q)
	}
}

// fortiGate gives FortiGate's own meaning to what the names alone leave open.
func fortiGate(l *line) {
	e := l.e
	l.source = "fortinet_fortigate"
	l.add(event.Vendor, "Fortinet")
	l.add(event.Product, "FortiGate")
	kind, sub := e.Get("type"), e.Get("subtype")
	if kind != "" && sub != "" {
		var short [80]byte
		l.dataset = l.p.names.of(append(append(append(short[:0], kind...), '.'), sub...))
	}
	l.add(event.EventCode, e.Get("logid"))
	l.fortiGateOwn()
	switch kind {
	case "traffic":
		l.put(event.Category, "network")
	case "utm":
		category := "intrusion_detection"
		switch sub {
		case "webfilter":
			category = "web"
		case "virus":
			category = "malware"
			l.atLeast(medium)
		case "dns":
			category = "dns"
		}
		l.put(event.Category, category)
	case "event":
		if action := e.Get(event.Action); action == "login" || action == "logout" {
			l.put(event.Category, "authentication")
		}
	}
	if _, ok := e.Lookup(event.Outcome); ok {
		return
	}
	switch e.Get(event.Action) {
	case "deny", "blocked", "dropped", "block":
		l.put(event.Outcome, "failure")
	case "accept", "close", "passthrough", "pass", "timeout", "client-rst", "server-rst", "start":
		l.put(event.Outcome, "success")
	case "login":
		outcome := "success"
		if e.Get("status") == "failed" {
			outcome = "failure"
			l.atLeast(medium)
		}
		l.put(event.Outcome, outcome)
	}
}

// fortiGateOwn gives FortiGate's own keys their meaning.
func (l *line) fortiGateOwn() {
	for _, f := range slices.Clip(l.e.Fields) {
		switch f.Name {
		case "ui":
			l.consoleAddress(f.Value)
		case "attack", "virus":
			l.put(event.RuleName, f.Value)
		case "hostname":
			l.once(event.Domain, f.Value)
		case "qname":
			l.once(event.DNSQuery, f.Value)
		case "remip":
			if a, ok := address(f.Value); ok {
				l.once(event.SrcIP, a)
			}
		case "transip":
			l.addPeer(event.SrcNATIP, "", f.Value)
		case "service":
			l.once(event.AppProto, l.p.lower(f.Value))
		case event.URL:
			l.splitURL(f.Value)
		case "sessionid":
			l.once(event.SessionID, f.Value)
		}
	}
}
