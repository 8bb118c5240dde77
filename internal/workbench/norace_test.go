//go:build !race

package workbench

// raceEnabled says that the race detector slows everything down.
const raceEnabled = false

// plain: TestBacktest.*|TestExplain.*
