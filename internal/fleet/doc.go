// Package fleet keeps the collectors of an installation: how they are let in (its
// own certificate authority, one-time tokens), how they are put out, what they
// report, what they shall be configured with, and that they are gone. It knows no
// wire: internal/ingest and internal/api speak for it.
package fleet
