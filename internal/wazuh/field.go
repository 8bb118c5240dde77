package wazuh

import (
	"cmp"
	"fmt"
	"strings"
)

// A source is a log source of Sigma.
type source struct{ product, category, service string }

func (s source) web() bool { return s.category == "webserver" }

// selection is a source among several: what events of it say of themselves.
func (s source) selection() selection {
	var out selection
	switch {
	case s.category == "webserver":
		out.items = [][]item{{{"category", "", []string{"web"}}}}
	case s.category != "":
		out.items = [][]item{{{"category", "", []string{s.category}}}}
	case s.product == "windows":
		out.items = [][]item{{{"Channel", "exists", []string{"true"}}}}
	case s.service != "":
		out.items = [][]item{{{"program", "startswith", []string{s.service}}}, {{"source", "startswith", []string{s.service}}}}
	default:
		out.items = [][]item{{{"source", "", []string{s.product}}}}
	}
	out.name = "from_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(cmp.Or(s.service, s.category, s.product)))
	return out
}

// source is the log source that a rule names by decoder or category, if it does.
func (r *rule) source() (source, bool, error) {
	switch d := r.decoder; {
	case d == "windows_eventchannel", d == "windows", d == "windows-snare":
		return source{product: "windows"}, true, nil
	case strings.HasPrefix(d, "syscheck"), d == "ossec", d == "rootcheck", d == "sca", d == "syscollector", d == "wazuh", d == "ossec-logcollector", d == "ossec-alert", d == "agent-upgrade":
		return source{}, false, fmt.Errorf("it is about messages of Wazuh itself (decoder %s), which do not arrive here", d)
	case d == "json":
		return source{}, false, nil
	case d == "web-accesslog", d == "nginx-accesslog":
		return source{category: "webserver"}, true, nil
	case d == "nginx-errorlog":
		return source{product: "nginx"}, true, nil
	case d == "apache-errorlog":
		return source{product: "apache"}, true, nil
	case d == "iptables", d == "kernel-iptables-apparmor":
		return source{category: "firewall"}, true, nil
	case d == "pam", d == "unix_chkpwd", d == "auditd", d == "sshd", d == "sudo", d == "su", d == "cron", d == "crond":
		return source{product: "linux", service: strings.TrimSuffix(d, "d") + map[bool]string{true: "d", false: ""}[d == "sshd" || d == "auditd"]}, true, nil
	case d != "":
		service, _, _ := strings.Cut(d, "-")
		return source{service: strings.ToLower(strings.ReplaceAll(service, " ", "_"))}, true, nil
	}
	switch r.category {
	case "windows":
		return source{product: "windows"}, true, nil
	case "web-log":
		return source{category: "webserver"}, true, nil
	case "firewall":
		return source{category: "firewall"}, true, nil
	case "ids":
		return source{category: "intrusion_detection"}, true, nil
	case "squid":
		return source{category: "proxy"}, true, nil
	case "ossec":
		return source{}, false, fmt.Errorf("it is about messages of Wazuh itself (category ossec), which do not arrive here")
	}
	return source{}, false, nil
}

// standIns take the place of Wazuh's own rules that others continue most, so that
// local rules can be imported alone. They only say which events are meant.
var standIns = map[int]*rule{
	5300: {id: 5300, decoder: "su"}, 5400: {id: 5400, decoder: "sudo"}, 5500: {id: 5500, decoder: "pam"}, 5700: {id: 5700, decoder: "sshd"},
	31100: {id: 31100, category: "web-log"}, 31101: {id: 31101, category: "web-log", tests: []test{{field: "id", pattern: "^4"}}},
	31108: {id: 31108, category: "web-log", tests: []test{{field: "id", pattern: "^2|^3"}}}, 31120: {id: 31120, category: "web-log", tests: []test{{field: "id", pattern: "^50"}}},
	30100: {id: 30100, decoder: "apache-errorlog"}, 31300: {id: 31300, decoder: "nginx-errorlog"},
	4100: {id: 4100, category: "firewall"}, 20000: {id: 20000, category: "ids"}, 86600: {id: 86600, category: "ids"},
	60000: {id: 60000, decoder: "windows_eventchannel"}, 60001: channel(60001, "Security"), 60002: channel(60002, "System"), 60003: channel(60003, "Application"),
	60004: channel(60004, "Microsoft-Windows-Sysmon/Operational"), 60005: channel(60005, "Microsoft-Windows-Windows Defender/Operational"),
	80700: {id: 80700, decoder: "auditd"}, 80200: {id: 80200}, 86000: {id: 86000},
}

func channel(id int, name string) *rule {
	return &rule{id: id, decoder: "windows_eventchannel", tests: []test{{field: "win.system.channel", pattern: "^" + name + "$"}}}
}

func standIn(id int) *rule {
	s := standIns[id]
	if s == nil {
		return nil
	}
	copied := *s // what is found out of it stays within one conversion
	return &copied
}

// names are Wazuh's static fields under our names.
var names = map[string]string{
	"srcip": "src_ip", "source_ip": "src_ip", "src_ip": "src_ip", "dstip": "dst_ip", "dst_ip": "dst_ip",
	"srcport": "src_port", "src_port": "src_port", "dstport": "dst_port", "dst_port": "dst_port",
	"user": "user", "dstuser": "user", "srcuser": "src_user", "url": "url", "protocol": "proto", "program_name": "program", "hostname": "host", "location": "host",
	"id": "event_code", "system_name": "host", "agent": "host", "srcgeoip": "src_country", "dstgeoip": "dst_country",
	"fw_action": "action", "geoip": "src_country",
}

// fieldName is Wazuh's name of a field in ours: native keys keep the spelling that
// their product gives them.
func fieldName(name string, web bool) string {
	if name == "id" && web {
		return "http_status"
	}
	if n := names[name]; n != "" {
		return n
	}
	if rest, ok := strings.CutPrefix(name, "win.system."); ok {
		switch rest {
		case "providerName":
			return "Provider_Name"
		}
		return upperFirst(rest)
	}
	for _, prefix := range []string{"win.eventdata.", "sysmon."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return upperFirst(rest)
		}
	}
	for _, prefix := range []string{"aws.", "gcp.", "audit.", "github.", "office365.", "office_365."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// severities are what Wazuh's agent calls level and keywords of a Windows event.
var severities = map[string][]item{
	"critical":      {{"Level", "", []string{"1"}}},
	"error":         {{"Level", "", []string{"2"}}},
	"warning":       {{"Level", "", []string{"3"}}},
	"information":   {{"Level", "", []string{"0", "4"}}},
	"verbose":       {{"Level", "", []string{"5"}}},
	"audit_success": {{"Keywords", "contains", []string{"0x802", "Audit Success"}}},
	"success":       {{"Keywords", "contains", []string{"0x802", "Audit Success"}}},
	"audit_failure": {{"Keywords", "contains", []string{"0x801", "Audit Failure"}}},
	"failure":       {{"Keywords", "contains", []string{"0x801", "Audit Failure"}}},
}

// severityItems translates a test of win.system.severityValue.
func severityItems(pattern string) []item {
	out := []item{{"SeverityValue", "re", []string{"(?i)" + pattern}}}
	for _, a := range splitAlternatives(pattern) {
		out = append(out, severities[strings.ToLower(strings.Trim(a, "^$"))]...)
	}
	return out
}
