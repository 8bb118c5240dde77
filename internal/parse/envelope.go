package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A collector puts what it read into an envelope: Beats, rsyslog and syslog-ng for
// Elasticsearch, Splunk's HEC, Loki, OpenTelemetry, GELF, journald, Fluent Bit,
// container runtimes. The line inside is read as if it had come alone; host,
// program, time and level of the envelope serve where the line has none of its own.

// envelopeRole knows the names that collectors give to what they know of a record.
// What they say of host and program gives way to what any field of the record says.
func envelopeRole(name string) (jsonName, bool) {
	switch name {
	case "short_message": // GELF
		return jsonName{role: roleMessage, rank: 8}, true
	case "event": // HEC; a name of what happened elsewhere
		return jsonName{role: roleMessage, rank: 4}, true
	case "line": // Loki; a number in source code elsewhere
		return jsonName{role: roleMessage, rank: 3}, true
	case "full_message":
		return jsonName{role: roleMessage, rank: 2}, true
	case "labels.host", "labels.hostname", "labels.instance", "labels.node_name", "labels.nodename", "labels.node", "attributes.host.name", "resource.k8s.node.name",
		"kubernetes.host", "kubernetes.node.name", "kubernetes.node_name", "agent.hostname", "beat.hostname", "agent.name", "beat.name":
		return jsonName{role: roleShipperHost}, true
	case "labels.syslog_identifier", "labels.program", "labels.app", "labels.application", "labels.app_kubernetes_io_name", "labels.service_name", "labels.service",
		"labels.container", "labels.container_name", "labels.job", "resource.service.name", "attributes.service.name", "attributes.syslog.appname",
		"attributes.appname", "kubernetes.labels.app", "kubernetes.container_name", "kubernetes.container.name", "_COMM", "container_name", "_program",
		"_application_name", "_appname", "_app":
		return jsonName{role: roleShipperProgram}, true
	case "labels.level", "labels.detected_level", "labels.severity", "attributes.level", "attributes.log.level":
		return jsonName{role: roleLevel, rank: 2}, true
	case "event.severity": // what Splunk's library says beside event.message; a number elsewhere
		return jsonName{role: roleLevel, rank: 1}, true
	case "severityNumber":
		return jsonName{role: roleLevel, rank: 1}, true
	}
	return jsonName{}, false
}

// otlpLevel names OpenTelemetry's number for how grave a record is.
func otlpLevel(number string) string {
	switch number {
	case "9", "10", "11", "12":
		return "info"
	case "13", "14", "15", "16":
		return "warning"
	case "17", "18", "19", "20":
		return "error"
	case "21", "22", "23", "24":
		return "critical"
	}
	return "debug"
}

// isLogName tells what may name a program from a collector's other words.
func isLogName(value string) bool {
	return value != "" && len(value) <= 64 && value != "-" && !strings.HasPrefix(value, "unknown_service") && strings.IndexByte(value, ' ') < 0
}

// outOfShipment returns the record's own name for a field that a collector has put
// under an object of its envelope, "" for others. Words that mean something in an
// envelope itself (message, time, level, host) are told by envelopeRole alone.
func outOfShipment(name string) string {
	if len(name) < 3 {
		return ""
	}
	switch name[0] {
	case 'e':
		if rest, ok := strings.CutPrefix(name, "event."); ok && !isEventSet(rest) {
			return rest
		}
	case 'b':
		if rest, ok := strings.CutPrefix(name, "body."); ok && rest != "stringValue" { // OTLP, of records that are maps
			return rest
		}
	case 'a':
		if rest, ok := strings.CutPrefix(name, "attributes."); ok {
			return meaning(rest)
		}
	case 'r':
		if rest, ok := strings.CutPrefix(name, "resource."); ok {
			return meaning(rest)
		}
	case 'l':
		if rest, ok := strings.CutPrefix(name, "labels."); ok {
			return meaning(rest)
		}
	case '_':
		if _, known := jsonRole(name); !known && markOf(name) == 0 && name != "_id" && name != "_path" && name[1] != '_' {
			return meaning(name[1:])
		}
	}
	return ""
}

// isEventSet tells ECS' own fields under "event." from a whole record that HEC
// carries there.
func isEventSet(name string) bool {
	switch name {
	case "action", "agent_id_status", "category", "code", "created", "dataset", "duration", "end", "hash", "id", "ingested", "kind", "module", "original", "outcome",
		"provider", "reason", "reference", "risk_score", "risk_score_norm", "sequence", "severity", "severity_label", "start", "timezone", "type", "url":
		return true
	}
	return false
}

// meaning returns name if it is one that says what happened.
func meaning(name string) string {
	switch describeName(name).role {
	case roleText, roleInt, roleAddress, roleProtocol:
		return name
	}
	if windowsSlotOf(name) != winNone || unwrapped(name) != "" {
		return name
	}
	return ""
}

// isCollector tells the modules of collectors, which name a door and no product.
func isCollector(source string) bool {
	switch source {
	case "system", "log", "logs", "filestream", "journald", "docker", "container", "kubernetes", "http", "hec", "syslog", "tcp", "udp", "file", "stdin",
		"fluentd", "fluent-bit", "vector", "promtail", "alloy", "otlp", "filebeat", "gelf", "loki":
		return true
	}
	return false
}

// container takes what a container runtime writes before each line off the text:
// "stdout F " after the time. It keeps both words.
func (l *line) container() bool {
	s := l.text
	if len(s) > 40 && isDigit(s[0]) && s[10] == 'T' { // the header's time is still there
		if i := strings.IndexByte(s[:40], ' '); i > 19 {
			s = s[i+1:]
		}
	}
	if len(s) < 9 || s[:3] != "std" || s[6] != ' ' || s[8] != ' ' || s[7] != 'F' && s[7] != 'P' || s[3:6] != "out" && s[3:6] != "err" {
		return false
	}
	l.add("stream", s[:6])
	l.add("logtag", s[7:8])
	l.text = s[9:]
	return true
}

