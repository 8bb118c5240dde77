package sigma

import (
	"maps"
	"math/bits"
	"strings"
	"sync"
)

// Names numbers field names.
type Names struct {
	ids    map[string]int32
	freeze sync.Once
	table  []numberedName // by hash, then onwards to an empty slot
	mask   uint64
}

type numberedName struct {
	name string
	id   int32 // -1: empty
}

// NewNames returns an empty set of names.
func NewNames() *Names { return &Names{ids: map[string]int32{}} }

// Add numbers name, if it is new, and returns its number. Once names are looked
// up, none may be added.
func (n *Names) Add(name string) int32 {
	id, ok := n.ids[name]
	if !ok {
		id = int32(len(n.ids))
		n.ids[strings.Clone(name)] = id
	}
	return id
}

// copy returns names that have the same numbers.
func (n *Names) copy() *Names { return &Names{ids: maps.Clone(n.ids)} }

// ready builds the table for look-ups.
func (n *Names) ready() {
	n.freeze.Do(func() {
		size := 1 << bits.Len(uint(4*len(n.ids)))
		n.mask = uint64(size - 1)
		n.table = make([]numberedName, size)
		for i := range n.table {
			n.table[i].id = -1
		}
		for name, id := range n.ids {
			i := nameHash(name) & n.mask
			for n.table[i].id >= 0 {
				i = (i + 1) & n.mask
			}
			n.table[i] = numberedName{name, id}
		}
	})
}

// number returns the number of name, or -1.
func (n *Names) number(name string) int32 {
	for i := nameHash(name) & n.mask; ; i = (i + 1) & n.mask {
		if x := &n.table[i]; x.id < 0 || x.name == name {
			return x.id
		}
	}
}

// nameHash mixes length, beginning and end: names of fields differ there. The
// table holds only names that rules ask for, so that no sender can fill it with
// names that collide.
func nameHash(s string) uint64 {
	n := len(s)
	var h uint64
	switch {
	case n >= 8:
		h = load64(s, 0) ^ bits.RotateLeft64(load64(s, n-8), 29)
		if n > 16 {
			h ^= bits.RotateLeft64(load64(s, n/2-4), 47)
		}
	case n >= 4:
		h = uint64(load32(s, 0)) | uint64(load32(s, n-4))<<32
	case n > 0:
		h = uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16
	}
	h = (h ^ uint64(n)) * 0x9E3779B97F4A7C15
	return h ^ h>>29
}

func load64(s string, i int) uint64 {
	_ = s[i+7]
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

func load32(s string, i int) uint32 {
	_ = s[i+3]
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}
