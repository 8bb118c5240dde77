package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCrashResend kills a server while clients send documents under ids of their own.
// They send again whatever has no answer, and now and then what has one: each document
// must be found once in the end.
func TestCrashResend(t *testing.T) {
	kills, between, clients := 2, 1500*time.Millisecond, 3
	if os.Getenv("KYRA_TEST_CRASH") == "long" {
		kills, between = 10, 5*time.Second
	} else if testing.Short() {
		t.Skip("short")
	}
	if raceEnabled {
		kills, clients = 1, 1
	}
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, data)
	resenders := make([]resender, clients)
	for i := range resenders {
		resenders[i].name = i
	}
	for round := range kills {
		stop := make(chan struct{})
		var senders sync.WaitGroup
		for i := range resenders {
			senders.Go(func() { resenders[i].run(p, stop) })
		}
		time.Sleep(between/2 + rand.N(between))
		if round%2 == 0 {
			p.killAll()
		} else {
			p.kill()
		}
		close(stop)
		senders.Wait()
		p = startProcess(t, data)
	}
	total, conflicts, resent := 0, 0, 0
	for i := range resenders {
		r := &resenders[i]
		for len(r.open) > 0 {
			if !r.send(p, r.open[0]) {
				t.Fatal("the last resends are not taken")
			}
		}
		for n := range r.next { // and once more, all of it: none of it is an event
			r.send(p, n)
		}
		total, conflicts, resent = total+r.next*resendBatch, conflicts+r.conflicts, resent+r.resent
	}
	eventually(t, "replay", func() bool {
		return p.search("resendmark", resendStart.Format(time.RFC3339), resendStart.Add(time.Hour).Format(time.RFC3339), 1).Total >= int64(total)
	})
	p.stop()
	p = startProcess(t, data)
	found := map[string]int{}
	const slice = 100 * time.Second
	for from := resendStart; from.Before(resendStart.Add(time.Hour)); from = from.Add(slice) {
		answer := p.search("resendmark", from.Format(time.RFC3339), from.Add(slice).Format(time.RFC3339), 10_000)
		if int(answer.Total) != len(answer.Events) {
			t.Fatalf("%s: total %d but %d events", from, answer.Total, len(answer.Events))
		}
		for _, e := range answer.Events {
			found[e.Message]++
		}
	}
	p.stop()
	twice := 0
	for _, n := range found {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d kills: %d documents, %d batches sent again, %d answered 409; found %d, twice %d", kills, total, resent, conflicts, len(found), twice)
	if len(found) != total || twice > 0 || resent == 0 {
		t.Error("the promise is broken")
	}
}

const resendBatch = 20

var resendStart = time.Date(2011, 12, 10, 6, 0, 0, 0, time.UTC)

// A resender is a client that keeps what has no answer. One goroutine.
type resender struct {
	name      int
	next      int   // batch
	open      []int // batches without an answer
	resent    int   // batches that were sent again
	conflicts int
}

func (r *resender) run(p *process, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch {
		case len(r.open) > 0:
			r.resent++
			if !r.send(p, r.open[0]) {
				return
			}
		case r.next > 0 && rand.N(4) == 0: // as after an answer that got lost
			r.resent++
			if !r.send(p, rand.N(r.next)) {
				return
			}
		default:
			r.open = append(r.open, r.next)
			r.next++
			if !r.send(p, r.next-1) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// send sends a batch and reports whether it was answered as a whole.
func (r *resender) send(p *process, batch int) bool {
	var body strings.Builder
	for i := range resendBatch {
		at := resendStart.Add(time.Duration(batch)*time.Second + time.Duration(i)*time.Millisecond)
		fmt.Fprintf(&body, "{\"create\":{\"_index\":\"logs\",\"_id\":\"%d-%d-%d\"}}\n{\"@timestamp\":%q,\"message\":\"resendmark %d %d %d\"}\n",
			r.name, batch, i, at.Format(time.RFC3339Nano), r.name, batch, i)
	}
	var answer struct {
		Items []struct {
			Create struct{ Status int }
		}
	}
	status, err := p.call(http.MethodPost, "/_bulk", body.String(), &answer)
	if err != nil || status != http.StatusOK {
		return false
	}
	for _, item := range answer.Items {
		switch item.Create.Status {
		case http.StatusConflict:
			r.conflicts++
		case http.StatusCreated:
		default:
			return false
		}
	}
	if len(r.open) > 0 && r.open[0] == batch {
		r.open = r.open[1:]
	}
	return len(answer.Items) == resendBatch
}
