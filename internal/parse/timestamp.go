package parse

import (
	"math/bits"
	"strings"
	"time"
)

// Values of time_quality.
const (
	qualityExact    = "exact"        // date, time and zone were given
	qualityZone     = "tz_assumed"   // the zone was not
	qualityYear     = "year_assumed" // neither was the year
	qualityReceived = "received"     // no time was: arrival stands for it
)

const (
	second = int64(time.Second)
	day    = 24 * 60 * 60 // seconds
)

// civilDays counts the days from 1970-01-01 to a date of the Gregorian calendar.
func civilDays(year, month, dayOfMonth int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + dayOfMonth - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}

// A clock is a time of day and date as read, before zone and year are settled.
type clock struct {
	year, month, day     int // year 0: not given
	hour, minute, second int
	nanos                int64
	offset               int // seconds east of UTC
	zoned                bool
}

// daysIn returns the days of a month.
func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// nanosIn returns c in the given year as nanoseconds since 1970, and false where
// there is no such time or it cannot be counted in 64 bits.
func (c *clock) nanosIn(year int, zone *time.Location) (int64, bool) {
	if year < 1678 || year > 2261 || c.month < 1 || c.month > 12 || c.day < 1 ||
		c.day > daysIn(year, c.month) || c.hour > 23 || c.minute > 59 || c.second > 60 {
		return 0, false
	}
	s := civilDays(year, c.month, c.day)*day + int64(c.hour*3600+c.minute*60+c.second)
	switch {
	case c.zoned:
		s -= int64(c.offset)
	case zone != nil && zone != time.UTC:
		s = time.Date(year, time.Month(c.month), c.day, c.hour, c.minute, c.second, 0, zone).Unix()
	}
	return s*second + c.nanos, true
}

// yearGuess remembers the year of the last arrival.
type yearGuess struct {
	from, to int64 // seconds
	year     int
}

func (y *yearGuess) of(arrived int64) int {
	s := arrived / second
	if s < y.from || s >= y.to {
		y.year = time.Unix(s, 0).UTC().Year()
		y.from, y.to = civilDays(y.year, 1, 1)*day, civilDays(y.year+1, 1, 1)*day
	}
	return y.year
}

// resolve turns c into nanoseconds since 1970. Without a year it takes the latest
// year that puts c not more than a day after arrival.
func (l *line) resolve(c *clock) (t int64, quality string, ok bool) {
	if c.year != 0 {
		t, ok = c.nanosIn(c.year, l.r.Zone)
		if c.zoned {
			return t, qualityExact, ok
		}
		return t, qualityZone, ok
	}
	year := l.p.years.of(l.r.Arrived)
	for y := year + 1; y > year-8; y-- { // eight: 29 February is not in every year
		if t, ok = c.nanosIn(y, l.r.Zone); ok && t <= l.r.Arrived+day*second {
			return t, qualityYear, true
		}
	}
	return 0, "", false
}

// monthOf reads an English month name of three letters, in any case, or one of
// the French abbreviations; n is how many bytes it took.
func monthOf(s string) (month, n int) {
	if len(s) < 3 {
		return 0, 0
	}
	switch uint32(s[0]|0x20)<<16 | uint32(s[1]|0x20)<<8 | uint32(s[2]|0x20) {
	case 'j'<<16 | 'a'<<8 | 'n':
		month = 1
	case 'f'<<16 | 'e'<<8 | 'b':
		month = 2
	case 'm'<<16 | 'a'<<8 | 'r':
		month = 3
	case 'a'<<16 | 'p'<<8 | 'r':
		month = 4
	case 'm'<<16 | 'a'<<8 | 'y':
		month = 5
	case 'j'<<16 | 'u'<<8 | 'n':
		month = 6
	case 'j'<<16 | 'u'<<8 | 'l':
		month = 7
	case 'a'<<16 | 'u'<<8 | 'g':
		month = 8
	case 's'<<16 | 'e'<<8 | 'p':
		month = 9
	case 'o'<<16 | 'c'<<8 | 't':
		month = 10
	case 'n'<<16 | 'o'<<8 | 'v':
		month = 11
	case 'd'<<16 | 'e'<<8 | 'c':
		month = 12
	default:
		return frenchMonth(s)
	}
	if len(s) == 3 || s[3] == ' ' || s[3] == '/' || s[3] == '-' {
		return month, 3
	}
	return frenchMonth(s)
}

// frenchMonths as glibc abbreviates them under fr_FR.
var frenchMonths = [...]struct {
	name  string
	month int
}{
	{"janv.", 1},
	{"févr.", 2},
	{"fevr.", 2},
	{"mars", 3},
	{"avril", 4},
	{"avr.", 4},
	{"mai", 5},
	{"juin", 6},
	{"juil.", 7},
	{"août", 8},
	{"aout", 8},
	{"sept.", 9},
	{"oct.", 10},
	{"nov.", 11},
	{"déc.", 12},
	{"dec.", 12},
}

