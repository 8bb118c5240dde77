package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func sshdParser() content {
	return content{
		Info: Info{
			Name:     "sshd",
			Sources:  []string{"sshd"},
			Programs: []string{"sshd", "sshd-session", "sshd-auth"},
			About:    "OpenSSH server, all versions: failed and accepted logins, invalid users, disconnects, scans",
			Samples:  sshdSamples(),
		},
		parse: parseSSHD,
	}
}

// Values of event_code for sshd's lines. One failed login may give several of
// them (and a line of PAM's, dataset pam): rules that count attempts take
// failed_login alone, or failed_login and max_attempts.
const (
	sshdFailed       = "failed_login"
	sshdAccepted     = "accepted_login"
	sshdPostponed    = "postponed_login"
	sshdInvalidUser  = "invalid_user"
	sshdPAMFailure   = "pam_failure"
	sshdMaxAttempts  = "max_attempts"
	sshdNotAllowed   = "not_allowed"
	sshdTimeout      = "login_timeout"
	sshdClosed       = "connection_closed"
	sshdReset        = "connection_reset"
	sshdDisconnected = "disconnected"
	sshdReceived     = "received_disconnect"
	sshdBadProtocol  = "bad_protocol"
	sshdNegotiation  = "negotiation_failed"
	sshdReverseMap   = "reverse_mapping"
	sshdSession      = "session"
	sshdThrottled    = "throttled"
	sshdConnection   = "connection"
)

