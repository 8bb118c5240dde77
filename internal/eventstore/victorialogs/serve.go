package victorialogs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlinsert/insertutil"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlselect"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/httpserver"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
	"github.com/VictoriaMetrics/metrics"
)

// PasswordEnv is the environment variable that carries the password from the
// supervisor to the node, so that no list of processes shows it.
const PasswordEnv = "KYRA_EVENTSTORE_PASSWORD"

const username = "kyra"

// ServeConfig is what a storage node of our own needs.
type ServeConfig struct {
	Addr     string // host:port to listen on
	Dir      string // data folder
	Password string // required

	MemoryBytes   int64         // bound of the engine's caches and queries, default 512 MiB
	FlushInterval time.Duration // how long rows may stay in memory, default 5 s
	MinFreeBytes  int64         // refuse rows below, default 2 GiB
}

// Serve is a stock storage node. It works until ctx is done or standard input
// ends, which is how it learns that its parent died, then writes what is in
// memory and returns. It ignores interrupts: its parent, which gets them too,
// still needs it to finish. It may be called once in a process: the engine has global
// state, and it ends the process on any fault of its storage.
func Serve(ctx context.Context, c ServeConfig) error {
	if c.Password == "" {
		return errors.New("the event store needs a password")
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = 512 << 20
	}
	if c.FlushInterval == 0 {
		c.FlushInterval = 5 * time.Second
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = 2 << 30
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the whole group may get them; the parent says when
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process
		var b [64]byte
		for {
			if _, err := os.Stdin.Read(b[:]); err != nil {
				cancel()
				return
			}
		}
	}()
	unlock, err := lock(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	for name, value := range map[string]string{
		"storageDataPath":                 c.Dir,
		"retentionPeriod":                 "100y", // KYRA drops days itself, by arrival
		"futureRetention":                 "50y",
		"memory.allowedBytes":             strconv.FormatInt(c.MemoryBytes, 10),
		"inmemoryDataFlushInterval":       c.FlushInterval.String(),
		"storage.minFreeDiskSpaceBytes":   strconv.FormatInt(c.MinFreeBytes, 10),
		"httpAuth.username":               username,
		"httpAuth.password":               c.Password,
		"internaldelete.enable":           "true",
		"defaultMsgValue":                 "",
		"loggerLevel":                     "WARN",
		"loggerMaxArgLen":                 "300",
		"http.disableResponseCompression": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			return fmt.Errorf("set up the event store: %s: %w", name, err)
		}
	}
	parseFlags()
	logger.InitNoLogFlags()
	vlstorage.Init()
	vlselect.Init()
	insertutil.SetLogRowsStorage(&vlstorage.Storage{})
	vlinsert.Init()
	addrs := []string{c.Addr}
	httpserver.Serve(addrs, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/internal/") {
			return false // nobody else has a door here
		}
		if r.URL.Path == presentNumbers {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			metrics.WritePrometheus(w, false)
			return true
		}
		return vlinsert.RequestHandler(w, r) || vlselect.RequestHandler(w, r) || vlstorage.RequestHandler(w, r)
	}, httpserver.ServeOptions{})
	<-ctx.Done()

	done := make(chan error, 1)
	go func() {
		err := httpserver.Stop(addrs)
		vlinsert.Stop()
		vlselect.Stop()
		vlstorage.Stop()
		done <- err
	}()
	stuck := time.NewTimer(30 * time.Second)
	defer stuck.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop the event store: %w", err)
		}
		return nil
	case <-stuck.C:
		return errors.New("the event store did not stop in time")
	}
}
