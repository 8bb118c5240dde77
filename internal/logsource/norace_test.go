//go:build !race

package logsource

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false

// plain: TestSilence
