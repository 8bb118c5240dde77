package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func cefParser() content {
	return content{
		Info: Info{
			Name:    "cef",
			Sources: []string{"cef"},
			About:   "ArcSight Common Event Format of any product: the source is vendor and product, the keys become canonical fields",
			Samples: []Sample{
				{`Sep 19 08:26:10 fw1 CEF:0|Check Point|VPN-1 & FireWall-1|R80|100|worm \| stopped|9|src=10.0.0.1 dst=2.1.2.2 spt=1232 dpt=443 proto=TCP suser=bob act=drop msg=a \= b\nline two request=http://e.org/x?y cs1Label=Rule Name cs1=Stop worms rt=1772600767123`, []string{
					"source=checkpoint", "vendor=Check Point", "product=VPN-1 & FireWall-1", "event_code=100", "rule_name=Stop worms", "severity=critical",
					"host=fw1", "src_ip=10.0.0.1", "dst_ip=2.1.2.2", "src_port=1232", "dst_port=443", "proto=tcp", "user=bob", "action=drop", "msg=a = b\nline two",
					"url=http://e.org/x?y", "url_path=/x", "url_query=y", "Rule_Name=Stop worms", "cs1=Stop worms", "time_quality=exact", "outcome=failure",
				}},
				{`CEF:0|Fortinet|Fortigate|v7.0|00013|traffic:forward accept|3|deviceExternalId=FG1 dvchost=fg1 src=10.1.1.1 outcome=success duser=eve in=10 out=20`, []string{
					"source=fortinet_fortigate", "host=fg1", "target_user=eve", "outcome=success", "severity=low", "dst_bytes=10", "src_bytes=20", "deviceExternalId=FG1",
				}},
				{`CEF:0|Fortinet|Fortigate|v7.2.0|32002|event:system login failed|7|FTNTFGTlogid=0100032002 cat=event:system FTNTFGTlevel=alert duser=admin FTNTFGTui=ssh(203.0.113.9) act=login outcome=failed`, []string{
					"source=fortinet_fortigate", "dataset=event.system", "event_code=0100032002", "category=authentication", "action=login", "outcome=failure", "user=admin", "src_ip=203.0.113.9", "FTNTFGTlogid=0100032002",
				}},
				{`CEF:0|V|P|broken`, []string{"source=cef", "tags=parse_error", "parse_error_reason=cef_header", "parse_error_at=16", "message=CEF:0|V|P|broken"}},
			},
		},
		strict: true,
		parse:  parseCEF,
	}
}

// parseCEF reads "CEF:0|VENDOR|PRODUCT|VERSION|ID|NAME|SEVERITY|key=value …".
func parseCEF(l *line) bool {
	s, ok := strings.CutPrefix(l.text, "CEF:")
	if !ok {
		return false
	}
	var head [7]string
	for i := range head {
		var n int
		head[i], n = cefPart(l, s)
		if n < 0 {
			if i < 6 {
				l.fail(ReasonCEF, len(l.text))
				l.source = "cef"
				return true
			}
			head[i], n = s, len(s) // no extension and no last bar
		}
		s = s[n:]
	}
	l.source = l.snakeSource(head[1], head[2])
	l.add(event.Vendor, head[1])
	l.add(event.Product, head[2])
	l.add("device_version", head[3])
	l.add(event.EventCode, head[4])
	l.add(event.RuleName, head[5])
	l.level = head[6]
	l.atLeast(cefSeverity(head[6]))
	x := extension{l: l}
	for s = strings.TrimLeft(s, " "); s != ""; {
		n := keyLen(s)
		if n == 0 { // not a pair: up to the next one
			n = cefNext(s)
			s = strings.TrimLeft(s[n:], " ")
			continue
		}
		rest := s[n+1:]
		end := cefNext(rest)
		x.pair(s[:n], cefUnescape(l, strings.TrimRight(rest[:end], " ")))
		s = strings.TrimLeft(rest[end:], " ")
	}
	x.done()
	l.cefProduct(head[1], head[2], head[5])
	return true
}

