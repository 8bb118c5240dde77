package victorialogs

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// LocalConfig is what a store with a node of its own needs.
type LocalConfig struct {
	Config // without Nodes

	Dir string // data folder of the node

	// Command starts the node: a program and its arguments, to which
	// "--addr HOST:PORT --dir DIR" is added. The program calls Serve with them
	// and with the password from the environment variable PasswordEnv.
	Command []string

	// SetAside, if not nil, is told of each day whose folder killed the node
	// again and again and was moved out of its way.
	SetAside func(ctx context.Context, day, folder string)
}

// Local is a Store with one node, a child process that Run keeps running. The
// engine ends its process on any fault of its storage; ours lives on.
type Local struct {
	*Store
	config   LocalConfig
	password string
	ready    chan struct{}
	once     sync.Once
	deaths   map[string]int // in a row, by the day that they name
}

// NewLocal returns a store whose node is not started yet: see Run.
func NewLocal(c LocalConfig) (*Local, error) {
	if len(c.Command) == 0 || c.Dir == "" {
		return nil, errors.New("a local event store needs a folder and a command")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the event store's folder: %w", err)
	}
	c.Dir = dir
	s, err := New(c.Config)
	if err != nil {
		return nil, err
	}
	return &Local{Store: s, config: c, password: rand.Text(), ready: make(chan struct{}), deaths: map[string]int{}}, nil
}

// Ready returns a channel that is closed when the node has answered for the
// first time.
func (l *Local) Ready() <-chan struct{} { return l.ready }

const (
	shortestWait = 100 * time.Millisecond
	longestWait  = 10 * time.Second
	healthyLife  = time.Minute
	stopTime     = 40 * time.Second
)

// Run keeps the node running until ctx is done, then lets it finish and returns
// nil. While the node is down the store answers fault.Unavailable.
func (l *Local) Run(ctx context.Context) error {
	for wait := shortestWait; ; {
		started := time.Now()
		said, err := l.live(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.lost()
		l.log.ErrorContext(ctx, "the event store died", "error", err, "lived", time.Since(started), "last_words", strings.Join(said, "\n"))
		l.blame(ctx, said)
		if time.Since(started) > healthyLife {
			wait = shortestWait
		}
		if pause(ctx, wait) != nil {
			return nil
		}
		wait = min(2*wait, longestWait)
	}
}

// live is one life of the child. It returns how it ended and what it said last.
func (l *Local) live(ctx context.Context) (said []string, err error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	args := append(l.config.Command[1:len(l.config.Command):len(l.config.Command)], "--addr", addr, "--dir", l.config.Dir)
	cmd := exec.Command(l.config.Command[0], args...) //nolint:noctx // it must outlive ctx to finish
	cmd.Env = append(os.Environ(), PasswordEnv+"="+l.password)
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the event store: %w", err)
	}
	words := newTail(l.log)
	cmd.Stderr = words
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the event store: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	life, cancel := context.WithCancel(ctx)
	defer cancel()
	n := Node{Addr: addr, Username: username, Password: l.password, Dir: l.config.Dir}
	var announce sync.WaitGroup
	announce.Go(func() {
		if l.answers(life, n) && l.SetNodes([]Node{n}) == nil {
			l.once.Do(func() { close(l.ready) })
		}
	})
	defer announce.Wait()
	select {
	case err := <-ended:
		cancel()
		if err == nil {
			err = errors.New("it ended without being told to")
		}
		return words.lines(), err
	case <-ctx.Done():
	}
	_ = stdin.Close() // tells the child to finish
	stuck := time.NewTimer(stopTime)
	defer stuck.Stop()
	select {
	case <-ended: //nolint:errcheck // how it ends after being told to is no matter
	case <-stuck.C:
		l.log.WarnContext(ctx, "the event store does not stop and is killed")
		_ = cmd.Process.Kill()
		<-ended //nolint:errcheck // it was killed
	}
	return words.lines(), nil
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port for the event store: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// answers waits until the node does, or the life is over.
func (l *Local) answers(life context.Context, n Node) bool {
	probe := &node{Node: n, base: "http://" + n.Addr}
	for life.Err() == nil {
		if _, err := l.call(life, probe, http.MethodGet, "/internal/partition/list", nil, ""); err == nil {
			return true
		}
		_ = pause(life, 5*time.Millisecond)
	}
	return false
}

var dayFolder = regexp.MustCompile(`partitions/(\d{8})/`)

// blame sets aside the day that was named in three deaths in a row.
func (l *Local) blame(ctx context.Context, said []string) {
	day := ""
	for _, line := range said {
		if strings.Contains(line, "no space left on device") {
			return
		}
		if m := dayFolder.FindStringSubmatch(line); m != nil && day == "" && (strings.Contains(line, "panic") || strings.Contains(line, "FATAL") || strings.Contains(line, "cannot")) {
			day = m[1]
		}
	}
	if day == "" {
		return
	}
	count := l.deaths[day] + 1
	clear(l.deaths)
	l.deaths[day] = count
	if count < 3 {
		return
	}
	clear(l.deaths)
	folder := filepath.Join(l.config.Dir, "set-aside", day+"-"+time.Now().UTC().Format("20060102T150405.000"))
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		l.log.ErrorContext(ctx, "a broken day cannot be set aside", "day", day, "error", err)
		return
	}
	if err := os.Rename(filepath.Join(l.config.Dir, "partitions", day), folder); err != nil {
		l.log.ErrorContext(ctx, "a broken day cannot be set aside", "day", day, "error", err)
		return
	}
	l.log.ErrorContext(ctx, "a broken day was set aside: its events are missing until they are rebuilt from the archive", "day", day, "folder", folder)
	if l.config.SetAside != nil {
		l.config.SetAside(ctx, day, folder)
	}
}

// tail logs what the child says and keeps the last of it.
type tail struct {
	pipe *io.PipeWriter
	done chan struct{}
	last []string
}

const tailLines = 60

func newTail(log *slog.Logger) *tail {
	r, w := io.Pipe()
	t := &tail{pipe: w, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		lines := bufio.NewReaderSize(r, 64<<10)
		for dying := false; ; {
			line, long, err := lines.ReadLine()
			if err != nil {
				return
			}
			text := string(line)
			for long && err == nil {
				_, long, err = lines.ReadLine()
			}
			if !dying && strings.Contains(text, "panic") { // of a death the begin says most
				dying = true
				t.last = append(t.last[:0], t.last[max(0, len(t.last)-tailLines/3):]...)
			}
			if len(t.last) == tailLines && !dying {
				t.last = append(t.last[:0], t.last[1:]...)
			}
			if len(t.last) < tailLines {
				t.last = append(t.last, text)
			}
			if !dying {
				log.Warn("the event store says", "line", text)
			}
		}
	}()
	return t
}

// Write implements io.Writer for the child's standard error.
func (t *tail) Write(p []byte) (int, error) { return t.pipe.Write(p) }

// lines returns the last lines, after the child has ended.
func (t *tail) lines() []string {
	_ = t.pipe.Close()
	<-t.done
	return t.last
}
