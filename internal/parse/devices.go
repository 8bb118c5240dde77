package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func devicesParser() content {
	return content{
		Info: Info{
			Name:    "devices",
			Sources: deviceSources(),
			About: "appliances whose messages are told by their program or first words and read as pairs or text: Cisco Meraki and DNA Center, Prisma SD-WAN, Forcepoint, Imperva, Tenable, NetMotion, Nutanix, " +
				"Dell Isilon and SONiC, HP printers, APC, Raritan, Ruckus, Polycom, Qumulo, Tintri, Semperis, Solace, DataPower, NetIQ",
			Samples: []Sample{
				{`<134>1 1772600767.123 mx1 flows src=10.0.0.8 dst=198.51.100.7 mac=00:00:5E:00:53:01 protocol=tcp sport=40022 dport=443 pattern: deny all`, []string{
					"source=cisco_meraki", "vendor=Cisco", "product=Meraki", "host=mx1", "category=network", "action=deny", "outcome=failure", "src_ip=10.0.0.8", "dst_port=443", "src_port=40022", "proto=tcp", "dataset=flows",
				}},
				{`<134>1 1772600767.123 mx1 security_event ids_alerted signature=1:28423:1 priority=1 timestamp=1772600767 dhost=98:5A:EB:E1:81:2F direction=ingress protocol=tcp/ip src=203.0.113.9:80 dst=192.168.128.2:53023 message: EXPLOIT-KIT single digit exe`, []string{
					"source=cisco_meraki", "category=intrusion_detection", "rule_id=1:28423:1", "src_ip=203.0.113.9", "src_port=80", "dst_port=53023", "severity=high", "rule_name=EXPLOIT-KIT single digit exe",
				}},
				{`<134>1 Mar  4 05:06:07 ion1 cgxFlowLogV1 20681 - - 2026-03-04T05:06:07,10.10.10.64,52172,198.51.100.7,443,udp,,,1,1,224,490,,ISP1,,,Delete flow (udp flow timeout),`, []string{
					"source=prisma_sdwan", "vendor=Palo Alto Networks", "src_ip=10.10.10.64", "src_port=52172", "dst_ip=198.51.100.7", "dst_port=443", "proto=udp", "src_bytes=224", "dst_bytes=490", "category=network",
				}},
				{`<134>Mar  4 05:06:07 nnm1 nnm: 10.0.0.5:8080|203.0.113.9:0|6|0|new-open-port|NNM identifies open ports.||INFO`, []string{"source=tenable_nnm", "vendor=Tenable", "src_ip=10.0.0.5", "src_port=8080", "rule_name=new-open-port", "proto=tcp", "level=INFO"}},
				{`<134>Mar  4 05:06:07 ups1 Detected an unauthorized user attempting to access the SNMP interface from 203.0.113.9 0x0004`, []string{"source=apc_ups", "category=authentication", "outcome=failure", "src_ip=203.0.113.9"}},
			},
		},
		parse: parseDevice,
	}
}

// A device is told by its program or by how its text begins.
type device struct {
	source, vendor, product string
	programs                []string // in small letters
	begins                  []string // one of them begins the text
	holds                   string   // and this stands near its start; "" is all
	read                    func(l *line)
}

