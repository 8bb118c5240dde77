package exposure

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// Sources of evidence as bits, in the order of Sources.
const (
	fromDNS = 1 << iota
	fromTLS
	fromCertificate
	fromHTTP
	fromImport
	fromCheck
)

func sourceNames(bits uint8) []string {
	var out []string
	for i, name := range Sources {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

func sourceBits(names []string) (bits uint8) {
	for i, name := range Sources {
		if slices.Contains(names, name) {
			bits |= 1 << i
		}
	}
	return bits
}

// A view is what one tenant's events show of its domains.
type view struct {
	domains map[string]bool        // names; never changed once the view is in use
	lengths [maxName/64 + 1]uint64 // which lengths these names have

	mu    *sync.Mutex
	names map[string]*sighting
}

// A sighting is a name as events of late showed it.
type sighting struct {
	first, last int64 // event time, nanoseconds
	sources     uint8
	addresses   []string // the newest first
	saved       int64    // last as the database has it; 0: it does not know the name
	changed     bool     // has something that the database does not know
}

type dropped struct {
	full    atomic.Int64 // names that found no room in memory
	refused atomic.Int64 // names that found no room in the database
}

const (
	maxSeen  = 20_000             // names of a tenant in memory
	saveStep = int64(time.Hour)   // how much older last_seen in the database may be
	lookStep = int64(time.Minute) // how often a known name is looked at closely
)

// Observe looks for names of the tenant's domains in an event; it keeps nothing of it.
// What it has gathered and Flush has not written is lost with the process: the next
// event that shows the name shows it again.
func (s *Service) Observe(e *event.Event) {
	v := (*s.views.Load())[e.Tenant]
	if v == nil {
		return
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		switch f.Name {
		case event.DNSQuery:
			s.see(v, e, f.Value, fromDNS)
		case event.TLSSNI:
			s.see(v, e, f.Value, fromTLS)
		case event.Domain:
			s.see(v, e, f.Value, fromHTTP)
		case event.Referrer, event.URL:
			if _, host, ok := strings.Cut(f.Value, "://"); ok {
				if i := strings.IndexAny(host, "/?#"); i >= 0 {
					host = host[:i]
				}
				s.see(v, e, host, fromHTTP)
			}
		case "san.dns", "tls.subject", "tls.subjectaltname", "certificate.subject":
			certificateNames(f.Value, func(name string) { s.see(v, e, name, fromCertificate) })
		}
	}
}

// see takes note of a name that lies under one of the tenant's domains.
func (s *Service) see(v *view, e *event.Event, text string, source uint8) {
	if i := strings.IndexByte(text, ':'); i >= 0 { // a port, in HTTP's Host
		text = text[:i]
	}
	text = strings.TrimSuffix(text, ".")
	if len(text) > maxName || !v.owns(text) {
		return
	}
	var lower [maxName]byte
	n := lowerInto(lower[:], text)
	at := min(e.Time, e.Arrived)
	v.mu.Lock()
	defer v.mu.Unlock()
	x := v.names[string(lower[:n])]
	if x == nil {
		name := string(lower[:n])
		if name = strings.TrimPrefix(name, "*."); !wellFormed(name) || unanswered(e, source) {
			return
		}
		if x = v.names[name]; x == nil {
			if len(v.names) >= maxSeen {
				s.dropped.full.Add(1)
				return
			}
			x = &sighting{first: at, last: at, changed: true}
			v.names[name] = x
			x.look(e, source)
			return
		}
	}
	if x.sources&source != 0 && at < x.last+lookStep && at >= x.first {
		return
	}
	x.first, x.last = min(x.first, at), max(x.last, at)
	x.changed = x.changed || x.last-x.saved >= saveStep
	x.look(e, source)
}

// owns tells whether the name ends in one of the domains. Most names that do not have no
// ending as long as one of them.
func (v *view) owns(name string) bool {
	labels := 0
	for i := len(name) - 1; i >= 0 && labels <= maxDomainLabels; i-- {
		if name[i] != '.' {
			continue
		}
		labels++
		if v.domain(name[i+1:]) {
			return true
		}
	}
	return v.domain(name)
}

func (v *view) domain(name string) bool {
	n := len(name)
	if v.lengths[n/64]&(1<<(n%64)) == 0 {
		return false
	}
	var lower [maxName]byte
	return v.domains[string(lower[:lowerInto(lower[:], name)])]
}

// lowerInto writes the text in lower case, as far as it is ASCII, and returns its length.
func lowerInto(to []byte, text string) int {
	for i := range len(text) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		to[i] = c
	}
	return len(text)
}

// unanswered tells whether a DNS event says that the name does not exist.
func unanswered(e *event.Event, source uint8) bool {
	if source != fromDNS {
		return false
	}
	for i := range e.Fields {
		switch e.Fields[i].Name {
		case "rcode_name", "dns.rcode", "rcode", "rcode_text":
			if strings.EqualFold(e.Fields[i].Value, "NXDOMAIN") {
				return true
			}
		}
	}
	return false
}

// look adds what the event says of where the name leads.
func (x *sighting) look(e *event.Event, source uint8) {
	if x.sources&source == 0 {
		x.sources |= source
		x.changed = true
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		switch {
		case f.Name == event.DNSAnswer && source == fromDNS:
			for part := range strings.FieldsFuncSeq(f.Value, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
				x.address(part)
			}
		case f.Name == event.DstIP && source&(fromTLS|fromHTTP) != 0:
			x.address(f.Value)
		}
	}
}

func (x *sighting) address(text string) {
	addr, err := netip.ParseAddr(text)
	if err != nil || len(text) > 45 {
		return
	}
	known := addr.WithZone("").Unmap().String()
	if slices.Contains(x.addresses, known) {
		return
	}
	x.addresses = slices.Insert(x.addresses, 0, known)
	x.addresses = x.addresses[:min(len(x.addresses), maxAddresses)]
	x.changed = true
}

// WriteMetrics writes the counters of what found no room.
func (s *Service) WriteMetrics(w io.Writer) {
	fmt.Fprintf(w, "kyra_exposure_names_dropped_total{reason=\"memory\"} %d\n", s.dropped.full.Load())
	fmt.Fprintf(w, "kyra_exposure_names_dropped_total{reason=\"limit\"} %d\n", s.dropped.refused.Load())
}
