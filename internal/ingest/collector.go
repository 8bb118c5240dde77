package ingest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/fleet"
)

// InputCollector is the input of what collectors send.
const InputCollector = "collector"

const (
	maxBatches         = 16 // held in memory at a time
	enrolmentsEach     = 20 // a second
	maxStrangers       = 256
	maxConnectionsEach = 16
)

// Collectors is the door for agents: enrolment, renewal, heartbeats and batches, over
// connections that a Front has found to be theirs.
type Collectors struct {
	gate       *Gate
	fleet      *fleet.Service
	tenant     func(number uint32) Tenant
	log        *slog.Logger
	in         *counters
	server     *http.Server
	batches    chan struct{} // places for batches
	enrolments *rate.Limiter
	codecs     sync.Pool

	mu      sync.Mutex
	open    map[string]map[*collectorConn]struct{} // connections by collector, "" for strangers
	senders map[string]*sender
}

// NewCollectors returns the door. tenant tells what g needs to know of one.
func (g *Gate) NewCollectors(f *fleet.Service, tenant func(number uint32) Tenant, log *slog.Logger) *Collectors {
	c := &Collectors{
		gate: g, fleet: f, tenant: tenant, log: log, in: g.stats.of(InputCollector),
		batches: make(chan struct{}, maxBatches), enrolments: rate.NewLimiter(enrolmentsEach, 2*enrolmentsEach),
		open: map[string]map[*collectorConn]struct{}{}, senders: map[string]*sender{},
	}
	c.codecs.New = func() any { return new(protocol.Codec) }
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+protocol.PathEnroll, answering(c, c.enroll))
	mux.HandleFunc("POST "+protocol.PathRenew, answering(c, c.renew))
	mux.HandleFunc("POST "+protocol.PathHeartbeat, answering(c, c.heartbeat))
	mux.HandleFunc("POST "+protocol.PathBatch, answering(c, c.batch))
	mux.HandleFunc("/", answering(c, func(http.ResponseWriter, *http.Request) (*struct{}, error) {
		return nil, fault.New(fault.NotFound, "no such call: collector and server may be of different versions")
	}))
	c.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: helloTime, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ConnState: c.track,
	}
	f.OnRevoke(c.drop)
	return c
}

// TLS is what collectors are met with.
func (c *Collectors) TLS() *tls.Config {
	a := c.fleet.Authority
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocol.ALPN},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.ServerCertificate() },
		// Without one there is nothing but enrolment.
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: a.Pool(), Time: c.fleet.Now,
		SessionTicketsDisabled: true, // each connection shows its certificate anew
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol != protocol.ALPN {
				return errors.New("not a collector: it does not ask for " + protocol.ALPN)
			}
			return nil
		},
	}
}

// Serve answers the connections of l until ctx is done, and then those requests that
// have begun.
func (c *Collectors) Serve(ctx context.Context, l net.Listener) error {
	err := c.server.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return fmt.Errorf("serve collectors: %w", err)
	}
	return nil
}

// Run ends the door when ctx is done, and closes the connections of collectors that
// another process has revoked.
func (c *Collectors) Run(ctx context.Context) error {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.sweep(ctx)
		case <-ctx.Done():
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := c.server.Shutdown(drain); err != nil {
				_ = c.server.Close()
			}
			return nil
		}
	}
}

// A collectorConn is a connection whose TLS was taken off. It hides the *tls.Conn,
// of which http.Server would want a protocol that it knows.
type collectorConn struct {
	net.Conn
	id   string    // of the collector whose certificate it showed, "" for a stranger
	ends time.Time // that certificate
}

type connKey struct{}

// newCollectorConn is called after the handshake: what certificate there is was
// verified.
func newCollectorConn(conn *tls.Conn, state *tls.ConnectionState) *collectorConn {
	c := &collectorConn{Conn: conn}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		c.id, c.ends = leaf.Subject.CommonName, leaf.NotAfter
	}
	return c
}

// track knows which connections are open, and bounds them.
func (c *Collectors) track(conn net.Conn, state http.ConnState) {
	own, ok := conn.(*collectorConn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	those := c.open[own.id]
	switch state {
	case http.StateNew:
		most := maxConnectionsEach
		if own.id == "" {
			most = maxStrangers
		}
		if len(those) >= most {
			c.in.closed("too_many")
			_ = conn.Close()
			return
		}
		if those == nil {
			those = map[*collectorConn]struct{}{}
			c.open[own.id] = those
		}
		those[own] = struct{}{}
		c.in.opened(1)
	case http.StateClosed, http.StateHijacked:
		if _, ok := those[own]; !ok {
			return
		}
		c.in.opened(-1)
		if delete(those, own); len(those) == 0 {
			delete(c.open, own.id)
		}
	case http.StateActive, http.StateIdle:
	}
}

// drop closes the connections of a collector and forgets what it sent.
func (c *Collectors) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open[id] {
		c.in.closed("revoked")
		_ = conn.Close()
	}
	delete(c.senders, id)
}

