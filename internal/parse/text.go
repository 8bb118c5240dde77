package parse

// plain takes from free text what it says plainly: a time at its start and a
// level in capitals near it. The text stays whole.
func (l *line) plain() {
	s := l.text
	if !l.hasTime {
		l.leadingTime(s)
	}
	if l.pri < 0 && l.level == "" {
		if word := levelWord(s); word != "" {
			l.setLevel(word)
		}
	}
}

// leadingTime reads "2022/03/01 12:57:58 …", "[2023-06-30 15:17:45,544] …" and
// "Mon Jun  8 12:08:53 2020 …".
func (l *line) leadingTime(s string) {
	if len(s) > 20 && s[0] == '[' {
		s = s[1:]
	}
	if len(s) < 19 {
		return
	}
	var c clock
	ok := false
	switch {
	case isDigit(s[0]):
		_, ok = c.isoTime(s)
	case isLetter(s[0]):
		_, ok = c.bsdTime(s)
	}
	if !ok {
		return
	}
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
}

// levelWord finds a level written as a word in capitals in the first 80 bytes.
func levelWord(s string) string {
	s = s[:min(len(s), 80)]
	for at := 0; at < len(s); {
		c := s[at]
		if c < 'A' || c > 'Z' {
			at++
			if isLetter(c) || isDigit(c) || c == '_' { // not a word in capitals: pass over it
				for at < len(s) && (isLetter(s[at]) || isDigit(s[at]) || s[at] == '_') {
					at++
				}
			}
			continue
		}
		end := at
		for end < len(s) && s[end] >= 'A' && s[end] <= 'Z' {
			end++
		}
		if end == len(s) || !isLetter(s[end]) && !isDigit(s[end]) && s[end] != '_' {
			switch word := s[at:end]; word {
			case "EMERG", "EMERGENCY", "ALERT", "CRIT", "CRITICAL", "FATAL", "SEVERE", "ERR", "ERROR", "WARN", "WARNING", "NOTICE", "INFO", "DEBUG", "TRACE":
				return word
			}
		}
		for end < len(s) && (isLetter(s[end]) || isDigit(s[end]) || s[end] == '_') {
			end++
		}
		at = max(end, at+1)
	}
	return ""
}
