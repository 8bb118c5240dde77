package archive

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var day1 = time.Date(2026, 11, 24, 23, 59, 0, 0, time.UTC)

func block(tenant uint32, seq uint64, at time.Time) Block {
	return Block{
		Tenant: tenant, Partition: 3, Seq: seq, Records: 2, FirstArrived: at.UnixNano() - 5, LastArrived: at.UnixNano(),
		Payload: bytes.Repeat([]byte{byte(seq)}, 100+int(seq)),
	}
}

func write(t *testing.T, dir string, blocks ...Block) {
	t.Helper()
	a, err := Open(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if err := a.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir string) (blocks []Block) {
	t.Helper()
	if err := Walk(t.Context(), dir, func(b Block) error { blocks = append(blocks, b); return nil }); err != nil {
		t.Fatal(err)
	}
	return blocks
}

func verify(t *testing.T, dir string) Report {
	t.Helper()
	r, err := Verify(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBlocksComeBackInOrderOnce(t *testing.T) {
	dir := t.TempDir()
	b := []Block{block(1, 1, day1), block(2, 2, day1), block(1, 5, day1.Add(time.Hour)), block(1, 6, day1)}
	write(t, dir, b[:3]...)
	write(t, dir, b[0], b[2], b[3], b[2]) // a replay brings old ones again
	want := []Block{b[0], b[2], b[3], b[1]}
	if d := cmp.Diff(want, read(t, dir)); d != "" {
		t.Error(d)
	}
	r := verify(t, dir)
	if len(r.Faults) > 0 || r.Tenants != 2 || r.Segments != 3 || r.Blocks != 4 || r.Records != 8 {
		t.Errorf("report is %+v", r)
	}
}

func TestTornEndIsCutOffAndComesAgain(t *testing.T) {
	for _, cut := range []int64{1, sha(t) + 3, 150} {
		dir := t.TempDir()
		write(t, dir, block(1, 1, day1), block(1, 2, day1))
		path := segments(t, dir)[0]
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir); len(r.Faults) > 0 || len(r.Unfinished) != 1 || !strings.Contains(r.Unfinished[0], "not complete") {
			t.Errorf("cut %d: before repair: %+v", cut, r)
		}
		write(t, dir, block(1, 2, day1), block(1, 3, day1))
		if got := read(t, dir); len(got) != 3 {
			t.Errorf("cut %d: %d blocks, want 3", cut, len(got))
		}
		if r := verify(t, dir); len(r.Faults) > 0 {
			t.Errorf("cut %d: faults after repair: %v", cut, r.Faults)
		}
	}
}

// Only the last block of a tenant can be one that is being written.
func TestTornEndBeforeTheLastSegmentIsAFault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, block(1, 1, day1), block(1, 2, day1), block(1, 3, day1.Add(24*time.Hour)))
	path := segments(t, dir)[0]
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); len(r.Faults) != 1 || len(r.Unfinished) > 0 {
		t.Errorf("report is %+v", r)
	}
}

func sha(*testing.T) int64 { return int64(len(hash{})) }

func segments(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("segments: %v, %v", paths, err)
	}
	return paths
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, block(1, 1, day1), block(1, 2, day1), block(1, 3, day1))
	path := segments(t, dir)[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, dir); len(r.Faults) == 0 {
			t.Fatalf("byte %d was flipped and not found", i)
		}
	}
}

func TestRemovedBlockIsFound(t *testing.T) {
	dir := t.TempDir()
	b := []Block{block(1, 1, day1), block(1, 2, day1), block(1, 3, day1)}
	write(t, dir, b...)
	path := segments(t, dir)[0]
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, to := b[0].size(), b[0].size()+b[1].size()
	if err := os.WriteFile(path, append(all[:from:from], all[to:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "chain is broken") {
		t.Errorf("faults: %v", r.Faults)
	}
}

func TestDropBeforeKeepsChain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, block(1, 1, day1), block(1, 2, day1.AddDate(0, 0, 1)), block(1, 3, day1.AddDate(0, 0, 2)))
	a, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if freed, err := a.DropBefore(1, day1.AddDate(0, 0, 2)); err != nil || freed == 0 {
		t.Fatalf("freed %d, %v", freed, err)
	}
	if _, oldest, err := a.Usage(); err != nil || oldest.Format(dayFormat) != "20261126" {
		t.Errorf("oldest is %v, %v", oldest, err)
	}
	write(t, dir, block(1, 4, day1.AddDate(0, 0, 3)))
	if r := verify(t, dir); len(r.Faults) > 0 || r.Blocks != 2 {
		t.Errorf("report is %+v", r)
	}
}

func FuzzWalk(f *testing.F) {
	good, _ := (&Block{Seq: 1, Payload: []byte("x")}).marshal(nil, hash{})
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, tenantDir(1), "20261124"+suffix)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = Walk(t.Context(), dir, func(Block) error { return nil })
		if _, err := Verify(t.Context(), dir, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLastSeqsOfPartitions(t *testing.T) {
	dir := t.TempDir()
	other := block(3, 9, day1)
	other.Partition = 5
	write(t, dir, block(1, 4, day1), block(2, 7, day1), block(1, 6, day1), other)
	a, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	got, err := a.LastSeqs(t.Context())
	if d := cmp.Diff(map[int]uint64{3: 7, 5: 9}, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, tenant := range []uint32{1, 2} {
		if err := a.Append(t.Context(), block(tenant, uint64(tenant), day1)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // what is gone may go again
		if err := a.Forget(2); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, dir); len(r.Faults) > 0 || r.Blocks != 1 {
		t.Errorf("report is %+v", r)
	}
	if err := a.Append(t.Context(), block(2, 9, day1)); err != nil {
		t.Errorf("a new chain: %v", err)
	}
}
