package parse

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// auditMeaning is what a record's type says.
type auditMeaning struct {
	category, action string
	subject          bool // acct is the account acted on, not the one that acts
}

var auditMeanings = map[string]auditMeaning{
	"USER_AUTH":          {"authentication", "login", false},
	"USER_LOGIN":         {"authentication", "login", false},
	"USER_ERR":           {"authentication", "login", false},
	"USER_ACCT":          {"authentication", "account_check", false},
	"USER_MGMT":          {"iam", "account_change", true},
	"USER_CHAUTHTOK":     {"iam", "password_change", true},
	"ADD_USER":           {"iam", "account_create", true},
	"DEL_USER":           {"iam", "account_delete", true},
	"ADD_GROUP":          {"iam", "group_create", true},
	"DEL_GROUP":          {"iam", "group_delete", true},
	"GRP_MGMT":           {"iam", "group_change", true},
	"GRP_CHAUTHTOK":      {"iam", "group_change", true},
	"ACCT_LOCK":          {"iam", "account_lock", true},
	"ACCT_UNLOCK":        {"iam", "account_unlock", true},
	"ROLE_ASSIGN":        {"iam", "role_assign", true},
	"ROLE_REMOVE":        {"iam", "role_remove", true},
	"USER_START":         {"session", "session_open", false},
	"USER_END":           {"session", "session_close", false},
	"USER_LOGOUT":        {"session", "logout", false},
	"LOGIN":              {"session", "session_open", false},
	"CRED_ACQ":           {"session", "credentials", false},
	"CRED_DISP":          {"session", "credentials", false},
	"CRED_REFR":          {"session", "credentials", false},
	"USER_CMD":           {"process", "sudo", false},
	"USER_TTY":           {"process", "input", false},
	"TTY":                {"process", "input", false},
	"EXECVE":             {"process", "process_start", false},
	"SYSCALL":            {"process", "", false},
	"PROCTITLE":          {"process", "", false},
	"CWD":                {"process", "", false},
	"SECCOMP":            {"process", "deny", false},
	"PATH":               {"file", "", false},
	"SOCKADDR":           {"network", "", false},
	"NETFILTER_CFG":      {"configuration", "config_change", false},
	"CONFIG_CHANGE":      {"configuration", "config_change", false},
	"DAEMON_START":       {"configuration", "audit_start", false},
	"DAEMON_END":         {"configuration", "audit_stop", false},
	"DAEMON_ABORT":       {"configuration", "audit_stop", false},
	"DAEMON_CONFIG":      {"configuration", "config_change", false},
	"MAC_STATUS":         {"configuration", "config_change", false},
	"MAC_CONFIG_CHANGE":  {"configuration", "config_change", false},
	"MAC_POLICY_LOAD":    {"configuration", "config_change", false},
	"KERN_MODULE":        {"host", "module_load", false},
	"SERVICE_START":      {"host", "service_start", false},
	"SERVICE_STOP":       {"host", "service_stop", false},
	"SYSTEM_BOOT":        {"host", "start", false},
	"SYSTEM_SHUTDOWN":    {"host", "stop", false},
	"AVC":                {"host", "deny", false},
	"USER_AVC":           {"host", "deny", false},
	"SELINUX_ERR":        {"host", "error", false},
	"SOFTWARE_UPDATE":    {"configuration", "software_update", false},
	"INTEGRITY_DATA":     {"file", "integrity_check", false},
	"CHGRP_ID":           {"session", "su", false},
	"CHUSER_ID":          {"session", "su", false},
	"CRYPTO_KEY_USER":    {"network", "", false},
	"CRYPTO_SESSION":     {"network", "", false},
	"VIRT_CONTROL":       {"host", "virtual_machine", false},
	"LABEL_LEVEL_CHANGE": {"configuration", "config_change", false},
}

