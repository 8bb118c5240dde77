package parse

import "strings"

// hostContents are the parsers of what operating systems and their daemons write.
func hostContents() []content {
	return []content{
		auditdParser(),
		bindParser(),
		csvParser(),
		dhcpParser(),
		dnsmasqParser(),
		dovecotParser(),
		eximParser(),
		postfixParser(),
		snortParser(),
		squidParser(),
		unboundParser(),
		vpcFlowParser(),
		w3cParser(),
		windowsXMLParser(),
		zeekTableParser(),
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
	case 'c':
		if isBind(s) {
			return reg.hints["bind"], "the text begins with a client of BIND"
		}
	case '[':
		if isAudit(s) {
			return reg.hints["auditd"], "the text begins as a record of Linux audit"
		}
		if isUnbound(s) {
			return reg.hints["unbound"], "the text begins as Unbound's own log"
		}
	case '<', 'M':
		if isWindowsText(s) {
			return reg.hints["windows"], "the text begins as a Windows event"
		}
	case 'v':
		if isVPCFlow(s) {
			return reg.hints["aws_vpcflow"], "the text names the columns of a flow log"
		}
	case '#':
		if l.isZeekTable() {
			return reg.hints["zeek"], "the text begins as the header of a Zeek log"
		}
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
	if isDigit(s[0]) {
		switch {
		case l.isZeekTable():
			return reg.hints["zeek"], "the text has the time of a Zeek log, whose header came before"
		case isSquid(s):
			return reg.hints["squid"], "the text begins with Squid's time and result"
		case isVPCFlow(s):
			return reg.hints["aws_vpcflow"], "a network interface of Amazon EC2 stands in the third column"
		case isSnort(s):
			return reg.hints["snort"], "the text begins as an alert of Snort"
		case isBind(s):
			return reg.hints["bind"], "the text begins with BIND's time"
		}
	}
	return nil, ""
}

// before tells whether part stands in the first n bytes of s.
func before(s, part string, n int) bool {
	return strings.Contains(s[:min(len(s), n)], part)
}
