package app

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore/victorialogs"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// openStore makes the event store: external nodes where the settings name some,
// else a child process that storeRun keeps alive.
func (s *Server) openStore(exe []string) error {
	common := victorialogs.Config{Logger: s.log}
	if len(s.cfg.EventStore.Nodes) > 0 {
		for _, addr := range s.cfg.EventStore.Nodes {
			common.Nodes = append(common.Nodes, victorialogs.Node{Addr: addr, Username: s.cfg.EventStore.Username, Password: string(s.cfg.EventStore.Password)})
		}
		store, err := victorialogs.New(common)
		if err != nil {
			return err
		}
		s.store = store
	} else {
		local, err := victorialogs.NewLocal(victorialogs.LocalConfig{
			Config: common, Dir: s.folder.in("events"),
			Command: append(slices.Clip(exe), "--memory", fmt.Sprint(int64(s.cfg.EventStore.Memory))),
		})
		if err != nil {
			return err
		}
		s.store, s.storeRun = local, local.Run
	}
	s.health.Add("eventstore", func(ctx context.Context) error {
		_, err := s.store.Usage(ctx)
		return err
	})
	return nil
}

// awaitStore waits until the event store answers; nil when ctx is done first.
func (s *Server) awaitStore(ctx context.Context) error {
	began := time.Now()
	for told := false; ; {
		_, err := s.store.Usage(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if !told && time.Since(began) > 5*time.Second {
			told = true
			s.log.WarnContext(ctx, "event store does not answer yet: events are taken into the queue meanwhile", "err", err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// RunEventStore is the child process: `kyra eventstore --addr … --dir …`.
func RunEventStore(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("eventstore", flag.ContinueOnError)
	c := victorialogs.ServeConfig{Password: os.Getenv(victorialogs.PasswordEnv), MinFreeBytes: 64 << 20}
	flags.StringVar(&c.Addr, "addr", "", "address to listen on")
	flags.StringVar(&c.Dir, "dir", "", "data folder")
	flags.Int64Var(&c.MemoryBytes, "memory", 0, "bound of the caches in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if c.Addr == "" || c.Dir == "" || c.Password == "" {
		return fault.New(fault.Invalid, "this command is started by kyra serve, not by people")
	}
	return victorialogs.Serve(ctx, c)
}
