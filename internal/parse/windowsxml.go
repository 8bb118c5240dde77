package parse

import (
	"html"
	"strings"
)

func windowsXMLParser() content {
	return content{
		Info: Info{
			Name:    "windows",
			Sources: []string{"windows_xml", "windows_snare"},
			About:   "Windows events, Sysmon's for Linux too, as XML, and as Snare and NXLog's Snare format write them",
			Samples: []Sample{
				{`<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{5}'/><EventID>4625</EventID><Level>0</Level><TimeCreated SystemTime='2026-03-04T05:06:07.1234567Z'/><EventRecordID>77</EventRecordID><Channel>Security</Channel><Computer>DC1</Computer></System><EventData><Data Name='SubjectUserName'>-</Data><Data Name='TargetUserName'>eve</Data><Data Name='TargetDomainName'>CORP</Data><Data Name='LogonType'>3</Data><Data Name='IpAddress'>203.0.113.9</Data><Data Name='IpPort'>50111</Data><Data Name='SubStatus'>0xc000006a</Data></EventData></Event>`, []string{
					"source=windows_security", "host=DC1", "event_code=4625", "category=authentication", "action=login", "outcome=failure", "user=eve", "user_domain=CORP", "src_ip=203.0.113.9", "reason=bad password", "LogonType=3",
					"EventID=4625", "Channel=Security", "Provider_Name=Microsoft-Windows-Security-Auditing", "time_quality=exact", "severity=medium",
				}},
				{`<Event><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID> 4688 </EventID><Channel>Security</Channel><Computer>WS1</Computer></System><EventData><Data Name='NewProcessName'>C:\Windows\System32\cmd.exe</Data><Data Name='CommandLine'>cmd.exe /c </Data><Data Name='Empty'>  </Data></EventData></Event>`, []string{
					"source=windows_security", "host=WS1", "EventID=4688", "action=process_start", "CommandLine=cmd.exe /c ", "Empty=",
				}},
				{`<14>Mar  4 05:06:07 web1 sysmon: <Event><System><Provider Name="Linux-Sysmon" Guid="{f}"/><EventID>1</EventID><TimeCreated SystemTime="2026-03-04T05:06:07.5Z"/><Channel>Linux-Sysmon/Operational</Channel><Computer>web1</Computer></System><EventData><Data Name="Image">/usr/bin/cat</Data><Data Name="CommandLine">cat &quot;/etc/shadow&quot;</Data><Data Name="User">root</Data></EventData></Event>`, []string{
					"source=windows_sysmon", "host=web1", "category=process", "action=process_start", "process_path=/usr/bin/cat", `cmdline=cat "/etc/shadow"`, "user=root", "Image=/usr/bin/cat",
				}},
				{"<13>Mar  4 05:06:07 DC1 MSWinEventLog\t1\tSecurity\t1234\tWed Mar 04 05:06:07 2026\t4625\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\tFailure Audit\tDC1\tLogon\t\tAn account failed to log on.    Subject:   Security ID:  S-1-0-0   Account Name:  -   Account Domain:  -    Logon Type:   3    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  eve   Account Domain:  CORP    Failure Information:   Failure Reason:  Unknown user name or bad password.   Status:   0xC000006D   Sub Status:  0xC000006A    Network Information:   Workstation Name: WS7   Source Network Address: 203.0.113.9   Source Port:  50111\t77", []string{
					"source=windows_security", "host=DC1", "event_code=4625", "action=login", "outcome=failure", "user=eve", "user_domain=CORP", "src_ip=203.0.113.9", "src_port=50111", "LogonType=3", "src_host=WS7",
				}},
			},
		},
		parse: parseWindowsText,
	}
}

// isWindowsText tells an event in XML or of Snare.
func isWindowsText(s string) bool {
	return strings.HasPrefix(s, "<Event>") || strings.HasPrefix(s, "<Event ") || strings.HasPrefix(s, "MSWinEventLog\t") || strings.HasPrefix(s, "MSWinEventLog#011")
}

