package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func juniperParser() content {
	return content{
		Info: Info{
			Name:     "juniper",
			Sources:  []string{"juniper_srx", "juniper_junos"},
			Programs: []string{"rt_flow", "rt_flow_session_create", "rt_flow_session_close", "rt_flow_session_deny", "rt_idp", "rt_ids", "rt_utm", "rt_aamw", "rt_secintel", "rt_pfe", "rt_system", "mgd", "junos_mgd"},
			About:    "Juniper SRX and Junos: sessions, intrusion, screen, UTM and SecIntel logs, structured and plain; commands, commits and logins of the management daemon",
			Samples: []Sample{
				{`<14>1 2026-03-04T05:06:07.123Z srx1 RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.40 source-address="203.0.113.9" source-port="4000" destination-address="10.0.0.5" destination-port="22" service-name="junos-ssh" protocol-id="6" icmp-type="0" policy-name="deny-all" source-zone-name="untrust" destination-zone-name="trust" application="UNKNOWN" username="N/A" packet-incoming-interface="ge-0/0/0.0"] session denied`, []string{
					"source=juniper_srx", "vendor=Juniper", "host=srx1", "event_code=RT_FLOW_SESSION_DENY", "category=network", "action=deny", "outcome=failure", "src_ip=203.0.113.9", "src_port=4000", "dst_ip=10.0.0.5",
					"dst_port=22", "proto=tcp", "rule_name=deny-all", "in_iface=ge-0/0/0.0", "source-zone-name=untrust", "user=", "time_quality=exact",
				}},
				{`<14>1 2026-03-04T05:06:07.123Z srx1 RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.40 reason="TCP FIN" source-address="10.0.0.8" source-port="40022" destination-address="198.51.100.7" destination-port="443" nat-source-address="192.0.2.1" nat-destination-address="198.51.100.7" protocol-id="6" policy-name="out" session-id-32="77" bytes-from-client="100" bytes-from-server="200" username="carol"]`, []string{
					"action=session_close", "outcome=success", "reason=TCP FIN", "src_nat_ip=192.0.2.1", "session_id=77", "src_bytes=100", "dst_bytes=200", "user=carol",
				}},
				{`<14>Mar  4 05:06:07 srx1 RT_FLOW: RT_FLOW_SESSION_CREATE: session created 10.0.0.8/40022->198.51.100.7/443 junos-https 192.0.2.1/50022->198.51.100.7/443 src-nat None 6 out trust untrust 77 N/A(N/A) ge-0/0/1.0`, []string{
					"source=juniper_srx", "action=allow", "outcome=success", "src_ip=10.0.0.8", "src_port=40022", "dst_ip=198.51.100.7", "dst_port=443", "event_code=RT_FLOW_SESSION_CREATE",
				}},
				{`<14>Mar  4 05:06:07 srx1 RT_FLOW_SESSION_DENY: session denied 203.0.113.9/4000->10.0.0.5/22 junos-ssh 6(0) deny-all untrust trust UNKNOWN UNKNOWN N/A(N/A) ge-0/0/0.0`, []string{"action=deny", "dst_port=22", "proto=tcp", "rule_name=deny-all"}},
				{`<14>1 2026-03-04T05:06:07Z srx1 RT_UTM - WEBFILTER_URL_BLOCKED [junos@2636.1.1.1.2.129 source-address="10.0.0.8" source-port="5000" destination-address="198.51.100.7" destination-port="80" category="Gambling" reason="BY_SITE" url="example.com" obj="/bet" username="bob"] WebFilter: ACTION="URL Blocked"`, []string{
					"category=web", "action=deny", "outcome=failure", "domain=example.com", "url_path=/bet", "rule_category=Gambling", "user=bob",
				}},
				{`<14>1 2026-03-04T05:06:07Z srx1 RT_IDP - IDP_ATTACK_LOG_EVENT [junos@2636.1.1.1.2.40 source-address="203.0.113.9" source-port="4000" destination-address="10.0.0.5" destination-port="80" protocol-name="TCP" attack-name="HTTP:DIR" action="DROP" threat-severity="HIGH" rule-name="7"]`, []string{
					"category=intrusion_detection", "action=drop", "rule_name=HTTP:DIR", "severity=high", "proto=tcp",
				}},
				{`<165>1 2026-03-04T05:06:07Z srx1 mgd 4153 UI_CMDLINE_READ_LINE [junos@2636.1.1.1.2.40 username="carol" command="set system host-name x"]`, []string{"source=juniper_junos", "category=configuration", "user=carol", "cmdline=set system host-name x"}},
				{`<37>Mar  4 05:06:07 srx1 mgd[4153]: UI_AUTH_EVENT: Authenticated user 'carol' at permission level 'j-super-user'`, []string{"category=authentication", "action=login", "outcome=success", "user=carol"}},
				{`<37>Mar  4 05:06:07 srx1 mgd[4153]: UI_COMMIT: User 'carol' requested 'commit' operation (comment: none)`, []string{"action=config_change", "user=carol"}},
			},
		},
		parse: parseJuniper,
	}
}

