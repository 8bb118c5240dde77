package logsource

import (
	"cmp"
	"slices"
	"time"
)

// A Clock is how far the event times of a source lie from their arrival, since this
// server started.
type Clock struct {
	ID, Source, Host string
	Samples          int           // at most one in some seconds, the newest 64
	Median           time.Duration // arrival minus event time: the way of the records is in it
	Zoneless         bool          // its times carry no zone: the one that is set was assumed
}

// EnoughSamples is how many make a Clock's median worth something.
const EnoughSamples = minSamples

// Clocks returns the clocks of the tenant's sources that had an event with a time of its
// own, by source and host.
func (s *Service) Clocks(tenant uint32) []Clock {
	s.observer.mu.Lock()
	defer s.observer.mu.Unlock()
	var out []Clock
	for _, e := range s.observer.byID[tenant] {
		o, zoneless := &e.exact, false
		if len(e.zoneless.values) > len(e.exact.values) {
			o, zoneless = &e.zoneless, true
		}
		if e.others || len(o.values) == 0 {
			continue
		}
		median, _ := o.middle()
		out = append(out, Clock{ID: e.id, Source: e.key.source, Host: e.host, Samples: len(o.values), Median: median, Zoneless: zoneless})
	}
	slices.SortFunc(out, func(a, b Clock) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Host, b.Host))
	})
	return out
}
