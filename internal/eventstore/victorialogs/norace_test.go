//go:build !race

package victorialogs_test

const raceEnabled = false

// plain: TestTwoNodes
