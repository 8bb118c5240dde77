package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// A Block is what one message of the queue held of one tenant.
type Block struct {
	Tenant       uint32
	Partition    uint16
	Seq          uint64 // of the message in its partition
	Records      uint32
	FirstArrived int64 // nanoseconds since 1970
	LastArrived  int64
	Payload      []byte // as queue.Codec wrote it
}

// On disk, big endian: magic, length of the payload, partition, records, seq,
// first and last arrival, hash of the block before; the payload; SHA-256 of all
// that. The tenant is the folder's.
const (
	magic      = "KYA1"
	headerSize = 4 + 4 + 2 + 4 + 8 + 8 + 8 + sha256.Size
	maxPayload = 64 << 20
)

type hash [sha256.Size]byte

func (b *Block) size() int64 { return headerSize + int64(len(b.Payload)) + sha256.Size }

// marshal appends the block to dst and returns its hash.
func (b *Block) marshal(dst []byte, prev hash) ([]byte, hash) {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.Payload)))
	dst = binary.BigEndian.AppendUint16(dst, b.Partition)
	dst = binary.BigEndian.AppendUint32(dst, b.Records)
	dst = binary.BigEndian.AppendUint64(dst, b.Seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.FirstArrived))
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.LastArrived))
	dst = append(dst, prev[:]...)
	dst = append(dst, b.Payload...)
	sum := hash(sha256.Sum256(dst[start:]))
	return append(dst, sum[:]...), sum
}

var (
	errTorn    = errors.New("block is not complete")
	errDamaged = errors.New("block is damaged")
)

type header struct {
	Block
	prev    hash
	payload int64
}

func parseHeader(h []byte) (header, error) {
	if string(h[:4]) != magic {
		return header{}, fmt.Errorf("%w: no block begins here", errDamaged)
	}
	var x header
	x.payload = int64(binary.BigEndian.Uint32(h[4:]))
	x.Partition = binary.BigEndian.Uint16(h[8:])
	x.Records = binary.BigEndian.Uint32(h[10:])
	x.Seq = binary.BigEndian.Uint64(h[14:])
	x.FirstArrived = int64(binary.BigEndian.Uint64(h[22:]))
	x.LastArrived = int64(binary.BigEndian.Uint64(h[30:]))
	copy(x.prev[:], h[38:])
	if x.payload > maxPayload {
		return header{}, fmt.Errorf("%w: length %d", errDamaged, x.payload)
	}
	return x, nil
}

// readHeader reads the header at offset off of a file of the given size. It
// fails with errTorn when the file ends within the block, with io.EOF when the
// file ends before it.
func readHeader(r io.ReaderAt, off, size int64) (header, error) {
	if off == size {
		return header{}, io.EOF
	}
	if off+headerSize > size {
		return header{}, errTorn
	}
	var buf [headerSize]byte
	if _, err := r.ReadAt(buf[:], off); err != nil {
		return header{}, err
	}
	h, err := parseHeader(buf[:])
	if err != nil {
		return header{}, err
	}
	if off+headerSize+h.payload+sha256.Size > size {
		return header{}, errTorn
	}
	return h, nil
}

// readBlock reads the whole block at off and checks its hash.
func readBlock(r io.ReaderAt, off, size int64) (header, hash, error) {
	h, err := readHeader(r, off, size)
	if err != nil {
		return header{}, hash{}, err
	}
	if h.payload > math.MaxInt32 {
		return header{}, hash{}, errDamaged
	}
	buf := make([]byte, headerSize+h.payload+sha256.Size)
	if _, err := r.ReadAt(buf, off); err != nil {
		return header{}, hash{}, err
	}
	end := headerSize + h.payload
	sum := hash(sha256.Sum256(buf[:end]))
	if sum != hash(buf[end:]) {
		return header{}, hash{}, fmt.Errorf("%w: its hash does not fit", errDamaged)
	}
	h.Payload = buf[headerSize:end]
	return h, sum, nil
}

// misread tells whether a block at off that seems to go beyond the end of the file is one
// whose length was changed: it is all there, or another begins within it.
func misread(r io.ReaderAt, off, size int64) bool {
	rest := make([]byte, size-off)
	if _, err := r.ReadAt(rest, off); err != nil {
		return true
	}
	if n := int64(len(rest)) - headerSize - sha256.Size; n >= 0 {
		whole := slices.Clone(rest)
		binary.BigEndian.PutUint32(whole[4:], uint32(n)) //nolint:gosec // a torn block is shorter than the longest
		if _, _, err := readBlock(bytes.NewReader(whole), 0, size-off); err == nil {
			return true
		}
	}
	for at := 1; ; at++ {
		next := bytes.Index(rest[at:], []byte(magic))
		if next < 0 {
			return false
		}
		at += next
		if _, _, err := readBlock(bytes.NewReader(rest), int64(at), size-off); err == nil {
			return true
		}
	}
}
