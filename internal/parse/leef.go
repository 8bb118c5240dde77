package parse

import (
	"strings"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/event"
)

func leefParser() content {
	return content{
		Info: Info{
			Name:    "leef",
			Sources: []string{"leef"},
			About:   "IBM QRadar Log Event Extended Format 1.0 and 2.0: the source is vendor and product, the keys become canonical fields",
			Samples: []Sample{
				{"<13>Jan 18 11:07:53 192.0.2.5 LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=192.0.2.0\tdst=172.50.123.1\tsev=5\tcat=anomaly\tsrcPort=81\tdstPort=21\tusrName=joe.black", []string{
					"source=microsoft_msexchange", "host=192.0.2.5", "event_code=15345", "src_ip=192.0.2.0", "dst_ip=172.50.123.1", "src_port=81", "dst_port=21", "user=joe.black",
					"severity=medium", "rule_category=anomaly", "vendor=Microsoft",
				}},
				{"LEEF:2.0|Lancope|StealthWatch|1.0|41|^|src=10.0.1.8^dst=10.0.0.5^sev=8^srcPort=81^proto=UDP", []string{"source=lancope_stealthwatch", "src_ip=10.0.1.8", "dst_ip=10.0.0.5", "proto=udp", "severity=high"}},
				{"LEEF:2.0|V|P|1.0|41|x7C|src=10.0.1.8|msg=a b", []string{"source=v_p", "src_ip=10.0.1.8", "msg=a b"}},
				{"LEEF:3|V", []string{"source=leef", "tags=parse_error", "parse_error_reason=leef_header"}},
			},
		},
		strict: true,
		parse:  parseLEEF,
	}
}

// parseLEEF reads "LEEF:1.0|VENDOR|PRODUCT|VERSION|ID|key=value<tab>…" and
// version 2.0, whose next part may name the delimiter.
func parseLEEF(l *line) bool {
	s, ok := strings.CutPrefix(l.text, "LEEF:")
	if !ok {
		return false
	}
	var head [5]string
	for i := range head {
		if head[i], s, ok = strings.Cut(s, "|"); !ok {
			l.fail(ReasonLEEF, len(l.text))
			l.source = "leef"
			return true
		}
	}
	delimiter := "\t"
	if strings.IndexByte(s, '\t') < 0 && strings.HasPrefix(head[1], "Palo Alto") {
		delimiter = "|"
	}
	if strings.HasPrefix(head[0], "2") {
		if i := strings.IndexByte(s, '|'); i >= 0 && i <= 6 && strings.IndexByte(s[:i], '=') < 0 {
			delimiter = leefDelimiter(s[:i])
			s = s[i+1:]
		}
	}
	l.source = l.snakeSource(head[1], head[2])
	l.add(event.Vendor, head[1])
	l.add(event.Product, head[2])
	l.add("device_version", head[3])
	l.add(event.EventCode, head[4])
	x := extension{l: l}
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, delimiter)
		if key, value, ok := strings.Cut(pair, "="); ok {
			if key = strings.TrimSpace(key); key != "" && len(key) <= 128 {
				x.pair(key, strings.TrimSpace(value))
			}
		}
	}
	x.done()
	l.cefProduct(head[1], head[2], "")
	return true
}

// leefDelimiter reads a character, or its code as "x09" or "0x09".
func leefDelimiter(s string) string {
	code := strings.TrimPrefix(strings.TrimPrefix(s, "0"), "x")
	if len(code) != len(s) && len(code) >= 1 && len(code) <= 4 {
		var zeros [4]byte
		b := append(zeros[:0], "0000"[:4-len(code)]...)
		if r := hex4(string(append(b, code...))); r > 0 && r < 0x80 {
			return string(r)
		}
	}
	if s == "" {
		return "\t"
	}
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}
