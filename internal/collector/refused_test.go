package collector

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

// refuses makes the server answer batches with a status, 0 for taking them.
func (s *fakeServer) refuses(status int, wait string) {
	s.set(func() {
		s.wait = wait
		s.refuse = func(path string) int {
			if path == protocol.PathBatch {
				return status
			}
			return 0
		}
	})
}

func (s *fakeServer) sent() (n int) {
	s.set(func() { n = len(s.batches) })
	return n
}

// A batch that the server will never take is put aside, kept, told and counted; what
// is behind it goes on.
func TestRefusedBatchIsPutAside(t *testing.T) {
	s := newFakeServer(t)
	log := filepath.Join(t.TempDir(), "a.log")
	writeFile(t, log, "one\ntwo\n")
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(log, "")})
	s.refuses(http.StatusBadRequest, "")
	startAgent(t, dir)
	aside := func() []string {
		found, err := filepath.Glob(filepath.Join(in(dir).spool(), "*.refused"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for n := range maxRefusals {
		eventually(t, fmt.Sprint("batch refused for time ", n+1), func() bool { return s.sent() > n })
		if n < maxRefusals-1 && len(aside()) > 0 {
			t.Fatalf("put aside after %d refusals", n+1)
		}
		if _, err := Ask(t.Context(), in(dir), "POST", "/reload"); err != nil { // it tries again at once
			t.Fatal(err)
		}
	}
	eventually(t, "put aside", func() bool { return len(aside()) == 1 })
	s.refuses(0, "")
	appendFile(t, log, "three\n")
	eventually(t, "the next batch", func() bool { return len(s.got()) == 1 })
	if got := s.got(); got[0] != "three" {
		t.Errorf("%q", got)
	}
	eventually(t, "report", func() bool {
		h := s.lastBeat()
		return len(h.Sources) == 1 && h.Sources[0].Dropped == 2 && h.Sources[0].Records == 1 && h.SpoolRecords == 0
	})
	text, err := Ask(t.Context(), in(dir), "GET", "/status")
	if err != nil || !strings.Contains(string(text), "2 records that the server refused") {
		t.Errorf("%s %v", text, err)
	}
}

// A server that says when to come again is not asked before.
func TestRetryAfter(t *testing.T) {
	s := newFakeServer(t)
	log := filepath.Join(t.TempDir(), "a.log")
	writeFile(t, log, "one\n")
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(log, "")})
	s.refuses(http.StatusServiceUnavailable, "3")
	startAgent(t, dir)
	eventually(t, "first try", func() bool { return s.sent() == 1 })
	s.refuses(0, "")
	eventually(t, "the record", func() bool { return len(s.got()) == 1 })
	s.set(func() {
		if len(s.batches) != 2 || s.batches[1].Sub(s.batches[0]) < 3*time.Second {
			t.Errorf("sent at %v, asked to wait for 3 s", s.batches)
		}
	})
}

// A full spool holds files back: nothing is lost, nothing goes over the limit, and all
// is there once when the server takes batches again.
func TestFullSpoolHoldsFilesBack(t *testing.T) {
	s := newFakeServer(t)
	log := filepath.Join(t.TempDir(), "a.log")
	const total = 24_000
	var text strings.Builder
	random, noise := rand.NewChaCha8([32]byte{1}), make([]byte, 750)
	for i := range total { // what does not pack well: the limit is of packed bytes
		_, _ = random.Read(noise)
		fmt.Fprintf(&text, "%08d %s\n", i, base64.StdEncoding.EncodeToString(noise))
	}
	writeFile(t, log, text.String())
	dir := enrolled(t, s, map[string]string{"a.yaml": fileYAML(log, "")})
	writeFile(t, in(dir).Config, "server: "+s.URL+"\nspool: {max_bytes: 16MiB}\n")
	s.refuses(http.StatusServiceUnavailable, "")
	startAgent(t, dir)
	var status Status
	eventually(t, "spool is full", func() bool {
		answer, err := Ask(t.Context(), in(dir), "GET", "/status")
		return err == nil && json.Unmarshal(answer, &status) == nil && strings.Contains(strings.Join(status.Problems, " "), "full")
	})
	if status.SpoolBytes == 0 || status.SpoolBytes > 16<<20+64<<10 { // but for the marks of the last batch
		t.Errorf("the spool holds %d bytes", status.SpoolBytes)
	}
	s.refuses(0, "")
	if _, err := Ask(t.Context(), in(dir), "POST", "/reload"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all records", func() bool { return len(s.got()) >= total })
	for i, r := range s.got() {
		if !strings.HasPrefix(r, fmt.Sprintf("%08d ", i)) {
			t.Fatalf("record %d is %q", i, r)
		}
	}
	eventually(t, "nothing dropped", func() bool {
		h := s.lastBeat()
		return len(h.Sources) == 1 && h.Sources[0].Records == total && h.Sources[0].Dropped == 0
	})
}
