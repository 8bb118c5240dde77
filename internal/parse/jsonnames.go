package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// role says what a JSON field means to every kind of record.
type role byte

const (
	roleNone     role = iota
	roleText          // a canonical field
	roleInt           // a canonical field that is numeric
	roleAddress       // a canonical field that is an address
	roleTime          // when it happened
	roleMessage       // its text
	roleHost          // which machine
	roleProgram       // which program
	rolePID           //
	roleLevel         // how grave
	roleSeverity      // how grave, perhaps in our own words
	roleSource        // which product
	roleDataset       // which part of a product
	roleProtocol      // tcp, udp, …
	roleReserved      // a name that only KYRA gives
)

// A jsonName is what is known of a field name, found once for each name.
type jsonName struct {
	name      string // interned
	canonical string
	own       string // the product's name where a shipper gave it an envelope
	role      role
	rank      byte // of several fields with one role the highest counts
	marks     shape
}

// shape is a set of names that records of known products have.
type shape uint64

// maxNames bounds the names that are remembered.
const maxNames = 8192

// nameOf returns what is known about a field name.
func (j *jsonScanner) nameOf(name string) jsonName {
	if n, ok := j.names[name]; ok {
		return n
	}
	n := describeName(name)
	if len(name) <= 256 {
		if len(j.names) >= maxNames {
			clear(j.names) // names without end come from one sender: the others' return soon
		}
		n.name = strings.Clone(name)
		if n.role == roleReserved {
			n.canonical = event.NativePrefix + n.name
		}
		j.names[n.name] = n
	}
	return n
}

func describeName(name string) jsonName {
	n := jsonName{name: name, own: unwrapped(name), marks: shapeOf(name)}
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
		event.Level, event.Dataset:
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
		event.SyslogFacility, event.SyslogSeverity:
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
	return jsonName{}, false
}
