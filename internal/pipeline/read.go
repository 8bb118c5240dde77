package pipeline

import (
	"runtime/debug"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// recordOf is what a parser is told of a record: the same when it arrives and when
// an index is built anew.
func recordOf(c *queue.Chunk, raw string, zone *time.Location, settings *parse.Settings) parse.Record {
	return parse.Record{
		Tenant: c.Tenant, Raw: raw, Arrived: c.Arrived, Peer: c.Peer, Stream: c.Stream, Source: c.Source, Input: quarantine.Door(c.Input), Key: c.Key, Zone: zone, Settings: settings,
	}
}

// cameThrough names the collector of an event, and the token and door of one in
// quarantine: it is read again by the same settings.
func cameThrough(e *event.Event, c *queue.Chunk, reason parse.Reason) {
	switch {
	case c.Origin != "":
		e.Add(event.CollectorID, c.Origin)
	case reason != "" && c.Key != "":
		e.Add(event.CollectorID, c.Key)
	}
	if door := quarantine.Door(c.Input); reason != "" && door != quarantine.Input {
		e.Add(event.ParseErrorInput, door)
	}
}

// broken is a parser that panicked.
type broken struct {
	value any
	stack string
}

// read parses r into e. What makes the parser panic is kept whole. It returns how r was
// understood and why it is quarantined, "" where it is not.
func read(p *parse.Parser, r *parse.Record, e *event.Event) (x parse.Explanation, reason parse.Reason, broke *broken) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		broke = &broken{v, string(debug.Stack())}
		e.Reset()
		e.Raw, e.Time, e.Arrived = r.Raw, r.Arrived, r.Arrived
		e.Add(event.Source, "text")
		e.Add(event.Severity, "info")
		e.Add(event.Message, strings.ToValidUTF8(r.Raw, "\uFFFD"))
		e.Add(event.TimeQuality, "received")
		e.Tag(event.TagParseError)
		x, reason = parse.Explanation{Header: "none", Parser: "text"}, parse.ReasonPanic
		e.Add(event.ParseErrorReason, string(reason))
	}()
	x = p.ParseExplain(r, e)
	return x, p.Failure(), nil
}
