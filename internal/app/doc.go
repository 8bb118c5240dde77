// Package app builds a server from its configuration: the one place where
// everything meets. It holds no rules of the trade: what is decided here is only
// who gets what, and in which order things start and stop.
package app
