package sigma

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// A gramIndex finds which of many literals occur in a value. Each literal stands
// under its rarest four bytes (two for short ones); a set of bits, small enough
// for the first cache, turns nearly all positions away. Where every literal is
// long enough, it stands under several neighbouring grams, one of which any
// occurrence has at a position that is a multiple of their number: only those
// positions are looked at.
type gramIndex struct {
	stride  int // 1, 2 or 4; 0: no literal of four bytes or more
	four    gramTable
	two     gramTable
	few     []shortLiteral // instead of two where they are few
	signs   bool           // they have no letters: folding does not matter to them
	entries []gramEntry
	ascii   bool // every literal is ASCII
	quick   *quickSet
	last    int32 // the highest id
}

// A gramTable leads from grams to entries.
type gramTable struct {
	bits  []uint64
	shift uint32 // of a 32-bit hash: leaves the number of a bit
	slots []gramSlot
	slot  uint32 // shift that leaves the number of a slot
}

type gramSlot struct {
	gram   uint32
	lo, hi int32 // entries; hi 0 means an empty slot
}

type gramEntry struct {
	literal string
	offset  int32 // of the gram in the literal
	id      int32
}

// A shortLiteral is one of less than four bytes.
type shortLiteral struct {
	text string
	id   int32
}

// maxFew is how many short literals are looked for one by one.
const maxFew = 6

// A gramModel knows how often grams occur in text that is to be expected.
type gramModel struct {
	four [1 << 16]uint32 // by hash
	two  [1 << 16]uint32
}

const gramFactor = 0x9E3779B1

func hash4(w uint32) uint32 { return w * gramFactor >> 16 }

func gram2(s string, i int) uint32 { return uint32(s[i]) | uint32(s[i+1])<<8 }

func (m *gramModel) add(s string) {
	for i := 0; i+4 <= len(s); i++ {
		m.four[hash4(load32(s, i))]++
	}
	for i := 0; i+2 <= len(s); i++ {
		m.two[gram2(s, i)]++
	}
}

// newGramIndex returns nil for no literals. No literal is empty.
func newGramIndex(literals []string, ids []int32, model *gramModel) *gramIndex {
	if len(literals) == 0 {
		return nil
	}
	g := &gramIndex{ascii: true, signs: true}
	shortest, short := 0, 0
	for i, l := range literals {
		switch {
		case len(l) < 4:
			short++
		case shortest == 0 || len(l) < shortest:
			shortest = len(l)
		}
		g.ascii = g.ascii && asciiOnly(l)
		g.last = max(g.last, ids[i])
	}
	switch {
	case shortest >= 7:
		g.stride = 4
	case shortest >= 5:
		g.stride = 2
	case shortest > 0:
		g.stride = 1
	}
	four, two := gramBuilder{}, gramBuilder{}
	for k, l := range literals {
		switch {
		case len(l) >= 4:
			best, least := 0, ^uint64(0)
			for i := 0; i+3+g.stride <= len(l); i++ {
				n := uint64(0)
				for j := i; j < i+g.stride; j++ {
					w := load32(l, j)
					// A gram that many literals stand under costs at each occurrence.
					n += uint64(model.four[hash4(w)]) + 4*uint64(len(four.under[w]))
				}
				if n < least {
					best, least = i, n
				}
			}
			for j := best; j < best+g.stride; j++ {
				four.add(load32(l, j), gramEntry{l, int32(j), ids[k]})
			}
		case short <= maxFew || len(l) == 1:
			g.few = append(g.few, shortLiteral{l, ids[k]})
			g.signs = g.signs && signsOnly(l)
		default:
			best := 0
			if len(l) == 3 && model.two[gram2(l, 1)] < model.two[gram2(l, 0)] {
				best = 1
			}
			two.add(gram2(l, best), gramEntry{l, int32(best), ids[k]})
		}
	}
	g.four = four.build(g)
	g.two = two.build(g)
	return g
}

func asciiOnly(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// signsOnly tells that s is ASCII without letters.
func signsOnly(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; s[i] >= utf8.RuneSelf || 'a' <= c && c <= 'z' {
			return false
		}
	}
	return true
}

