package framing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// UnknownEncoding is returned for a compression that Unpack does not know.
var UnknownEncoding = errors.New("unknown content encoding") //nolint:staticcheck // ST1012: reads well with its package, as fault's kinds do

// Encodings names what Unpack understands, for messages.
const Encodings = "gzip, zstd, deflate, identity"

// maxWindow bounds the memory of a zstd frame: what every level of the zstd
// tools without --long needs.
const maxWindow = 32 << 20

// Unpack returns the plain bytes of r, which is compressed as encoding says (the
// value of a Content-Encoding header). With no encoding the first bytes decide:
// gzip and zstd have signatures that no log begins with. The caller bounds how
// much it reads; Unpack bounds the memory that it takes for it.
func Unpack(r io.Reader, encoding string) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		head, err := br.Peek(4)
		switch {
		case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
			return newGzip(br)
		case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			return newZstd(br)
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		return io.NopCloser(br), nil
	case "gzip", "x-gzip":
		return newGzip(br)
	case "zstd":
		return newZstd(br)
	case "deflate":
		// The standard means zlib; some clients send bare deflate.
		head, err := br.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(head) == 2 && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			zr, err := zlib.NewReader(br)
			if err != nil {
				return nil, fmt.Errorf("read deflate header: %w", err)
			}
			return zr, nil
		}
		return flate.NewReader(br), nil
	}
	return nil, fmt.Errorf("%w %q", UnknownEncoding, encoding)
}

func newGzip(br *bufio.Reader) (io.ReadCloser, error) {
	if _, err := br.Peek(1); errors.Is(err, io.EOF) {
		return io.NopCloser(br), nil // nothing at all is an empty body, not a broken one
	}
	zr, err := gzip.NewReader(br)
	if err != nil {
		return nil, fmt.Errorf("read gzip header: %w", err)
	}
	return zr, nil
}

func newZstd(br *bufio.Reader) (io.ReadCloser, error) {
	zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(2*maxWindow))
	if err != nil {
		return nil, fmt.Errorf("read zstd header: %w", err)
	}
	return zr.IOReadCloser(), nil
}
