package protocol

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func sample() *Batch {
	return &Batch{Seq: 7, Chunks: []Chunk{
		{Input: "file", Peer: "/var/log/auth.log", Host: "web-1", Arrived: 1_700_000_000_000_000_000, Records: []string{"a", "", "b\x00\xff"}, Cut: []uint32{0, 2}},
		{Source: "nginx", Input: "syslog-udp", Peer: "192.0.2.1", Records: []string{strings.Repeat("x", 3000)}},
	}}
}

func TestBatchRoundTrip(t *testing.T) {
	var c Codec
	for range 2 { // the second time with what the first left behind
		packed, err := c.Encode([]byte("before"), sample())
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(packed[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(sample(), got); d != "" {
			t.Error(d)
		}
	}
}

func TestBatchBounds(t *testing.T) {
	var c Codec
	for name, b := range map[string]*Batch{
		"bytes":   {Seq: 1, Chunks: []Chunk{{Records: []string{strings.Repeat("x", MaxUnpacked)}}}},
		"records": {Seq: 1, Chunks: []Chunk{{Records: make([]string, MaxRecords)}, {Records: []string{"one more"}}}},
		"chunks":  {Seq: 1, Chunks: make([]Chunk, MaxChunks+1)},
	} {
		if _, err := c.Encode(nil, b); err == nil {
			t.Errorf("%s over the bound are packed", name)
		}
		// A sender that does not keep the bounds is refused as well.
		raw, _ := b.appendPlain(nil)
		if raw == nil {
			continue
		}
		t.Errorf("%s: packed", name)
	}
}

func TestDecodeRefuses(t *testing.T) {
	enc, _ := zstd.NewWriter(nil)
	pack := func(plain string) []byte { return enc.EncodeAll([]byte(plain), []byte{batchVersion}) }
	var c Codec
	good, _ := c.Encode(nil, sample())
	for name, in := range map[string][]byte{
		"nothing":              nil,
		"another version":      {9, 1, 2},
		"no frame":             {batchVersion, 1, 2, 3},
		"torn":                 good[:len(good)-3],
		"changed":              append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"number 0":             pack("\x00\x00"),
		"bytes behind":         pack("\x01\x00x"),
		"more chunks than are": pack("\x01\x05"),
		"cut beyond the end":   pack("\x01\x01\x00\x00\x00\x00\x00\x01\x01\x01\x01x"),
		"a bomb":               pack(strings.Repeat("\x00", MaxUnpacked+1)),
	} {
		if b, err := c.Decode(in); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
}

func TestToken(t *testing.T) {
	want := Token{Secret: "s3cret", CA: [32]byte{1, 2, 3}}
	got, err := ParseToken(" " + want.String() + "\n")
	if err != nil || got != want {
		t.Fatal(got, err)
	}
	for _, bad := range []string{"", "kyra_x", want.String()[:40], TokenPrefix + "." + strings.Repeat("0", 64), want.String() + "00"} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var c Codec
	good, _ := c.Encode(nil, sample())
	f.Add(good[1:], true)
	plain, _ := sample().appendPlain(nil)
	f.Add(plain, false)
	f.Add([]byte("\x01\x01\x00\x00\x00\x00\x00\x01\x01\x01\x01x"), false)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, packed bool) {
		if !packed {
			in = enc.EncodeAll(in, nil)
		}
		b, err := c.Decode(append([]byte{batchVersion}, in...))
		if err != nil {
			return
		}
		again, err := c.Encode(nil, b)
		if err != nil {
			t.Fatalf("what was unpacked does not pack: %v", err)
		}
		got, err := c.Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b, got); d != "" {
			t.Error(d)
		}
	})
}
