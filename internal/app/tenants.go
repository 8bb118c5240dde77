package app

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/ingest"
	"github.com/kyra-mdr/kyra/internal/tenant"
)

const osFamily = runtime.GOOS

func isNotFound(err error) bool { return errors.Is(err, fault.NotFound) }

// A tenantCache answers what doors ask for each chunk without asking the database.
type tenantCache struct {
	service *tenant.Service
	known   atomic.Pointer[map[uint32]tenant.Tenant]
}

func newTenantCache(ctx context.Context, service *tenant.Service) (*tenantCache, error) {
	c := &tenantCache{service: service}
	return c, c.load(ctx)
}

func (c *tenantCache) load(ctx context.Context) error {
	list, err := c.service.List(ctx)
	if err != nil {
		return err
	}
	known := make(map[uint32]tenant.Tenant, len(list))
	for _, t := range list {
		known[t.Number] = t
	}
	c.known.Store(&known)
	return nil
}

// run reads the tenants again every two seconds: commands change them too.
func (c *tenantCache) run(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			_ = c.load(ctx) // without an answer the last one stands; readiness tells of the database
		}
	}
}

func (c *tenantCache) numbers() []uint32 {
	known := *c.known.Load()
	list := make([]uint32, 0, len(known))
	for n := range known {
		list = append(list, n)
	}
	return list
}

func (c *tenantCache) ingest(number uint32) ingest.Tenant {
	t := (*c.known.Load())[number]
	return ingest.Tenant{Number: number, EventsPerSecond: t.Limits().EventsPerSecond}
}
