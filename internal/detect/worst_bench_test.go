//go:build unix

package detect

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

var quotedItem = regexp.MustCompile(`(?m)^ +- '([^'*]+)'`)

// stuffed returns n bytes of what rules look for in command lines, which a seed
// orders.
func stuffed(tb testing.TB, n int) string {
	tb.Helper()
	texts, err := loadTexts()
	if err != nil {
		tb.Fatal(err)
	}
	var literals []string
	for _, text := range texts {
		if !bytes.Contains(text, []byte("category: process_creation")) || !bytes.Contains(text, []byte("CommandLine")) {
			continue
		}
		for _, m := range quotedItem.FindAllSubmatch(text, -1) {
			literals = append(literals, string(m[1]))
		}
	}
	var b strings.Builder
	x := uint32(7)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		b.WriteString(literals[int(x>>8)%len(literals)])
		b.WriteByte(' ')
	}
	return b.String()[:n]
}

func worstLines(tb testing.TB) map[string]string {
	random := make([]byte, 24<<10)
	x := uint32(1)
	for i := range random {
		x = x*1664525 + 1013904223
		random[i] = byte(x >> 24)
	}
	return map[string]string{
		"literals32k": stuffed(tb, 32<<10),
		"literals1k":  stuffed(tb, 1000),
		"literals8k":  stuffed(tb, 8<<10),
		"base64-32k":  base64.StdEncoding.EncodeToString(random),
		"a-32k":       strings.Repeat("A", 32<<10),
		"cyrillic32k": strings.Repeat("Ж", 16<<10),
		"quotes32k":   strings.Repeat("+^`{}\"'-", 4<<10),
		"over64k":     stuffed(tb, 100<<10),
	}
}

func processEvent(line string) event.Event {
	var e event.Event
	for _, f := range [][2]string{{"Channel", "Microsoft-Windows-Sysmon/Operational"}, {"EventID", "1"}, {"Image", `C:\Windows\System32\cmd.exe`}, {"ParentImage", `C:\Windows\explorer.exe`}, {"CommandLine", line}} {
		e.Add(f[0], f[1])
	}
	return e
}

// TestWorstCasesAgree: long values, whose literals are looked for all at once,
// against the plain evaluator, also where they come again.
func TestWorstCasesAgree(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("the plain evaluator takes long: only in the full run without race detector")
	}
	t.Parallel()
	shared(t, "sigma-rules.tar.gz")
	rs := corpus(t, Options{})
	m := rs.NewMatcher()
	for name, line := range worstLines(t) {
		e := processEvent(line)
		want := plain(rs, &e)
		for range 2 {
			var got []int32
			for _, h := range m.Match(&e, nil) {
				got = append(got, h.rule)
			}
			for _, i := range m.scratch.Skipped() { // not asked
				want = slices.DeleteFunc(want, func(r int32) bool { return r == rs.matching.rules[i] })
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %d rules match, %d of the plain evaluator", name, len(got), len(want))
			}
		}
	}
}

// BenchmarkWorstCase is what one command line can be made to cost, with all SigmaHQ
// rules.
func BenchmarkWorstCase(b *testing.B) {
	shared(b, "sigma-rules.tar.gz")
	rs := corpus(b, Options{})
	for name, line := range worstLines(b) {
		b.Run(name, func(b *testing.B) { worst(b, rs, processEvent(line)) })
	}
	b.Run("regexes5000", func(b *testing.B) {
		var text strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&text, "---\ntitle: r%d\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {CommandLine|re: '[a-f]{%d}[0-9]+x?y?[g-z]{%d}'}, condition: s}\n", i, 2+i%7, 1+i%11)
		}
		set, _ := Compile(mustParse(b, text.String()))
		worst(b, set, processEvent(`cmd.exe /c "copy deadbeef0123456789 \\server\share\abcdef99 && whoami /all" `+strings.Repeat("abc012xyz ", 30)))
	})
}

func worst(b *testing.B, rs *Ruleset, e event.Event) {
	m := rs.NewMatcher()
	fields := len(e.Fields)
	var hits []Hit
	hits = m.Match(&e, hits[:0])
	start, n := cpuSeconds(b), 0
	for b.Loop() {
		e.Fields = e.Fields[:fields]
		m.forget()
		hits = m.Match(&e, hits[:0])
		n++
	}
	b.ReportMetric((cpuSeconds(b)-start)/float64(n)*1e6, "cpu-µs/event")
	b.ReportMetric(float64(len(hits)), "matches")
	b.ReportMetric(float64(len(m.scratch.Skipped())), "skipped")
}