func frenchMonth(s string) (month, n int) {
	for _, f := range &frenchMonths {
		if strings.HasPrefix(s, f.name) && len(s) > len(f.name) && s[len(f.name)] == ' ' {
			return f.month, len(f.name)
		}
	}
	return 0, 0
}

// two reads two digits, -1 without.
func two(s string, i int) int {
	if i+2 > len(s) || !isDigit(s[i]) || !isDigit(s[i+1]) {
		return -1
	}
	return int(s[i]-'0')*10 + int(s[i+1]-'0')
}

// timeOfDay reads "15:04:05" and an optional fraction after '.' or ','.
func (c *clock) timeOfDay(s string) (rest string, ok bool) {
	if len(s) > 7 && s[0] == ' ' || len(s) > 6 && isDigit(s[0]) && s[1] == ':' { // " 5:13:11" and "5:13:11"
		s = strings.TrimPrefix(s, " ")
		if len(s) < 7 || !isDigit(s[0]) || s[1] != ':' {
			return s, false
		}
		c.hour = int(s[0] - '0')
		s = s[1:]
	} else {
		c.hour = two(s, 0)
		if c.hour < 0 || c.hour > 23 {
			return s, false
		}
		s = s[2:]
	}
	if len(s) < 6 || s[0] != ':' || s[3] != ':' {
		return s, false
	}
	c.minute, c.second = two(s, 1), two(s, 4)
	if c.minute < 0 || c.minute > 59 || c.second < 0 || c.second > 60 {
		return s, false
	}
	return c.fraction(s[6:]), true
}

// fraction reads an optional fraction of a second.
func (c *clock) fraction(s string) (rest string) {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || !isDigit(s[1]) {
		return s
	}
	n := digits(s[1:])
	v, scale := int64(0), second
	for i := 1; i <= n && i <= 9; i++ {
		v = v*10 + int64(s[i]-'0')
		scale /= 10
	}
	c.nanos = v * scale
	return s[1+n:]
}

// zone reads "Z", "+02:00", "+0200", "+02" or, after a space, those or "UTC" and
// "GMT".
func (c *clock) zone(s string) (rest string) {
	t := s
	if len(t) > 1 && t[0] == ' ' {
		t = t[1:]
		if strings.HasPrefix(t, "UTC") || strings.HasPrefix(t, "GMT") {
			if len(t) == 3 || t[3] == ' ' || t[3] == ':' || t[3] == ']' {
				c.zoned = true
				return t[3:]
			}
			return s
		}
		if t[0] != '+' && t[0] != '-' {
			return s
		}
	}
	if t == "" {
		return s
	}
	switch t[0] {
	case 'Z', 'z':
		c.zoned = true
		return t[1:]
	case '+', '-':
		h := two(t, 1)
		if h < 0 || h > 15 {
			return s
		}
		n, m := 3, 0
		if len(t) >= 6 && t[3] == ':' && two(t, 4) >= 0 {
			m, n = two(t, 4), 6
		} else if two(t, 3) >= 0 {
			m, n = two(t, 3), 5
		}
		if n < len(t) && isDigit(t[n]) || m > 59 {
			return s
		}
		c.offset = h*3600 + m*60
		if t[0] == '-' {
			c.offset = -c.offset
		}
		c.zoned = true
		t = t[n:]
		if len(t) > 1 && t[0] == 'Z' && t[1] == ' ' { // "+00:00Z" occurs
			t = t[1:]
		}
		return t
	}
	return s
}

// isoTime reads "2006-01-02T15:04:05.999+02:00", with a space for the T, with
// slashes in the date, and with or without fraction and zone.
func (c *clock) isoTime(s string) (rest string, ok bool) {
	if len(s) < 18 || s[4] != '-' && s[4] != '/' || s[7] != s[4] || s[10] != 'T' && s[10] != ' ' && s[10] != 't' {
		return s, false
	}
	y1, y2 := two(s, 0), two(s, 2)
	c.month, c.day = two(s, 5), two(s, 8)
	if y1 < 0 || y2 < 0 || c.month < 1 || c.day < 1 {
		return s, false
	}
	c.year = y1*100 + y2
	rest, ok = c.timeOfDay(s[11:])
	if !ok {
		return s, false
	}
	return c.zone(rest), true
}

// shortDate reads "060102 15:04:05".
func (c *clock) shortDate(s string) (rest string, ok bool) {
	if len(s) < 16 || digits(s) != 6 || s[6] != ' ' {
		return s, false
	}
	c.year, c.month, c.day = 2000+two(s, 0), two(s, 2), two(s, 4)
	if c.month < 1 || c.day < 1 {
		return s, false
	}
	return c.timeOfDay(s[7:])
}

