package evtx

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func shared(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("no shared test data beside the repository: %v", err)
	}
	return path
}

// recordedFile returns the bytes of a recorded file.
func recordedFile(tb testing.TB, path string) []byte {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// readAll returns the records as text and the faults.
func readAll(tb testing.TB, r io.Reader) (records []string, faults []Fault) {
	tb.Helper()
	x, err := NewReader(r)
	if err != nil {
		tb.Fatal(err)
	}
	for {
		rec, err := x.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatal(err)
		}
		if rec.Number != len(records)+1 {
			tb.Errorf("record %d is called %d", len(records)+1, rec.Number)
		}
		records = append(records, string(rec.JSON))
	}
	faults, _ = x.Faults()
	return records, faults
}

// TestRecorded compares with what another reader made of the same files. The
// differences that are meant: it renders times to the microsecond, writes GUIDs
// without braces, and cuts blanks at the end of texts.
func TestRecorded(t *testing.T) {
	f, err := os.Open(shared(t, "cases/sigma_regression.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := 0
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var c struct {
				RuleID string           `json:"rule_id"`
				Events []map[string]any `json:"events"`
			}
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			cases++
			records, faults := readAll(t, strings.NewReader(string(recordedFile(t, shared(t, "sigma_evtx/"+c.RuleID+".evtx.gz")))))
			if len(faults) > 0 || len(records) != len(c.Events) {
				t.Errorf("%s: %d records, want %d; faults %v", c.RuleID, len(records), len(c.Events), faults)
				continue
			}
			for i, rec := range records {
				var got map[string]any
				if err := json.Unmarshal([]byte(rec), &got); err != nil {
					t.Fatalf("%s: %v in %s", c.RuleID, err, rec)
				}
				a, b := flat("", got, map[string]string{}), flat("", c.Events[i], map[string]string{})
				for k := range b {
					if a[k] != b[k] {
						t.Errorf("%s: %s is %q, the other reader has %q", c.RuleID, k, a[k], b[k])
					}
				}
				for k := range a {
					if _, ok := b[k]; !ok {
						t.Errorf("%s: %s is %q, the other reader has none", c.RuleID, k, a[k])
					}
				}
			}
		}
		if err != nil {
			break
		}
	}
	if cases != 25 {
		t.Errorf("%d cases, want 25", cases)
	}
}

func flat(prefix string, v any, into map[string]string) map[string]string {
	m, ok := v.(map[string]any)
	if !ok {
		s := strings.TrimRight(fmt.Sprint(v), " \t\r\n")
		s = strings.Trim(s, "{}")
		if i := strings.LastIndexByte(s, '.'); strings.HasSuffix(prefix, "SystemTime") && i > 0 {
			s = (strings.TrimSuffix(s[i:], "Z") + "000000")[:7] + "Z"
		}
		into[prefix] = s
		return into
	}
	for k, x := range m {
		if k == "xmlns" || reflect.DeepEqual(x, map[string]any{}) || k == "#attributes" && onlyNamespace(x) {
			continue
		}
		flat(prefix+"/"+k, x, into)
	}
	return into
}

func onlyNamespace(x any) bool {
	m, ok := x.(map[string]any)
	return ok && len(m) == 1 && m["xmlns"] != nil
}
