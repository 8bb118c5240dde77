package parse

import "strings"

// hostContents are the parsers of what operating systems and their daemons write.
func hostContents() []content {
	return []content{
		auditdParser(),
		dovecotParser(),
		eximParser(),
		postfixParser(),
		squidParser(),
		w3cParser(),
	}
}

// The bounds of what is remembered.
const (
	maxTables      = 256
	maxTableHeader = 8 << 10
	maxAudits      = 256
	maxAuditNote   = 4 << 10
)

// hostLog chooses the parser of a daemon's or a system's log by its first bytes.
func (l *line) hostLog() (*content, string) {
	reg := &l.p.registry
	s := l.text
	switch s[0] {
	case 't', 'n', 'a':
		if isAudit(s) {
			return reg.hints["auditd"], "the text begins as a record of Linux audit"
		}
	case '#':
		if l.isW3C() {
			return reg.hints["iis"], "the text begins as a W3C log's header"
		}
	}
	if l.header == "time" {
		if isExim(s) {
			return reg.hints["exim"], "the text is Exim's"
		}
		if l.isW3C() {
			return reg.hints["iis"], "the columns are those of a W3C log"
		}
	}
	if isDigit(s[0]) && isSquid(s) {
		return reg.hints["squid"], "the text begins with Squid's time and result"
	}
	return nil, ""
}

// before tells whether part stands in the first n bytes of s.
func before(s, part string, n int) bool {
	return strings.Contains(s[:min(len(s), n)], part)
}
