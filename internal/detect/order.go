package detect

import "slices"

// inOrder tells whether the positions of want occur in entries in that order, each
// by an event of its own. Of events at the same time any may be the first.
func inOrder(entries []entry, want []string) bool {
	for len(entries) > 0 && len(want) > 0 {
		n := 1
		for n < len(entries) && entries[n].at == entries[0].at {
			n++
		}
		want = want[assign(entries[:n], want, false):]
		entries = entries[n:]
	}
	return len(want) == 0
}

// assign returns how many positions of want the events of entries, which are of one
// time, can take, each event one of them: without any gap from the first on, or
// with gaps.
func assign(entries []entry, want []string, gaps bool) int {
	if alone(entries) { // as they are most often
		return assignAlone(entries, want, gaps)
	}
	takes := map[uint64]int{} // event → index of want
	var place func(i int, tried map[uint64]bool) bool
	place = func(i int, tried map[uint64]bool) bool {
		for j := range entries {
			e := &entries[j]
			if e.value != want[i] || tried[e.event] {
				continue
			}
			tried[e.event] = true
			if other, ok := takes[e.event]; !ok || place(other, tried) {
				takes[e.event] = i
				return true
			}
		}
		return false
	}
	n := 0
	for i := range want {
		if place(i, map[uint64]bool{}) {
			n++
		} else if !gaps {
			break
		}
	}
	return n
}

// alone tells whether entries are all of different events.
func alone(entries []entry) bool {
	if len(entries) > 32 {
		seen := make(map[uint64]bool, len(entries))
		for i := range entries {
			seen[entries[i].event] = true
		}
		return len(seen) == len(entries)
	}
	for i := range entries {
		for j := range i {
			if entries[i].event == entries[j].event {
				return false
			}
		}
	}
	return true
}

// assignAlone is assign where each entry is of an event of its own, so that only
// their number matters.
func assignAlone(entries []entry, want []string, gaps bool) int {
	n := 0
	for i, v := range want {
		have := 0
		for j := range entries {
			if entries[j].value == v {
				have++
			}
		}
		for _, before := range want[:i] {
			if before == v {
				have--
			}
		}
		if have > 0 {
			n++
		} else if !gaps {
			break
		}
	}
	return n
}

// longestInOrder returns how many of the positions of the list occur in entries in
// their order, at most.
func longestInOrder(entries []entry, positions []string) int {
	best := make([]int, len(positions)) // longest chain that ends with a position
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].at == entries[0].at {
			n++
		}
		if n == 1 {
			for to := len(positions) - 1; to >= 0; to-- {
				if positions[to] == entries[0].value {
					best[to] = max(best[to], 1+slices.Max(append(best[:to:to], 0)))
				}
			}
			entries = entries[1:]
			continue
		}
		next := slices.Clone(best)
		for from := range positions { // chains that go on with positions after from
			start := 0
			for _, b := range best[:from] {
				start = max(start, b)
			}
			for to := from; to < len(positions); to++ {
				if slices.ContainsFunc(entries[:n], func(e entry) bool { return e.value == positions[to] }) {
					next[to] = max(next[to], start+assign(entries[:n], positions[from:to+1], true))
				}
			}
		}
		best = next
		entries = entries[n:]
	}
	return slices.Max(append(best, 0))
}
