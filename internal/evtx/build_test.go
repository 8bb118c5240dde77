package evtx

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// A builder writes the binary XML of records into a chunk.
type builder struct {
	b       []byte // the chunk so far
	records int
}

func newBuilder() *builder { return &builder{b: make([]byte, chunkHeader)} }

func (b *builder) u8(v byte) *builder { b.b = append(b.b, v); return b }
func (b *builder) u16(v int) *builder {
	b.b = binary.LittleEndian.AppendUint16(b.b, uint16(v))
	return b
}

func (b *builder) u32(v int) *builder {
	b.b = binary.LittleEndian.AppendUint32(b.b, uint32(v))
	return b
}
func (b *builder) raw(v []byte) *builder { b.b = append(b.b, v...); return b }

func utf16Bytes(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func (b *builder) name(s string) *builder {
	b.u32(len(b.b) + 4)
	return b.u32(0).u16(0).u16(len(s)).raw(utf16Bytes(s)).u16(0)
}

func (b *builder) text(s string) *builder {
	u := utf16Bytes(s)
	return b.u8(tokenValue).u8(kindString).u16(len(u) / 2).raw(u)
}

// element writes an element; attribute and content may be nil.
func (b *builder) element(name string, attribute, content func()) {
	token := byte(tokenOpen)
	if attribute != nil {
		token |= moreBit
	}
	b.u8(token).u16(0xffff).u32(0).name(name)
	if attribute != nil {
		at := len(b.b)
		b.u32(0)
		attribute()
		binary.LittleEndian.PutUint32(b.b[at:], uint32(len(b.b)-at-4))
	}
	if content == nil {
		b.u8(tokenEmpty)
		return
	}
	b.u8(tokenCloseOpen)
	content()
	b.u8(tokenClose)
}

func (b *builder) attribute(name, value string) func() {
	return func() { b.u8(tokenAttribute).name(name).text(value) }
}

func (b *builder) place(i int) func() {
	return func() { b.u8(tokenOptional).u16(i).u8(kindString) }
}

type filled struct {
	kind byte
	data []byte
}

// template writes an instance of a template that stands right here.
func (b *builder) template(content func(), values ...filled) {
	b.u8(tokenTemplate).u8(1).u32(7).u32(len(b.b) + 4)
	b.u32(0).raw(make([]byte, 16))
	at := len(b.b)
	b.u32(0).u8(tokenFragment).u8(1).u8(1).u8(0)
	content()
	b.u8(tokenEnd)
	binary.LittleEndian.PutUint32(b.b[at:], uint32(len(b.b)-at-4))
	b.u32(len(values))
	for _, v := range values {
		b.u16(len(v.data)).u8(v.kind).u8(0)
	}
	for _, v := range values {
		b.raw(v.data)
	}
}

// record writes one record.
func (b *builder) record(content func()) {
	at := len(b.b)
	b.records++
	b.u32(recordMagic).u32(0).u32(b.records).u32(0).raw(make([]byte, 8))
	b.u8(tokenFragment).u8(1).u8(1).u8(0)
	content()
	b.u8(tokenEnd)
	size := len(b.b) - at + 4
	binary.LittleEndian.PutUint32(b.b[at+4:], uint32(size))
	b.u32(size)
}

// chunk returns the whole chunk with its checksum.
func (b *builder) chunk() []byte {
	copy(b.b, chunkMagic)
	binary.LittleEndian.PutUint32(b.b[48:], uint32(len(b.b)))
	binary.LittleEndian.PutUint32(b.b[52:], crc32.ChecksumIEEE(b.b[chunkHeader:]))
	return append(b.b, make([]byte, chunkSize-len(b.b))...)
}

// file returns a file of chunks.
func file(chunks ...[]byte) []byte {
	out := append([]byte(Magic), make([]byte, headerSize-len(Magic))...)
	for _, c := range chunks {
		out = append(out, c...)
	}
	return out
}
