package ingest

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// InputJournald is the door for systemd-journal-upload.
const InputJournald = "journald"

const journalType = "application/vnd.fdo.journal"

const (
	// maxJournals bounds how many journals stream at the same time.
	maxJournals = 64

	// journalPatience is how long a stream is held back. A client that is refused
	// begins with the whole stream again, so it is refused only before its own
	// watchdog ends it, after three minutes in which it could not send.
	journalPatience = 90 * time.Second
)

func (d *Doors) journald() {
	d.serve(http.MethodPost, "journald", "/upload", d.journalTake)
}

// journalTake takes a journal as it is streamed. The client sends everything since
// the last upload that was answered well, in one body of any length: a host that
// was cut off for a week has gigabytes. So the body has no limit but that it must
// go on, and full queues hold the sender back before they refuse it.
func (d *Doors) journalTake(w http.ResponseWriter, r *http.Request) {
	c, err := d.admit(r, secretOf(r))
	if err != nil {
		d.refuseText(w, r, InputJournald, &c, nil, err)
		return
	}
	x := d.gate.newIntake(c, InputJournald)
	x.patience = journalPatience
	defer x.end()
	err = d.stream(w, r, func(body io.Reader) error { return x.journal(r.Context(), body) })
	if err != nil {
		d.refuseText(w, r, InputJournald, &c, x, err)
		return
	}
	answerText(w, http.StatusAccepted, "OK.")
}

// stream gives the unpacked body of r to do, as read does, without its bounds on
// the length and on the time as a whole.
func (d *Doors) stream(w http.ResponseWriter, r *http.Request, do func(io.Reader) error) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != journalType {
		return fault.New(fault.Invalid, "want %s", journalType).In("Content-Type")
	}
	select {
	case d.journals <- struct{}{}:
	default:
		return errBusy
	}
	defer func() { <-d.journals }()
	in := d.gate.stats.of(InputJournald)
	in.opened(1)
	defer in.opened(-1)
	body := newTimedBody(w, r.Body, d.gate.cfg.BodyIdle, math.MaxInt64)
	defer body.done()
	plain, err := framing.Unpack(body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return err
	}
	defer plain.Close()
	if err = do(plain); err != nil {
		body.drain()
	}
	return err
}

// journal takes all entries of a stream in.
func (x *Intake) journal(ctx context.Context, body io.Reader) error {
	j := newJournalReader(body)
	for {
		record, cut, err := j.next()
		if errors.Is(err, io.EOF) {
			return x.Flush(ctx)
		}
		if err != nil {
			return errors.Join(x.Flush(ctx), err)
		}
		if err := x.add(ctx, record, cut); err != nil {
			return err
		}
		// What comes slowly is not kept waiting.
		if j.in.Buffered() == 0 && time.Since(x.batch.arrived) > time.Second {
			if err := x.Flush(ctx); err != nil {
				return err
			}
		}
	}
}
