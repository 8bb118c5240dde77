package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// Authenticate tells who shows secret, as fault.Unauthenticated where it is nobody.
type Authenticate func(ctx context.Context, secret string, from netip.Addr) (Caller, error)

// Doors speak the protocols of other products over HTTP, so that their senders need
// no change: each under a path of its own, and at the root where clients cannot be
// given a path.
type Doors struct {
	gate         *Gate
	authenticate Authenticate
	mux          *http.ServeMux
	hec          hecChannels
	journals     chan struct{} // places for streams of journald
	documents    recentIDs     // of Elasticsearch
}

// NewDoors returns the doors of g.
func NewDoors(g *Gate, authenticate Authenticate) *Doors {
	d := &Doors{gate: g, authenticate: authenticate, mux: http.NewServeMux(), journals: make(chan struct{}, maxJournals)}
	d.splunk()
	d.webhook()
	d.loki()
	d.otlp()
	d.journald()
	return d
}

// Handler serves the doors' paths and gives every other request to next.
func (d *Doors) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := d.mux.Handler(r); pattern != "" {
			d.mux.ServeHTTP(w, r)
			return
		}
		path, own := strings.CutPrefix(r.URL.Path, "/ingest/elastic")
		if own && path == "" {
			path = "/"
		}
		if h := d.elasticRoute(r, path); h != nil && (own || path != "/" || isElasticClient(r)) {
			h(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve mounts a handler at a path below a door's own, and at the root.
func (d *Doors) serve(method, door, path string, h http.HandlerFunc) {
	d.mux.HandleFunc(method+" /ingest/"+door+path, h)
	d.mux.HandleFunc(method+" "+path, h)
}

// secretOf finds the secret that r shows, in whatever way its protocol does.
func secretOf(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	switch strings.ToLower(scheme) {
	case "bearer", "splunk":
		return value
	case "basic": // the user's name says nothing
		if _, password, ok := r.BasicAuth(); ok {
			return password
		}
	case "apikey": // base64 of id:key, or the key itself
		if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
			if _, key, ok := strings.Cut(string(decoded), ":"); ok {
				return key
			}
		}
		return value
	}
	return ""
}

// admit tells who sends r.
func (d *Doors) admit(r *http.Request, secret string) (Caller, error) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	from, _ := netip.ParseAddr(host)
	c, err := d.authenticate(r.Context(), secret, from.Unmap())
	if err != nil {
		return c, err
	}
	c.Peer = host
	return c, nil
}

// read gives the unpacked body of r to do while it holds one of the places for
// uploads.
func (d *Doors) read(w http.ResponseWriter, r *http.Request, encoding string, do func(io.Reader) error) error {
	g := d.gate
	if r.ContentLength > g.cfg.MaxBody {
		return errTooLarge
	}
	if !g.enter(r.Context()) {
		return errBusy
	}
	defer func() { <-g.uploads }()
	body := newTimedBody(w, r.Body, g.cfg.BodyIdle, g.cfg.BodyTimeout)
	defer body.done()
	plain, err := framing.Unpack(&bounded{body, g.cfg.MaxBody}, encoding)
	if err != nil {
		return err
	}
	defer plain.Close()
	if err = do(&bounded{plain, g.cfg.MaxBody}); err != nil {
		body.drain()
	}
	return err
}

// intake returns an Intake for r.
func (d *Doors) intake(r *http.Request, c Caller, input string) *Intake {
	x := d.gate.newIntake(c, input)
	x.once = onceOf(r.Header)
	return x
}

// records takes everything that a framing.Reader finds in body.
func (x *Intake) records(ctx context.Context, records *framing.Reader) error {
	for {
		rec, err := records.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, framing.UnclosedArray) {
			return x.Flush(ctx)
		}
		if err != nil {
			return errors.Join(x.Flush(ctx), err)
		}
		if err := x.Add(ctx, rec.Text); err != nil {
			return err
		}
	}
}

// answerJSON writes an answer in a protocol's own form.
func (d *Doors) answerJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		d.gate.cfg.Log.ErrorContext(r.Context(), "encode answer of a door", "error", err)
		status, data = http.StatusInternalServerError, []byte("{}")
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(data) // the sender may have left
}

// refuse counts what a door did not take of x, which is nil where it came to none, and
// sets the header that says when to try again. What was kept is said in the text: few
// protocols have another place for it.
func (d *Doors) refuse(w http.ResponseWriter, r *http.Request, input string, c *Caller, x *Intake, err error) Refusal {
	p := d.gate.refusal(r.Context(), c, err)
	if x != nil {
		d.gate.stats.of(input).reject(p.reason, x.added-x.Accepted())
		if x.Accepted() > 0 {
			p.Text += fmt.Sprintf("; kept: the first %d of its records", x.Accepted())
		}
	}
	if p.Retry > 0 {
		w.Header().Set("Retry-After", p.retryAfter())
	}
	return p
}

var errNothing = fault.New(fault.Invalid, "it holds no event").In("body")
