package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A saying is one wording of a product's messages: literal text with names in
// braces for what stands between, and what the message means. Names are canonical
// fields, or one of
//
//	{_}        nothing to keep
//	{src} {dst}  an endpoint: INTERFACE:ADDRESS/PORT(ACCOUNT), each part but the address optional
//	{src2} {dst2} the same as INTERFACE/ADDRESS(PORT)
//	{peer}       an initiator as ADDRESS:PORT
//
// and all others stand under their own name. What a name holds ends where the next
// literal begins; an empty literal ends at the end of the text.
type saying struct {
	form                      []formPart
	category, action, outcome string
	severity                  severity
	also                      func(*line) // what no table can say
}

type formPart struct{ literal, name string } // a literal and the name that follows it

// maxFormNames bounds the names of one form.
const maxFormNames = 12

// form reads a wording.
func form(s string) []formPart {
	var parts []formPart
	for {
		literal, rest, more := strings.Cut(s, "{")
		name, after, _ := strings.Cut(rest, "}")
		parts = append(parts, formPart{literal, name})
		if !more {
			return parts
		}
		if s = after; s == "" {
			return parts
		}
	}
}

// fill matches s with a form and notes the values of its names.
func fill(parts []formPart, s string, values *[maxFormNames]string) bool {
	for i := range parts {
		p := &parts[i]
		if i == 0 {
			if !strings.HasPrefix(s, p.literal) {
				return false
			}
			s = s[len(p.literal):]
			continue
		}
		at := strings.Index(s, p.literal)
		if at < 0 || i > maxFormNames {
			return false
		}
		values[i-1] = s[:at]
		s = s[at+len(p.literal):]
	}
	if n := len(parts); parts[n-1].name != "" {
		if n > maxFormNames {
			return false
		}
		values[n-1] = s
	}
	return true
}

// says finds the first of the sayings that s is, and adds what it tells.
func (l *line) says(all []saying, s string) bool {
	var values [maxFormNames]string
	for i := range all {
		a := &all[i]
		if !fill(a.form, s, &values) {
			continue
		}
		for k := range a.form {
			if name := a.form[k].name; name != "" {
				l.named(name, values[k])
			}
		}
		l.mean(a.category, a.action, a.outcome, a.severity)
		if a.also != nil {
			a.also(l)
		}
		return true
	}
	return false
}

// mean says what happened; what is "" is not said.
func (l *line) mean(category, action, outcome string, s severity) {
	l.putThree(category, action, outcome)
	l.atLeast(s)
}

// named adds a value under a name of a form.
func (l *line) named(name, value string) {
	value = strings.TrimSpace(value)
	switch name {
	case "_":
	case "src", "dst":
		l.endpoint(name == "src", value)
	case "peer":
		l.addSource(addressPort(value))
	case event.PID:
		l.pid = value
	case "src2", "dst2":
		l.endpoint2(name == "src2", value)
	case event.SrcIP:
		l.addPeer(event.SrcIP, event.SrcHost, strings.TrimRight(value, ".,"))
	case event.DstIP:
		l.addPeer(event.DstIP, event.DstHost, strings.TrimRight(value, ".,"))
	case event.Proto:
		l.add(event.Proto, l.protocol(value))
	case event.User:
		l.account(value)
	default:
		switch {
		case event.Numeric(name):
			l.addInt(name, value)
		case event.Address(name):
			l.addPeer(name, "", value)
		case event.IsCanonical(name):
			l.once(name, value)
		default:
			l.addNonDash(name, value)
		}
	}
}

// account adds who acted, without quotes and with the domain apart.
func (l *line) account(value string) {
	value = strings.Trim(value, `'"<>`)
	if domain, user, ok := strings.Cut(value, `\`); ok && user != "" {
		l.once(event.UserDomain, domain)
		value = user
	}
	if value == "" || value == "-" || strings.Trim(value, "*") == "" {
		return
	}
	l.once(event.User, value)
}

// side are the fields of one end of a connection.
func side(src bool) (ip, host, port, iface string) {
	if src {
		return event.SrcIP, event.SrcHost, event.SrcPort, event.InIface
	}
	return event.DstIP, event.DstHost, event.DstPort, event.OutIface
}

// endpoint reads INTERFACE:ADDRESS/PORT(ACCOUNT).
func (l *line) endpoint(src bool, s string) {
	ip, host, port, iface := side(src)
	if i := strings.IndexByte(s, '('); i > 0 {
		who := strings.TrimSuffix(s[i+1:], ")")
		s = strings.TrimSpace(s[:i])
		if strings.Contains(who, `\`) && src {
			l.account(strings.TrimPrefix(who, `LOCAL\`))
		}
	}
	s, p, _ := strings.Cut(s, "/")
	if _, ok := address(s); !ok {
		if i := strings.IndexByte(s, ':'); i > 0 {
			l.once(iface, s[:i])
			s = s[i+1:]
		}
	}
	l.addPeer(ip, host, s)
	l.addInt(port, portNumber(p))
}

// portNumber returns the number of a port that stands by the name of its service.
func portNumber(s string) string {
	switch s {
	case "ssh":
		return "22"
	case "telnet":
		return "23"
	case "domain":
		return "53"
	case "http", "www":
		return "80"
	case "snmp":
		return "161"
	case "https":
		return "443"
	}
	return s
}

// endpoint2 reads INTERFACE/ADDRESS(PORT).
func (l *line) endpoint2(src bool, s string) {
	ip, host, port, iface := side(src)
	if i := strings.IndexByte(s, '('); i > 0 {
		p := s[i+1:]
		s = strings.TrimSpace(s[:i])
		p, _, _ = strings.Cut(p, ")")
		l.addInt(port, p)
	}
	if i := strings.IndexByte(s, '/'); i > 0 {
		l.once(iface, s[:i])
		s = s[i+1:]
	}
	l.addPeer(ip, host, s)
}
