package archive

import (
	"log/slog"
	"slices"
	"testing"
	"time"
)

func TestBlocksSinceASequence(t *testing.T) {
	t.Parallel()
	a, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close() //nolint:errcheck // nothing is kept
	const last = 3*placeEvery + 100
	seqs := func(tenant uint32, after, upTo uint64, most int) (got []uint64) {
		t.Helper()
		err := a.Since(t.Context(), tenant, after, upTo, func(b Block) bool {
			if b.Tenant != tenant || b.Payload != nil || b.LastArrived == 0 || b.Records != 2 {
				t.Errorf("%+v", b)
			}
			got = append(got, b.Seq)
			return len(got) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := seqs(1, 0, last, last); len(got) > 0 {
		t.Errorf("an empty archive: %v", got)
	}
	var want []uint64
	for seq := uint64(1); seq <= last; seq += 2 { // the others are of another tenant
		at := day1.Add(time.Duration(seq) * time.Minute) // of two days and a bit
		for tenant := range uint32(2) {
			if err := a.Append(t.Context(), block(tenant+1, seq+uint64(tenant), at)); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, seq)
	}
	for range 2 { // the second time places are known
		for _, tt := range []struct {
			after, upTo uint64
			most        int
		}{{0, last, last}, {0, 5, last}, {1, 5, last}, {2, 3, last}, {last, last + 100, last}, {last - 4, last + 100, 1}, {700, 900, last}, {1100, 1600, 7}, {2 * placeEvery, last, 1}, {2 * placeEvery, 2 * placeEvery, 1}} {
			var wanted []uint64
			for _, seq := range want {
				if seq > tt.after && seq <= tt.upTo && len(wanted) < tt.most {
					wanted = append(wanted, seq)
				}
			}
			if got := seqs(1, tt.after, tt.upTo, tt.most); !slices.Equal(got, wanted) {
				t.Errorf("after %d up to %d, at most %d: %d from %v, want %d", tt.after, tt.upTo, tt.most, len(got), got[:min(len(got), 3)], len(wanted))
			}
		}
	}
	if _, err := a.DropBefore(1, day1.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if got := seqs(1, 0, last, 1); len(got) != 1 || got[0] != 1441 {
		t.Errorf("after the first day was dropped: %v", got)
	}
}
