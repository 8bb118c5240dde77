package ingest

import (
	"hash/maphash"
	"slices"
)

// maxTaken is how many frames a session remembers: as many as librelp leaves without an
// answer.
const maxTaken = 128

// relpTaken knows the last frames of a session. A number stands for one message within
// its session, so what comes under it again is a resend; but a sender that gives all its
// messages the same number must not lose them, so it must say the same as well.
type relpTaken struct {
	seed  maphash.Seed
	list  []relpSeen
	place int // of the oldest, once list is full
}

type relpSeen struct {
	sum  uint64
	txnr string
}

// again reports whether f has come before, and remembers it.
func (t *relpTaken) again(f *relpFrame) bool {
	if t.list == nil {
		t.seed = maphash.MakeSeed()
	}
	seen := relpSeen{maphash.Bytes(t.seed, f.data), f.txnr}
	if slices.Contains(t.list, seen) {
		return true
	}
	if len(t.list) < maxTaken {
		t.list = append(t.list, seen)
		return false
	}
	t.list[t.place] = seen
	t.place = (t.place + 1) % maxTaken
	return false
}
