package principal

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Bounds of memory: senders choose names.
const (
	maxEntries = 20_000 // accounts that wait to be written
	maxPlaces  = 64     // of an account, between two writes
	slots      = 1 << 14
)

type entryKey struct {
	tenant            uint32
	user, domain, uid string
}

type place struct{ kind, value string }

// entry is what was seen of an account since the last write.
type entry struct {
	account
	uid         string
	first, last int64 // nanoseconds, event time
	signIn      int64
	from, host  string
	evidence    int64
	real        bool // not only tried as a name that does not exist
	failed      map[int64]int64
	places      map[place][2]int64
}

type observer struct {
	seed    maphash.Seed
	known   [slots]atomic.Uint64
	dropped atomic.Int64

	mu      sync.Mutex
	entries map[entryKey]*entry
}

func newObserver() *observer {
	return &observer{seed: maphash.MakeSeed(), entries: map[entryKey]*entry{}}
}

type peek struct {
	user, domain, uid, host, srcIP, action, outcome, reason, target, group, code string
}

func (p *peek) read(e *event.Event) {
	for i := range e.Fields {
		f := &e.Fields[i]
		switch len(f.Name) {
		case 4:
			switch f.Name {
			case event.User:
				p.user = f.Value
			case event.Host:
				p.host = f.Value
			}
		case 5:
			if f.Name == event.Group {
				p.group = f.Value
			}
		case 6:
			switch f.Name {
			case event.SrcIP:
				p.srcIP = f.Value
			case event.Action:
				p.action = f.Value
			case event.Reason:
				p.reason = f.Value
			}
		case 7:
			switch f.Name {
			case event.UserID:
				p.uid = f.Value
			case event.Outcome:
				p.outcome = f.Value
			}
		case 10:
			if f.Name == event.EventCode {
				p.code = f.Value
			}
		case 11:
			switch f.Name {
			case event.UserDomain:
				p.domain = f.Value
			case event.TargetUser:
				p.target = f.Value
			}
		}
	}
}

// observe notes whom e names. It keeps none of its texts.
func (o *observer) observe(e *event.Event) {
	var p peek
	p.read(e)
	if p.user == "" && p.uid == "" {
		return
	}
	failed := p.action == "login" && p.outcome == "failure"
	if !failed {
		h := uint64(e.Tenant) * 0x9e3779b97f4a7c15
		for _, t := range [...]string{p.user, p.host, p.srcIP} {
			h = (h ^ maphash.String(o.seed, t)) * mix
		}
		for _, t := range [...]string{p.domain, p.target, p.group} {
			if t != "" {
				h = (h ^ maphash.String(o.seed, t)) * mix
			}
		}
		h = (h ^ brief(p.action) ^ brief(p.outcome)<<24 ^ brief(p.code)<<40) * mix
		slot := &o.known[h>>20%slots]
		if slot.Load() == h {
			return
		}
		slot.Store(h)
	}
	at := min(e.Time, e.Arrived)
	o.mu.Lock()
	defer o.mu.Unlock()
	if x := o.of(entryKey{e.Tenant, p.user, p.domain, p.uid}); x != nil {
		x.see(&p, at, failed, countOf(e))
	}
	if p.target != "" && p.action == "group_add" && slices.Contains(adminGroups, strings.ToLower(p.group)) {
		if x := o.of(entryKey{e.Tenant, p.target, p.domain, ""}); x != nil {
			x.span(at)
			x.real, x.evidence = true, x.evidence|bitGroup
		}
	}
}

const mix = 0x9fb21c651e98df25 // odd: nothing is lost

// brief tells words of a small list apart.
func brief(s string) uint64 {
	if s == "" {
		return 0
	}
	return uint64(len(s))<<16 | uint64(s[0])<<8 | uint64(s[len(s)-1])
}

// countOf is how many failures one record stands for.
func countOf(e *event.Event) int64 {
	n := int64(0)
	for _, c := range e.Get(event.Count) {
		if c < '0' || c > '9' || n > 10_000 {
			return 1
		}
		n = n*10 + int64(c-'0')
	}
	return max(n, 1)
}

// of returns the entry of an account, nil where it is none or there is no room.
func (o *observer) of(k entryKey) *entry {
	if x := o.entries[k]; x != nil {
		return x
	}
	a, ok := accountOf(k.user, k.domain, k.uid)
	if !ok {
		return nil
	}
	if len(o.entries) >= maxEntries {
		o.dropped.Add(1)
		return nil
	}
	k.user, k.domain, k.uid = strings.Clone(k.user), strings.Clone(k.domain), strings.Clone(k.uid)
	a.word, a.name, a.domain = strings.Clone(a.word), strings.Clone(a.name), strings.Clone(a.domain)
	x := &entry{account: a, uid: k.uid, evidence: a.evidence()}
	if len(x.uid) > maxText {
		x.uid = ""
	}
	o.entries[k] = x
	return x
}

func (x *entry) span(at int64) {
	if x.first == 0 || at < x.first {
		x.first = at
	}
	x.last = max(x.last, at)
}

func (x *entry) see(p *peek, at int64, failed bool, times int64) {
	x.span(at)
	x.real = x.real || !failed || !strings.Contains(p.reason, "invalid user") && !strings.Contains(p.reason, "unknown")
	switch {
	case failed:
		if x.failed == nil {
			x.failed = map[int64]int64{}
		}
		if hour := at / int64(time.Hour); len(x.failed) < 256 || x.failed[hour] > 0 {
			x.failed[hour] += times
		}
		return // where a guess comes from is no usual place
	case p.action == "login" && p.outcome == "success" && at >= x.signIn:
		x.signIn = at
		x.from, x.host = cloned(p.srcIP), cloned(p.host)
	case p.action == "sudo" && p.outcome != "failure":
		x.evidence |= bitSudo
	}
	if p.code == "4672" {
		x.evidence |= bitSpecial
	}
	x.been(place{"host", p.host}, at)
	if _, err := netip.ParseAddr(p.srcIP); err == nil {
		x.been(place{"address", p.srcIP}, at)
	}
}

func cloned(s string) string {
	if len(s) > 253 {
		return ""
	}
	return strings.Clone(s)
}

func (x *entry) been(p place, at int64) {
	if p.value == "" || len(p.value) > 253 {
		return
	}
	if known, ok := x.places[p]; ok {
		x.places[p] = [2]int64{min(known[0], at), max(known[1], at)}
		return
	}
	if len(x.places) >= maxPlaces {
		return
	}
	if x.places == nil {
		x.places = map[place][2]int64{}
	}
	p.value = strings.Clone(p.value)
	x.places[p] = [2]int64{at, at}
}

func (o *observer) take() map[entryKey]*entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.entries
	o.entries = map[entryKey]*entry{}
	return taken
}

// giveBack keeps what could not be written, where nothing newer was seen meanwhile.
func (o *observer) giveBack(taken map[entryKey]*entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, x := range taken {
		now := o.entries[k]
		if now == nil {
			o.entries[k] = x
			continue
		}
		now.span(x.first)
		now.evidence, now.real = now.evidence|x.evidence, now.real || x.real
		if x.signIn > now.signIn {
			now.signIn, now.from, now.host = x.signIn, x.from, x.host
		}
		for hour, n := range x.failed {
			if now.failed == nil {
				now.failed = map[int64]int64{}
			}
			now.failed[hour] += n
		}
	}
}

func (o *observer) forget() {
	for i := range o.known {
		o.known[i].Store(0)
	}
}
