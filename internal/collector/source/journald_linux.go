package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/valyala/fastjson"

	"github.com/kyra-mdr/kyra/internal/framing"
)

type journaldSpec struct {
	Common  `yaml:",inline"`
	Units   []string `yaml:"units"`   // default all
	Matches []string `yaml:"matches"` // FIELD=VALUE, as journalctl takes them
	Start   string   `yaml:"start"`   // of a new source: beginning (of the boot), end
	Folder  string   `yaml:"folder"`  // of journal files, where not the system's
	Program string   `yaml:"program"` // default journalctl
}

func newJournald(s *journaldSpec, _ Env) (Source, error) {
	if s.Start != "" && s.Start != "beginning" && s.Start != "end" {
		return nil, wrong("start", "is %q, allowed: beginning, end", s.Start)
	}
	if s.Program == "" {
		s.Program = "journalctl"
	}
	return &journald{s}, nil
}

// journald follows the journal with journalctl, which reads every form that
// journal files have. The cursor of the last entry is the mark.
type journald struct{ spec *journaldSpec }

const cursorMark = "cursor"

func (j *journald) arguments(cursor string) []string {
	args := []string{"--output=json", "--follow", "--all", "--no-pager", "--quiet"}
	switch {
	case cursor != "":
		args = append(args, "--after-cursor="+cursor)
	case j.spec.Start == "end":
		args = append(args, "--lines=0")
	case j.spec.Folder == "":
		args = append(args, "--boot", "--no-tail")
	default:
		args = append(args, "--no-tail")
	}
	if j.spec.Folder != "" {
		args = append(args, "--directory="+j.spec.Folder)
	}
	for _, u := range j.spec.Units {
		args = append(args, "--unit="+u)
	}
	return append(args, j.spec.Matches...)
}

// Run implements Source.
func (j *journald) Run(ctx context.Context, out Output) error {
	cmd := exec.CommandContext(ctx, j.spec.Program, j.arguments(out.Marks()[cursorMark])...) //nolint:gosec // the host's own settings
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	faults := &bounded{most: 4 << 10}
	cmd.Stderr = faults
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("follow the journal: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("follow the journal: %w", err)
	}
	copied := j.copy(ctx, pipe, out)
	if copied != nil {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil
	}
	if copied == nil {
		copied = errors.Join(err, errors.New("it ended"))
	}
	return fmt.Errorf("follow the journal: %w: %s", copied, bytes.TrimSpace(faults.b))
}

// copy puts entries as they come: as many as are there, without waiting for more.
func (j *journald) copy(ctx context.Context, in io.Reader, out Output) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var p Piece
	size := 0
	var cursor string
	for {
		line, err := readLine(r, 4*framing.MaxRecord)
		if len(line) > 0 {
			if len(p.Chunk.Records) == 0 {
				p, size = j.spec.piece("journald", ""), 0
			}
			cursor = fastjson.GetString(line, "__CURSOR")
			if len(line) > framing.MaxRecord {
				line = line[:framing.MaxRecord]
				p.Chunk.Cut = append(p.Chunk.Cut, uint32(len(p.Chunk.Records)))
			}
			p.Chunk.Records = append(p.Chunk.Records, string(line))
			size += len(line)
		}
		if len(p.Chunk.Records) > 0 && (err != nil || r.Buffered() == 0 || size >= maxPiece || len(p.Chunk.Records) >= maxPieceRecords) {
			if cursor != "" {
				p.Marks = map[string]string{cursorMark: cursor}
			}
			if err := out.Put(ctx, p); err != nil {
				return err
			}
			p = Piece{}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// readLine returns the next line without its end; what is longer than most is cut.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part[:min(len(part), most-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}
