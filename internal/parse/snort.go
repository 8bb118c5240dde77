package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func snortParser() content {
	return content{
		Info: Info{
			Name:     "snort",
			Sources:  []string{"snort", "suricata"},
			Programs: []string{"snort", "suricata"},
			About:    "alerts of Snort and Suricata in the fast format, from files and from syslog",
			Samples: []Sample{
				{`03/04-05:06:07.123456  [**] [1:2001219:20] ET SCAN Potential SSH Scan [**] [Classification: Attempted Information Leak] [Priority: 2] {TCP} 203.0.113.9:51000 -> 10.0.0.5:22`, []string{
					"source=snort", "category=intrusion_detection", "action=alert", "rule_id=2001219", "rule_name=ET SCAN Potential SSH Scan", "rule_category=Attempted Information Leak", "severity=medium", "proto=tcp",
					"src_ip=203.0.113.9", "src_port=51000", "dst_ip=10.0.0.5", "dst_port=22", "time_quality=year_assumed",
				}},
				{`<33>Mar  4 05:06:07 ids1 snort[77]: [1:2100498:7] GPL ATTACK_RESPONSE id check returned root [Classification: Potentially Bad Traffic] [Priority: 1]: {UDP} 2001:db8::9:53 -> 10.0.0.5:4000`, []string{
					"host=ids1", "rule_id=2100498", "rule_name=GPL ATTACK_RESPONSE id check returned root", "severity=high", "proto=udp", "dst_ip=10.0.0.5",
				}},
				{`03/04/2026-05:06:07.123456  [Drop] [**] [1:2001219:20] ET SCAN x [**] [Classification: (null)] [Priority: 3] {ICMP} 203.0.113.9:8 -> 10.0.0.5:0`, []string{"source=suricata", "action=drop", "outcome=failure", "severity=low", "proto=icmp", "rule_category=", "time_quality=tz_assumed"}},
			},
		},
		parse: parseSnort,
	}
}

// isSnort tells "MM/DD[/YYYY]-HH:MM:SS.ffffff  [".
func isSnort(s string) bool {
	return len(s) > 40 && s[2] == '/' && isDigit(s[0]) && (s[5] == '-' || s[5] == '/') && before(s, "] [1:", 64) || len(s) > 40 && s[2] == '/' && before(s, "[**]", 64)
}

func parseSnort(l *line) bool {
	s := l.text
	dated := s != "" && isDigit(s[0]) && isSnort(s)
	if dated {
		s = l.snortTime(s)
	}
	source := l.program
	if source != "suricata" && source != "snort" {
		source = "snort"
		if len(l.text) > 10 && l.text[5] == '/' { // Suricata writes the year
			source = "suricata"
		}
	}
	action, outcome := "alert", ""
	for {
		s = skipSpaces(s)
		if rest, ok := strings.CutPrefix(s, "[**]"); ok {
			s = rest
			continue
		}
		if len(s) > 6 && s[0] == '[' && isLetter(s[1]) {
			word, rest, _ := strings.Cut(s[1:], "]")
			if strings.EqualFold(word, "drop") || strings.EqualFold(word, "wdrop") || strings.EqualFold(word, "block") {
				action, outcome = "drop", "failure"
				s = rest
				continue
			}
		}
		break
	}
	if s == "" || s[0] != '[' {
		return false
	}
	id, rest, ok := strings.Cut(s[1:], "] ")
	generator, signature, ok2 := strings.Cut(id, ":")
	if !ok || !ok2 || !allDigits(generator) {
		return false
	}
	signature, revision, _ := strings.Cut(signature, ":")
	name := rest
	for _, end := range [...]string{" [**]", " [Classification:", " [Priority:", " {"} {
		name, _, _ = strings.Cut(name, end)
	}
	l.source = source
	l.is("intrusion_detection", action, outcome)
	l.add(event.RuleID, signature)
	l.add(event.RuleName, strings.Trim(name, `" `))
	l.add("generator", generator)
	l.add("revision", revision)
	if class, ok := between(rest, "[Classification: ", "]"); ok && class != "(null)" {
		l.add(event.RuleCategory, class)
	}
	if priority, ok := between(rest, "[Priority: ", "]"); ok {
		l.add("priority", priority)
		switch priority {
		case "1":
			l.atLeast(high)
		case "2":
			l.atLeast(medium)
		default:
			l.atLeast(low)
		}
	}
	proto, flow, ok := strings.Cut(rest, "} ")
	if !ok {
		return true
	}
	if i := strings.LastIndexByte(proto, '{'); i >= 0 {
		l.add(event.Proto, l.protocol(proto[i+1:]))
	}
	from, to, _ := strings.Cut(flow, " -> ")
	to, _ = cutWord(to)
	l.addSource(snortEnd(from))
	addr, port := snortEnd(to)
	l.addPeer(event.DstIP, event.DstHost, addr)
	l.addInt(event.DstPort, port)
	return true
}

// snortEnd splits address and port; one of IPv6 stands without brackets.
func snortEnd(s string) (addr, port string) {
	if i := strings.LastIndexByte(s, ':'); i > 0 && strings.Count(s, ":") > 1 && s[0] != '[' && allDigits(s[i+1:]) {
		if a, ok := address(s[:i]); ok {
			return a, s[i+1:]
		}
	}
	return addressPort(s)
}

// snortTime reads "03/04-05:06:07.1" and "03/04/2026-05:06:07.1".
func (l *line) snortTime(s string) string {
	at, clockText, ok := strings.Cut(s, "-")
	if !ok || len(at) < 5 {
		return s
	}
	c := clock{month: two(at, 0), day: two(at, 3)}
	switch len(at) {
	case 10:
		c.year = number(at[6:])
	case 8:
		c.year = 2000 + two(at, 6)
	}
	rest, ok := c.timeOfDay(clockText)
	if !ok || c.month < 1 || c.day < 1 || c.year < 0 {
		return s
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
	return rest
}
