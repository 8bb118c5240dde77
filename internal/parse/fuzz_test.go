package parse

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// FuzzParse reads anything, under any hint, as the doors deliver it.
func FuzzParse(f *testing.F) {
	hints := []string{"", "unknown-product"}
	for _, info := range Parsers() {
		hints = append(hints, info.Name)
		for _, sample := range info.Samples {
			f.Add(sample.Line, uint8(0))
		}
	}
	for _, c := range headerCases {
		f.Add(c.line, uint8(0))
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string, hint uint8) {
		var e event.Event
		r := Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1", Source: hints[int(hint)%len(hints)]}
		p.Parse(&r, &e)
		checkInvariants(t, raw, &e)
	})
}

// FuzzContent fuzzes each content parser through its hint, which is the first
// argument: a failure in testdata/fuzz names the parser.
func FuzzContent(f *testing.F) {
	known := map[string]bool{}
	for _, info := range Parsers() {
		known[info.Name] = true
		for _, sample := range info.Samples {
			f.Add(info.Name, sample.Line)
		}
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, name, raw string) {
		if !known[name] {
			t.Skip("no such parser: FuzzParse tries unknown hints")
		}
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival, Source: name}, &e)
		checkInvariants(t, raw, &e)
	})
}

// FuzzCloud reads the records of cloud services and hosted applications, changed.
func FuzzCloud(f *testing.F) {
	for _, info := range Parsers() {
		for _, sample := range info.Samples {
			if sample.Line[0] == '{' {
				f.Add(sample.Line)
			}
		}
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string) {
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival}, &e)
		checkInvariants(t, raw, &e)
	})
}

// FuzzEnvelope reads anything inside collectors' envelopes.
func FuzzEnvelope(f *testing.F) {
	for _, info := range Parsers() {
		f.Add(info.Samples[0].Line)
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string) {
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
	})
}
