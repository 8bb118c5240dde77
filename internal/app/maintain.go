package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/kyra-mdr/kyra/internal/archive"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/logsource"
	"github.com/kyra-mdr/kyra/internal/pipeline"
)

// VerifyArchive checks every hash of the archive in a data folder, which may be in use.
func VerifyArchive(ctx context.Context, data string, progress func(archive.Report)) (archive.Report, error) {
	return archive.Verify(ctx, data+"/archive", progress)
}

// Reindex completes the event store from the archive. The server must be
// stopped. With fresh, the present index is set aside first, under the returned name.
func Reindex(ctx context.Context, cfg config.Config, exe []string, fresh bool, log *slog.Logger, progress func(pipeline.Progress)) (p pipeline.Progress, aside string, err error) {
	s := &Server{cfg: cfg, log: log}
	if s.folder, err = openFolder(cfg.Data); err != nil {
		return p, "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if fresh {
		aside = s.folder.in("events-" + time.Now().UTC().Format("20060102-150405"))
		if err := os.Rename(s.folder.in("events"), aside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return p, "", fmt.Errorf("set the index aside: %w", err)
		}
	}
	if err := s.openStore(exe); err != nil {
		return p, aside, err
	}
	zone, err := time.LoadLocation(cfg.Syslog.TimeZone)
	if err != nil {
		return p, aside, fmt.Errorf("syslog.time_zone: %w", err)
	}
	if s.storeRun != nil {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- s.storeRun(ctx) }()
		defer func() {
			cancel()
			err = errors.Join(err, <-done)
		}()
	}
	if err := s.awaitStore(ctx); err != nil {
		return p, aside, err
	}
	how := pipeline.Reading{Zone: zone}
	if s.db, err = OpenExisting(ctx, cfg); err == nil {
		var logs *logsource.Service
		if logs, err = logsource.New(ctx, s.db, logsource.Options{Log: log, Zone: zone}); err == nil {
			how.Settings = logs.For
		}
		if err == nil {
			how.Erased, err = s.erased()
		}
	} else if isNotFound(err) {
		log.WarnContext(ctx, "there is no database: records are read without settings of log sources", "data", cfg.Data)
		err = nil
	}
	if err != nil {
		return p, aside, err
	}
	p, err = pipeline.Reindex(ctx, s.folder.in("archive"), s.store, how, progress)
	return p, aside, err
}
