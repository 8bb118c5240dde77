package account

import (
	"crypto/sha256"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var commonFrom = flag.String("common", "", "write common.bin from this list of passwords, one a line")

func TestCommonPasswordsAreRefused(t *testing.T) {
	if *commonFrom != "" {
		text, err := os.ReadFile(*commonFrom)
		if err != nil {
			t.Fatal(err)
		}
		var sums []string
		for line := range strings.Lines(string(text)) {
			if line = strings.ToLower(strings.TrimSpace(line)); line != "" {
				sum := sha256.Sum256([]byte(line))
				sums = append(sums, string(sum[:commonSize]))
			}
		}
		slices.Sort(sums)
		common = []byte(strings.Join(slices.Compact(sums), ""))
		if err := os.WriteFile("common.bin", common, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{
		"1q2w3e4r5t6y", "123qweasdzxc", "Password1234", "passwordpassword", "P@ssw0rd2026!!", "qwerty123456", "Dragon!!!!!!!!", "abcdefghijklm", "123456789012", "aaaaaaaaaaaaa", "abababababab", "2026monkey2026", "------------1", "11223344556677!",
	} {
		if !breached(bad) {
			t.Errorf("%q is let through", bad)
		}
	}
	for _, good := range []string{"four words about rain", "rain on a tin roof", "vq7-tmK.wexo2", "비가 오는 날 양철 지붕", "correct horse battery staple"} {
		if err := checkPassword(good, "hana@example.com", "Hana Kim"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, own := range []string{"hanakimhanakim", "hana.kim2026!"} {
		if err := checkPassword(own, "hana.kim@example.com", "hanakim"); err == nil {
			t.Errorf("%q is let through", own)
		}
	}
	for _, length := range []string{"", "elevenchars", strings.Repeat("x1y2", 65), "\xff\xfe long enough"} {
		if err := checkPassword(length); err == nil {
			t.Errorf("%q is let through", length)
		}
	}
}