func devices() []device {
	return []device{
		{source: "cisco_meraki", vendor: "Cisco", product: "Meraki", begins: []string{"flows ", "urls ", "events ", "security_event ", "ids-alerts ", "airmarshal_events ", "ip_flow_start ", "ip_flow_end ", "firewall ", "vpn_firewall ", "cellular_firewall "}, holds: "=", read: (*line).meraki},
		{source: "cisco_dna", vendor: "Cisco", product: "DNA Center", programs: []string{"dnac"}, read: (*line).jsonText},
		{source: "prisma_sdwan", vendor: "Palo Alto Networks", product: "Prisma SD-WAN", programs: []string{"cgxflowlogv1"}, read: (*line).prismaFlow},
		{source: "prisma_sdwan", vendor: "Palo Alto Networks", product: "Prisma SD-WAN", begins: []string{"ION_HOST="}, read: (*line).prismaEvent},
		{source: "tenable_nnm", vendor: "Tenable", product: "Network Monitor", programs: []string{"nnm", "pvs"}, read: (*line).nnm},
		{source: "tenable_ad", vendor: "Tenable", product: "Identity Exposure", programs: []string{"tenable.ad", "tenable.ie"}},
		{source: "netmotion", vendor: "NetMotion", product: "Mobility", programs: []string{"nmreporting.exe", "nmreporting", "localityserver", "networkaccessserver"}},
		{source: "netmotion", vendor: "NetMotion", product: "Mobility", begins: []string{"PoolStatus [nm_"}},
		{source: "polycom_rprm", vendor: "Polycom", product: "RealPresence Resource Manager", programs: []string{"rprm"}},
		{source: "qumulo", vendor: "Qumulo", product: "Core", programs: []string{"qumulo"}, read: (*line).qumulo},
		{source: "ruckus_smartzone", vendor: "Ruckus", product: "SmartZone", programs: []string{"core"}, begins: []string{"@@"}},
		{source: "solace", vendor: "Solace", product: "PubSub+", programs: []string{"event"}, begins: []string{"SYSTEM:", "CLIENT:", "VPN:"}},
		{source: "hp_jetdirect", vendor: "HP", product: "Printer", programs: []string{"printer", "scanner"}, holds: "; time=\""},
		{source: "isilon", vendor: "Dell", product: "Isilon", programs: []string{"severity"}, holds: "Category:"},
		{source: "isilon", vendor: "Dell", product: "Isilon", begins: []string{"Severity: "}, holds: ", MessageID:"},
		{source: "semperis_dsp", vendor: "Semperis", product: "DSP", begins: []string{"Semperis.DSP "}},
		{source: "apc_ups", vendor: "APC", product: "UPS", begins: []string{"Detected an unauthorized user attempting to access the "}, read: (*line).apc},
		{source: "raritan", vendor: "Raritan", product: "Dominion", begins: []string{"[Login Failed]:", "[Login Succeeded]:", "[Access Login]:"}, read: (*line).raritan},
		{source: "ibm_datapower", vendor: "IBM", product: "DataPower", begins: []string{"["}, holds: "][0x"},
		{source: "tintri", vendor: "Tintri", product: "VMstore", begins: []string{"Scrubbed@"}, holds: "com.tintri."},
		{source: "sonic", vendor: "Dell", product: "SONiC", programs: []string{"bgp#zebra", "bgp#bgpd", "swss#orchagent", "syncd#syncd", "lldp#lldpd", "pmon#xcvrd"}},
		{source: "nutanix", vendor: "Nutanix", product: "CVM", begins: []string{"node=ntnx", "node=NTNX"}, read: (*line).pairsOfText},
		{source: "forcepoint", vendor: "Forcepoint", product: "Web Security", begins: []string{"vendor=Websense ", "vendor=Forcepoint "}, read: (*line).forcepoint},
		{source: "netiq", vendor: "NetIQ", product: "Access Manager", begins: []string{`{"appName":"Novell Access Manager"`, `{"appName":"NetIQ`}, read: (*line).jsonText},
	}
}

