package ingest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/framing"
)

// journalBinary is a field with its length before it.
func journalBinary(name, value string) string {
	return name + "\n" + string(binary.LittleEndian.AppendUint64(nil, uint64(len(value)))) + value + "\n"
}

func TestJournald(t *testing.T) {
	jh := with(auth("Basic", "dXNlcjpnb29k"), "Content-Type", "application/vnd.fdo.journal")
	for _, x := range []struct {
		name   string
		body   string
		status int
		answer string
		kept   string
	}{
		{
			"entries", "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795421812594000\n_HOSTNAME=h\nMESSAGE=a=b \"c\"\n\n" + "__CURSOR=s=2\n" + journalBinary("MESSAGE", "two\nlines\x00\xff") + "_TRANSPORT=\n\n", 202, "OK.\n",
			`{"MESSAGE":"a=b \"c\"","__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795421812594000","_HOSTNAME":"h"}|{"MESSAGE":"two\nlines\u0000` + "\xff" + `","__CURSOR":"s=2","_TRANSPORT":""}`,
		},
		{"a field twice", "A=1\nB=2\nA=3\n\n", 202, "OK.\n", `{"A":["1","3"],"B":"2"}`},
		{"more empty lines, none at the end", "\n\nA=1\n\n\nB=2\n", 202, "OK.\n", `{"A":"1"}|{"B":"2"}`},
		{"an empty value of bytes", journalBinary("A", "") + "\n", 202, "OK.\n", `{"A":""}`},
		{"nothing", "", 202, "OK.\n", ""},
		{"no name", "A=1\n\nMESSAGE=x\nhello world\n\n", 400, "body entry 2: want a field's name of at most 64 characters A-Z, 0-9 and _ in place of \"h\"; kept: the first 1 of its records\n", `{"A":"1"}`},
		{"a long name", strings.Repeat("A", 65) + "=1\n", 400, "", ""},
		{"no name at all", "=1\n", 400, "", ""},
		{"a line cut short", "A=1\n\nB=2", 400, "the body cannot be read: unexpected EOF", `{"A":"1"}`},
		{"a value cut short", "A=1\n\nB\n\x09\x00\x00\x00\x00\x00\x00\x00abc", 400, "", `{"A":"1"}`},
		{"a length cut short", "A\n\x09\x00", 400, "", ""},
		{"a length that lies", "A\n\x01\x00\x00\x00\x00\x00\x00\x00abc\n\n", 400, "body entry 1: field A does not end after its 1 bytes\n", ""},
		{"a huge length", "A\n\xff\xff\xff\xff\xff\xff\xff\xff", 400, "body entry 1: field A says that it has 18446744073709551615 bytes, more than 805306368\n", ""},
	} {
		s := newSink()
		status, _, answer := ask(t, openDoors(t, s, 0), asked{"POST", "/upload", x.body, jh})
		if status != x.status || !strings.HasPrefix(answer, x.answer) {
			t.Errorf("%s: %d %s", x.name, status, answer)
		}
		if got := strings.Join(s.records(), "|"); got != x.kept {
			t.Errorf("%s: kept %s, want %s", x.name, got, x.kept)
		}
		for _, c := range s.chunks {
			if c.Input != InputJournald || c.Tenant != 7 {
				t.Errorf("%s: chunk of %s", x.name, c.Input)
			}
		}
	}
	s := newSink()
	url := openDoors(t, s, 0)
	for _, x := range []struct {
		a    asked
		want int
	}{
		{asked{"POST", "/ingest/journald/upload", "A=1\n\n", jh}, 202},
		{asked{"POST", "/upload", string(gzipped([]byte("A=1\n\n"))), with(jh, "Content-Encoding", "gzip")}, 202},
		{asked{"POST", "/upload", "A=1\n\n", map[string]string{"Content-Type": "application/vnd.fdo.journal"}}, 401},
		{asked{"POST", "/upload", "A=1\n\n", with(jh, "Content-Type", "text/plain")}, 400},
		{asked{"POST", "/upload", "A=1\n\n", with(jh, "Content-Encoding", "br")}, 415},
	} {
		if status, _, answer := ask(t, url, x.a); status != x.want {
			t.Errorf("%s %v: %d %s", x.a.path, x.a.header, status, answer)
		}
	}
}

