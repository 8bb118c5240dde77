package parse

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Reason says why a record that claims a format cannot be read as such. It is the
// value of event.ParseErrorReason.
type Reason string

// The reasons.
const (
	ReasonJSONCut      Reason = "json_cut"      // a JSON object that ends too early
	ReasonJSONInvalid  Reason = "json_invalid"  // a JSON object with a fault in it
	ReasonJSONTrailing Reason = "json_trailing" // text behind a JSON object
	ReasonJSONDeep     Reason = "json_deep"     // JSON that is nested deeper than is read
	ReasonCEF          Reason = "cef_header"    // CEF: without its seven parts
	ReasonLEEF         Reason = "leef_header"   // LEEF: without its five parts
	ReasonXMLCut       Reason = "xml_cut"       // a Windows event that ends too early
	ReasonXMLInvalid   Reason = "xml_invalid"   // a Windows event without its System part
	ReasonMismatch     Reason = "not_as_hinted" // not in the format that its sender or a setting names
	ReasonPanic        Reason = "parser_failed" // a fault of the parser's own: please report it
)

// Reasons lists the reasons with what they mean, for people.
var Reasons = map[Reason]string{
	ReasonJSONCut:      "begins as a JSON object and ends before it does: the sender or a relay cuts long lines",
	ReasonJSONInvalid:  "begins as a JSON object and breaks JSON's grammar: often quotes that are not escaped",
	ReasonJSONTrailing: "other text follows a JSON object: two records may stand in one line",
	ReasonJSONDeep:     "JSON that is nested deeper than is read",
	ReasonCEF:          "begins with CEF: and lacks parts of its header",
	ReasonLEEF:         "begins with LEEF: and lacks parts of its header",
	ReasonXMLCut:       "begins as a Windows event in XML and ends before it does: the sender or a relay cuts long lines",
	ReasonXMLInvalid:   "begins as a Windows event in XML and has no System part",
	ReasonMismatch:     "not in the format that its sender or a log source's setting names",
	ReasonPanic:        "the parser failed: a fault of KYRA's, please report it",
}

// fail notes the first thing that is wrong, at a byte of l.text.
func (l *line) fail(r Reason, at int) {
	if l.failed != "" {
		return
	}
	l.failed, l.failedAt = r, at
	if at >= 0 && l.text != "" { // count from the begin of the record
		if i := strings.LastIndex(l.r.Raw, l.text); i > 0 {
			l.failedAt += i
		}
	}
}

// quarantine says in the event what is wrong with it.
func (l *line) quarantine() {
	l.e.Tag(event.TagParseError)
	l.add(event.ParseErrorReason, string(l.failed))
	if l.failedAt >= 0 {
		l.add(event.ParseErrorAt, strconv.Itoa(l.failedAt))
	}
}

// Failure returns why the record that was parsed last is quarantined, "" where it is not.
func (p *Parser) Failure() Reason { return p.line.failed }

// jsonBreak finds what is wrong with text that begins as a JSON object. It is slow and
// only asked for what the scanner refused.
func jsonBreak(s string) (Reason, int) {
	var raw json.RawMessage
	syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal([]byte(s), &raw))
	switch {
	case !ok:
		return ReasonJSONDeep, -1
	case int(syntax.Offset) >= len(s) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return ReasonJSONCut, len(s)
	case strings.HasSuffix(syntax.Error(), "after top-level value"):
		return ReasonJSONTrailing, int(syntax.Offset) - 1
	case strings.HasPrefix(syntax.Error(), "exceeded max depth"):
		return ReasonJSONDeep, int(syntax.Offset) - 1
	}
	return ReasonJSONInvalid, max(0, int(syntax.Offset)-1)
}

// xmlBreak tells a Windows event that was cut from one that never was whole.
func xmlBreak(s string) (Reason, int) {
	if strings.Contains(s, "</Event>") {
		return ReasonXMLInvalid, -1
	}
	return ReasonXMLCut, len(s)
}
