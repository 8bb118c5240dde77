package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// An Intake takes the records of one request of a door in, in order: chunk by chunk
// into the queue, each waited for. Once it has stopped, nothing behind is taken.
// One goroutine uses it.
type Intake struct {
	gate     *Gate
	caller   Caller
	in       *counters
	from     origin
	batch    *batch
	added    int
	size     int64 // bytes of the records added
	accepted int
	stopped  error

	once     string        // what its sender says that a second sending of it has too
	patience time.Duration // how long a flush waits for quota and for room in the queue
	begun    bool          // some of it was granted quota: the rest is not refused for it
	owes     bool          // the next part is granted though there is no quota
}

// newIntake returns an Intake; end gives back what it holds.
func (g *Gate) newIntake(c Caller, input string) *Intake {
	return &Intake{
		gate: g, caller: c, in: g.stats.of(input), batch: g.pool.get(),
		from: origin{input: input, peer: c.Peer, source: c.Source, key: c.Key},
	}
}

func (x *Intake) end() { x.gate.pool.put(x.batch) }

// Add takes a record in, cut at framing.MaxRecord. It fails once the intake has
// stopped.
func (x *Intake) Add(ctx context.Context, record []byte) error { return x.add(ctx, record, false) }

// add is Add of a record that may have been cut already.
func (x *Intake) add(ctx context.Context, record []byte, cut bool) error {
	id := ""
	if x.once != "" {
		id = onceID(x.once, x.added, record)
	}
	return x.addAs(ctx, record, cut, id)
}

// addAs is add of a record with an id, where that is not "".
func (x *Intake) addAs(ctx context.Context, record []byte, cut bool, id string) error {
	if x.stopped != nil {
		return x.stopped
	}
	if len(record) > framing.MaxRecord {
		record, cut = record[:framing.MaxRecord], true
	}
	if !x.batch.fits(len(record)+len(id)) || x.patience > 0 && x.slow() {
		if err := x.Flush(ctx); err != nil {
			return err
		}
	}
	x.batch.add(record, cut)
	if id != "" {
		x.batch.name(id)
	}
	x.added++
	x.size += int64(len(record))
	return nil
}

// slow reports whether more would be held back so long that a stream seems to stand.
func (x *Intake) slow() bool {
	const turn = 30 // seconds
	rate := x.caller.EventsPerSecond
	return rate > 0 && x.batch.len() >= turn*rate
}

// Flush waits until all that was added is synced. What the queue does not take stops the
// intake, once its patience is over; so does quota, but only before anything was taken.
func (x *Intake) Flush(ctx context.Context) error {
	if x.stopped != nil || x.batch.len() == 0 {
		return x.stopped
	}
	chunk := x.batch.chunk(x.caller.Number, x.from)
	x.batch.reset()
	for start := time.Now(); len(chunk.Records) > 0; {
		took, wait, err := x.offer(ctx, chunk)
		if err == nil {
			return nil
		}
		chunk = rest(chunk, took)
		over := time.Since(start)+wait > x.patience
		if _, quota := errors.AsType[overQuota](err); quota && over && x.begun {
			x.owes = true
			continue
		}
		if wait == 0 || over || !sleep(ctx, wait) {
			x.stopped = err
			return err
		}
	}
	return nil
}

// offer gives the queue as much of chunk as quota allows. It fails if that is not
// all, and says when to go on with the rest; 0: never.
func (x *Intake) offer(ctx context.Context, chunk *queue.Chunk) (took int, wait time.Duration, err error) {
	n := len(chunk.Records)
	granted := n
	if x.patience > 0 && !x.owes {
		granted, wait = x.gate.quotas.take(x.caller.Tenant, n)
	} else if wait = x.gate.quotas.admit(x.caller.Tenant, n, x.begun); wait > 0 {
		granted = 0
	}
	if granted > 0 {
		x.begun, x.owes = true, false
		// A sender that hangs up must not leave it open whether its records are kept.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
		took, err = x.gate.offer(ctx, x.in, first(chunk, granted))
		cancel()
		x.accepted += took
	}
	switch {
	case err != nil:
		x.gate.quotas.refund(x.caller.Tenant, granted-took)
		if errors.Is(err, context.DeadlineExceeded) {
			err = fault.New(fault.Unavailable, "the queue does not answer").Because(err)
		}
		wait = 0
		if errors.Is(err, fault.Unavailable) {
			wait = time.Second
		}
		return took, wait, fmt.Errorf("append to queue: %w", err)
	case granted < n:
		return took, wait, overQuota{wait}
	}
	return took, 0, nil
}

// Accepted is how many records, from the first on, are synced.
func (x *Intake) Accepted() int { return x.accepted }

// A Refusal is why a door does not take what is sent, in no protocol's own form.
type Refusal struct {
	Status int           // of HTTP
	Retry  time.Duration // when to send again; 0: not at all
	Text   string
	reason string // to count it under
}

// refusal words what stopped a door.
func (g *Gate) refusal(ctx context.Context, c *Caller, err error) Refusal {
	var f *fault.Error
	over, quota := errors.AsType[overQuota](err)
	switch {
	case quota:
		return Refusal{http.StatusTooManyRequests, over.wait, fmt.Sprintf("the plan allows %d events a second", c.EventsPerSecond), "quota"}
	case errors.Is(err, errBusy):
		return Refusal{http.StatusServiceUnavailable, time.Second, "too many uploads at once", "busy"}
	case errors.Is(err, fault.Unavailable):
		g.cfg.Log.WarnContext(ctx, "queue takes no records, sender refused", "peer", c.Peer, "error", err)
		text := "the event queue is unavailable"
		if errors.As(err, &f) {
			text = f.Message
		}
		return Refusal{http.StatusServiceUnavailable, retryFull, text, "queue"}
	case errors.Is(err, fault.Unauthenticated):
		return Refusal{http.StatusUnauthorized, 0, "missing or invalid ingest token", "unauthenticated"}
	case errors.Is(err, errLongMessage):
		return Refusal{http.StatusRequestEntityTooLarge, 0, errLongMessage.Message, "too_large"}
	case errors.Is(err, errSpread):
		return Refusal{http.StatusRequestEntityTooLarge, 0, errSpread.Message, "too_large"}
	case errors.Is(err, fault.TooLarge), errors.Is(err, errTooLarge):
		return Refusal{http.StatusRequestEntityTooLarge, 0, fmt.Sprintf("the body is larger than %d bytes, decompressed", g.cfg.MaxBody), "too_large"}
	case errors.Is(err, framing.UnknownEncoding):
		return Refusal{http.StatusUnsupportedMediaType, 0, "allowed encodings: " + framing.Encodings, "encoding"}
	case errors.As(err, &f) && errors.Is(f.Kind, fault.Invalid):
		return Refusal{http.StatusBadRequest, 0, strings.TrimSpace(f.Field + " " + f.Message), "invalid"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Refusal{http.StatusRequestTimeout, 0, "the body did not arrive in time", "slow"}
	}
	return Refusal{http.StatusBadRequest, 0, "the body cannot be read: " + err.Error(), "unreadable"}
}

// retryAfter is the header's value in seconds.
func (r *Refusal) retryAfter() string {
	return fmt.Sprint(int(math.Ceil(max(r.Retry, time.Second).Seconds())))
}