// inner reads a log line that a collector wrapped.
func (l *line) inner() {
	l.container()
	if l.innerObject(l.text) {
		return
	}
	headed := l.innerHeader()
	l.shipper()
	if l.text == "" {
		return
	}
	reg := &l.p.registry
	before := l.source
	if isCollector(before) {
		before = ""
	}
	l.source = ""
	own, forced := reg.programs[l.p.lower(l.program)], reg.hints[l.r.Source]
	mark := len(l.e.Fields)
	switch {
	case l.pamLine() && l.try(reg.pam, ""):
		l.source = "pam"
		if own != nil {
			l.source = own.Sources[0]
		}
	case own != nil && l.try(own, ""):
	case forced != nil && forced != own && forced != reg.json && l.try(forced, ""):
	default:
		if c, _ := l.sniff(); c != nil && c != reg.json && l.try(c, "") {
			break
		}
		if l.program != "" && before == "" && headed {
			l.source = l.p.lower(l.program)
		}
	}
	l.lineFirst(mark)
	if before != "" {
		l.source = before
	}
	l.know("json", "the text begins as a JSON object")
}

// lineFirst lets what the line says happened stand before what the envelope says,
// which keeps its own name. The line's fields begin at mark.
func (l *line) lineFirst(mark int) {
	for _, f := range l.e.Fields[mark:] {
		switch f.Name {
		case event.Category, event.Action, event.Outcome:
			for i := range l.e.Fields[:mark] {
				if old := &l.e.Fields[i]; old.Name == f.Name {
					old.Name = nativeOf(f.Name)
				}
			}
		}
	}
}

// nativeOf is the name of a record's own field beside one of the three that say
// what happened.
func nativeOf(name string) string {
	switch name {
	case event.Category:
		return event.NativePrefix + event.Category
	case event.Action:
		return event.NativePrefix + event.Action
	}
	return event.NativePrefix + event.Outcome
}

// innerHeader reads a header of the line inside, and tells whether it has one; if
// not, a time at the line's start serves where the envelope has none.
func (l *line) innerHeader() bool {
	if l.program != "" && !strings.HasPrefix(l.text, "<") {
		return false
	}
	outer := *l
	l.header, l.program = "none", ""
	scanHeader(l)
	headed := l.program != "" || l.header == "rfc5424" || l.pri >= 0 && outer.pri < 0 || l.header == "rfc3164" && l.host != outer.host
	if headed {
		l.header = outer.header
		if l.program == "" {
			l.program = outer.program
		}
		return true
	}
	inner := *l
	*l = outer
	if !l.hasTime && inner.hasTime {
		l.setTime(inner.time, inner.quality)
	}
	return false
}

// shipper takes the collector's word for host and program where nothing else has
// told them.
func (l *line) shipper() {
	found := &l.p.json.found
	if l.host == "" {
		l.host = found.shipperHost
	}
	if l.program == "" && found.shipperProgram != "" {
		l.setProgram(found.shipperProgram)
	}
	if found.gelf && len(l.level) == 1 && l.level[0] >= '0' && l.level[0] <= '7' {
		n := int(l.level[0] - '0')
		l.level = syslogLevels[n]
		l.atLeast(syslogSeverity(n))
	}
}

// innerObject reads a record that stands as text in a field of this one; its
// fields come beside this one's. It returns false where text is no object.
func (l *line) innerObject(text string) bool {
	if text == "" || text[0] != '{' || l.depth > 1 {
		return false
	}
	l.depth++
	defer func() { l.depth-- }()
	j := &l.p.json
	outer, before, mark := j.found, *l, len(l.e.Fields)
	// A time of the record's own comes before the collector's.
	j.found = jsonFound{timeRank: 5, canonical: outer.canonical, canonicals: outer.canonicals}
	if !j.scan(text) {
		*l = before
		j.found, l.e.Fields = outer, l.e.Fields[:mark]
		return false
	}
	if isCollector(l.source) {
		l.source = ""
	}
	own := j.found
	if own.hasMessage {
		l.text = trimTail(own.message)
	}
	known := l.readProduct(own.shape, mark)
	j.found.shipperHost = cmp.Or(own.shipperHost, outer.shipperHost)
	j.found.shipperProgram = cmp.Or(own.shipperProgram, outer.shipperProgram)
	if !known && own.hasMessage {
		l.inner()
	}
	l.shipper()
	j.found.shape, j.found.hasMessage = outer.shape, true
	return true
}

// bytesText reads an array of numbers as text: journald writes a message so that
// is no UTF-8.
func (j *jsonScanner) bytesText() (string, bool) {
	s, i := j.s, afterSpaces(j.s, j.i+1)
	if i >= len(s) || !isDigit(s[i]) {
		return "", false
	}
	b := make([]byte, 0, 64)
	for i < len(s) {
		n := digits(s[i:min(len(s), i+4)])
		v := number(s[i : i+n])
		if v < 0 || v > 255 {
			return "", false
		}
		b = append(b, byte(v))
		i = afterSpaces(s, i+n)
		if i >= len(s) {
			return "", false
		}
		if s[i] == ']' {
			j.i = i + 1
			return cleanText(string(b)), true
		}
		if s[i] != ',' {
			return "", false
		}
		i = afterSpaces(s, i+1)
	}
	return "", false
}
