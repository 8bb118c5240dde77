package intel

import (
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"strings"
	"time"
)

// A Snapshot is the active indicators of a tenant, compiled: it never changes, and any
// number of goroutines may ask it. It takes about 100 bytes an indicator.
//
// Every value has a key of bytes (an address its 4 or 16, a hash its digest, a URL what
// follows the scheme). A bit set of 16 bits an indicator says no to most of what is
// asked; behind it lies an open hash table of 8-byte fingerprints, and a hit is
// confirmed by the key itself. Networks are looked up by each length of prefix that
// occurs, after a bit for each /16 has said that there are any.
type Snapshot struct {
	seed    maphash.Seed
	bits    []uint64
	prints  []uint64 // 0: empty
	at      []uint32 // index into entries
	entries []entry
	keys    []byte
	sources []string
	tags    [][]string
	has     [classes]bool
	net4    networks
	net6    networks

	allow      *Snapshot // what never matches; nil for nothing
	thresholds Thresholds
}

type entry struct {
	off        uint32 // of the key in keys
	from       uint32 // seconds since 1970; 0: always
	until      uint32 // seconds since 1970; 0: for ever
	next       uint32 // another indicator of the same key, plus 1; 0: none
	tags       uint32
	len        uint16
	source     uint16
	class      class
	severity   uint8 // event.SeverityRank
	confidence uint8
	scheme     uint8 // index into schemes, of a URL
}

// A class is a kind of key.
type class uint8

const (
	classIPv4 class = iota
	classIPv6
	classNet4
	classNet6
	classDomain
	classURL
	classMD5
	classSHA1
	classSHA256
	classEmail
	classJA3
	classes
)

var typeOf = [classes]Type{IPv4, IPv6, CIDR, CIDR, Domain, URL, MD5, SHA1, SHA256, Email, JA3}

var schemes = []string{"http://", "https://", "ftp://"}

// networks is which prefixes there are.
type networks struct {
	lengths []uint8 // that occur, the longest first
	some    []uint64
}

// A builder gathers indicators for a Snapshot.
type builder struct {
	s       *Snapshot
	sources map[string]uint16
	tags    map[string]uint32
	lengths [2][129]bool
	refused int // that did not fit
}

func newBuilder(expected int) *builder {
	return &builder{
		s:       &Snapshot{seed: maphash.MakeSeed(), entries: make([]entry, 0, expected), tags: [][]string{nil}, thresholds: StandardThresholds()},
		sources: map[string]uint16{}, tags: map[string]uint32{"": 0},
	}
}

// compact is an indicator as far as matching needs it.
type compact struct {
	Type         Type
	Value        string // normalised
	Source       string
	Tags         string // joined by NUL
	Confidence   int
	SeverityRank int
	From, Until  int64 // seconds; 0 for none
}

// add takes one indicator. What is not in its one form is left out.
func (b *builder) add(c compact) {
	s := b.s
	e := entry{off: uint32(len(s.keys)), from: seconds(c.From), until: seconds(c.Until), severity: uint8(c.SeverityRank), confidence: uint8(c.Confidence)} //nolint:gosec // bounded where they come from
	if len(s.keys) > math.MaxUint32-MaxValue || len(s.entries) >= math.MaxUint32-1 {
		b.refused++
		return
	}
	var ok bool
	if e.class, e.scheme, s.keys, ok = appendKey(s.keys, c.Type, c.Value); !ok {
		b.refused++
		return
	}
	e.len = uint16(len(s.keys) - int(e.off)) //nolint:gosec // MaxValue
	source, known := b.sources[c.Source]
	if !known && len(s.sources) < math.MaxUint16 {
		source = uint16(len(s.sources)) //nolint:gosec // bounded in this line
		s.sources = append(s.sources, strings.Clone(c.Source))
		b.sources[s.sources[source]] = source
	}
	e.source = source
	tags, known := b.tags[c.Tags]
	if !known {
		text := strings.Clone(c.Tags)
		tags = uint32(len(s.tags)) //nolint:gosec // not more than indicators
		s.tags = append(s.tags, strings.Split(text, "\x00"))
		b.tags[text] = tags
	}
	e.tags = tags
	s.has[e.class] = true
	b.network(&e)
	s.entries = append(s.entries, e)
}

func seconds(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) } //nolint:gosec // bounded in this line

// network notes the prefix of a network.
func (b *builder) network(e *entry) {
	var n *networks
	family := 0
	switch e.class {
	case classNet4:
		n = &b.s.net4
	case classNet6:
		n, family = &b.s.net6, 1
	default:
		return
	}
	key := b.s.keys[e.off : e.off+uint32(e.len)]
	length := key[len(key)-1]
	b.lengths[family][length] = true
	if n.some == nil {
		n.some = make([]uint64, 1<<16/64)
	}
	first := int(key[0])<<8 | int(key[1])
	span := 1
	if length < 16 {
		span = 1 << (16 - length)
	}
	for i := first; i < first+span; i++ {
		n.some[i/64] |= 1 << (i % 64)
	}
}

