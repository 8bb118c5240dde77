// Package quarantine counts the records that claim a format and break it, and reads
// them again when parsers or settings have changed. The records themselves stay whole
// in the event store, found by event.ParseErrorReason; nothing here keeps their text.
//
// # A re-run doubles nothing
//
// What is read at last goes through the queue again under the id of its old event, so
// that the pipeline makes one event of it however often it is sent. Then the old row is
// erased, and the counts move in one transaction. A row of quarantine_move says how far
// that is; after a crash the next re-run of the tenant finishes it first.
package quarantine
