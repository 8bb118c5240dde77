package logsource

import (
	"fmt"
	"slices"
	"time"
)

// A Proposal is what the data say should be set.
type Proposal struct {
	Number  int       `json:"number"` // names it among those of its source
	Kind    string    `json:"kind"`   // ZoneProposal or SkewProposal
	Zone    string    `json:"zone"`   // of a ZoneProposal: the offset that fits, "+09:00"
	State   string    `json:"state"`  // "open", "accepted" or "dismissed"
	Setting string    `json:"setting"`
	Why     string    `json:"why"` // for people
	At      time.Time `json:"at"`

	// The evidence: how many events, their median arrival minus event time, and how far
	// half of them are from that at most.
	Samples      int           `json:"samples"`
	Median, Away time.Duration // nanoseconds in JSON
}

// Kinds and states of proposals.
const (
	ZoneProposal = "time_zone"
	SkewProposal = "clock_skew"
	IsOpen       = "open"
	IsAccepted   = "accepted"
	IsDismissed  = "dismissed"
)

// Bounds of what offsets must be to say anything.
const (
	maxSamples   = 64
	minSamples   = 30
	sampleEvery  = 5 * time.Second
	zoneStep     = 15 * time.Minute
	zoneSlack    = 3 * time.Minute // how far from a quarter of an hour transport and clock may bring it
	zoneSpread   = 2 * time.Minute
	maxZone      = 14 * time.Hour
	minSkew      = 5 * time.Second
	maxSkew      = 15 * time.Minute
	skewSpread   = 1500 * time.Millisecond
	minAhead     = 2 * time.Second
	maxProposals = 10
)

// offsets are the last arrival minus event times of a source, at most one in some
// seconds, so that a burst of old records does not speak for it.
type offsets struct {
	values []time.Duration
	next   int
	last   int64         // arrival of the newest
	zone   time.Duration // that was assumed, east of UTC
}

// take returns false where the sample came too soon.
func (o *offsets) take(arrived, at int64, zone time.Duration) {
	if arrived-o.last < int64(sampleEvery) {
		return
	}
	if zone != o.zone { // what was seen under another zone says nothing now
		*o = offsets{values: o.values[:0], zone: zone}
	}
	o.last = arrived
	if d := time.Duration(arrived - at); len(o.values) < maxSamples {
		o.values = append(o.values, d)
	} else {
		o.values[o.next] = d
		o.next = (o.next + 1) % maxSamples
	}
}

// middle returns the median and the median distance from it.
func (o *offsets) middle() (median, away time.Duration) {
	v := slices.Clone(o.values)
	slices.Sort(v)
	median = v[len(v)/2]
	for i := range v {
		v[i] = (v[i] - median).Abs()
	}
	slices.Sort(v)
	return median, v[len(v)/2]
}

// zoneProposal looks for a zone in the times that came without one.
func (o *offsets) zoneProposal() (Proposal, bool) {
	if len(o.values) < minSamples {
		return Proposal{}, false
	}
	median, away := o.middle()
	steps := -median.Round(zoneStep)
	zone := o.zone + steps
	if steps == 0 || zone.Abs() > maxZone || away > zoneSpread || (median+steps).Abs() > zoneSlack {
		return Proposal{}, false
	}
	offset := offsetText(int(zone.Seconds()))
	return Proposal{
		Kind: ZoneProposal, Zone: offset, Samples: len(o.values), Median: median, Away: away,
		Why: fmt.Sprintf("Its times carry no zone and are read as %s, by which they lie %s arrival (median of %d events, half of them within %s of it). With %s they lie %s of it.",
			offsetText(int(o.zone.Seconds())), beside(median), len(o.values), round(away), offset, within(median+steps)),
	}, true
}

// skewProposal looks for a clock that is wrong.
func (o *offsets) skewProposal() (Proposal, bool) {
	if len(o.values) < minSamples {
		return Proposal{}, false
	}
	median, away := o.middle()
	if away > skewSpread || median.Abs() > maxSkew || median < minSkew && median > -minAhead {
		return Proposal{}, false
	}
	why := fmt.Sprintf("Its clock is about %s ahead", round(-median))
	if median > 0 {
		why = fmt.Sprintf("Its clock is about %s behind, or its records take that long to come", round(median))
	}
	return Proposal{
		Kind: SkewProposal, Samples: len(o.values), Median: median, Away: away,
		Why: fmt.Sprintf("%s (median of %d events, half of them within %s of it). Set its clock by NTP.", why, len(o.values), round(away)),
	}, true
}

func round(d time.Duration) time.Duration {
	switch {
	case d.Abs() >= 10*time.Minute:
		return d.Round(time.Minute)
	case d.Abs() >= 10*time.Second:
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

func beside(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%s after", round(-d))
	}
	return fmt.Sprintf("%s before", round(d))
}

func within(d time.Duration) string { return "within " + round(d.Abs()+time.Millisecond).String() }

// propose compares what the data say with what was proposed before, and tells
// whether anything changed. What people dismissed is not proposed again, unless it
// is another zone.
func (e *entry) propose(now time.Time) (changed bool) {
	for kind, look := range map[string]func() (Proposal, bool){ZoneProposal: e.zoneless.zoneProposal, SkewProposal: e.exact.skewProposal} {
		p, ok := look()
		at := slices.IndexFunc(e.proposals, func(had Proposal) bool {
			return had.Kind == kind && (had.State == IsOpen || had.State == IsDismissed && had.Zone == p.Zone)
		})
		switch {
		case at >= 0 && ok && (e.proposals[at].State == IsDismissed || e.proposals[at].Zone == p.Zone):
		case at >= 0 && e.proposals[at].State == IsOpen && (ok || e.spoke(kind)): // it holds no longer
			e.proposals = slices.Delete(e.proposals, at, at+1)
			changed = true
		}
		if !ok || slices.ContainsFunc(e.proposals, func(had Proposal) bool {
			return had.Kind == kind && had.State != IsAccepted && had.Zone == p.Zone
		}) {
			continue
		}
		for _, had := range e.proposals {
			p.Number = max(p.Number, had.Number)
		}
		p.Number++
		p.State, p.At = IsOpen, now.UTC().Truncate(time.Second)
		e.proposals = append(e.proposals, p)
		if len(e.proposals) > maxProposals {
			e.proposals = slices.Delete(e.proposals, 0, 1)
		}
		changed = true
	}
	return changed
}

// spoke tells whether there is enough data to take a proposal of the kind back.
func (e *entry) spoke(kind string) bool {
	if kind == ZoneProposal {
		return len(e.zoneless.values) >= minSamples
	}
	return len(e.exact.values) >= minSamples
}
