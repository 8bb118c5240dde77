package logsource

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// another is a second server on b's database.
func (b *bench) another() *bench {
	b.t.Helper()
	other := *b
	other.open()
	return &other
}

// minute is what Run does each minute.
func (b *bench) minute() {
	b.t.Helper()
	if err := errors.Join(b.adopt(b.t.Context()), b.Watch(b.t.Context()), b.Flush(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
}

// Two servers on one database: counts add up, and what is usual is that of the server
// that hears the source, which may change.
func TestTwoServers(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		other := b.another()
		b.learn("web1")
		if err := b.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		other.minute()
		n := b.one("web1").Events
		if got := other.one("web1"); got.Events != n || got.Limit != b.one("web1").Limit || got.Limit == 0 {
			t.Fatalf("the other server knows %+v", got)
		}
		for range 20 { // its sender goes to the other one
			b.add(time.Minute)
			other.sshd("web1")
			b.minute()
			other.minute()
		}
		if len(b.recorded)+len(other.recorded) != 0 {
			t.Errorf("a source that another server hears is told as silent: %+v %+v", b.recorded, other.recorded)
		}
		b.add(time.Second)
		b.sshd("web1") // both, in one minute
		b.add(time.Second)
		other.sshd("web1")
		for range 2 {
			b.minute()
			other.minute()
		}
		for name, s := range map[string]Source{"one": b.one("web1"), "other": other.one("web1"), "restarted": b.another().one("web1")} {
			if s.Events != n+22 {
				t.Errorf("%s server counts %d events, want %d", name, s.Events, n+22)
			}
		}
		for range 10 { // and then to nobody
			b.add(time.Minute)
			b.minute()
			other.minute()
		}
		if len(b.recorded)+len(other.recorded) != 1 || b.one("web1").Status != StatusSilent || other.one("web1").Status != StatusSilent {
			t.Errorf("told %d and %d times, it is %s and %s", len(b.recorded), len(other.recorded), b.one("web1").Status, other.one("web1").Status)
		}
	})
}

// skewed sends records whose clock is ahead of ours.
func (b *bench) skewed(host string, ahead time.Duration) {
	b.t.Helper()
	for range minSamples + 5 {
		b.add(10 * time.Second)
		b.send(1, fmt.Sprintf("<38>1 %s %s sshd 1 - - Accepted password for bob from 192.0.2.7 port 5 ssh2", b.now().Add(ahead).Format(time.RFC3339), host))
	}
	if err := b.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func TestSkewIsProposedAndDismissed(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.skewed("right", 0)
		b.skewed("fast", 40*time.Second)
		b.skewed("slow", -90*time.Second)
		if p := b.one("right").Proposals; len(p) != 0 {
			t.Errorf("a right clock: %+v", p)
		}
		for host, median := range map[string]time.Duration{"fast": -40 * time.Second, "slow": 90 * time.Second} {
			p := b.one(host).Proposals
			if len(p) != 1 || p[0].Kind != SkewProposal || p[0].State != IsOpen || (p[0].Median-median).Abs() > time.Second {
				t.Fatalf("%s: %+v", host, p)
			}
		}
		fast := b.one("fast")
		if _, err := b.Accept(t.Context(), 1, "key:x", fast.ID, fast.Proposals[0].Number); !errors.Is(err, fault.Conflict) {
			t.Errorf("a clock cannot be accepted: %v", err)
		}
		if _, err := b.Dismiss(t.Context(), 2, "key:x", fast.ID, fast.Proposals[0].Number); !errors.Is(err, fault.NotFound) {
			t.Errorf("another tenant: %v", err)
		}
		s, err := b.Dismiss(t.Context(), 1, "key:x", fast.ID, fast.Proposals[0].Number)
		if err != nil || len(s.Proposals) != 1 || s.Proposals[0].State != IsDismissed {
			t.Fatalf("%+v, %v", s, err)
		}
		if _, err := b.Dismiss(t.Context(), 1, "key:x", fast.ID, fast.Proposals[0].Number); !errors.Is(err, fault.Conflict) {
			t.Errorf("dismissed twice: %v", err)
		}
		b.skewed("fast", 40*time.Second)
		b.open()
		b.skewed("fast", 40*time.Second)
		if p := b.one("fast").Proposals; len(p) != 1 || p[0].State != IsDismissed {
			t.Errorf("it is proposed again: %+v", p)
		}
		b.skewed("slow", 0) // mended
		b.skewed("slow", 0)
		if p := b.one("slow").Proposals; len(p) != 0 {
			t.Errorf("a clock that was mended: %+v", p)
		}
	})
}

func TestOldSourcesAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		b.sshd("gone")
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.add(keepSources - time.Hour)
		b.sshd("stays")
		b.add(2 * time.Hour)
		if err := errors.Join(b.Flush(t.Context()), b.forget(t.Context())); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*bench{b, b.another()} {
			list, n, err := s.List(t.Context(), 1, Query{Size: 10})
			if err != nil || n != 1 || list[0].Host != "stays" {
				t.Errorf("%+v, %v", list, err)
			}
		}
	})
}
