// Package ingest is the door for logs: HTTP bodies and syslog over UDP, TCP and
// TLS. It owns the wire: framing, compression, size and time limits, quotas and
// back-pressure. It turns input into chunks of raw records and appends them to
// the queue; an HTTP sender is answered only when the queue has them on disk.
//
// It does not authenticate, it knows no parser and looks at no content, and it
// drops nothing silently: what it cannot take is refused with a status, held
// back by not reading, or, over UDP, counted by its reason.
package ingest
