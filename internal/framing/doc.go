// Package framing cuts what senders send into records: bodies and files of text
// lines, NDJSON, JSON arrays and concatenated JSON (Reader), syslog streams with
// newline and octet-counted framing (Syslog), and the compression around them
// (Unpack).
//
// It finds where a record begins and ends and keeps its bytes. It never drops
// input that it cannot read, and it never looks at what a record means.
package framing
