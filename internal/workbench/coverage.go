package workbench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/rule"
)

// Coverage is the ATT&CK matrix of a tenant's active rules. Only rules that something
// can feed count as rules; the others, which are blind, stand beside them.
type Coverage struct {
	AttackVersion string           `json:"attackVersion"` // of names and tactics
	Rules         int              `json:"rules"`         // that can see something
	BlindRules    int              `json:"blindRules"`
	UnmappedRules int              `json:"unmappedRules"` // of both, those that name neither tactic nor technique
	Techniques    int              `json:"techniques"`    // with a rule, sub-techniques too
	AlertDays     int              `json:"alertDays"`     // which alerts are counted
	Tactics       []TacticCoverage `json:"tactics"`
}

// A TacticCoverage is one column of the matrix.
type TacticCoverage struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"` // short form
	Title      string              `json:"title"`
	Names      []string            `json:"names"` // that rules may call it by, of older and newer versions
	Rules      int                 `json:"rules"`
	BlindRules int                 `json:"blindRules"`
	Techniques []TechniqueCoverage `json:"techniques"` // those that a rule names
}

// A TechniqueCoverage is one cell. The rules of a technique include those of its
// sub-techniques.
type TechniqueCoverage struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"` // "" where ATT&CK of this version does not have it
	Rules      int           `json:"rules"`
	BlindRules int           `json:"blindRules"`
	Alerts     int64         `json:"alerts"`   // that show it or a sub-technique
	RuleList   []CoveredRule `json:"ruleList"` // the first of both, those that see first
}

// A CoveredRule is a rule of a cell.
type CoveredRule struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Blind string `json:"blind"` // why it is; "" where it is not
}

const (
	alertDays   = 30
	maxRuleList = 50
)

// Coverage returns the matrix of the tenant.
func (s *Service) Coverage(ctx context.Context, tenant uint32) (*Coverage, error) {
	rules, err := s.Rules.Mappings(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var blind map[string]string
	if s.Blind != nil {
		active, _, err := s.Rules.Active(ctx, tenant)
		if err != nil {
			return nil, err
		}
		active = slices.DeleteFunc(active, func(a rule.Active) bool { return a.Staged })
		if blind, err = s.Blind(ctx, tenant, active); err != nil {
			return nil, fmt.Errorf("find blind rules: %w", err)
		}
	}
	var alerts map[string]int64
	if s.Alerts != nil {
		if alerts, err = s.Alerts(ctx, tenant, s.Now().Add(-alertDays*24*time.Hour)); err != nil {
			return nil, err
		}
	}
	m := newMatrix()
	for i := range rules {
		m.add(&rules[i], blind[rules[i].ID])
	}
	return m.coverage(alerts), nil
}

// A matrix gathers rules by tactic and technique.
type matrix struct {
	out     Coverage
	tactics []map[string]bool            // rule → it sees
	cells   []map[string]map[string]bool // technique → rule → it sees
	rules   map[string]CoveredRule
}

func newMatrix() *matrix {
	m := &matrix{rules: map[string]CoveredRule{}, out: Coverage{AttackVersion: attackVersion, AlertDays: alertDays, Tactics: []TacticCoverage{}}}
	for range matrixTactics {
		m.tactics = append(m.tactics, map[string]bool{})
		m.cells = append(m.cells, map[string]map[string]bool{})
	}
	return m
}

func (m *matrix) add(r *rule.Mapping, blind string) {
	sees := blind == ""
	if sees {
		m.out.Rules++
	} else {
		m.out.BlindRules++
	}
	m.rules[r.ID] = CoveredRule{ID: r.ID, Name: strings.TrimSpace(r.Name), Blind: blind}
	var named []int
	for _, t := range r.Tactics {
		if c := column(t); c >= 0 && !slices.Contains(named, c) {
			named = append(named, c)
			m.tactics[c][r.ID] = sees
		}
	}
	mapped := len(named) > 0
	for _, t := range r.Techniques {
		for _, c := range columnsOf(t, named) {
			mapped = true
			m.tactics[c][r.ID] = sees
			m.put(c, t, r.ID, sees)
			if p := parent(t); p != "" {
				m.put(c, p, r.ID, sees)
			}
		}
	}
	if !mapped {
		m.out.UnmappedRules++
	}
}

func (m *matrix) put(column int, technique, id string, sees bool) {
	cell := m.cells[column][technique]
	if cell == nil {
		cell = map[string]bool{}
		m.cells[column][technique] = cell
	}
	cell[id] = sees
}

// columnsOf returns the tactics under which a rule that names the given ones covers a
// technique: those that are the technique's as well, else the technique's own, else,
// of a technique that is not known, the rule's.
func columnsOf(id string, named []int) []int {
	known, ok := attack()[id]
	if !ok {
		known = attack()[parent(id)]
	}
	var own, both []int
	for _, t := range known.tactics {
		c := column(t)
		own = append(own, c)
		if slices.Contains(named, c) {
			both = append(both, c)
		}
	}
	switch {
	case len(both) > 0:
		return both
	case len(own) > 0:
		return own
	}
	return named
}

func (m *matrix) coverage(alerts map[string]int64) *Coverage {
	covered := map[string]bool{}
	for c, t := range matrixTactics {
		tactic := TacticCoverage{ID: t.id, Name: t.name, Title: t.title, Names: rule.TacticNames(t.name), Techniques: []TechniqueCoverage{}}
		tactic.Rules, tactic.BlindRules = split(m.tactics[c])
		for _, id := range slices.Sorted(maps.Keys(m.cells[c])) {
			cell := TechniqueCoverage{ID: id, Name: attack()[id].name, RuleList: []CoveredRule{}}
			cell.Rules, cell.BlindRules = split(m.cells[c][id])
			for _, ruleID := range slices.Sorted(maps.Keys(m.cells[c][id])) {
				cell.RuleList = append(cell.RuleList, m.rules[ruleID])
			}
			slices.SortStableFunc(cell.RuleList, func(a, b CoveredRule) int {
				return cmp.Or(cmp.Compare(min(1, len(a.Blind)), min(1, len(b.Blind))), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
			})
			cell.RuleList = cell.RuleList[:min(len(cell.RuleList), maxRuleList)]
			for shown, n := range alerts {
				if shown == id || parent(shown) == id {
					cell.Alerts += n
				}
			}
			if cell.Rules > 0 {
				covered[id] = true
			}
			tactic.Techniques = append(tactic.Techniques, cell)
		}
		m.out.Tactics = append(m.out.Tactics, tactic)
	}
	m.out.Techniques = len(covered)
	return &m.out
}

func split(rules map[string]bool) (see, blind int) {
	for _, sees := range rules {
		if sees {
			see++
		} else {
			blind++
		}
	}
	return see, blind
}
