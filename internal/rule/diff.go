package rule

import (
	"fmt"
	"slices"
	"strings"
)

// Unified compares two texts line by line and writes what differs as a unified diff,
// three lines around each change; "" where they are the same. Texts that differ by
// more than a few thousand lines are shown as replaced whole: finding the least
// difference would take too long.
func Unified(nameA, nameB, a, b string) string {
	if a == b {
		return ""
	}
	edits := compare(lines(a), lines(b))
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", nameA, nameB)
	for _, h := range hunks(edits) {
		writeHunk(&out, edits[h.from:h.to], h.a, h.b)
	}
	return out.String()
}

// lines parts s, each line with its end.
func lines(s string) []string {
	if s == "" {
		return nil
	}
	all := strings.SplitAfter(s, "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// An edit is one line: ' ' in both texts, '-' in the first, '+' in the second.
type edit struct {
	kind byte
	line string
}

// maxEdits bounds the search for the least difference: memory grows with its square.
const maxEdits = 2000

// compare finds the least number of lines to take out and put in (Myers, "An O(ND)
// Difference Algorithm", 1986).
func compare(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var edits []edit
	for _, l := range a[:head] {
		edits = append(edits, edit{' ', l})
	}
	edits = append(edits, least(a[head:len(a)-tail], b[head:len(b)-tail])...)
	for _, l := range a[len(a)-tail:] {
		edits = append(edits, edit{' ', l})
	}
	return edits
}

func least(a, b []string) []edit {
	// reach[k+offset] is how far into a the best path on diagonal k has come.
	limit := min(len(a)+len(b), maxEdits)
	offset := limit + 1
	reach := make([]int32, 2*offset+1)
	var trail [][]int32 // reach before each step, diagonals -d to d
	for d := 0; d <= limit; d++ {
		trail = append(trail, slices.Clone(reach[offset-d-1:offset+d+2]))
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || (k != d && reach[offset+k-1] < reach[offset+k+1]) {
				x = int(reach[offset+k+1])
			} else {
				x = int(reach[offset+k-1]) + 1
			}
			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			reach[offset+k] = int32(x) //nolint:gosec // texts have at most 1 MiB
			if x >= len(a) && y >= len(b) {
				return walkBack(a, b, trail)
			}
		}
	}
	edits := make([]edit, 0, len(a)+len(b))
	for _, l := range a {
		edits = append(edits, edit{'-', l})
	}
	for _, l := range b {
		edits = append(edits, edit{'+', l})
	}
	return edits
}

// walkBack follows the best path from its end.
func walkBack(a, b []string, trail [][]int32) []edit {
	var edits []edit
	x, y := len(a), len(b)
	for d, reach := range slices.Backward(trail) {
		at := func(k int) int { return int(reach[k+d+1]) }
		k := x - y
		before := k - 1
		if k == -d || (k != d && at(k-1) < at(k+1)) {
			before = k + 1
		}
		fromX := at(before)
		fromY := fromX - before
		if d == 0 {
			fromX, fromY = 0, 0
		}
		for x > fromX && y > fromY && x > 0 && y > 0 {
			x, y = x-1, y-1
			edits = append(edits, edit{' ', a[x]})
		}
		switch {
		case d == 0:
		case x > fromX:
			x--
			edits = append(edits, edit{'-', a[x]})
		default:
			y--
			edits = append(edits, edit{'+', b[y]})
		}
	}
	slices.Reverse(edits)
	return edits
}

// A hunk is a run of edits to show, with the lines of both texts that come before it.
type hunk struct{ from, to, a, b int }

const around = 3 // lines shown around a change

func hunks(edits []edit) []hunk {
	var all []hunk
	a, b := 0, 0
	type place struct{ a, b int }
	places := make([]place, len(edits)+1)
	for i, e := range edits {
		places[i] = place{a, b}
		if e.kind != '+' {
			a++
		}
		if e.kind != '-' {
			b++
		}
		if e.kind == ' ' {
			continue
		}
		from, to := max(0, i-around), min(len(edits), i+around+1)
		if n := len(all); n > 0 && from <= all[n-1].to {
			all[n-1].to = to
			continue
		}
		all = append(all, hunk{from, to, places[from].a, places[from].b})
	}
	return all
}

func writeHunk(out *strings.Builder, edits []edit, a, b int) {
	var inA, inB int
	for _, e := range edits {
		if e.kind != '+' {
			inA++
		}
		if e.kind != '-' {
			inB++
		}
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(a, inA), span(b, inB))
	for _, e := range edits {
		out.WriteByte(e.kind)
		out.WriteString(e.line)
		if !strings.HasSuffix(e.line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// span writes where n lines after the first `before` ones stand, as diff(1) does.
func span(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}
