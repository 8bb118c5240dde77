package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// role says what a JSON field means to every kind of record.
type role byte

const (
	roleNone        role = iota
	roleText             // a canonical field
	roleInt              // a canonical field that is numeric
	roleAddress          // a canonical field that is an address
	roleTime             // when it happened
	roleMessage          // its text
	roleHost             // which machine
	roleProgram          // which program
	rolePID              //
	roleLevel            // how grave
	roleSeverity         // how grave, perhaps in our own words
	roleSource           // which product
	roleDataset          // which part of a product
	roleProtocol         // tcp, udp, …
	roleReserved         // a name that only KYRA gives
	roleShipperHost      // which machine, by a collector's word
	roleShipperProgram
)

// A jsonName is what is known of a field name, found once for each name.
type jsonName struct {
	name      string // dotted
	canonical string
	native    string // the name under which the record's own value stands beside a canonical field
	role      role
	rank      byte // of several fields with one role the highest counts
	whole     bool // an object under it stands as text too
	plain     bool // nothing but the field itself comes of it
	single    bool // a canonical field of which there is one
	slot      windowsSlot
	marks     shape
	own       *jsonNode // the product's name where a shipper gave it an envelope
}

// shape is a set of names that records of known products have.
type shape uint64

// maxNames bounds the names that are remembered, maxNameLen how long one may be.
const (
	maxNames   = 8192
	maxNameLen = 256
)

// A jsonNode is a key at its place in records, with what is known of its dotted
// name and of the keys that stood around it.
type jsonNode struct {
	jsonName
	quoted string // the key as records have it, with quotes and colon; "" if it is not to be remembered
	keys   map[string]*jsonNode
	inside follow // the first key of the object that it holds
	after  follow // the key that comes next
}

// A follow remembers the two keys that came last at one place.
type follow struct{ last, before *jsonNode }

// guess returns the key with which s begins if it is one of the two.
func (f *follow) guess(s string) *jsonNode {
	if n := f.last; n != nil && strings.HasPrefix(s, n.quoted) {
		return n
	}
	if n := f.before; n != nil && strings.HasPrefix(s, n.quoted) {
		f.last, f.before = n, f.last
		return n
	}
	return nil
}

// named returns the one of the two that has the name.
func (f *follow) named(name string) *jsonNode {
	if n := f.last; n != nil && n.name == name {
		return n
	}
	if n := f.before; n != nil && n.name == name {
		f.last, f.before = n, f.last
		return n
	}
	return nil
}

func (f *follow) learn(n *jsonNode) {
	if n.quoted != "" {
		f.last, f.before = n, f.last
	}
}

// unnamed is the place of what is nested too deep to be told apart.
var unnamed jsonNode

// A jsonTree remembers the keys of all records of one form.
type jsonTree struct {
	root *jsonNode
	n    int
}

// top returns the place of a record's own keys.
func (t *jsonTree) top() *jsonNode {
	if t.root == nil || t.n >= maxNames {
		// Names without end come from one sender: the others' return soon.
		t.root, t.n = &jsonNode{}, 0
	}
	return t.root
}

// child returns the key's place in an object of the name in.
func (t *jsonTree) child(in *jsonNode, key string) *jsonNode {
	if in == &unnamed {
		return in
	}
	if n := in.keys[key]; n != nil {
		return n
	}
	var name string
	switch {
	case in.name != "":
		name = in.name + "." + key
	case key == "":
		name = "_"
	default:
		name = strings.Clone(key)
	}
	n := &jsonNode{jsonName: t.describe(name)}
	if len(name) > maxNameLen || t.n >= maxNames {
		return n
	}
	t.n++
	key = name[len(name)-len(key):] // a copy: the record's memory is not to be kept
	if in.keys == nil {
		in.keys = make(map[string]*jsonNode)
	}
	in.keys[key] = n
	if strings.IndexByte(key, '"') < 0 && strings.IndexByte(key, '\\') < 0 {
		n.quoted = `"` + key + `":`
	}
	return n
}

func (t *jsonTree) describe(name string) jsonName {
	n := describeName(name)
	n.native = name
	if event.IsCanonical(name) {
		n.native = event.NativePrefix + name
	}
	if n.role == roleReserved {
		n.canonical = event.NativePrefix + name
	}
	n.slot = windowsSlotOf(name)
	own := unwrapped(name)
	if own == "" {
		own = outOfShipment(name)
	}
	n.whole = isWhole(outOfEnvelope(name)) || isWhole(own)
	if own != "" {
		n.own = t.child(t.top(), own)
	}
	n.plain = n.role == roleNone && n.own == nil && n.slot == 0
	switch n.canonical {
	case event.Category, event.Action, event.Outcome:
		n.single = true
	}
	return n
}

// isWhole tells the objects that rules search as one text.
func isWhole(name string) bool {
	switch name {
	case "requestParameters", "responseElements", "Parameters", "OperationProperties", "TargetResources", "targetResources", "properties.targetResources":
		return true
	}
	return false
}

func describeName(name string) jsonName {
	n := jsonName{name: name, marks: shapeOf(name)}
	if known, ok := jsonRole(name); ok {
		n.canonical, n.role, n.rank = known.canonical, known.role, known.rank
		return n
	}
	c := name
	if strings.IndexByte(name, '.') >= 0 {
		c = event.Resolve(name)
	}
	switch {
	case c == event.Severity:
		n.canonical, n.role = c, roleSeverity
	case !event.IsCanonical(c), ours(c):
	case event.Numeric(c):
		n.canonical, n.role = c, roleInt
	case event.Address(c):
		n.canonical, n.role = c, roleAddress
	default:
		n.canonical, n.role = c, roleText
	}
	return n
}

