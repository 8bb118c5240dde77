package evtx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestShapes(t *testing.T) {
	le := binary.LittleEndian
	for _, x := range []struct {
		name  string
		build func(b *builder)
		want  string
	}{
		{"an attribute beside a number", func(b *builder) {
			b.template(func() {
				b.element("EventID", func() { b.u8(tokenAttribute).name("Qualifiers"); b.place(0)() }, b.place(1))
			}, filled{kindUint16, []byte{0, 0x40}}, filled{kindUint16, le.AppendUint16(nil, 7045)})
		}, `{"EventID":{"#attributes":{"Qualifiers":16384},"#text":7045}}`},
		{"an attribute that is null is absent", func(b *builder) {
			b.template(func() {
				b.element("Security", func() { b.u8(tokenAttribute).name("UserID"); b.place(0)() }, nil)
				b.element("EventID", func() { b.u8(tokenAttribute).name("Qualifiers"); b.place(0)() }, b.place(1))
			}, filled{kindNull, nil}, filled{kindUint8, []byte{1}})
		}, `{"Security":null,"EventID":1}`},
		{"named and unnamed data", func(b *builder) {
			b.element("EventData", nil, func() {
				b.element("Data", b.attribute("Name", "param1"), func() { b.text("one") })
				b.element("Data", nil, func() { b.text("x") })
				b.element("Data", nil, func() { b.text("y") })
				b.element("Binary", nil, nil)
			})
		}, `{"EventData":{"param1":"one","Data":["x","y"],"Binary":null}}`},
		{"two data of one name", func(b *builder) {
			b.element("EventData", nil, func() {
				b.element("Data", b.attribute("Name", "A"), func() { b.text("1") })
				b.element("Data", b.attribute("Name", "B"), nil)
				b.element("Data", b.attribute("Name", "A"), func() { b.text("2") })
			})
		}, `{"EventData":{"A":["1","2"],"B":null}}`},
		{"user data in a value", func(b *builder) {
			inner := newBuilder()
			inner.b = slices.Clip(b.b)
			b.template(func() { b.element("UserData", nil, b.place(0)) }, filled{kindXML, nil})
			// The value must lie where it is read: write it again with its bytes.
			b.b = inner.b
			nested := func() []byte {
				c := newBuilder()
				c.b = make([]byte, len(b.b)+templateLength(b))
				start := len(c.b)
				c.u8(tokenFragment).u8(1).u8(1).u8(0)
				c.u8(tokenOpen).u32(0).name("Cleared").u8(tokenCloseOpen).text("ann").u8(tokenClose)
				c.u8(tokenEnd)
				return c.b[start:]
			}()
			b.template(func() { b.element("UserData", nil, b.place(0)) }, filled{kindXML, nested})
		}, `{"UserData":{"Cleared":"ann"}}`},
		{"texts, entities, characters", func(b *builder) {
			b.element("T", nil, func() {
				b.text("a<").u8(tokenEntity).name("amp").u8(tokenCharRef).u16('"').u8(tokenCDATA).u16(1).raw(utf16Bytes("]"))
			})
		}, `{"T":"a<&\"]"}`},
		{"values", func(b *builder) {
			b.template(func() {
				for i := range 12 {
					b.element(string(rune('a'+i)), nil, b.place(i))
				}
			},
				filled{kindHex32, le.AppendUint32(nil, 0x1410)}, filled{kindHex64, le.AppendUint64(nil, 0x8000000000000000)},
				filled{kindSID, []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}}, filled{kindBool, []byte{1, 0, 0, 0}},
				filled{kindGUID, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}, filled{kindBinary, []byte{0xca, 0xfe}},
				filled{kindFileTime, le.AppendUint64(nil, 133444736001234567)}, filled{kindInt32, []byte{0xff, 0xff, 0xff, 0xff}},
				filled{kindString | arrayBit, utf16Bytes("x\x00y\x00")}, filled{kindUint16 | arrayBit, []byte{1, 0, 2, 0}},
				filled{kindString, append(utf16Bytes("a \x01\n\"\\é"), 0x00, 0xd8)}, filled{kindString, nil})
		}, `{"a":"0x1410","b":"0x8000000000000000","c":"S-1-5-32-544","d":true,"e":"{04030201-0605-0807-090A-0B0C0D0E0F10}","f":"CAFE",` +
			`"g":"2023-11-14T22:13:20.1234567Z","h":-1,"i":["x","y"],"j":[1,2],"k":"a \u0001\n\"\\é` + "\uFFFD" + `","l":""}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			b := newBuilder()
			b.record(func() { x.build(b) })
			records, faults := readAll(t, bytes.NewReader(file(b.chunk())))
			if len(records) != 1 || len(faults) > 0 {
				t.Fatalf("%d records, faults %v", len(records), faults)
			}
			if records[0] != x.want {
				t.Errorf("got  %s\nwant %s", records[0], x.want)
			}
			if !json.Valid([]byte(records[0])) {
				t.Error("it is not valid JSON")
			}
		})
	}
}

// templateLength tells how far behind the end of b the first value of the template
// of "user data" will lie.
func templateLength(b *builder) int {
	c := newBuilder()
	c.b = append(c.b[:0], b.b...)
	c.template(func() { c.element("UserData", nil, c.place(0)) }, filled{kindXML, nil})
	return len(c.b) - len(b.b)
}

// chunkOf returns a chunk of n records that say their number.
func chunkOf(n int) []byte {
	b := newBuilder()
	for i := range n {
		b.record(func() { b.element("N", nil, func() { b.text(strings.Repeat("x", i)) }) })
	}
	return b.chunk()
}

func TestDamage(t *testing.T) {
	torn := chunkOf(5)
	copy(torn[bytes.Index(torn[chunkHeader+100:], recordStart)+chunkHeader+100:], "torn")
	inside := chunkOf(3)
	inside[chunkHeader+recordFixed+4] = 0x3f // an unknown token
	short := file(chunkOf(4))
	for _, x := range []struct {
		name    string
		data    []byte
		records int
		fault   string
	}{
		{"several chunks", file(chunkOf(2), chunkOf(3)), 5, ""},
		{"room made ahead", file(chunkOf(2), make([]byte, chunkSize), chunkOf(1)), 3, ""},
		{"a chunk that is none", file(chunkOf(2), bytes.Repeat([]byte("junk"), chunkSize/4), chunkOf(1)), 3, "chunk 1: it does not begin with ElfChnk"},
		{"a torn record", file(torn), 4, "are no record"},
		{"a record of nonsense", file(inside), 2, "record 1: unexpected token 0x3f"},
		{"cut off", short[:headerSize+chunkHeader+150], 2, "the file is cut off"},
		{"nothing but the header", file(), 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			records, faults := readAll(t, bytes.NewReader(x.data))
			if len(records) != x.records {
				t.Errorf("%d records, want %d", len(records), x.records)
			}
			all := ""
			for _, f := range faults {
				all += f.String() + "\n"
			}
			if (x.fault == "") != (all == "") || !strings.Contains(all, x.fault) {
				t.Errorf("faults %q, want %q", all, x.fault)
			}
		})
	}
	if _, err := NewReader(strings.NewReader("Nov 24 09:14:05 host sshd[1]: x")); !errors.Is(err, ErrNotEVTX) {
		t.Errorf("a text file: %v", err)
	}
	if _, err := NewReader(strings.NewReader(Magic + "x")); err == nil || errors.Is(err, ErrNotEVTX) {
		t.Errorf("a header that is cut off: %v", err)
	}
}

func TestTemplateInItself(t *testing.T) {
	b := newBuilder()
	b.record(func() {
		at := len(b.b) + 10
		b.template(func() { b.u8(tokenTemplate).u8(1).u32(7).u32(at).u32(0) })
	})
	records, faults := readAll(t, bytes.NewReader(file(b.chunk())))
	if len(records) != 0 || len(faults) != 1 || !strings.Contains(faults[0].Reason, "contains itself") {
		t.Errorf("records %v, faults %v", records, faults)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(chunkOf(3))
	b := newBuilder()
	b.record(func() {
		b.template(func() { b.element("E", b.attribute("a", "b"), b.place(0)) }, filled{kindHex32, []byte{1, 2, 3, 4}})
	})
	f.Add(b.chunk())
	if files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "sigma_evtx", "*.gz")); len(files) > 0 {
		data := recordedFile(f, files[0])
		f.Add(data[headerSize : headerSize+chunkSize])
	}
	f.Fuzz(func(t *testing.T, chunk []byte) {
		if len(chunk) < chunkHeader {
			return
		}
		copy(chunk, chunkMagic)
		records, _ := readAll(t, bytes.NewReader(file(chunk)))
		for _, r := range records {
			if !json.Valid([]byte(r)) {
				t.Errorf("not JSON: %q", r)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "sigma_evtx", "*.gz"))
	if len(files) == 0 {
		b.Skip("no shared test data beside the repository")
	}
	var all [][]byte
	for _, f := range files {
		all = append(all, recordedFile(b, f))
	}
	if _, err := os.Stat(files[0]); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	n, size := 0, 0
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(all[n%len(all)]))
		if err != nil {
			b.Fatal(err)
		}
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			size += len(rec.JSON)
		}
		n++
	}
	b.SetBytes(int64(size / n))
}