func parseWindowsText(l *line) bool {
	s := l.text
	if !isWindowsText(s) {
		return false
	}
	read, source := l.snare, "windows_snare"
	if s[0] == '<' {
		read, source = l.windowsXML, "windows_xml"
	}
	if !read(s) {
		if source != "windows_xml" {
			return false
		}
		// Nothing was read: the text stays whole.
		l.fail(xmlBreak(s))
		l.source = source
		return true
	}
	if source == "windows_xml" && !strings.HasSuffix(s, "</Event>") && !strings.Contains(s, "</Event>") {
		l.fail(ReasonXMLCut, len(s))
	}
	if l.source == "" {
		l.source = source
	}
	return true
}

// windowsXML reads the elements of System and the data, wherever they stand. It
// reads the few forms in which Windows writes events, not XML at large.
func (l *line) windowsXML(s string) bool {
	system, rest, ok := strings.Cut(s, "</System>")
	if !ok {
		return false
	}
	_, system, ok = strings.Cut(system, "<System>")
	if !ok {
		return false
	}
	l.program, l.pid = "", ""
	row := l.row()
	walkXML(system, func(name, attributes, text string) {
		text = strings.TrimSpace(text)
		switch name {
		case "Provider":
			row.add("Provider_Name", xmlAttribute(attributes, "Name"))
			row.add("Provider_Guid", xmlAttribute(attributes, "Guid"))
		case "TimeCreated":
			if t, q, ok := l.timeText(xmlAttribute(attributes, "SystemTime")); ok {
				l.setTime(t, q)
			}
		case "Execution":
			row.add("Execution_ProcessID", xmlAttribute(attributes, "ProcessID"))
			row.add("Execution_ThreadID", xmlAttribute(attributes, "ThreadID"))
		case "Security":
			row.add("Security_UserID", xmlAttribute(attributes, "UserID"))
		case "Level", "Version", "Task", "Opcode", "Keywords":
			if text != "" {
				row.typed(name, text, jsonNumber)
			}
		default:
			row.add(name, text)
		}
	})
	data, rendered, _ := strings.Cut(rest, "<RenderingInfo")
	walkXML(data, func(name, attributes, text string) {
		if name == "Data" {
			if named := xmlAttribute(attributes, "Name"); named != "" {
				name = named
			}
		}
		row.add(name, text)
	})
	if message, ok := between(rendered, "<Message>", "</Message>"); ok {
		row.add("Message", strings.TrimSpace(xmlText(message)))
	}
	row.end()
	return true
}

// add takes a value that is there.
func (r *row) add(name, value string) {
	if value != "" && name != "" {
		r.field(name, value)
	}
}

// walkXML calls f for every element that holds no other.
func walkXML(s string, f func(name, attributes, text string)) {
	for range maxJSONFields {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			return
		}
		s = s[i+1:]
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return
		}
		tag := s[:end]
		s = s[end+1:]
		if tag == "" || tag[0] == '/' || tag[0] == '!' || tag[0] == '?' {
			continue
		}
		name, attributes, _ := strings.Cut(strings.TrimSuffix(tag, "/"), " ")
		text := ""
		if !strings.HasSuffix(tag, "/") {
			next := strings.IndexByte(s, '<')
			if next < 0 {
				return
			}
			if !strings.HasPrefix(s[next:], "</") {
				continue // it holds elements
			}
			text = xmlText(s[:next])
		}
		f(name, attributes, text)
	}
}

// xmlAttribute returns the value of an attribute in either quotes.
func xmlAttribute(s, name string) string {
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || rest == "" {
			return ""
		}
		quote := rest[0]
		if quote != '\'' && quote != '"' {
			return ""
		}
		value, after, ok := strings.Cut(rest[1:], string(rune(quote)))
		if !ok {
			return ""
		}
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(xmlText(value))
		}
		s = after
	}
	return ""
}

// xmlText resolves character references. What blanks stand at the ends stay: rules look
// for command lines that end with one.
func xmlText(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return cleanText(html.UnescapeString(s))
}
