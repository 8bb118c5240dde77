package sigma

import (
	"net/netip"
	"slices"
)

// An atom is the smallest thing that the index finds by itself: a folded literal
// at some place of a field's value, a network, or that the field is there.
type atom struct {
	field   int32 // -1: any value of the event
	kind    op    // opEqual, opPrefix, opSuffix, opContains, opCIDR or opPresent
	literal string
	net     netip.Prefix
}

// A fieldIndex finds the atoms of one field.
type fieldIndex struct {
	equal          map[string][]int32
	longest        int // of the keys of equal
	prefix, suffix *trie
	contains       *gramIndex
	networks       *networkIndex
	present        []int32
}

// buildIndexes returns the index of each field and that of keywords.
func buildIndexes(atoms []atom, fields int, model *gramModel) ([]*fieldIndex, *gramIndex) {
	type lists struct{ prefix, suffix, contains, networks []int32 }
	out := make([]*fieldIndex, fields)
	sorted := make([]lists, fields)
	var keywords []int32
	for id, a := range atoms {
		if a.field < 0 {
			keywords = append(keywords, int32(id))
			continue
		}
		x := out[a.field]
		if x == nil {
			x = &fieldIndex{equal: map[string][]int32{}}
			out[a.field] = x
		}
		l := &sorted[a.field]
		switch a.kind {
		case opEqual:
			x.equal[a.literal] = append(x.equal[a.literal], int32(id))
			x.longest = max(x.longest, len(a.literal))
		case opPrefix:
			l.prefix = append(l.prefix, int32(id))
		case opSuffix:
			l.suffix = append(l.suffix, int32(id))
		case opContains:
			l.contains = append(l.contains, int32(id))
		case opCIDR:
			l.networks = append(l.networks, int32(id))
		default:
			x.present = append(x.present, int32(id))
		}
	}
	grams := func(ids []int32) *gramIndex {
		literals := make([]string, len(ids))
		for i, id := range ids {
			literals[i] = atoms[id].literal
		}
		return newGramIndex(literals, ids, model)
	}
	for f, x := range out {
		if x == nil {
			continue
		}
		l := &sorted[f]
		x.prefix = newTrie(atoms, l.prefix, false)
		x.suffix = newTrie(atoms, l.suffix, true)
		x.contains = grams(l.contains)
		x.networks = newNetworkIndex(atoms, l.networks)
	}
	return out, grams(keywords)
}

// needsText tells whether find looks at the folded value at all.
func (x *fieldIndex) needsText() bool {
	return len(x.equal) > 0 || x.prefix != nil || x.suffix != nil || x.contains != nil
}

// find appends the atoms, but for those of networks and presence, that fire for
// the folded value v.
func (x *fieldIndex) find(v []byte, dst []int32) []int32 {
	if len(v) <= x.longest && len(x.equal) > 0 {
		dst = append(dst, x.equal[string(v)]...)
	}
	if t := x.suffix; t != nil {
		s := int32(0)
		for _, v0 := range slices.Backward(v) {
			if s = t.next[s*t.classes+int32(t.class[v0])]; s == 0 {
				break
			}
			dst = append(dst, t.out[s]...)
		}
	}
	if t := x.prefix; t != nil {
		s := int32(0)
		for _, c := range v {
			if s = t.next[s*t.classes+int32(t.class[c])]; s == 0 {
				break
			}
			dst = append(dst, t.out[s]...)
		}
	}
	if x.contains != nil {
		dst = x.contains.scan(v, dst)
	}
	return dst
}

// A trie holds literals by their first or last bytes, one dense row a state.
type trie struct {
	class   [256]uint16 // 0: occurs in no literal
	classes int32
	next    []int32
	out     [][]int32
}

func newTrie(atoms []atom, ids []int32, reverse bool) *trie {
	if len(ids) == 0 {
		return nil
	}
	t := &trie{classes: 1, out: [][]int32{nil}}
	for _, id := range ids {
		for _, c := range []byte(atoms[id].literal) {
			if t.class[c] == 0 {
				t.class[c] = uint16(t.classes)
				t.classes++
			}
		}
	}
	t.next = make([]int32, t.classes)
	for _, id := range ids {
		literal := []byte(atoms[id].literal)
		if reverse {
			slices.Reverse(literal)
		}
		s := int32(0)
		for _, c := range literal {
			e := s*t.classes + int32(t.class[c])
			if t.next[e] == 0 {
				t.next[e] = int32(len(t.out))
				t.out = append(t.out, nil)
				t.next = append(t.next, make([]int32, t.classes)...)
			}
			s = t.next[e]
		}
		t.out[s] = append(t.out[s], id)
	}
	return t
}

// A networkIndex finds the networks that hold an address, one look-up for each
// prefix length that occurs.
type networkIndex struct {
	bits4, bits6 []int
	atoms        map[netip.Prefix][]int32
}

func newNetworkIndex(atoms []atom, ids []int32) *networkIndex {
	if len(ids) == 0 {
		return nil
	}
	x := &networkIndex{atoms: map[netip.Prefix][]int32{}}
	for _, id := range ids {
		p := atoms[id].net
		x.atoms[p] = append(x.atoms[p], id)
		lengths := &x.bits6
		if p.Addr().Is4() {
			lengths = &x.bits4
		}
		if !slices.Contains(*lengths, p.Bits()) {
			*lengths = append(*lengths, p.Bits())
		}
	}
	return x
}

func (x *networkIndex) find(a netip.Addr, dst []int32) []int32 {
	lengths := x.bits6
	if a.Is4() {
		lengths = x.bits4
	}
	for _, n := range lengths {
		if p, err := a.Prefix(n); err == nil {
			dst = append(dst, x.atoms[p]...)
		}
	}
	return dst
}

// parseAddress reads an address, an IPv4 address in IPv6 form as IPv4. It does
// not allocate for the text that values mostly are.
func parseAddress(s string) (netip.Addr, bool) {
	if len(s) < 2 {
		return netip.Addr{}, false
	}
	dots, colons := 0, 0
scan:
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case c == '%' && colons >= 2:
			break scan // a zone may hold anything
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return netip.Addr{}, false
		}
	}
	if colons < 2 && dots != 3 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}
