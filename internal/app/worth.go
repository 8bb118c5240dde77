package app

import (
	"context"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/asset"
	"github.com/kyra-mdr/kyra/internal/principal"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// worths tells risk what entities are worth: assets by their criticality, accounts by
// whether they are privileged. What it knows of a tenant may be a minute old.
type worths struct {
	assets     *asset.Service
	principals *principal.Service
	now        func() time.Time

	mu    sync.Mutex
	known map[uint32]*knownWorth
}

type knownWorth struct {
	at time.Time
	of map[risk.Key]risk.Worth
}

// Factors of an entity's risk; an asset of medium criticality and an ordinary account
// have 1.
var criticalityFactors = map[string]float64{"low": 0.7, "high": 1.3, "critical": 1.6}

const (
	privilegedFactor = 1.3
	worthFor         = time.Minute
	maxWorths        = 100_000 // of a tenant: others are ordinary
)

// of is a risk.WorthFunc.
func (w *worths) of(ctx context.Context, _ *sqldb.DB, tenant uint32, _ []risk.Key) (map[risk.Key]risk.Worth, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.known[tenant]; k != nil && w.now().Sub(k.at) < worthFor {
		return k.of, nil
	}
	out := map[risk.Key]risk.Worth{}
	add := func(kind, value string, worth risk.Worth) {
		k, ok := risk.KeyOf(alert.Entity{Type: kind, Value: value})
		// Several accounts have one name: whichever is worth most counts.
		if ok && len(out) < maxWorths && out[k].Factor < worth.Factor {
			out[k] = worth
		}
	}
	for a, err := range w.assets.Stream(ctx, tenant, asset.Filter{Criticalities: []string{"low", "high", "critical"}}) {
		if err != nil {
			return nil, err
		}
		worth := risk.Worth{Factor: criticalityFactors[a.Criticality], Reason: "criticality " + a.Criticality, Object: "/assets/" + a.ID}
		add("host", a.Name, worth)
		for _, address := range a.Addresses {
			add("ip", address, worth)
		}
	}
	for p, err := range w.principals.Stream(ctx, tenant, principal.Filter{Privileged: new(true)}) {
		if err != nil {
			return nil, err
		}
		add("user", p.Name, risk.Worth{Factor: privilegedFactor, Reason: "privileged account", Object: "/identities/" + p.ID})
	}
	w.known[tenant] = &knownWorth{w.now(), out}
	return out, nil
}
