//go:build !race

package report_test

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false

// plain: TestEveryControl
