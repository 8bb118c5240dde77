package evidence

import (
	"archive/zip"
	"crypto/sha256"
	"hash"
	"io"
	"strings"
)

// A container writes files one behind the other into a zip, uncompressed and without
// times: the same files give the same bytes, and none can unpack to more than it is.
type container struct {
	z       *zip.Writer
	written []fileLine // all but artifacts, which the manifest takes from the records
}

func newContainer(w io.Writer) *container { return &container{z: zip.NewWriter(w)} }

// file writes one file by write.
func (c *container) file(name string, write func(io.Writer) error) error {
	w, err := c.z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	m := &measured{w: w, sum: sha256.New()}
	if err := write(m); err != nil {
		return err
	}
	if !strings.HasPrefix(name, dirArtifacts) {
		c.written = append(c.written, fileLine{File: name, Bytes: m.n, SHA256: hexOf(m.sum.Sum(nil))})
	}
	return nil
}

func (c *container) close() error { return c.z.Close() }

// measured takes size and hash of what goes through it.
type measured struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (m *measured) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	m.sum.Write(p[:n])
	return n, err
}