// sweep drops who may not be here any more.
func (c *Collectors) sweep(ctx context.Context) {
	c.mu.Lock()
	ids := make([]string, 0, len(c.open))
	for id := range c.open {
		if id != "" {
			ids = append(ids, id)
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		if _, err := c.fleet.Admit(ctx, id); errors.Is(err, fault.Forbidden) || errors.Is(err, fault.Unauthenticated) {
			c.drop(id)
		}
	}
}

// admit tells which collector sends r.
func (c *Collectors) admit(r *http.Request) (fleet.Caller, time.Time, error) {
	conn, _ := r.Context().Value(connKey{}).(*collectorConn)
	if conn == nil || conn.id == "" {
		return fleet.Caller{}, time.Time{}, errStranger
	}
	if !c.fleet.Now().Before(conn.ends) {
		return fleet.Caller{}, time.Time{}, errEnded
	}
	caller, err := c.fleet.Admit(r.Context(), conn.id)
	if errors.Is(err, fault.Unauthenticated) || errors.Is(err, fault.Forbidden) {
		err = final{err}
	}
	return caller, conn.ends, err
}

var (
	errStranger = fault.New(fault.Unauthenticated, "show the certificate that enrolment gave")
	errEnded    = fault.New(fault.Unauthenticated, "the collector's certificate has ended: enroll again")
)

// final is a refusal that no retry cures.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

func (c *Collectors) enroll(_ http.ResponseWriter, r *http.Request) (*protocol.EnrollResponse, error) {
	if !c.enrolments.Allow() {
		return nil, fault.New(fault.Limited, "too many enrolments at once: try again")
	}
	in, err := readJSON[protocol.EnrollRequest](r)
	if err != nil {
		return nil, err
	}
	g, err := c.fleet.Enroll(r.Context(), fleet.Application{
		Token: in.Token, Request: in.CSR, Machine: fleet.Machine{Hostname: in.Hostname, OSFamily: in.OSFamily, Version: in.Version},
	})
	if err != nil {
		return nil, err
	}
	c.log.InfoContext(r.Context(), "collector enrolled", "collector", g.ID, "host", in.Hostname, "peer", peerOf(r))
	return &protocol.EnrollResponse{CollectorID: g.ID, Certificate: g.Certificate, CA: g.Authority, NotAfter: g.NotAfter}, nil
}

func (c *Collectors) renew(_ http.ResponseWriter, r *http.Request) (*protocol.RenewResponse, error) {
	caller, _, err := c.admit(r)
	if err != nil {
		return nil, err
	}
	in, err := readJSON[protocol.RenewRequest](r)
	if err != nil {
		return nil, err
	}
	g, err := c.fleet.Renew(r.Context(), caller, in.CSR)
	if err != nil {
		return nil, err
	}
	return &protocol.RenewResponse{Certificate: g.Certificate, CA: g.Authority, NotAfter: g.NotAfter}, nil
}

func (c *Collectors) heartbeat(_ http.ResponseWriter, r *http.Request) (*protocol.HeartbeatResponse, error) {
	caller, ends, err := c.admit(r)
	if err != nil {
		return nil, err
	}
	heard := c.fleet.Now()
	in, err := readJSON[protocol.Heartbeat](r)
	if err != nil {
		return nil, err
	}
	report := fleet.Report{
		Address: peerOf(r), CPUPercent: in.CPUPercent, MemoryBytes: in.MemoryBytes,
		SpoolBytes: in.SpoolBytes, SpoolRecords: in.SpoolRecords, SpoolLimit: in.SpoolLimit, OldestSpooled: in.OldestSpooled,
		ConfigRevision: in.ConfigRevision, ConfigRefused: in.ConfigRefused, ConfigError: in.ConfigError,
	}
	if in.Clock != 0 {
		report.ClockOffset = time.Unix(0, in.Clock).Sub(heard)
	}
	for i := range in.Sources {
		s := &in.Sources[i]
		report.Sources = append(report.Sources, fleet.SourceReport{
			Name: s.Name, Type: s.Type, Records: s.Records, Bytes: s.Bytes, Filtered: s.Filtered, Dropped: s.Dropped, Errors: s.Errors,
			LastError: s.LastError, LastRecord: s.LastRecord, Rate: s.Rate,
		})
	}
	answer, err := c.fleet.Heartbeat(r.Context(), caller, fleet.Machine{Hostname: in.Hostname, OSFamily: in.OSFamily, Version: in.Version}, report, ends)
	if err != nil {
		return nil, err
	}
	out := &protocol.HeartbeatResponse{
		ServerTime: c.fleet.Now().UnixNano(), IntervalSeconds: int(protocol.HeartbeatInterval / time.Second), Renew: answer.Renew,
	}
	if d := answer.Desired; d != nil {
		out.Config = &protocol.Config{Revision: strconv.FormatInt(d.Revision, 10), Files: d.Files}
		if out.Config.Files == nil {
			out.Config.Files = map[string]string{}
		}
	}
	return out, nil
}

func peerOf(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// readJSON reads the JSON body of a call. Keys that this version does not know are
// left alone: the collector may be newer.
func readJSON[T any](r *http.Request) (T, error) {
	var zero T
	if r.ContentLength > protocol.MaxMessage {
		return zero, errLongCall
	}
	body, err := io.ReadAll(&bounded{r.Body, protocol.MaxMessage})
	if errors.Is(err, errTooLarge) {
		return zero, errLongCall
	}
	if err != nil {
		return zero, fault.New(fault.Invalid, "the body ended early").Because(err)
	}
	in, err := protocol.Read[T](body)
	if err != nil {
		return zero, fault.New(fault.Invalid, "the body is not the JSON of this call").Because(err)
	}
	return in, nil
}

var errLongCall = fault.New(fault.TooLarge, "the body is larger than %d bytes", protocol.MaxMessage)

// answering makes a call of what works out its answer.
func answering[T any](c *Collectors, call func(http.ResponseWriter, *http.Request) (*T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A body that trickles is cut off; batches have their own, stricter times.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(c.gate.cfg.BodyTimeout))
		out, err := call(w, r)
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false) // configurations must not grow
		_ = enc.Encode(out)      // the collector may have left
	}
}

