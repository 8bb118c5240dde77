package logsource

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A shape makes the moments, in seconds from a Monday's beginning, at which a source
// sends within days.
type shape struct {
	name  string
	times func(r *rand.Rand, days int) []int64
	// by: an outage that begins at outageAt (hour of the last Tuesday) is told after
	// that many minutes at most.
	outageAt int
	by       int
}

func every(seconds, jitter int) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, days int) (out []int64) {
		for t := int64(0); t < int64(days)*86400; t += int64(seconds) {
			out = append(out, t+r.Int64N(int64(jitter)+1))
		}
		return out
	}
}

func random(mean float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, days int) (out []int64) {
		for t := 0.0; t < float64(days)*86400; t += r.ExpFloat64() * mean {
			out = append(out, int64(t))
		}
		return out
	}
}

// nights: a job at 02:00, up to 20 minutes late, that writes for half an hour.
func nights(_ bool, skipDays ...int) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, days int) (out []int64) {
		for d := range days {
			if slices.Contains(skipDays, d%7) {
				continue
			}
			begin := int64(d)*86400 + 2*3600 + r.Int64N(1200)
			for t := begin; t < begin+1800; t += 1 + r.Int64N(60) {
				out = append(out, t)
			}
		}
		return out
	}
}

// office: 08:00 to 18:00 on working days, one event in mean seconds.
func office(mean float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, days int) (out []int64) {
		for d := range days {
			if d%7 >= 5 {
				continue
			}
			for t := float64(d)*86400 + 8*3600 + r.Float64()*900; t < float64(d)*86400+18*3600; t += r.ExpFloat64() * mean {
				out = append(out, int64(t))
			}
		}
		return out
	}
}

// bursts of fifty events, hours apart at random.
func bursts(mean float64) func(*rand.Rand, int) []int64 {
	return func(r *rand.Rand, days int) (out []int64) {
		for t := 0.0; t < float64(days)*86400; t += r.ExpFloat64() * mean {
			for i := range 50 {
				out = append(out, int64(t)+int64(i))
			}
		}
		return out
	}
}

// dayAndNight: a web server whose rate at night is a fiftieth of that by day.
func dayAndNight(r *rand.Rand, days int) (out []int64) {
	for t := 0.0; t < float64(days)*86400; {
		mean := 5.0
		if h := int(t) / 3600 % 24; h < 7 || h > 21 {
			mean = 250
		}
		t += r.ExpFloat64() * mean
		out = append(out, int64(t))
	}
	return out
}

func weekly(r *rand.Rand, days int) (out []int64) {
	for d := 6; d < days; d += 7 { // Sundays 04:00
		begin := int64(d)*86400 + 4*3600 + r.Int64N(600)
		for i := range int64(100) {
			out = append(out, begin+i*3)
		}
	}
	return out
}

var shapes = []shape{
	{"all the time", every(5, 0), 11, 6}, // a rhythm knows seconds: more often is the same
	{"each minute", every(60, 5), 11, 6},
	{"each five minutes", every(300, 30), 11, 20},
	{"each hour", every(3600, 120), 11, 260},
	{"random, a minute", random(60), 11, 60},
	{"random, ten minutes", random(600), 11, 12 * 60},
	{"random, two hours", random(7200), 11, 5 * 24 * 60},
	{"bursts, three hours", bursts(10800), 11, 7 * 24 * 60},
	{"day and night", dayAndNight, 11, 30},
	{"office hours, busy", office(5), 11, 30},
	{"office hours, slow", office(120), 11, 180},
	{"nightly", nights(true), 1, 180},
	{"nights before working days", nights(true, 5, 6), 1, 180},
	{"weekly", weekly, 0, 0},
}

// monday is a Monday's midnight, in seconds.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).Unix()

// listen lets a rhythm hear times and judges each minute until the end; it returns the
// minutes at which silences were told.
func listen(y *rhythm, times []int64, until int64) (told []int64) {
	slices.Sort(times)
	next, last, alarm := 0, int64(0), false
	for now := int64(60); now <= until; now += 60 {
		for next < len(times) && times[next] <= now {
			t := times[next]
			y.heard(monday+last, monday+t, alarm)
			last, alarm = t, false
			next++
		}
		if next == 0 || alarm || now-last <= floor {
			continue
		}
		if limit, ok := y.limit(monday + now); ok && now-last > limit {
			alarm = true
			told = append(told, now)
		}
	}
	return told
}

// TestSilence lets sources of many shapes live for ten weeks: while they do, hardly
// any alarm is false, and when they die in the eleventh week it is told in time.
func TestSilence(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("one goroutine works for a minute: make plain runs this")
	}
	const weeks, lives = 8, 4
	falseAlarms, years := 0, 0.0
	for _, s := range shapes {
		wrong, late := 0, 0
		var waits []int64
		for life := range lives {
			r := rand.New(rand.NewPCG(uint64(life), 7)) //nolint:gosec // shapes, no secrets
			const days = weeks*7 + 7
			times := s.times(r, days)
			dies := int64(weeks*7*86400) + 86400 + int64(s.outageAt)*3600
			alive := slices.DeleteFunc(slices.Clone(times), func(x int64) bool { return x >= dies })
			if s.by == 0 {
				alive, dies = times, days*86400
			}
			var y rhythm
			told := listen(&y, alive, dies+8*86400)
			before := slices.DeleteFunc(slices.Clone(told), func(x int64) bool { return x > dies })
			wrong += len(before)
			if s.by == 0 {
				continue
			}
			if len(told) == len(before) {
				late++
				continue
			}
			// A silence is told from the moment at which something was to come.
			wait := (told[len(before)] - max(dies, alive[len(alive)-1])) / 60
			if s.name[:5] == "night" {
				wait = (told[len(before)] - (dies/86400*86400 + 2*3600)) / 60
			}
			if waits = append(waits, wait); wait > int64(s.by) {
				late++
			}
		}
		slices.Sort(waits)
		if len(waits) > 0 {
			t.Logf("%-28s false alarms in %d weeks of %d sources: %2d; told after %d to %d minutes, half within %d", s.name, weeks, lives, wrong, waits[0], waits[len(waits)-1], waits[len(waits)/2])
		} else {
			t.Logf("%-28s false alarms in %d weeks of %d sources: %2d", s.name, weeks, lives, wrong)
		}
		if late > 0 {
			t.Errorf("%s: %d of %d deaths are told after more than %d minutes", s.name, late, lives, s.by)
		}
		falseAlarms += wrong
		years += weeks * 7 * lives / 365.0
	}
	t.Logf("%d false alarms in %.0f years of sources", falseAlarms, years)
	if perYear := float64(falseAlarms) / years; perYear > 0.25 {
		t.Errorf("%.2f false alarms in a source's year", perYear)
	}
}
