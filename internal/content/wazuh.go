package content

import "github.com/kyra-mdr/kyra/internal/wazuh"

// Wazuh is the format of the rules of Wazuh 4 and OSSEC: XML, converted to Sigma.
func Wazuh() Format {
	return Format{Name: "wazuh", Suffixes: []string{".xml"}, Convert: convertWazuh}
}

func convertWazuh(files []File) ([]Candidate, []Refusal) {
	in := make([]wazuh.File, len(files))
	for i, f := range files {
		in[i] = wazuh.File(f)
	}
	rules, left := wazuh.Convert(in)
	candidates := make([]Candidate, len(rules))
	for i, r := range rules {
		candidates[i] = Candidate{File: r.File, Line: r.Line, Text: r.Text}
	}
	refused := make([]Refusal, len(left))
	for i, r := range left {
		refused[i] = Refusal(r)
	}
	return candidates, refused
}