// refuse answers with what went wrong.
func (c *Collectors) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, retry, problem := explainToCollector(err)
	if f, ok := errors.AsType[*fault.Error](err); ok {
		problem.Message = f.Message
		if f.Field != "" {
			problem.Message = f.Field + ": " + f.Message
		}
	}
	if status == http.StatusInternalServerError {
		c.log.ErrorContext(r.Context(), "call of a collector failed", "path", r.URL.Path, "peer", peerOf(r), "err", err)
	} else {
		c.log.DebugContext(r.Context(), "collector refused", "path", r.URL.Path, "peer", peerOf(r), "status", status, "err", err)
	}
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((retry+time.Second-1)/time.Second)))
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem) // the collector may have left
}

func explainToCollector(err error) (status int, retry time.Duration, p protocol.Problem) {
	say := func(code, message string) protocol.Problem { return protocol.Problem{Code: code, Message: message} }
	over, quota := errors.AsType[overQuota](err)
	_, ended := errors.AsType[final](err)
	refused := http.StatusUnauthorized
	if errors.Is(err, fault.Forbidden) {
		refused = http.StatusForbidden
	}
	switch {
	case quota:
		return http.StatusTooManyRequests, over.wait, say("quota", "the plan's events a second are used up")
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, time.Second, say("busy", "too many batches at once")
	case ended:
		return refused, 0, say(protocol.CodeRevoked, "")
	case errors.Is(err, fault.Unauthenticated), errors.Is(err, fault.Forbidden):
		return refused, 0, say("unauthenticated", "")
	case errors.Is(err, fault.TooLarge):
		return http.StatusRequestEntityTooLarge, 0, say("too_large", "")
	case errors.Is(err, fault.Limited):
		return http.StatusTooManyRequests, time.Second, say("limited", "")
	case errors.Is(err, fault.Invalid):
		return http.StatusBadRequest, 0, say("invalid", "")
	case errors.Is(err, fault.NotFound):
		return http.StatusNotFound, 0, say("not_found", "")
	case errors.Is(err, fault.Unavailable), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, retryFull, say("unavailable", "the server cannot take it now")
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, time.Second, say("unavailable", "the call was given up")
	}
	return http.StatusInternalServerError, 0, say("internal", "server error: its log says more")
}

// hostOf chooses what stands for the sender of a chunk: the address that the
// collector saw, else the machine that the records are about.
func hostOf(ch *protocol.Chunk, caller *fleet.Caller) string {
	if a, err := parseAddr(ch.Peer); err == nil {
		return a
	}
	for _, name := range []string{ch.Host, caller.Hostname} {
		if name = strings.TrimSpace(name); name != "" && len(name) <= 253 {
			return name
		}
	}
	return ""
}
