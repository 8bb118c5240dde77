package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// windowsEvent reads Windows events in the shapes of NXLog (flat), Winlogbeat,
// Wazuh and evtx_dump. Every key keeps its name; those in an envelope stand
// under the product's own name too, which is what Sigma rules ask for.
func windowsEvent(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	w := windowsFields{}
	for i := range own {
		w.take(&own[i])
	}
	l.source = windowsSource(w.channel, w.provider)
	l.dataset = ""
	l.add(event.Vendor, "Microsoft")
	l.add(event.EventCode, w.id)
	if l.host == "" {
		l.host = w.computer
	}
	user, domain := w.targetUser, w.targetDomain
	actor := w.subjectUser
	switch l.source {
	case "windows_security":
		w.security(l)
		if user == "" || user == "-" || w.id == "4688" || w.id == "4648" || w.id == "5140" || w.id == "5145" {
			user, domain = w.subjectUser, w.subjectDomain
		}
		if isAccountChange(w.id) && actor != "" && actor != "-" {
			l.addNonDash(event.TargetUser, w.targetUser)
			user, domain = actor, w.subjectDomain
		} else if w.id == "4648" {
			l.addNonDash(event.TargetUser, w.targetUser)
		}
		if ip := strings.TrimPrefix(w.ip, "::ffff:"); ip != "" && ip != "-" {
			l.addSource(ip, w.port)
		}
		l.addNonDash(event.SrcHost, w.workstation)
		l.addNonDash(event.ProcessPath, w.newProcess)
		l.addNonDash(event.ParentPath, w.parentProcess)
		l.addNonDash(event.Cmdline, w.cmdline)
	case "windows_sysmon":
		w.sysmon(l)
		if d, u, ok := strings.Cut(w.user, `\`); ok {
			user, domain = u, d
		} else {
			user, domain = w.user, ""
		}
	default:
		w.other(l)
		if user == "" {
			user, domain = w.subjectUser, w.subjectDomain
		}
	}
	l.addNonDash(event.User, user)
	l.addNonDash(event.UserDomain, domain)
	return true
}

// windowsFields are the fields that get a meaning.
type windowsFields struct {
	id, channel, provider, computer                      string
	targetUser, targetDomain, subjectUser, subjectDomain string
	ip, port, workstation, subStatus, status             string
	newProcess, parentProcess, cmdline, user, image      string
	parentImage, parentCmdline, cwd, guid                string
	srcIP, srcPort, dstIP, dstPort, dstHost, proto       string
	initiated                                            string
	file, object, details, query, answers, hashes        string
}

func (w *windowsFields) take(f *event.Field) {
	v := f.Value
	switch f.Name {
	case "EventID":
		w.id = v
	case "Channel":
		w.channel = v
	case "SourceName", "Provider_Name", "ProviderName":
		w.provider = v
	case "Computer", "Hostname", "ComputerName":
		w.computer = v
	case "TargetUserName":
		w.targetUser = v
	case "TargetDomainName":
		w.targetDomain = v
	case "SubjectUserName":
		w.subjectUser = v
	case "SubjectDomainName":
		w.subjectDomain = v
	case "IpAddress", "ClientAddress":
		w.ip = v
	case "IpPort":
		w.port = v
	case "WorkstationName", "Workstation":
		w.workstation = v
	case "SubStatus":
		w.subStatus = v
	case "Status":
		w.status = v
	case "NewProcessName":
		w.newProcess = v
	case "ParentProcessName":
		w.parentProcess = v
	case "CommandLine":
		w.cmdline = v
	case "User":
		w.user = v
	case "Image":
		w.image = v
	case "ParentImage":
		w.parentImage = v
	case "ParentCommandLine":
		w.parentCmdline = v
	case "CurrentDirectory":
		w.cwd = v
	case "ProcessGuid":
		w.guid = v
	case "SourceIp":
		w.srcIP = v
	case "SourcePort":
		w.srcPort = v
	case "DestinationIp":
		w.dstIP = v
	case "DestinationPort":
		w.dstPort = v
	case "DestinationHostname":
		w.dstHost = v
	case "Protocol":
		w.proto = v
	case "Initiated":
		w.initiated = v
	case "TargetFilename":
		w.file = v
	case "TargetObject":
		w.object = v
	case "Details":
		w.details = v
	case "QueryName":
		w.query = v
	case "QueryResults":
		w.answers = v
	case "Hashes":
		w.hashes = v
	}
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
	switch w.id {
	case "4624":
		l.is3("authentication", "login", "success")
	case "4625":
		l.is3("authentication", "login", "failure")
		l.add(event.Reason, logonFailure(w.subStatus, w.status))
		l.atLeast(medium)
	case "4634", "4647":
		l.is3("authentication", "logout", "success")
	case "4648":
		l.is3("authentication", "explicit_credentials", "success")
	case "4672":
		l.is3("authentication", "special_privileges", "success")
	case "4688":
		l.is3("process", "process_start", "success")
	case "4689":
		l.is3("process", "process_end", "success")
	case "4697":
		l.is3("host", "service_install", "success")
		l.atLeast(medium)
	case "4698", "4699", "4700", "4701", "4702":
		l.is3("host", "scheduled_task_change", "success")
		l.atLeast(low)
	case "4720":
		l.is3("iam", "account_create", "success")
		l.atLeast(low)
	case "4722", "4767":
		l.is3("iam", "account_unlock", "success")
	case "4723", "4724":
		l.is3("iam", "password_change", "success")
	case "4725":
		l.is3("iam", "account_lock", "success")
	case "4726":
		l.is3("iam", "account_delete", "success")
		l.atLeast(low)
	case "4738", "4781":
		l.is3("iam", "account_change", "success")
	case "4740":
		l.is3("iam", "account_lock", "success")
		l.atLeast(medium)
	case "4728", "4732", "4756":
		l.is3("iam", "group_add", "success")
		l.atLeast(medium)
	case "4729", "4733", "4757":
		l.is3("iam", "group_remove", "success")
	case "4768", "4769", "4770":
		l.is3("authentication", "kerberos_ticket", windowsOutcome(w.status))
	case "4771":
		l.is3("authentication", "login", "failure")
		l.atLeast(medium)
	case "4776":
		l.is3("authentication", "login", windowsOutcome(w.status))
		if windowsOutcome(w.status) == "failure" {
			l.add(event.Reason, logonFailure(w.status, ""))
			l.atLeast(medium)
		}
	case "1102":
		l.is3("configuration", "log_clear", "success")
		l.atLeast(high)
	case "5140", "5145":
		l.is3("file", "share_access", "success")
	case "5156":
		l.is3("network", "allow", "success")
	case "5157", "5152":
		l.is3("network", "drop", "failure")
	}
}

// sysmon gives Sysmon's events their meaning.
func (w *windowsFields) sysmon(l *line) {
	l.addNonDash(event.ProcessPath, w.image)
	l.addNonDash(event.Cmdline, w.cmdline)
	l.addNonDash(event.CWD, w.cwd)
	l.addNonDash(event.ParentPath, w.parentImage)
	l.addNonDash(event.ParentCmdline, w.parentCmdline)
	l.addNonDash(event.ProcessGUID, w.guid)
	if v, ok := cutHash(w.hashes, "SHA256="); ok {
		l.add(event.HashSHA256, v)
	}
	if v, ok := cutHash(w.hashes, "MD5="); ok {
		l.add(event.HashMD5, v)
	}
	switch w.id {
	case "1":
		l.is3("process", "process_start", "success")
	case "3":
		l.is3("network", "connection", "success")
		l.addSource(w.srcIP, w.srcPort)
		l.addPeer(event.DstIP, event.DstHost, w.dstIP)
		l.addInt(event.DstPort, w.dstPort)
		l.addNonDash(event.DstHost, w.dstHost)
		l.add(event.Proto, l.protocol(w.proto))
		switch w.initiated {
		case "true":
			l.add(event.Direction, "outbound")
		case "false":
			l.add(event.Direction, "inbound")
		}
	case "5":
		l.is3("process", "process_end", "success")
	case "7":
		l.is3("process", "image_load", "success")
	case "8":
		l.is3("process", "remote_thread", "success")
	case "10":
		l.is3("process", "process_access", "success")
	case "11", "15":
		l.is3("file", "file_create", "success")
		l.addNonDash(event.FilePath, w.file)
	case "23", "26":
		l.is3("file", "file_delete", "success")
		l.addNonDash(event.FilePath, w.file)
	case "12", "13", "14":
		l.is3("registry", "registry_change", "success")
		l.addNonDash(event.RegistryPath, w.object)
		l.addNonDash(event.RegistryValue, w.details)
	case "17", "18":
		l.is3("process", "pipe", "success")
	case "19", "20", "21":
		l.is3("configuration", "wmi_change", "success")
	case "22":
		l.is3("dns", "query", "success")
		l.addNonDash(event.DNSQuery, w.query)
		l.addNonDash(event.DNSAnswer, w.answers)
	case "25":
		l.is3("process", "process_tampering", "success")
		l.atLeast(medium)
	}
}

// other gives the events of the remaining channels their meaning.
func (w *windowsFields) other(l *line) {
	switch {
	case l.source == "windows_powershell" && (w.id == "4104" || w.id == "4103" || w.id == "400" || w.id == "600" || w.id == "800"):
		l.is3("process", "script", "success")
	case l.source == "windows_system" && w.id == "7045":
		l.is3("host", "service_install", "success")
		l.atLeast(medium)
	case l.source == "windows_system" && w.id == "104":
		l.is3("configuration", "log_clear", "success")
		l.atLeast(high)
	case l.source == "windows_defender" && (w.id == "1116" || w.id == "1117"):
		l.is3("malware", "detect", "success")
		l.atLeast(high)
	}
}

// is3 is is for records that may have fields of these names of their own.
func (l *line) is3(category, action, outcome string) {
	l.put(event.Category, category)
	l.put(event.Action, action)
	l.put(event.Outcome, outcome)
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
