//go:build unix

package detect

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// benchmarkInput is the SigmaHQ rules and recorded events where they are at hand,
// else rules and events made here.
func benchmarkInput(b *testing.B) (func(Options) *Ruleset, map[string][]event.Event) {
	b.Helper()
	if _, err := sharedPath("otrf"); err != nil {
		return syntheticInput(b)
	}
	all := recordings(b, 1)
	var process []event.Event
	for _, e := range all {
		if e.Get("EventID") == "1" && e.Get("Channel") == "Microsoft-Windows-Sysmon/Operational" {
			process = append(process, e)
		}
	}
	return func(o Options) *Ruleset { return corpus(b, o) }, map[string][]event.Event{"mixed": all, "process": process, "lines": sshdEvents()}
}

func syntheticInput(b *testing.B) (func(Options) *Ruleset, map[string][]event.Event) {
	var text strings.Builder
	text.WriteString(bruteForce)
	for i := range 500 {
		fmt.Fprintf(&text, "---\ntitle: rule %d\nlogsource: {product: linux, service: sshd}\ndetection: {s: {message|contains|all: ['word%d', 'other']}, condition: s}\n", i, i)
	}
	rules := mustParse(b, text.String())
	return func(o Options) *Ruleset {
		rs, _ := o.Compile(rules)
		return rs
	}, map[string][]event.Event{"lines": sshdEvents()}
}

func sshdEvents() []event.Event {
	p := parse.New(parse.Options{})
	events := make([]event.Event, 500)
	for i := range events {
		raw := fmt.Sprintf("Nov 24 09:%02d:%02d bastion-01 sshd[%d]: Accepted publickey for ann from 10.1.%d.%d port 40000 ssh2: ED25519 SHA256:abc", i/60%60, i%60, i, i%7, i%200)
		p.Parse(&parse.Record{Raw: raw, Arrived: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC).UnixNano()}, &events[i])
	}
	return events
}

func BenchmarkMatchCompiled(b *testing.B) {
	compile, sets := benchmarkInput(b)
	for name, events := range sets {
		for _, v := range []struct {
			name    string
			options Options
		}{{"guessed", Options{}}, {"measured", Options{Sample: every(events, 10)}}} {
			b.Run(name+"/"+v.name, func(b *testing.B) {
				m := compile(v.options).NewMatcher()
				var hits []Hit
				for i := range events { // builds classes and automata
					hits = m.Match(&events[i], hits[:0])
				}
				b.ReportAllocs()
				start := cpuSeconds(b)
				n := 0
				for b.Loop() {
					hits = m.Match(&events[n%len(events)], hits[:0])
					n++
				}
				b.ReportMetric(float64(n)/(cpuSeconds(b)-start), "events/cpu-s")
			})
		}
	}
}

func every[T any](xs []T, step int) []T {
	var out []T
	for i := 0; i < len(xs); i += step {
		out = append(out, xs[i])
	}
	return out
}

func BenchmarkMatchOracle(b *testing.B) {
	compile, sets := benchmarkInput(b)
	for name, events := range sets {
		b.Run(name, func(b *testing.B) {
			rs := compile(Options{})
			b.ReportAllocs()
			start := cpuSeconds(b)
			n := 0
			for b.Loop() {
				plain(rs, &events[n*7919%len(events)])
				n++
			}
			b.ReportMetric(float64(n)/(cpuSeconds(b)-start), "events/cpu-s")
		})
	}
}

// BenchmarkDetect is the whole of detection on matching events: match, count,
// report.
func BenchmarkDetect(b *testing.B) {
	x := newEngine(mustCompile(b, bruteForce))
	var e event.Event
	e.Tenant = 1
	for _, f := range [][2]string{{"source", "sshd"}, {"action", "login"}, {"outcome", "failure"}, {"src_ip", "10.0.0.1"}, {"user", "root"}, {"host", "web1"}} {
		e.Add(f[0], f[1])
	}
	var hits []Hit
	b.ReportAllocs()
	start := cpuSeconds(b)
	n := 0
	for b.Loop() {
		e.Time = int64(n) * int64(time.Millisecond)
		hits = x.matcher.Match(&e, hits[:0])
		x.detector.Apply(&e, hits, nil)
		if n++; n%1000 == 0 {
			x.end()
		}
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
