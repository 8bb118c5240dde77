//go:build race

package victorialogs_test

// Under the race detector nodes run from a program that was built without it: the
// engine is not what these tests look for races in, and it becomes very slow.
const raceEnabled = true
