package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/framing"
)

type execSpec struct {
	Common    `yaml:",inline"`
	Command   []string      `yaml:"command"`    // program and arguments; no shell
	Interval  time.Duration `yaml:"interval"`   // from start to start; default 1m
	Timeout   time.Duration `yaml:"timeout"`    // after which it is ended; default the interval, at most 1m
	Whole     bool          `yaml:"whole"`      // the output is one record, not a record a line
	MaxOutput int           `yaml:"max_output"` // bytes of output that are read; default 1 MiB
}

func newExec(s *execSpec, _ Env) (Source, error) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return nil, wrong("command", "must name a program and its arguments, such as [/usr/bin/last, -F]")
	}
	if s.Interval == 0 {
		s.Interval = time.Minute
	}
	if s.Interval < time.Second {
		return nil, wrong("interval", "is %s, allowed: 1s or more", s.Interval)
	}
	if s.Timeout <= 0 {
		s.Timeout = min(s.Interval, time.Minute)
	}
	if s.MaxOutput <= 0 {
		s.MaxOutput = 1 << 20
	}
	s.MaxOutput = min(s.MaxOutput, 4<<20)
	return &execs{s}, nil
}

// execs runs a command again and again and takes what it writes.
type execs struct{ spec *execSpec }

// Run implements Source.
func (e *execs) Run(ctx context.Context, out Output) error {
	for {
		began := time.Now()
		text, err := e.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			out.Fault(err)
		}
		if err := e.put(ctx, out, text); err != nil {
			return err
		}
		if !pause(ctx, time.Until(began.Add(e.spec.Interval))) {
			return nil
		}
	}
}

// once runs the command and returns what it wrote, up to the bound.
func (e *execs) once(ctx context.Context) ([]byte, error) {
	name := e.spec.Command[0]
	run, cancel := context.WithTimeout(ctx, e.spec.Timeout)
	defer cancel()
	cmd := exec.CommandContext(run, name, e.spec.Command[1:]...) //nolint:gosec // that is what it is for
	cmd.WaitDelay = time.Second                                  // where a child of it holds the pipe
	output, faults := &bounded{most: e.spec.MaxOutput}, &bounded{most: 4 << 10}
	cmd.Stdout, cmd.Stderr = output, faults
	err := cmd.Run()
	switch {
	case errors.Is(run.Err(), context.DeadlineExceeded):
		return output.b, fmt.Errorf("%s: ended after %s without an end of its own: raise timeout", name, e.spec.Timeout)
	case err != nil:
		return output.b, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(faults.b))
	case output.lost > 0:
		return output.b, fmt.Errorf("%s: wrote %d bytes more than max_output", name, output.lost)
	}
	return output.b, nil
}

func (e *execs) put(ctx context.Context, out Output, text []byte) error {
	if e.spec.Whole {
		p := e.spec.piece("exec", "")
		if whole := strings.TrimSpace(string(text)); whole != "" {
			if len(whole) > framing.MaxRecord {
				whole, p.Chunk.Cut = whole[:framing.MaxRecord], []uint32{0}
			}
			p.Chunk.Records = []string{whole}
			return out.Put(ctx, p)
		}
		return nil
	}
	var c cutter
	for {
		got := c.take(text, true, true)
		if got.used == 0 {
			return nil
		}
		text = text[got.used:]
		p := e.spec.piece("exec", "")
		p.Chunk.Records, p.Chunk.Cut = got.records, got.cut
		if err := out.Put(ctx, p); err != nil {
			return err
		}
	}
}

// bounded keeps the first bytes that are written to it, and counts the others.
type bounded struct {
	b    []byte
	most int
	lost int
}

func (w *bounded) Write(p []byte) (int, error) {
	n := min(len(p), w.most-len(w.b))
	w.b = append(w.b, p[:n]...)
	w.lost += len(p) - n
	return len(p), nil
}
