package compliance

import (
	"context"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Kept says how long a tenant's records are kept.
type Kept struct {
	ConfiguredDays int       // all of them can be searched
	Oldest         time.Time // arrival of the oldest record that is kept; zero for none
}

// LogRetention is how far a framework's demand for a time that logs are kept is reached.
type LogRetention struct {
	Kept
	Control        string // that demands it
	RequiredDays   int
	SearchableDays int // of them that must be at hand
	PersonalDays   int // that records of systems with personal data are to be kept; 0: no longer
	HeldDays       int
	MissingDays    int       // until RequiredDays are held
	ReachedOn      time.Time // when they will be; zero where ConfiguredDays do not suffice or nothing is kept
	Enough         bool      // ConfiguredDays suffice
}

// LogRetention reckons how far the framework of v is with the time that it wants logs
// kept: PCI DSS wants 12 months, of which 3 at hand. It is nil where the framework
// demands none, or nobody tells what is kept.
func (s *Service) LogRetention(ctx context.Context, tenant uint32, v *View) (*LogRetention, error) {
	if s.Kept == nil {
		return nil, nil
	}
	var demand *Link
	out := &LogRetention{}
	for i := range v.Controls {
		k := v.Controls[i].Control
		j := slices.IndexFunc(k.Checks, func(l Link) bool { return l.Check == "log-retention" })
		if j >= 0 && k.Checks[j].Params.Int("minDays") > out.RequiredDays {
			demand, out.Control, out.RequiredDays = &k.Checks[j], k.ID, k.Checks[j].Params.Int("minDays")
		}
	}
	if demand == nil {
		return nil, nil
	}
	out.SearchableDays, out.PersonalDays = demand.Params.Int("hotDays"), demand.Params.Int("piiMinDays")
	kept, err := s.Kept(ctx, tenant)
	if err != nil {
		return nil, fault.Wrap("ask how long records are kept", err)
	}
	out.Kept = kept
	out.Enough = kept.ConfiguredDays >= max(out.RequiredDays, out.SearchableDays)
	out.MissingDays = out.RequiredDays
	if kept.Oldest.IsZero() {
		return out, nil
	}
	const day = 24 * time.Hour
	out.HeldDays = max(int(v.At.Sub(kept.Oldest)/day), 0)
	out.MissingDays = max(out.RequiredDays-out.HeldDays, 0)
	if out.Enough {
		out.ReachedOn = kept.Oldest.Add(time.Duration(out.RequiredDays) * day).UTC()
	}
	return out, nil
}
