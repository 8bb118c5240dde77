package pipeline

import (
	"context"
	"sync"
)

// A mailbox hands prepared batches on. What waits while the receiver is busy goes
// to it together, so that many small messages of the queue cost one write each to
// store and database.
type mailbox struct {
	mu     sync.Mutex
	list   []*batch
	events int
	closed bool
	some   chan struct{} // something is there, or it is closed
	room   chan struct{} // something was taken
}

// Bounds of what waits; one batch always fits.
const (
	maxWaiting       = 256
	maxWaitingEvents = 8_000
)

func newMailbox() *mailbox {
	return &mailbox{some: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits for room and leaves b.
func (m *mailbox) put(ctx context.Context, b *batch) error {
	for {
		m.mu.Lock()
		if len(m.list) == 0 || len(m.list) < maxWaiting && m.events+len(b.events) <= maxWaitingEvents {
			m.list = append(m.list, b)
			m.events += len(b.events)
			m.mu.Unlock()
			signal(m.some)
			return nil
		}
		m.mu.Unlock()
		select {
		case <-m.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// close tells that nothing more comes.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	signal(m.some)
}

// take waits for batches and returns all that are there, in order; none when the
// mailbox is closed and empty, or ctx is done.
func (m *mailbox) take(ctx context.Context) []*batch {
	for {
		m.mu.Lock()
		list, closed := m.list, m.closed
		m.list, m.events = nil, 0
		m.mu.Unlock()
		if len(list) > 0 || closed {
			signal(m.room)
			return list
		}
		select {
		case <-m.some:
		case <-ctx.Done():
			return nil
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
