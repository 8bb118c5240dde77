//go:build race

package storetest

// Under the race detector there is less data: what is compared there a thousand
// times is compared with all of it in runs without.
const scale = 6
