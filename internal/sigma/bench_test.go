//go:build unix

package sigma

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// benchmarkInput is the SigmaHQ rules for Windows processes and real events where
// they are at hand, else rules and events made here.
func benchmarkInput(b *testing.B) ([]*Document, []event.Event) {
	b.Helper()
	if _, err := sharedPath("otrf"); err != nil {
		return syntheticInput(b)
	}
	var docs []*Document
	for _, d := range corpusDocuments(b) {
		if d.LogSource.Category == "process_creation" && d.LogSource.Product == "windows" {
			docs = append(docs, d)
		}
	}
	var events []event.Event
	for _, e := range otrfEvents(b, 1) {
		if id := e.Get("EventID"); id == "1" && e.Get("Channel") == "Microsoft-Windows-Sysmon/Operational" {
			events = append(events, e)
		}
	}
	return docs, events
}

func syntheticInput(b *testing.B) ([]*Document, []event.Event) {
	var docs []*Document
	for i := range 500 {
		parsed, err := Parse(fmt.Appendf(nil, `
title: rule %[1]d
logsource: {product: windows}
detection:
  image: {Image|endswith: ['\tool%[1]d.exe', '\othere%[1]d.exe']}
  line: {CommandLine|contains|all: ['--flag%[1]d', 'value']}
  filter: {User|startswith: 'SYSTEM'}
  condition: (image or line) and not filter
`, i))
		if err != nil {
			b.Fatal(err)
		}
		docs = append(docs, parsed...)
	}
	events := make([]event.Event, 200)
	for i := range events {
		events[i].Add("Image", fmt.Sprintf(`C:\Windows\System32\tool%d.exe`, i*7))
		events[i].Add("CommandLine", fmt.Sprintf(`tool.exe --flag%d --input C:\Users\ann\Documents\report.docx /value`, i*3))
		events[i].Add("User", []string{"ann", "SYSTEM"}[i%2])
	}
	return docs, events
}

func BenchmarkMatchCompiled(b *testing.B) {
	docs, events := benchmarkInput(b)
	for _, v := range []struct {
		name    string
		options Options
	}{{"guessed", Options{}}, {"measured", Options{Sample: events[:len(events)/10]}}} {
		b.Run(v.name, func(b *testing.B) {
			m, err := Compile(docs, v.options)
			if err != nil {
				b.Fatal(err)
			}
			s := m.NewScratch()
			var hits []int32
			for i := range events { // builds the automata
				hits = s.Match(&events[i], hits[:0])
			}
			b.ReportAllocs()
			start := cpuSeconds(b)
			n := 0
			for b.Loop() {
				hits = s.Match(&events[n%len(events)], hits[:0])
				n++
			}
			b.ReportMetric(float64(n)/(cpuSeconds(b)-start), "events/cpu-s")
		})
	}
}

func BenchmarkMatchOracle(b *testing.B) {
	docs, events := benchmarkInput(b)
	b.ReportAllocs()
	start := cpuSeconds(b)
	n := 0
	for b.Loop() {
		view := ViewOf(&events[n%len(events)], Options{})
		for _, d := range docs {
			Eval(d, view)
		}
		n++
	}
	b.ReportMetric(float64(n)/(cpuSeconds(b)-start), "events/cpu-s")
}

// cpuSeconds is the processor time that the process has used: on a machine that
// others use too, the clock says little.
func cpuSeconds(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
