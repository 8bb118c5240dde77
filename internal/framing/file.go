package framing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kyra-mdr/kyra/internal/evtx"
)

// A FileReader reads the records of a log file, whatever it is: text, JSON or a
// Windows event log, as it is or compressed with gzip or zstd.
type FileReader struct {
	plain io.ReadCloser
	text  *Reader
	log   *evtx.Reader
	limit int
}

// NewFileReader looks at the beginning of src. Records longer than limit are cut.
func NewFileReader(src io.Reader, limit int) (*FileReader, error) {
	plain, err := Unpack(src, "")
	if err != nil {
		return nil, err
	}
	f := &FileReader{plain: plain, limit: limit}
	br := bufio.NewReader(plain)
	head, _ := br.Peek(len(evtx.Magic)) // a source that fails says so at the first record
	if string(head) != evtx.Magic {
		f.text = NewReaderLimit(br, limit)
		return f, nil
	}
	if f.log, err = evtx.NewReader(br); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return f, nil
}

// Next returns the next record, io.EOF after the last. The records of an event log
// are JSON; their Line is their number in the file.
func (f *FileReader) Next() (Record, error) {
	if f.log == nil {
		return f.text.Next()
	}
	rec, err := f.log.Next()
	if err != nil {
		return Record{}, err
	}
	out := Record{Text: rec.JSON, Line: rec.Number, Value: true}
	if len(out.Text) > f.limit {
		out.Text, out.Cut, out.Value = out.Text[:f.limit], true, false
	}
	return out, nil
}

// maxTold bounds how many faults Faults words.
const maxTold = 5

// Faults tells what of an event log could not be read, "" where that is nothing.
func (f *FileReader) Faults() string {
	if f.log == nil {
		return ""
	}
	faults, n := f.log.Faults()
	if n == 0 {
		return ""
	}
	var told []string
	for _, x := range faults[:min(len(faults), maxTold)] {
		told = append(told, x.String())
	}
	if n > maxTold {
		told = append(told, "…")
	}
	return fmt.Sprintf("%d places could not be read: %s", n, strings.Join(told, "; "))
}

// Close lets go of what unpacks the file; the source stays open.
func (f *FileReader) Close() { f.plain.Close() }
