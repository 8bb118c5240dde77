// Package parse turns one raw log record into an event: it reads the syslog
// header, recognises the content and fills the canonical fields beside the
// native ones. It never fails, never drops a record, and never reads or writes
// anything but its arguments: no files, no clock, no network.
//
// # How a record is recognised
//
// The transport comes first (header.go): PRI, time, host and tag in all the
// shapes in which RFC 3164 and RFC 5424 are really sent. Then the content is
// chosen, cheaply and in this order: what the sender's hint names, what the
// program name says, what the first bytes say (a brace, "CEF:", an address and
// a bracketed time, key=value). What nothing knows is plain text and kept
// whole; that is not an error. The tag parse_error is given only to a record
// that claims a structured format (it begins as a JSON object, with "CEF:" or
// with "LEEF:", or its sender's hint names a parser) and cannot be read as such.
//
// A collector's envelope (envelope.go) is read for what it knows of host, program,
// time and level; the line inside is then chosen a parser for as if it had come
// alone. Network products are told in appliance.go, by first bytes and programs.
//
// # Adding a content parser
//
//  1. Make a file NAME.go with a function NAMEParser() that returns a content:
//     its name, its source, the programs that write it and two or more samples
//     with the fields they must give.
//  2. Write parseNAME(l *line) bool beside it: read l.text, call l.add for every
//     field, set l.category and its kin; return false if the text is not yours.
//     A product that writes prose is a table of sayings (saying.go): one line for
//     each wording.
//  3. Add NAMEParser() to contents in registry.go.
//  4. If no program name leads to it, add one cheap test to sniff in registry.go.
//  5. Run go test ./internal/parse: samples, fuzz seeds, allocation and listing
//     tests pick the new parser up from the registry.
package parse
