package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func jsonParser() content {
	return content{
		Info: Info{
			Name:    "json",
			Sources: []string{"json"},
			About:   "any JSON object: nested names joined by dots, arrays as several values, ECS and OpenTelemetry names understood; the envelopes of Beats, rsyslog, syslog-ng, HEC, Loki, OTLP, GELF, journald, Fluent Bit, Docker and CRI, the line inside read by its own parser",
			Samples: []Sample{
				{`{"@timestamp":"2026-03-04T05:06:07.25Z","log.level":"error","message":"login failed","user":{"name":"bob"},"source":{"ip":"1.2.3.4","port":"0443"},"n":9223372036854775807}`, []string{
					"source=json", "severity=medium", "level=error", "message=login failed", "user=bob", "src_ip=1.2.3.4", "src_port=443", "n=9223372036854775807",
					"user.name=bob", "time_quality=exact",
				}},
				{`{"@timestamp":"2026-11-23T08:16:36.084522+00:00", "host":"vm", "program":"sshd", "message":"Invalid user webmaster from 173.234.31.186\r"}`, []string{
					"source=sshd", "host=vm", "program=sshd", "user=webmaster", "src_ip=173.234.31.186", "outcome=failure", "message=Invalid user webmaster from 173.234.31.186",
				}},
				{`{"message":"<86>Nov 23 08:16:36 vm sshd[42]: Failed password for root from 1.2.3.4 port 5 ssh2","host":{"name":"agent7"}}`, []string{
					"source=sshd", "host=vm", "pid=42", "user=root", "severity=high",
				}},
				{`{"time":1772600767123,"severity":"HIGH","a":{"b":[1,2,{"c":"x"}]},"id":"77","empty":"","none":null}`, []string{
					"severity=high", "a.b=1", "a.b.c=x", "fields.id=77",
				}},
				{`{"EventID":1102,"Channel":"Security","Hostname":"DC1.corp.example","host":"wec1","SubjectUserName":"eve"}`, []string{"source=windows_security", "host=DC1.corp.example"}},
				{`{"EventID":4625,"Channel":"Security","Hostname":"DC1","EventTime":"2026-03-04 05:06:07","TargetUserName":"bob","TargetDomainName":"CORP","IpAddress":"::ffff:10.0.0.9","IpPort":"50111","SubStatus":"0xc000006a","LogonType":3,"Message":"An account failed to log on."}`, []string{
					"source=windows_security", "host=DC1", "event_code=4625", "category=authentication", "action=login", "outcome=failure", "reason=bad password",
					"user=bob", "user_domain=CORP", "src_ip=10.0.0.9", "src_port=50111", "severity=medium", "LogonType=3", "message=An account failed to log on.",
				}},
				{`{"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1","computer_name":"ws7","event_data":{"Image":"C:\\Windows\\cmd.exe","User":"CORP\\eve","CommandLine":"cmd /c x"}}}`, []string{
					"source=windows_sysmon", "host=ws7", "event_code=1", "category=process", "action=process_start", `Image=C:\Windows\cmd.exe`, `process_path=C:\Windows\cmd.exe`,
					"user=eve", "user_domain=CORP", "cmdline=cmd /c x", "EventID=1", `winlog.event_data.User=CORP\eve`,
				}},
				{`{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventID":17,"TimeCreated":{"#attributes":{"SystemTime":"2026-04-17T05:24:53.088849Z"}},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws8"},"EventData":{"PipeName":"\\REDSUN","User":"a\\b"}}}`, []string{
					"source=windows_sysmon", "host=ws8", "EventID=17", "Provider_Name=Microsoft-Windows-Sysmon", `PipeName=\REDSUN`, "time_quality=exact",
				}},
				{`{"timestamp":"2026-03-04T05:06:07.000001+0000","flow_id":77,"event_type":"alert","src_ip":"203.0.113.9","src_port":4000,"dest_ip":"10.0.0.5","dest_port":80,"proto":"TCP","alert":{"action":"allowed","signature_id":2001,"signature":"ET SCAN","category":"Scan","severity":1}}`, []string{
					"source=suricata", "dataset=alert", "category=intrusion_detection", "rule_id=2001", "rule_name=ET SCAN", "severity=high", "src_ip=203.0.113.9", "dst_ip=10.0.0.5",
					"dst_port=80", "proto=tcp", "action=allow",
				}},
				{`{"_path":"dns","ts":1588205199.82437,"uid":"Cv","id.orig_h":"10.0.1.6","id.orig_p":54243,"id.resp_h":"10.0.0.4","id.resp_p":53,"proto":"udp","query":"a.local","qtype_name":"A","answers":["10.0.0.4","10.0.0.5"]}`, []string{
					"source=zeek", "dataset=dns", "category=dns", "src_ip=10.0.1.6", "dst_port=53", "dns_query=a.local", "dns_answer=10.0.0.5", "session_id=Cv", "id.orig_h=10.0.1.6",
				}},
				{`{"eventTime":"2026-03-04T05:06:07Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9","recipientAccountId":"1","userIdentity":{"type":"IAMUser","userName":"pedro"},"responseElements":{"ConsoleLogin":"Failure"}}`, []string{
					"source=aws_cloudtrail", "cloud_provider=aws", "cloud_account=1", "action=login", "outcome=failure", "user=pedro", "src_ip=203.0.113.9", "severity=medium", "event_code=ConsoleLogin",
				}},
				{`{"level":"info","ts":1693840791.7564995,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"172.17.0.1","remote_port":"44790","client_ip":"127.0.0.1","proto":"HTTP/1.0","method":"GET","host":"e.org","uri":"/a?b","headers":{"User-Agent":["curl/7"]}},"size":9,"status":404}`, []string{
					"source=caddy", "dataset=caddy.access", "src_ip=127.0.0.1", "http_method=GET", "url_path=/a", "http_status=404", "user_agent=curl/7", "domain=e.org", "outcome=failure",
				}},
				{`{"message":"x","event":{"severity_label":"HIGH","ingested":"1"},"log":{"source":{"address":"9.9.9.9"}},"agent":{"id":"a"},"peer_ip":"9.9.9.9","time_quality":"exact"}`, []string{
					"severity=high", "peer_ip=192.0.2.1", "log.source.address=9.9.9.9", "fields.peer_ip=9.9.9.9", "time_quality=received", "collector_id=", "agent.id=a",
				}},
				{`{"host":"h9","level":"error","message":"cut in the mid`, []string{"tags=parse_error", "parse_error_reason=json_cut", "parse_error_at=54", "host=h9", "severity=medium", `message={"host":"h9","level":"error","message":"cut in the mid`}},
				{`{braces} are not all JSON`, []string{"source=text", "tags="}},
				{`{"time":1772600767.5,"msg":"tab\there \u00e9","tags":["a","b"],"count":9}`, []string{"message=tab\there é", "tags=a", "fields.count=9"}},
			},
		},
		strict: true,
		parse:  parseJSON,
	}
}

