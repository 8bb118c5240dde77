//go:build unix

package detect

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

// BenchmarkRawToFindings is one core's whole way from a raw record to findings
// with all SigmaHQ rules loaded; an operation is a thousand records. The records of
// a pass are all different where those of a real stream are, as a value that was
// seen before is cheaper.
func BenchmarkRawToFindings(b *testing.B) {
	shared(b, "otrf")
	streams := rawStreams(b)
	streams = slices.Insert(streams, 1, rawStream{"processQuiet", quietLines(corpus(b, Options{}), streams[0].lines)})
	for _, s := range streams {
		for _, o := range []struct {
			name   string
			sample int // every how manieth event is shown to Compile
		}{{"guessed", 0}, {"measured", 20}} {
			b.Run(s.name+"/"+o.name, func(b *testing.B) {
				var options Options
				if o.sample > 0 {
					options.Sample = every(parseAll(s.lines), o.sample)
				}
				rs := corpus(b, options)
				measureStream(b, rs, s.lines)
			})
		}
	}
}

func parseAll(lines []string) []event.Event {
	p := parse.New(parse.Options{})
	out := make([]event.Event, len(lines))
	for i, l := range lines {
		p.Parse(&parse.Record{Raw: l, Arrived: arrival}, &out[i])
	}
	return out
}

const arrival = 1_772_600_000_000_000_000

// turn is how many events are measured at a time: of several turns the median is
// reported, as others use the machine too.
const turn = 1000

// measureStream reports the whole way, its parts, and the plain evaluator on some of
// the events, in CPU time.
func measureStream(b *testing.B, rs *Ruleset, lines []string) {
	b.Helper()
	p, m := parse.New(parse.Options{}), rs.NewMatcher()
	d := New(func(uint32) *Ruleset { return rs })
	var e event.Event
	var hits []Hit
	bytes, matching := 0, 0
	parseLine := func(i int) { p.Parse(&parse.Record{Raw: lines[i], Arrived: arrival}, &e) }
	detect := func(i int) {
		parseLine(i)
		hits = m.Match(&e, hits[:0])
		d.Apply(&e, hits, nil)
	}
	drop := func(*alert.Finding) {}
	for i := range lines { // builds classes, automata and the parser's names
		detect(i)
		bytes += len(lines[i])
		matching += min(len(hits), 1)
	}
	d.EndBatch(drop)
	var whole, parsing []float64
	timed := func(at int, do func(int)) float64 {
		start := cpuSeconds(b)
		for i := at; i < at+turn; i++ {
			do(i)
		}
		d.EndBatch(drop)
		return (cpuSeconds(b) - start) / turn * 1e9
	}
	b.ReportAllocs()
	at := 0
	for b.Loop() {
		if at == 0 {
			m.forget()
		}
		parsing = append(parsing, timed(at, parseLine))
		whole = append(whole, timed(at, detect))
		if at += turn; at+turn > len(lines) {
			at = 0
		}
	}
	events := parseAll(every(lines, len(lines)/20))
	start := cpuSeconds(b)
	for i := range events {
		plain(rs, &events[i])
	}
	oracle := (cpuSeconds(b) - start) / float64(len(events)) * 1e9
	took, read := median(whole), median(parsing)
	b.ReportMetric(1e9/took, "events/cpu-s")
	b.ReportMetric(read, "parse-ns")
	b.ReportMetric(took-read, "detect-ns")
	b.ReportMetric(oracle/took, "times-oracle")
	b.ReportMetric(float64(bytes)/float64(len(lines)), "bytes/event")
	b.ReportMetric(100*float64(matching)/float64(len(lines)), "%-matching")
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

// A rawStream is records as they come in.
type rawStream struct {
	name  string
	lines []string
}

func rawStreams(tb testing.TB) []rawStream {
	mixed := rawRecordings(tb)
	return []rawStream{
		{"process", processLines(mixed, 20_000)},
		{"mixed", mixed},
		{"linux300", linuxLines(20_000)},
		{"web300", webLines(20_000)},
		{"cloud300", cloudLines(20_000)},
	}
}

// rawRecordings returns the lines of all recordings in order.
func rawRecordings(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(shared(tb, "otrf"), "*.ndjson.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			tb.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			out = append(out, lines.Text())
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
		f.Close()
	}
	return out
}

// processLines makes n process events, with their message, of the recorded ones:
// times, ids and one command line in three are new in each.
func processLines(mixed []string, n int) []string {
	var recorded []string
	for _, l := range mixed {
		if strings.Contains(l, `"EventID":1,`) && strings.Contains(l, `Microsoft-Windows-Sysmon/Operational`) {
			recorded = append(recorded, l)
		}
	}
	out := make([]string, n)
	for i := range out {
		l := recorded[i%len(recorded)]
		renew := []string{"UtcTime", fmt.Sprintf("2020-12-%02d %02d:%02d:%02d.%03d", 1+i/86400%28, i/3600%24, i/60%60, i%60, i%1000)}
		renew = append(renew, "ProcessGuid", fmt.Sprintf("{649442b8-%04x-5fdd-%04x-000000000600}", i>>16, i&0xffff))
		renew = append(renew, "ProcessId", fmt.Sprint(1000+i*4%60000))
		for k := 0; k < len(renew); k += 2 {
			if old := jsonText(l, renew[k]); old != "" {
				l = strings.ReplaceAll(l, old, renew[k+1])
			}
		}
		if old := jsonText(l, "CommandLine"); old != "" && i%3 == 0 {
			l = strings.ReplaceAll(l, old, fmt.Sprintf("%s %d", old, i))
		}
		out[i] = l
	}
	return out
}

// quietLines returns the lines that no rule matches: the recordings are of attacks,
// and in them two process events of five match.
func quietLines(rs *Ruleset, lines []string) []string {
	p, m := parse.New(parse.Options{}), rs.NewMatcher()
	var out []string
	var e event.Event
	var hits []Hit
	for i, l := range lines {
		p.Parse(&parse.Record{Raw: l, Arrived: arrival}, &e)
		if hits = m.Match(&e, hits[:0]); len(hits) == 0 {
			out = append(out, lines[i])
		}
	}
	return out
}

// jsonText returns the text of a member as it is written.
func jsonText(l, name string) string {
	_, rest, ok := strings.Cut(l, `"`+name+`":"`)
	if !ok {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return rest[:i]
		}
	}
	return ""
}