// cefPart reads a part of the header up to its bar; n is -1 where none follows.
func cefPart(l *line, s string) (part string, n int) {
	escaped := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '|':
			if escaped {
				return cefUnescape(l, s[:i]), i + 1
			}
			return s[:i], i + 1
		}
	}
	return "", -1
}

// cefNext returns where the value at the start of s ends: before the space that
// the next key follows.
func cefNext(s string) int {
	for at := 0; at < len(s); {
		eq := strings.IndexByte(s[at:], '=')
		if eq < 0 {
			return len(s)
		}
		eq += at
		k := eq
		for k > 0 && isCEFKeyByte(s[k-1]) {
			k--
		}
		if k < eq && k > 0 && s[k-1] == ' ' {
			return k - 1
		}
		at = eq + 1
	}
	return len(s)
}

func isCEFKeyByte(c byte) bool { return isKeyByte(c) && c != '/' || c == '[' || c == ']' }

// cefUnescape resolves \| \= \\ \n \r.
func cefUnescape(l *line, s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	a := &l.p.arena
	b := a.grab(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '|', '=', '\\':
				i++
				c = s[i]
			case 'n':
				i++
				c = '\n'
			case 'r':
				i++
				c = '\r'
			}
		}
		b = append(b, c)
	}
	return a.keep(b)
}

// cefSeverity ranks 0 to 10, or the words.
func cefSeverity(s string) severity {
	if n := number(s); n >= 0 {
		switch {
		case n >= 9:
			return critical
		case n >= 7:
			return high
		case n >= 4:
			return medium
		case n >= 2:
			return low
		default:
			return info
		}
	}
	switch s {
	case "Very-High":
		return critical
	case "High":
		return high
	case "Medium":
		return medium
	case "Low":
		return low
	}
	return levelSeverity(s)
}

// snakeSource makes "fortinet_fortigate" of vendor and product.
func (l *line) snakeSource(vendor, product string) string {
	var short [128]byte
	b := short[:0]
	if len(product) < len(vendor) || !strings.EqualFold(product[:len(vendor)], vendor) {
		b = appendSnake(b, vendor)
	}
	b = appendSnake(b, product)
	if len(b) == 0 {
		return "cef"
	}
	return l.p.names.of(b)
}

// appendSnake appends the letters and digits of s in small letters, with one
// underscore for what is between them.
func appendSnake(b []byte, s string) []byte {
	gap := len(b) > 0
	for i := 0; i < len(s) && len(b) < 96; i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', isDigit(c):
		default:
			gap = len(b) > 0
			continue
		}
		if gap {
			b = append(b, '_')
			gap = false
		}
		b = append(b, c)
	}
	return b
}

// An extension takes the pairs of CEF and LEEF.
type extension struct {
	l       *line
	user    string // who acted, else who was acted on
	target  string
	action  string
	outcome string
	labels  [6]struct{ label, value string } // cs1 … cs6
}

