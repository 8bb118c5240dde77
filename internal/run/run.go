// Package run keeps the long-running parts of a process together and ends them
// in order. It knows nothing of what they do.
package run

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A Service works until ctx is done, finishes what it holds, and then returns nil.
type Service func(ctx context.Context) error

// Tiers runs every service and stops them tier by tier, last tier first, so
// that what accepts work ends before what finishes it. It returns when all have
// ended: nil after ctx is done, or else the first failure.
func Tiers(ctx context.Context, tiers ...[]Service) error {
	all, ctx := errgroup.WithContext(ctx)
	stop := ctx.Done()
	for _, tier := range slices.Backward(tiers) {
		tierCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stopThis, ended := stop, make(chan struct{})
		var running sync.WaitGroup
		for _, service := range tier {
			running.Add(1)
			all.Go(func() error {
				defer running.Done()
				return service(tierCtx)
			})
		}
		all.Go(func() error {
			<-stopThis
			cancel()
			running.Wait()
			close(ended)
			return nil
		})
		stop = ended
	}
	return all.Wait()
}
