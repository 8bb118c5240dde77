package source

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/framing"
	"github.com/kyra-mdr/kyra/internal/parse"
)

func TestWinEventLogSettings(t *testing.T) {
	for _, c := range []struct {
		spec winEventLogSpec
		want string
	}{
		{winEventLogSpec{}, "channels"},
		{winEventLogSpec{Channels: []string{"Security"}, Start: "middle"}, "start"},
		{winEventLogSpec{Channels: []string{"Security"}, Start: "end"}, ""},
	} {
		err := c.spec.check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
	var s winEventLogSpec
	if got := s.from(""); got != subscribeOldest {
		t.Errorf("a new channel begins at %d", got)
	}
	if got := s.from("<BookmarkList/>"); got != subscribeAfterBookmark {
		t.Errorf("a channel with a bookmark begins at %d", got)
	}
	s.Start = "end"
	if new, known := s.from(""), s.from("<BookmarkList/>"); new != subscribeFuture || known != subscribeAfterBookmark {
		t.Errorf("with start: end a new channel begins at %d, a known one at %d", new, known)
	}
}

func TestWinEventLogPiece(t *testing.T) {
	long := "<Event>" + strings.Repeat("x", framing.MaxRecord)
	s := winEventLogSpec{Channels: []string{"Security"}, Common: Common{Host: "dc1", Hint: "windows"}}
	p := s.events("Security", []string{"<Event/>", long}, "<BookmarkList/>")
	if len(p.Chunk.Records) != 2 || len(p.Chunk.Records[1]) != framing.MaxRecord || !slices.Equal(p.Chunk.Cut, []uint32{1}) || p.Chunk.Input != "wineventlog" || p.Chunk.Host != "dc1" {
		t.Errorf("%d records, cut %v, input %s, host %s", len(p.Chunk.Records), p.Chunk.Cut, p.Chunk.Input, p.Chunk.Host)
	}
	if !maps.Equal(p.Marks, map[string]string{"Security": "<BookmarkList/>"}) {
		t.Errorf("marks %v", p.Marks)
	}
	if got := wideText(append(utf16.Encode([]rune("안녕 😀")), 0, 'x')); got != "안녕 😀" {
		t.Errorf("rendered text is %q", got)
	}
}

// TestWinEventLogRecordings: recorded events, as Windows renders them, mean to the server
// what they mean as the JSON in which they were recorded.
func TestWinEventLogRecordings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "shared", "data", "otrf", "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		t.Skip("the recordings are not beside the repository")
	}
	fromXML, fromJSON := parse.New(parse.Options{}), parse.New(parse.Options{})
	spec := winEventLogSpec{Channels: []string{"Security"}}
	names := []string{event.Source, event.EventCode, event.Category, event.Action, event.Outcome, event.User, event.SrcIP, event.DstIP, event.Host, event.ProcessPath, event.Cmdline, "Channel", "EventID"}
	compared, kinds := 0, map[string]bool{}
	for _, file := range files {
		for _, line := range firstLines(t, file, 400) {
			var e map[string]any
			decoder := json.NewDecoder(strings.NewReader(line))
			decoder.UseNumber()
			if err := decoder.Decode(&e); err != nil || e["Channel"] == nil || e["EventID"] == nil || e["SourceName"] == nil {
				continue
			}
			p := spec.events("x", []string{asWindowsRenders(e)}, "")
			var x, j event.Event
			now := time.Now().UnixNano()
			fromXML.Parse(&parse.Record{Raw: p.Chunk.Records[0], Arrived: now, Input: p.Chunk.Input, Source: p.Chunk.Source}, &x)
			fromJSON.Parse(&parse.Record{Raw: line, Arrived: now}, &j)
			for _, name := range names {
				if got, want := x.Get(name), j.Get(name); got != want {
					t.Fatalf("%s: %s is %q, in JSON %q\n%s", filepath.Base(file), name, got, want, p.Chunk.Records[0])
				}
			}
			compared++
			kinds[x.Get(event.Source)+" "+x.Get(event.EventCode)] = true
		}
	}
	if compared < 1000 || len(kinds) < 20 {
		t.Errorf("only %d events of %d kinds were compared", compared, len(kinds))
	}
	t.Logf("%d events of %d kinds", compared, len(kinds))
}

func firstLines(t *testing.T, path string, most int) (all []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for len(all) < most && lines.Scan() {
		all = append(all, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// asWindowsRenders writes a recorded event as EvtRender does.
func asWindowsRenders(e map[string]any) string {
	text := func(name string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(fmt.Sprint(e[name]))) // a Builder takes everything
		return b.String()
	}
	var b strings.Builder
	b.WriteString(`<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='` + text("SourceName") + `'/><EventID>` + text("EventID") + `</EventID>`)
	b.WriteString(`<Channel>` + text("Channel") + `</Channel><Computer>` + text("Hostname") + `</Computer></System><EventData>`)
	system := []string{"SourceName", "EventID", "Channel", "Hostname", "Message", "@timestamp", "@version", "host", "port", "tags", "type"}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if value := e[name]; !slices.Contains(system, name) && value != nil {
			b.WriteString(`<Data Name='` + name + `'>` + text(name) + `</Data>`)
		}
	}
	b.WriteString("</EventData></Event>")
	return b.String()
}
