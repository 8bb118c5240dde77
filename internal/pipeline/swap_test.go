package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// rulesWith returns the rules of the test and n others, in a set of its own.
func rulesWith(t *testing.T, n int, sample []event.Event) *detect.Ruleset {
	t.Helper()
	text := testRule + `---
title: Each refused login
id: 6f1b5c8e-1111-4a6b-9c1d-000000000003
logsource: {product: linux, service: sshd}
detection:
  s: {action: login, outcome: failure}
  condition: s
kyra: {entity: [user]}
`
	for i := range n {
		text += fmt.Sprintf("---\ntitle: Other %d\nid: other-%d\nlogsource: {product: linux}\ndetection:\n  s: {message|contains: 'word%d'}\n  condition: s\n", i, i, i)
	}
	docs, err := sigma.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var list []detect.Rule
	for _, d := range docs {
		list = append(list, detect.Rule{Document: d, Version: 1})
	}
	set, problems := detect.Options{Sample: sample}.Compile(list)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set
}

// TestRulesAreSwappedUnderLoad streams events from several senders while the rule set
// is changed all the time, other rules coming and going, the same rules compiled again
// and pipelines ending without a checkpoint: of the rules that stay, every event is
// found once, and correlations that began under one set go on under the next.
func TestRulesAreSwappedUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		const senders, rounds, addresses = 3, 60, 5
		var current atomic.Pointer[detect.Ruleset]
		current.Store(rulesWith(t, 0, nil))
		b.rulesets = func(context.Context, uint32) (*detect.Ruleset, error) { return current.Load(), nil }
		// Built before: the compiler must not be what the test waits for.
		var sample []event.Event
		for i := range 300 {
			e := event.Event{Tenant: 1}
			e.Add(event.Source, "sshd")
			e.Add(event.Message, fmt.Sprint("word", i%3, " of a message"))
			sample = append(sample, e)
		}
		var sets []*detect.Ruleset
		for i := range 24 {
			sets = append(sets, rulesWith(t, i%7, sample[:i*12]))
		}
		done := make(chan struct{})
		var swapper sync.WaitGroup
		var swaps atomic.Int64
		swapper.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-tick.C:
					current.Store(sets[n%len(sets)])
					swaps.Add(1)
				}
			}
		})
		stop := b.start()
		var load sync.WaitGroup
		for s := range senders {
			load.Go(func() {
				for i := range rounds {
					// One message of several addresses, in order: three in a minute each.
					var lines []string
					for a := range addresses {
						at := began.Add(time.Duration(i) * 10 * time.Second).Format(time.RFC3339)
						lines = append(lines, fmt.Sprintf("<38>1 %s bastion sshd 1 - - Failed password for user%d from 192.0.%d.%d port 22 ssh2", at, s, s, a))
					}
					err := b.q.Append(t.Context(), &queue.Chunk{Tenant: 1, Input: "http", Arrived: time.Now().UnixNano(), Records: lines})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 3 { // some in the middle end like a crash: their findings are found again under another set
			b.store.mu.Lock()
			b.store.noSync = !b.store.noSync
			b.store.mu.Unlock()
			<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond) //nolint:gosec // any moment will do
			stop()
			stop = b.start()
		}
		load.Wait()
		b.store.mu.Lock()
		b.store.noSync = false
		b.store.mu.Unlock()
		const total = senders * rounds * addresses
		b.await("all stored", func() bool { return distinct(b.stored()) == total })
		b.await("the checkpoint", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		close(done)
		swapper.Wait()
		if ids := b.stored(); len(ids) != total {
			t.Errorf("%d events stored, want %d", len(ids), total)
		}
		got := b.committed()
		for s := range senders {
			if n := got[fmt.Sprintf("user=user%d", s)]; n != rounds*addresses {
				t.Errorf("the plain rule counts %d events of sender %d, want %d", n, s, rounds*addresses)
			}
			for a := range addresses {
				if n := got[fmt.Sprintf("src_ip=192.0.%d.%d", s, a)]; n != rounds {
					t.Errorf("the correlation counts %d events of address %d of sender %d, want %d", n, a, s, rounds)
				}
			}
		}
		if len(got) != senders*(addresses+1) {
			t.Errorf("findings of %d keys", len(got))
		}
		t.Logf("%d swaps, %d events replayed, %d restarts", swaps.Load(), b.metrics.Replayed.Get(), b.metrics.Restarts.Get())
	})
}
