package compliance

import (
	"encoding/json"
	"time"
)

// An Outcome is what a check found.
type Outcome string

// The outcomes. An empty population is NoData, never Pass.
const (
	Pass   Outcome = "pass"
	Partly Outcome = "partial"
	Fail   Outcome = "fail"
	NoData Outcome = "noData"
)

// Outcomes lists the outcomes.
var Outcomes = []Outcome{Pass, Partly, Fail, NoData}

// A Result is what one variant of a check found, and how.
type Result struct {
	Variant string // Variant.Key
	Check   string
	Version int // of the check
	Outcome Outcome

	Value     *float64 // nil where there is no number
	Unit      string   // "ratio", "days", "minutes", "count", …
	Threshold string   // what it was held against, in words with the parameters filled in: "ratio >= 0.95"
	Reason    string   // one sentence: what was found, and unless it passes what to do, in English
	Said      Text     // Reason in every language

	Population Population
	From, To   time.Time // the period that was looked at
	// EffectiveAt is the time for which the result holds, CollectedAt when it was
	// gathered, ValidUntil when it stops to count (zero: twice the check's cadence after
	// CollectedAt).
	EffectiveAt, CollectedAt, ValidUntil time.Time

	Method    string          // the query, statement or metric itself, with its parameters
	Resources []string        // what it was asked of: "table alert", "collector web-01"
	Facts     json.RawMessage // what becomes the artifact; nothing in it is secret

	EvidenceID string // of the record that keeps it; "" before it is kept
}

// A Population says what was looked at.
type Population struct {
	Definition string // "alerts of severity critical or high, created in the period"
	Size       int64
	Sample     int64 // how many of them were looked at; equal to Size where all were
}
