package source

import "testing"

// FuzzSource gives anything to what cuts files into records, and to the reader of a
// source's settings, in turn, which first says.
func FuzzSource(f *testing.F) {
	f.Add(uint8(0), []byte("a\nb\r\n\nc"), uint8(3), true)
	f.Add(uint8(1), []byte("a\nb\r\n\n안😀c"), uint8(3), true)
	f.Add(uint8(2), []byte("source: {type: file, paths: [/a], multiline: {start: '^x', timeout: 1s}}"), uint8(0), false)
	f.Add(uint8(2), []byte("source:\n  type: syslog\n  tcp: 127.0.0.1:1\n  drop: [{contains: a}]\n"), uint8(0), false)
	f.Add(uint8(2), []byte("source: {type: exec, command: [a], mask: [{patterns: [email]}]}"), uint8(0), false)
	f.Fuzz(func(t *testing.T, what uint8, in []byte, step uint8, flag bool) {
		switch what % 3 {
		case 0:
			checkCutter(t, in, step, flag)
		case 1:
			checkWide(t, string(in), step, flag)
		case 2:
			checkParse(t, string(in))
		}
	})
}
