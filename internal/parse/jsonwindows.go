package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// windowsEvent reads Windows events in the shapes of NXLog (flat), Winlogbeat,
// Wazuh and evtx_dump. Every key keeps its name; those in an envelope stand
// under the product's own name too, which is what Sigma rules ask for.
func windowsEvent(l *line, _ int) bool {
	w := &l.p.json.windows
	l.source = windowsSource(w[winChannel], w[winProvider])
	l.dataset = ""
	l.add(event.Vendor, "Microsoft")
	l.add(event.EventCode, w[winID])
	if w[winComputer] != "" { // a host besides it is that of a collector that forwards
		l.host = w[winComputer]
	}
	user, domain := w[winTargetUser], w[winTargetDomain]
	actor := w[winSubjectUser]
	switch l.source {
	case "windows_security":
		for i := range l.e.Fields { // Windows pads it: "Advapi  "
			if f := &l.e.Fields[i]; f.Name == "LogonProcessName" {
				f.Value = strings.TrimRight(f.Value, " ")
			}
		}
		w.security(l)
		if user == "" || user == "-" || w[winID] == "4688" || w[winID] == "4648" || w[winID] == "5140" || w[winID] == "5145" {
			user, domain = w[winSubjectUser], w[winSubjectDomain]
		}
		if isAccountChange(w[winID]) && actor != "" && actor != "-" {
			l.addNonDash(event.TargetUser, w[winTargetUser])
			user, domain = actor, w[winSubjectDomain]
		} else if w[winID] == "4648" {
			l.addNonDash(event.TargetUser, w[winTargetUser])
		}
		if ip := strings.TrimPrefix(w[winIP], "::ffff:"); ip != "" && ip != "-" {
			l.addSource(ip, w[winPort])
		}
		l.addNonDash(event.SrcHost, w[winWorkstation])
		l.addNonDash(event.ProcessPath, w[winNewProcess])
		l.addNonDash(event.ParentPath, w[winParentProcess])
		l.addNonDash(event.Cmdline, w[winCmdline])
	case "windows_sysmon":
		w.sysmon(l)
		if d, u, ok := strings.Cut(w[winUser], `\`); ok {
			user, domain = u, d
		} else {
			user, domain = w[winUser], ""
		}
	default:
		w.other(l)
		if user == "" {
			user, domain = w[winSubjectUser], w[winSubjectDomain]
		}
	}
	l.addNonDash(event.User, user)
	l.addNonDash(event.UserDomain, domain)
	return true
}

// A windowsSlot numbers the fields that get a meaning.
type windowsSlot byte

const (
	winNone windowsSlot = iota
	winID
	winChannel
	winProvider
	winComputer
	winTargetUser
	winTargetDomain
	winSubjectUser
	winSubjectDomain
	winIP
	winPort
	winWorkstation
	winSubStatus
	winStatus
	winNewProcess
	winParentProcess
	winCmdline
	winUser
	winImage
	winParentImage
	winParentCmdline
	winCWD
	winGUID
	winSrcIP
	winSrcPort
	winDstIP
	winDstPort
	winDstHost
	winProto
	winInitiated
	winFile
	winObject
	winDetails
	winQuery
	winAnswers
	winHashes
	winData
	windowsSlots
)

// windowsFields are the values of those fields, the last one of each.
type windowsFields [windowsSlots]string

// windowsSlotOf returns the number of a field, or 0.
func windowsSlotOf(name string) windowsSlot {
	switch name {
	case "EventID":
		return winID
	case "Channel":
		return winChannel
	case "SourceName", "Provider_Name", "ProviderName":
		return winProvider
	case "Computer", "Hostname", "ComputerName":
		return winComputer
	case "TargetUserName":
		return winTargetUser
	case "TargetDomainName":
		return winTargetDomain
	case "SubjectUserName":
		return winSubjectUser
	case "SubjectDomainName":
		return winSubjectDomain
	case "IpAddress", "ClientAddress":
		return winIP
	case "IpPort":
		return winPort
	case "WorkstationName", "Workstation":
		return winWorkstation
	case "SubStatus":
		return winSubStatus
	case "Status":
		return winStatus
	case "NewProcessName":
		return winNewProcess
	case "ParentProcessName":
		return winParentProcess
	case "CommandLine":
		return winCmdline
	case "User":
		return winUser
	case "Image":
		return winImage
	case "ParentImage":
		return winParentImage
	case "ParentCommandLine":
		return winParentCmdline
	case "CurrentDirectory":
		return winCWD
	case "ProcessGuid":
		return winGUID
	case "SourceIp":
		return winSrcIP
	case "SourcePort":
		return winSrcPort
	case "DestinationIp":
		return winDstIP
	case "DestinationPort":
		return winDstPort
	case "DestinationHostname":
		return winDstHost
	case "Protocol":
		return winProto
	case "Initiated":
		return winInitiated
	case "TargetFilename":
		return winFile
	case "TargetObject":
		return winObject
	case "Details":
		return winDetails
	case "QueryName":
		return winQuery
	case "QueryResults":
		return winAnswers
	case "Hashes":
		return winHashes
	case "Data", "param1":
		return winData
	}
	return winNone
}

// windowsSource names the source after the event's channel.
func windowsSource(channel, provider string) string {
	switch channel {
	case "Security", "security":
		return "windows_security"
	case "Microsoft-Windows-Sysmon/Operational", "Linux-Sysmon/Operational":
		return "windows_sysmon"
	case "Windows PowerShell", "Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational":
		return "windows_powershell"
	case "System":
		return "windows_system"
	case "Application":
		return "windows_application"
	case "Microsoft-Windows-Windows Defender/Operational":
		return "windows_defender"
	}
	switch provider {
	case "Microsoft-Windows-Security-Auditing":
		return "windows_security"
	case "Microsoft-Windows-Sysmon":
		return "windows_sysmon"
	case "Microsoft-Windows-PowerShell", "PowerShell":
		return "windows_powershell"
	}
	return "windows"
}

func isAccountChange(id string) bool {
	switch id {
	case "4720", "4722", "4723", "4724", "4725", "4726", "4738", "4740", "4767", "4728", "4729", "4732", "4733", "4756", "4757", "4781":
		return true
	}
	return false
}

// security gives the events of the Security channel their meaning.
func (w *windowsFields) security(l *line) {
	switch w[winID] {
	case "4624":
		l.putThree("authentication", "login", "success")
	case "4625":
		l.putThree("authentication", "login", "failure")
		l.add(event.Reason, logonFailure(w[winSubStatus], w[winStatus]))
		l.atLeast(medium)
	case "4634", "4647":
		l.putThree("authentication", "logout", "success")
	case "4648":
		l.putThree("authentication", "explicit_credentials", "success")
	case "4672":
		l.putThree("authentication", "special_privileges", "success")
	case "4688":
		l.putThree("process", "process_start", "success")
	case "4689":
		l.putThree("process", "process_end", "success")
	case "4697":
		l.putThree("host", "service_install", "success")
		l.atLeast(medium)
	case "4698", "4699", "4700", "4701", "4702":
		l.putThree("host", "scheduled_task_change", "success")
		l.atLeast(low)
	case "4720":
		l.putThree("iam", "account_create", "success")
		l.atLeast(low)
	case "4722", "4767":
		l.putThree("iam", "account_unlock", "success")
	case "4723", "4724":
		l.putThree("iam", "password_change", "success")
	case "4725":
		l.putThree("iam", "account_lock", "success")
	case "4726":
		l.putThree("iam", "account_delete", "success")
		l.atLeast(low)
	case "4738", "4781":
		l.putThree("iam", "account_change", "success")
	case "4740":
		l.putThree("iam", "account_lock", "success")
		l.atLeast(medium)
	case "4728", "4732", "4756":
		l.putThree("iam", "group_add", "success")
		l.atLeast(medium)
	case "4729", "4733", "4757":
		l.putThree("iam", "group_remove", "success")
	case "4768", "4769", "4770":
		l.putThree("authentication", "kerberos_ticket", windowsOutcome(w[winStatus]))
	case "4771":
		l.putThree("authentication", "login", "failure")
		l.atLeast(medium)
	case "4776":
		l.putThree("authentication", "login", windowsOutcome(w[winStatus]))
		if windowsOutcome(w[winStatus]) == "failure" {
			l.add(event.Reason, logonFailure(w[winStatus], ""))
			l.atLeast(medium)
		}
	case "1102":
		l.putThree("configuration", "log_clear", "success")
		l.atLeast(high)
	case "5140", "5145":
		l.putThree("file", "share_access", "success")
	case "5156":
		l.putThree("network", "allow", "success")
	case "5157", "5152":
		l.putThree("network", "drop", "failure")
	}
}

// sysmon gives Sysmon's events their meaning.
func (w *windowsFields) sysmon(l *line) {
	l.addNonDash(event.ProcessPath, w[winImage])
	l.addNonDash(event.Cmdline, w[winCmdline])
	l.addNonDash(event.CWD, w[winCWD])
	l.addNonDash(event.ParentPath, w[winParentImage])
	l.addNonDash(event.ParentCmdline, w[winParentCmdline])
	l.addNonDash(event.ProcessGUID, w[winGUID])
	if v, ok := cutHash(w[winHashes], "SHA256="); ok {
		l.add(event.HashSHA256, v)
	}
	if v, ok := cutHash(w[winHashes], "MD5="); ok {
		l.add(event.HashMD5, v)
	}
	if v, ok := cutHash(w[winHashes], "IMPHASH="); ok {
		l.add("Imphash", v) // older Sigma rules ask for it by this name
	}
	switch w[winID] {
	case "1":
		l.putThree("process", "process_start", "success")
	case "3":
		l.putThree("network", "connection", "success")
		l.addSource(w[winSrcIP], w[winSrcPort])
		l.addPeer(event.DstIP, event.DstHost, w[winDstIP])
		l.addInt(event.DstPort, w[winDstPort])
		l.addNonDash(event.DstHost, w[winDstHost])
		l.add(event.Proto, l.protocol(w[winProto]))
		switch w[winInitiated] {
		case "true":
			l.add(event.Direction, "outbound")
		case "false":
			l.add(event.Direction, "inbound")
		}
	case "5":
		l.putThree("process", "process_end", "success")
	case "7":
		l.putThree("process", "image_load", "success")
	case "8":
		l.putThree("process", "remote_thread", "success")
	case "10":
		l.putThree("process", "process_access", "success")
	case "11", "15":
		l.putThree("file", "file_create", "success")
		l.addNonDash(event.FilePath, w[winFile])
	case "23", "26":
		l.putThree("file", "file_delete", "success")
		l.addNonDash(event.FilePath, w[winFile])
	case "12", "13", "14":
		l.putThree("registry", "registry_change", "success")
		l.addNonDash(event.RegistryPath, w[winObject])
		l.addNonDash(event.RegistryValue, w[winDetails])
	case "17", "18":
		l.putThree("process", "pipe", "success")
	case "19", "20", "21":
		l.putThree("configuration", "wmi_change", "success")
	case "22":
		l.putThree("dns", "query", "success")
		l.addNonDash(event.DNSQuery, w[winQuery])
		l.addNonDash(event.DNSAnswer, w[winAnswers])
	case "25":
		l.putThree("process", "process_tampering", "success")
		l.atLeast(medium)
	}
}

// other gives the events of the remaining channels their meaning.
func (w *windowsFields) other(l *line) {
	switch {
	case strings.HasPrefix(w[winProvider], "MSSQL"):
		w.mssql(l)
	case l.source == "windows_powershell" && (w[winID] == "4104" || w[winID] == "4103" || w[winID] == "400" || w[winID] == "600" || w[winID] == "800"):
		l.putThree("process", "script", "success")
	case l.source == "windows_system" && w[winID] == "7045":
		l.putThree("host", "service_install", "success")
		l.atLeast(medium)
	case l.source == "windows_system" && w[winID] == "104":
		l.putThree("configuration", "log_clear", "success")
		l.atLeast(high)
	case l.source == "windows_defender" && (w[winID] == "1116" || w[winID] == "1117"):
		l.putThree("malware", "detect", "success")
		l.atLeast(high)
	}
}

func windowsOutcome(status string) string {
	if status == "" || status == "0" || status == "0x0" {
		return "success"
	}
	return "failure"
}

// logonFailure puts the codes of failed logons into words.
func logonFailure(codes ...string) string {
	for _, code := range codes {
		if len(code) != 10 {
			continue
		}
		switch code[len(code)-8:] {
		case "c000006a", "C000006A":
			return "bad password"
		case "c0000064", "C0000064":
			return "invalid user"
		case "c0000234", "C0000234":
			return "account locked"
		case "c0000072", "C0000072":
			return "account disabled"
		case "c0000193", "C0000193":
			return "account expired"
		case "c0000071", "C0000071":
			return "password expired"
		case "c000006f", "C000006F", "c0000070", "C0000070":
			return "policy"
		}
	}
	for _, code := range codes {
		if code != "" && code != "0x0" && code != "-" {
			return code
		}
	}
	return ""
}

// cutHash reads "MD5=…,SHA256=…".
func cutHash(s, name string) (string, bool) {
	i := strings.Index(s, name)
	if i < 0 || i > 0 && s[i-1] != ',' {
		return "", false
	}
	v, _, _ := strings.Cut(s[i+len(name):], ",")
	return v, true
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
