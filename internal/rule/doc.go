// Package rule is the catalogue of detection rules: the built-in ones, each tenant's
// own, their versions, and which are on for whom. It never matches an event, and
// leaves what a rule means to package sigma.
package rule
