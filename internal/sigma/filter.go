package sigma

import "strings"

// parseFilter reads a filter: the rules that it is for, its selections and its
// condition.
//
// The specification's condition names what is filtered out ("selection"), while
// other tools join it to the rule's own, so that it names what is kept ("not
// selection"). Both are meant to take away what the selections describe: a
// condition that holds where no selection does is read as one of what is kept. A
// filter never takes away an event that none of its selections fits.
func (d *Document) parseFilter(n *node) error {
	if n.kind != mapNode {
		return n.errorf("filter must be a map, not %s", n.what())
	}
	d.Filter = &Filter{}
	r := reader{}
	aggregation, err := d.parseDetection(n, func(e *entry) (bool, error) {
		if e.key != "rules" {
			return false, nil
		}
		d.Filter.Rules = r.texts(e)
		if len(d.Filter.Rules) == 1 && strings.EqualFold(d.Filter.Rules[0], "any") {
			d.Filter.Rules = nil
		}
		return true, r.error()
	})
	if err != nil {
		return err
	}
	if aggregation != nil {
		return n.errorf("a filter cannot count")
	}
	if d.condition.holdsWithout() {
		d.condition = &clause{kind: clauseNot, text: "not (" + d.condition.text + ")", kids: []*clause{d.condition}}
		d.root = d.condition.lower()
	}
	return nil
}

// Covers tells whether a filter for the log source l is one for rules of the log
// source of: what l leaves open fits all.
func (l LogSource) Covers(of LogSource) bool {
	fits := func(want, have string) bool { return want == "" || want == have }
	return fits(l.Product, of.Product) && fits(l.Category, of.Category) && fits(l.Service, of.Service)
}
