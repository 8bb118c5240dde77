package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// cefProduct gives CEF and LEEF records of network products the source and the
// meaning that their other forms have.
func (l *line) cefProduct(vendor, product, name string) {
	switch {
	case strings.HasPrefix(vendor, "Palo Alto"):
		l.source = "paloalto"
		kind := name
		if c := l.e.Get("cat"); strings.HasPrefix(vendor, "Palo") && isUpperWord(c) {
			kind = c
		}
		if isUpperWord(kind) {
			var short [48]byte
			l.dataset = l.p.names.of(append(append(short[:0], "paloalto."...), l.p.lower(kind[:min(len(kind), 32)])...))
		}
		l.once(event.RuleName, l.e.Get("RuleName"))
		if rule := l.e.Get("Rule"); rule != "" {
			l.put(event.RuleName, rule)
		}
		switch kind {
		case "TRAFFIC", "DECRYPTION":
			l.put(event.Category, "network")
		case "THREAT":
			l.put(event.Category, "intrusion_detection")
		case "CONFIG":
			l.mean("configuration", "config_change", "", low)
		case "GLOBALPROTECT", "AUTHENTICATION":
			l.put(event.Category, "authentication")
		}
	case vendor == "Cisco" && containsFold(product, "email"):
		l.source = "cisco_esa"
	case vendor == "Fortinet" && containsFold(product, "fortigate"):
		l.fortiGateCEF(name)
	case vendor == "Check Point":
		l.source = "checkpoint"
		l.checkPointMeaning()
	case vendor == "SonicWall", vendor == "SonicWALL":
		l.source = "sonicwall"
		l.once(event.Category, "network")
	case vendor == "F5":
		l.source = "f5_bigip"
		l.once(event.Category, "web")
	case vendor == "JUNIPER", vendor == "Juniper", vendor == "Juniper Networks":
		l.source = "juniper_srx"
		l.once(event.Category, "network")
	case strings.HasPrefix(vendor, "Sophos"):
		l.source = "sophos_xg"
		if containsFold(product, "central") || containsFold(product, "sophos") {
			l.source = "sophos_central"
		}
	case vendor == "Imperva Inc.":
		l.once(event.Category, "web")
	case vendor == "Cyber-Ark", vendor == "CyberArk":
		l.once(event.Category, "authentication")
	}
	if action := l.e.Get(event.Action); action != "" && vendor != "Fortinet" { // whose words are the same in its other form
		if ours := firewallAction(action); ours != "" && ours != action {
			l.put(event.Action, ours)
			l.put(event.Outcome, firewallOutcome(action))
		}
	}
}

func isUpperWord(s string) bool {
	for i := range len(s) {
		if !isUpperByte(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != ""
}

// fortiGateCEF reads what FortiGate puts into CEF beside the usual keys: its own
// under FTNTFGT.
func (l *line) fortiGateCEF(name string) {
	l.source = "fortinet_fortigate"
	own := slices.Clip(l.e.Fields)
	kind, sub := "", ""
	for _, f := range own {
		key, ok := strings.CutPrefix(f.Name, "FTNTFGT")
		if !ok || f.Value == "" {
			continue
		}
		l.native("", key, f.Value)
		switch key {
		case "policyid":
			l.once(event.RuleID, f.Value)
		case "policyname":
			l.put(event.RuleName, f.Value)
		case "srcintf":
			l.once(event.InIface, f.Value)
		case "dstintf":
			l.once(event.OutIface, f.Value)
		case "level":
			l.setLevel(f.Value)
		case "type":
			kind = f.Value
		case "subtype":
			sub = f.Value
		case "logid":
			l.put(event.EventCode, f.Value)
		case "attack", "virus":
			l.put(event.RuleName, f.Value)
		case "ui":
			l.consoleAddress(f.Value)
		case "eventtime":
			if t, q, ok := l.timeText(f.Value); ok {
				l.setTime(t, q)
			}
		}
	}
	if kind == "" {
		cat := l.e.Get("cat")
		if cat == "" {
			cat, _, _ = strings.Cut(name, " ")
		}
		kind, sub, _ = strings.Cut(cat, ":")
	}
	if kind != "" && sub != "" && len(kind)+len(sub) < 64 {
		var short [80]byte
		l.dataset = l.p.names.of(append(append(append(short[:0], kind...), '.'), sub...))
	}
	switch kind {
	case "traffic":
		l.put(event.Category, "network")
	case "utm":
		l.put(event.Category, "intrusion_detection")
	case "event":
		if l.e.Get(event.Action) == "login" {
			l.put(event.Category, "authentication")
		}
	}
	switch l.e.Get(event.Action) {
	case "close", "start", "timeout", "server-rst", "client-rst":
		l.put(event.Outcome, "success")
	}
}

// consoleAddress adds the address of "ssh(203.0.113.9)", which is who used the
// device's own interface.
func (l *line) consoleAddress(ui string) {
	if from, ok := between(ui, "(", ")"); ok {
		if a, ok := address(from); ok {
			l.once(event.SrcIP, a)
		}
	}
}