// jsonFound gathers what the fields of one record say.
type jsonFound struct {
	shape                            shape
	timeRank, messageRank, levelRank byte
	message                          string
	hasMessage                       bool
	shipperHost, shipperProgram      string     // what a collector says where the record says nothing
	gelf                             bool       // the levels are syslog's numbers
	zscaler                          bool       // a name that only Zscaler gives
	canonical                        [16]uint16 // where the fields that came under canonical names stand
	canonicals                       int        // how many: more than there is room for means that all must be looked at
}

// addCanonical adds a field under a canonical name.
func (l *line) addCanonical(name, value string) {
	found := &l.p.json.found
	if found.canonicals < len(found.canonical) {
		found.canonical[found.canonicals] = uint16(len(l.e.Fields))
	}
	found.canonicals++
	l.e.Fields = append(l.e.Fields, event.Field{Name: name, Value: value})
}

// maxJSONFields bounds the fields of one event; the rest stays in raw.
const maxJSONFields = 1000

// parseJSON reads an object and gives its fields their meaning.
func parseJSON(l *line) bool {
	if l.text == "" || l.text[0] != '{' {
		return false
	}
	j := &l.p.json
	j.forget()
	mark, before := len(l.e.Fields), *l
	if !j.scan(l.text) {
		claims := claimsJSON(l.text)
		if claims && l.header == "none" && l.source == "" {
			// Cut or broken: what was read before the break is kept, the text stays whole.
			l.know("json", "the text begins as a JSON object but is none")
			l.fail(jsonBreak(l.text))
			l.source = "json"
			return true
		}
		*l = before
		if claims {
			l.fail(jsonBreak(l.text))
		}
		return false
	}
	found := &j.found
	if found.hasMessage {
		l.text = trimTail(found.message)
	}
	if l.readProduct(found.shape, mark) {
		l.shipper()
		if l.source == "" {
			l.source = "json"
		}
		return true
	}
	if found.hasMessage && l.depth == 0 {
		l.inner()
	}
	l.shipper()
	if found.zscaler && l.source == "" {
		l.zscalerPrivate()
	}
	if l.source == "" {
		l.source = "json"
	}
	if _, ok := l.e.Lookup(event.Category); !ok && found.hasMessage && !l.loginSuccess(l.text) {
		l.loginFailure(l.text)
	}
	return true
}

// claimsJSON tells an object's beginning from other text in braces.
func claimsJSON(s string) bool {
	s = strings.TrimLeft(s[1:], " \t\r\n")
	return s != "" && s[0] == '"'
}

