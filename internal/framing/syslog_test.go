package framing

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// cutStream feeds in to a Syslog, at most size bytes at a time.
func cutStream(in []byte, size int) (messages []string, s *Syslog) {
	s = new(Syslog)
	drain := func() {
		for {
			m, cut, ok := s.Next()
			if !ok {
				return
			}
			text := string(m)
			if cut {
				text = fmt.Sprintf("cut:%d", len(text))
			}
			messages = append(messages, text)
		}
	}
	for len(in) > 0 {
		space := s.Space()
		n := copy(space[:min(size, len(space))], in)
		s.Filled(n)
		in = in[n:]
		drain()
	}
	s.Close()
	drain()
	return messages, s
}

func count(m string) string { return fmt.Sprintf("%d %s", len(m), m) }

func TestSyslog(t *testing.T) {
	long := strings.Repeat("x", MaxRecord)
	const m1, m2 = "<86>1 2026-11-23T08:16:36Z vm sshd 42 - - one", "<13>Nov 23 08:18:41 vm sshd: two"
	for name, tt := range map[string]struct {
		in      string
		want    []string
		resyncs int64
	}{
		"nothing":              {"", nil, 0},
		"lines":                {m1 + "\n" + m2 + "\r\n" + m1 + "\x00", []string{m1, m2, m1}, 0},
		"no last line end":     {m1 + "\n" + m2, []string{m1, m2}, 0},
		"empty lines":          {"\n\r\n\x00" + m1 + "\n\n", []string{m1}, 0},
		"returns are trimmed":  {m1 + "\r\r\n", []string{m1}, 0},
		"counted":              {count(m1) + count(m2), []string{m1, m2}, 0},
		"count with line end":  {count(m1+"\n") + count(m2+"\r\n") + count(m1+"\x00"), []string{m1, m2, m1}, 0},
		"line end after count": {count(m1) + "\n" + count(m2) + "\r\n", []string{m1, m2}, 0},
		"counted with lines":   {count(m1+"\n"+m2) + count(m2), []string{m1 + "\n" + m2, m2}, 0},
		"mixed":                {count(m1) + m2 + "\n" + count(m2+"\n") + m1 + "\x00" + count(m1) + m2, []string{m1, m2, m2, m1, m1, m2}, 0},
		"counted, then no priority": {
			count(m1) + "Nov 23 08:18:41 vm x: y\n" + count(m2) + "2026-11-23T08:18:41Z vm x: y\n" + count(m2) + "{\"a\":1}\n",
			[]string{m1, "Nov 23 08:18:41 vm x: y", m2, "2026-11-23T08:18:41Z vm x: y", m2, `{"a":1}`},
			0,
		},

		"a number is no count":      {"54 <1 minute elapsed\n" + m1 + "\n", []string{"54 <1 minute elapsed", m1}, 0},
		"number and text":           {"12 apples\n7\n0 <13>x\n012 <13>x\n1234567890 <13>x\n3 <1234>x\n4 <>x\n", []string{"12 apples", "7", "0 <13>x", "012 <13>x", "1234567890 <13>x", "3 <1234>x", "4 <>x"}, 0},
		"a number at the end":       {"172", []string{"172"}, 0},
		"half a count at the end":   {"172 <8", []string{"172 <8"}, 0},
		"impossible counts":         {"999999999 <13>x\n2 <13>y\n" + m1 + "\n", []string{"999999999 <13>x", "2 <13>y", m1}, 0},
		"count too large, at end":   {"500 " + m1 + "\n" + m2 + "\n", []string{m1, m2}, 1},
		"count too large":           {"60 " + m1 + "\n" + m2 + "\n" + m1 + "\n", []string{m1, m2, m1}, 1},
		"count too small":           {"30 " + m1 + "\n" + count(m2), []string{m1, m2}, 1},
		"counts in characters":      {"9 <13>zürich" + "9 <13>zürich" + "9 <13>zürich" + count(m1), []string{"<13>zürich", "<13>zürich", "<13>zürich", m1}, 3},
		"count too large, counted":  {"58 " + m1 + count(m2) + count(m1), []string{m1, m2, m1}, 1},
		"no forging inside a count": {count("<13>x\n<13>forged\n14 <13>forged too") + count(m1), []string{"<13>x\n<13>forged\n14 <13>forged too", m1}, 0},

		"Latin-1 and control":   {"<13>caf\xe9 #012 \x01\n", []string{"<13>caf\xe9 #012 \x01"}, 0},
		"binary":                {"\x16\x03\x01\x02\x00\x01\xfc\x03\n\xff", []string{"\x16\x03\x01\x02", "\x01\xfc\x03", "\xff"}, 0},
		"line over the limit":   {m1 + "\n" + long + "yz\n" + m2, []string{m1, fmt.Sprint("cut:", MaxRecord), m2}, 0},
		"line at the limit":     {long + "\r\n" + m2, []string{long, m2}, 0},
		"ten times the limit":   {strings.Repeat(long, 10) + "\x00" + m2 + "\n", []string{fmt.Sprint("cut:", MaxRecord), m2}, 0},
		"never a line end":      {strings.Repeat(long, 3), []string{fmt.Sprint("cut:", MaxRecord)}, 0},
		"count over the limit":  {count("<13>"+long) + count(m2), []string{fmt.Sprint("cut:", MaxRecord), m2}, 0},
		"large count is a lie":  {"9000000 " + m1 + "\n" + strings.Repeat(m2+"\n", 40_000), append([]string{m1}, repeat(m2, 40_000)...), 1},
		"large count cut short": {"9000000 <13>" + long, []string{fmt.Sprint("cut:", MaxRecord)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sizes := []int{1 << 20, 1000, 7, 3, 2, 1}
			if len(tt.in) > 10_000 {
				sizes = []int{1 << 20, 4096}
			}
			for _, size := range sizes {
				// A wrong count that is too small is seen only with what follows it.
				if tt.resyncs > 0 && size < 100 {
					continue
				}
				got, s := cutStream([]byte(tt.in), size)
				if diff := cmp.Diff(tt.want, got); diff != "" || s.Resyncs() != tt.resyncs {
					t.Errorf("%.200q, %d bytes at a time: %d resyncs (-want +got)\n%s", tt.in, size, s.Resyncs(), diff)
				}
				if cap(s.buf) > 4*MaxRecord {
					t.Errorf("holds %d bytes", cap(s.buf))
				}
			}
		})
	}
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// Any stream, cut in two at any place, gives the same messages.
func TestSyslogSplitAnywhere(t *testing.T) {
	in := "<13>a b\r\n9 <13>hello<14>line\n54 <1 minute elapsed\n12 <13>count\n7\x0015 <86>last\nline 1<7>no count\n"
	want, _ := cutStream([]byte(in), len(in))
	for i := range len(in) {
		var s Syslog
		var got []string
		for _, part := range []string{in[:i], in[i:]} {
			s.Filled(copy(s.Space(), part))
			for m, _, ok := s.Next(); ok; m, _, ok = s.Next() {
				got = append(got, string(m))
			}
		}
		s.Close()
		for m, _, ok := s.Next(); ok; m, _, ok = s.Next() {
			got = append(got, string(m))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("cut at %d, %q|%q: (-want +got)\n%s", i, in[:i], in[i:], diff)
		}
	}
}

func TestSyslogSplitsWhatIsJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in bytes.Buffer
		var want []string
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			body := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body")
			message := fmt.Sprintf("<%d>%s.", rapid.IntRange(0, 191).Draw(t, "priority"), body)
			framing := rapid.SampledFrom([]string{"\n", "\r\n", "\x00", "count", "count\n"}).Draw(t, "framing")
			switch framing {
			case "count":
				in.WriteString(count(message))
			case "count\n":
				in.WriteString(count(message + "\n"))
			default:
				message = strings.Map(func(r rune) rune {
					if r == '\n' || r == 0 {
						return '_'
					}
					return r
				}, message)
				in.WriteString(message + framing)
			}
			want = append(want, message)
		}
		size := rapid.IntRange(1, 100).Draw(t, "size")
		got, s := cutStream(in.Bytes(), size)
		if diff := cmp.Diff(want, got); diff != "" || s.Resyncs() != 0 {
			t.Fatalf("%q: %d resyncs (-want +got)\n%s", in.Bytes(), s.Resyncs(), diff)
		}
	})
}

