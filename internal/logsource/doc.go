// Package logsource knows each tenant's log sources, that is, what one host sends of
// one product: it discovers them from the stream, learns how often they send, says
// when one falls silent, and keeps the settings by which their records are read. It
// never parses or changes an event itself, and memory and rows are bounded.
package logsource
