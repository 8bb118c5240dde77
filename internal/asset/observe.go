package asset

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Bounds of memory: senders choose names and addresses.
const (
	maxPending = 20_000 // sightings that wait to be written
	maxText    = 253    // bytes of a name
	slots      = 1 << 15
)

// A sighting is what one event tells of one machine.
type sighting struct {
	tenant                        uint32
	name, alias, mac, guid, agent string
	ip, source                    string
	bits                          int64
}

// span is when, in event time and nanoseconds.
type span struct{ first, last int64 }

// An observer gathers what events tell. What it saw within the last minute costs it a
// hash and a look; it takes that for known.
type observer struct {
	seed    maphash.Seed
	known   [slots]atomic.Uint64
	dropped atomic.Int64 // sightings that there was no room for

	mu      sync.Mutex
	pending map[sighting]span
}

func newObserver() *observer {
	return &observer{seed: maphash.MakeSeed(), pending: map[sighting]span{}}
}

// glance is what of an event may tell of machines; its texts are the event's.
type glance struct {
	source, host, hostIP, srcIP, dstIP, srcMAC, srcHost, action, dstBytes string
	mac, guid, agent, agentName, os                                       string
}

func look(e *event.Event) (g glance) {
	for i := range e.Fields {
		f := &e.Fields[i]
		if len(f.Name) < 2 || len(f.Name) > 12 {
			continue
		}
		var into *string
		switch f.Name {
		case event.Source:
			into = &g.source
		case event.Host:
			into = &g.host
		case event.HostIP:
			into = &g.hostIP
		case event.SrcIP:
			into = &g.srcIP
		case event.DstIP:
			into = &g.dstIP
		case event.SrcMAC:
			into = &g.srcMAC
		case event.SrcHost:
			into = &g.srcHost
		case event.Action:
			into = &g.action
		case event.DstBytes:
			into = &g.dstBytes
		case "host.mac":
			into = &g.mac
		case "host.id", "machine_guid", "MachineGuid":
			into = &g.guid
		case "agent.id":
			into = &g.agent
		case "agent.name":
			into = &g.agentName
		case "host.os.name", "host.os.type":
			into = &g.os
		default:
			continue
		}
		if *into == "" {
			*into = f.Value
		}
	}
	return g
}

func (o *observer) hash(tenant uint32, kind uint64, texts ...string) uint64 {
	h := uint64(tenant)*0x9e3779b97f4a7c15 ^ kind<<56
	for _, t := range texts {
		if t != "" {
			h ^= maphash.String(o.seed, t)
		}
		h *= 0x9fb21c651e98df25 // odd: nothing is lost
	}
	return h
}

// fresh tells whether h was not seen in this minute, and notes it.
func (o *observer) fresh(h uint64) bool {
	slot := &o.known[h>>20%slots]
	if slot.Load() == h {
		return false
	}
	slot.Store(h)
	return true
}

// A peek is what observe compares of each event: less than look reads, and as cheap as
// can be.
type peek struct {
	source, host, hostIP, srcIP, dstIP, srcMAC string
	more                                       uint64 // of what few events have
	lease, answered                            bool
}

func (o *observer) peek(e *event.Event, p *peek) {
	for i := range e.Fields {
		f := &e.Fields[i]
		switch len(f.Name) {
		case 4:
			if f.Name == event.Host {
				p.host = f.Value
			}
		case 6:
			switch f.Name {
			case event.Source:
				p.source = f.Value
			case event.SrcIP:
				p.srcIP = f.Value
			case event.DstIP:
				p.dstIP = f.Value
			case event.Action:
				p.lease = f.Value == "dhcp_assign"
			}
		case 7:
			switch f.Name {
			case event.HostIP:
				p.hostIP = f.Value
			case event.SrcMAC:
				p.srcMAC = f.Value
			case "host.id":
				p.more ^= maphash.String(o.seed, f.Value)
			}
		case 8:
			if f.Name == "host.mac" || f.Name == "agent.id" {
				p.more ^= maphash.String(o.seed, f.Value)
			}
		case 9:
			p.answered = p.answered || f.Name == event.DstBytes && f.Value != "" && f.Value != "0"
		}
	}
}

// observe notes what e tells. It keeps none of its texts.
func (o *observer) observe(e *event.Event) {
	var p peek
	o.peek(e, &p)
	if p.host != "" && o.fresh(o.hash(e.Tenant, 1, p.host, p.source, p.hostIP)^p.more) {
		g := look(e)
		o.note(e, g.self(e.Tenant))
	}
	if p.srcIP != "" && (!p.lease || p.srcMAC == "") && o.fresh(o.hash(e.Tenant, 2, p.srcIP)) {
		o.note(e, alone(e.Tenant, p.srcIP))
	}
	if p.lease && o.fresh(o.hash(e.Tenant, 3, p.srcIP, p.srcMAC)) {
		g := look(e)
		o.note(e, g.lease(e.Tenant))
	}
	if p.answered && p.dstIP != "" && o.fresh(o.hash(e.Tenant, 2, p.dstIP)) { // it answered
		o.note(e, alone(e.Tenant, p.dstIP))
	}
}