func deviceSources() []string {
	var all []string
	for _, d := range devices() {
		if s := d.source; !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// deviceIndex finds a device without trying all.
type deviceIndex struct {
	programs map[string]*device
	starts   [256][]*device
}

func newDeviceIndex() *deviceIndex {
	x := &deviceIndex{programs: map[string]*device{}}
	all := devices()
	for i := range all {
		d := &all[i]
		for _, p := range d.programs {
			x.programs[p] = d
		}
		for _, s := range d.begins {
			if c := s[0]; !slices.Contains(x.starts[c], d) {
				x.starts[c] = append(x.starts[c], d)
			}
		}
	}
	return x
}

// device finds the device that wrote the line, nil for none of ours.
func (l *line) device() *device {
	if l.program != "" {
		if d := l.p.registry.index.programs[l.p.lower(l.program)]; d != nil && d.writes(l.text) {
			return d
		}
	}
	s := strings.TrimLeft(l.text, ": ")
	if s == "" {
		return nil
	}
	for _, d := range l.p.registry.index.starts[s[0]] {
		if d.source == "cisco_meraki" && (l.header != "rfc5424" || l.program != "") { // its words are ordinary, its header is not
			continue
		}
		if (d.programs == nil || l.program != "" && slices.Contains(d.programs, l.p.lower(l.program))) && d.writes(s) {
			return d
		}
	}
	return nil
}

func (d *device) writes(s string) bool {
	if d.holds != "" && !strings.Contains(s[:min(len(s), 256)], d.holds) {
		return false
	}
	return len(d.begins) == 0 || slices.ContainsFunc(d.begins, func(b string) bool { return strings.HasPrefix(s, b) })
}

func parseDevice(l *line) bool {
	d := l.device()
	if d == nil {
		return false
	}
	if d.read != nil {
		d.read(l)
	}
	l.source = ""
	l.knownAs(d.source, d.vendor, d.product)
	return true
}

// jsonText reads an object as any other.
func (l *line) jsonText() { parseJSON(l) }

// pairsOfText reads key=value.
func (l *line) pairsOfText() { parseKV(l) }

// spaced reads "key=value key=value", of which values may hold no space.
func (l *line) spaced(s string) map[string]string {
	found := map[string]string{}
	for s != "" && len(found) < 64 {
		var word string
		word, s = cutWord(s)
		if name, ok := strings.CutSuffix(word, ":"); ok && name != "" { // "message:" and "pattern:" take the rest
			found[name] = s
			break
		}
		if key, value, ok := strings.Cut(word, "="); ok && key != "" && value != "" {
			found[key] = strings.Trim(value, `'"`)
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l.native("", name, found[name])
	}
	return found
}

func (l *line) meraki() {
	kind, rest := cutWord(l.text)
	l.dataset = kind
	v := l.spaced(rest)
	ends := func(ipName, hostName, portName, value, port string) {
		ip, p := addressPort(value)
		l.addPeer(ipName, hostName, ip)
		if port == "" {
			port = p
		}
		l.addInt(portName, port)
	}
	ends(event.SrcIP, event.SrcHost, event.SrcPort, v["src"], v["sport"])
	ends(event.DstIP, event.DstHost, event.DstPort, v["dst"], v["dport"])
	proto, _, _ := strings.Cut(v["protocol"], "/")
	l.add(event.Proto, l.protocol(proto))
	l.once(event.SrcMAC, v["mac"])
	l.once(event.UserAgent, v["agent"])
	switch kind {
	case "flows", "firewall", "vpn_firewall", "cellular_firewall", "ip_flow_start", "ip_flow_end":
		action, outcome := "allow", "success"
		if p := v["pattern"]; strings.HasPrefix(p, "1 ") || strings.HasPrefix(p, "deny") || strings.HasPrefix(rest, "deny") {
			action, outcome = "deny", "failure"
		}
		l.mean("network", action, outcome, unsaid)
	case "urls":
		if request := v["request"]; request != "" {
			method, url := cutWord(request)
			l.add(event.HTTPMethod, method)
			l.addURL(url)
		}
		l.mean("web", "request", "success", unsaid)
	case "security_event", "ids-alerts":
		l.add(event.RuleID, v["signature"])
		l.add(event.RuleName, v["message"])
		action, outcome := "alert", ""
		if v["decision"] == "blocked" || v["action"] == "block" {
			action, outcome = "drop", "failure"
		}
		l.mean("intrusion_detection", action, outcome, medium)
		if v["priority"] == "1" {
			l.atLeast(high)
		}
	default:
		l.mean("network", "", "", unsaid)
	}
}

// prismaFlow reads a flow's columns.
func (l *line) prismaFlow() {
	var c [24]string
	n := csvColumns(l.text, c[:])
	if n < 12 {
		return
	}
	if !l.hasTime {
		if t, q, ok := l.timeText(c[0]); ok {
			l.setTime(t, q)
		}
	}
	l.addSource(c[1], c[2])
	l.addPeer(event.DstIP, event.DstHost, c[3])
	l.addInt(event.DstPort, c[4])
	l.add(event.Proto, l.protocol(c[5]))
	l.addInt(event.SrcBytes, c[10])
	l.addInt(event.DstBytes, c[11])
	l.add(event.AppProto, c[15])
	l.add(event.Reason, c[16])
	l.mean("network", "flow", "", unsaid)
}

func (l *line) prismaEvent() {
	if !parseKV(l) {
		return
	}
	for _, f := range slices.Clip(l.e.Fields) {
		switch f.Name {
		case "ION_HOST":
			if l.host == "" {
				l.host = f.Value
			}
		case "MSG":
			l.say(f.Value)
		case "USER":
			l.account(f.Value)
		case "CODE":
			l.once(event.EventCode, f.Value)
		}
	}
	l.loginFailure(l.message)
}

func (l *line) nnm() {
	parts := strings.SplitN(l.text, "|", 8)
	if len(parts) < 5 {
		return
	}
	l.addSource(addressPort(parts[0]))
	ip, port := addressPort(parts[1])
	l.addPeer(event.DstIP, event.DstHost, ip)
	l.addInt(event.DstPort, port)
	l.add(event.Proto, l.protocol(parts[2]))
	l.add(event.RuleID, parts[3])
	l.add(event.RuleName, parts[4])
	if len(parts) == 8 {
		l.setLevel(parts[7])
	}
	l.mean("network", "", "", unsaid)
}

// qumulo reads "ADDRESS,"USER",PROTOCOL,OPERATION,STATUS,ID,"PATH","PATH2"".
func (l *line) qumulo() {
	var c [8]string
	if csvColumns(l.text, c[:]) < 5 {
		return
	}
	l.addSource(c[0], "")
	l.account(c[1])
	l.add(event.AppProto, c[2])
	l.add(event.FilePath, c[6])
	l.mean("file", c[3], outcomeWord(c[4]), unsaid)
}

func (l *line) apc() {
	l.says([]saying{{form: form("Detected an unauthorized user attempting to access the {app_proto} interface from {src_ip} "), category: "authentication", action: "login", outcome: "failure", severity: medium}}, l.text)
}

func (l *line) raritan() {
	if strings.HasPrefix(l.text, "[Login Failed]") {
		l.loginFailure(l.text)
	}
}

// forcepoint reads pairs whose values hold spaces: each ends where the next key
// begins.
func (l *line) forcepoint() {
	s := l.text
	for s != "" && len(l.e.Fields) < maxJSONFields {
		n := keyLen(s)
		if n == 0 {
			return
		}
		rest := s[n+1:]
		end := cefNext(rest)
		key, value := s[:n], strings.TrimSpace(rest[:end])
		s = strings.TrimLeft(rest[end:], " ")
		if value == "" || value == "-" {
			continue
		}
		if key != "vendor" && key != "product" {
			l.native("", key, value)
		}
		switch key {
		case "src_host", "src_ip":
			l.named(event.SrcIP, value)
		case "dst_ip":
			l.named(event.DstIP, value)
		case "src_port":
			l.onceInt(event.SrcPort, value)
		case "dst_port":
			l.onceInt(event.DstPort, value)
		case "dst_host":
			l.once(event.Domain, value)
		case "user":
			l.once(event.User, value)
		case "http_response":
			l.onceInt(event.HTTPStatus, value)
		case "http_method":
			l.once(event.HTTPMethod, value)
		case "http_user_agent":
			l.once(event.UserAgent, value)
		case "url":
			l.addURL(value)
		case "bytes_out":
			l.onceInt(event.SrcBytes, value)
		case "bytes_in":
			l.onceInt(event.DstBytes, value)
		case "category":
			l.once(event.RuleCategory, value)
		case "action":
			l.putThree("web", firewallAction(value), firewallOutcome(value))
		}
	}
}
