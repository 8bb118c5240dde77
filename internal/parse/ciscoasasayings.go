package parse

import "github.com/kyra-mdr/kyra/internal/event"

// asaSayings are the wordings of ASA's messages by their numbers, as Cisco's
// "Syslog Messages" guide lists them.
var asaSayings = func() map[string][]saying {
	deny := func(s string) saying {
		return saying{form: form(s), category: "network", action: "deny", outcome: "failure"}
	}
	login := func(s, outcome string) saying {
		g := info
		if outcome == "failure" {
			g = medium
		}
		return saying{form: form(s), category: "authentication", action: "login", outcome: outcome, severity: g}
	}
	opened := func(s string) saying {
		return saying{form: form(s), category: "session", action: "session_open", outcome: "success"}
	}
	closed := func(s string) saying {
		return saying{form: form(s), category: "session", action: "session_close", outcome: "success"}
	}
	change := func(s string) saying {
		return saying{form: form(s), category: "configuration", action: "config_change", outcome: "success", severity: low}
	}
	icmp := func(s, action string) []saying {
		return []saying{
			{form: form(s + "inbound ICMP connection for faddr {src} gaddr {_} laddr {dst} type {icmp_type} code {icmp_code}"), category: "network", action: action, outcome: "success", also: icmpProto},
			{form: form(s + "outbound ICMP connection for faddr {dst} gaddr {_} laddr {src} type {icmp_type} code {icmp_code}"), category: "network", action: action, outcome: "success", also: icmpProto},
			{form: form(s + "outbound ICMP connection for faddr {dst} gaddr {_} laddr {src}"), category: "network", action: action, outcome: "success", also: icmpProto},
			{form: form(s + "{_}ICMP connection for faddr {src} gaddr {_} laddr {dst}"), category: "network", action: action, outcome: "success", also: icmpProto},
		}
	}
	stub := []saying{{form: form("Built {_} stub {proto} connection for {src} ({_}) to {dst} ({_})"), category: "network", action: "allow", outcome: "success"}}
	stubEnd := []saying{{form: form("Teardown stub {proto} connection for {src} to {dst} duration {duration} forwarded bytes {bytes} {reason}"), category: "network", action: "session_close", outcome: "success"}}
	vpn := []saying{
		{form: form("Group = {group}, Username = {user}, IP = {src_ip}, {vpn_message}"), category: "network"},
		{form: form("Group = {group}, IP = {src_ip}, {vpn_message}"), category: "network"},
		{form: form("IP = {src_ip}, {vpn_message}"), category: "network"},
	}
	ike := []saying{{form: form("Local:{_} Remote:{src_ip}:{src_port} Username:{user} {vpn_message}"), category: "network"}}
	return map[string][]saying{
		"805001": {{form: form("Offloaded {proto} Flow for connection {session_id} from {src} ({_}) to {dst} ({_})"), category: "network"}},
		"805002": {{form: form("{proto} Flow is no longer offloaded for connection {session_id} from {src} ({_}) to {dst} ({_})"), category: "network"}},
		"302303": {{form: form("Built {proto} state-bypass connection {session_id} from {src} ({_}) to {dst} ({_})"), category: "network", action: "allow", outcome: "success"}},
		"302304": {{form: form("Teardown {proto} state-bypass connection {session_id} from {src} to {dst} duration {duration} bytes {bytes} {reason}"), category: "network", action: "session_close", outcome: "success"}},
		"602303": {{form: form("IPSEC: An {direction} {vpn_type} SA (SPI= {_}) between {src_ip} and {dst_ip} (user= {user}) has been created."), category: "session", action: "session_open", outcome: "success"}},
		"602304": {{form: form("IPSEC: An {direction} {vpn_type} SA (SPI= {_}) between {src_ip} and {dst_ip} (user= {user}) has been deleted."), category: "session", action: "session_close", outcome: "success"}},
		"106001": {deny("Inbound {proto} connection denied from {src} to {dst} flags {tcp_flags} on interface {in_iface}")},
		"106002": {deny("{proto} Connection denied by outbound list {rule_name} src {src} dest {dst}")},
		"106006": {deny("Deny inbound {proto} from {src} to {dst} on interface {in_iface}")},
		"106007": {deny("Deny inbound {proto} from {src} to {dst} due to {reason}")},
		"106010": {deny("Deny inbound protocol {proto} src {src} dst {dst}"), deny("Deny inbound {proto} src {src} dst {dst}")},
		"106011": {deny("Deny inbound (No xlate) {proto} src {src} dst {dst}"), deny("Deny inbound (No xlate) {_}")},
		"106012": {deny("Deny IP from {src_ip} to {dst_ip}, IP options {_}")},
		"106013": {deny("Dropping echo request from {src_ip} to PAT address {dst_ip}")},
		"106014": {deny("Deny inbound {proto} src {src} dst {dst}(type {icmp_type}, code {icmp_code})"), deny("Deny inbound {proto} src {src} dst {dst} (type {icmp_type}, code {icmp_code})")},
		"106015": {deny("Deny {proto} (no connection) from {src} to {dst} flags {tcp_flags} on interface {in_iface}")},
		"106016": {deny("Deny IP spoof from ({src_ip}) to {dst_ip} on interface {in_iface}")},
		"106017": {deny("Deny IP due to Land Attack from {src_ip} to {dst_ip}")},
		"106018": {deny("ICMP packet type {icmp_type} denied by outbound list {rule_name} src {src_ip} dest {dst_ip}")},
		"106020": {deny("Deny IP teardrop fragment (size = {_}) from {src_ip} to {dst_ip}")},
		"106021": {deny("Deny {proto} reverse path check from {src_ip} to {dst_ip} on interface {in_iface}")},
		"106022": {deny("Deny {proto} connection spoof from {src_ip} to {dst_ip} on interface {in_iface}")},
		"106023": {
			deny(`Deny icmp src {src} dst {dst} (type {icmp_type}, code {icmp_code}) by access-group "{rule_name}"`).over("icmp"),
			deny(`Deny protocol {proto} src {src} dst {dst} by access-group "{rule_name}"`),
			deny(`Deny {proto} src {src} dst {dst} by access-group "{rule_name}"`),
		},
		"106027": {deny(`Deny src {_} dst {_} by access-group "{rule_name}"`)},
		"106100": {
			{form: form("access-list {rule_name} permitted {proto} {src2} -> {dst2} hit-cnt {hits} {_}"), category: "network", action: "allow", outcome: "success"},
			{form: form("access-list {rule_name} est-allowed {proto} {src2} -> {dst2} hit-cnt {hits} {_}"), category: "network", action: "allow", outcome: "success"},
			deny("access-list {rule_name} denied {proto} {src2} -> {dst2} hit-cnt {hits} {_}"),
		},
		"106102": {
			{form: form("access-list {rule_name} permitted {proto} for user {user} {src2} -> {dst2} hit-cnt {hits} {_}"), category: "network", action: "allow", outcome: "success"},
			deny("access-list {rule_name} denied {proto} for user {user} {src2} -> {dst2} hit-cnt {hits} {_}"),
		},
		"110002": {deny("Failed to locate egress interface for {proto} from {src} to {dst}")},
		"111004": {change("{_} end configuration: {_}")},
		"111008": {change("User '{user}' executed the '{cmdline}' command")},
		"111009": {{form: form("User '{user}' executed cmd: {cmdline}"), category: "configuration", action: "command", outcome: "success"}},
		"111010": {change("User '{user}', running '{_}' from IP {src_ip}, executed '{cmdline}'")},
		"113003": {{form: form("AAA group policy for user {user} is being set to {group}"), category: "authentication"}},
		"113004": {
			login("AAA user authentication Successful : server = {_} : user = {user}", "success"),
			login("AAA user {_} Successful : server = {_} : user = {user}", "success"),
		},
		"113005": {
			login("AAA user authentication Rejected : reason = {reason} : server = {_} : user = {user} : user IP = {src_ip}", "failure"),
			login("AAA user {_} Rejected : reason = {reason} : server = {_} : user = {user}", "failure"),
		},
		"113006": {{form: form("User {user} locked out on exceeding {_} successive failed authentication attempts"), category: "iam", action: "account_lock", outcome: "success", severity: medium}},
		"113008": {login("AAA transaction status ACCEPT : user = {user}", "success")},
		"113012": {login("AAA user authentication Successful : local database : user = {user}", "success")},
		"113014": {login("AAA authentication server not accessible : server = {_} : user = {user}", "failure")},
		"113015": {
			login("AAA user authentication Rejected : reason = {reason} : local database : user = {user} : user IP = {src_ip}", "failure"),
			login("AAA user authentication Rejected : reason = {reason} : local database : user = {user}", "failure"),
		},
		"113019": {closed("Group = {group}, Username = {user}, IP = {src_ip}, Session disconnected. Session Type: {vpn_type}, Duration: {duration}, Bytes xmt: {dst_bytes}, Bytes rcv: {src_bytes}, Reason: {reason}")},
		"113022": {{form: form("AAA Marking {_} server {_} in aaa-server group {_} as FAILED"), severity: medium}},
		"113039": {opened("Group <{group}> User <{user}> IP <{src_ip}> AnyConnect parent session started{_}")},
		"302020": icmp("Built ", "allow"),
		"302021": icmp("Teardown ", "session_close"),
		"302022": append(icmp("Built ", "allow"), stub...),
		"302023": stubEnd,
		"302024": stub,
		"302025": stubEnd,
		"302026": stub,
		"302027": stubEnd,
		"303002": {{form: form("{_} connection from {src} to {dst}, user {user} {ftp_command} file {file_path}"), category: "file", action: "transfer", outcome: "success"}},
		"304001": {
			{form: form("{src_ip} Accessed URL {user}@{dst_ip}:{url}"), category: "web", action: "request", outcome: "success"},
			{form: form("{src_ip} Accessed URL {dst_ip}:{url}"), category: "web", action: "request", outcome: "success"},
			{form: form("{src_ip} Accessed JAVA URL {dst_ip}:{url}"), category: "web", action: "request", outcome: "success"},
		},
		"304002": {{form: form("Access denied URL {url} SRC {src_ip} DEST {dst_ip} {_}"), category: "web", action: "deny", outcome: "failure"}},
		"305011": {{form: form("Built {_} {proto} translation from {src} to {nat}"), category: "network", action: "nat", outcome: "success"}},
		"305012": {{form: form("Teardown {_} {proto} translation from {src} to {nat} duration {duration}"), category: "network", action: "nat", outcome: "success"}},
		"305013": {deny("Asymmetric NAT rules matched for forward and reverse flows; Connection for {proto} src {src} dst {dst} denied due to {reason}")},
		"308001": {login("console enable password incorrect for {_} tries (from {src_ip})", "failure")},
		"313001": {deny("Denied ICMP type={icmp_type}, code={icmp_code} from {src_ip} on interface {in_iface}").over("icmp")},
		"313004": {deny("Denied ICMP type={icmp_type}, from laddr {src_ip} on interface {in_iface} to {dst_ip}: {reason}").over("icmp")},
		"313005": {deny("No matching connection for ICMP error message: {proto} src {src} dst {dst} (type {icmp_type}, code {icmp_code}) on {in_iface} interface.")},
		"313008": {deny("Denied ICMPv6 type={icmp_type}, code={icmp_code} from {src_ip} on interface {in_iface}").over("icmpv6")},
		"315011": {{form: form(`SSH session from {src_ip} on interface {in_iface} for user "{user}" disconnected by SSH server, reason: "{reason}"`), category: "session", action: "session_close"}},
		"322001": {deny("Deny MAC address {src_mac}, possible spoof attempt on interface {in_iface}")},
		"338001": {{form: form("Dynamic filter monitored blacklisted {proto} traffic from {src} ({_}) to {dst} ({_}), {_}"), category: "intrusion_detection", action: "allow", outcome: "success", severity: medium}},
		"338002": {{form: form("Dynamic filter monitored blacklisted {proto} traffic from {src} ({_}) to {dst} ({_}), {_}"), category: "intrusion_detection", action: "allow", outcome: "success", severity: medium}},
		"338004": {{form: form("Dynamic filter dropped blacklisted {proto} traffic from {src} ({_}) to {dst} ({_}), {_}"), category: "intrusion_detection", action: "drop", outcome: "failure", severity: medium}},
		"402117": {deny("IPSEC: Received a non-IPSec packet (protocol= {proto}) from {src_ip} to {dst_ip}")},
		"405001": {{form: form("Received ARP {_} collision from {src_ip}/{src_mac} on interface {in_iface}"), category: "network", severity: medium}},
		"410001": {deny("Dropped {proto} DNS {_} from {src} to {dst}; {reason}")},
		"419002": {{form: form("Duplicate TCP SYN from {src} to {dst} with different initial sequence number"), category: "network"}},
		"434002": {deny("SFR requested to drop {proto} packet from {src} to {dst}")},
		"502101": {{form: form("New user added to local dbase: Uname: {target_user} Priv: {privilege} Encpass: {_}"), category: "iam", action: "account_create", outcome: "success", severity: medium}},
		"502102": {{form: form("User deleted from local dbase: Uname: {target_user} Priv: {privilege} Encpass: {_}"), category: "iam", action: "account_delete", outcome: "success", severity: medium}},
		"502103": {{form: form("User priv level changed: Uname: {user} From: {_} To: {privilege}"), category: "iam", action: "privilege_change", outcome: "success"}},
		"507003": {{form: form("{proto} flow from {src} to {dst} terminated by inspection engine, reason - {reason}, {_}"), category: "network", action: "drop", outcome: "failure"}},
		"605004": {login("Login denied from {src} to {dst} for user {user}", "failure"), login("Login denied from {src_ip} to {_} for user {user}", "failure")},
		"605005": {login("Login permitted from {src} to {dst} for user {user}", "success")},
		"606001": {opened("ASDM session number {_} from {src_ip} started")},
		"606002": {closed("ASDM session number {_} from {src_ip} ended")},
		"609001": {{form: form("Built local-host {src}"), category: "network"}},
		"609002": {{form: form("Teardown local-host {src} duration {duration}"), category: "network"}},
		"611101": {login("User authentication succeeded: IP address: {src_ip}, Uname: {user}", "success"), login("User authentication succeeded: Uname: {user}", "success")},
		"611102": {login("User authentication failed: IP address: {src_ip}, Uname: {user}", "failure"), login("User authentication failed: Uname: {user}", "failure")},
		"611103": {closed("User logged out: Uname: {user}")},
		"710002": {{form: form("{proto} access permitted from {src} to {dst}"), category: "network", action: "allow", outcome: "success"}},
		"710003": {deny("{proto} access denied by ACL from {src} to {dst}")},
		"710004": {deny("{proto} connection limit exceeded from {src} to {dst}")},
		"710005": {deny("{proto} request discarded from {src} to {dst}")},
		"710006": {deny("{proto} request discarded from {src} to {dst}")},
		"713049": vpn,
		"713120": vpn,
		"713122": vpn,
		"713172": vpn,
		"713201": vpn,
		"713202": vpn,
		"713228": vpn,
		"713901": vpn,
		"713903": vpn,
		"713905": vpn,
		"713906": vpn,
		"716001": {opened("Group <{group}> User <{user}> IP <{src_ip}> WebVPN session started{_}")},
		"716002": {closed("Group <{group}> User <{user}> IP <{src_ip}> WebVPN session terminated: {reason}"), closed("Group {group} User {user} IP {src_ip} WebVPN session terminated: {reason}")},
		"716038": {login("Group <{group}> User <{user}> IP <{src_ip}> Authentication: successful, Session Type: {vpn_type}", "success")},
		"716039": {login("Group <{group}> User <{user}> IP <{src_ip}> Authentication: rejected, Session Type: {vpn_type}", "failure"), login("Authentication: rejected, group = {group} user = {user} , Session Type: {vpn_type}", "failure")},
		"716058": {{form: form("Group <{group}> User <{user}> IP <{src_ip}> {vpn_message}"), category: "session"}},
		"722022": {opened("Group <{group}> User <{user}> IP <{src_ip}> {_} established{_}")},
		"722023": {closed("Group <{group}> User <{user}> IP <{src_ip}> {_} terminated{_}")},
		"722051": {opened("Group <{group}> User <{user}> IP <{src_ip}> IPv4 Address <{assigned_ip}> {_}"), opened("Group <{group}> User <{user}> IP <{src_ip}> Address <{assigned_ip}> {_}")},
		"733100": {{form: form("[{rule_name}] drop {_} exceeded. Current burst rate is {burst_rate} per second"), category: "intrusion_detection", action: "threshold", severity: medium}},
		"733101": {{form: form("{_} {src_ip} is {_}"), category: "intrusion_detection", action: "threshold", severity: medium}},
		"733102": {{form: form("Threat-detection adds host {src_ip} to shun list"), category: "intrusion_detection", action: "deny", outcome: "success", severity: medium}},
		"750002": ike,
		"750003": ike,
		"751025": {opened("Local:{_} Remote:{src_ip}:{src_port} Username:{user} Group:{group} IPv4 Address={assigned_ip} {_}")},
	}
}()

func icmpProto(l *line) { l.once(event.Proto, "icmp") }

// over makes a saying tell the protocol that its form does not name.
func (s saying) over(proto string) saying {
	s.also = func(l *line) { l.once(event.Proto, proto) }
	return s
}