// Whatever comes, every byte is in a message, in a prefix, or a line end, and
// messages keep their order.
func checkSyslog(t *testing.T, in []byte, size int) {
	t.Helper()
	size = max(size&0xff, 1)
	messages, _ := cutStream(in, size)
	rest := in
	for _, m := range messages {
		i := bytes.Index(rest, []byte(m))
		if i < 0 {
			t.Fatalf("%q at %d: %q is not in what is left: %q", in, size, m, rest)
		}
		if between := bytes.Trim(rest[:i], "\r\n\x00 0123456789"); len(between) > 0 {
			t.Fatalf("%q at %d: %q is lost", in, size, between)
		}
		rest = rest[i+len(m):]
	}
	if lost := bytes.Trim(rest, "\r\n\x00"); len(lost) > 0 {
		t.Fatalf("%q at %d: %q at the end is lost", in, size, lost)
	}
}

func BenchmarkSyslog(b *testing.B) {
	const m = "<86>Nov 23 08:16:36 vm sshd[42]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"
	for name, unit := range map[string]string{"lines": m + "\n", "counted": count(m)} {
		b.Run(name, func(b *testing.B) {
			in := bytes.Repeat([]byte(unit), 10_000)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				var s Syslog
				n := 0
				for rest := in; len(rest) > 0; {
					k := copy(s.Space(), rest)
					s.Filled(k)
					rest = rest[k:]
					for _, _, ok := s.Next(); ok; _, _, ok = s.Next() {
						n++
					}
				}
				if n < 9_999 {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "records/s")
		})
	}
}
