package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/kyra-mdr/kyra/internal/ingest"
	"github.com/kyra-mdr/kyra/internal/run"
)

// TestStopIsNoFailure stops the API's server many times: the stop reaches the
// listener that collectors share with it before or after the server itself.
func TestStopIsNoFailure(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for range 300 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		front := ingest.NewFront(l, nil, nil, false, log)
		s := &Server{log: log, http: &http.Server{Handler: http.NotFoundHandler()}, agents: agents{front: front}} //nolint:gosec // called by this test alone
		ctx, stop := context.WithCancel(t.Context())
		resp := make(chan error, 1)
		go func() {
			resp <- get("http://" + l.Addr().String())
			stop()
		}()
		if err := run.Tiers(ctx, []run.Service{s.serveHTTP, front.Run}); err != nil {
			t.Fatalf("stopped with %v", err)
		}
		if err := <-resp; err != nil {
			t.Fatal(err)
		}
	}
}

// TestClosedListenerIsAFailure: without a stop nobody closes the listener.
func TestClosedListenerIsAFailure(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := ingest.NewFront(l, nil, nil, false, log)
	if err := front.Close(); err != nil {
		t.Fatal(err)
	}
	s := &Server{log: log, http: &http.Server{}, agents: agents{front: front}} //nolint:gosec // nobody calls it
	if err := s.serveHTTP(t.Context()); err == nil {
		t.Error("a server without its listener says nothing")
	}
}

func get(url string) error {
	resp, err := http.Get(url) //nolint:gosec,noctx // the test's own server
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
