package workbench

import (
	"fmt"
	"strings"
)

// A Layer is a layer of the ATT&CK Navigator, in version 4.5 of its format.
type Layer struct {
	Name        string           `json:"name"`
	Versions    LayerVersions    `json:"versions"`
	Domain      string           `json:"domain"`
	Description string           `json:"description"`
	Sorting     int              `json:"sorting"`
	Layout      LayerLayout      `json:"layout"`
	HideOff     bool             `json:"hideDisabled"`
	Techniques  []LayerTechnique `json:"techniques"`
	Gradient    LayerGradient    `json:"gradient"`
	Legend      []LayerLegend    `json:"legendItems"`
	Metadata    []LayerMetadata  `json:"metadata"`
	Links       []LayerMetadata  `json:"links"`

	TacticRow      bool   `json:"showTacticRowBackground"`
	TacticRowColor string `json:"tacticRowBackground"`
	SelectAcross   bool   `json:"selectTechniquesAcrossTactics"`
	SelectWithSub  bool   `json:"selectSubtechniquesWithParent"`
	SelectVisible  bool   `json:"selectVisibleTechniques"`
}

// LayerVersions says what the layer is made for.
type LayerVersions struct {
	Attack    string `json:"attack"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

// LayerLayout says how the matrix is drawn.
type LayerLayout struct {
	Layout            string `json:"layout"`
	AggregateFunction string `json:"aggregateFunction"`
	ShowID            bool   `json:"showID"`
	ShowName          bool   `json:"showName"`
	ShowAggregate     bool   `json:"showAggregateScores"`
	CountUnscored     bool   `json:"countUnscored"`
	ExpandedSubs      string `json:"expandedSubtechniques"`
}

// A LayerTechnique is one cell.
type LayerTechnique struct {
	ID       string          `json:"techniqueID"`
	Tactic   string          `json:"tactic"`
	Score    int             `json:"score"`
	Color    string          `json:"color"`
	Comment  string          `json:"comment"`
	Enabled  bool            `json:"enabled"`
	Metadata []LayerMetadata `json:"metadata"`
	Links    []LayerMetadata `json:"links"`
	ShowSubs bool            `json:"showSubtechniques"`
}

// LayerGradient gives scores their colours.
type LayerGradient struct {
	Colors   []string `json:"colors"`
	MinValue int      `json:"minValue"`
	MaxValue int      `json:"maxValue"`
}

// A LayerLegend explains a colour.
type LayerLegend struct {
	Label string `json:"label"`
	Color string `json:"color"`
}

// LayerMetadata is a name and a value.
type LayerMetadata struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	blindColor     = "#d6d6d6"
	maxComment     = 20 // rules that a comment lists
	leastMaxScore  = 5  // so that two rules do not look like all there can be
	navigatorMaker = "5.1.0"
)

// Navigator returns the matrix as a layer: the score is the number of rules that see
// something, the comment lists rules. Techniques that ATT&CK of this version does not
// have are left out, and counted in the description.
func (c *Coverage) Navigator() *Layer {
	l := &Layer{
		Name: "KYRA detection coverage", Versions: LayerVersions{attackVersion, navigatorMaker, "4.5"}, Domain: "enterprise-attack",
		Layout:     LayerLayout{Layout: "side", AggregateFunction: "average", ShowName: true, ExpandedSubs: "none"},
		Techniques: []LayerTechnique{}, Metadata: []LayerMetadata{}, Links: []LayerMetadata{},
		Gradient:       LayerGradient{Colors: []string{"#e8f4e8", "#8ec843", "#2a7f2a"}, MinValue: 1, MaxValue: leastMaxScore},
		Legend:         []LayerLegend{{"rules that see events", "#8ec843"}, {"only rules that are blind", blindColor}},
		TacticRowColor: "#dddddd", SelectAcross: true,
	}
	unknown := map[string]bool{}
	for _, t := range c.Tactics {
		for _, cell := range t.Techniques {
			if cell.Name == "" {
				unknown[cell.ID] = true
				continue
			}
			x := LayerTechnique{ID: cell.ID, Tactic: t.Name, Score: cell.Rules, Comment: cell.comment(), Enabled: true, Metadata: []LayerMetadata{}, Links: []LayerMetadata{}}
			if cell.Rules == 0 {
				x.Color = blindColor
			}
			l.Gradient.MaxValue = max(l.Gradient.MaxValue, cell.Rules)
			l.Techniques = append(l.Techniques, x)
		}
	}
	l.Description = fmt.Sprintf("%d active rules that see events, %d that are blind. The score of a technique is the number of rules that see events, those of its sub-techniques included.", c.Rules, c.BlindRules)
	if len(unknown) > 0 {
		l.Description += fmt.Sprintf(" %d techniques of rules are not of ATT&CK %s and are left out.", len(unknown), c.AttackVersion)
	}
	return l
}

func (t *TechniqueCoverage) comment() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rules, %d blind, %d alerts in %d days", t.Rules, t.BlindRules, t.Alerts, alertDays)
	for i, r := range t.RuleList {
		if i == maxComment {
			fmt.Fprintf(&b, "\nand %d more", t.Rules+t.BlindRules-maxComment)
			break
		}
		b.WriteString("\n" + r.Name)
		if r.Blind != "" {
			b.WriteString(" (blind: " + r.Blind + ")")
		}
	}
	return b.String()
}
