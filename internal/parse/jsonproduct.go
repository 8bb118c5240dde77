package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// outcomeOf adds an outcome that a product states in its own words.
func (l *line) outcomeOf(ok bool) {
	if ok {
		l.put(event.Outcome, "success")
	} else {
		l.put(event.Outcome, "failure")
	}
}

// put sets a field of which there is one, and moves a value of the record's own
// that differs to the native namespace.
func (l *line) put(name, value string) {
	l.putAt(l.indexOf(name), name, value)
}

// indexOf returns the index of the first field of a canonical name, -1 without.
// While a product's reader runs, it looks only at the fields that can have one.
func (l *line) indexOf(name string) int {
	from, fields := 0, l.e.Fields
	if found := &l.p.json.found; l.reading > 0 && found.canonicals <= len(found.canonical) {
		for _, i := range found.canonical[:found.canonicals] {
			if fields[i].Name == name {
				return int(i)
			}
		}
		from = l.reading
	}
	for i := from; i < len(fields); i++ {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

// putAt is put where the field's index is known, -1 if it is not there.
func (l *line) putAt(i int, name, value string) {
	if i < 0 {
		l.add(name, value)
		return
	}
	f := &l.e.Fields[i]
	if old := f.Value; old != value {
		f.Value = value
		l.native("", name, old)
	}
}

// putThree puts the fields that say what happened; what is "" stays as it is.
func (l *line) putThree(category, action, outcome string) {
	if category != "" {
		l.put(event.Category, category)
	}
	if action != "" {
		l.put(event.Action, action)
	}
	if outcome != "" {
		l.put(event.Outcome, outcome)
	}
}

// suricata reads EVE records.
func suricata(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	l.source = "suricata"
	l.add(event.Vendor, "OISF")
	action := ""
	for _, f := range own {
		switch f.Name {
		case "event_type":
			l.dataset = f.Value
			l.put(event.Category, suricataCategory(f.Value))
		case "alert.signature_id":
			l.add(event.RuleID, f.Value)
		case "alert.signature":
			l.add(event.RuleName, f.Value)
			l.say(f.Value)
		case "alert.category":
			l.add(event.RuleCategory, f.Value)
		case "alert.severity":
			switch f.Value {
			case "1":
				l.atLeast(high)
			case "2":
				l.atLeast(medium)
			case "3":
				l.atLeast(low)
			}
		case "alert.action":
			action = f.Value
		case "http.http_method":
			l.add(event.HTTPMethod, f.Value)
		case "http.url":
			l.addURL(f.Value)
		case "http.hostname":
			l.add(event.Domain, f.Value)
		case "http.http_user_agent":
			l.add(event.UserAgent, f.Value)
		case "http.http_refer":
			l.add(event.Referrer, f.Value)
		case "http.status":
			l.addInt(event.HTTPStatus, f.Value)
		case "dns.rrname", "dns.queries.rrname":
			l.add(event.DNSQuery, f.Value)
		case "dns.rrtype", "dns.queries.rrtype":
			l.add(event.DNSType, f.Value)
		case "dns.answers.rdata":
			l.add(event.DNSAnswer, f.Value)
		case "tls.sni":
			l.add(event.TLSSNI, f.Value)
		case "tls.ja3.hash":
			l.add(event.JA3, f.Value)
		case "fileinfo.filename":
			l.add(event.FilePath, f.Value)
		case "fileinfo.sha256":
			l.add(event.HashSHA256, f.Value)
		case "flow_id":
			l.add(event.SessionID, f.Value)
		}
	}
	if action == "blocked" {
		l.put(event.Action, "drop")
		l.put(event.Outcome, "failure")
	} else if action != "" {
		l.put(event.Action, "allow")
		l.put(event.Outcome, "success")
	}
	return true
}

func suricataCategory(kind string) string {
	switch kind {
	case "alert":
		return "intrusion_detection"
	case "dns":
		return "dns"
	case "http":
		return "web"
	case "fileinfo":
		return "file"
	default:
		return "network"
	}
}

// zeek reads Zeek's JSON logs, whose dotted names some shippers write with
// underscores.
func zeek(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	l.source = "zeek"
	category := "network"
	for _, f := range own {
		switch f.Name {
		case "_path", "@stream":
			l.dataset = f.Value
			switch f.Value {
			case "dns":
				category = "dns"
			case "http":
				category = "web"
			case "notice":
				category = "intrusion_detection"
				l.atLeast(medium)
			}
		case "@system":
			l.host = f.Value
		case "uid":
			l.add(event.SessionID, f.Value)
		case "id.orig_h", "id_orig_h":
			l.addPeer(event.SrcIP, event.SrcHost, f.Value)
		case "id.orig_p", "id_orig_p":
			l.addInt(event.SrcPort, f.Value)
		case "id.resp_h", "id_resp_h":
			l.addPeer(event.DstIP, event.DstHost, f.Value)
		case "id.resp_p", "id_resp_p":
			l.addInt(event.DstPort, f.Value)
		case "service":
			l.add(event.AppProto, f.Value)
		case "orig_bytes":
			l.addInt(event.SrcBytes, f.Value)
		case "resp_bytes":
			l.addInt(event.DstBytes, f.Value)
		case "query":
			l.add(event.DNSQuery, f.Value)
		case "qtype_name":
			l.add(event.DNSType, f.Value)
		case "answers":
			l.add(event.DNSAnswer, f.Value)
		case "method":
			l.add(event.HTTPMethod, f.Value)
		case "uri":
			l.addURL(f.Value)
		case "status_code":
		case "server_name":
			l.add(event.TLSSNI, f.Value)
		case "ja3":
		case "auth_success":
			l.put(event.Action, "login")
			l.outcomeOf(f.Value == "true" || f.Value == "T")
		case "note":
			l.add(event.RuleName, f.Value)
		}
	}
	l.put(event.Category, category)
	return true
}

// caddy reads Caddy's access log.
func caddy(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	client, remote := "", ""
	for _, f := range own {
		switch f.Name {
		case "request.client_ip":
			client = f.Value
		case "request.remote_ip", "request.remote_addr":
			remote = f.Value
		case "request.remote_port":
			l.addInt(event.SrcPort, f.Value)
		case "request.method":
			l.add(event.HTTPMethod, f.Value)
		case "request.uri":
			l.addURL(f.Value)
		case "request.host":
			l.add(event.Domain, f.Value)
		case "request.proto":
			l.add(event.HTTPVersion, strings.TrimPrefix(f.Value, "HTTP/"))
		case "request.headers.User-Agent":
			l.add(event.UserAgent, f.Value)
		case "request.headers.Referer":
			l.add(event.Referrer, f.Value)
		case "status":
			l.accessStatus(f.Value)
		case "size":
			l.addInt(event.DstBytes, f.Value)
		case "user_id":
			l.add(event.User, f.Value)
		}
	}
	if client == "" {
		client, _ = addressPort(remote)
	}
	l.addSource(client, "")
	l.put(event.Category, "web")
	l.source, l.web = "caddy", true
	return true
}

// caddyOwn reads what Caddy says of itself: its loggers are named by its modules.
func caddyOwn(l *line, from int) bool {
	for _, f := range l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)] {
		if f.Name != "logger" {
			continue
		}
		for _, module := range [...]string{"http.handlers.", "http.log.", "http.auto_https", "http.reverse_proxy", "http.authentication", "tls.", "admin.api", "caddy.", "caddyfile"} {
			if strings.HasPrefix(f.Value, module) {
				l.source, l.dataset = "caddy", "caddy.log"
				l.program = cmp.Or(l.program, "caddy")
				return true
			}
		}
	}
	return false
}

