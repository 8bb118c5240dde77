package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

// A key is tokenPrefix, random base62 characters, and a base62 CRC-32 of those:
// the fixed form lets secret scanners find leaked keys, and the checksum lets
// them and us tell a key from a look-alike without a database.
const (
	tokenPrefix   = "kyra_"
	randomLength  = 32 // 190 bits
	checkLength   = 6
	tokenLength   = len(tokenPrefix) + randomLength + checkLength
	visibleLength = len(tokenPrefix) + 4 // what stays readable, to recognise a key by

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newToken returns a fresh key. Randomness comes from the operating system, whose
// failure ends the process (crypto/rand), so that no weak key can be made.
func newToken() string {
	b := make([]byte, 0, tokenLength)
	b = append(b, tokenPrefix...)
	var random [64]byte
	for len(b) < len(tokenPrefix)+randomLength {
		_, _ = rand.Read(random[:]) // never fails, see its documentation
		for _, r := range random {
			// 248 is the largest multiple of 62 in a byte: without the rest every
			// character is equally likely.
			if r < 248 && len(b) < len(tokenPrefix)+randomLength {
				b = append(b, base62[r%62])
			}
		}
	}
	return string(appendCheck(b, string(b[len(tokenPrefix):])))
}

func appendCheck(b []byte, random string) []byte {
	sum := crc32.ChecksumIEEE([]byte(random))
	var check [checkLength]byte
	for i := checkLength - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	return append(b, check[:]...)
}

// wellFormed tells whether s has the form of a key, checksum included.
func wellFormed(s string) bool {
	if len(s) != tokenLength || !strings.HasPrefix(s, tokenPrefix) {
		return false
	}
	random := s[len(tokenPrefix) : len(tokenPrefix)+randomLength]
	for i := range len(random) {
		if strings.IndexByte(base62, random[i]) < 0 {
			return false
		}
	}
	return string(appendCheck(nil, random)) == s[len(s)-checkLength:]
}

// digest returns what is stored of a key. A plain hash is enough: a key holds
// 190 random bits, so there is nothing to guess.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
