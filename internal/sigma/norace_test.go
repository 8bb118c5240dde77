//go:build !race

package sigma

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false

// plain: TestCorpusAgrees
