package sigma

import "strings"

// A quickSet tells for grams in any case whether they may be known: for text that is
// not folded.
type quickSet [1 << quickLog]uint8

const (
	quickLog = 14
	anyCase  = 0x2020202020202020 // upper case and lower case are the same with it
)

// at returns what is not 0 if the four bytes, to which anyCase was added, may be
// known.
func (q *quickSet) at(w uint32) uint8 { return q[w*gramFactor>>(32-quickLog)] }

// prepareAbsent makes absent answer, where it can.
func (g *gramIndex) prepareAbsent() {
	if g.stride == 0 || !g.signs || len(g.two.bits) > 0 {
		return
	}
	g.quick = &quickSet{}
	for i := range g.four.slots {
		if s := &g.four.slots[i]; s.hi != 0 {
			g.quick[(s.gram|anyCase&0xffffffff)*gramFactor>>(32-quickLog)] = 1
		}
	}
}

// absent tells that no literal occurs in v, which is not folded yet; false means
// that it is not known. Where all literals are ASCII, what is not ASCII in v matters
// only if it folds to ASCII: see plainWord.
func (g *gramIndex) absent(v string) bool {
	q := g.quick
	if q == nil || len(v) < 8 {
		return false
	}
	for i := range g.few {
		if strings.Contains(v, g.few[i].text) {
			return false
		}
	}
	tail := load64(v, len(v)-8)
	if tail&highBits != 0 && !g.plain(tail) {
		return false
	}
	i := 0
	switch g.stride {
	case 1:
		for ; i+8 <= len(v); i += 4 {
			w := load64(v, i)
			if w&highBits != 0 && !g.plain(w) {
				return false
			}
			x := w | anyCase
			if q.at(uint32(x))|q.at(uint32(x>>8))|q.at(uint32(x>>16))|q.at(uint32(x>>24)) != 0 && g.known(w, 4, 8) {
				return false
			}
		}
	case 2:
		for ; i+8 <= len(v); i += 4 {
			w := load64(v, i)
			if w&highBits != 0 && !g.plain(w) {
				return false
			}
			x := w | anyCase
			if q.at(uint32(x))|q.at(uint32(x>>16)) != 0 && g.known(w, 2, 16) {
				return false
			}
		}
	default:
		for ; i+16 <= len(v); i += 16 {
			w, w8 := load64(v, i), load64(v, i+8)
			if (w|w8)&highBits != 0 && (!g.plain(w) || !g.plain(w8)) {
				return false
			}
			x, x8 := w|anyCase, w8|anyCase
			if q.at(uint32(x))|q.at(uint32(x>>32))|q.at(uint32(x8))|q.at(uint32(x8>>32)) != 0 &&
				(g.known(w, 2, 32) || g.known(w8, 2, 32)) {
				return false
			}
		}
		if i+8 <= len(v) {
			w := load64(v, i)
			if w&highBits != 0 && !g.plain(w) || g.known(w, 2, 32) {
				return false
			}
			i += 8
		}
	}
	left := len(v) - i // less than eight
	return left < 4 || !g.known(tail>>(8*(8-left)), left-3, 8)
}

// known tells whether one of n grams is known that stand in w, which is not folded,
// so many bits apart.
func (g *gramIndex) known(w uint64, n, apart int) bool {
	w = foldWord(w)
	for range n {
		if g.four.has(uint32(w)) {
			return true
		}
		w >>= apart
	}
	return false
}

// plain tells that what is not ASCII among eight bytes of a value makes no literal.
func (g *gramIndex) plain(w uint64) bool { return g.ascii && plainWord(w) }

// plainWord tells that none of eight bytes begins one of the two runes that are not
// ASCII and fold to ASCII: the Kelvin sign (0xe2…) and the dotted capital I (0xc4…).
func plainWord(w uint64) bool {
	kelvin, dotted := w^0xe2*ones, w^0xc4*ones
	return ((kelvin-ones)&^kelvin|(dotted-ones)&^dotted)&highBits == 0
}