// colonTime reads "2006:01:02-15:04:05".
func (c *clock) colonTime(s string) (rest string, ok bool) {
	c.year, c.month, c.day = number(s[:4]), two(s, 5), two(s, 8)
	if c.year < 1970 || c.month < 1 || c.day < 1 {
		return s, false
	}
	return c.timeOfDay(s[11:])
}

// bsdTime reads "Jan _2 15:04:05" with an optional year before or after the time
// of day, fraction, and zone. A weekday may stand before.
func (c *clock) bsdTime(s string) (rest string, ok bool) {
	month, n := monthOf(s)
	if month == 0 {
		if len(s) > 8 && s[3] == ' ' && isWeekday(s) {
			s = skipSpaces(s[4:])
			month, n = monthOf(s)
		}
		if month == 0 {
			return s, false
		}
	}
	c.month = month
	t := skipSpaces(s[n:])
	d := digits(t)
	if d < 1 || d > 2 || d == len(t) || t[d] != ' ' && t[d] != ',' {
		return s, false
	}
	c.day = number(t[:d])
	t = skipSpaces(strings.TrimPrefix(t[d:], ","))
	if digits(t) == 4 && len(t) > 5 && t[4] == ' ' {
		c.year = number(t[:4])
		t = skipSpaces(t[5:])
	}
	rest, ok = c.timeOfDay(t)
	if !ok {
		return s, false
	}
	rest = c.zone(rest)
	if c.year == 0 && len(rest) >= 5 && rest[0] == ' ' && digits(rest[1:]) == 4 &&
		(len(rest) == 5 || rest[5] == ' ' || rest[5] == ':' || rest[5] == ']') {
		if y := number(rest[1:5]); y >= 1970 && y <= 2261 {
			c.year = y
			rest = rest[5:]
		}
	}
	return rest, true
}

func isWeekday(s string) bool {
	switch s[:3] {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// clfTime reads "02/Jan/2006:15:04:05 -0700".
func (c *clock) clfTime(s string) (rest string, ok bool) {
	if len(s) < 20 || s[2] != '/' || s[6] != '/' || s[11] != ':' {
		return s, false
	}
	month, n := monthOf(s[3:])
	y1, y2 := two(s, 7), two(s, 9)
	c.day, c.month = two(s, 0), month
	if n != 3 || y1 < 0 || y2 < 0 || c.day < 1 {
		return s, false
	}
	c.year = y1*100 + y2
	rest, ok = c.timeOfDay(s[12:])
	if !ok {
		return s, false
	}
	return c.zone(rest), true
}

// timeText reads a time in any of the spellings above, or an epoch number, that
// fills s.
func (l *line) timeText(s string) (t int64, quality string, ok bool) {
	s = strings.TrimSpace(s)
	if len(s) < 9 || len(s) > 64 {
		return 0, "", false
	}
	minute := &l.p.minute
	if t, ok := minute.read(s); ok {
		return t, qualityExact, true
	}
	if t, ok := epoch(s); ok {
		return t, qualityExact, true
	}
	var c clock
	var rest string
	switch {
	case isDigit(s[0]) && s[2] == '/':
		rest, ok = c.clfTime(s)
	case isDigit(s[0]):
		rest, ok = c.isoTime(s)
	default:
		rest, ok = c.bsdTime(s)
	}
	if !ok || len(rest) > 8 {
		return 0, "", false
	}
	t, quality, ok = l.resolve(&c)
	if ok && c.zoned {
		minute.learn(s, t, &c)
	}
	return t, quality, ok
}

// epoch reads seconds, milliseconds, microseconds or nanoseconds since 1970, told
// apart by their size, with an optional fraction. Numbers below 10^8 are no time.
func epoch(s string) (int64, bool) {
	n := digits(s)
	if n < 9 || n > 19 {
		return 0, false
	}
	unit := int64(1)
	switch {
	case n <= 11:
		unit = second
	case n <= 14:
		unit = 1e6
	case n <= 17:
		unit = 1e3
	}
	v := uint64(0)
	for i := range n {
		v = v*10 + uint64(s[i]-'0')
	}
	hi, lo := bits.Mul64(v, uint64(unit))
	if hi != 0 || lo > 1<<63-1 {
		return 0, false
	}
	t := int64(lo)
	if n == len(s) {
		return t, true
	}
	if s[n] != '.' || !allDigits(s[n+1:]) {
		return 0, false
	}
	for i := n + 1; i < len(s) && unit >= 10; i++ {
		unit /= 10
		t += int64(s[i]-'0') * unit
	}
	if t < 0 {
		return 0, false
	}
	return t, true
}
