package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// retryFull is when a sender may ask again after the queue was full.
const retryFull = 5 * time.Second

// answer tells the sender how it went. A nil err is a whole body, kept.
func (u *upload) answer(w http.ResponseWriter, r *http.Request, err error) {
	kept := answer{Accepted: u.accepted, Rejected: u.read - u.accepted, Errors: u.notes}
	if kept.Errors == nil {
		kept.Errors = []note{}
	}
	if u.body != nil {
		defer u.body.done()
	}
	if err == nil {
		u.write(r.Context(), w, http.StatusOK, kept)
		return
	}
	p, retry, reason := u.explain(r.Context(), err)
	p.answer, p.Offset = kept, u.offset
	u.in.reject(reason, kept.Rejected)
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Seconds()))))
	}
	if p.Status == http.StatusUnsupportedMediaType {
		w.Header().Set("Accept-Encoding", framing.Encodings)
	}
	if u.body != nil {
		u.body.drain()
	}
	u.write(r.Context(), w, p.Status, p)
}

// explain maps what stopped an upload to the answer, when to try again (0: not at
// all), and the reason to count its records under.
func (u *upload) explain(ctx context.Context, err error) (p problem, retry time.Duration, reason string) {
	say := func(status int, title, format string, args ...any) problem {
		return problem{Error: title, Message: fmt.Sprintf(format, args...), Status: status}
	}
	resend := "Resend what follows the accepted records"
	if over, ok := errors.AsType[overQuota](err); ok {
		return say(http.StatusTooManyRequests, "Event quota exceeded", "The plan allows %d events a second. %s after the time in Retry-After",
			u.caller.EventsPerSecond, resend), over.wait, "quota"
	}
	var f *fault.Error
	switch {
	case errors.Is(err, errBusy):
		return say(http.StatusServiceUnavailable, "Busy", "Too many uploads at once. Send again after the time in Retry-After"), time.Second, "busy"
	case errors.Is(err, fault.Unavailable):
		u.gate.cfg.Log.WarnContext(ctx, "queue takes no records, upload refused", "peer", u.from.peer, "error", err)
		why := "" // a fault's message is meant to be shown
		if errors.As(err, &f) {
			why = strings.ToUpper(f.Message[:min(1, len(f.Message))]) + f.Message[min(1, len(f.Message)):] + ". "
		}
		return say(http.StatusServiceUnavailable, "Event queue unavailable", "%s%s after the time in Retry-After", why, resend), retryFull, "queue"
	case errors.Is(err, fault.TooLarge):
		return say(http.StatusRequestEntityTooLarge, "Event too large", "The queue cannot hold the event that follows the accepted records"), 0, "too_large"
	case errors.Is(err, errTooLarge):
		return say(http.StatusRequestEntityTooLarge, "Body too large", "Allowed: %d bytes, decompressed. %s in smaller bodies",
			u.gate.cfg.MaxBody, resend), 0, "too_large"
	case errors.Is(err, errEmpty):
		return say(http.StatusBadRequest, "Empty body", "Allowed: one event or more, as NDJSON, a JSON array or text lines"), 0, "empty"
	case errors.Is(err, framing.UnknownEncoding):
		return say(http.StatusUnsupportedMediaType, "Unsupported Content-Encoding", "Allowed: %s", framing.Encodings), 0, "encoding"
	case errors.As(err, &f) && errors.Is(f.Kind, fault.Invalid):
		return say(http.StatusBadRequest, "Invalid "+f.Field, "%s", f.Message), 0, "invalid"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return say(http.StatusRequestTimeout, "Body too slow", "The body did not arrive in time. %s", resend), 0, "slow"
	case u.failed:
		u.gate.cfg.Log.ErrorContext(ctx, "append upload to queue", "peer", u.from.peer, "error", err)
		return say(http.StatusInternalServerError, "Internal error", "The records were not kept. %s", resend), 0, "internal"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return say(http.StatusBadRequest, "Incomplete body", "The body ended early. %s", resend), 0, "unreadable"
	}
	return say(http.StatusBadRequest, "Unreadable body", "The body cannot be read on, or is not compressed as it says: %s", err), 0, "unreadable"
}

func (u *upload) write(ctx context.Context, w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		u.gate.cfg.Log.ErrorContext(ctx, "encode ingest answer", "error", err)
		status, data = http.StatusInternalServerError, []byte(`{"error":"Internal error","message":"","status":500}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		u.gate.cfg.Log.DebugContext(ctx, "sender left before its answer", "peer", u.from.peer, "error", err)
	}
}