func TestJournaldCutsWhatIsLong(t *testing.T) {
	s := newSink()
	jh := with(auth("Bearer", "good"), "Content-Type", "application/vnd.fdo.journal")
	var many strings.Builder
	for i := range maxJournalFields + 10 {
		fmt.Fprintf(&many, "F%d=x\n", i)
	}
	body := journalBinary("COREDUMP", strings.Repeat("\x00", 4*framing.MaxRecord)) + "MESSAGE=dumped\n\n" +
		"LONG=" + strings.Repeat("é", framing.MaxRecord) + "\nMESSAGE=long\n\n" + many.String() + "\n" +
		strings.Repeat("A="+strings.Repeat("x", framing.MaxRecord/4)+"\n", 6) + "\n" + "MESSAGE=after\n\n"
	if status, _, answer := ask(t, openDoors(t, s, 0), asked{"POST", "/upload", body, jh}); status != 202 {
		t.Fatalf("%d %s", status, answer)
	}
	got := s.records()
	if len(got) != 5 || !strings.HasPrefix(got[0], `{"MESSAGE":"dumped","COREDUMP":"\u0000`) || !strings.HasPrefix(got[1], `{"MESSAGE":"long","LONG":"éé`) || got[4] != `{"MESSAGE":"after"}` {
		t.Fatalf("%d records", len(got))
	}
	cut := 0
	for _, c := range s.chunks {
		cut += len(c.Cut)
	}
	for i, r := range got {
		if !json.Valid([]byte(r)) || len(r) > framing.MaxRecord {
			t.Errorf("record %d has %d bytes", i, len(r))
		}
	}
	if cut != 4 {
		t.Errorf("%d records are marked as cut", cut)
	}
}

// TestJournaldIsHeldBack sends more than quota allows at once: the stream waits in
// place of failing, since its client would begin anew.
func TestJournaldIsHeldBack(t *testing.T) {
	s := newSink()
	jh := with(auth("Bearer", "good"), "Content-Type", "application/vnd.fdo.journal")
	if status, _, answer := ask(t, openDoors(t, s, 50), asked{"POST", "/upload", strings.Repeat("A=1\n\n", 130), jh}); status != 202 || len(s.records()) != 130 {
		t.Errorf("%d %s, kept %d", status, answer, len(s.records()))
	}
}

func TestJournaldWhenFull(t *testing.T) {
	s := newSink()
	s.fail(fault.New(fault.Unavailable, "the queue is full"))
	x := New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{}, InputJournald)
	if err := x.journal(t.Context(), strings.NewReader("A=1\n\n")); err == nil || x.Accepted() != 0 {
		t.Errorf("without patience: %v", err)
	}
	s.fail(fault.New(fault.TooLarge, "too large"))
	x = New(Config{Append: s.Append, Log: testLog(t)}).newIntake(Caller{}, InputJournald)
	x.patience = journalPatience
	if err := x.journal(t.Context(), strings.NewReader("A=1\n\n")); err == nil {
		t.Error("waited for what time does not help")
	}
}

// TestJournaldStreams reads a body longer than any other door takes.
func TestJournaldStreams(t *testing.T) {
	s := newSink()
	var n int
	g := New(Config{Append: s.Append, Log: testLog(t), MaxBody: 1 << 10})
	d := &Doors{gate: g, journals: make(chan struct{}, 1)}
	r := httptest.NewRequest(http.MethodPost, "/upload", strings.NewReader(strings.Repeat("A=1\n\n", 10_000)))
	r.Header.Set("Content-Type", journalType)
	err := d.stream(httptest.NewRecorder(), r, func(body io.Reader) error {
		b, err := io.ReadAll(body)
		n = len(b)
		// While one streams, there is no other place.
		other := httptest.NewRequest(http.MethodPost, "/upload", nil)
		other.Header.Set("Content-Type", journalType)
		if busy := d.stream(httptest.NewRecorder(), other, nil); busy != errBusy { //nolint:errorlint // it is that one
			t.Errorf("a second stream: %v", busy)
		}
		return err
	})
	if err != nil || n != 50_000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func checkJournald(t *testing.T, body []byte) {
	t.Helper()
	j := newJournalReader(strings.NewReader(string(body)))
	for {
		record, _, err := j.next()
		if err != nil {
			return
		}
		if !json.Valid(record) || len(record) > framing.MaxRecord {
			t.Fatalf("%q made %q", body, record)
		}
	}
}