// ours tells the canonical names whose values only KYRA gives or that the core of
// an event carries: what claims to be one of them by an alias stays native.
func ours(canonical string) bool {
	switch canonical {
	case event.Timestamp, event.IngestTime, event.EventID, event.RawText, event.TimeQuality, event.PeerIP, event.CollectorID,
		event.Count, event.SyslogFacility, event.SyslogSeverity, event.Source, event.Message, event.Host, event.Program, event.PID,
		event.Level, event.Dataset, event.ParseErrorReason, event.ParseErrorAt, event.ParseErrorInput:
		return true
	}
	return false
}

// jsonRole knows the names that mean the same in most products.
func jsonRole(name string) (jsonName, bool) {
	switch name {
	case "@timestamp":
		return jsonName{role: roleTime, rank: 9}, true
	case "timestamp", "eventTime", "UtcTime", "SystemTime", "Event.System.TimeCreated.SystemTime", "Event.System.TimeCreated.#attributes.SystemTime":
		return jsonName{role: roleTime, rank: 8}, true
	case "ts", "time", "TimeCreated", "published", "event.created", "event.start", "timeUnixNano", "_time", "__REALTIME_TIMESTAMP", "time_iso8601":
		return jsonName{role: roleTime, rank: 7}, true
	case "eventtime", "t", "StartUTC":
		return jsonName{role: roleTime, rank: 6}, true
	case "datetime", "EventTime", "TimeGenerated", "ISODATE", "LogTimestamp", "msec", "time_local", "creationTime", "CreationTime", "date":
		return jsonName{role: roleTime, rank: 6}, true
	case "EventReceivedTime", "observed_timestamp", "observedTimeUnixNano":
		return jsonName{role: roleTime, rank: 2}, true
	case "message", "body", "body.stringValue":
		return jsonName{role: roleMessage, rank: 9}, true
	case "msg", "Message", "MESSAGE", "event.original":
		return jsonName{role: roleMessage, rank: 8}, true
	case "log":
		return jsonName{role: roleMessage, rank: 5}, true
	case "host", "host.name", "host.hostname", "hostname", "HOST", "Hostname", "Computer", "_HOSTNAME", "computer_name",
		"Event.System.Computer", "winlog.computer_name", "resource.host.name", "devname":
		return jsonName{canonical: event.Host, role: roleHost}, true
	case "program", "PROGRAM", "appname", "app_name", "ident", "SYSLOG_IDENTIFIER", "log.syslog.appname", "process.name", "syslog.appname", "service.name":
		return jsonName{canonical: event.Program, role: roleProgram}, true
	case "pid", "PID", "_PID", "procid", "process.pid":
		return jsonName{canonical: event.PID, role: rolePID}, true
	case "level", "log.level", "loglevel", "lvl", "levelname", "severity_text", "severityText", "PRIORITY", "Severity":
		return jsonName{canonical: event.Level, role: roleLevel, rank: 5}, true
	case "severity":
		return jsonName{canonical: event.Severity, role: roleSeverity}, true
	case "source", "event.module":
		return jsonName{canonical: event.Source, role: roleSource}, true
	case "dataset", "event.dataset":
		return jsonName{canonical: event.Dataset, role: roleDataset}, true
	case "proto", "network.transport", "protocol_name", "IPProtocol":
		return jsonName{canonical: event.Proto, role: roleProtocol}, true
	case event.IngestTime, event.EventID, event.RawText, event.TimeQuality, event.PeerIP, event.CollectorID, event.Count,
		event.SyslogFacility, event.SyslogSeverity, event.ParseErrorReason, event.ParseErrorAt, event.ParseErrorInput:
		return jsonName{role: roleReserved, canonical: event.NativePrefix + name}, true
	case "client_ip", "clientIp", "clientip", "remote_ip", "remote_addr", "ip_address", "ipAddress", "srcip", "source.address", "client.address", "client.ip", "network.peer.address":
		return jsonName{canonical: event.SrcIP, role: roleAddress}, true
	case "dstip", "dest_ip", "destination.address", "server.address":
		return jsonName{canonical: event.DstIP, role: roleAddress}, true
	case "srcport", "client.port", "remote_port":
		return jsonName{canonical: event.SrcPort, role: roleInt}, true
	case "dstport", "dest_port", "server.port":
		return jsonName{canonical: event.DstPort, role: roleInt}, true
	case "username", "user_name", "userName", "enduser.id":
		return jsonName{canonical: event.User, role: roleText}, true
	case "srcintf":
		return jsonName{canonical: event.InIface, role: roleText}, true
	case "dstintf":
		return jsonName{canonical: event.OutIface, role: roleText}, true
	case "policyid":
		return jsonName{canonical: event.RuleID, role: roleText}, true
	case "policyname":
		return jsonName{canonical: event.RuleName, role: roleText}, true
	case "sentbyte":
		return jsonName{canonical: event.SrcBytes, role: roleInt}, true
	case "rcvdbyte":
		return jsonName{canonical: event.DstBytes, role: roleInt}, true
	case "useragent", "userAgent", "http_user_agent":
		return jsonName{canonical: event.UserAgent, role: roleText}, true
	case "status_code", "http.status_code":
		return jsonName{canonical: event.HTTPStatus, role: roleInt}, true
	case "request_method", "http.method":
		return jsonName{canonical: event.HTTPMethod, role: roleText}, true
	case "url.full":
		return jsonName{canonical: event.URL, role: roleText}, true
	case "http_referer", "http_referrer":
		return jsonName{canonical: event.Referrer, role: roleText}, true
	}
	return envelopeRole(name)
}