// accessStatus adds an access log's status and what it says of the request.
func (l *line) accessStatus(status string) {
	l.addInt(event.HTTPStatus, status)
	l.put(event.Action, "request")
	l.outcomeOf(len(status) != 3 || status[0] < '4')
}

// nginxJSON reads an access log that nginx writes as JSON under the names of its
// variables.
func nginxJSON(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	request, uri, method := "", "", ""
	for _, f := range own {
		switch f.Name {
		case "remote_user":
			l.addNonDash(event.User, f.Value)
		case "request":
			request = f.Value
		case "request_uri":
			uri = f.Value
		case "request_method":
			method = f.Value
		case "status":
			l.accessStatus(f.Value)
		case "body_bytes_sent":
			l.addInt(event.DstBytes, f.Value)
		case "host", "http_host", "server_name":
			if _, ok := l.e.Lookup(event.Domain); !ok {
				l.addNonDash(event.Domain, f.Value)
			}
		}
	}
	if request != "" {
		if method == "" {
			accessRequest(l, request)
		} else if _, rest := cutField(request); rest != "" {
			url, _ := cutField(rest)
			l.addURL(url)
		}
	} else if uri != "" {
		l.addURL(uri)
	}
	l.put(event.Category, "web")
	l.source, l.web = "nginx", true
	return true
}

// webRequest reads any program's record of one request: method, path, status.
func webRequest(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	method, path, status := "", "", ""
	for _, f := range own {
		switch f.Name {
		case "method":
			method = f.Value
		case "path", "uri", event.URL:
			path = f.Value
		case "status":
			status = f.Value
		}
	}
	if !isMethod(method) || number(status) < 100 || number(status) > 599 || path == "" {
		return false
	}
	l.add(event.HTTPMethod, method)
	if l.e.Get(event.URL) == "" {
		l.addURL(path)
	}
	l.accessStatus(status)
	l.put(event.Category, "web")
	return true
}

// traefik reads Traefik's access log.
func traefik(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	for _, f := range own {
		switch f.Name {
		case "ClientHost": // with forwarded addresses, the last is the nearest proxy's
			l.addSource(f.Value[strings.LastIndexByte(f.Value, ',')+1:], "")
		case "ClientPort":
			l.addInt(event.SrcPort, f.Value)
		case "ClientUsername":
			l.addNonDash(event.User, f.Value)
		case "DownstreamStatus":
			l.accessStatus(f.Value)
		case "DownstreamContentSize":
			l.addInt(event.DstBytes, f.Value)
		case "RequestMethod":
			l.add(event.HTTPMethod, f.Value)
		case "RequestPath":
			l.addURL(f.Value)
		case "RequestHost":
			l.add(event.Domain, f.Value)
		case "RequestProtocol":
			l.add(event.HTTPVersion, strings.TrimPrefix(f.Value, "HTTP/"))
		case "request_User-Agent":
			l.add(event.UserAgent, f.Value)
		case "request_Referer":
			l.add(event.Referrer, f.Value)
		}
	}
	l.put(event.Category, "web")
	l.source, l.web = "traefik", true
	return true
}