// A gramBuilder gathers what stands under each gram, in order.
type gramBuilder struct {
	under map[uint32][]gramEntry
	order []uint32
}

func (b *gramBuilder) add(gram uint32, e gramEntry) {
	if b.under == nil {
		b.under = map[uint32][]gramEntry{}
	}
	if len(b.under[gram]) == 0 {
		b.order = append(b.order, gram)
	}
	b.under[gram] = append(b.under[gram], e)
}

func (b *gramBuilder) build(g *gramIndex) gramTable {
	if len(b.order) == 0 {
		return gramTable{}
	}
	n := uint(len(b.order))
	bitLog := min(max(bits.Len(32*n), 8), 16)
	slotLog := bits.Len(2 * n)
	t := gramTable{
		bits:  make([]uint64, 1<<(bitLog-6)),
		shift: uint32(32 - bitLog),
		slots: make([]gramSlot, 1<<slotLog),
		slot:  uint32(32 - slotLog),
	}
	for _, w := range b.order {
		h := w * gramFactor >> t.shift
		t.bits[h>>6] |= 1 << (h & 63)
		i := t.first(w)
		for t.slots[i].hi != 0 {
			i = (i + 1) & uint32(len(t.slots)-1)
		}
		lo := len(g.entries)
		g.entries = append(g.entries, b.under[w]...)
		t.slots[i] = gramSlot{w, int32(lo), int32(len(g.entries))}
	}
	return t
}

// has tells whether something stands under w.
func (t *gramTable) has(w uint32) bool {
	h := w * gramFactor >> t.shift
	if t.bits[h>>6]>>(h&63)&1 == 0 {
		return false
	}
	for j := t.first(w); t.slots[j].hi != 0; j = (j + 1) & uint32(len(t.slots)-1) {
		if t.slots[j].gram == w {
			return true
		}
	}
	return false
}

func (t *gramTable) first(w uint32) uint32 { return w * 0x85EBCA6B >> t.slot }

// A scanned is what a scan found: the ids of the literals that occur, some of them
// repeatedly, and how many steps it took beyond the bytes.
type scanned struct {
	ids   []int32
	steps int
	seen  []uint64 // bits by id, while a gram index scans
}

// scan adds the literals that occur in v to out.
func (g *gramIndex) scan(v []byte, out *scanned) {
	if n := int(g.last)/64 + 1; n > len(out.seen) {
		out.seen = append(out.seen, make([]uint64, n-len(out.seen))...)
	}
	first := len(out.ids)
	g.scanGrams(v, out)
	for _, id := range out.ids[first:] {
		out.seen[id>>6] = 0
	}
	for i := range g.few {
		if bytes.Contains(v, []byte(g.few[i].text)) {
			out.ids = append(out.ids, g.few[i].id)
		}
	}
}

func (g *gramIndex) scanGrams(v []byte, out *scanned) {
	if len(v) >= 4 {
		switch g.stride {
		case 1:
			g.scan1(v, out)
		case 2:
			g.scan2(v, out)
		case 4:
			g.scan4(v, out)
		}
	}
	if len(g.two.bits) > 0 && len(v) >= 2 {
		t := &g.two
		set, shift, mask := t.bits, t.shift, uint32(len(t.bits)-1)
		w := uint32(v[0]) << 8
		for i, c := range v[1:] {
			w = w>>8 | uint32(c)<<8
			if h := w * gramFactor >> shift; set[h>>6&mask]>>(h&63)&1 != 0 {
				g.hit(t, v, i, w, out)
			}
		}
	}
}

