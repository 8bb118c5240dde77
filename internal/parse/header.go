package parse

import "strings"

// scanHeader reads the transport's header off l.text: RFC 5424, and the many
// shapes that RFC 3164 takes. Where there is none it leaves l.text alone.
func scanHeader(l *line) {
	s := l.text
	if s == "" || s[0] == '{' {
		return
	}
	pri := false
	if s[0] == '<' {
		if rest, n, ok := scanPRI(s); ok {
			l.pri, s, pri = n, rest, true
			if len(s) > 2 && s[0] == '1' && s[1] == ' ' {
				if scanRFC5424(l, s[2:]) {
					l.header = "rfc5424"
					return
				}
				s = s[2:] // a version before an RFC 3164 time occurs
			}
			s = strings.TrimLeft(s, " ")
			l.header, l.text = "rfc3164", s
		}
	}
	rest, ok := scanRFC3164Time(l, s, pri)
	if !ok {
		if pri {
			scanTag(l, s, false)
		} else {
			scanBareTag(l, s)
		}
		return
	}
	l.text = rest
}

// scanPRI reads "<134>".
func scanPRI(s string) (rest string, n int, ok bool) {
	d := digits(s[1:])
	if d < 1 || d > 3 || len(s) < d+2 || s[d+1] != '>' {
		return s, 0, false
	}
	n = number(s[1 : d+1])
	if n > 191 {
		return s, 0, false
	}
	return s[d+2:], n, true
}

// scanRFC5424 reads what follows "<PRI>1 ".
func scanRFC5424(l *line, s string) bool {
	word, rest := cutField(s)
	if word != "-" {
		var c clock
		tail, ok := c.isoTime(word)
		if !ok || tail != "" {
			return scanMeraki(l, word, rest)
		}
		if t, q, ok := l.resolve(&c); ok {
			l.setTime(t, q)
		}
	}
	host, rest := cutField(rest)
	app, rest := cutField(rest)
	proc, rest := cutField(rest)
	msgid, rest := cutField(rest)
	if host == "" {
		return false
	}
	l.addNonDash("msgid", msgid)
	if host != "-" {
		l.host = trimHost(host)
	}
	if app != "-" {
		l.setProgram(app)
	}
	if proc != "-" {
		l.pid = proc
	}
	body := rest
	if rest != "" && rest[0] == '[' {
		body = scanStructured(l, rest)
	} else if rest == "-" || strings.HasPrefix(rest, "- ") {
		body = rest[1:]
	}
	if body != "" && body[0] == ' ' {
		body = body[1:]
	}
	body = strings.TrimPrefix(body, "\uFEFF")
	body = strings.TrimPrefix(body, " ") // rsyslog keeps the one that followed the tag it read
	l.text = body
	// The body may hold a second header: its tag, or all of it.
	if l.program == "" {
		scanTag(l, body, false)
	} else if again, ok := strings.CutPrefix(body, app); ok && again != "" && (again[0] == '[' || again[0] == ':') {
		scanTag(l, body, false)
	}
	return true
}

// scanMeraki reads "EPOCH HOST TEXT", which Cisco Meraki sends for RFC 5424.
func scanMeraki(l *line, word, rest string) bool {
	t, ok := epoch(word)
	if !ok {
		return false
	}
	host, body := cutField(rest)
	if host == "" || body == "" || !isHostWord(host) {
		return false
	}
	l.setTime(t, qualityExact)
	l.host, l.text = trimHost(host), body
	return true
}

