package framing

import "testing"

// FuzzFraming gives anything to each framer in turn, which first says.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{
		`{"kind":"EventList","metadata":{},"items":[{"a":1},2],"total":5}{"Records":[{"a":1}]}`,
		"{\"a\":1}\n{\"b\":", `[{"a":1},"x"]`, "[Sun] x\r\n\r\n", "\xff\xfea\x00", `{"a":"\`, "[{\n]",
	} {
		f.Add(uint8(0), []byte(s), uint8(0))
	}
	for _, s := range []string{"<13>a\n", "7 <13>abc<1>x", "5 <13>abc\n", "54 <1 minute\n\x00", "999 <1>", "1 <1", "\xff\xfe"} {
		f.Add(uint8(1), []byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, framer uint8, in []byte, size uint8) {
		switch framer % 2 {
		case 0:
			checkReader(t, in)
		case 1:
			checkSyslog(t, in, int(size))
		}
	})
}
