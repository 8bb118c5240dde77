// Package source knows where events come from: the collectors with their state,
// and the ledger that accounts for every record of each source and hour. It never
// takes in an event itself.
package source
