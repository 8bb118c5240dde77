package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// Status is what a running collector says about itself.
type Status struct {
	ID             string     `json:"id"`
	Version        string     `json:"version"`
	Host           string     `json:"host"`
	Server         string     `json:"server"`
	Started        time.Time  `json:"started"`
	State          string     `json:"state"` // connected, disconnected, revoked
	LastHeartbeat  *time.Time `json:"lastHeartbeat,omitempty"`
	LastAck        *time.Time `json:"lastAck,omitempty"`
	Problems       []string   `json:"problems"` // what keeps it from working as it should
	CertificateEnd time.Time  `json:"certificateEnds"`
	ClockOffset    float64    `json:"clockOffsetSeconds"` // of this host, ahead of the server
	CPUPercent     float64    `json:"cpuPercent"`
	MemoryBytes    int64      `json:"memoryBytes"`

	SpoolBytes    int64      `json:"spoolBytes"`
	SpoolLimit    int64      `json:"spoolLimitBytes"`
	SpoolRecords  int64      `json:"spoolRecords"`
	OldestSpooled *time.Time `json:"oldestSpooled,omitempty"`

	ConfigRevision string                  `json:"configRevision"` // pushed by the server, "" for none
	Sources        []protocol.SourceReport `json:"sources"`
}

// Status tells how it goes.
func (a *Agent) Status() *Status {
	h := a.heartbeat()
	blocked := a.gather.blocked()
	id := a.id.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.report
	s := &Status{
		ID: id.ID, Version: a.o.Version, Host: h.Hostname, Server: a.config.Server, Started: a.started,
		State: "disconnected", Problems: []string{}, CertificateEnd: id.leaf.NotAfter, ClockOffset: r.offset.Seconds(), CPUPercent: r.cpu, MemoryBytes: h.MemoryBytes,
		SpoolBytes: h.SpoolBytes, SpoolLimit: h.SpoolLimit, SpoolRecords: h.SpoolRecords, OldestSpooled: h.OldestSpooled,
		ConfigRevision: h.ConfigRevision, Sources: h.Sources,
	}
	switch {
	case r.revoked:
		s.State = "revoked"
	case r.beatError == "" && time.Since(r.beat) < 2*protocol.OfflineAfter:
		s.State = "connected"
	}
	// Copies: the status is written out without the lock.
	if beat := r.beat; !beat.IsZero() {
		s.LastHeartbeat = &beat
	}
	if acked := r.acked; !acked.IsZero() {
		s.LastAck = &acked
	}
	problem := func(what, text string) {
		if text != "" {
			s.Problems = append(s.Problems, what+": "+text)
		}
	}
	problem("heartbeat", r.beatError)
	if r.sendError != r.beatError {
		problem("sending", r.sendError)
	}
	problem("spool", blocked)
	problem("configuration", a.wrong)
	if r.putAside > 0 {
		problem("sending", fmt.Sprintf("%d records that the server refused lie in the spool folder", r.putAside))
	}
	if r.offset.Abs() > maxSkew {
		problem("clock", fmt.Sprintf("%s ahead of the server's", r.offset.Round(time.Millisecond)))
	}
	return s
}

func (a *Agent) serveControl(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.Status()) // the caller may have left
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.Reload(); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(ln); err != nil && ctx.Err() == nil {
		return fmt.Errorf("answer status and reload: %w", err)
	}
	return nil
}

// ErrNotRunning is returned by Ask where no collector answers.
var ErrNotRunning = errors.New("no collector is running here")

// Ask calls a running collector: "GET" "/status" or "POST" "/reload".
func Ask(ctx context.Context, p Paths, method, path string) ([]byte, error) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialControl(ctx, p)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://collector"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("the collector of %s: %w: be root, an administrator or the collector's user", p.State, os.ErrPermission)
		}
		return nil, ErrNotRunning
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	return text, err
}
