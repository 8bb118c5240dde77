package pipeline

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/queue"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

const fewRule = `
title: Fewer than three in a minute
id: 6f1b5c8e-1111-4a6b-9c1d-000000000011
correlation:
  type: event_count
  rules: [refused]
  group-by: [src_ip]
  timespan: 1m
  condition: {lt: 3}
level: high
---
title: Refused
name: refused
id: 6f1b5c8e-1111-4a6b-9c1d-000000000012
logsource: {product: linux, service: sshd}
detection:
  s: {action: login, outcome: failure}
  condition: s
`

// TestWindowsEndWithoutEvents: what can only be said at the end of a window is said
// though no event comes any more, and once, whatever fails meanwhile.
func TestWindowsEndWithoutEvents(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		docs, err := sigma.Parse([]byte(fewRule))
		if err != nil {
			t.Fatal(err)
		}
		var list []detect.Rule
		for _, d := range docs {
			list = append(list, detect.Rule{Document: d, Version: 1})
		}
		set, problems := detect.Compile(list)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		b.rulesets = func(context.Context, uint32) (*detect.Ruleset, error) { return set, nil }
		b.store.noSync = true // no checkpoint: each start finds all of it again
		// It arrived an hour ago: its windows have ended, as soon as somebody looks.
		send := func(ip string, n int) {
			for i := range n {
				at := began.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
				line := fmt.Sprintf("<38>1 %s bastion sshd 1 - - Failed password for bob from %s port 22 ssh2", at, ip)
				err := b.q.Append(t.Context(), &queue.Chunk{Tenant: 1, Input: "http", Arrived: time.Now().Add(-time.Hour).UnixNano(), Records: []string{line}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		send("192.0.2.1", 2)
		send("192.0.2.2", 3)
		stop := b.start()
		b.await("the finding at the end of the window", func() bool { return b.committed()["src_ip=192.0.2.1"] == 2 })
		for range 2 {
			stop()
			stop = b.start()
			b.await("all stored", func() bool { return len(b.stored()) == 5 })
		}
		stop()
		b.store.mu.Lock()
		b.store.noSync = false
		b.store.mu.Unlock()
		stop = b.start()
		b.await("the checkpoint", func() bool {
			n, _, err := b.q.Backlog(t.Context())
			return err == nil && n == 0
		})
		stop()
		// The window without any event after it is judged too, and counts nothing.
		if got := b.committed(); got["src_ip=192.0.2.1"] != 2 || got["src_ip=192.0.2.2"] != 0 {
			t.Errorf("committed findings count %v", got)
		}
		if n := b.metrics.Unreadable.Get(); n != 0 {
			t.Errorf("%d ticks are unreadable", n)
		}
	})
}

// A tick among records leaves the archive as if it were not there.
func TestTickIsNotArchived(t *testing.T) {
	codec, err := queue.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	tick := queue.Placed{Chunk: &queue.Chunk{Input: "tick", Arrived: 9}}
	records := queue.Placed{Chunk: &queue.Chunk{Tenant: 7, Input: "http", Arrived: 5, Records: []string{"a", "b"}}}
	want := codec.Encode(nil, []queue.Placed{records})
	for _, chunks := range [][]queue.Placed{{tick, records}, {records, tick}} {
		m := queue.Message{Seq: 3, Payload: codec.Encode(nil, chunks)}
		blocks := blocksOf(codec, 1, m, chunks)
		if len(blocks) != 1 || string(blocks[0].Payload) != string(want) {
			t.Fatalf("blocks are %+v", blocks)
		}
		got := blocks[0]
		got.Payload = nil
		if want := (archive.Block{Tenant: 7, Partition: 1, Seq: 3, Records: 2, FirstArrived: 5, LastArrived: 5}); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("block is %+v", got)
		}
	}
}
