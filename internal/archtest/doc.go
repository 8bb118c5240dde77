// Package archtest holds the tests of the architecture: imports point down and
// every package says what it is for. It has no code of its own.
package archtest
