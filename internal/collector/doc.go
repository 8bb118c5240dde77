// Package collector is the agent: it reads logs on a host and sends them to the
// server over mutual TLS, outbound only. Sources (package source) put pieces into
// a gather, which writes batches into the spool (package spool) together with how
// far each source has read. A sender sends them, one after the other, until the
// server has acknowledged each. So neither end may be killed at a wrong moment.
package collector