// pair keeps a key under its own name and gives it its meaning.
func (x *extension) pair(key, value string) {
	l := x.l
	if value == "" {
		return
	}
	l.native("", key, value)
	switch key {
	case "src", "srcIP", "sourceAddress", "c6a2":
		l.addPeer(event.SrcIP, event.SrcHost, value)
	case "dst", "dstIP", "destinationAddress", "c6a3":
		l.addPeer(event.DstIP, event.DstHost, value)
	case "spt", "srcPort", "sourcePort":
		l.addInt(event.SrcPort, value)
	case "dpt", "dstPort", "destinationPort":
		l.addInt(event.DstPort, value)
	case "proto", "transportProtocol":
		l.add(event.Proto, l.protocol(value))
	case "app":
		l.add(event.AppProto, l.p.lower(value))
	case "suser", "usrName", "sourceUserName":
		x.user = value
	case "duser", "destinationUserName":
		x.target = value
	case "suid":
		l.add(event.UserID, value)
	case "sntdom", "domain":
		l.add(event.UserDomain, value)
	case "shost", "sourceHostName", "identHostName":
		l.add(event.SrcHost, value)
	case "dhost", "destinationHostName":
		l.add(event.DstHost, value)
	case "smac", "srcMAC":
		l.add(event.SrcMAC, value)
	case "dmac", "dstMAC":
		l.add(event.DstMAC, value)
	case "sourceTranslatedAddress", "srcPostNAT":
		l.addPeer(event.SrcNATIP, "", value)
	case "destinationTranslatedAddress", "dstPostNAT":
		l.addPeer(event.DstNATIP, "", value)
	case "in", "dstBytes", "bytesIn":
		l.addInt(event.DstBytes, value)
	case "out", "srcBytes", "bytesOut":
		l.addInt(event.SrcBytes, value)
	case "act", "action", "deviceAction":
		x.action = l.p.lower(value)
	case "outcome", "categoryOutcome":
		x.outcome = l.p.lower(value)
	case "reason":
		l.add(event.Reason, value)
	case "request", "url":
		l.addURL(value)
	case "requestMethod":
		l.add(event.HTTPMethod, value)
	case "requestClientApplication":
		l.add(event.UserAgent, value)
	case "requestContext":
		l.add(event.Referrer, value)
	case "filePath", "fname":
		if _, ok := l.e.Lookup(event.FilePath); !ok {
			l.add(event.FilePath, value)
		}
	case "fileHash":
		switch len(value) {
		case 64:
			l.add(event.HashSHA256, value)
		case 32:
			l.add(event.HashMD5, value)
		}
	case "sproc", "dproc", "deviceProcessName":
		if l.program == "" {
			l.setProgram(value)
		}
	case "deviceInboundInterface":
		l.add(event.InIface, value)
	case "deviceOutboundInterface":
		l.add(event.OutIface, value)
	case "deviceDirection":
		switch value {
		case "0":
			l.add(event.Direction, "inbound")
		case "1":
			l.add(event.Direction, "outbound")
		}
	case "cat":
		l.add(event.RuleCategory, value)
	case "cnt":
		l.add("cef_count", value)
	case "sev":
		l.atLeast(cefSeverity(value))
	case "dvchost":
		l.host = value
	case "dvc":
		l.addPeer(event.HostIP, "", value)
		if l.host == "" {
			l.host = value
		}
	case "rt", "devTime", "end", "deviceReceiptTime":
		if !l.hasTime || l.quality == qualityYear || key == "rt" || key == "devTime" {
			if t, q, ok := l.timeText(value); ok {
				l.setTime(t, q)
			}
		}
	case "cs1", "cs2", "cs3", "cs4", "cs5", "cs6":
		x.labels[key[2]-'1'].value = value
	case "cs1Label", "cs2Label", "cs3Label", "cs4Label", "cs5Label", "cs6Label":
		x.labels[key[2]-'1'].label = value
	}
}

// done adds what several keys decide together.
func (x *extension) done() {
	l := x.l
	for _, cs := range x.labels {
		if cs.label == "" || cs.value == "" || len(cs.label) > 64 {
			continue
		}
		var short [64]byte
		b := append(short[:0], cs.label...)
		for i, c := range b {
			if c == ' ' || c == '\t' {
				b[i] = '_'
			}
		}
		name := l.p.names.of(b)
		if event.IsCanonical(name) {
			l.native("", name, cs.value)
		} else {
			l.add(name, cs.value)
		}
	}
	switch {
	case x.user != "":
		l.add(event.User, x.user)
		l.add(event.TargetUser, x.target)
	case x.target != "":
		l.add(event.User, x.target)
		l.add(event.TargetUser, x.target)
	}
	l.put(event.Action, x.action)
	switch x.outcome {
	case "success", "/success":
		l.put(event.Outcome, "success")
	case "failure", "/failure", "failed", "fail":
		l.put(event.Outcome, "failure")
	case "":
		switch x.action {
		case "drop", "dropped", "deny", "denied", "block", "blocked", "reject", "rejected", "prevent", "prevented", "quarantine":
			l.put(event.Outcome, "failure")
		case "allow", "allowed", "accept", "accepted", "permit", "permitted", "pass", "passed":
			l.put(event.Outcome, "success")
		}
	default:
		l.put(event.Outcome, "unknown")
	}
}