// auditType names the types that the kernel's ring gives as numbers.
func auditType(kind string) string {
	if kind == "" || !isDigit(kind[0]) {
		return kind
	}
	switch kind {
	case "1006":
		return "LOGIN"
	case "1100":
		return "USER_AUTH"
	case "1101":
		return "USER_ACCT"
	case "1102":
		return "USER_MGMT"
	case "1103":
		return "CRED_ACQ"
	case "1104":
		return "CRED_DISP"
	case "1105":
		return "USER_START"
	case "1106":
		return "USER_END"
	case "1107":
		return "USER_AVC"
	case "1108":
		return "USER_CHAUTHTOK"
	case "1112":
		return "USER_LOGIN"
	case "1113":
		return "USER_LOGOUT"
	case "1114":
		return "ADD_USER"
	case "1115":
		return "DEL_USER"
	case "1116":
		return "ADD_GROUP"
	case "1117":
		return "DEL_GROUP"
	case "1123":
		return "USER_CMD"
	case "1130":
		return "SERVICE_START"
	case "1131":
		return "SERVICE_STOP"
	case "1300":
		return "SYSCALL"
	case "1302":
		return "PATH"
	case "1305":
		return "CONFIG_CHANGE"
	case "1306":
		return "SOCKADDR"
	case "1307":
		return "CWD"
	case "1309":
		return "EXECVE"
	case "1325":
		return "NETFILTER_CFG"
	case "1326":
		return "SECCOMP"
	case "1327":
		return "PROCTITLE"
	case "1330":
		return "KERN_MODULE"
	case "1400":
		return "AVC"
	}
	return kind
}

// meaning gives the canonical fields.
func (a *audit) meaning() {
	l := a.l
	m := auditMeanings[a.kind]
	if strings.HasPrefix(a.kind, "ANOM_") || strings.HasPrefix(a.kind, "RESP_") {
		m = auditMeaning{"intrusion_detection", "anomaly", false}
		l.atLeast(medium)
	}
	category, action := cmp.Or(m.category, "host"), m.action
	outcome := auditOutcome(cmp.Or(a.own("res"), a.own("success"), a.own("result")))
	subject := m.subject
	switch a.kind {
	case "SYSCALL":
		category, action = auditCall(a.own("SYSCALL"))
	case "SOCKADDR":
		if a.socket() && a.own("SYSCALL") == "connect" {
			action = "network_connection"
			l.add(event.Direction, "outbound")
		}
	case "PATH":
		switch a.own("nametype") {
		case "CREATE":
			action = "file_create"
		case "DELETE":
			action = "file_delete"
		}
	case "AVC", "USER_AVC":
		outcome = "failure"
		if strings.Contains(l.text, "granted") || a.own("apparmor") == "ALLOWED" || a.own("apparmor") == "STATUS" {
			action, outcome = "allow", "success"
		}
	}
	l.add(event.Category, category)
	l.add(event.Action, action)
	l.add(event.Outcome, outcome)
	switch {
	case action == "login" && outcome == "failure":
		l.atLeast(medium)
	case category == "configuration", category == "iam":
		l.atLeast(low)
	}
	a.who(subject)
	a.what()
}

// auditOutcome reads the words for whether it worked.
func auditOutcome(res string) string {
	switch res {
	case "success", "yes", "1":
		return "success"
	case "failed", "no", "0", "fail":
		return "failure"
	}
	return ""
}

// who adds the accounts: the one that logged in comes before the one in whose
// name the process runs. Where acct is acted on, the actor is who logged in.
func (a *audit) who(subject bool) {
	l := a.l
	acct := a.own("acct")
	login, name := a.own("auid"), a.own("AUID")
	if login == "" || login == "4294967295" || login == "-1" {
		login, name = a.own("uid"), a.own("UID")
	}
	if name == "unset" {
		name = ""
	}
	switch {
	case subject:
		l.add(event.TargetUser, acct)
		l.add(event.User, name)
	case acct != "":
		l.add(event.User, acct)
	default:
		l.add(event.User, name)
	}
	l.addInt(event.UserID, login)
	if ses := a.own("ses"); ses != "4294967295" {
		l.add(event.SessionID, ses)
	}
}

