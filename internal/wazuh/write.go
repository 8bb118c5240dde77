package wazuh

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A selection is a named search of Sigma: one of its lists of items must hold, in
// which all items must.
type selection struct {
	name   string
	items  [][]item
	negate bool
}

// selections returns the tests of r itself.
func (r *rule) selections(web bool) ([]selection, error) {
	var out []selection
	for _, t := range r.tests {
		field := fieldName(t.field, web)
		if t.field == "" {
			field = "message"
		}
		var items []item
		var err error
		if t.field == "win.system.severityValue" && !t.list {
			items = severityItems(t.pattern)
		} else if items, err = t.items(field); err != nil {
			return nil, err
		}
		if len(items) == 0 {
			continue // an empty pattern holds for everything
		}
		s := selection{name: "r" + strconv.Itoa(r.id), negate: t.negate}
		if n := len(out); n > 0 {
			s.name += "_" + strconv.Itoa(n+1)
		}
		for _, x := range items {
			s.items = append(s.items, []item{x})
		}
		out = append(out, s)
	}
	return out, nil
}

// maxExcluded is up to how many rules that continue a rule are excluded from it
// though they raise alerts of their own.
const maxExcluded = 40

// A detection is the selections and the condition of one rule.
type detection struct {
	names     map[string]bool
	selection []selection
}

// term notes selections and returns the part of the condition that asks for them.
func (d *detection) term(all []selection) []string {
	var out []string
	for _, s := range all {
		if !d.names[s.name] {
			d.names[s.name] = true
			d.selection = append(d.selection, s)
		}
		if s.negate {
			out = append(out, "not "+s.name)
		} else {
			out = append(out, s.name)
		}
	}
	return out
}

// chain returns the condition of a chain, "" where it asks for nothing.
func (d *detection) chain(c *chain) string {
	terms := d.term(c.need)
	for _, roads := range c.any {
		var alternatives []string
		for _, road := range roads {
			text := d.road(road, len(c.sources) > 1)
			if text == "" {
				alternatives = nil // this road asks for nothing: neither do all together
				break
			}
			if !slices.Contains(alternatives, text) {
				alternatives = append(alternatives, text)
			}
		}
		switch len(alternatives) {
		case 0:
		case 1:
			terms = append(terms, alternatives[0])
		default:
			terms = append(terms, "("+strings.Join(alternatives, " or ")+")")
		}
	}
	switch len(terms) {
	case 0:
		return ""
	case 1:
		return terms[0]
	}
	return "(" + strings.Join(terms, " and ") + ")"
}

// road returns the condition of one of several chains; where these are about
// different log sources, each says which is its own.
func (d *detection) road(c *chain, mixed bool) string {
	text := d.chain(c)
	if !mixed || len(c.sources) != 1 { // several say so themselves
		return text
	}
	from := d.term([]selection{c.sources[0].selection()})[0]
	if text == "" {
		return from
	}
	return "(" + from + " and " + text + ")"
}

// convert writes r as Sigma.
func (c *converter) convert(r *rule) (string, error) {
	if r.foreign != "" {
		return "", errors.New(r.foreign)
	}
	if r.counts() {
		return c.correlation(r)
	}
	body, err := c.detection(r, true)
	if err != nil {
		return "", err
	}
	return r.header() + body + r.footer(), nil
}