func linuxLines(n int) []string {
	out := make([]string, n)
	for i := range out {
		program, message := "sshd", fmt.Sprintf("Failed password for invalid user %s from 203.0.%d.%d port %d ssh2", userName(i), i%200, i/7%250, 30000+i%30000)
		switch i % 8 {
		case 1:
			message = fmt.Sprintf("Accepted publickey for %s from 10.1.%d.%d port %d ssh2: ED25519 SHA256:%032x", userName(i), i%200, i/7%250, 30000+i%30000, i*7919)
		case 2:
			program, message = "sudo", fmt.Sprintf("%s : TTY=pts/%d ; PWD=/home/%s ; USER=root ; COMMAND=/usr/bin/systemctl restart app-%d.service", userName(i), i%9, userName(i), i%300)
		case 3:
			program, message = "CRON", fmt.Sprintf("(root) CMD (/usr/local/bin/backup-%d --incremental --target /srv/backup/%d >/dev/null 2>&1)", i%20, i)
		case 4:
			program, message = "systemd", fmt.Sprintf("Started Session %d of User %s.", i, userName(i))
		case 5:
			program, message = "kernel", fmt.Sprintf("[%d.%06d] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=198.51.%d.%d DST=10.0.0.5 LEN=60 TTL=49 ID=%d PROTO=TCP SPT=%d DPT=443 SYN URGP=0", i, i, i%250, i/9%250, i%65536, 1024+i%60000)
		case 6:
			program, message = "app", fmt.Sprintf("request %08x finished in %d ms: tenant=%d status=ok cache=miss bytes=%d", i*2654435761, i%900, i%40, i*13%100000)
		}
		l := fmt.Sprintf(`{"@timestamp":"2026-11-%02dT%02d:%02d:%02d.%03dZ","host":"node-%d","program":"%s","pid":%d,"facility":"auth","message":"%s"`,
			1+i/86400%28, i/3600%24, i/60%60, i%60, i%1000, i%50, program, 900+i%30000, message)
		out[i] = padded(l, i)
	}
	return out
}

func webLines(n int) []string {
	agents := []string{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/129.0 Safari/537.36", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.5.0", "kube-probe/1.31"}
	out := make([]string, n)
	for i := range out {
		l := fmt.Sprintf(`{"time_iso8601":"2026-11-%02dT%02d:%02d:%02d+00:00","remote_addr":"203.0.%d.%d","request":"GET /shop/item/%d?ref=%x HTTP/1.1","status":%d,"body_bytes_sent":%d,"http_user_agent":"%s","http_referer":"https://shop.example.org/list/%d"`,
			1+i/86400%28, i/3600%24, i/60%60, i%60, i%200, i/7%250, i%5000, i*7919, []int{200, 200, 200, 304, 404}[i%5], i*13%100000, agents[i%len(agents)], i%100)
		out[i] = padded(l, i)
	}
	return out
}

func cloudLines(n int) []string {
	calls := [][2]string{{"s3.amazonaws.com", "GetObject"}, {"sts.amazonaws.com", "AssumeRole"}, {"ec2.amazonaws.com", "DescribeInstances"}, {"kms.amazonaws.com", "Decrypt"}, {"logs.amazonaws.com", "PutLogEvents"}}
	out := make([]string, n)
	for i := range out {
		c := calls[i%len(calls)]
		l := fmt.Sprintf(`{"eventTime":"2026-11-%02dT%02d:%02d:%02dZ","eventSource":"%s","eventName":"%s","awsRegion":"eu-west-1","sourceIPAddress":"10.2.%d.%d","userAgent":"aws-sdk-go/1.%d","userIdentity":{"type":"IAMUser","userName":"%s"},"recipientAccountId":"123456789012","eventID":"%08x"`,
			1+i/86400%28, i/3600%24, i/60%60, i%60, c[0], c[1], i%200, i/7%250, i%60, userName(i), i*2654435761)
		out[i] = padded(l, i)
	}
	return out
}

func userName(i int) string {
	return []string{"ann", "bob", "carol", "deploy", "eve", "backup", "grace", "heidi"}[i/3%8] + fmt.Sprint(i%97)
}

// padded ends an object at 300 bytes.
func padded(l string, i int) string {
	const size = 300
	if room := size - len(l) - len(`,"trace":""}`); room > 0 {
		return l + fmt.Sprintf(`,"trace":"%0*x"}`, room, i*40503)
	}
	return l + "}"
}
