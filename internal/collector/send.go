package collector

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

const (
	firstPause  = 500 * time.Millisecond
	longPause   = time.Minute
	revokedWait = 10 * time.Minute
	maxRefusals = 6 // of one batch, which nothing but its content can explain
)

// send sends what is spooled, one batch after the other, until ctx is done.
func (a *Agent) send(ctx context.Context) error {
	wait := firstPause
	refusals := 0
	for {
		seq, packed, ok, err := a.spool.Oldest()
		switch {
		case err != nil:
			a.sending(fmt.Errorf("read the spool: %w", err))
		case !ok:
			select {
			case <-ctx.Done():
				return nil
			case <-a.spool.Filled():
			}
			continue
		case len(packed) == 0: // marks alone
			err = a.spool.Remove(seq)
		default:
			err = a.deliver(ctx, seq, packed)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			wait, refusals = firstPause, 0
			a.sending(nil)
			continue
		}
		a.sending(err)
		pause := wait/2 + rand.N(wait) //nolint:gosec // it only spreads collectors in time
		wait = min(2*wait, longPause)
		if r, ok := errors.AsType[*refusal](err); ok {
			pause = max(pause, r.after)
			if r.status == http.StatusBadRequest || r.status == http.StatusRequestEntityTooLarge {
				if refusals++; refusals >= maxRefusals {
					refusals = 0
					a.setAside(seq, err)
					continue
				}
			}
		}
		if revoked(err) {
			pause = revokedWait
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-a.poked:
			wait = firstPause
		case <-timer.C:
		}
		timer.Stop()
	}
}

// deliver sends a batch and forgets it when the server has it.
func (a *Agent) deliver(ctx context.Context, seq uint64, packed []byte) error {
	var ack protocol.Ack
	if err := a.link.Load().post(ctx, protocol.PathBatch, protocol.ContentType, packed, &ack); err != nil {
		return err
	}
	if ack.Acked < seq {
		return fmt.Errorf("the server acknowledged batch %d, not %d", ack.Acked, seq)
	}
	a.mu.Lock()
	a.report.acked = time.Now()
	a.mu.Unlock()
	return a.spool.Remove(seq)
}

// setAside takes a batch that the server will never have out of the way. It stays
// on disk and is counted as dropped.
func (a *Agent) setAside(seq uint64, why error) {
	path, records, err := a.spool.SetAside(seq)
	if err != nil {
		a.sending(err)
		return
	}
	a.mu.Lock()
	a.report.putAside += int64(records)
	a.mu.Unlock()
	a.o.Log.Error("the server refuses a batch again and again: it was put aside", "file", path, "records", records, "error", why)
}

// sending notes how it goes. Only changes are logged.
func (a *Agent) sending(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	before := a.report.sendError
	a.report.sendError = text
	a.report.revoked = revoked(err)
	a.mu.Unlock()
	switch {
	case text == before:
	case err == nil:
		a.o.Log.Info("sending goes on")
	default:
		a.o.Log.Warn("cannot send: records stay in the spool", "error", err)
	}
}
