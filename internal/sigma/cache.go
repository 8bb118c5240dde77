package sigma

import (
	"hash/maphash"
	"slices"
)

// A valueCache remembers which atoms fire for which value: values recur. It is
// bounded, belongs to one goroutine and changes no answer. The hash is seeded, so
// that nobody can send values that push each other out.
type valueCache struct {
	seed  maphash.Seed
	epoch uint32 // of its slots; others are from before
	slots []cacheSlot
	used  int
	keys  []byte
	ids   []int32
	units []unitUse
	last  uint32 // serial
	memos []memo // what nodes of rules say of values
}

// A memo is what a step says of a value. It stands where its hash leads, in place
// of what was there before.
type memo struct {
	step   int32
	serial uint32 // 2·serial + truth
}

const memoLog = 14

// recall returns what the step says of the value of the serial, if it is known.
func (c *valueCache) recall(step int32, serial uint32) (m *memo, known bool) {
	if c.memos == nil {
		c.memos = make([]memo, 1<<memoLog)
	}
	m = &c.memos[(uint32(step)*gramFactor^serial*0x85EBCA6B)>>(32-memoLog)]
	return m, m.serial>>1 == serial && m.step == step
}

type cacheSlot struct {
	hash     uint64
	epoch    uint32
	unit     int32
	key, end uint32 // in keys
	lo, hi   uint32 // in ids
	steps    int32
	serial   uint32 // names unit and value
}

// unitUse tells whether a unit's values recur.
type unitUse struct{ hits, misses, rest uint16 }

const (
	minSlots   = 256
	maxSlots   = 8192
	maxKeys    = 1 << 20
	maxIDs     = 128 << 10
	maxKey     = 16384
	trial      = 512  // look-ups after which a unit is judged
	restPeriod = 8192 // values that one whose values do not recur is not asked for
)

// A cacheKey is where a value stands or would stand.
type cacheKey struct {
	hash uint64
	slot *cacheSlot
}

// find returns the atoms of value for u. Where it does not know them, the key is
// for keep, and without a slot nothing is to be kept.
func (c *valueCache) find(u *unit, value string) (*cacheSlot, cacheKey) {
	if len(value) > maxKey {
		return nil, cacheKey{}
	}
	if int(u.id) >= len(c.units) {
		c.units = append(c.units, make([]unitUse, int(u.id)+1-len(c.units))...)
	}
	use := &c.units[u.id]
	if use.rest > 0 {
		use.rest--
		return nil, cacheKey{}
	}
	if c.slots == nil {
		c.seed, c.epoch, c.slots = maphash.MakeSeed(), 1, make([]cacheSlot, minSlots)
	}
	h := maphash.String(c.seed, value) ^ uint64(u.id)*0x9E3779B97F4A7C15
	s := &c.slots[h&uint64(len(c.slots)-1)]
	if s.hash == h && s.epoch == c.epoch && s.unit == u.id && string(c.keys[s.key:s.end]) == value {
		use.hits++
		return s, cacheKey{}
	}
	use.misses++
	if use.hits+use.misses >= trial {
		if use.hits < trial/8 {
			use.rest = restPeriod
		}
		use.hits, use.misses = 0, 0
	}
	return nil, cacheKey{h, s}
}

// keep notes what find did not know, and returns the serial, 0 where it is not
// kept.
func (c *valueCache) keep(k cacheKey, u *unit, value string, ids []int32, steps int) uint32 {
	if k.slot == nil || len(ids) > maxIDs/64 {
		return 0
	}
	if c.last++; c.last >= 1<<31 {
		c.forget()
	}
	if len(c.keys)+len(value) > maxKeys || len(c.ids)+len(ids) > maxIDs {
		c.forget()
	}
	if c.used >= len(c.slots)/2 && len(c.slots) < maxSlots {
		c.grow()
		k.slot = &c.slots[k.hash&uint64(len(c.slots)-1)]
	}
	if k.slot.epoch != c.epoch {
		c.used++
	}
	key, lo := len(c.keys), len(c.ids)
	c.keys = append(c.keys, value...)
	c.ids = append(c.ids, ids...)
	*k.slot = cacheSlot{k.hash, c.epoch, u.id, uint32(key), uint32(len(c.keys)), uint32(lo), uint32(len(c.ids)), int32(steps), c.last}
	return c.last
}

func (c *valueCache) grow() {
	old := c.slots
	c.slots = make([]cacheSlot, 2*len(old))
	c.used = 0
	for i := range old {
		if s := &old[i]; s.epoch == c.epoch {
			c.slots[s.hash&uint64(len(c.slots)-1)] = *s
			c.used++
		}
	}
}

// forget empties the cache.
func (c *valueCache) forget() {
	if c.last >= 1<<30 { // serials must not come twice
		c.last = 1
		clear(c.memos)
	}
	if c.epoch++; c.epoch == 0 {
		clear(c.slots)
		c.epoch = 1
	}
	c.used, c.keys, c.ids = 0, c.keys[:0], c.ids[:0]
}

// distinct drops repetitions from what was found.
func (s *Scratch) distinct() {
	ids := s.found.ids
	if len(ids) < 2 {
		return
	}
	if n := int(slices.Max(ids))/64 + 1; n > len(s.marks) {
		s.marks = append(s.marks, make([]uint64, n-len(s.marks))...)
	}
	once := ids[:0]
	for _, id := range ids {
		if m := &s.marks[id>>6]; *m>>(id&63)&1 == 0 {
			*m |= 1 << (id & 63)
			once = append(once, id)
		}
	}
	for _, id := range once {
		s.marks[id>>6] = 0
	}
	s.found.ids = once
}

// distinct drops repetitions from ids.
func distinct(ids []int32) []int32 {
	if len(ids) < 2 {
		return ids
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
