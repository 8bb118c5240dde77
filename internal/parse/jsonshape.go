package parse

import "strings"

// The names by which records of known products are told. Each product needs all
// of its marks.
const (
	markEventID shape = 1 << iota
	markChannel
	markFlow // Suricata
	markEventType
	markZeekOrig
	markZeekResp
	markCloudName
	markCloudSource
	markCaddyLogger
	markCaddyRequest
	markAccessAddr
	markAccessRequest
	markTraefikClient
	markTraefikRequest
	markMethod
	markPath
	markStatus
	markFortiDevice
	markFortiLog
)

const (
	shapeWindows    = markEventID | markChannel
	shapeSuricata   = markFlow | markEventType
	shapeZeek       = markZeekOrig | markZeekResp
	shapeCloudTrail = markCloudName | markCloudSource
	shapeCaddy      = markCaddyLogger | markCaddyRequest
	shapeNginx      = markAccessAddr | markAccessRequest
	shapeTraefik    = markTraefikClient | markTraefikRequest
	shapeRequest    = markMethod | markPath | markStatus
	shapeFortiGate  = markFortiDevice | markFortiLog
)

// shapeOf returns the marks of a field name.
func shapeOf(name string) shape {
	switch name {
	case "EventID", "winlog.event_id", "Event.System.EventID", "Event.System.EventID.#text", "data.win.system.eventID":
		return markEventID
	case "Channel", "SourceName", "ProviderName", "Provider_Name", "winlog.channel", "winlog.provider_name",
		"Event.System.Channel", "Event.System.Provider.#attributes.Name", "Event.System.Provider.Name", "data.win.system.channel":
		return markChannel
	case "flow_id", "in_iface", "dest_ip", "stats.uptime":
		return markFlow
	case "event_type":
		return markEventType
	case "id.orig_h", "id_orig_h":
		return markZeekOrig
	case "id.resp_h", "id_resp_h":
		return markZeekResp
	case "eventName":
		return markCloudName
	case "eventSource":
		return markCloudSource
	case "logger":
		return markCaddyLogger
	case "request.remote_ip", "request.remote_addr":
		return markCaddyRequest
	case "remote_addr":
		return markAccessAddr
	case "request", "request_uri":
		return markAccessRequest
	case "ClientHost":
		return markTraefikClient
	case "RequestPath":
		return markTraefikRequest
	case "method":
		return markMethod
	case "path", "uri", "url":
		return markPath
	case "status":
		return markStatus
	case "devid", "devname":
		return markFortiDevice
	case "logid":
		return markFortiLog
	}
	return 0
}

// productOf returns the reader of a known product's records, or nil.
func productOf(s shape) func(l *line, from int) {
	switch {
	case s&shapeWindows == shapeWindows:
		return windowsEvent
	case s&shapeCloudTrail == shapeCloudTrail:
		return cloudTrail
	case s&shapeZeek == shapeZeek:
		return zeek
	case s&shapeSuricata == shapeSuricata:
		return suricata
	case s&shapeCaddy == shapeCaddy:
		return caddy
	case s&shapeTraefik == shapeTraefik:
		return traefik
	case s&shapeNginx == shapeNginx:
		return nginxJSON
	case s&shapeRequest == shapeRequest:
		return webRequest
	}
	return nil
}

// unwrapped returns the product's own name for a field that a shipper has put
// into an envelope, "" for others.
func unwrapped(name string) string {
	switch name {
	case "winlog.event_id", "Event.System.EventID", "Event.System.EventID.#text", "data.win.system.eventID":
		return "EventID"
	case "winlog.channel", "Event.System.Channel", "data.win.system.channel":
		return "Channel"
	case "winlog.computer_name", "Event.System.Computer", "data.win.system.computer":
		return "Computer"
	case "winlog.provider_name", "Event.System.Provider.#attributes.Name", "Event.System.Provider.Name", "data.win.system.providerName":
		return "Provider_Name"
	}
	for _, prefix := range [...]string{"winlog.event_data.", "winlog.user_data.", "Event.EventData.", "Event.System.", "EventData."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] != '#' {
			return strings.TrimSuffix(strings.ReplaceAll(rest, ".#attributes.", "."), ".#text")
		}
	}
	return ""
}
