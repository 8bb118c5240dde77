package parse

// A lastMinute remembers the last minute that a time in UTC was in: records come
// in the order of their times.
type lastMinute struct {
	text  [len(minuteForm)]byte
	start int64
}

const minuteForm = "2006-01-02T15:04:"

// read reads a time of that minute.
func (m *lastMinute) read(s string) (int64, bool) {
	const n = len(minuteForm)
	if len(s) < n+3 || s[:n] != string(m.text[:]) || s[len(s)-1] != 'Z' {
		return 0, false
	}
	sec := two(s, n)
	if sec < 0 || sec > 59 {
		return 0, false
	}
	t := m.start + int64(sec)*second
	if len(s) == n+3 {
		return t, true
	}
	if s[n+2] != '.' || len(s) < n+5 || len(s) > n+13 {
		return 0, false
	}
	unit := second
	for i := n + 3; i < len(s)-1; i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		unit /= 10
		t += int64(s[i]-'0') * unit
	}
	return t, true
}

// learn takes the minute of a time that was read.
func (m *lastMinute) learn(s string, t int64, c *clock) {
	const n = len(minuteForm)
	if len(s) < n+3 || s[len(s)-1] != 'Z' || s[4] != '-' || s[10] != 'T' || s[n-1] != ':' || c.offset != 0 || c.second > 59 {
		return
	}
	copy(m.text[:], s)
	m.start = t - int64(c.second)*second - c.nanos
}
