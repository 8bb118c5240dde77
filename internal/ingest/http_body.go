package ingest

import (
	"io"
	"net/http"
	"time"
)

// A bounded reader fails with errTooLarge after left bytes, if more follow.
type bounded struct {
	src  io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		var one [1]byte
		n, err := b.src.Read(one[:])
		if n > 0 {
			return 0, errTooLarge
		}
		return 0, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.Read(p)
	b.left -= int64(n)
	return n, err
}

// A timedBody bounds how long a sender may take over its body: each pause, and
// the time that we spend waiting for it as a whole. The time in which we hold the
// sender back does not count.
type timedBody struct {
	body    io.Reader
	control *http.ResponseController
	idle    time.Duration
	left    time.Duration
}

func newTimedBody(w http.ResponseWriter, body io.Reader, idle, total time.Duration) *timedBody {
	return &timedBody{body, http.NewResponseController(w), idle, total}
}

func (b *timedBody) Read(p []byte) (int, error) {
	start := time.Now()
	// A writer without deadlines is no socket: there is nobody to wait for.
	_ = b.control.SetReadDeadline(start.Add(min(b.idle, b.left)))
	n, err := b.body.Read(p)
	b.left = max(b.left-time.Since(start), 0)
	return n, err
}

// drain reads what the sender still has on the way, within reason: many clients
// write their whole body before they look for an answer, and would see a reset
// in place of it.
func (b *timedBody) drain() {
	b.idle, b.left = min(b.idle, 5*time.Second), min(b.left, 5*time.Second)
	_, _ = io.CopyN(io.Discard, b, 8<<20)
}

// done takes the deadlines off the connection.
func (b *timedBody) done() { _ = b.control.SetReadDeadline(time.Time{}) }
