package framing

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func BenchmarkReader(b *testing.B) {
	const object = `{"@timestamp":"2026-11-23T08:16:36.084516+00:00","host":"vm","program":"sshd","message":"Failed password for invalid user \"web\" from 173.234.31.186 port 38926 ssh2","pid":42,"tags":["a","b"],"meta":{"src_ip":"173.234.31.186","ok":false}}`
	const text = "Nov 23 08:16:36 vm sshd[42]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"
	for _, form := range []struct{ name, open, unit, end string }{
		{"ndjson", "", object + "\n", ""}, {"array", "[", object + ",\n", "]"}, {"text", "", text + "\n", ""},
	} {
		b.Run(form.name, func(b *testing.B) {
			const n = 10_000
			in := append([]byte(form.open), bytes.Repeat([]byte(form.unit), n)...)
			in = append(in, form.end...)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(bytes.NewReader(in))
				got := 0
				for {
					_, err := r.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					got++
				}
				if got != n {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
		})
	}
}