// parseSSHD knows each of sshd's lines by its first words. It takes every line
// that sshd writes: one without a meaning for us is a plain message of sshd.
func parseSSHD(l *line) bool {
	if l.program == "" {
		l.program = "sshd"
	}
	s := strings.TrimSuffix(strings.TrimRight(l.text, " "), " [preauth]")
	for {
		if rest, ok := strings.CutPrefix(s, "error: "); ok {
			s = rest
			l.atLeast(info)
		} else if rest, ok := strings.CutPrefix(s, "fatal: "); ok {
			s = rest
		} else {
			break
		}
	}
	if s == "" {
		return true
	}
	switch s[0] {
	case 'F':
		if rest, ok := strings.CutPrefix(s, "Failed "); ok {
			sshdLogin(l, rest, sshdFailed, "failure")
		}
	case 'A':
		switch {
		case strings.HasPrefix(s, "Accepted "):
			sshdLogin(l, s[len("Accepted "):], sshdAccepted, "success")
		case strings.HasPrefix(s, "Address "):
			sshdMapping(l, s[len("Address "):])
		}
	case 'P':
		switch {
		case strings.HasPrefix(s, "Postponed "):
			sshdLogin(l, s[len("Postponed "):], sshdPostponed, "unknown")
		case strings.HasPrefix(s, "Partial "):
			sshdLogin(l, s[len("Partial "):], sshdPostponed, "unknown")
		case strings.HasPrefix(s, "PAM: "):
			sshdPAM(l, s[len("PAM: "):])
		}
	case 'I':
		if rest, ok := strings.CutPrefix(s, "Invalid user "); ok {
			sshdInvalid(l, rest)
		} else if rest, ok := strings.CutPrefix(s, "Illegal user "); ok {
			sshdInvalid(l, rest)
		}
	case 'i':
		if rest, ok := strings.CutPrefix(s, "input_userauth_request: invalid user "); ok {
			l.add(event.EventCode, "invalid_user_request")
			l.is("authentication", "login", "unknown")
			l.add(event.User, rest)
			l.add(event.Reason, "invalid user")
		}
	case 'm':
		if rest, ok := strings.CutPrefix(s, "maximum authentication attempts exceeded for "); ok {
			user, _ := sshdUser(rest)
			if user, addr, port, _, ok := lastFrom(user); ok {
				sshdFailure(l, sshdMaxAttempts, user, "too many attempts")
				l.addSource(addr, port)
			}
		}
	case 'U':
		sshdUserLine(l, s)
	case 'C':
		sshdConnectionLine(l, s)
	case 'D':
		sshdDisconnectLine(l, s)
	case 'R':
		switch {
		case strings.HasPrefix(s, "Received disconnect from "):
			sshdReceivedDisconnect(l, s[len("Received disconnect from "):])
		case strings.HasPrefix(s, "ROOT LOGIN REFUSED FROM "):
			addr, port := sshdPort(s[len("ROOT LOGIN REFUSED FROM "):])
			sshdFailure(l, sshdNotAllowed, "root", "root login refused")
			l.addSource(addr, port)
		}
	case 'r':
		switch {
		case strings.HasPrefix(s, "reverse mapping checking getaddrinfo for "):
			sshdReverse(l, s[len("reverse mapping checking getaddrinfo for "):])
		case strings.HasPrefix(s, "refused connect from "):
			l.is("network", "deny", "failure")
			l.add(event.EventCode, "refused")
			if addr, ok := between(s, "(", ")"); ok {
				l.addSource(addr, "")
			} else {
				l.addSource(s[len("refused connect from "):], "")
			}
		}
	case 'B':
		if rest, ok := strings.CutPrefix(s, "Bad protocol version identification "); ok {
			if i := strings.LastIndex(rest, " from "); i >= 0 {
				addr, port := sshdPort(rest[i+len(" from "):])
				sshdScan(l, sshdBadProtocol, "bad protocol version", addr, port)
			}
		}
	case 'b':
		if rest, ok := strings.CutPrefix(s, "banner exchange: Connection from "); ok {
			addr, port := sshdPort(rest)
			sshdScan(l, sshdBadProtocol, "bad banner", addr, port)
		}
	case 'k':
		if strings.HasPrefix(s, "kex_exchange_identification: ") || strings.HasPrefix(s, "kex_protocol_error: ") {
			sshdScan(l, sshdBadProtocol, "bad identification", "", "")
		}
	case 's':
		sshdLowerS(l, s)
	case 'S':
		if rest, ok := strings.CutPrefix(s, "Starting session: "); ok {
			sshdStarting(l, rest)
		}
	case 'T':
		if rest, ok := strings.CutPrefix(s, "Timeout before authentication for "); ok {
			rest = strings.TrimPrefix(rest, "connection from ")
			addr, port := sshdPort(rest)
			l.is("authentication", "login", "failure")
			l.add(event.EventCode, sshdTimeout)
			l.add(event.Reason, "timeout")
			l.atLeast(low)
			l.addSource(addr, port)
		}
	case 'd':
		if strings.HasPrefix(s, "drop connection #") {
			if i := strings.Index(s, " from "); i > 0 {
				word, _ := cutWord(s[i+len(" from "):])
				addr, port := addressPort(word)
				sshdScan(l, sshdThrottled, "too many connections", addr, port)
			}
		}
	}
	return true
}

// sshdLogin reads "METHOD for [invalid user] U from IP port P ssh2: KEY".
func sshdLogin(l *line, s, code, outcome string) {
	method, rest, ok := strings.Cut(s, " for ")
	if !ok || strings.IndexByte(method, ' ') >= 0 {
		return
	}
	user, invalid := sshdUser(rest)
	var addr, port, tail string
	if outcome == "success" {
		user, addr, port, tail, ok = firstFrom(user) // the account exists; a key's comment may say " from "
	} else {
		user, addr, port, tail, ok = lastFrom(user) // the name is the attacker's and may say " from "
	}
	if !ok {
		return
	}
	if outcome == "failure" {
		reason := "bad password"
		if method != "password" {
			reason = "authentication failed"
		}
		if invalid {
			reason = "invalid user"
		}
		sshdFailure(l, code, user, reason)
	} else {
		l.is("authentication", "login", outcome)
		l.add(event.EventCode, code)
		l.add(event.User, user)
	}
	l.addSource(addr, port)
	l.add(event.AuthMethod, method)
	if key, ok := strings.CutPrefix(tail, "ssh2: "); ok {
		l.add("key", key)
		if i := strings.Index(key, "SHA256:"); i >= 0 {
			key, _ = cutWord(key[i:])
			l.add("key_fingerprint", key)
		} else if i := strings.IndexByte(key, ' '); i > 0 && strings.Count(key[i+1:], ":") == 15 {
			l.add("key_fingerprint", key[i+1:])
		}
	}
}