func parseJuniper(l *line) bool {
	own := slices.Clip(l.e.Fields)
	code, structured := "", false
	for _, f := range own {
		if f.Name == "msgid" {
			code = f.Value
		}
		if strings.HasPrefix(f.Name, "junos@") {
			structured = true
		}
	}
	text := l.text
	if !structured {
		if isJunosCode(l.program) && strings.Count(l.program, "_") >= 2 { // the tag is the message
			code = l.program
			l.program = "RT_FLOW"
		} else if word, rest, ok := strings.Cut(text, ": "); ok && isJunosCode(word) {
			code, text = word, rest
		}
	}
	if code == "" {
		return false
	}
	l.source = "juniper_srx"
	if !strings.HasPrefix(l.program, "RT_") {
		l.source = "juniper_junos"
	}
	l.knownAs(l.source, "Juniper", "Junos")
	l.add(event.EventCode, code)
	if structured {
		l.junosFields(own)
	} else {
		l.says(junosSayings, text)
	}
	l.junosMeaning(code)
	return true
}

// isJunosCode tells "RT_FLOW_SESSION_CREATE".
func isJunosCode(s string) bool {
	for i := range len(s) {
		if !isUpperByte(s[i]) && !isDigit(s[i]) && s[i] != '_' {
			return false
		}
	}
	return len(s) > 6 && strings.IndexByte(s, '_') > 0
}

// junosFields gives structured data its meaning; each value stands under the name
// that Junos gives it, without the number of the enterprise.
func (l *line) junosFields(own []event.Field) {
	for _, f := range own {
		if !strings.HasPrefix(f.Name, "junos@") {
			continue
		}
		name := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
		value := f.Value
		if name == "" || value == "" || value == "N/A" || value == "UNKNOWN" || value == "None" {
			continue
		}
		l.native("", name, value)
		switch name {
		case "source-address", "attacker-address", "local-address":
			if l.e.Get(event.SrcIP) == "" {
				l.named(event.SrcIP, value)
			}
		case "destination-address", "remote-address":
			if l.e.Get(event.DstIP) == "" {
				l.named(event.DstIP, value)
			}
		case "source-port":
			l.onceInt(event.SrcPort, value)
		case "destination-port":
			l.onceInt(event.DstPort, value)
		case "nat-source-address":
			l.natOf(event.SrcNATIP, event.SrcIP, value)
		case "nat-destination-address":
			l.natOf(event.DstNATIP, event.DstIP, value)
		case "protocol-id", "protocol-name", "protocol":
			l.once(event.Proto, l.protocol(value))
		case "application", "nested-application":
			l.once(event.AppProto, l.p.lower(value))
		case "policy-name", "attack-name", "profile-name", "rule-name":
			if name == "attack-name" {
				l.put(event.RuleName, value)
			} else {
				l.once(event.RuleName, value)
			}
		case "packet-incoming-interface", "source-interface-name", "interface-name":
			l.once(event.InIface, value)
		case "destination-interface-name", "packet-outgoing-interface":
			l.once(event.OutIface, value)
		case "session-id-32", "session-id":
			l.once(event.SessionID, value)
		case "bytes-from-client", "inbound-bytes":
			l.onceInt(event.SrcBytes, value)
		case "bytes-from-server", "outbound-bytes":
			l.onceInt(event.DstBytes, value)
		case "reason":
			l.once(event.Reason, value)
		case "username", "user-name", "user":
			l.account(value)
		case "command":
			l.once(event.Cmdline, strings.TrimSpace(value))
		case "url":
			l.once(event.URL, value)
			name, path, _ := strings.Cut(value, "/")
			l.once(event.Domain, name)
			if path != "" {
				l.once(event.URLPath, "/"+path)
			}
		case "obj":
			l.once(event.URLPath, value)
		case "hostname":
			l.once(event.SrcHost, value)
		case "file-name", "filename":
			l.once(event.FilePath, value)
		case "category", "attack-category":
			l.once(event.RuleCategory, value)
		case "threat-severity":
			l.atLeast(panSeverity(l.p.lower(value)))
		}
	}
}

