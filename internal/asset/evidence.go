package asset

import "strings"

// Evidence of what a machine is. Bits add up, so that the order of events plays no part.
const (
	bitServer int64 = 1 << iota
	bitWorkstation
	bitNetwork
	bitMobile
	bitCloud
	bitContainer
	bitPrinter
	bitIoT
	bitWindows
	bitLinux
	bitMac
	bitAndroid
	bitIOS
)

// bySource says what the product that logs tells of the machine that it runs on.
var bySource = map[string]int64{
	"sshd": bitServer | bitLinux, "nginx": bitServer, "apache": bitServer, "postfix": bitServer | bitLinux, "dovecot": bitServer | bitLinux, "named": bitServer, "mysql": bitServer, "postgresql": bitServer,
	"haproxy": bitServer, "iis": bitServer | bitWindows, "auditd": bitLinux, "sudo": bitLinux, "su": bitLinux, "systemd": bitLinux, "kernel": bitLinux, "pam": bitLinux, "cron": bitLinux,
	"windows_security": bitWindows, "windows_system": bitWindows, "windows_application": bitWindows, "sysmon": bitWindows, "windows_powershell": bitWindows,
	"cisco_asa": bitNetwork, "cisco_ios": bitNetwork, "fortigate": bitNetwork, "paloalto": bitNetwork, "pan_os": bitNetwork, "mikrotik": bitNetwork, "sonicwall": bitNetwork, "sophos": bitNetwork,
	"pfsense": bitNetwork, "opnsense": bitNetwork, "checkpoint": bitNetwork, "juniper": bitNetwork, "aruba": bitNetwork, "ubiquiti": bitNetwork, "unifi": bitNetwork, "meraki": bitNetwork, "cisco_ise": bitNetwork,
	"cups": bitPrinter, "docker": bitServer | bitLinux,
}

var byName = []struct {
	prefix string
	bit    int64
}{
	{"desktop-", bitWorkstation},
	{"laptop", bitWorkstation},
	{"ws-", bitWorkstation},
	{"wks", bitWorkstation},
	{"pc-", bitWorkstation},
	{"macbook", bitWorkstation | bitMac},
	{"imac", bitWorkstation | bitMac},
	{"iphone", bitMobile | bitIOS},
	{"ipad", bitMobile | bitIOS},
	{"android", bitMobile | bitAndroid},
	{"galaxy", bitMobile | bitAndroid},
	{"printer", bitPrinter},
	{"prn", bitPrinter},
	{"hp-print", bitPrinter},
	{"cam-", bitIoT},
	{"camera", bitIoT},
	{"esp-", bitIoT},
	{"shelly", bitIoT},
	{"srv", bitServer},
	{"web-", bitServer},
	{"db-", bitServer},
	{"mail", bitServer},
	{"dc0", bitServer},
	{"fw-", bitNetwork},
	{"sw-", bitNetwork},
	{"ap-", bitNetwork},
	{"rtr", bitNetwork},
}

func evidenceOf(source, name, os string) int64 {
	bits := bySource[source]
	low := strings.ToLower(name)
	for _, n := range byName {
		if strings.HasPrefix(low, n.prefix) {
			bits |= n.bit
		}
	}
	switch os = strings.ToLower(os); {
	case strings.Contains(os, "server") && strings.Contains(os, "windows"):
		bits |= bitWindows | bitServer
	case strings.Contains(os, "windows"):
		bits |= bitWindows
	case strings.Contains(os, "android"):
		bits |= bitAndroid | bitMobile
	case os == "ios" || strings.Contains(os, "ipados"):
		bits |= bitIOS | bitMobile
	case strings.Contains(os, "mac") || os == "darwin":
		bits |= bitMac | bitWorkstation
	case strings.Contains(os, "linux") || strings.Contains(os, "ubuntu") || strings.Contains(os, "debian"):
		bits |= bitLinux
	}
	return bits
}

// typeOf says what the evidence amounts to; the more telling bit decides.
func typeOf(bits int64) string {
	for _, t := range []struct {
		bit  int64
		name string
	}{
		{bitContainer, "container"},
		{bitCloud, "cloud"},
		{bitNetwork, "network-device"},
		{bitPrinter, "printer"},
		{bitMobile, "mobile"},
		{bitIoT, "iot"},
		{bitWorkstation, "workstation"},
		{bitServer, "server"},
		{bitWindows, "workstation"},
		{bitLinux, "server"},
	} {
		if bits&t.bit != 0 {
			return t.name
		}
	}
	return "unknown"
}

func osOf(bits int64) string {
	switch {
	case bits&bitIOS != 0:
		return "iOS"
	case bits&bitAndroid != 0:
		return "Android"
	case bits&bitWindows != 0:
		return "Windows"
	case bits&bitMac != 0:
		return "macOS"
	case bits&bitLinux != 0:
		return "Linux"
	}
	return ""
}
