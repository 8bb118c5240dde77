package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// maxBatch is how much raw text goes into one message. JetStream syncs each
// message by itself, so what arrives while one is being synced shares the next.
const maxBatch = 1 << 20

type request struct {
	chunk *Chunk
	done  chan error
}

// An appender gathers the chunks of one partition into messages.
type appender struct {
	queue   *Queue
	subject string
	codec   *Codec
	limit   int
	waiting chan *request
	stopped chan struct{}
}

// Append puts c into its tenant's partition and returns nil once it is synced
// to disk. It fails with fault.Unavailable when the queue is full, stopping or
// gone, with fault.TooLarge when no message could hold c, and with ctx's error,
// in which case c may or may not have been kept.
func (q *Queue) Append(ctx context.Context, c *Chunk) error {
	if len(c.Records) == 0 {
		return nil
	}
	if len(c.IDs) > 0 && len(c.IDs) != len(c.Records) {
		return fmt.Errorf("chunk of %s holds %d records and %d ids", c.Input, len(c.Records), len(c.IDs))
	}
	return q.partitions[q.Partition(c.Tenant)].append(ctx, c)
}

// Tick puts a moment into a partition: a chunk without records, in its place among the
// others, so that whoever reads them again sees time pass at the same place again.
func (q *Queue) Tick(ctx context.Context, partition int, at int64) error {
	return q.partitions[partition].append(ctx, &Chunk{Input: "tick", Arrived: at})
}

func (a *appender) append(ctx context.Context, c *Chunk) error {
	r := &request{c, make(chan error, 1)}
	select {
	case a.waiting <- r:
	case <-a.stopped:
		return errStopping()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-a.stopped:
		select {
		case err := <-r.done:
			return err
		default:
			return errStopping()
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func errStopping() error {
	return fault.New(fault.Unavailable, "the server is stopping: try again in a moment")
}

// Run serves Append until ctx is done and answers what was handed in before.
func (q *Queue) Run(ctx context.Context) error {
	var all errgroup.Group
	for _, a := range q.partitions {
		all.Go(func() error {
			a.run(ctx)
			return nil
		})
	}
	return all.Wait()
}

func (a *appender) run(ctx context.Context) {
	defer close(a.stopped)
	var batch []*request
	var next *request // did not fit into the batch before
	var payload []byte
	for {
		batch = batch[:0]
		if next != nil {
			batch, next = append(batch, next), nil
		} else {
			select {
			case r := <-a.waiting:
				batch = append(batch, r)
			case <-ctx.Done():
				select {
				case r := <-a.waiting:
					batch = append(batch, r)
				default:
					return
				}
			}
		}
		size := batch[0].chunk.Size()
	gather:
		for size < a.limit {
			select {
			case r := <-a.waiting:
				if n := r.chunk.Size(); size+n > a.limit {
					next = r
					break gather
				} else {
					size += n
				}
				batch = append(batch, r)
			default:
				break gather
			}
		}
		payload = a.publish(context.WithoutCancel(ctx), batch, payload[:0])
	}
}

// publish writes one message, waits until it is synced and answers its senders.
func (a *appender) publish(ctx context.Context, batch []*request, payload []byte) []byte {
	placed := make([]Placed, len(batch))
	first := uint32(0)
	for i, r := range batch {
		placed[i] = Placed{Chunk: r.chunk, First: first}
		first += uint32(len(r.chunk.Records))
	}
	payload = a.codec.Encode(payload, placed)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := a.queue.js.Publish(ctx, a.subject, payload)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no answer within 30 s")
	}
	err = classify(err)
	for _, r := range batch {
		r.done <- err
	}
	return payload
}
