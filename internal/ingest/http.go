package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// A Caller is an authenticated sender.
type Caller struct {
	Tenant
	Key  string // id of its API key or collector
	Peer string // its address without port; "" takes that of the connection

	Source string // what its logs are, as its token says; "" lets each door see
}

// appendTimeout bounds the wait for the queue to sync one chunk.
const appendTimeout = 30 * time.Second

// maxNotes bounds errors[] of an answer; what is beyond is in the counts only.
const maxNotes = 100

// A note tells the sender of one record that is not as it should be.
type note struct {
	Index int    `json:"index"` // of the record in the body, from 0
	Line  int    `json:"line,omitempty"`
	Error string `json:"error"`
}

// answer is the body of a 200.
type answer struct {
	Accepted int    `json:"accepted"` // records that are safe on disk
	Rejected int    `json:"rejected"` // records that were read and are not kept
	Errors   []note `json:"errors"`   // what is wrong with records, kept or not
}

// problem is the body of any other status: the API's error, and what was kept
// before it.
type problem struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Status  int    `json:"status"`
	answer
	Offset int64 `json:"offset"` // bytes of the decompressed body that the accepted records take
}

// HTTP answers POST /api/v1/ingest for a caller that may write. The body is
// NDJSON, a JSON array, concatenated JSON or text lines, as is or compressed;
// what it is, is seen from its bytes, because content types lie. Only a sender of
// framing.LinesType is taken at its word.
//
// It answers 200 with {accepted, rejected, errors[]} when every record is synced.
// Records are appended in their order while the body is read. When that stops
// half way (503 full, 413, 408, 400 for a body that cannot be read on), the answer
// states exactly what was kept: the first `accepted` records, which end at byte
// `offset` of the decompressed body. The sender resends what follows, and nothing is
// kept twice. 429 over quota comes before anything is taken.
//
// With an Idempotency-Key the whole body may be sent again: a record that stands where
// it stood before under that key makes no second event.
//
// A record that is broken JSON is kept as a line of text, one that is too long is
// kept cut; both are accepted, and named in errors[].
func (g *Gate) HTTP(w http.ResponseWriter, r *http.Request, c Caller) {
	u := &upload{gate: g, caller: c, in: g.stats.of(InputHTTP), result: make(chan taken, 1)}
	err := u.run(w, r)
	u.answer(w, r, err)
}

// An upload is one body on its way in.
type upload struct {
	gate   *Gate
	caller Caller
	in     *counters
	from   origin
	body   *timedBody

	once  string // the Idempotency-Key
	begun bool   // the plan's quota let it in
	batch *batch
	ends  []int64 // where each record of batch ends in the body
	read  int     // records read
	notes []note

	result   chan taken // of the append that is under way
	inFlight []int64    // where its records end in the body
	failed   bool       // the queue did not take it
	accepted int
	offset   int64
}

// taken is what the queue did with a chunk.
type taken struct {
	records int
	err     error
}

// overQuota stops an upload; it is worth trying again after wait.
type overQuota struct{ wait time.Duration }

func (overQuota) Error() string { return "over quota" }

var (
	errBusy     = errors.New("too many uploads at once")
	errEmpty    = errors.New("empty body")
	errTooLarge = errors.New("body over the limit")
)

