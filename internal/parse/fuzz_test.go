package parse

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// FuzzParse reads anything, under any hint, as the doors deliver it. The hint is the name
// of a parser: what is none stands for no hint.
func FuzzParse(f *testing.F) {
	known := map[string]bool{"unknown-product": true}
	for _, info := range Parsers() {
		known[info.Name] = true
		for _, sample := range info.Samples {
			f.Add("", sample.Line)
			f.Add(info.Name, sample.Line)
		}
	}
	for _, c := range headerCases {
		f.Add("", c.line)
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, hint, raw string) {
		if !known[hint] {
			hint = ""
		}
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1", Source: hint}, &e)
		checkInvariants(t, raw, &e)
	})
}

// FuzzAround gives anything to what stands around the parsers in turn, which first says:
// envelopes, what is remembered of the record before, tables, settings.
func FuzzAround(f *testing.F) {
	for _, info := range Parsers() {
		f.Add(uint8(0), "", info.Samples[0].Line, uint8(0))
	}
	for i, raw := range shortJSON {
		f.Add(uint8(1), shortJSON[(i+1)%len(shortJSON)], raw, uint8(0))
	}
	f.Add(uint8(1), `{"a\":":1}`, `{"a":":1}`, uint8(0))
	f.Add(uint8(1), `{"":{"":1}}`, `{"":1,"":{"a":2}}`, uint8(0))
	f.Add(uint8(1), `{"ts":"2026-11-25T05:06:60Z"}`, `{"ts":"2026-11-25T05:06:07.1234567890Z"}`, uint8(0))
	f.Add(uint8(2), "#Fields: date time c-ip", "2026-03-04 05:06:07 10.0.0.9", uint8(0))
	f.Add(uint8(2), "#fields\tts\tuid", "1772600767.123456\tC1", uint8(0))
	f.Add(uint8(2), "a,b", "1,2", uint8(1))
	f.Add(uint8(2), "version account-id srcaddr x", "2 1 eni-1 10.0.0.1", uint8(2))
	f.Add(uint8(3), "w*1", "<38>Nov 25 06:55:48 web1 sshd[1]: x", uint8(1))
	f.Add(uint8(3), "(x)", `{"a":"1"}`, uint8(4))
	parsers := []string{"", "no such parser"}
	for _, info := range Parsers() {
		parsers = append(parsers, info.Name)
	}
	formats := [...]string{"", "json", "kv", "cef", "leef", "plain"}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, what uint8, first, second string, n uint8) {
		switch what % 4 {
		case 0:
			checkEnvelope(t, p, second)
		case 1:
			checkJSONAfter(t, first, second)
		case 2:
			checkTables(t, first, second, n)
		case 3:
			checkSettings(t, second, formats[int(n)%len(formats)], parsers[int(n)%len(parsers)], first, first)
		}
	})
}

// checkEnvelope reads anything inside collectors' envelopes.
func checkEnvelope(t *testing.T, p *Parser, raw string) {
	t.Helper()
	text, err := json.Marshal(raw)
	if err != nil {
		t.Skip()
	}
	for _, form := range []string{
		`{"log":%s,"stream":"stdout","kubernetes":{"host":"n","container_name":"sshd"}}`, `{"line":%s,"labels":{"job":"su","src_ip":"1.2.3.4"}}`,
		`{"short_message":%s,"level":3,"_user":"u"}`, `{"event":%s,"host":"h","source":"system"}`, `{"event":{"message":%s}}`,
	} {
		var e event.Event
		line := fmt.Sprintf(form, text)
		p.Parse(&Record{Raw: line, Arrived: arrival}, &e)
		checkInvariants(t, line, &e)
	}
	var e event.Event
	line := "2026-03-04T05:06:07Z stdout F " + raw
	p.Parse(&Record{Raw: line, Arrived: arrival}, &e)
	checkInvariants(t, line, &e)
}