// scan1 looks at every position.
func (g *gramIndex) scan1(v []byte, out *scanned) {
	t := &g.four
	set, shift, mask := t.bits, t.shift, uint32(len(t.bits)-1)
	i := 0
	for ; i+8 <= len(v); i += 4 {
		w := binary.LittleEndian.Uint64(v[i:])
		w0, w1, w2, w3 := uint32(w), uint32(w>>8), uint32(w>>16), uint32(w>>24)
		h0, h1, h2, h3 := w0*gramFactor>>shift, w1*gramFactor>>shift, w2*gramFactor>>shift, w3*gramFactor>>shift
		b0 := set[h0>>6&mask] >> (h0 & 63)
		b1 := set[h1>>6&mask] >> (h1 & 63)
		b2 := set[h2>>6&mask] >> (h2 & 63)
		b3 := set[h3>>6&mask] >> (h3 & 63)
		if (b0|b1|b2|b3)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			g.hit(t, v, i, w0, out)
		}
		if b1&1 != 0 {
			g.hit(t, v, i+1, w1, out)
		}
		if b2&1 != 0 {
			g.hit(t, v, i+2, w2, out)
		}
		if b3&1 != 0 {
			g.hit(t, v, i+3, w3, out)
		}
	}
	for ; i+4 <= len(v); i++ {
		w := binary.LittleEndian.Uint32(v[i:])
		if h := w * gramFactor >> shift; set[h>>6&mask]>>(h&63)&1 != 0 {
			g.hit(t, v, i, w, out)
		}
	}
}

// scan2 looks at every second position.
func (g *gramIndex) scan2(v []byte, out *scanned) {
	t := &g.four
	set, shift, mask := t.bits, t.shift, uint32(len(t.bits)-1)
	i := 0
	for ; i+8 <= len(v); i += 4 {
		w := binary.LittleEndian.Uint64(v[i:])
		w0, w2 := uint32(w), uint32(w>>16)
		h0, h2 := w0*gramFactor>>shift, w2*gramFactor>>shift
		b0 := set[h0>>6&mask] >> (h0 & 63)
		b2 := set[h2>>6&mask] >> (h2 & 63)
		if (b0|b2)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			g.hit(t, v, i, w0, out)
		}
		if b2&1 != 0 {
			g.hit(t, v, i+2, w2, out)
		}
	}
	for ; i+4 <= len(v); i += 2 {
		w := binary.LittleEndian.Uint32(v[i:])
		if h := w * gramFactor >> shift; set[h>>6&mask]>>(h&63)&1 != 0 {
			g.hit(t, v, i, w, out)
		}
	}
}

// scan4 looks at every fourth position.
func (g *gramIndex) scan4(v []byte, out *scanned) {
	t := &g.four
	set, shift, mask := t.bits, t.shift, uint32(len(t.bits)-1)
	i := 0
	for ; i+8 <= len(v); i += 8 {
		w := binary.LittleEndian.Uint64(v[i:])
		w0, w4 := uint32(w), uint32(w>>32)
		h0, h4 := w0*gramFactor>>shift, w4*gramFactor>>shift
		b0 := set[h0>>6&mask] >> (h0 & 63)
		b4 := set[h4>>6&mask] >> (h4 & 63)
		if (b0|b4)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			g.hit(t, v, i, w0, out)
		}
		if b4&1 != 0 {
			g.hit(t, v, i+4, w4, out)
		}
	}
	if i+4 <= len(v) {
		w := binary.LittleEndian.Uint32(v[i:])
		if h := w * gramFactor >> shift; set[h>>6&mask]>>(h&63)&1 != 0 {
			g.hit(t, v, i, w, out)
		}
	}
}

// hit adds the literals that really stand in v with their gram w at i.
func (g *gramIndex) hit(t *gramTable, v []byte, i int, w uint32, out *scanned) {
	mask := uint32(len(t.slots) - 1)
	for j := t.first(w); t.slots[j].hi != 0; j = (j + 1) & mask {
		s := &t.slots[j]
		if s.gram != w {
			continue
		}
		out.steps += int(s.hi - s.lo)
		for k := s.lo; k < s.hi; k++ {
			e := &g.entries[k]
			seen := &out.seen[e.id>>6]
			if *seen>>(e.id&63)&1 != 0 {
				continue
			}
			start := i - int(e.offset)
			if start >= 0 && start+len(e.literal) <= len(v) && string(v[start:start+len(e.literal)]) == e.literal {
				*seen |= 1 << (e.id & 63)
				out.ids = append(out.ids, e.id)
			}
		}
		return
	}
}