// junosMeaning says what happened by the message's name.
func (l *line) junosMeaning(code string) {
	action := l.e.Get("fields.action")
	switch {
	case strings.HasSuffix(code, "SESSION_DENY"):
		l.putThree("network", "deny", "failure")
	case strings.HasSuffix(code, "SESSION_CREATE"):
		l.putThree("network", "allow", "success")
	case strings.HasSuffix(code, "SESSION_CLOSE"):
		l.putThree("network", "session_close", "success")
	case strings.HasPrefix(code, "IDP_"), strings.HasPrefix(code, "RT_SCREEN_"), strings.HasPrefix(code, "AAMW_"), strings.HasPrefix(code, "SECINTEL_"):
		word := "alert"
		if w := firewallAction(action); w == "deny" || w == "drop" {
			word = "drop"
			l.put(event.Outcome, "failure")
		}
		l.putThree("intrusion_detection", word, "")
		l.atLeast(low)
	case strings.HasPrefix(code, "WEBFILTER_"), strings.HasPrefix(code, "APPTRACK_"):
		word := firewallAction(code)
		l.putThree("web", word, firewallOutcome(code))
	case strings.HasPrefix(code, "AV_"):
		l.putThree("malware", "", "")
		l.atLeast(medium)
	case code == "UI_CMDLINE_READ_LINE", code == "UI_COMMIT", code == "UI_LOAD_EVENT", strings.HasPrefix(code, "UI_CFG_"), code == "UI_DBASE_LOGIN_EVENT":
		l.mean("configuration", "config_change", "success", low)
	case code == "UI_LOGIN_EVENT", code == "UI_AUTH_EVENT":
		l.putThree("authentication", "login", "success")
	case code == "UI_LOGOUT_EVENT":
		l.putThree("authentication", "logout", "success")
	case strings.HasPrefix(code, "LOGIN_FAIL"), code == "SSHD_LOGIN_FAILED", code == "UI_AUTH_INVALID_CHALLENGE":
		l.happened("authentication", "login", "failure")
	}
}

var junosSayings = []saying{
	{form: form("session created {src_ip}/{src_port}->{dst_ip}/{dst_port} {_} {_}->{_} {_} {_} {_} {_} {_}")},
	{form: form("session created {src_ip}/{src_port}->{dst_ip}/{dst_port} {_}")},
	{form: form("session denied {src_ip}/{src_port}->{dst_ip}/{dst_port} {service-name} {proto}({_}) {rule_name} {source-zone-name} {destination-zone-name} {_}")},
	{form: form("session denied {src_ip}/{src_port}->{dst_ip}/{dst_port} {_}")},
	{form: form("session closed {reason}: {src_ip}/{src_port}->{dst_ip}/{dst_port} {_}")},
	{form: form("User '{user}', command '{cmdline}'")},
	{form: form("User '{user}' requested '{_}' operation{_}")},
	{form: form("User '{user}' login, class '{_}' {_}")},
	{form: form("User '{user}' logout")},
	{form: form("User '{user}' {_}")},
	{form: form("Authenticated user '{user}' {_}")},
}
