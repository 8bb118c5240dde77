package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// InputHEC is the door for what sends to Splunk's HTTP Event Collector.
const InputHEC = "hec"

func (d *Doors) splunk() {
	for _, path := range []string{"/services/collector", "/services/collector/event", "/services/collector/event/1.0"} {
		d.serve(http.MethodPost, "hec", path, d.hecEvent)
	}
	for _, path := range []string{"/services/collector/raw", "/services/collector/raw/1.0"} {
		d.serve(http.MethodPost, "hec", path, d.hecRaw)
	}
	for _, path := range []string{"/services/collector/health", "/services/collector/health/1.0"} {
		d.serve(http.MethodGet, "hec", path, func(w http.ResponseWriter, r *http.Request) {
			d.answerJSON(w, r, http.StatusOK, hecAnswer{Text: "HEC is healthy", Code: 17})
		})
	}
	d.serve(http.MethodPost, "hec", "/services/collector/ack", d.hecAck)
}

type hecAnswer struct {
	Text  string `json:"text"`
	Code  int    `json:"code"`
	AckID *int64 `json:"ackId,omitempty"`

	Invalid *int `json:"invalid-event-number,omitempty"` // from 0; those before it are kept
}

// hecChannels counts the acknowledgements of channels. They are given only when the
// events are synced, so that an id that was given is acknowledged by that alone.
type hecChannels struct {
	mu   sync.Mutex
	next map[hecChannel]int64
}

// A hecChannel is a sender's name for itself, within its tenant.
type hecChannel struct {
	tenant uint32
	name   string
}

// maxChannels bounds how many channels are counted: beyond it they begin anew.
// Their names are GUIDs; maxChannel leaves room.
const (
	maxChannels = 10_000
	maxChannel  = 128
)

func (h *hecChannels) id(channel hecChannel) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil || len(h.next) > maxChannels {
		h.next = map[hecChannel]int64{}
	}
	n := h.next[channel]
	h.next[channel] = n + 1
	return n
}

func channelOf(r *http.Request) string {
	if c := r.Header.Get("X-Splunk-Request-Channel"); c != "" {
		return c
	}
	return r.URL.Query().Get("channel")
}

func (d *Doors) hecSender(r *http.Request) (Caller, error) {
	secret := secretOf(r)
	if secret == "" {
		secret = r.URL.Query().Get("token")
	}
	return d.admit(r, secret)
}

func (d *Doors) hecRefuse(w http.ResponseWriter, r *http.Request, c *Caller, x *Intake, err error) {
	p := d.refuse(w, r, InputHEC, c, x, err)
	out := hecAnswer{Text: p.Text, Code: 6} // invalid data format
	switch {
	case errors.Is(err, errNothing):
		out = hecAnswer{Text: "No data", Code: 5}
	case p.Status == http.StatusUnauthorized:
		out = hecAnswer{Text: "Invalid token", Code: 4}
		if secretOf(r) == "" && r.URL.Query().Get("token") == "" {
			out = hecAnswer{Text: "Token is required", Code: 2}
		}
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusTooManyRequests:
		out = hecAnswer{Text: "Server is busy: " + p.Text, Code: 9}
	case p.Status == http.StatusBadRequest && x != nil:
		out.Invalid = new(x.added)
	}
	d.answerJSON(w, r, p.Status, out)
}

// take runs one request: admit, read, answer.
func (d *Doors) take(w http.ResponseWriter, r *http.Request, read func(*Intake, io.Reader) error) {
	c, err := d.hecSender(r)
	if err != nil {
		d.hecRefuse(w, r, &c, nil, err)
		return
	}
	channel := channelOf(r)
	if len(channel) > maxChannel {
		d.answerJSON(w, r, http.StatusBadRequest, hecAnswer{Text: "Invalid data channel", Code: 11})
		return
	}
	x := d.intake(r, c, InputHEC)
	defer x.end()
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error { return read(x, body) })
	if err == nil && x.added == 0 {
		err = errNothing
	}
	if err != nil {
		// No client reads how many were taken: it sends all of them again.
		d.hecRefuse(w, r, &c, x, err)
		return
	}
	out := hecAnswer{Text: "Success"}
	if channel != "" {
		out.AckID = new(d.hec.id(hecChannel{c.Number, channel}))
	}
	d.answerJSON(w, r, http.StatusOK, out)
}

// hecEvent takes JSON objects one behind the other, whatever the content type says.
// Each is kept as it came: the parser knows the envelope.
func (d *Doors) hecEvent(w http.ResponseWriter, r *http.Request) {
	d.take(w, r, func(x *Intake, body io.Reader) error {
		dec := json.NewDecoder(bufio.NewReaderSize(body, 64<<10))
		for n := 1; ; n++ {
			var event json.RawMessage
			err := dec.Decode(&event)
			if errors.Is(err, io.EOF) {
				return x.Flush(r.Context())
			}
			if err == nil && !bytes.HasPrefix(event, []byte("{")) {
				err = errors.New("it is no object")
			}
			if err != nil {
				if errors.Is(err, errTooLarge) {
					return errors.Join(x.Flush(r.Context()), err)
				}
				return errors.Join(x.Flush(r.Context()), fault.New(fault.Invalid, "event %d: %s", n, err.Error()).In("body"))
			}
			if err := x.Add(r.Context(), event); err != nil {
				return err
			}
		}
	})
}

// hecRaw takes lines; what the query says of them goes into the envelope.
func (d *Doors) hecRaw(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	about := map[string]any{}
	for _, name := range []string{"host", "source", "sourcetype", "index", "time"} {
		if v := q.Get(name); v != "" {
			about[name] = v
		}
	}
	d.take(w, r, func(x *Intake, body io.Reader) error {
		records := framing.NewReader(body)
		records.Lines()
		if len(about) == 0 {
			return x.records(r.Context(), records)
		}
		for {
			rec, err := records.Next()
			if errors.Is(err, io.EOF) {
				return x.Flush(r.Context())
			}
			if err != nil {
				return errors.Join(x.Flush(r.Context()), err)
			}
			about["event"] = strings.ToValidUTF8(string(rec.Text), "\uFFFD")
			wrapped, err := json.Marshal(about)
			if err != nil {
				return err
			}
			if err := x.Add(r.Context(), wrapped); err != nil {
				return err
			}
		}
	})
}

// hecAck answers for ids that were given: their events are synced.
func (d *Doors) hecAck(w http.ResponseWriter, r *http.Request) {
	c, err := d.hecSender(r)
	if err != nil {
		d.hecRefuse(w, r, &c, nil, err)
		return
	}
	var asked struct {
		Acks []int64 `json:"acks"`
	}
	err = d.read(w, r, r.Header.Get("Content-Encoding"), func(body io.Reader) error { return json.NewDecoder(body).Decode(&asked) })
	if err != nil || channelOf(r) == "" {
		d.answerJSON(w, r, http.StatusBadRequest, hecAnswer{Text: "Data channel is missing", Code: 10})
		return
	}
	out := map[int64]bool{}
	for _, id := range asked.Acks {
		out[id] = true
	}
	d.answerJSON(w, r, http.StatusOK, map[string]any{"acks": out})
}
