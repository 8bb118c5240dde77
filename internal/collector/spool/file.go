package spool

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// A file of the spool is: magic, version; uint32 length of the header; uint32
// length of the packed batch; uint32 CRC-32C over both; the header as JSON; the
// packed batch.
const (
	magic     = "KYRASPL1"
	fixedSize = len(magic) + 12
	maxHeader = 16 << 20
)

// header is what a spooled batch says beside its records.
type header struct {
	Seq     uint64            `json:"seq"`
	Made    int64             `json:"made"` // nanoseconds since 1970
	Records int               `json:"records"`
	Marks   Marks             `json:"marks,omitempty"`
	Counts  map[string]Totals `json:"counts,omitempty"`

	length int // of the header on disk, where it was read
}

var (
	errDamaged = errors.New("damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// writeFile puts a batch on disk and returns its size there.
func writeFile(path string, h *header, packed []byte) (int64, error) {
	head, err := json.Marshal(h)
	if err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	data := make([]byte, 0, fixedSize+len(head)+len(packed))
	data = append(data, magic...)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(head)))
	data = binary.LittleEndian.AppendUint32(data, uint32(len(packed)))
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, packed)
	data = binary.LittleEndian.AppendUint32(data, sum)
	data = append(data, head...)
	data = append(data, packed...)
	return int64(len(data)), WriteFile(path, data, 0o600)
}

// readHeader reads what stands before the records.
func readHeader(path string) (*header, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, _, _, err := readHead(bufio.NewReader(f))
	return h, err
}

// readHead returns the header, the length of the packed batch, and the sum so far and expected.
func readHead(r io.Reader) (h *header, packed uint32, sums [2]uint32, err error) {
	var fixed [fixedSize]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return nil, 0, sums, fmt.Errorf("%w: cut off", errDamaged)
	}
	n := binary.LittleEndian.Uint32(fixed[len(magic):])
	packed = binary.LittleEndian.Uint32(fixed[len(magic)+4:])
	if string(fixed[:len(magic)]) != magic || n > maxHeader || packed > protocol.MaxPacked {
		return nil, 0, sums, fmt.Errorf("%w: not a spooled batch", errDamaged)
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, sums, fmt.Errorf("%w: cut off", errDamaged)
	}
	h = &header{length: int(n)}
	if err := json.Unmarshal(head, h); err != nil {
		return nil, 0, sums, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return h, packed, [2]uint32{crc32.Checksum(head, castagnoli), binary.LittleEndian.Uint32(fixed[len(magic)+8:])}, nil
}

// readFile reads a whole file of the spool and checks it.
func readFile(path string) (*header, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	h, n, sums, err := readHead(f)
	if err != nil {
		return nil, nil, err
	}
	packed := make([]byte, n)
	if _, err := io.ReadFull(f, packed); err != nil {
		return nil, nil, fmt.Errorf("%w: cut off", errDamaged)
	}
	if crc32.Update(sums[0], castagnoli, packed) != sums[1] {
		return nil, nil, fmt.Errorf("%w: wrong checksum", errDamaged)
	}
	return h, packed, nil
}

// WriteFile replaces a file as a whole: after a crash there is the old one or
// the new one. When it returns nil, the new one is on disk.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh) // a full disk must not stay full of what nobody reads
		return err
	}
	return syncFolder(filepath.Dir(path))
}
