package app

import (
	"io"
	"time"

	"github.com/kyra-mdr/kyra/internal/asset"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/principal"
)

// observers are what looks at every event after it was parsed. Each is called for all of
// them and must cost next to nothing for what it knows.
type observers struct {
	assets     *asset.Service
	principals *principal.Service
}

// openObservers needs the database.
func (s *Server) openObservers(now func() time.Time) {
	s.observers.assets = asset.New(s.db, asset.Options{Log: s.log, Now: now})
	s.observers.principals = principal.New(s.db, principal.Options{Log: s.log, Now: now})
}

// observe is called by the pipeline for every event.
func (s *Server) observe(e *event.Event) {
	s.detection.sights.Observe(e)
	s.observers.assets.Observe(e)
	s.observers.principals.Observe(e)
	s.exposure.Observe(e)
}

func (o *observers) writeMetrics(w io.Writer) {
	o.assets.WriteMetrics(w)
	o.principals.WriteMetrics(w)
}