// sshdUser takes off "invalid user ".
func sshdUser(s string) (rest string, invalid bool) {
	if rest, ok := strings.CutPrefix(s, "invalid user "); ok {
		return rest, true
	}
	if rest, ok := strings.CutPrefix(s, "illegal user "); ok {
		return rest, true
	}
	return s, false
}

// sshdFailure fills a failed login: high for root, else medium.
func sshdFailure(l *line, code, user, reason string) {
	l.is("authentication", "login", "failure")
	l.add(event.EventCode, code)
	l.add(event.Reason, reason)
	l.e.Add(event.User, user) // scanners try the empty name too
	if user == "root" {
		l.atLeast(high)
	} else {
		l.atLeast(medium)
	}
}

// sshdScan fills what a scanner's connection leaves behind.
func sshdScan(l *line, code, reason, addr, port string) {
	l.is("network", "connection", "failure")
	l.add(event.EventCode, code)
	l.add(event.Reason, reason)
	l.addSource(addr, port)
	l.atLeast(low)
}

// lastFrom splits "U from ADDR port P tail" at the last " from " after which an
// address and the end, or a port, stand. U may be empty.
func lastFrom(s string) (user, addr, port, tail string, ok bool) {
	end := len(s)
	for {
		i := strings.LastIndex(s[:end], "from ")
		if i < 0 || i > 0 && s[i-1] != ' ' {
			if i > 0 {
				end = i
				continue
			}
			return s, "", "", "", false
		}
		if addr, port, tail, ok = fromTail(s[i+len("from "):]); ok {
			return strings.TrimSuffix(s[:i], " "), addr, port, tail, true
		}
		if i == 0 {
			return s, "", "", "", false
		}
		end = i
	}
}

// firstFrom is lastFrom from the left.
func firstFrom(s string) (user, addr, port, tail string, ok bool) {
	for at := 0; ; {
		i := strings.Index(s[at:], " from ")
		if i < 0 {
			return s, "", "", "", false
		}
		i += at
		if addr, port, tail, ok = fromTail(s[i+len(" from "):]); ok {
			return s[:i], addr, port, tail, true
		}
		at = i + 1
	}
}

// fromTail reads "ADDR", "ADDR port P" and "ADDR port P ssh2…".
func fromTail(s string) (addr, port, tail string, ok bool) {
	addr, rest := cutWord(s)
	if addr == "" {
		return "", "", "", false
	}
	if rest == "" {
		return addr, "", "", true
	}
	after, found := strings.CutPrefix(rest, "port ")
	if !found {
		return "", "", "", false
	}
	port, tail = cutWord(after)
	if !allDigits(port) {
		return "", "", "", false
	}
	return addr, port, tail, true
}

// sshdPort reads "IP", "IP port P: …", "IP: …".
func sshdPort(s string) (addr, port string) {
	addr, rest := cutWord(s)
	if after, ok := strings.CutPrefix(rest, "port "); ok {
		port, _ = cutWord(after)
		if i := strings.IndexByte(port, ':'); i >= 0 {
			port = port[:i]
		}
	}
	if _, ok := address(addr); !ok {
		addr = strings.TrimRight(addr, ".:,;")
	}
	return addr, port
}

func sshdInvalid(l *line, s string) {
	user, addr, port, _, ok := lastFrom(s)
	if !ok {
		user = s
	}
	sshdFailure(l, sshdInvalidUser, user, "invalid user")
	l.addSource(addr, port)
}

// sshdPAM reads "Authentication failure for [illegal user] U from H".
func sshdPAM(l *line, s string) {
	reason, rest, ok := strings.Cut(s, " for ")
	if !ok {
		return
	}
	user, invalid := sshdUser(rest)
	user, addr, port, _, ok := lastFrom(user)
	if !ok {
		return
	}
	switch {
	case invalid:
		reason = "invalid user"
	case reason == "Authentication failure":
		reason = "authentication failed"
	}
	sshdFailure(l, sshdPAMFailure, user, reason)
	l.addSource(addr, port)
}

