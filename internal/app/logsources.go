package app

import (
	"context"
	"errors"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/source"
)

// openLogSources needs database, queue and detection.
func (s *Server) openLogSources(ctx context.Context, now func() time.Time, zone *time.Location) error {
	var err error
	s.logs, err = logsource.New(ctx, s.db, logsource.Options{
		Log: s.log, Now: now, Zone: zone, Record: s.detection.record, Alerts: s.detection.alerts, Offline: s.collectorOffline,
		Waiting: func(ctx context.Context) (bool, error) {
			messages, _, err := s.queue.Backlog(ctx)
			return messages > 0, err
		},
	})
	return err
}

// collectorOffline tells whether key is the id of a collector that is offline.
func (s *Server) collectorOffline(ctx context.Context, tenant uint32, key string) (bool, error) {
	c, err := s.sources.Get(ctx, tenant, key)
	if errors.Is(err, fault.NotFound) { // a token or a key
		return false, nil
	}
	return err == nil && c.Status == source.Offline, err
}
