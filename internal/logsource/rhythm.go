package logsource

import (
	"slices"
	"time"
)

const (
	weekHours   = 168
	hourSeconds = 3600

	// floor is the shortest silence that is ever told: below it network and senders
	// may simply be late.
	floor = 5 * 60
)

// A rhythm is what is usual for a source: for each hour of the week (UTC), how long
// it had been silent at most at any moment of that hour. A source that writes all
// the time has seconds there, a nightly one nearly a day in the hour before it
// comes and an hour in the one after, one of office hours a weekend on Monday
// morning. So one comparison tells what silence is too long at this hour, whatever
// the shape of the traffic.
type rhythm struct {
	Began   int64            `json:"began"` // seconds since 1970; 0: nothing has come yet
	Hour    int64            `json:"hour"`  // that Max is of, hours since 1970
	Max     int64            `json:"max"`   // longest silence within it yet, seconds
	Longest int64            `json:"longest"`
	Hours   int64            `json:"hours"` // in which something came
	Prior   int32            `json:"prior"` // the cell before Hour's as it was before Max began
	Stray   float64          `json:"stray"` // by how much silence passed what was usual, at most
	Cells   [weekHours]int32 `json:"cells"` // seconds
	Seen    [weekHours]uint8 `json:"seen"`  // weeks
}

// cell is the hour of the week; 1970 began on a Thursday.
func cell(hour int64) int { return int(((hour % weekHours) + weekHours) % weekHours) }

// begin starts to learn at t, seconds since 1970.
func (y *rhythm) begin(t int64) { y.Began, y.Hour, y.Stray = t, t/hourSeconds, 1 }

// heard learns that nothing came from last to t, and something at t. With told, the
// silence was an alarm: it is no part of what is usual, or only by a little.
func (y *rhythm) heard(last, t int64, told bool) {
	if y.Began == 0 {
		y.begin(t)
		return
	}
	if t < last {
		return
	}
	if !told {
		y.Longest = max(y.Longest, t-last)
	}
	hour := t / hourSeconds
	if hour > y.Hour {
		y.Hours++
	}
	if hour-y.Hour > 5*weekHours { // nobody learns from such a gap
		y.Hour, y.Max = hour, 0
		return
	}
	for y.Hour < hour {
		y.Max = max(y.Max, (y.Hour+1)*hourSeconds-last)
		if y.Hour > y.Began/hourSeconds { // of the first one only a part was heard
			y.commit(told)
		}
		y.Hour, y.Max = y.Hour+1, 0
	}
	if hour == y.Hour {
		y.Max = max(y.Max, t-last)
	}
}

// skip goes on at t without learning anything of the time before: nobody listened.
func (y *rhythm) skip(t int64) {
	y.Hours += max(0, t/hourSeconds-y.Hour)
	y.Hour, y.Max = t/hourSeconds, 0
}

// How what was learned fades, and how far an alarm may change it.
const (
	fade        = 0.8    // of a week
	strayFade   = 0.9993 // of an hour: nine tenths in a week
	maxStray    = 4
	fromAlarm   = 1.5
	margin      = 2 // times what ever was usual
	dailyMargin = 3 // while little is known
	longestUsed = hourSeconds
)

func (y *rhythm) commit(told bool) {
	c := cell(y.Hour)
	// As it was known before this silence, which may have passed through the hour before.
	before := (c + weekHours - 1) % weekHours
	usual := int64(0)
	if now := y.Cells[before]; y.Seen[before] > 0 {
		y.Cells[before] = y.Prior
		usual = y.usual(c)
		y.Cells[before] = now
	}
	y.Prior = y.Cells[c]
	seen := float64(y.Max)
	if usual > 0 {
		ratio := seen / max(float64(usual), floor/margin)
		if told {
			ratio = min(ratio, fromAlarm*y.Stray)
			seen = min(seen, fromAlarm*max(float64(usual), floor/margin))
		}
		y.Stray = min(max(1+(y.Stray-1)*strayFade, ratio), maxStray)
	} else if told {
		return // an hour that is not known yet and was told as silent
	}
	if y.Seen[c] > 0 {
		seen = max(seen, float64(y.Cells[c])*fade)
	}
	y.Cells[c] = int32(min(seen, 1<<30))
	if y.Seen[c] < 255 {
		y.Seen[c]++
	}
}

// usual is the longest usual silence in the hours around c; 0 where they are not
// known. A quarter of all hours is never undercut, so that a source that comes at
// random does not seem punctual.
func (y *rhythm) usual(c int) int64 {
	before, after := (c+weekHours-1)%weekHours, (c+1)%weekHours
	if y.Seen[c] == 0 || y.Seen[before] == 0 || y.Seen[after] == 0 {
		return 0
	}
	return max(int64(max(y.Cells[c], y.Cells[before], y.Cells[after])), y.quarter())
}

func (y *rhythm) quarter() int64 {
	known := make([]int32, 0, weekHours)
	for c := range weekHours {
		if y.Seen[c] > 0 {
			known = append(known, y.Cells[c])
		}
	}
	if len(known) == 0 {
		return 0
	}
	slices.Sort(known)
	return int64(known[len(known)/4])
}

// daily is usual without telling days of the week apart, for sources that are known
// for little more than one week.
func (y *rhythm) daily(c int) int64 {
	longest := y.quarter()
	for around := -1; around <= 1; around++ {
		for day := range 7 {
			at := ((c+around+day*24)%weekHours + weekHours) % weekHours
			if y.Seen[at] == 0 {
				return 0
			}
			longest = max(longest, int64(y.Cells[at]))
		}
	}
	return longest
}

// How much history each way to judge needs.
const (
	steadyAfter = 3 * 24 * time.Hour
	dailyAfter  = 8 * 24 * time.Hour
	weeklyAfter = 15 * 24 * time.Hour
)

// limit returns what silence, in seconds, is too long at t, and false while too
// little is known to say so.
func (y *rhythm) limit(t int64) (seconds int64, ok bool) {
	age := time.Duration(t-y.Began) * time.Second
	steady := max(floor, 3*y.Longest)
	switch c := cell(t / hourSeconds); {
	case y.Began == 0 || age < steadyAfter:
		return 0, false
	case age >= weeklyAfter:
		// The hours around: their second week is not always complete.
		if u := y.usual(c); u > 0 {
			return max(floor, int64(margin*y.Stray*float64(u))), true
		}
	case age >= dailyAfter:
		if u := y.daily(c); u > 0 {
			return max(floor, int64(dailyMargin*y.Stray*float64(u))), true
		}
	}
	// One that had written in every hour until now.
	span := y.Hour - y.Began/hourSeconds
	return steady, y.Longest <= longestUsed && y.Hours >= span && span >= int64(steadyAfter/time.Hour)
}
