package parse

import (
	"strings"
	"unsafe"

	"github.com/kyra-mdr/kyra/internal/event"
)

func loginParser() content {
	return content{
		Info: Info{
			Name:  "login",
			About: "failed logins told in the prose of any other program: databases, web applications, mail servers (the source is the program's)",
			Samples: []Sample{
				{"2026-03-04 05:06:07 ERROR shop.accounts: Login failed for user 'carol' from 203.0.113.77", []string{
					"category=authentication", "action=login", "outcome=failure", "user=carol", "src_ip=203.0.113.77", "severity=medium", "level=ERROR", "source=text",
				}},
				{"Mar  4 05:06:07 mx relayd[26897]: warning: unknown[203.0.113.42]: SASL LOGIN authentication failed: UGFzc3dvcmQ6", []string{
					"source=relayd", "outcome=failure", "src_ip=203.0.113.42", "user=",
				}},
				{`time=2026-03-04T05:06:07Z level=WARN msg="Incorrect username or password" client_ip=203.0.113.79 username=dave`, []string{
					"source=kv", "category=authentication", "outcome=failure", "user=dave", "src_ip=203.0.113.79", "severity=medium",
				}},
				{"Mar  4 05:06:07 web app[1]: Failed authentication attempt for erin from [2001:db8::9]:4711: wrong", []string{"user=erin", "src_ip=2001:db8::9", "src_port=4711"}},
				{"Mar  4 05:06:07 web app[1]: the page on login failed to render in 00:12:13 on 10.0.0.256", []string{"category=", "src_ip="}},
			},
		},
		parse: func(l *line) bool { return l.loginFailure(l.text) },
	}
}

// failurePhrases are the wordings, in small letters, in which programs say that
// somebody could not log in.
var failurePhrases = [...]string{
	"login failed for", "failed login", "login failure", "fail login", "login attempt failed", "login attempt for nonexistent user",
	"authentication failed", "authentication failure", "authentication error for", "failed authentication", "invalid authentication",
	"auth failed", "incorrect username or password", "username or password is incorrect", "invalid username or password",
	"invalid user credentials", "invalid_user_credentials", "invalid credentials", "access denied for user", "password attempt for",
	"type=login_error", "attempted to login with", "invalid totp", "invalid admin token",
}

// userMarks are the words after which the account stands.
var userMarks = [...]string{"for user ", "username: ", "username=", "for '", "for `", "for \"", "login with account ", "attempt for ", "user: ", "login_name: ", "failed for "}

// loginFailure reads a failed login out of prose: the account after the words
// that introduce one, the first address as the initiator. What fields already
// say stands.
func (l *line) loginFailure(s string) bool {
	if len(s) > 2000 || !mentionsLogin(s) {
		return false
	}
	var short [2000]byte
	copy(short[:], s)
	for i, c := range short[:len(s)] {
		if c >= 'A' && c <= 'Z' {
			short[i] = c + 'a' - 'A'
		}
	}
	small := unsafe.String(&short[0], len(s))
	found := false
	for _, phrase := range &failurePhrases {
		if strings.Contains(small, phrase) {
			found = true
			break
		}
	}
	if !found {
		return false
	}
	l.put(event.Category, "authentication")
	l.put(event.Action, "login")
	l.put(event.Outcome, "failure")
	l.atLeast(medium)
	user, ok := l.e.Lookup(event.User)
	if !ok {
		for _, mark := range &userMarks {
			if i := strings.Index(small, mark); i >= 0 {
				at := i + len(mark)
				if c := mark[len(mark)-1]; c == '\'' || c == '`' || c == '"' {
					at--
				}
				if user = accountAt(s[at:]); user != "" {
					l.add(event.User, user)
					break
				}
			}
		}
	}
	if user == "root" {
		l.atLeast(high)
	}
	if _, ok := l.e.Lookup(event.SrcIP); !ok {
		addr, port := firstAddress(s)
		l.addSource(addr, port)
	}
	return true
}

// mentionsLogin is the cheap test before the phrases.
func mentionsLogin(s string) bool {
	return strings.Contains(s, "ogin") || strings.Contains(s, "uthent") || strings.Contains(s, "assword") ||
		strings.Contains(s, "ccess denied") || strings.Contains(s, "TOTP") || strings.Contains(s, "admin token") || strings.Contains(s, "LOGIN") || strings.Contains(s, "redentials") || strings.Contains(s, "auth failed")
}

// accountAt reads a name in quotes or up to a space.
func accountAt(s string) string {
	if s == "" {
		return ""
	}
	if q := s[0]; q == '\'' || q == '`' || q == '"' {
		if i := strings.IndexByte(s[1:], q); i > 0 && i <= 128 {
			return s[1 : 1+i]
		}
		return ""
	}
	i := strings.IndexAny(s, " ,;:")
	if i < 0 {
		i = len(s)
	}
	name := strings.TrimRight(s[:min(i, 128)], ".'\"`")
	switch name {
	case "from", "by", "with", "user", "nonexistent", "invalid", "null", "the", "a":
		return ""
	}
	if _, ok := address(name); ok || i > 128 {
		return ""
	}
	return name
}

// firstAddress finds the first IP address that stands by itself in s, and the
// port after it.
func firstAddress(s string) (addr, port string) {
	for at := 0; at < len(s); {
		c := s[at]
		if !isAddressByte(c) && !isLetter(c) {
			at++
			continue
		}
		end := at
		for end < len(s) && (isAddressByte(s[end]) || isLetter(s[end]) || s[end] == '_' || s[end] == '-') {
			end++
		}
		word := strings.TrimRight(s[at:end], ".:")
		if a, ok := address(word); ok {
			rest := s[end:]
			if strings.HasPrefix(rest, "]:") {
				port = rest[2 : 2+digits(rest[2:])]
			}
			return a, port
		}
		if a, p := addressPort(word); p != "" {
			if a, ok := address(a); ok {
				return a, p
			}
		}
		at = end
	}
	return "", ""
}

func isAddressByte(c byte) bool { return isDigit(c) || c == '.' || c == ':' }