// BenchmarkOtherLogSources is the same events without and with ten thousand more
// rules that do not concern them, in turns of some thousand events; what it reports
// is the median of the turns.
func BenchmarkOtherLogSources(b *testing.B) {
	shared(b, "otrf")
	rules, err := loadCorpus()
	if err != nil {
		b.Fatal(err)
	}
	more := slices.Clone(rules)
	for k := range 10 {
		var text strings.Builder
		for i := k * 1000; i < (k+1)*1000; i++ {
			fmt.Fprintf(&text, "---\ntitle: other %[1]d\nlogsource: {product: other%[2]d, service: s%[3]d}\ndetection: {s: {field%[4]d|contains: ['word%[1]d', 'thing%[1]d'], EventID: %[5]d}, k: ['keyword%[1]d'], condition: s or k}\n", i, i%100, i%17, i%50, i%90)
		}
		more = append(more, mustParse(b, text.String())...)
	}
	lines := rawRecordings(b)
	sample := every(parseAll(lines), 20)
	var ways [2]func(line string)
	for i, rules := range [][]Rule{rules, more} {
		rs, _ := Options{Sample: sample}.Compile(rules)
		p, m := parse.New(parse.Options{}), rs.NewMatcher()
		var e event.Event
		var hits []Hit
		ways[i] = func(line string) {
			p.Parse(&parse.Record{Raw: line, Arrived: arrival}, &e)
			hits = m.Match(&e, hits[:0])
		}
		for _, l := range lines {
			ways[i](l)
		}
	}
	var ratios, without []float64
	n := 0
	for b.Loop() {
		at := n * turn % (len(lines) - turn)
		var spent [2]float64
		for i := range ways {
			way := (i + n) % 2
			start := cpuSeconds(b)
			for _, l := range lines[at : at+turn] {
				ways[way](l)
			}
			spent[way] = cpuSeconds(b) - start
		}
		ratios, without = append(ratios, spent[1]/spent[0]), append(without, spent[0])
		n++
	}
	b.ReportMetric((median(ratios)-1)*100, "%-more")
	b.ReportMetric(turn/median(without), "events/cpu-s")
}

// BenchmarkTwoCores is the way from records to matches on one core and on two. By the
// clock it says something only where nobody else uses the machine; what two cores
// take from each other shows in the CPU time of an event too.
func BenchmarkTwoCores(b *testing.B) {
	shared(b, "otrf")
	lines := rawRecordings(b)
	rs := corpus(b, Options{Sample: every(parseAll(lines), 20)})
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			type worker struct {
				p *parse.Parser
				m *Matcher
			}
			all := make([]worker, workers)
			run := func(w *worker) {
				var e event.Event
				var hits []Hit
				for i := range lines {
					w.p.Parse(&parse.Record{Raw: lines[i], Arrived: arrival}, &e)
					hits = w.m.Match(&e, hits[:0])
				}
			}
			for i := range all {
				all[i] = worker{parse.New(parse.Options{}), rs.NewMatcher()}
				run(&all[i])
			}
			start, cpu, passes := time.Now(), cpuSeconds(b), 0
			for b.Loop() {
				var group sync.WaitGroup
				for i := range all {
					group.Go(func() { run(&all[i]) })
				}
				group.Wait()
				passes++
			}
			events := float64(passes * workers * len(lines))
			b.ReportMetric(events/time.Since(start).Seconds(), "events/s")
			b.ReportMetric(events/(cpuSeconds(b)-cpu), "events/cpu-s")
		})
	}
}

// BenchmarkCompileAll is the SigmaHQ set from its text, and what its indexes take
// once all recordings and lines have been seen.
func BenchmarkCompileAll(b *testing.B) {
	shared(b, "otrf")
	texts, err := loadTexts()
	if err != nil {
		b.Fatal(err)
	}
	streams := rawStreams(b)
	var sample []event.Event
	for _, s := range streams {
		sample = append(sample, every(parseAll(s.lines), 100)...)
	}
	for _, v := range []struct {
		name    string
		options Options
	}{{"guessed", Options{}}, {"measured", Options{Sample: sample}}} {
		b.Run(v.name, func(b *testing.B) {
			var yaml, compile float64
			n := 0
			var rules []Rule
			for b.Loop() {
				start := cpuSeconds(b)
				rules = rules[:0]
				for _, text := range texts {
					docs, err := sigma.Parse(text)
					if err != nil {
						b.Fatal(err)
					}
					for _, d := range docs {
						rules = append(rules, Rule{Document: d})
					}
				}
				parsed := cpuSeconds(b)
				v.options.Compile(rules)
				yaml, compile = yaml+parsed-start, compile+cpuSeconds(b)-parsed
				n++
			}
			b.StopTimer()
			b.ReportMetric(yaml/float64(n), "yaml-cpu-s")
			b.ReportMetric(compile/float64(n), "compile-cpu-s")
			before := heapBytes()
			rs, _ := v.options.Compile(rules)
			compiled := heapBytes()
			m := rs.NewMatcher()
			for _, s := range streams {
				p := parse.New(parse.Options{})
				var e event.Event
				for i := range s.lines {
					p.Parse(&parse.Record{Raw: s.lines[i], Arrived: arrival}, &e)
					m.Match(&e, nil)
				}
			}
			used := heapBytes()
			b.ReportMetric(float64(compiled-before)/(1<<20), "compiled-MiB")
			b.ReportMetric(float64(used-before)/(1<<20), "in-use-MiB")
			b.ReportMetric(float64(len(rs.matching.byGroups)), "classes")
			runtime.KeepAlive(m)
			runtime.KeepAlive(rules)
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
