package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kyra-mdr/kyra/internal/collector/source"
	"github.com/kyra-mdr/kyra/internal/collector/spool"
	"github.com/kyra-mdr/kyra/internal/sole"
)

// Options are what a command knows.
type Options struct {
	Paths   Paths
	Host    string // name of this host
	Version string
	Log     *slog.Logger
	Handler *LogHandler // of Log: collector.yaml sets its level and form; nil leaves Log as it is
}

// An Agent is a running collector.
type Agent struct {
	o       Options
	spool   *spool.Spool
	gather  *gather
	id      atomic.Pointer[identity]
	link    atomic.Pointer[link]
	poked   chan struct{} // the identity or the server may be another one: try at once
	renewed sync.Mutex    // one renewal at a time
	started time.Time

	reloading sync.Mutex // one change of the configuration at a time

	mu      sync.Mutex
	config  *settings
	running map[string]*running
	pushed  managed
	refused string // revision that configError is about, "" where it is about the host's own files
	wrong   string // why the newest configuration is not in force
	report  report

	sources errgroup.Group
	life    context.Context //nolint:containedctx // of the sources, which come and go
}

// report is what heartbeats and sending have shown.
type report struct {
	beat      time.Time // of the last answer to a heartbeat
	beatError string
	sendError string
	revoked   bool
	acked     time.Time
	offset    time.Duration // how far our clock is ahead of the server's
	cpu       float64
	rates     map[string]float64
	putAside  int64
	usage     time.Duration
	measured  time.Time
	totals    map[string]spool.Totals
}

var errRunning = errors.New("a collector is running in this state folder: see kyra collector status")

// Run collects and sends until ctx is done. reload may ask for a new configuration.
func Run(ctx context.Context, o Options, reload <-chan os.Signal) error {
	if err := os.MkdirAll(o.Paths.State, 0o700); err != nil {
		return fmt.Errorf("make state folder: %w", err)
	}
	lock, err := takeLock(o.Paths.lock())
	if err != nil {
		return err
	}
	defer lock.Close()
	a := &Agent{o: o, running: map[string]*running{}, started: time.Now(), poked: make(chan struct{}, 1)}
	config, err := a.firstConfig()
	if err != nil {
		return err
	}
	if a.spool, err = spool.Open(o.Paths.spool(), int64(config.Spool.MaxBytes), o.Log); err != nil {
		return err
	}
	if err := a.reidentify(config); err != nil {
		return err
	}
	a.gather = newGather(a.spool, o.Log)
	return a.run(ctx, config, reload)
}

// firstConfig reads the configuration. Pushed files that do not fit any more do not
// keep the host's own from being collected.
func (a *Agent) firstConfig() (*settings, error) {
	pushed, err := readManaged(a.o.Paths)
	if err != nil {
		a.wrong = err.Error()
	}
	config, err := load(a.o.Paths, pushed.Files, a.env())
	if err == nil {
		a.pushed = pushed
		return config, nil
	}
	own, ownErr := load(a.o.Paths, nil, a.env())
	if ownErr != nil {
		return nil, ownErr
	}
	a.wrong, a.refused = err.Error(), pushed.Revision
	a.o.Log.Error("the pushed configuration cannot be used: only the host's own sources run", "error", err)
	return own, nil
}

func (a *Agent) env() source.Env { return source.Env{Host: a.o.Host, Log: a.o.Log} }

// reidentify reads the identity and makes the link that goes with it.
func (a *Agent) reidentify(config *settings) error {
	id, err := readIdentity(a.o.Paths)
	if err != nil {
		return err
	}
	a.id.Store(id)
	if old := a.link.Swap(newLink(config.Server, id.tls(a.id.Load))); old != nil {
		old.close()
	}
	return nil
}

func (a *Agent) run(ctx context.Context, config *settings, reload <-chan os.Signal) error {
	// Sources end first, then what they put is spooled, then all else ends.
	life, endSources := context.WithCancel(ctx)
	defer endSources()
	a.life = life
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()

	var all errgroup.Group
	all.Go(func() error { return a.gather.run(work) })
	control, err := listenControl(a.o.Paths)
	if err != nil {
		endWork()
		return errors.Join(fmt.Errorf("listen for status and reload: %w", err), all.Wait())
	}
	a.apply(config)
	a.o.Log.InfoContext(ctx, "collecting", "id", a.id.Load().ID, "server", config.Server, "sources", len(config.sources))
	outer, endOuter := context.WithCancel(ctx)
	defer endOuter()
	all.Go(func() error { return a.send(outer) })
	all.Go(func() error { return a.beats(outer) })
	all.Go(func() error { return a.serveControl(outer, control) })
	all.Go(func() error {
		for {
			select {
			case <-outer.Done():
				return nil
			case <-reload:
				_ = a.Reload() // it logs
			}
		}
	})
	<-ctx.Done()
	err = a.sources.Wait()
	endWork()
	endOuter()
	return errors.Join(err, all.Wait())
}

// Reload reads the configuration again. Sources that did not change go on; where
// there is a fault, all goes on as it was.
func (a *Agent) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.mu.Lock()
	pushed := a.pushed
	a.mu.Unlock()
	config, err := load(a.o.Paths, pushed.Files, a.env())
	if err == nil {
		err = a.reidentify(config)
	}
	a.mu.Lock()
	if err != nil {
		a.wrong, a.refused = err.Error(), ""
	} else {
		a.wrong, a.refused = "", ""
		a.report.revoked = false
	}
	a.mu.Unlock()
	if err != nil {
		a.o.Log.Error("the new configuration has faults: the one before stays in force", "error", err)
		return err
	}
	a.apply(config)
	a.poke()
	a.o.Log.Info("configuration read again", "sources", len(config.sources))
	return nil
}

func (a *Agent) poke() {
	select {
	case a.poked <- struct{}{}:
	default:
	}
}

// apply stops what is not wanted any more and starts what is new. What runs as it
// should is not touched. It returns what was started.
func (a *Agent) apply(config *settings) []*running {
	if a.o.Handler != nil {
		a.o.Handler.apply(config.Log)
	}
	debug.SetMemoryLimit(int64(config.Memory))
	a.spool.SetLimit(int64(config.Spool.MaxBytes))
	wanted := map[string]*loadedSource{}
	for i := range config.sources {
		wanted[config.sources[i].name] = &config.sources[i]
	}
	a.mu.Lock()
	a.config = config
	var stop []*running
	for name, r := range a.running {
		w := wanted[name]
		if w != nil && w.text == r.text && w.common.Host == r.common.Host && config.HashKey == r.hashKey {
			delete(wanted, name)
			continue
		}
		stop = append(stop, r)
		delete(a.running, name)
	}
	a.mu.Unlock()
	for _, r := range stop {
		r.stop()
	}
	for _, r := range stop {
		<-r.ended
	}
	var started []*running
	for _, name := range sortedKeys(wanted) {
		r := &running{loadedSource: *wanted[name], agent: a, hashKey: config.HashKey, ended: make(chan struct{}), failed: make(chan struct{})}
		var ctx context.Context
		ctx, r.stop = context.WithCancel(a.life)
		a.mu.Lock()
		a.running[name] = r
		a.mu.Unlock()
		started = append(started, r)
		a.sources.Go(func() error {
			defer close(r.ended)
			r.run(ctx)
			return nil
		})
	}
	return started
}

// takeLock makes sure that one collector works in a state folder.
func takeLock(path string) (*os.File, error) {
	f, err := sole.Lock(path)
	if errors.Is(err, sole.ErrHeld) {
		return nil, errRunning
	}
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	return f, nil
}
