//go:build !race

package app

const raceEnabled = false

// plain: TestCrash|TestCrashResend|TestAgentAndServerAcrossKills
