package alert

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWordsOf(t *testing.T) {
	got := wordsOf(fold("Brute Force (SSH)", "47 attempts from 10.0.1.55, user=root; path <"+strings.Repeat("Y", 200)+">"))
	want := []string{"10.0.1.55", "LONG", "attempts", "brute", "force", "from", "path", "root", "ssh", "user"}
	if !slices.Equal(got, want) {
		t.Errorf("words are %q, want %q", got, want)
	}
}

func TestVocabularyFind(t *testing.T) {
	var v vocabulary
	v.extend([]string{"root", "chroot", "rooted", "ro"})
	old := v
	v.extend([]string{"aroota", "랜섬웨어가"})
	for _, tt := range []struct {
		part string
		want []int64
	}{
		{"root", []int64{1, 2, 3, 5}},
		{"\nroot", []int64{1, 3}},
		{"root\n", []int64{1, 2}},
		{"\nroot\n", []int64{1}},
		{"o", []int64{1, 2, 3, 4, 5}},
		{"랜섬", []int64{6}},
		{"가\n", []int64{6}},
		{"x", nil},
	} {
		if got, ok := v.find(tt.part, 10); !ok || !slices.Equal(got, tt.want) {
			t.Errorf("find(%q) = %v, %v; want %v", tt.part, got, ok, tt.want)
		}
	}
	if got, ok := v.find("o", 3); ok || len(got) != 3 {
		t.Errorf("find over the limit = %v, %v", got, ok)
	}
	if got, _ := old.find("a", 10); got != nil {
		t.Errorf("an older copy sees newer words: %v", got)
	}
}

// What stands in a text must never be ruled out by its words.
func TestNeedsRuleNothingOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab1.2 ,;\x1f랜섬-LX\t%_")), 1, 60, -1)
		texts := rapid.SliceOfN(text, 1, 6).Draw(t, "texts")
		long := strings.Repeat("z", maxWord+1)
		if rapid.Bool().Draw(t, "long") {
			texts[0] += " " + long + "b1"
		}
		var v vocabulary
		numbers := map[string]int64{}
		ofText := make([][]int64, len(texts))
		for i := range texts {
			texts[i] = strings.ToLower(texts[i])
			for _, word := range wordsOf(texts[i]) {
				if numbers[word] == 0 {
					v.extend([]string{word})
					numbers[word] = int64(v.len())
				}
				ofText[i] = append(ofText[i], numbers[word])
			}
		}
		i := rapid.IntRange(0, len(texts)-1).Draw(t, "in")
		runes := []rune(texts[i])
		if len(runes) == 0 {
			return
		}
		from := rapid.IntRange(0, len(runes)-1).Draw(t, "from")
		query := string(runes[from : from+rapid.IntRange(1, len(runes)-from).Draw(t, "length")])
		needs, impossible := v.needs(query, 1000)
		if impossible {
			t.Fatalf("%q stands in %q but is called impossible", query, texts[i])
		}
		for _, n := range needs {
			if !slices.ContainsFunc(n, func(word int64) bool { return slices.Contains(ofText[i], word) }) {
				t.Fatalf("%q stands in %q, which has the words %v and not one of %v", query, texts[i], ofText[i], n)
			}
		}
	})
}

func TestNeedsImpossible(t *testing.T) {
	var v vocabulary
	v.extend([]string{"failed", "logon", "10.0.1.55"})
	for query, want := range map[string]bool{
		"absent": true, "failed logo": false, "faile logon": true, "ed lo": false, "10.0.1.5": false, "10.0.1.56": true, "12345": false, "%": true, " ": false, "d  l": false,
	} {
		if _, got := v.needs(query, 10); got != want {
			t.Errorf("needs(%q): impossible = %v, want %v", query, got, want)
		}
	}
}
