package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func iseParser() content {
	return content{
		Info: Info{
			Name:    "cisco_ise",
			Sources: []string{"cisco_ise", "cisco_acs"},
			About:   "Cisco ISE and ACS: authentications, accounting, administration, alarms, each segment of a long message by itself",
			Samples: []Sample{
				{`<181>Mar  4 05:06:07 ise1 CISE_Failed_Attempts 0001939187 2 0 2026-03-04 05:06:07.500 +01:00 0042009748 5400 NOTICE Failed-Attempt: Authentication failed, ConfigVersionId=128, Device IP Address=10.0.0.2, UserName=bob, Calling-Station-ID=00-00-5E-00-53-01, FailureReason=24408 User authentication against Active Directory failed, NetworkDeviceName=sw1, Framed-IP-Address=10.0.0.77`, []string{
					"source=cisco_ise", "vendor=Cisco", "product=ISE", "host=ise1", "event_code=5400", "dataset=failed_attempts", "category=authentication", "action=login", "outcome=failure", "user=bob",
					"src_mac=00-00-5E-00-53-01", "src_ip=10.0.0.77", "reason=24408 User authentication against Active Directory failed", "NetworkDeviceName=sw1", "severity=medium", "time_quality=exact",
				}},
				{`<181>Mar  4 05:06:07 ise1 CISE_Passed_Authentications 0001939188 4 1  AcsSessionID=ise1/341/1, User-Name=bob, part two,`, []string{"source=cisco_ise", "segment=1", "action=login", "outcome=success", "user=bob", "AcsSessionID=ise1/341/1"}},
				{`<181>Mar  4 05:06:07 ise1 CISE_Administrative_and_Operational_Audit 0000000002 1 0 2026-03-04 05:06:07.500 +00:00 0000000009 52001 NOTICE Configuration-Changes: Changed configuration, AdminInterface=GUI, AdminIPAddress=10.0.0.9, AdminName=carol`, []string{
					"category=configuration", "action=config_change", "user=carol", "src_ip=10.0.0.9",
				}},
				{`<134> Mar  4 05:06:07 acs1 CSCOacs_Failed_Attempts: 0765855540 1 0 2026-03-04 05:06:07 +0000 0178632943 5401 NOTICE Failed-Attempt: Authentication failed, UserName=eve, Remote-Address=203.0.113.9`, []string{
					"source=cisco_acs", "outcome=failure", "user=eve", "src_ip=203.0.113.9",
				}},
			},
		},
		parse: parseISE,
	}
}

// isISE tells the category that stands first, or for ACS as the tag.
func isISE(program, text string) bool {
	return strings.HasPrefix(text, "CISE_") || strings.HasPrefix(program, "CSCOacs_") || strings.HasPrefix(program, "CISE_") || strings.HasPrefix(text, "CSCOacs_")
}

// parseISE reads "CATEGORY ID TOTAL SEGMENT TIME SEQUENCE CODE LEVEL Class: Text, Key=Value, …".
func parseISE(l *line) bool {
	if !isISE(l.program, l.text) {
		return false
	}
	name, s := l.program, l.text
	if !isISE(name, "") {
		name, s = cutWord(s)
		name = strings.TrimSuffix(name, ":")
	}
	l.program = ""
	l.source = "cisco_ise"
	product := "ISE"
	if strings.HasPrefix(name, "CSCOacs_") {
		l.source, product = "cisco_acs", "ACS"
	}
	l.knownAs(l.source, "Cisco", product)
	_, kind, _ := strings.Cut(name, "_")
	l.dataset = l.p.lower(kind)
	id, rest := cutWord(s)
	total, rest := cutWord(rest)
	segment, rest := cutWord(rest)
	if number(total) >= 0 && number(segment) >= 0 && digits(id) == len(id) {
		l.add("message_id", id)
		l.add("segments", total)
		l.add("segment", segment)
		s = rest
	}
	if segment == "0" && len(s) > 30 && isDigit(s[0]) {
		var c clock
		if tail, ok := c.isoTime(s); ok {
			if t, q, ok := l.resolve(&c); ok {
				l.setTime(t, q)
			}
			_, tail = cutWord(skipSpaces(tail)) // the sequence
			code, tail := cutWord(tail)
			level, tail := cutWord(tail)
			l.add(event.EventCode, code)
			l.setLevel(level)
			s = tail
			if class, text, ok := strings.Cut(s, ": "); ok && len(class) < 48 {
				l.add("class", class)
				s = text
			}
		}
	}
	l.pairs(s, ',', isePair)
	l.iseMeaning(kind)
	return true
}

// pairs reads "Key=Value" between separators and hands each to take; what is no
// pair is left out.
func (l *line) pairs(s string, separator byte, take func(l *line, key, value string)) {
	for s != "" && len(l.e.Fields) < maxJSONFields {
		var pair string
		if i := strings.IndexByte(s, separator); i >= 0 {
			pair, s = s[:i], s[i+1:]
		} else {
			pair, s = s, ""
		}
		key, value, ok := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if ok && key != "" && value != "" && len(key) <= 64 {
			l.native("", key, value)
			take(l, key, value)
		}
	}
}

func isePair(l *line, key, value string) {
	switch key {
	case "UserName", "User-Name", "AdminName", "User":
		l.account(value)
	case "Calling-Station-ID", "EndPointMACAddress":
		if a, ok := address(value); ok {
			l.once(event.SrcIP, a)
		} else {
			l.once(event.SrcMAC, value)
		}
	case "Framed-IP-Address", "AdminIPAddress", "Remote-Address":
		if a, ok := address(value); ok {
			l.once(event.SrcIP, a)
		}
	case "DestinationIPAddress":
		l.once(event.DstIP, ipOrNone(value))
	case "DestinationPort":
		l.onceInt(event.DstPort, value)
	case "FailureReason", "Failure Reason":
		l.once(event.Reason, value)
	case "AuthenticationMethod":
		l.once(event.AuthMethod, value)
	case "AcsSessionID":
		l.once(event.SessionID, value)
	case "SelectedAuthorizationProfiles", "AuthorizationPolicyMatchedRule":
		l.once(event.RuleName, value)
	}
}

// ipOrNone returns an address in its usual spelling, "" for other text.
func ipOrNone(s string) string {
	a, ok := address(s)
	if !ok {
		return ""
	}
	return a
}

func (l *line) iseMeaning(kind string) {
	switch {
	case strings.HasPrefix(kind, "Passed_Auth"), kind == "Single_Authentications", kind == "Multi_Authentications":
		l.putThree("authentication", "login", "success")
	case strings.HasPrefix(kind, "Failed_Attempts"):
		l.happened("authentication", "login", "failure")
	case strings.HasPrefix(kind, "RADIUS_Accounting"), strings.HasPrefix(kind, "TACACS_Accounting"):
		l.putThree("session", "accounting", "")
	case strings.HasPrefix(kind, "Administrative"):
		class := l.e.Get("class")
		if strings.Contains(class, "Authentication") || strings.Contains(class, "Login") {
			l.putThree("authentication", "login", "")
			return
		}
		l.mean("configuration", "config_change", "success", low)
	}
}
