package sigma

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
)

// An atom is the smallest thing that an index finds by itself: a folded literal
// at some place of a field's value, a network, a bound of numbers, or that the
// field is there.
type atom struct {
	field   int32 // -1: any value of the event
	kind    op    // opEqual, opPrefix, opSuffix, opContains, opCIDR, opCompare or opPresent
	literal string
	net     netip.Prefix
	cmp     string // gt, gte, lt, lte or eq
	num     float64
}

// A unit finds, in one pass over a value, what concerns any of the fields that
// the value is, and keywords. It is built when first needed.
type unit struct {
	id       int32
	class    *Class
	fields   []int32
	keywords bool

	once           sync.Once
	equal          map[string][]int32
	longest        int // of the keys of equal
	prefix, suffix *trie
	contains       *gramIndex
	networks       *networkIndex
	numbers        *numberIndex
	shortest       int // a shorter value holds nothing

	deepOnce sync.Once
	deep     *deepIndex
}

// An entry is an atom under its number in the class.
type indexed struct {
	atom
	id int32
}

func (u *unit) build(atoms []indexed, model *gramModel) {
	var prefix, suffix []indexed
	var literals []string
	var ids []int32
	u.shortest = MaxValue
	for _, a := range atoms {
		least := len(a.literal)
		switch a.kind {
		case opEqual:
			if u.equal == nil {
				u.equal = map[string][]int32{}
			}
			u.equal[a.literal] = append(u.equal[a.literal], a.id)
			u.longest = max(u.longest, len(a.literal))
		case opPrefix:
			prefix = append(prefix, a)
		case opSuffix:
			suffix = append(suffix, a)
		case opContains:
			literals, ids = append(literals, a.literal), append(ids, a.id)
		case opCIDR:
			if u.networks == nil {
				u.networks = &networkIndex{atoms: map[netip.Prefix][]int32{}}
			}
			u.networks.add(a.net, a.id)
			least = 2
		case opCompare:
			if u.numbers == nil {
				u.numbers = &numberIndex{equal: map[float64][]int32{}}
			}
			u.numbers.add(a.cmp, a.num, a.id)
			least = 1
		}
		u.shortest = min(u.shortest, least)
	}
	u.prefix, u.suffix = newTrie(prefix, false), newTrie(suffix, true)
	u.contains = newGramIndex(literals, ids, model)
	if u.keywords && len(u.fields) == 0 && u.contains != nil { // other values are looked at in any case
		u.contains.prepareAbsent()
	}
	if u.numbers != nil {
		u.numbers.sort()
	}
}

// find adds the atoms that fire for value i of the event.
func (u *unit) find(in *Input, i int32, out *scanned) {
	raw := in.raw(i)
	if u.equal != nil || u.prefix != nil || u.suffix != nil || u.contains != nil {
		u.findText(in.fold(i), out)
	}
	if u.networks != nil {
		if a, ok := parseAddress(raw); ok {
			out.ids = u.networks.find(a, out.ids)
		}
	}
	if u.numbers != nil {
		if n, ok := parseNumber(raw); ok {
			out.ids = u.numbers.find(n, out.ids)
		}
	}
}

func (u *unit) findText(v []byte, out *scanned) {
	if u.equal != nil && len(v) <= u.longest {
		out.ids = append(out.ids, u.equal[string(v)]...)
	}
	if t := u.suffix; t != nil {
		s := int32(0)
		for _, c := range slices.Backward(v) {
			if s = t.step(s, c); s == 0 {
				break
			}
			out.ids = append(out.ids, t.out[s]...)
		}
	}
	if t := u.prefix; t != nil {
		s := int32(0)
		for _, c := range v {
			if s = t.step(s, c); s == 0 {
				break
			}
			out.ids = append(out.ids, t.out[s]...)
		}
	}
	if u.contains != nil {
		u.contains.scan(v, out)
	}
}

// A trie holds literals by their first or last bytes, its edges in a hash table.
type trie struct {
	edges []trieEdge
	shift uint32
	out   [][]int32
}

type trieEdge struct {
	key  uint32 // state and byte
	next int32  // 0: empty
}

func newTrie(atoms []indexed, reverse bool) *trie {
	if len(atoms) == 0 {
		return nil
	}
	next := map[uint32]int32{}
	t := &trie{out: [][]int32{nil}}
	for _, a := range atoms {
		literal := []byte(a.literal)
		if reverse {
			slices.Reverse(literal)
		}
		s := int32(0)
		for _, c := range literal {
			key := uint32(s)<<8 | uint32(c)
			if next[key] == 0 {
				next[key] = int32(len(t.out))
				t.out = append(t.out, nil)
			}
			s = next[key]
		}
		t.out[s] = append(t.out[s], a.id)
	}
	log := bits.Len(uint(2 * len(next)))
	t.shift = uint32(32 - log)
	t.edges = make([]trieEdge, 1<<log)
	for key, to := range next {
		i := key * gramFactor >> t.shift
		for t.edges[i].next != 0 {
			i = (i + 1) & uint32(len(t.edges)-1)
		}
		t.edges[i] = trieEdge{key, to}
	}
	return t
}

// step returns the state after s on c, 0 where there is none.
func (t *trie) step(s int32, c byte) int32 {
	key := uint32(s)<<8 | uint32(c)
	for i := key * gramFactor >> t.shift; ; i = (i + 1) & uint32(len(t.edges)-1) {
		if e := &t.edges[i]; e.next == 0 || e.key == key {
			return e.next
		}
	}
}

// A numberIndex finds the bounds that a number is beyond.
type numberIndex struct {
	above []bound // gt and gte, ascending
	below []bound // lt and lte, descending
	equal map[float64][]int32
}

type bound struct {
	num       float64
	inclusive bool
	atom      int32
}

func (x *numberIndex) add(op string, num float64, id int32) {
	switch b := (bound{num, op == "gte" || op == "lte", id}); op {
	case "gt", "gte":
		x.above = append(x.above, b)
	case "lt", "lte":
		x.below = append(x.below, b)
	default:
		x.equal[num] = append(x.equal[num], id)
	}
}

func (x *numberIndex) sort() {
	slices.SortFunc(x.above, func(a, b bound) int { return cmp.Compare(a.num, b.num) })
	slices.SortFunc(x.below, func(a, b bound) int { return cmp.Compare(b.num, a.num) })
}

func (x *numberIndex) find(n float64, dst []int32) []int32 {
	for _, b := range x.above {
		if !(b.num <= n) {
			break
		}
		if b.num < n || b.inclusive {
			dst = append(dst, b.atom)
		}
	}
	for _, b := range x.below {
		if !(b.num >= n) {
			break
		}
		if b.num > n || b.inclusive {
			dst = append(dst, b.atom)
		}
	}
	return append(dst, x.equal[n]...)
}

// A networkIndex finds the networks that hold an address, one look-up for each
// prefix length that occurs.
type networkIndex struct {
	bits4, bits6 []int
	atoms        map[netip.Prefix][]int32
}

func (x *networkIndex) add(p netip.Prefix, id int32) {
	x.atoms[p] = append(x.atoms[p], id)
	lengths := &x.bits6
	if p.Addr().Is4() {
		lengths = &x.bits4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
	}
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
