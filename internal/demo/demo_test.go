package demo_test

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
)

func moment() time.Time { return time.Date(2026, 11, 25, 11, 30, 0, 0, time.UTC) }

func TestRecordingIsOneSortedDay(t *testing.T) {
	t.Parallel()
	for name, seq := range map[string]iter.Seq[demo.Line]{"recording": demo.Recording(moment()), "ordinary": demo.Ordinary(moment())} {
		lines := slices.Collect(seq)
		if len(lines) < 30_000 || len(lines) > 60_000 {
			t.Errorf("%s: %d lines, want 30,000 to 60,000", name, len(lines))
		}
		if !slices.IsSortedFunc(lines, func(a, b demo.Line) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("%s: not sorted by time", name)
		}
		first, last := lines[0].Time, lines[len(lines)-1].Time
		if first.Before(moment().Add(-demo.Day)) || first.After(moment().Add(-demo.Day+time.Minute)) || !last.Before(moment()) || last.Before(moment().Add(-time.Minute)) {
			t.Errorf("%s: from %v to %v", name, first, last)
		}
	}
}

// A recording differs from another in its times alone.
func TestRecordingIsAlikeEveryTime(t *testing.T) {
	t.Parallel()
	const later = 40*24*time.Hour + 5*time.Hour
	collect := func(end time.Time) (texts []string, offsets []time.Duration) {
		for l := range demo.Recording(end) {
			text := l.Text[len(time.Stamp):]
			if before, after, found := strings.Cut(text, " - - ["); found { // the web server's own time
				_, after, _ = strings.Cut(after, "]")
				text = before + after
			}
			texts = append(texts, text)
			offsets = append(offsets, end.Sub(l.Time))
		}
		return texts, offsets
	}
	texts1, offsets1 := collect(moment())
	texts2, offsets2 := collect(moment().Add(later))
	if !slices.Equal(texts1, texts2) || !slices.Equal(offsets1, offsets2) {
		t.Error("two recordings differ in more than their times")
	}
}

// The times that the texts bear are those of the lines, also over the turn of a
// year, which syslog does not write.
func TestTextsBearTheirTimes(t *testing.T) {
	t.Parallel()
	for _, end := range []time.Time{time.Date(2028, 1, 1, 5, 0, 0, 0, time.UTC), time.Date(2028, 3, 1, 7, 0, 0, 0, time.FixedZone("", 9*3600))} {
		p := parse.New(parse.Options{})
		var e event.Event
		bad := 0
		for l := range demo.Recording(end) {
			p.Parse(&parse.Record{Raw: l.Text, Source: l.Source, Arrived: end.UnixNano()}, &e)
			if want := l.Time.Truncate(time.Second); e.Time != want.UnixNano() {
				if bad++; bad < 5 {
					t.Errorf("%q is of %v, not %v", l.Text, time.Unix(0, e.Time).UTC(), want)
				}
			}
		}
	}
}

// Nobody's real address may be in the recording.
func TestAddressesAreReserved(t *testing.T) {
	t.Parallel()
	var reserved []netip.Prefix
	for _, p := range []string{"10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/24", "2001:db8::/32"} {
		reserved = append(reserved, netip.MustParsePrefix(p))
	}
	seen := map[string]bool{}
	for l := range demo.Recording(moment()) {
		text := l.Text
		if before, _, found := strings.Cut(text, `" "`); found { // programs' versions look like addresses
			text = before
		}
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" =/@;,[]()\"", r) }) {
			word = strings.TrimSuffix(word, ":")
			if strings.Count(word, ".") != 3 && strings.Count(word, ":") < 3 || seen[word] {
				continue
			}
			if host, _, found := strings.Cut(word, ":"); found && strings.Contains(host, ".") {
				word = host
			}
			a, err := netip.ParseAddr(word)
			if err != nil || seen[word] {
				continue // a MAC address, a time, or known
			}
			seen[word] = true
			if !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) }) {
				t.Errorf("%v in %q", a, l.Text)
			}
		}
	}
	if len(seen) < 500 {
		t.Errorf("only %d addresses found", len(seen))
	}
}

// Each host and each kind of line must be there: a recording of one kind shows
// nothing.
func TestRecordingIsVaried(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for l := range demo.Ordinary(moment()) {
		fields := strings.Fields(l.Text[16:])
		program, _, _ := strings.Cut(strings.TrimSuffix(fields[1], ":"), "[")
		got[fields[0]+" "+program] = true
	}
	for _, want := range []string{"bastion-01 sshd", "bastion-01 sudo", "bastion-01 CRON", "web-01 nginx", "web-01 sudo", "web-01 sshd", "db-01 postgres", "db-01 sshd", "fw-01 kernel", "fw-01 systemd"} {
		if !got[want] {
			t.Errorf("no line of %s; there are %v", want, got)
		}
	}
}

func TestStagesAreInOrder(t *testing.T) {
	t.Parallel()
	before := demo.Day
	for _, stage := range demo.Stages() {
		if len(stage.Rules) == 0 || stage.Before >= before {
			t.Errorf("stage %q names no rules or does not follow the one before", stage.Name)
		}
		before = stage.Before
	}
}