// self is the machine that the event names as its own.
func (g *glance) self(tenant uint32) sighting {
	s := sighting{tenant: tenant, source: g.source, guid: guid(g.guid), mac: hardware(g.mac)}
	if g.agent != "" && strings.EqualFold(g.agentName, g.host) { // an agent may also pass on what others log
		s.agent = g.agent
	}
	if a, ok := address(g.host); ok {
		s.ip = a.String() // it logs itself: its own, wherever it is
	} else {
		s.name = machine(g.host)
		if a, ok := address(g.hostIP); ok {
			s.ip = a.String()
		}
	}
	s.bits = evidenceOf(g.source, g.host, g.os)
	return s
}

// lease binds an address to a network card, and calls the machine a name that its owner
// chose: that names it and does not merge it, unless it is a full one.
func (g *glance) lease(tenant uint32) sighting {
	s := sighting{tenant: tenant, mac: hardware(g.srcMAC)}
	if s.mac == "" {
		return sighting{}
	}
	if a, ok := address(g.srcIP); ok {
		s.ip = a.String()
	}
	if n := machine(g.srcHost); strings.Contains(n, ".") {
		s.name = n
	} else {
		s.alias = n
	}
	s.bits = evidenceOf("", g.srcHost, "")
	return s
}

// alone is an internal address that nothing else is known of.
func alone(tenant uint32, text string) sighting {
	if a, ok := address(text); ok && a.IsPrivate() {
		return sighting{tenant: tenant, ip: a.String()}
	}
	return sighting{}
}

func (o *observer) note(e *event.Event, s sighting) {
	if s.name == "" && s.mac == "" && s.guid == "" && s.agent == "" && s.ip == "" || len(s.guid) > maxText || len(s.agent) > maxText || len(s.source) > maxText {
		return
	}
	at := min(e.Time, e.Arrived)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(s, span{at, at})
}

// add is called with the lock held.
func (o *observer) add(s sighting, when span) {
	known, ok := o.pending[s]
	switch {
	case ok:
		when = span{min(known.first, when.first), max(known.last, when.last)}
	case len(o.pending) >= maxPending:
		o.dropped.Add(1)
		return
	default:
		s.name, s.alias, s.mac, s.guid = strings.Clone(s.name), strings.Clone(s.alias), strings.Clone(s.mac), strings.Clone(s.guid)
		s.agent, s.ip, s.source = strings.Clone(s.agent), strings.Clone(s.ip), strings.Clone(s.source)
	}
	o.pending[s] = when
}

// take returns what waits, and begins anew.
func (o *observer) take() map[sighting]span {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.pending
	o.pending = map[sighting]span{}
	return taken
}

// giveBack puts what could not be written among what waits.
func (o *observer) giveBack(taken map[sighting]span) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s, when := range taken {
		o.add(s, when)
	}
}

// forget lets everything be looked at anew, so that times move on.
func (o *observer) forget() {
	for i := range o.known {
		o.known[i].Store(0)
	}
}

// address reads an address that can be a machine's.
func address(text string) (netip.Addr, bool) {
	if text == "" || text[0] != ':' && (text[0] < '0' || text[0] > '9') && (text[0]|32 < 'a' || text[0]|32 > 'f') {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, false
	}
	a = a.Unmap().WithZone("")
	return a, !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// machine brings a name into its one form; "" is none that tells machines apart.
func machine(text string) string {
	text = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(text), "."))
	if text == "" || len(text) > maxText || strings.Trim(text, "-_.?*") == "" || strings.ContainsAny(text, " \t\n\x00/\\\"'<>") {
		return ""
	}
	switch text {
	case "localhost", "localhost.localdomain", "unknown", "none", "null", "n/a", "(none)":
		return ""
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return ""
	}
	return text
}

// hardware reads a MAC that belongs to one card; "" is any other.
func hardware(text string) string {
	if len(text) != 17 {
		return ""
	}
	out := []byte(strings.ToLower(text))
	zero := true
	for i, c := range out {
		if i%3 == 2 {
			if c != ':' && c != '-' {
				return ""
			}
			out[i] = ':'
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
		zero = zero && c == '0'
	}
	mac := string(out)
	group := strings.IndexByte("13579bdf", out[1]) >= 0                                                                                           // also broadcast
	shared := strings.HasPrefix(mac, "00:00:5e:00:01:") || strings.HasPrefix(mac, "00:00:5e:00:02:") || strings.HasPrefix(mac, "00:00:0c:07:ac:") // VRRP, HSRP
	if zero || group || shared {
		return ""
	}
	return mac
}

// guid brings a machine's own id into its one form.
func guid(text string) string {
	text = strings.ToLower(strings.Trim(text, "{}"))
	if len(text) < 8 || strings.Trim(text, "0-") == "" {
		return ""
	}
	return text
}
