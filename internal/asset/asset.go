// Package asset knows the tenant's machines: which there are, by what names and
// addresses, what logs for them. They are discovered from events and merged by what is
// strong enough to tell one machine from another; every merge can be undone.
package asset

import (
	"slices"
	"time"
)

// Types lists what an asset may be.
var Types = []string{"server", "workstation", "network-device", "mobile", "cloud", "container", "printer", "iot", "unknown"}

// Criticalities lists how much depends on an asset, the least first.
var Criticalities = []string{"low", "medium", "high", "critical"}

func rankOf(criticality string) int64 { return int64(slices.Index(Criticalities, criticality) + 1) }

// An Asset is one machine as it is shown: with all that is merged into it.
type Asset struct {
	ID, Name, Type, OS string
	TypeOverride       bool // the type is what people set
	Owner, Criticality string
	Tags               []string
	Notes              string
	First, Last        time.Time // event time
	OpenAlerts         int64     // up to a minute old
	Addresses, MACs    []string  // the newest first, up to 16
	Sources            []string  // products that log for it, the newest first, up to 16
	Version            int64     // of what people set

	// Of Get only.
	MergedInto string   // id of what it is part of; "" where it stands alone
	History    []Trait  // the newest first
	Merges     []Merge  // of it and into it, the newest first
	Candidates []string // ids of assets that go by the same name

	tags string
	rank int64
}

// A Trait is something that was seen of an asset.
type Trait struct {
	Kind, Value string // kind: name, alias (as a lease calls it), ip, mac, guid, agent, source
	First, Last time.Time
}

// A Merge says that an asset became part of another, and why.
type Merge struct {
	ID, Asset, Into string
	At              time.Time
	Actor, Reason   string
	UndoneAt        *time.Time
	UndoneBy        string
}
