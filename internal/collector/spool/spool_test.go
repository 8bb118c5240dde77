package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

func open(t *testing.T, dir string, limit int64) *Spool {
	t.Helper()
	s, err := Open(dir, limit, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entry(i int) *Entry {
	return &Entry{
		Chunks: []protocol.Chunk{{Input: "file", Records: []string{fmt.Sprint("record ", i)}}},
		Marks:  Marks{"a": {"offset": fmt.Sprint(i)}},
		Counts: map[string]Totals{"a": {Records: 1, Bytes: 8}},
	}
}

func add(t *testing.T, s *Spool, i int) {
	t.Helper()
	if err := s.Append(entry(i)); err != nil {
		t.Fatal(err)
	}
}

// drain takes all batches as a server would and returns their records.
func drain(t *testing.T, s *Spool) (records []string, last uint64) {
	t.Helper()
	var c protocol.Codec
	for {
		seq, packed, ok, err := s.Oldest()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return records, last
		}
		if seq <= last {
			t.Fatalf("number %d after %d", seq, last)
		}
		last = seq
		if len(packed) > 0 {
			b, err := c.Decode(packed)
			if err != nil {
				t.Fatal(err)
			}
			if b.Seq != seq {
				t.Fatalf("batch %d says it is %d", seq, b.Seq)
			}
			for _, ch := range b.Chunks {
				records = append(records, ch.Records...)
			}
		}
		if err := s.Remove(seq); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSpoolSurvives(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	for i := 1; i <= 3; i++ {
		add(t, s, i)
	}
	first, _, _, _ := s.Oldest()
	if err := s.Remove(first); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20) // as after a kill: nothing was closed
	if got := s.Marks("a")["offset"]; got != "3" {
		t.Errorf("offset %q, want that of the last batch", got)
	}
	if got := s.Totals()["a"]; got.Records != 3 || got.Bytes != 24 {
		t.Errorf("totals %+v", got)
	}
	if d := s.Depth(); d.Batches != 2 || d.Records != 2 || d.Oldest.IsZero() {
		t.Errorf("depth %+v", d)
	}
	add(t, s, 4)
	records, last := drain(t, s)
	if fmt.Sprint(records) != "[record 2 record 3 record 4]" {
		t.Errorf("records %q", records)
	}
	s = open(t, dir, 1<<20)
	add(t, s, 5)
	if _, again := drain(t, s); again <= last {
		t.Errorf("number %d was used before (%d)", again, last)
	}
}

// A crash between the state and the removal leaves a batch that was acknowledged.
func TestSpoolDoesNotSendTwice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	add(t, s, 1)
	seq, _, _, _ := s.Oldest()
	kept, err := os.ReadFile(s.path(seq))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, s)
	if err := os.WriteFile(s.path(seq), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	if records, _ := drain(t, s); len(records) != 0 || s.Totals()["a"].Records != 1 {
		t.Errorf("sent again: %q, totals %+v", records, s.Totals())
	}
}

func TestSpoolFull(t *testing.T) {
	s := open(t, t.TempDir(), 300)
	var err error
	n := 0
	for ; n < 10 && err == nil; n++ {
		err = s.Append(entry(n))
	}
	if !errors.Is(err, Full) || n == 1 {
		t.Fatalf("after %d: %v", n, err)
	}
	room := s.Room()
	seq, _, _, _ := s.Oldest()
	if err := s.Remove(seq); err != nil {
		t.Fatal(err)
	}
	<-room
	add(t, s, 99)
}

// Every place where a crash or a bad disk can tear a file.
func TestSpoolTorn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	add(t, s, 1)
	add(t, s, 2)
	path := s.path(s.queued[1].Seq)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for _, torn := range [][]byte{whole[:i], flip(whole, i)} {
			if err := os.WriteFile(path, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, 1<<20)
			if d := s.Depth(); d.Batches != 1 || s.Marks("a")["offset"] != "1" {
				t.Fatalf("byte %d: %+v, marks %v", i, d, s.Marks("a"))
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000009.batch.new"), whole[:5], 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, 1<<20)
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func flip(b []byte, i int) []byte {
	out := append([]byte(nil), b...)
	out[i] ^= 0x10
	return out
}

// Marks alone make no batch while nothing waits, and keep their order behind those that do.
func TestSpoolMarksAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1<<20)
	only := &Entry{Marks: Marks{"a": {"gone": "1"}}}
	if err := s.Append(only); err != nil {
		t.Fatal(err)
	}
	if d := s.Depth(); d.Batches != 0 {
		t.Errorf("%+v", d)
	}
	add(t, s, 1)
	if err := s.Append(&Entry{Marks: Marks{"a": {"gone": ""}}}); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, 1<<20)
	if m := s.Marks("a"); len(m) != 1 || m["offset"] != "1" {
		t.Errorf("%v", m)
	}
	drain(t, s)
	s = open(t, dir, 1<<20)
	if m := s.Marks("a"); len(m) != 1 || m["offset"] != "1" {
		t.Errorf("%v", m)
	}
}
