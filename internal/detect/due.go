package detect

import (
	"maps"
	"slices"
)

// Due returns the arrival that Advance must reach for the next window to be judged;
// ok is false where none waits.
func (d *Detector) Due() (arrived int64, ok bool) {
	if len(d.due) == 0 {
		return 0, false
	}
	return d.due[0].due, true
}

// Renew lets go of rule sets that tenants have no more, between batches: else one
// would be kept until the next event of each of its tenants.
func (d *Detector) Renew() {
	for _, number := range slices.Sorted(maps.Keys(d.tenants)) {
		t := d.tenants[number]
		if set := d.rules(number); set != nil && set != t.set {
			d.adopt(t, set)
		}
	}
}
