//go:build !race

package detect

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false

// plain: TestBoundsOfAll|TestRecordings|TestMatchAgrees|TestWorstCasesAgree
