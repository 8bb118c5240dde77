package parse

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A line is one record on its way through header and content parsers. Its
// fields are what becomes the event's core; everything else goes to add.
type line struct {
	p *Parser
	r *Record
	e *event.Event

	text string // what is left to understand: the record, then the message

	header, parser, why string

	hasTime bool
	time    int64
	quality string
	pri     int // -1 without

	host, program, pid string
	tagged             string // what stood in the tag beside the program: "pam_unix"

	source, dataset, level string
	severity               severity // at least this
	message                string   // "" means text
	hasMessage             bool
	guessed                bool // the source is one of several that write this form
	nested                 bool // a second header was looked for
	web                    bool // a web server's line: the program is its source
	invalid                bool
	failed                 Reason // why: it claims a format that it breaks; "" where it does not
	failedAt               int    // where in text, -1 where that is not known
	fieldsCut              bool
	count                  string
	depth                  int // records inside records
	reading                int // where the fields begin that a product's reader adds

	force *effect // of settings, nil without
	broke bool    // the format that force names cannot read it
}

// severity ranks as event.SeverityRank does; 0 is "not said".
type severity int8

const (
	unsaid severity = iota
	info
	low
	medium
	high
	critical
)

func (s severity) String() string {
	switch s {
	case critical:
		return "critical"
	case high:
		return "high"
	case medium:
		return "medium"
	case low:
		return "low"
	default:
		return "info"
	}
}

// atLeast raises the event's severity.
func (l *line) atLeast(s severity) { l.severity = max(l.severity, s) }

// add adds a field, and leaves out what the source marks as absent.
func (l *line) add(name, value string) {
	if value != "" {
		l.e.Fields = append(l.e.Fields, event.Field{Name: name, Value: value})
	}
}

// addNonDash adds a field unless its value is "" or "-".
func (l *line) addNonDash(name, value string) {
	if value != "-" {
		l.add(name, value)
	}
}

// is sets the three fields that say what happened.
func (l *line) is(category, action, outcome string) {
	l.add(event.Category, category)
	l.add(event.Action, action)
	l.add(event.Outcome, outcome)
}

// addInt adds a numeric field in canonical form, or nothing if value is no integer.
func (l *line) addInt(name, value string) {
	if v, ok := canonicalInt(value); ok {
		l.add(name, v)
	}
}

// addPeer adds an address as ip, or as host where it is a name.
func (l *line) addPeer(ip, host, value string) {
	if value == "" || value == "-" {
		return
	}
	if a, ok := address(value); ok {
		l.add(ip, a)
		return
	}
	if host != "" && !strings.EqualFold(value, "unknown") && value != "?" {
		l.add(host, value)
	}
}

// addSource adds the initiator's address and port.
func (l *line) addSource(addr, port string) {
	l.addPeer(event.SrcIP, event.SrcHost, addr)
	l.addInt(event.SrcPort, port)
}

// setTime takes an event time that content tells.
func (l *line) setTime(t int64, quality string) {
	l.hasTime, l.time, l.quality = true, t, quality
}

// know notes which parser took the line.
func (l *line) know(parser, why string) { l.parser, l.why = parser, why }

// say sets the event's text where it is not the whole of text.
func (l *line) say(message string) { l.message, l.hasMessage = message, true }

// setLevel takes the source's own word for how grave the line is.
func (l *line) setLevel(level string) {
	if level != "" {
		l.level = level
		l.atLeast(levelSeverity(level))
	}
}

// times notes that the record stands for n happenings, each of which a repetition
// counts again.
func (l *line) times(n string) {
	n, ok := canonicalInt(n)
	if !ok {
		return
	}
	if l.count == "" {
		l.count = n
		return
	}
	l.count = strconv.Itoa(number(l.count) * number(n))
}

func (l *line) run() {
	l.header = "none"
	if l.r.Cut {
		l.e.Tag(event.TagTruncated)
	}
	scanHeader(l)
	if l.force != nil {
		l.forceProgram()
	}
	l.content()
}

// finish writes the core fields.
func (l *line) finish() {
	e := l.e
	if !l.hasTime {
		l.time, l.quality = l.r.Arrived, qualityReceived
	}
	e.Time = l.time
	if l.r.Arrived != 0 && l.time-l.r.Arrived > l.p.future {
		e.Tag(event.TagFutureTime)
	}
	if l.invalid {
		e.Tag(event.TagInvalidUTF8)
	}
	if l.broke && l.parser == "text" {
		l.fail(ReasonMismatch, -1)
	}
	if l.failed != "" {
		l.quarantine()
	}
	if l.fieldsCut {
		e.Tag(event.TagFieldsCut)
	}
	if l.host == "" {
		l.host = l.r.Peer
	}
	l.settleProgram()
	l.add(event.Host, l.host)
	l.add(event.Program, l.program)
	l.addInt(event.PID, l.pid)
	l.add(event.Dataset, l.dataset)
	l.add(event.Count, l.count)
	if a, ok := address(l.r.Peer); ok {
		l.add(event.PeerIP, a)
	}
	if l.pri >= 0 {
		l.add(event.SyslogFacility, smallNumber(l.pri>>3))
		l.add(event.SyslogSeverity, smallNumber(l.pri&7))
		if l.level == "" {
			l.level = syslogLevels[l.pri&7]
		}
		l.atLeast(syslogSeverity(l.pri & 7))
	}
	l.add(event.Level, l.level)
	if !l.hasMessage {
		l.message = l.text
	}
	if l.source == "" {
		l.source = l.plainSource()
	}
	e.Fields[0].Value = l.source
	e.Fields[1].Value = l.severity.String()
	e.Fields[2].Value = l.message
	e.Fields[3].Value = l.quality
}

// settleProgram names the program of lines that carry no tag of their own: a
// file's lines have the program that the sender named.
func (l *line) settleProgram() {
	if l.web {
		l.program = cmp.Or(l.program, l.source)
		if l.dataset == "" {
			l.dataset = accessDataset(l.p, l.source)
		}
		return
	}
	if l.program == "" && l.pri < 0 && ownFile(l.source) {
		l.program = l.source
		return
	}
	if l.program == "" && l.source == l.r.Source && !isFamily(l.source) && !isFormat(l.source) {
		l.program = l.source
	}
}

// ownFile tells the sources that are programs, whose own files name none.
func ownFile(source string) bool {
	switch source {
	case "mysql", "mariadb", "mssql", "postgresql", "grafana":
		return true
	}
	return false
}

var syslogLevels = [8]string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}

// syslogSeverity: emergency to critical are high, error medium, warning low.
func syslogSeverity(n int) severity {
	switch {
	case n <= 2:
		return high
	case n == 3:
		return medium
	case n == 4:
		return low
	default:
		return info
	}
}

// levelSeverity ranks the words that programs use for their levels.
func levelSeverity(level string) severity {
	if len(level) > 16 {
		return unsaid
	}
	var b [16]byte
	n := copy(b[:], level)
	for i := range n {
		if c := b[i]; c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	switch string(b[:n]) {
	case "emerg", "emergency", "panic", "alert", "crit", "critical", "fatal", "severe":
		return high
	case "err", "error", "eror", "failure":
		return medium
	case "warn", "warning":
		return low
	case "notice", "info", "information", "informational", "debug", "trace", "verbose", "finest", "finer", "fine", "config":
		return info
	default:
		return unsaid
	}
}