// cutField splits at one space.
func cutField(s string) (word, rest string) {
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

// scanStructured reads RFC 5424 structured data as native fields "id.name" and
// returns what follows. Broken data is left in the text.
func scanStructured(l *line, s string) (rest string) {
	at := s
	mark := len(l.e.Fields)
	for at != "" && at[0] == '[' {
		at = at[1:]
		i := strings.IndexAny(at, " ]")
		if i <= 0 {
			l.e.Fields = l.e.Fields[:mark]
			return s
		}
		id := at[:i]
		at = at[i:]
		for {
			at = skipSpaces(at)
			if at == "" {
				l.e.Fields = l.e.Fields[:mark]
				return s
			}
			if at[0] == ']' {
				at = at[1:]
				break
			}
			eq := strings.IndexByte(at, '=')
			if eq <= 0 || eq+1 >= len(at) || at[eq+1] != '"' {
				l.e.Fields = l.e.Fields[:mark]
				return s
			}
			name := at[:eq]
			value, n := quoted(l, at[eq+1:])
			if n == 0 {
				l.e.Fields = l.e.Fields[:mark]
				return s
			}
			at = at[eq+1+n:]
			if id == "meta" || id == "timeQuality" || id == "origin" {
				continue // of the transport, not of the event
			}
			l.native(id, name, value)
		}
	}
	return at
}

// scanRFC3164Time reads everything from the time on: time, host and tag.
func scanRFC3164Time(l *line, s string, pri bool) (rest string, ok bool) {
	at := s
	cisco := false
	if at != "" && at[0] == ':' {
		at = strings.TrimLeft(at, ": ")
	}
	if n := digits(at); n > 0 && n+2 < len(at) && at[n] == ':' && at[n+1] == ' ' { // Cisco IOS sequence number
		cisco = true
		at = skipSpaces(at[n+1:])
	}
	if (pri || cisco) && at != "" && (at[0] == '*' || at[0] == '.') { // Cisco: clock not set
		at = at[1:]
	}
	if len(at) < 15 {
		return s, false
	}
	var c clock
	iso := isDigit(at[0])
	switch {
	case !iso:
		rest, ok = c.bsdTime(at)
	case at[4] == ' ': // year first
		if c.year = number(at[:4]); c.year < 1970 {
			return s, false
		}
		year := c.year
		rest, ok = c.bsdTime(at[5:])
		c.year = year
	case at[4] == '-':
		rest, ok = c.isoTime(at)
	case at[4] == ':' && len(at) > 20 && at[7] == ':' && at[10] == '-': // Sophos UTM: "2006:01:02-15:04:05 "
		if rest, ok = c.colonTime(at); ok {
			iso = false
		}
	}
	if !ok {
		return s, false
	}
	t, q, good := l.resolve(&c)
	if !good {
		return s, false
	}
	l.setTime(t, q)
	if l.header == "none" {
		l.header = "rfc3164"
	}
	if len(rest) > 7 && rest[0] == ' ' && strings.Contains(rest[:min(len(rest), 9)], ": %") && isUpper(rest[1:strings.IndexByte(rest, ':')]) {
		rest = rest[strings.IndexByte(rest, ':'):] // a zone that we do not know: "EST: %ASA-"
	}
	colon := false
	if iso && !pri && rest != "" && rest[0] == ':' && isPostgresLine(rest) { // "UTC:203.0.113.9(53210):bob@shop:[4711]:LOG:  "
		l.header, l.text = "time", rest
		return rest, true
	}
	if rest != "" && rest[0] == ':' {
		colon = true
		rest = rest[1:]
	}
	if colon || cisco {
		rest = skipSpaces(rest)
		scanTag(l, rest, false)
		return l.text, true
	}
	if rest == "" || rest[0] != ' ' {
		if pri && rest != "" && isLetter(rest[0]) { // "05:06:07acme-fw01 event: …"
			scanHost(l, rest, true)
			return l.text, true
		}
		l.text = strings.TrimLeft(rest, "\t")
		return l.text, true
	}
	rest = skipSpaces(rest)
	if iso && !pri {
		// A file's line: a host follows only in the shape that syslog daemons write.
		if !c.zoned || at[10] == ' ' {
			l.header = "time"
			l.text = rest
			return rest, true
		}
		scanHost(l, rest, false)
		return l.text, true
	}
	scanHost(l, rest, true)
	return l.text, true
}

// scanHost reads the host name, then the tag. With sure, a word that may be a
// host is one; without, only where a tag follows it.
func scanHost(l *line, s string, sure bool) {
	l.text = s
	if strings.HasPrefix(s, "last message repeated ") || strings.HasPrefix(s, "message repeated ") {
		return
	}
	word, rest := cutWord(s)
	if rest == "" && !sure {
		return
	}
	if word == "" || !isHostWord(word) {
		if name, ok := strings.CutSuffix(word, ":"); ok && (strings.HasPrefix(rest, "CEF:") || strings.HasPrefix(rest, "LEEF:")) && isHostWord(name) {
			l.host, l.text = trimHost(name), rest
			return
		}
		scanTag(l, s, true)
		return
	}
	if !sure {
		if !scanTag(l, rest, true) {
			l.text = s
			return
		}
		l.host = trimHost(word)
		return
	}
	l.host = trimHost(word)
	if month, n := monthOf(rest); month > 0 && n < len(rest) && rest[n] == ' ' && !l.nested { // a relay's header before the sender's
		l.nested = true
		if _, ok := scanRFC3164Time(l, rest, true); ok {
			return
		}
	}
	scanTag(l, rest, true)
}

// isHostWord tells a host name from a tag and from prose.
func isHostWord(w string) bool {
	if w[len(w)-1] == ':' && !strings.HasSuffix(w, "::") || len(w) > 255 {
		return false
	}
	if w[0] == '[' {
		_, ok := address(w)
		return ok
	}
	if w[0] == '-' || w[0] == '%' || w[0] == '/' || w[0] == '.' {
		return false
	}
	for i := range len(w) {
		c := w[i]
		if c < 0x80 && !isLetter(c) && !isDigit(c) && c != '.' && c != '-' && c != '_' && c != ':' && c != '%' && c != '/' && c != '@' {
			return false
		}
	}
	return true
}

func trimHost(h string) string {
	if a, ok := address(h); ok {
		return a
	}
	return h
}

// scanTag reads "program[pid]: " off s, sets l.text to what follows, and tells
// whether it found one. tail: also read the fields of an RFC 5424 header that
// some senders put after an RFC 3164 time.
func scanTag(l *line, s string, tail bool) bool {
	l.text = s
	if s == "" {
		return false
	}
	at := s
	if len(at) > 3 && strings.HasPrefix(at, "-- ") && !strings.HasPrefix(at, "-- MARK") { // login(1) overwrote its argv: "-- root[2421]: "
		at = at[3:]
	}
	bracketed := false
	if at[0] == '[' { // "[sshd]: "
		bracketed = true
		at = at[1:]
	}
	i := 0
scan:
	for i < len(at) && i < 128 {
		switch c := at[i]; c {
		case ':', '[', ' ', ']', '\t', '=', '"', ',', '{':
			break scan
		default:
			i++
		}
	}
	if i == 0 || i >= len(at) || at[0] == '%' || at[0] == '<' {
		return false
	}
	name, after := at[:i], at[i:]
	if bracketed {
		rest, ok := strings.CutPrefix(after, "]:")
		if !ok {
			return false
		}
		l.setProgram(name)
		l.text = skipOneSpace(rest)
		return true
	}
	switch after[0] {
	case ':':
		if isIPv4(name) || len(after) > 1 && (isDigit(after[1]) || after[1] == '/' || after[1] == '\\') {
			return false // 1.2.3.4:80, https://, C:\
		}
		l.setProgram(name)
		l.text = skipOneSpace(after[1:])
		return true
	case '[':
		end := strings.IndexByte(after, ']')
		if end < 0 || end > 40 {
			return false
		}
		pid := after[1:end]
		rest := after[end+1:]
		if rest != "" && rest[0] == ':' {
			rest = rest[1:]
		} else if !allDigits(pid) {
			return false
		}
		if len(at) != len(s) { // after "-- "
			name = "login"
		}
		l.setProgram(name)
		if allDigits(pid) {
			l.pid = pid
		} else {
			l.tagged = pid
		}
		l.text = skipOneSpace(rest)
		return true
	case ' ':
		rest := skipSpaces(after)
		if d := digits(rest); d > 0 { // "syslogd 1.4.1: "
			v := d
			for v < len(rest) && (isDigit(rest[v]) || rest[v] == '.') {
				v++
			}
			if v > d && v < len(rest) && rest[v] == ':' {
				l.setProgram(name)
				l.text = skipOneSpace(rest[v+1:])
				return true
			}
		}
		return tail && scanFieldTail(l, name, rest)
	}
	return false
}

// scanBareTag reads a tag at the very start of a record that has neither PRI nor
// time; only "name[123]: " is sure enough.
func scanBareTag(l *line, s string) {
	i := strings.IndexByte(s, '[')
	if i <= 0 || i > 48 {
		return
	}
	d := digits(s[i+1:])
	if d == 0 || !strings.HasPrefix(s[i+1+d:], "]:") || strings.IndexByte(s[:i], ' ') >= 0 {
		return
	}
	if scanTag(l, s, false) {
		l.header = "rfc3164"
	}
}

// scanFieldTail reads "PROCID MSGID SD MSG" after an application name.
func scanFieldTail(l *line, name, s string) bool {
	proc, rest := cutField(s)
	if proc != "-" && !allDigits(proc) {
		return false
	}
	_, rest = cutField(rest) // the message id
	if rest == "" || rest[0] != '-' && rest[0] != '[' {
		return false
	}
	var body string
	switch {
	case rest[0] == '[':
		body = scanStructured(l, rest)
	case rest == "-", rest[1] == ' ':
		body = rest[1:]
	default:
		return false
	}
	l.setProgram(name)
	if proc != "-" {
		l.pid = proc
	}
	l.text = skipSpaces(body)
	return true
}

func skipOneSpace(s string) string {
	if s != "" && s[0] == ' ' {
		return s[1:]
	}
	return s
}

// setProgram takes a tag apart: "/usr/sbin/cron" is cron, "sshd(pam_unix)" is
// sshd with pam_unix noted.
func (l *line) setProgram(tag string) {
	if i := strings.IndexByte(tag, '('); i > 0 && tag[len(tag)-1] == ')' {
		l.tagged = tag[i+1 : len(tag)-1]
		tag = tag[:i]
	}
	if tag != "" && tag[0] == '/' {
		tag = tag[strings.LastIndexByte(tag, '/')+1:]
	}
	l.program = tag
}
