package logsource

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/parse"
)

// The states of a source.
const (
	StatusActive  = "active"
	StatusNew     = "new"               // first seen less than a day ago
	StatusSilent  = "silent"            // for longer than is usual, or than was set
	StatusOffline = "collector_offline" // what it comes through is not there

	newFor    = 24 * time.Hour
	maxListed = 16 // programs
)

// Statuses lists the states.
var Statuses = []string{StatusActive, StatusSilent, StatusNew, StatusOffline}

// A Source is a log source as it is now.
type Source struct {
	ID          string
	Name        string // the product: "sshd"
	Host        string // "" where Others
	Others      bool   // stands for all sources of the tenant that there was no room for
	Status      string
	First, Last time.Time // arrival

	// How its newest record came, and was read.
	Peer, Input, Key, Format, Parser string
	Programs                         []string // up to 16

	Events, Unparsed int64            // since First; a restart may count a few again
	Quality          map[string]int64 // of the last days, by time_quality
	PerHour          float64          // over the last day, or since First
	History          []Hour           // of the last seven days, oldest first; hours without events are left out

	Muted       bool
	SilentAfter time.Duration // set by people; 0: as learned
	SilentSince time.Time     // zero unless Status is Silent
	Limit       time.Duration // what silence would be told now; 0: too little is known
	Proposals   []Proposal
	Version     int64 // of what people set
}

// An Hour is what came in one.
type Hour struct {
	Begin            time.Time
	Events, Unparsed int64
}

type key struct {
	tenant       uint32
	source, host string
}

// space makes ids that a restart, and another server, would give again.
var space = uuid.MustParse("3a0b1e52-6c1f-5d0e-9b6f-6c6f67737263")

func (k key) id() string {
	return uuid.NewSHA1(space, fmt.Appendf(nil, "%d\x00%s\x00%s", k.tenant, k.source, k.host)).String()
}

// How a time was told, in the order of entry.quality.
var qualities = [...]string{"exact", "tz_assumed", "year_assumed", "received"}

// entry is a source in memory. The observer's lock guards it.
type entry struct {
	key
	id          string
	others      bool
	first, last int64 // nanoseconds, arrival

	peer, input, via, format, parser string
	programs                         []string
	lastProgram                      string
	events, unparsed                 int64
	savedEvents, savedUnparsed       int64 // of these, what is written down
	quality                          [len(qualities)]int64
	hours                            hours
	rhythm                           rhythm
	zoneless, exact                  offsets

	proposals   []Proposal
	muted       bool
	silentAfter int64 // seconds
	silentSince int64 // nanoseconds, 0: it is not
	unheard     bool  // its collector is offline
	held        int64 // nanoseconds: silence is counted from here at the earliest
	version     int64

	changed bool // since it was saved
	rolled  bool // so that its rhythm is to be saved
}

// hours is what came in each hour of the last week.
type hours struct {
	Now      int64             `json:"now"` // newest, hours since 1970
	Events   [weekHours]uint32 `json:"events"`
	Unparsed [weekHours]uint32 `json:"unparsed"`
}

// add counts an event of an hour and tells whether the hour is a new one.
func (h *hours) add(hour int64, unparsed bool) (rolled bool) {
	if hour > h.Now {
		rolled = h.Now != 0
		for at := max(h.Now+1, hour-weekHours+1); at <= hour; at++ {
			h.Events[cell(at)], h.Unparsed[cell(at)] = 0, 0
		}
		h.Now = hour
	}
	if hour > h.Now-weekHours {
		h.Events[cell(hour)]++
		if unparsed {
			h.Unparsed[cell(hour)]++
		}
	}
	return rolled
}

func (h *hours) list(now int64) []Hour {
	var out []Hour
	for at := max(h.Now-weekHours+1, now-weekHours+1); at <= h.Now; at++ {
		if n := h.Events[cell(at)]; n > 0 {
			out = append(out, Hour{time.Unix(at*hourSeconds, 0).UTC(), int64(n), int64(h.Unparsed[cell(at)])})
		}
	}
	return out
}

// since counts the events of the last n hours, the present one included.
func (h *hours) since(now, n int64) (events int64) {
	for at := max(h.Now-weekHours+1, now-n+1); at <= h.Now; at++ {
		events += int64(h.Events[cell(at)])
	}
	return events
}

// base is the moment from which e is silent.
func (e *entry) base(watch *watch) int64 {
	return max(e.last+watch.missed(e.last), e.held)
}

// limit is what silence is too long for e at now, and 0 while none is known.
func (e *entry) limit(now int64) time.Duration {
	if e.silentAfter > 0 {
		return time.Duration(e.silentAfter) * time.Second
	}
	if s, ok := e.rhythm.limit(now / int64(time.Second)); ok {
		return time.Duration(s) * time.Second
	}
	return 0
}

func (e *entry) status(now int64) string {
	switch {
	case e.silentSince != 0:
		return StatusSilent
	case e.unheard:
		return StatusOffline
	case now-e.first < int64(newFor):
		return StatusNew
	}
	return StatusActive
}

func (e *entry) source(now int64) Source {
	s := Source{
		ID: e.id, Name: e.key.source, Host: e.host, Others: e.others, Status: e.status(now),
		First: moment(e.first), Last: moment(e.last),
		Peer: e.peer, Input: e.input, Key: e.via, Format: e.format, Parser: e.parser, Programs: slices.Clone(e.programs),
		Events: e.events, Unparsed: e.unparsed, Quality: map[string]int64{},
		Muted: e.muted, SilentAfter: time.Duration(e.silentAfter) * time.Second, Proposals: slices.Clone(e.proposals), Version: e.version,
	}
	hour := now / int64(time.Hour)
	s.PerHour = float64(e.hours.since(hour, 24)) / min(max(float64(now-e.first)/float64(time.Hour), 1), 24)
	for i, n := range e.quality {
		if n > 0 {
			s.Quality[qualities[i]] = n
		}
	}
	if e.silentSince != 0 {
		s.SilentSince = moment(e.silentSince)
	}
	if !e.muted && !e.others {
		s.Limit = e.limit(now)
	}
	return s
}

func moment(nanos int64) time.Time { return time.Unix(0, nanos).UTC().Truncate(time.Microsecond) }

// formatOf names how a record was written.
func formatOf(r *parse.Record, x *parse.Explanation) string {
	text := strings.TrimLeft(r.Raw[:min(len(r.Raw), 512)], " ")
	inside := "plain"
	switch {
	case x.Parser == "cef" || x.Parser == "leef" || x.Parser == "kv":
		inside = x.Parser
	case strings.HasPrefix(text, "{"):
		return "json"
	case strings.HasPrefix(text, "<Event"):
		return "xml"
	case x.Parser == "json" || strings.Contains(text, ": {\""):
		inside = "json"
	}
	if x.Header == "none" || x.Header == "time" {
		return inside
	}
	if inside == "plain" {
		return x.Header
	}
	return x.Header + "+" + inside
}