// sshdUserLine reads "User U from H not allowed because …" and "User U not
// allowed because …".
func sshdUserLine(l *line, s string) {
	rest, ok := strings.CutPrefix(s, "User ")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "Unable to negotiate with "); ok {
			addr, port := sshdPort(rest)
			sshdScan(l, sshdNegotiation, "no common algorithm", addr, port)
		}
		return
	}
	i := strings.LastIndex(rest, " not allowed because ")
	if i < 0 {
		return
	}
	user, reason := rest[:i], rest[i+len(" not allowed because "):]
	addr, port := "", ""
	if u, a, p, _, ok := lastFrom(user); ok {
		user, addr, port = u, a, p
	}
	sshdFailure(l, sshdNotAllowed, user, reason)
	l.addSource(addr, port)
}

// sshdWho reads "[authenticating |invalid |]user U IP port P", "IP port P", "IP".
func sshdWho(s string) (user, kind, addr, port string) {
	switch {
	case strings.HasPrefix(s, "authenticating user "):
		kind, s = "authenticating", s[len("authenticating user "):]
	case strings.HasPrefix(s, "invalid user "):
		kind, s = "invalid", s[len("invalid user "):]
	case strings.HasPrefix(s, "user "):
		kind, s = "user", s[len("user "):]
	default:
		addr, port = sshdPort(s)
		return "", "", addr, port
	}
	// The name may hold anything: the address stands before the last " port ".
	if i := strings.LastIndex(s, " port "); i > 0 {
		port, _ = cutWord(s[i+len(" port "):])
		port = strings.TrimRight(port, ":")
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, ' '); i >= 0 {
		return s[:i], kind, s[i+1:], port
	}
	return "", kind, s, port
}

func sshdGone(l *line, code, who string) {
	user, kind, addr, port := sshdWho(who)
	outcome := "unknown"
	if kind == "authenticating" || kind == "invalid" {
		outcome = "failure"
		l.atLeast(low)
	}
	l.is("network", "disconnect", outcome)
	l.add(event.EventCode, code)
	l.add(event.User, user)
	if kind == "invalid" {
		l.add(event.Reason, "invalid user")
	}
	l.addSource(addr, port)
}

func sshdConnectionLine(l *line, s string) {
	switch {
	case strings.HasPrefix(s, "Connection closed by "):
		sshdGone(l, sshdClosed, s[len("Connection closed by "):])
	case strings.HasPrefix(s, "Connection reset by "):
		sshdGone(l, sshdReset, s[len("Connection reset by "):])
	case strings.HasPrefix(s, "Connection from "):
		addr, port := sshdPort(s[len("Connection from "):])
		l.is("network", "connection", "success")
		l.add(event.EventCode, sshdConnection)
		l.addSource(addr, port)
	case strings.HasPrefix(s, "Close session: user "):
		user, addr, port, _, ok := firstFrom(s[len("Close session: user "):])
		if ok {
			l.is("session", "session_close", "success")
			l.add(event.EventCode, sshdSession)
			l.add(event.User, user)
			l.addSource(addr, port)
		}
	}
}

