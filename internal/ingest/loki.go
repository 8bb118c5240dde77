package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/snappy"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// InputLoki is the door for what sends to Grafana Loki.
const InputLoki = "loki"

func (d *Doors) loki() {
	d.serve(http.MethodPost, "loki", "/loki/api/v1/push", d.lokiTake)
	d.serve(http.MethodGet, "loki", "/ready", func(w http.ResponseWriter, _ *http.Request) { answerText(w, http.StatusOK, "ready") })
	d.serve(http.MethodGet, "loki", "/loki/api/v1/status/buildinfo", func(w http.ResponseWriter, r *http.Request) {
		d.answerJSON(w, r, http.StatusOK, map[string]string{"version": "3.99.0", "revision": "kyra", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""})
	})
}

// answerText writes an answer for people.
func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the sender may have left
}

// refuseText refuses in words, for protocols that have no other form.
func (d *Doors) refuseText(w http.ResponseWriter, r *http.Request, input string, c *Caller, x *Intake, err error) {
	p := d.refuse(w, r, input, c, x, err)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="KYRA ingest", charset="UTF-8"`)
	}
	answerText(w, p.Status, p.Text)
}

func (d *Doors) lokiTake(w http.ResponseWriter, r *http.Request) {
	c, err := d.admit(r, secretOf(r))
	if err != nil {
		d.refuseText(w, r, InputLoki, &c, nil, err)
		return
	}
	p := lokiPush{intake: d.intake(r, c, InputLoki)}
	defer p.intake.end()
	encoding := r.Header.Get("Content-Encoding")
	if strings.EqualFold(encoding, "snappy") {
		encoding = "" // that of the message itself
	}
	err = d.read(w, r, encoding, func(body io.Reader) error {
		text, err := readMessage(body)
		if err != nil {
			return err
		}
		if isJSON(r, text) {
			return p.json(r.Context(), text)
		}
		return p.packed(r.Context(), text)
	})
	if err != nil {
		// Nothing says which entries were taken: the client sends all of them again.
		d.refuseText(w, r, InputLoki, &c, p.intake, err)
		return
	}
	if p.faults.n > 0 {
		d.gate.stats.of(InputLoki).reject("invalid", p.faults.n)
		answerText(w, http.StatusBadRequest, fmt.Sprintf("%d entries are kept, %d are not: %s", p.intake.Accepted(), p.faults.n, p.faults.first))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// isJSON tells in which of a protocol's two forms r is. Some clients say neither.
func isJSON(r *http.Request, body []byte) bool {
	kind := r.Header.Get("Content-Type")
	switch {
	case strings.Contains(kind, "json"):
		return true
	case strings.Contains(kind, "protobuf"):
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(body, " \r\n\t"), []byte("{"))
}

// Faults are the records of a message that cannot be kept, while the others are.
type faults struct {
	n     int
	first string // where and why
}

func (f *faults) add(format string, args ...any) {
	if f.n == 0 {
		f.first = fmt.Sprintf(format, args...)
	}
	f.n++
}

// A lokiPush is one request of Loki's on its way in.
type lokiPush struct {
	intake *Intake
	faults faults
	record []byte
}

// packed takes the protobuf form, which is one snappy block.
func (p *lokiPush) packed(ctx context.Context, body []byte) error {
	if len(body) == 0 {
		return errNothing
	}
	n, err := snappy.DecodedLen(body)
	if err == nil && n > maxMessage {
		return errLongMessage
	}
	var message []byte
	if err == nil {
		message, err = snappy.Decode(nil, body)
	}
	if err != nil {
		return fault.New(fault.Invalid, "it is neither JSON nor a snappy block: %s", err.Error()).In("body")
	}
	return p.proto(ctx, message)
}

// add takes one entry in. The line is text, or as it is quoted in JSON.
func (p *lokiPush) add(ctx context.Context, e *lokiEntry) error {
	cut := false
	if e.quoted != nil {
		p.record = e.appendTo(p.record[:0], "")
		if len(p.record) > maxChunkBytes {
			e.line, e.quoted = decoded(e.quoted), nil
		}
	}
	if e.quoted == nil {
		p.record, cut = fit(p.record, e.line, e.appendTo)
	}
	if p.intake.size > maxSpread {
		return errors.Join(p.intake.Flush(ctx), errSpread)
	}
	return p.intake.add(ctx, p.record, cut)
}
