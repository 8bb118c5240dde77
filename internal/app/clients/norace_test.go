//go:build !race

package clients

// raceEnabled says that this is a run under the race detector.
const raceEnabled = false

// plain: TestClients