// detection writes log source and detection. exclude leaves out what rules that
// continue r take over.
func (c *converter) detection(r *rule, exclude bool) (string, error) {
	road, err := c.follow(r)
	if err != nil {
		return "", err
	}
	d := detection{names: map[string]bool{}}
	var logsource source
	if len(road.sources) == 1 {
		logsource = road.sources[0]
	}
	condition := d.chain(road)
	if condition == "" { // every record of the log source
		condition = d.term([]selection{{name: "every", items: [][]item{{{"message", "exists", []string{"true"}}}}}})[0]
	}
	if exclude {
		condition += c.exclusions(r, &d)
	}
	if len(d.selection) > maxChain {
		return "", fmt.Errorf("it would be put together from %d conditions: at most %d are", len(d.selection), maxChain)
	}
	if logsource == (source{}) {
		if logsource = (source{category: "any"}); slices.Contains(r.groups, "syslog") {
			logsource = source{product: "linux"}
		}
	}
	var b strings.Builder
	b.WriteString("logsource:\n")
	for _, p := range [][2]string{{"product", logsource.product}, {"category", logsource.category}, {"service", logsource.service}} {
		if p[1] != "" {
			fmt.Fprintf(&b, "    %s: %s\n", p[0], quote(p[1]))
		}
	}
	b.WriteString("detection:\n")
	for _, s := range d.selection {
		s.write(&b)
	}
	fmt.Fprintf(&b, "    condition: %s\n", quote(unbracket(condition)))
	return b.String(), nil
}

// unbracket takes off brackets around the whole of s.
func unbracket(s string) string {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 && i < len(s)-1 {
			return s
		}
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
}

// exclusions are the rules that continue r and take its place.
func (c *converter) exclusions(r *rule, d *detection) string {
	var b strings.Builder
	loud := 0
	for _, child := range r.children {
		if child.level > 0 && !child.noAlert {
			loud++
		}
	}
	for _, child := range r.children {
		silent := child.level == 0 || child.noAlert
		if !silent && loud > maxExcluded {
			continue
		}
		if _, err := c.follow(child); err != nil || len(child.ownSelections) == 0 {
			continue
		}
		fmt.Fprintf(&b, " and not (%s)", strings.Join(d.term(child.ownSelections), " and "))
	}
	return b.String()
}

func (s *selection) write(b *strings.Builder) {
	fmt.Fprintf(b, "    %s:\n", s.name)
	single := len(s.items) == 1
	for _, items := range s.items {
		for i, x := range items {
			indent := "        "
			if !single {
				indent = "          "
				if i == 0 {
					indent = "        - "
				}
			}
			key := x.field
			if x.modifiers != "" {
				key += "|" + x.modifiers
			}
			b.WriteString(indent + quote(key) + ":")
			if len(x.values) == 1 {
				b.WriteString(" " + scalar(x) + "\n")
				continue
			}
			b.WriteByte('\n')
			for _, v := range x.values {
				b.WriteString(strings.Repeat(" ", len(indent)) + "    - " + quote(v) + "\n")
			}
		}
	}
}

func scalar(x item) string {
	if x.modifiers == "exists" {
		return x.values[0]
	}
	return quote(x.values[0])
}

