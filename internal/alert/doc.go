// Package alert turns findings into alerts to triage, merges what belongs to
// one rule and entity, and keeps their states, history and counters. It never
// matches events itself and never tells anyone outside the process.
package alert
