package parse

import "strings"

// snare reads the columns of Snare's events, and out of the text what the event's
// data would say.
func (l *line) snare(s string) bool {
	if strings.HasPrefix(s, "MSWinEventLog#011") { // as rsyslog writes a tab
		s = strings.ReplaceAll(s, "#011", "\t")
	}
	var columns [16]string
	n := 0
	for rest, more := s, true; more && n < len(columns); n++ {
		columns[n], rest, more = strings.Cut(rest, "\t")
	}
	if n < 12 || !allDigits(columns[5]) {
		return false
	}
	l.program, l.pid = "", ""
	row := l.row()
	row.add("Channel", columns[2])
	if t, q, ok := l.timeText(columns[4]); ok && (!l.hasTime || l.quality != qualityExact) {
		l.setTime(t, q)
	}
	row.add("EventID", columns[5])
	row.add("Provider_Name", columns[6])
	if columns[7] != "N/A" {
		row.add("UserName", columns[7])
	}
	row.add("EventType", columns[9])
	row.add("Computer", columns[10])
	row.add("Category", columns[11])
	text := ""
	for _, column := range columns[12:n] {
		if len(column) > len(text) {
			text = column
		}
	}
	row.add("Message", text)
	snareText(text, row.add)
	row.end()
	return true
}

// snareText reads "Section:   Label:  value   Label:  value", with two spaces or
// more, or a tab, between the words.
func snareText(s string, add func(name, value string)) {
	section, label := "", ""
	for s != "" {
		s = strings.TrimLeft(s, " \t\r\n")
		end := len(s)
		for i := 0; i < len(s); i++ {
			if s[i] == '\t' || s[i] == '\n' || s[i] == ' ' && (i+1 < len(s) && s[i+1] == ' ' || i > 0 && s[i-1] == ':') {
				end = i
				break
			}
		}
		word := s[:end]
		s = s[end:]
		name, isLabel := strings.CutSuffix(word, ":")
		switch {
		case isLabel && snareSection(name):
			section, label = name, ""
		case isLabel:
			label = name
		case label != "":
			if word != "-" && word != "%%1793" {
				add(snareField(section, label), word)
			}
			label = ""
		}
	}
}

// snareSection tells the headings of groups.
func snareSection(s string) bool {
	switch s {
	case "Subject", "New Logon", "Account For Which Logon Failed", "Process Information", "Network Information", "Detailed Authentication Information", "Failure Information",
		"Target Account", "New Account", "Group", "Member", "Account Information", "Service Information", "Object", "Target Server", "Account Whose Credentials Were Used",
		"Creator Subject", "Target Subject", "Logon Information", "Attributes", "Changed Attributes", "Additional Information", "User", "Account That Was Locked Out":
		return true
	}
	return false
}

// snareField names a value as the event's data do, "" for those that rules do not
// ask for.
func snareField(section, label string) string {
	subject := section == "Subject" || section == "Creator Subject"
	switch label {
	case "Account Name":
		switch {
		case subject:
			return "SubjectUserName"
		case section == "Member":
			return "MemberName"
		}
		return "TargetUserName"
	case "Account Domain", "Supplied Realm Name":
		if subject {
			return "SubjectDomainName"
		}
		return "TargetDomainName"
	case "Security ID":
		switch {
		case subject:
			return "SubjectUserSid"
		case section == "Member":
			return "MemberSid"
		}
		return "TargetSid"
	case "Logon ID":
		if subject {
			return "SubjectLogonId"
		}
		return "TargetLogonId"
	case "Group Name":
		return "TargetUserName"
	case "Group Domain":
		return "TargetDomainName"
	case "Logon Account", "User Name":
		return "TargetUserName"
	case "Logon Type":
		return "LogonType"
	case "Status", "Failure Code", "Result Code", "Error Code":
		return "Status"
	case "Sub Status":
		return "SubStatus"
	case "Workstation Name", "Source Workstation":
		return "WorkstationName"
	case "Source Network Address", "Client Address":
		return "IpAddress"
	case "Source Port", "Client Port":
		return "IpPort"
	case "Logon Process":
		return "LogonProcessName"
	case "Authentication Package":
		return "AuthenticationPackageName"
	case "New Process Name":
		return "NewProcessName"
	case "New Process ID":
		return "NewProcessId"
	case "Process Command Line":
		return "CommandLine"
	case "Creator Process Name":
		return "ParentProcessName"
	case "Creator Process ID":
		return "ProcessId"
	case "Process Name", "Caller Process Name":
		return "ProcessName"
	case "Service Name":
		return "ServiceName"
	case "Service File Name":
		return "ImagePath"
	case "Service Type":
		return "ServiceType"
	case "Service Start Type":
		return "StartType"
	case "Ticket Encryption Type":
		return "TicketEncryptionType"
	case "Ticket Options":
		return "TicketOptions"
	case "Pre-Authentication Type":
		return "PreAuthType"
	case "Task Name":
		return "TaskName"
	case "Object Name":
		return "ObjectName"
	case "Object Type":
		return "ObjectType"
	case "Share Name":
		return "ShareName"
	case "Share Path":
		return "ShareLocalPath"
	case "Relative Target Name":
		return "RelativeTargetName"
	case "Privileges":
		return "PrivilegeList"
	case "Target Server Name":
		return "TargetServerName"
	}
	return ""
}