// correlation writes r and what it counts.
func (c *converter) correlation(r *rule) (string, error) {
	if len(r.tests) > 0 || len(r.parents) > 0 && (len(r.matched) > 0 || r.matchedGroup != "") {
		return "", errors.New("it asks for something of the last event that the ones before need not have, which a Sigma correlation cannot")
	}
	var bases []*rule
	for _, id := range append(slices.Clone(r.matched), r.parents...) {
		if b := c.rules[id]; b != nil {
			bases = append(bases, b)
		}
	}
	if r.matchedGroup != "" {
		for _, b := range c.groups[r.matchedGroup] {
			if b != r && !b.counts() && b.level > 0 {
				bases = append(bases, b)
			}
		}
	}
	if len(bases) == 0 {
		return "", errors.New("what it counts is not among the imported files: import it together with Wazuh's own rules")
	}
	if len(bases) > maxChain {
		return "", fmt.Errorf("it counts %d rules: at most %d are put together", len(bases), maxChain)
	}
	var names []string
	var texts strings.Builder
	var failed error
	web := false
	for _, b := range bases {
		if b.counts() {
			failed = fmt.Errorf("it counts rule %d, which counts itself", b.id)
			continue
		}
		body, err := c.detection(b, false)
		if err != nil {
			failed = fmt.Errorf("rule %d, which it counts: %w", b.id, err)
			continue
		}
		if road, err := c.follow(b); err == nil {
			web = web || slices.ContainsFunc(road.sources, source.web)
		}
		name := fmt.Sprintf("wazuh_%d_for_%d", b.id, r.id)
		names = append(names, name)
		fmt.Fprintf(&texts, "---\ntitle: %s\nname: %s\nlevel: informational\n%s", quote(b.title()), name, body)
	}
	if len(names) == 0 {
		return "", failed
	}
	var b strings.Builder
	b.WriteString(r.header())
	kind := "event_count"
	if len(r.differ) > 0 {
		kind = "value_count"
	}
	fmt.Fprintf(&b, "correlation:\n    type: %s\n    rules:\n", kind)
	for _, n := range names {
		fmt.Fprintf(&b, "        - %s\n", n)
	}
	if len(r.same) > 0 {
		b.WriteString("    group-by:\n")
		for _, f := range r.same {
			fmt.Fprintf(&b, "        - %s\n", quote(fieldName(f, web)))
		}
	}
	fmt.Fprintf(&b, "    timespan: %ds\n    condition:\n        gte: %d\n", r.timeframe, max(r.frequency, 2))
	if len(r.differ) > 0 {
		fmt.Fprintf(&b, "        field: %s\n", quote(fieldName(r.differ[0], web)))
	}
	return b.String() + r.footer() + texts.String(), nil
}

var (
	placeholder = regexp.MustCompile(`\$\(([^)]*)\)`)
	fieldNames  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// plainTitle takes out what is filled in when an alert is made.
func plainTitle(s string) string {
	s = placeholder.ReplaceAllString(s, "…")
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), " .")
}

func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func (r *rule) header() string {
	var b strings.Builder
	fmt.Fprintf(&b, "title: %s\nid: %s\nstatus: stable\n", quote(r.title()), r.name())
	fmt.Fprintf(&b, "description: %s\n", quote(fmt.Sprintf("%s (converted from Wazuh rule %d, level %d)", strings.TrimSuffix(r.title(), "…"), r.id, r.level)))
	if r.author != "" {
		fmt.Fprintf(&b, "author: %s\n", quote(r.author))
	}
	if r.license != "" {
		fmt.Fprintf(&b, "license: %s\n", quote(r.license))
	}
	if len(r.links) > 0 {
		b.WriteString("references:\n")
		for _, l := range r.links {
			fmt.Fprintf(&b, "    - %s\n", quote(l))
		}
	}
	var tags []string
	for _, t := range r.techniques {
		tags = append(tags, "attack."+strings.ToLower(t))
	}
	for _, g := range r.groups {
		tags = append(tags, "wazuh."+strings.ToLower(g))
	}
	var written []string
	for _, t := range tags {
		if !slices.Contains(written, t) {
			written = append(written, t)
		}
	}
	if len(written) > 0 {
		b.WriteString("tags:\n")
		for _, t := range written {
			fmt.Fprintf(&b, "    - %s\n", quote(t))
		}
	}
	return b.String()
}

func (r *rule) footer() string {
	var b strings.Builder
	fmt.Fprintf(&b, "level: %s\n", r.severity())
	web := slices.ContainsFunc(r.groups, func(g string) bool { return strings.HasPrefix(g, "web") })
	template := placeholder.ReplaceAllStringFunc(strings.NewReplacer("{", "(", "}", ")").Replace(r.description), func(s string) string {
		name := fieldName(s[2:len(s)-1], web)
		if !fieldNames.MatchString(name) {
			return "…"
		}
		return "{" + name + "}"
	})
	if template != r.description && template != "" {
		fmt.Fprintf(&b, "kyra:\n    description: %s\n", quote(cutText(template, 1000)))
	}
	return b.String()
}

// quote writes a scalar of YAML that is a string whatever it looks like.
func quote(s string) string {
	if strings.ContainsAny(s, "\n\r\t\x00") || !utf8.ValidString(s) {
		return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