func sshdDisconnectLine(l *line, s string) {
	switch {
	case strings.HasPrefix(s, "Disconnected from "):
		rest := s[len("Disconnected from "):]
		if !strings.HasPrefix(rest, "user ") {
			sshdGone(l, sshdDisconnected, rest)
			return
		}
		user, _, addr, port := sshdWho(rest)
		l.is("session", "session_close", "success")
		l.add(event.EventCode, sshdDisconnected)
		l.add(event.User, user)
		l.addSource(addr, port)
	case strings.HasPrefix(s, "Disconnecting"):
		rest := strings.TrimPrefix(s[len("Disconnecting"):], " ")
		i := strings.LastIndex(rest, ": ")
		if i < 0 {
			return
		}
		who, text := rest[:i], rest[i+2:]
		if !strings.HasPrefix(text, "Too many authentication failures") {
			sshdGone(l, sshdDisconnected, who)
			return
		}
		user, _, addr, port := sshdWho(who)
		if _, name, ok := strings.Cut(text, " for "); ok {
			user, _ = sshdUser(name)
		}
		l.is("network", "disconnect", "failure")
		l.add(event.EventCode, "too_many_failures")
		l.add(event.Reason, "too many attempts")
		l.add(event.User, user)
		if _, ok := address(addr); ok {
			l.addSource(addr, port)
		}
		l.atLeast(medium)
	case strings.HasPrefix(s, "Did not receive identification string from "):
		addr, port := sshdPort(s[len("Did not receive identification string from "):])
		sshdScan(l, sshdBadProtocol, "no identification", addr, port)
	}
}

// sshdReceivedDisconnect reads "IP port P:CODE: TEXT" and "IP: CODE: TEXT".
func sshdReceivedDisconnect(l *line, s string) {
	addr, port := sshdPort(s)
	l.is("network", "disconnect", "unknown")
	l.add(event.EventCode, sshdReceived)
	l.addSource(addr, port)
	_, rest := cutWord(s)
	if after, ok := strings.CutPrefix(rest, "port "); ok {
		rest = strings.TrimPrefix(after, port)
		rest = strings.TrimPrefix(rest, ":")
	}
	if _, text, ok := strings.Cut(skipSpaces(rest), ": "); ok {
		l.add(event.Reason, text)
	}
}

// sshdReverse reads "NAME [IP] failed - POSSIBLE BREAK-IN ATTEMPT!", which is a
// matter of DNS, not an attack.
func sshdReverse(l *line, s string) {
	name, rest := cutWord(s)
	l.is("network", "reverse_lookup", "failure")
	l.add(event.EventCode, sshdReverseMap)
	if addr, ok := between(rest, "[", "]"); ok {
		l.addSource(addr, "")
		l.add(event.SrcHost, name)
	}
}

// sshdMapping reads "IP maps to NAME, but this does not map back to the address".
func sshdMapping(l *line, s string) {
	addr, rest := cutWord(s)
	name, ok := strings.CutPrefix(rest, "maps to ")
	if !ok {
		return
	}
	l.is("network", "reverse_lookup", "failure")
	l.add(event.EventCode, sshdReverseMap)
	l.addSource(addr, "")
	name, _ = cutWord(name)
	l.add(event.SrcHost, strings.TrimSuffix(name, ","))
}

func sshdLowerS(l *line, s string) {
	switch {
	case strings.HasPrefix(s, "subsystem request for "):
		rest := s[len("subsystem request for "):]
		sub, user, _ := strings.Cut(rest, " by user ")
		l.is("session", "session_open", "success")
		l.add(event.EventCode, sshdSession)
		l.add("subsystem", sub)
		l.add(event.User, user)
	case strings.HasPrefix(s, "ssh_dispatch_run_fatal: Connection from "):
		sshdGone(l, sshdNegotiation, s[len("ssh_dispatch_run_fatal: Connection from "):])
	case strings.HasPrefix(s, "srclimit_penalise: "):
		i := strings.IndexByte(s, '/')
		if i < 0 {
			return
		}
		addr := s[strings.LastIndexByte(s[:i], ' ')+1 : i]
		sshdScan(l, sshdThrottled, "penalty", addr, "")
	}
}

// sshdStarting reads "shell on pts/0 for U from IP port P id 0".
func sshdStarting(l *line, s string) {
	what, rest, ok := strings.Cut(s, " for ")
	if !ok {
		return
	}
	user, addr, port, _, ok := firstFrom(rest)
	if !ok {
		return
	}
	l.is("session", "session_open", "success")
	l.add(event.EventCode, sshdSession)
	l.add(event.User, user)
	l.addSource(addr, port)
	kind, tty, _ := strings.Cut(what, " on ")
	l.add("session_type", kind)
	l.add(event.TTY, tty)
}
