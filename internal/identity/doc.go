// Package identity knows who calls: API keys, their scopes, limits of time and
// place, and what a presented key stands for. It never stores a key itself, only
// its digest, and never tells a caller why a key was refused.
package identity