func (u *upload) run(w http.ResponseWriter, r *http.Request) error {
	g := u.gate
	source, err := g.source(r.URL.Query())
	if err != nil {
		return err
	}
	if u.once, err = onceKey(r.Header); err != nil {
		return err
	}
	u.from = origin{input: InputHTTP, peer: u.caller.Peer, source: source, key: u.caller.Key}
	if u.from.peer == "" {
		u.from.peer, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	if r.ContentLength > g.cfg.MaxBody {
		return errTooLarge
	}
	if !g.enter(r.Context()) {
		return errBusy
	}
	defer func() { <-g.uploads }()
	u.in.opened(1)
	defer u.in.opened(-1)

	u.body = newTimedBody(w, r.Body, g.cfg.BodyIdle, g.cfg.BodyTimeout)
	plain, err := framing.Unpack(&bounded{u.body, g.cfg.MaxBody}, r.Header.Get("Content-Encoding"))
	if err != nil {
		return err
	}
	defer plain.Close()
	u.batch = g.pool.get()
	defer g.pool.put(u.batch)

	records := framing.NewReader(&bounded{plain, g.cfg.MaxBody})
	if r.Header.Get("Content-Type") == framing.LinesType {
		records.Lines()
	}
	err = errors.Join(u.readAll(r.Context(), records), u.wait()) // an append never outlives its request
	if err == nil && u.read == 0 && records.Blank() {
		return errEmpty
	}
	return err
}

// enter takes one of the places for uploads, waiting a little for it.
func (g *Gate) enter(ctx context.Context) bool {
	select {
	case g.uploads <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case g.uploads <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (u *upload) readAll(ctx context.Context, records *framing.Reader) error {
	for {
		rec, err := records.Next()
		switch {
		case errors.Is(err, framing.UnclosedArray):
			u.note(note{Index: u.read, Error: "the JSON array is not closed: the body may have been cut short"})
			return u.flush(ctx)
		case errors.Is(err, io.EOF):
			return u.flush(ctx)
		case err != nil:
			// What is whole is kept, then the answer says where it broke off.
			return errors.Join(u.flush(ctx), err)
		}
		id := ""
		if u.once != "" {
			id = onceID(u.once, u.read, rec.Text)
		}
		if !u.batch.fits(len(rec.Text) + len(id)) {
			if err := u.flush(ctx); err != nil {
				u.read++
				return err
			}
		}
		switch {
		case len(u.notes) == maxNotes:
		case rec.Problem != "":
			u.note(note{Index: u.read, Line: rec.Line, Error: fmt.Sprintf("%s (at byte %d of the record), kept as text", rec.Problem, rec.At)})
		case rec.Cut:
			u.note(note{Index: u.read, Line: rec.Line, Error: fmt.Sprintf("longer than %d bytes, kept cut", framing.MaxRecord)})
		}
		u.read++
		u.batch.add(rec.Text, rec.Cut)
		if id != "" {
			u.batch.name(id)
		}
		u.ends = append(u.ends, rec.End)
	}
}

func (u *upload) note(n note) {
	if len(u.notes) < maxNotes {
		u.notes = append(u.notes, n)
	}
}

// flush appends what was gathered, if quota lets it. One append is under way while the
// next chunk is read; they stay in order.
func (u *upload) flush(ctx context.Context) error {
	if err := u.wait(); err != nil {
		return err
	}
	n := u.batch.len()
	if n == 0 {
		return nil
	}
	if wait := u.gate.quotas.admit(u.caller.Tenant, n, u.begun); wait > 0 {
		u.batch.reset()
		u.ends = u.ends[:0]
		return overQuota{wait}
	}
	u.begun = true
	chunk := u.batch.chunk(u.caller.Number, u.from)
	u.inFlight = append(u.inFlight, u.ends...)
	go func() {
		// A sender that hangs up, or closes its half of the connection after the
		// body, as nc does, must not leave it open whether its records are kept.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
		defer cancel()
		n, err := u.gate.offer(ctx, u.in, chunk)
		u.result <- taken{n, err}
	}()
	u.batch.reset()
	u.ends = u.ends[:0]
	return nil
}

// wait ends the append that is under way, if any.
func (u *upload) wait() error {
	if len(u.inFlight) == 0 {
		return nil
	}
	got := <-u.result
	if got.records > 0 {
		u.accepted += got.records
		u.offset = u.inFlight[got.records-1]
	}
	left := len(u.inFlight) - got.records
	u.inFlight = u.inFlight[:0]
	if got.err == nil {
		return nil
	}
	u.failed = true
	u.gate.quotas.refund(u.caller.Tenant, left)
	if errors.Is(got.err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "the queue does not answer").Because(got.err)
	}
	return fmt.Errorf("append to queue: %w", got.err)
}

// source reads the only parameter.
func (g *Gate) source(query url.Values) (string, error) {
	for name := range query {
		if name != "source" {
			return "", fault.New(fault.Invalid, "Allowed: source").In("parameter " + strconv.Quote(name))
		}
	}
	source := strings.ToLower(query.Get("source"))
	if source == "" {
		return "", nil
	}
	bad := strings.ContainsFunc(source, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
	if bad || len(source) > 64 || len(query["source"]) > 1 {
		return "", fault.New(fault.Invalid, "Allowed: one name of at most 64 letters, digits, and the characters - _ .").In("source value")
	}
	if g.cfg.CheckSource != nil {
		if err := g.cfg.CheckSource(source); err != nil {
			return "", fault.New(fault.Invalid, "%s", err).In("source value")
		}
	}
	return source, nil
}
