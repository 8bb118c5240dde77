package font

import (
	"encoding/binary"
	"testing"
	"unicode"
)

// glyphs reads the characters that a TrueType file maps to glyphs: the subtable of format 4
// in its table cmap (OpenType specification, "cmap").
func glyphs(t *testing.T, file []byte) map[rune]bool {
	t.Helper()
	be := binary.BigEndian
	for i := range int(be.Uint16(file[4:])) {
		entry := file[12+16*i:]
		if string(entry[:4]) != "cmap" {
			continue
		}
		cmap := file[be.Uint32(entry[8:]):]
		for j := range int(be.Uint16(cmap[2:])) {
			sub := cmap[be.Uint32(cmap[4+8*j+4:]):]
			if be.Uint16(sub) == 4 {
				return segments(sub)
			}
		}
	}
	t.Fatal("the file has no table of characters in format 4")
	return nil
}

func segments(sub []byte) map[rune]bool {
	be := binary.BigEndian
	n := int(be.Uint16(sub[6:])) // twice the number of segments
	out := map[rune]bool{}
	for s := 0; s < n; s += 2 {
		end, start := be.Uint16(sub[14+s:]), be.Uint16(sub[16+n+s:])
		delta, at := be.Uint16(sub[16+2*n+s:]), 16+3*n+s
		for c := uint32(start); c <= uint32(end) && c != 0xffff; c++ {
			glyph := uint16(c) + delta //nolint:gosec // of the format: modulo 65536
			if offset := be.Uint16(sub[at:]); offset != 0 {
				if glyph = be.Uint16(sub[at+int(offset)+2*int(c-uint32(start)):]); glyph != 0 {
					glyph += delta
				}
			}
			if glyph != 0 {
				out[rune(c)] = true
			}
		}
	}
	return out
}

// The table must hold what both files have: Fit would let through what nothing can show, or
// replace what could be shown.
func TestCoveredIsWhatTheFilesHold(t *testing.T) {
	regular, bold := glyphs(t, Regular), glyphs(t, Bold)
	if len(regular) < 11_172 {
		t.Fatalf("%d characters in the regular weight", len(regular))
	}
	for c := rune(0x20); c < 0xffff; c++ {
		if both := regular[c] && bold[c]; both != unicode.Is(covered, c) {
			t.Errorf("U+%04X: in the files %v, in the table %v", c, both, !both)
		}
	}
}

func TestFit(t *testing.T) {
	for in, want := range map[string]string{
		"접근 통제 Access": "접근 통제 Access", "a\nb\tc": "a\nb c", "漢字": "□□", "ễ": "e", "x\u202ey\u200b": "xy", "e\u0301": "é",
	} {
		if got := Fit(in); got != want {
			t.Errorf("Fit(%q) = %q, want %q", in, got, want)
		}
	}
}