// build makes the table. The builder is of no use afterwards.
func (b *builder) build() *Snapshot {
	s := b.s
	for family, n := range []*networks{&s.net4, &s.net6} {
		for length := 128; length >= 0; length-- {
			if b.lengths[family][length] {
				n.lengths = append(n.lengths, uint8(length))
			}
		}
	}
	size := 1 << bits.Len(uint(len(s.entries)*3/2)|15)
	s.prints, s.at = make([]uint64, size), make([]uint32, size)
	s.bits = make([]uint64, size*8/64)
	for i := range s.entries {
		e := &s.entries[i]
		key := s.keys[e.off : e.off+uint32(e.len)]
		h := s.hash(e.class, key)
		slot := int(h) & (size - 1)
		for s.prints[slot] != 0 {
			if s.prints[slot] == h && s.is(s.at[slot], e.class, key) {
				break
			}
			slot = (slot + 1) & (size - 1)
		}
		if s.prints[slot] != 0 {
			e.next = s.at[slot] + 1
		}
		s.prints[slot], s.at[slot] = h, uint32(i) //nolint:gosec // bounded by add
		bit := s.bit(h)
		s.bits[bit/64] |= 1 << (bit % 64)
	}
	return s
}

func (s *Snapshot) hash(c class, key []byte) uint64 {
	h := maphash.Bytes(s.seed, key) + uint64(c)*0x9E3779B97F4A7C15
	h ^= h >> 29
	if h == 0 {
		h = 1
	}
	return h
}

// bit is the place in the bit set, from other bits of the hash than the slot's.
func (s *Snapshot) bit(h uint64) uint64 { return (h >> 24) & uint64(len(s.bits)*64-1) }

func (s *Snapshot) is(i uint32, c class, key []byte) bool {
	e := &s.entries[i]
	return e.class == c && string(s.keys[e.off:e.off+uint32(e.len)]) == string(key)
}

// find returns the first entry of a key, plus 1, or 0.
func (s *Snapshot) find(c class, key []byte) uint32 {
	if !s.has[c] {
		return 0
	}
	h := s.hash(c, key)
	if bit := s.bit(h); s.bits[bit/64]>>(bit%64)&1 == 0 {
		return 0
	}
	mask := len(s.prints) - 1
	for slot := int(h) & mask; s.prints[slot] != 0; slot = (slot + 1) & mask { //nolint:gosec // only its low bits count
		if s.prints[slot] == h && s.is(s.at[slot], c, key) {
			return s.at[slot] + 1
		}
	}
	return 0
}

// appendKey appends the key of a normalised value.
func appendKey(to []byte, t Type, value string) (c class, scheme uint8, key []byte, ok bool) {
	digest := func(c class, size int) (class, uint8, []byte, bool) {
		b, err := hex.AppendDecode(to, []byte(value))
		return c, 0, b, err == nil && len(b)-len(to) == size
	}
	switch t {
	case IPv4, IPv6:
		a, err := netip.ParseAddr(value)
		if err != nil {
			return 0, 0, to, false
		}
		if a.Is4() {
			return classIPv4, 0, append(to, a.AsSlice()...), true
		}
		return classIPv6, 0, append(to, a.AsSlice()...), true
	case CIDR:
		p, err := netip.ParsePrefix(value)
		if err != nil {
			return 0, 0, to, false
		}
		c := classNet6
		if p.Addr().Is4() {
			c = classNet4
		}
		return c, 0, append(append(to, p.Masked().Addr().AsSlice()...), byte(p.Bits())), true
	case Domain:
		return classDomain, 0, append(to, value...), value != ""
	case Email:
		return classEmail, 0, append(to, value...), value != ""
	case URL:
		for i, s := range schemes {
			if rest, ok := strings.CutPrefix(value, s); ok {
				return classURL, uint8(i), append(to, rest...), true
			}
		}
		return 0, 0, to, false
	case MD5:
		return digest(classMD5, 16)
	case SHA1:
		return digest(classSHA1, 20)
	case SHA256:
		return digest(classSHA256, 32)
	case JA3:
		return digest(classJA3, 16)
	}
	return 0, 0, to, false
}

// value is the indicator's value in its one form.
func (s *Snapshot) value(e *entry) string {
	key := s.keys[e.off : e.off+uint32(e.len)]
	switch e.class {
	case classIPv4, classIPv6:
		a, _ := netip.AddrFromSlice(key) // 4 or 16 bytes
		return a.String()
	case classNet4, classNet6:
		a, _ := netip.AddrFromSlice(key[:len(key)-1])
		return fmt.Sprintf("%s/%d", a, key[len(key)-1])
	case classURL:
		return schemes[e.scheme] + string(key)
	case classMD5, classSHA1, classSHA256, classJA3:
		return hex.EncodeToString(key)
	default:
		return string(key)
	}
}

// valid tells whether the indicator is to be looked for at that time.
func (e *entry) valid(at int64) bool {
	now := seconds(at / int64(time.Second))
	return now >= e.from && (e.until == 0 || now < e.until)
}

// Len is how many indicators there are.
func (s *Snapshot) Len() int { return len(s.entries) }