// take takes one scalar of a JSON object.
func (l *line) take(n *jsonNode, value string, kind jsonKind) {
	e := l.e
	if len(e.Fields) >= maxJSONFields {
		l.fieldsCut = true
		return
	}
	found := &l.p.json.found
	found.shape |= n.marks
	if n.role != roleNone && !l.takeRole(n, value, kind) {
		return
	}
	e.Fields = append(e.Fields, event.Field{Name: n.name, Value: value})
	if n.slot != winNone {
		l.p.json.windows[n.slot], l.p.json.hasWindows = value, true
	}
	if n.own != nil {
		l.take(n.own, value, kind)
	}
}

// takeRole gives the value of a name with a role its meaning, and tells whether
// it is to stand under its own name as well.
func (l *line) takeRole(n *jsonNode, value string, kind jsonKind) bool {
	found := &l.p.json.found
	name := n.name
	switch n.role {
	case roleText:
		if n.single {
			if _, ok := l.e.Lookup(n.canonical); ok {
				if name == n.canonical {
					l.e.Add(n.native, value)
					return false
				}
				break
			}
		}
		l.addCanonical(n.canonical, value)
	case roleDataset:
		if l.dataset == "" || name == event.Dataset {
			l.dataset = value
		}
	case roleProtocol:
		if value != "" {
			l.addCanonical(n.canonical, l.protocol(value))
		}
	case roleInt:
		v, ok := canonicalInt(value)
		if ok {
			l.addCanonical(n.canonical, v)
		}
		if name == n.canonical && v != value {
			l.e.Add(n.native, value)
		}
	case roleAddress:
		l.takeAddress(n, value)
	case roleTime:
		if name == "LogTimestamp" {
			found.zscaler = true
		}
		if n.rank > found.timeRank && kind != jsonBool {
			if t, q, ok := l.timeText(value); ok {
				l.setTime(t, q)
				found.timeRank = n.rank
			}
		}
		l.e.Add(n.native, value)
		return false
	case roleMessage:
		if n.rank > found.messageRank && (n.rank >= 5 || kind == jsonString) {
			found.message, found.messageRank, found.hasMessage = value, n.rank, true
		}
		switch name {
		case event.Message: // the core field
			return false
		case "short_message":
			found.gelf = true
		}
	case roleHost:
		if l.host == "" || name == event.Host || name == "host.name" {
			l.host = value
		}
	case roleProgram:
		if l.program == "" || name == event.Program {
			l.setProgram(value)
		}
	case rolePID:
		l.pid = value
		if name == event.PID {
			if _, ok := canonicalInt(value); !ok {
				l.e.Add(n.native, value)
			}
		}
	case roleLevel:
		if name == "event.severity" && (kind != jsonString || levelSeverity(value) == unsaid) {
			break
		}
		if n.rank > found.levelRank {
			found.levelRank = n.rank
			if name == "severityNumber" {
				value = otlpLevel(value)
			}
			l.jsonLevel(value, kind)
		}
	case roleSeverity:
		low := l.p.lower(value)
		if s := severity(event.SeverityRank(low)); s != unsaid {
			l.atLeast(s)
			if low == value {
				return false
			}
		} else if kind == jsonString {
			l.atLeast(levelSeverity(value))
		}
		l.e.Add(n.native, value)
		return false
	case roleSource:
		if isShortName(value) {
			l.source = value
			if name == event.Source {
				return false
			}
		}
		l.e.Add(n.native, value)
		return false
	case roleShipperHost:
		if found.shipperHost == "" && isLogName(value) {
			found.shipperHost = value
		}
	case roleShipperProgram:
		if found.shipperProgram == "" && isLogName(value) {
			found.shipperProgram = value
		}
	case roleReserved:
		l.addCanonical(n.canonical, value)
		return false
	}
	return name != n.canonical
}

// takeAddress adds an address, which may come with its port.
func (l *line) takeAddress(n *jsonNode, value string) {
	a, ok := address(value)
	if !ok {
		var port string
		if a, port = addressPort(value); port != "" {
			if a, ok = address(a); ok && n.canonical == event.SrcIP {
				if v, ok := canonicalInt(port); ok {
					l.addCanonical(event.SrcPort, v)
				}
			}
		}
	}
	if ok {
		l.addCanonical(n.canonical, a)
	} else if n.canonical == event.SrcIP && value != "" && value != "-" && strings.IndexByte(value, ' ') < 0 {
		l.addCanonical(event.SrcHost, value)
	}
	if n.name == n.canonical && (!ok || a != value) {
		l.e.Add(n.native, value)
	}
}

// jsonLevel takes a level in words or as syslog's number.
func (l *line) jsonLevel(value string, kind jsonKind) {
	if len(value) == 1 && value[0] >= '0' && value[0] <= '7' && kind == jsonString { // journald's PRIORITY
		l.level = syslogLevels[value[0]-'0']
		l.atLeast(syslogSeverity(int(value[0] - '0')))
		return
	}
	l.setLevel(value)
}

// isShortName tells a product's short name from other text.
func isShortName(s string) bool {
	if s == "" || len(s) > 64 || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && !isDigit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
