package account

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"sort"
	"strings"
	"unicode"
)

// common holds the first commonSize bytes of the SHA-256 of each of the 30,000 passwords
// that breaches hold most often, sorted: the list of zxcvbn 4.4.2 (MIT, see
// common.LICENSE). go test ./internal/account -run Common -common FILE writes it from a
// file with one password a line.
//
//go:embed common.bin
var common []byte

const commonSize = 5 // bytes: one in 36 million other passwords is taken for one of the list

func isCommon(s string) bool {
	sum := sha256.Sum256([]byte(s))
	n := len(common) / commonSize
	i := sort.Search(n, func(i int) bool { return bytes.Compare(common[i*commonSize:(i+1)*commonSize], sum[:commonSize]) >= 0 })
	return i < n && bytes.Equal(common[i*commonSize:(i+1)*commonSize], sum[:commonSize])
}

// plainLetters undoes the usual disguises.
var plainLetters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// breached tells whether guessers try the password first: it is a common one, one with
// digits and signs around it, in disguise, twice, or a mere run.
func breached(password string) bool {
	s := strings.ToLower(password)
	if isRun(s) {
		return true
	}
	around := func(r rune) bool { return !unicode.IsLetter(r) }
	for _, form := range []string{s, strings.TrimFunc(s, around), strings.TrimRightFunc(s, around)} {
		for _, x := range []string{form, plainLetters.Replace(form)} {
			if x == "" || isCommon(x) || isCommon(strings.TrimFunc(x, around)) {
				return true
			}
			if half := x[:len(x)/2]; len(x)%2 == 0 && half == x[len(x)/2:] && isCommon(half) {
				return true
			}
		}
	}
	return false
}

// isRun tells whether a text has hardly more than one idea: few characters, or each the
// next of the one before.
func isRun(s string) bool {
	const few = 4
	seen := map[rune]bool{}
	steps := map[rune]int{}
	last, n := rune(0), 0
	for _, r := range s {
		seen[r] = true
		if n > 0 {
			steps[r-last]++
		}
		last, n = r, n+1
	}
	if len(seen) <= few {
		return true
	}
	for step, times := range steps {
		if (step == 1 || step == -1) && times >= n-2 {
			return true
		}
	}
	return false
}
