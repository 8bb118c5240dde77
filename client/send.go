package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/kyra-mdr/kyra/internal/framing"
)

const (
	maxBatchRecords = 5000

	// maxRecord is a little over what the server keeps of a record, so that it
	// sees, and says, that one was cut.
	maxRecord = framing.MaxRecord + 16
)

// Torn is returned by Send, with the count of what was sent, when places of a
// Windows event log could not be read; all else of it was sent.
var Torn = errors.New("the event log is damaged") //nolint:staticcheck // ST1012: reads well with its package

// Send sends the logs that src holds: text lines, NDJSON, a JSON array,
// concatenated JSON or a Windows event log (.evtx), as they are or compressed with
// gzip or zstd. source names
// their kind ("linux", "nginx"), "" lets the server see for itself. progress, if
// not nil, is called with the number of records acknowledged so far.
//
// It returns when the server has every record on disk, or with the number that it
// has and the error that stopped the rest. Over a quota, or while the server is
// full or away, it waits and sends again only what was not taken. When the
// connection breaks before the answer, nobody knows what was taken: the batch is
// sent again, so that its records may be there twice, but never not at all.
func (c *Client) Send(ctx context.Context, source string, src io.Reader, progress func(acknowledged int64)) (int64, error) {
	records, err := framing.NewFileReader(src, maxRecord)
	if err != nil {
		return 0, fmt.Errorf("read logs: %w", err)
	}
	defer records.Close()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return 0, fmt.Errorf("prepare compression: %w", err)
	}
	s := &sending{client: c, encoder: encoder, progress: progress, wait: c.newBackoff(), most: maxBatchRecords, query: url.Values{}}
	if source != "" {
		s.query.Set("source", source)
	}
	for {
		rec, err := records.Next()
		if err != nil {
			sendErr := s.flush(ctx)
			if errors.Is(err, io.EOF) || errors.Is(err, framing.UnclosedArray) {
				if torn := records.Faults(); torn != "" && sendErr == nil {
					return s.acknowledged, fmt.Errorf("%w: %s", Torn, torn)
				}
				return s.acknowledged, sendErr
			}
			return s.acknowledged, errors.Join(fmt.Errorf("read logs: %w", err), sendErr)
		}
		if !s.batch.fits(rec, c.options.BatchSize) {
			if err := s.flush(ctx); err != nil {
				return s.acknowledged, err
			}
		}
		s.batch.add(rec)
	}
}

// sending is one call of Send.
type sending struct {
	client       *Client
	encoder      *zstd.Encoder
	query        url.Values
	progress     func(int64)
	wait         *backoff
	batch        batch
	acknowledged int64
	most         int // records in one request: fewer when the quota does not take more
}

// ingested is what the server says of a batch, kept whole or in part.
type ingested struct {
	Accepted int   `json:"accepted"`
	Offset   int64 `json:"offset"` // bytes of the body that the accepted records take
}

// flush sends the batch until all of it is acknowledged.
func (s *sending) flush(ctx context.Context) error {
	for s.batch.len() > 0 {
		body, ends := s.batch.body(s.most)
		var all ingested
		err := s.client.once(ctx, request{
			method: http.MethodPost, path: "/ingest", query: s.query, contentType: s.batch.contentType(),
			body: s.encoder.EncodeAll(body, nil), encoding: "zstd",
		}, &all)
		if err == nil {
			s.most = min(2*s.most, maxBatchRecords)
			s.took(len(ends))
			continue
		}
		problem, ok := errors.AsType[*Error](err)
		var part ingested
		if ok && json.Unmarshal(problem.body, &part) == nil && part.Accepted > 0 {
			n := 0
			for n < len(ends) && int64(ends[n]) <= part.Offset {
				n++
			}
			s.took(n)
			if problem.Status == http.StatusTooManyRequests {
				s.most = max(n, 100)
			}
		}
		if err := s.wait.after(ctx, err); err != nil {
			return fmt.Errorf("send logs: %w", err)
		}
	}
	return nil
}

// took drops the first n records of the batch: they are acknowledged.
func (s *sending) took(n int) {
	if n == 0 {
		return
	}
	s.batch.drop(n)
	s.acknowledged += int64(n)
	s.wait.progress()
	if s.progress != nil {
		s.progress(s.acknowledged)
	}
}

// A batch gathers records so that the server cuts them apart as they are here. A
// body of lines does that for most; what has line feeds in it goes into a JSON
// array.
type batch struct {
	text  []byte
	ends  []int
	array bool
}

func (b *batch) len() int { return len(b.ends) }

func (b *batch) fits(rec framing.Record, size int) bool {
	return len(b.ends) == 0 || len(b.ends) < maxBatchRecords && len(b.text)+len(rec.Text) <= size && b.canHold(rec)
}

func (b *batch) canHold(rec framing.Record) bool {
	if b.array {
		return rec.Value || utf8.Valid(rec.Text)
	}
	return bytes.IndexByte(rec.Text, '\n') < 0
}

func (b *batch) contentType() string {
	if b.array {
		return "application/json"
	}
	return framing.LinesType
}

// add appends rec, which fits.
func (b *batch) add(rec framing.Record) {
	if len(b.ends) == 0 {
		b.text = b.text[:0]
		b.array = bytes.IndexByte(rec.Text, '\n') >= 0
	}
	text := rec.Text
	if b.array && !rec.Value {
		if quoted, err := json.Marshal(string(text)); err == nil {
			text = quoted
		}
	}
	b.text = append(b.text, text...)
	b.ends = append(b.ends, len(b.text))
}

// body returns the first records, at most n, as one body, and where each ends in it.
func (b *batch) body(n int) (body []byte, ends []int) {
	n = min(n, len(b.ends))
	body = make([]byte, 0, b.ends[n-1]+n+1)
	if b.array {
		body = append(body, '[')
	}
	start := 0
	for _, end := range b.ends[:n] {
		if len(ends) > 0 {
			body = append(body, b.separator())
		}
		body = append(body, b.text[start:end]...)
		ends = append(ends, len(body))
		start = end
	}
	if b.array {
		body = append(body, ']')
	}
	return body, ends
}

func (b *batch) separator() byte {
	if b.array {
		return ','
	}
	return '\n'
}

// drop takes the first n records out.
func (b *batch) drop(n int) {
	start := 0
	if n > 0 {
		start = b.ends[n-1]
	}
	b.text = append(b.text[:0], b.text[start:]...)
	kept := b.ends[:0]
	for _, end := range b.ends[n:] {
		kept = append(kept, end-start)
	}
	b.ends = kept
}