// what adds program, file and peer.
func (a *audit) what() {
	l := a.l
	exe := a.own("exe")
	l.add(event.ProcessPath, exe)
	l.setProgram(cmp.Or(a.own("comm"), exe))
	if l.program == "" && a.kind == "EXECVE" {
		l.setProgram(a.own("a0"))
	}
	if a.kind != "EXECVE" {
		if cmd := cmp.Or(a.own("cmd"), a.own("proctitle")); cmd != "" {
			l.put(event.Cmdline, cmd)
		}
	}
	l.add(event.RuleName, a.own("key"))
	l.add(event.FilePath, a.own("name"))
	if a.own(event.TTY) == "" {
		l.add(event.TTY, a.own("terminal"))
	}
	if addr := cmp.Or(a.own("addr"), a.own("hostname")); addr != "" && (a.own("addr") != "" || addr != l.host) {
		l.addPeer(event.SrcIP, event.SrcHost, addr)
	}
}

// socket decodes the address of a SOCKADDR record.
func (a *audit) socket() bool {
	var b [28]byte
	raw := a.own("saddr")
	if len(raw) > 2*len(b) || len(raw) < 16 {
		return false
	}
	n, err := hex.Decode(b[:], []byte(raw))
	if err != nil {
		return false
	}
	var ip netip.Addr
	switch family := binary.LittleEndian.Uint16(b[:2]); {
	case family == 2 && n >= 8:
		ip = netip.AddrFrom4([4]byte(b[4:8]))
	case family == 10 && n >= 24:
		ip = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	default:
		return false
	}
	a.l.addPeer(event.DstIP, "", ip.String())
	a.l.add(event.DstPort, strconv.Itoa(int(binary.BigEndian.Uint16(b[2:4]))))
	return true
}

// nameCall names a system call where the daemon did not.
func (a *audit) nameCall() {
	if a.own("SYSCALL") != "" {
		return
	}
	names := map[string]map[string]string{"c000003e": callsOfX86, "c00000b7": callsOfARM}[a.own("arch")]
	if name := names[a.own("syscall")]; name != "" {
		a.l.add("SYSCALL", name)
	}
}

// The calls that rules ask for.
var (
	callsOfX86 = map[string]string{
		"2": "open", "41": "socket", "42": "connect", "43": "accept", "49": "bind", "50": "listen", "56": "clone", "57": "fork", "58": "vfork", "59": "execve", "62": "kill",
		"63": "uname", "82": "rename", "83": "mkdir", "84": "rmdir", "87": "unlink", "90": "chmod", "91": "fchmod", "92": "chown", "99": "sysinfo", "101": "ptrace", "103": "syslog", "105": "setuid",
		"106": "setgid", "133": "mknod", "135": "personality", "159": "adjtimex", "161": "chroot", "165": "mount", "169": "reboot", "170": "sethostname", "175": "init_module", "176": "delete_module",
		"188": "setxattr", "257": "openat", "259": "mknodat", "263": "unlinkat", "264": "renameat", "268": "fchmodat", "288": "accept4", "313": "finit_module", "316": "renameat2",
		"319": "memfd_create", "321": "bpf", "322": "execveat", "435": "clone3",
	}
	callsOfARM = map[string]string{
		"33": "mknodat", "35": "unlinkat", "38": "renameat", "40": "mount", "51": "chroot", "52": "fchmod", "53": "fchmodat", "56": "openat", "92": "personality", "104": "kexec_load", "105": "init_module",
		"106": "delete_module", "116": "syslog", "117": "ptrace", "129": "kill", "142": "reboot", "144": "setgid", "146": "setuid", "160": "uname", "161": "sethostname", "171": "adjtimex", "179": "sysinfo",
		"198": "socket", "200": "bind", "201": "listen", "202": "accept", "203": "connect", "220": "clone", "221": "execve", "273": "finit_module", "276": "renameat2",
		"279": "memfd_create", "280": "bpf", "281": "execveat", "435": "clone3",
	}
)

// auditCall says what a system call does. A program's start is told by the record
// EXECVE, which has its arguments.
func auditCall(name string) (category, action string) {
	switch name {
	case "connect", "socket", "bind", "listen", "accept", "accept4":
		return "network", name
	case "open", "openat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "chmod", "fchmod", "fchmodat", "chown", "mknod", "mknodat", "mkdir", "rmdir", "setxattr":
		return "file", name
	case "init_module", "finit_module":
		return "host", "module_load"
	case "delete_module":
		return "host", "module_unload"
	case "execve", "execveat":
		return "process", "execute"
	default:
		return "process", name
	}
}
