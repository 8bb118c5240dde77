package compliance

import (
	"context"
	"slices"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Selection chooses what to evaluate; empty fields choose all.
type Selection struct {
	Frameworks []string `json:"frameworks,omitempty"` // by the names that Find knows
	Controls   []string `json:"controls,omitempty"`   // ids, of any of those frameworks
	Checks     []string `json:"checks,omitempty"`     // ids
}

// Select returns the variants that a selection means for the tenant, in the order of their
// keys. Names that mean nothing are fault.Invalid.
func (s *Service) Select(ctx context.Context, tenant uint32, sel Selection) ([]Variant, error) {
	set, err := s.Settings(ctx, tenant)
	if err != nil {
		return nil, err
	}
	frameworks := s.chosen(set)
	if len(sel.Frameworks) > 0 {
		frameworks = nil
		for _, name := range sel.Frameworks {
			f := s.Catalogue.Find(name)
			if f == nil {
				return nil, fault.New(fault.Invalid, "There is no framework %q", name).In("frameworks")
			}
			if !slices.Contains([]byte(name), '@') {
				f = s.edition(f, set)
			}
			if !slices.Contains(frameworks, f) {
				frameworks = append(frameworks, f)
			}
		}
	}
	for _, id := range sel.Controls {
		if !slices.ContainsFunc(frameworks, func(f *Framework) bool { return f.Control(id) != nil }) {
			return nil, fault.New(fault.Invalid, "There is no control %q", id).In("controls")
		}
	}
	for _, id := range sel.Checks {
		if s.Catalogue.Check(id) == nil {
			return nil, fault.New(fault.Invalid, "There is no check %q", id).In("checks")
		}
	}
	asked := map[string]bool{}
	for _, f := range frameworks {
		for i := range f.Controls {
			k := &f.Controls[i]
			if len(sel.Controls) > 0 && !slices.Contains(sel.Controls, k.ID) {
				continue
			}
			for _, l := range k.Checks {
				asked[l.Key] = len(sel.Checks) == 0 || slices.Contains(sel.Checks, l.Check)
			}
		}
	}
	out := s.Catalogue.Variants(frameworks)
	return slices.DeleteFunc(out, func(v Variant) bool { return !asked[v.Key()] }), nil
}
