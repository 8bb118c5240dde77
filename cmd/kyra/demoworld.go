package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/app"
)

// world is what the demo's server talks to: a ticket system on this machine, and a person
// who asks for their data.
type world struct {
	tickets *http.Server
	ended   chan error
}

// openWorld starts the ticket system, connects it, and takes in the request, before
// anything is replayed.
func openWorld(ctx context.Context, s *app.Server) (*world, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &world{ended: make(chan error, 1), tickets: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a ticket that nobody reads
			w.WriteHeader(http.StatusNoContent)
		}),
	}}
	go func() { w.ended <- w.tickets.Serve(l) }()
	_, err = demoPost(ctx, s, "/api/v1/connectors", "application/json",
		[]byte(`{"name":"Ticket system of the demo","kind":"http","config":{"url":"http://`+l.Addr().String()+`","events":["incident.created"]}}`))
	if err == nil {
		_, err = demoPost(ctx, s, "/api/v1/dsr", "application/json",
			[]byte(`{"kind":"access","law":"GDPR","name":"Alice Example","identifiers":[{"type":"user","value":"alice"},{"type":"email","value":"alice@example.com"}],"channel":"e-mail"}`))
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error {
	err := w.tickets.Close()
	if served := <-w.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
