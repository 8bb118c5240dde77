package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/fleet"
	"github.com/kyra-mdr/kyra/internal/ingest"
)

// agents is where collectors call: the API's own port, and another one where it is
// configured.
type agents struct {
	door  *ingest.Collectors
	front *ingest.Front // of the API's port
	extra *ingest.Front // nil: there is no other
}

// openFleet needs database, gate and the API's socket.
func (s *Server) openFleet(ctx context.Context, now func() time.Time) error {
	sealer, err := s.sealer()
	if err != nil {
		return err
	}
	authority, err := fleet.OpenAuthority(ctx, s.db, sealer, now)
	if err != nil {
		return err
	}
	s.fleet = fleet.New(fleet.Config{DB: s.db, Sources: s.sources, Authority: authority, Log: s.log, Now: now})
	a := &s.agents
	a.door = s.gate.NewCollectors(s.fleet, s.tenants.ingest, s.log)
	var secure *tls.Config
	if s.cfg.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(s.cfg.TLS.Cert, s.cfg.TLS.Key)
		if err != nil {
			return fmt.Errorf("certificate of the API: %w", err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	a.front = ingest.NewFront(s.listener, a.door.TLS(), secure, false, s.log)
	if s.cfg.Collectors.Listen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Collectors.Listen)
	if err != nil {
		return fmt.Errorf("listen for collectors: %w: choose another address with collectors.listen", err)
	}
	a.extra = ingest.NewFront(l, a.door.TLS(), nil, true, s.log)
	return nil
}

func (a *agents) run(ctx context.Context) error {
	var all errgroup.Group
	fronts := []*ingest.Front{a.front}
	if a.extra != nil {
		fronts = append(fronts, a.extra)
	}
	for _, f := range fronts {
		all.Go(func() error { return f.Run(ctx) })
		all.Go(func() error { return a.door.Serve(ctx, f.Collectors()) })
	}
	all.Go(func() error { return a.door.Run(ctx) })
	return all.Wait()
}

func (a *agents) close() {
	for _, f := range []*ingest.Front{a.front, a.extra} {
		if f != nil {
			_ = f.Close() // run has closed it already
		}
	}
}

// collectorAddress is host:port that collectors reach this server by, as far as the
// server knows.
func (s *Server) collectorAddress() string {
	if s.cfg.Collectors.Address != "" {
		return s.cfg.Collectors.Address
	}
	host, port := "", ""
	if u, err := url.Parse(s.cfg.PublicURL); err == nil && u.Hostname() != "" {
		host, port = u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)])
	}
	bound := s.listener.Addr()
	if s.agents.extra != nil {
		bound, port = s.agents.extra.Collectors().Addr(), ""
	}
	boundHost, boundPort, _ := net.SplitHostPort(bound.String())
	if ip := net.ParseIP(boundHost); ip != nil && ip.IsUnspecified() {
		boundHost = "localhost"
		if name, err := os.Hostname(); err == nil {
			boundHost = name
		}
	}
	return net.JoinHostPort(cmp.Or(host, boundHost), cmp.Or(port, boundPort))
}
