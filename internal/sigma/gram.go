package sigma

import (
	"bytes"
	"math/bits"
)

// A gramIndex finds which of many literals occur in a value. Each literal stands
// under its rarest four bytes (two for short ones); a bit set of 8 KiB, which
// stays in the first cache, turns nearly all positions away.
type gramIndex struct {
	bits4   [1 << 10]uint64
	bits2   [1 << 10]uint64
	table   []gramSlot
	shift   uint32
	entries []gramEntry
	two     map[uint16][]gramEntry
	one     map[byte][]int32
	has4    bool
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

// A gramModel knows how often grams occur in text that is to be expected.
type gramModel struct {
	four [1 << 16]uint32 // by hash
	two  [1 << 16]uint32
}

func hash4(w uint32) uint32 { return w * 0x9E3779B1 >> 16 }

func gram4(s string, i int) uint32 {
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

func gram2(s string, i int) uint16 { return uint16(s[i]) | uint16(s[i+1])<<8 }

func (m *gramModel) add(s string) {
	for i := 0; i+4 <= len(s); i++ {
		m.four[hash4(gram4(s, i))]++
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
	g := &gramIndex{two: map[uint16][]gramEntry{}, one: map[byte][]int32{}}
	byGram := map[uint32][]gramEntry{}
	var order []uint32
	for k, l := range literals {
		switch {
		case len(l) >= 4:
			best := 0
			for i := 1; i+4 <= len(l); i++ {
				if model.four[hash4(gram4(l, i))] < model.four[hash4(gram4(l, best))] {
					best = i
				}
			}
			w := gram4(l, best)
			if byGram[w] == nil {
				order = append(order, w)
			}
			byGram[w] = append(byGram[w], gramEntry{l, int32(best), ids[k]})
			h := hash4(w)
			g.bits4[h>>6] |= 1 << (h & 63)
			g.has4 = true
		case len(l) >= 2:
			best := 0
			if len(l) == 3 && model.two[gram2(l, 1)] < model.two[gram2(l, 0)] {
				best = 1
			}
			w := gram2(l, best)
			g.two[w] = append(g.two[w], gramEntry{l, int32(best), ids[k]})
			g.bits2[w>>6] |= 1 << (w & 63)
		default:
			g.one[l[0]] = append(g.one[l[0]], ids[k])
		}
	}
	size := 1 << bits.Len(uint(len(byGram)*2+1))
	g.shift = uint32(33 - bits.Len(uint(size)))
	g.table = make([]gramSlot, size)
	for _, w := range order {
		i := g.slot(w)
		for g.table[i].hi != 0 {
			i = (i + 1) & uint32(size-1)
		}
		g.table[i] = gramSlot{w, int32(len(g.entries)), int32(len(g.entries) + len(byGram[w]))}
		g.entries = append(g.entries, byGram[w]...)
	}
	return g
}

func (g *gramIndex) slot(w uint32) uint32 { return w * 0x85EBCA6B >> g.shift }

// scan appends the ids of the literals that occur in v, some of them repeatedly.
func (g *gramIndex) scan(v []byte, dst []int32) []int32 {
	if g.has4 && len(v) >= 4 {
		w := uint32(v[0])<<8 | uint32(v[1])<<16 | uint32(v[2])<<24
		for i, c := range v[3:] {
			w = w>>8 | uint32(c)<<24
			if h := hash4(w); g.bits4[h>>6]>>(h&63)&1 != 0 {
				dst = g.hit(v, i, w, dst)
			}
		}
	}
	if len(g.two) > 0 && len(v) >= 2 {
		w := uint16(v[0]) << 8
		for i, c := range v[1:] {
			w = w>>8 | uint16(c)<<8
			if g.bits2[w>>6]>>(w&63)&1 != 0 {
				dst = verify(g.two[w], v, i, dst)
			}
		}
	}
	for c, ids := range g.one {
		if bytes.IndexByte(v, c) >= 0 {
			dst = append(dst, ids...)
		}
	}
	return dst
}

func (g *gramIndex) hit(v []byte, i int, w uint32, dst []int32) []int32 {
	mask := uint32(len(g.table) - 1)
	for j := g.slot(w); g.table[j].hi != 0; j = (j + 1) & mask {
		if s := &g.table[j]; s.gram == w {
			return verify(g.entries[s.lo:s.hi], v, i, dst)
		}
	}
	return dst
}

// verify appends the ids of the entries whose literal really stands in v, its
// gram being at i.
func verify(entries []gramEntry, v []byte, i int, dst []int32) []int32 {
	for k := range entries {
		e := &entries[k]
		start := i - int(e.offset)
		if start >= 0 && start+len(e.literal) <= len(v) && string(v[start:start+len(e.literal)]) == e.literal {
			dst = append(dst, e.id)
		}
	}
	return dst
}
