package source

import (
	"slices"
	"unicode/utf16"

	"github.com/kyra-mdr/kyra/internal/framing"
)

// What of the Windows event log asks nothing of Windows.

type winEventLogSpec struct {
	Common   `yaml:",inline"`
	Channels []string `yaml:"channels"` // Security, System, …
	Query    string   `yaml:"query"`    // XPath that events must match; default all
	Start    string   `yaml:"start"`    // of a channel that is new: beginning, end
}

func (s *winEventLogSpec) check() error {
	if len(s.Channels) == 0 {
		return wrong("channels", "must name at least one channel, such as Security")
	}
	if s.Start != "" && s.Start != "beginning" && s.Start != "end" {
		return wrong("start", "is %q, allowed: beginning, end", s.Start)
	}
	if s.Query == "" {
		s.Query = "*"
	}
	return nil
}

// Where a subscription begins, as EvtSubscribe knows it.
const (
	subscribeFuture        = 1
	subscribeOldest        = 2
	subscribeAfterBookmark = 3
)

// from returns where the subscription to a channel begins that has this bookmark, "" for
// none yet.
func (s *winEventLogSpec) from(bookmark string) int {
	switch {
	case bookmark != "":
		return subscribeAfterBookmark
	case s.Start == "end":
		return subscribeFuture
	}
	return subscribeOldest
}

// events makes a piece of rendered events and the bookmark behind the last of them.
func (s *winEventLogSpec) events(channel string, texts []string, bookmark string) Piece {
	p := s.piece("wineventlog", "")
	for i, text := range texts {
		if len(text) > framing.MaxRecord {
			text = text[:framing.MaxRecord]
			p.Chunk.Cut = append(p.Chunk.Cut, uint32(i))
		}
		p.Chunk.Records = append(p.Chunk.Records, text)
	}
	p.Marks = map[string]string{channel: bookmark}
	return p
}

// wideText returns what Windows rendered, up to its NUL.
func wideText(buf []uint16) string {
	if i := slices.Index(buf, 0); i >= 0 {
		buf = buf[:i]
	}
	return string(utf16.Decode(buf))
}
