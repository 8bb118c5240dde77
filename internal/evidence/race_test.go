//go:build race

package evidence_test

// raceEnabled says that the race detector slows everything down.
const raceEnabled = true
