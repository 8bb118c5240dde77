package paper

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"strconv"
	"strings"
)

//go:embed paper.css
var sheet string

// page writes HTML.
type page struct {
	strings.Builder
	doc  *Document
	head int // number of the last heading
}

// HTML writes the document as one HTML page that needs nothing else: no script, no other
// host. What stands in it is what PDF writes.
func HTML(w io.Writer, d *Document) error {
	p := &page{doc: d}
	p.f(`<!DOCTYPE html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
%s</style>
</head>
<body>
<main>
<header>
<p class="kind">%s</p>
<h1>%s</h1>
`, d.Language, html.EscapeString(d.Title+" – "+d.Organisation), sheet, html.EscapeString(d.Kind), html.EscapeString(d.Title))
	if d.Subtitle != "" {
		p.f("<p class=\"sub\">%s</p>\n", html.EscapeString(d.Subtitle))
	}
	p.f("<p class=\"org\">%s</p>\n", html.EscapeString(d.Organisation))
	p.facts(d.Cover)
	if d.CoverNote != "" {
		p.f("<p class=\"note\">%s</p>\n", lines(d.CoverNote))
	}
	p.f("</header>\n")
	p.list()
	for _, b := range d.Blocks {
		p.block(b)
	}
	p.f("<footer><p>%s</p></footer>\n</main>\n</body>\n</html>\n", html.EscapeString(d.Running))
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) f(format string, args ...any) { fmt.Fprintf(&p.Builder, format, args...) }

// lines escapes a text and keeps its lines.
func lines(s string) string {
	return strings.ReplaceAll(html.EscapeString(strings.TrimSpace(s)), "\n", "<br>\n")
}

func (p *page) list() {
	p.f("<nav aria-label=\"%s\">\n<ol>\n", html.EscapeString(p.doc.Contents))
	n := 0
	for _, b := range p.doc.Blocks {
		if h, ok := b.(Heading); ok {
			n++
			if h.Level == 1 {
				p.f("<li><a href=\"#s%d\">%s</a></li>\n", n, html.EscapeString(h.Text))
			}
		}
	}
	p.f("</ol>\n</nav>\n")
}

func (p *page) block(b Block) {
	switch b := b.(type) {
	case Heading:
		p.head++
		class := ""
		if b.NewPage {
			class = ` class="page"`
		}
		p.f("<h%d id=\"s%d\"%s>%s</h%d>\n", b.Level+1, p.head, class, html.EscapeString(b.Text), b.Level+1)
	case Text:
		class := ""
		if b.Muted {
			class = ` class="muted"`
		}
		p.f("<p%s>%s</p>\n", class, lines(b.Text))
	case Note:
		p.f("<p class=\"note m%d\">%s</p>\n", b.Mark, lines(b.Text))
	case Points:
		p.f("<ul>\n")
		for _, s := range b.Items {
			p.f("<li>%s</li>\n", lines(s))
		}
		p.f("</ul>\n")
	case Facts:
		p.facts(b.Items)
	case Tiles:
		p.f("<dl class=\"tiles\">\n")
		for _, t := range b.Items {
			p.f("<div><dt>%s</dt><dd>%s</dd>", html.EscapeString(t.Label), html.EscapeString(t.Value))
			if t.Note != "" {
				p.f("<dd class=\"below\">%s</dd>", html.EscapeString(t.Note))
			}
			p.f("</div>\n")
		}
		p.f("</dl>\n")
	case Table:
		p.table(&b)
	case Bars:
		p.bars(&b)
	case Trend:
		p.trend(&b)
	case Signatures:
		for _, role := range b.Roles {
			p.f("<section class=\"sign\"><h3>%s</h3><dl>", html.EscapeString(role))
			for _, s := range []string{b.Name, b.Office, b.Written, b.Date} {
				p.f("<div><dt>%s</dt><dd></dd></div>", html.EscapeString(s))
			}
			p.f("</dl></section>\n")
		}
	case Break:
	}
}

func (p *page) facts(items []Fact) {
	p.f("<dl class=\"facts\">\n")
	for _, f := range items {
		p.f("<div><dt>%s</dt><dd>%s</dd></div>\n", html.EscapeString(f.Name), lines(f.Value))
	}
	p.f("</dl>\n")
}

func (p *page) table(t *Table) {
	if len(t.Rows) == 0 {
		if t.Title != "" {
			p.f("<p><strong>%s</strong></p>\n", html.EscapeString(t.Title))
		}
		p.f("<p class=\"muted\">%s</p>\n", html.EscapeString(t.Empty))
		return
	}
	p.f("<table>\n")
	if t.Title != "" {
		p.f("<caption>%s</caption>\n", html.EscapeString(t.Title))
	}
	p.f("<thead><tr>")
	for _, c := range t.Columns {
		p.f("<th scope=\"col\"%s>%s</th>", class(&c), html.EscapeString(c.Title))
	}
	p.f("</tr></thead>\n<tbody>\n")
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Group != "" {
			if i > 0 {
				p.f("</tbody>\n<tbody>\n")
			}
			p.f("<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"%d\">%s</th></tr>\n", len(t.Columns), html.EscapeString(r.Group))
			continue
		}
		p.f("<tr>")
		for j := range r.Cells {
			p.cell(&r.Cells[j], &t.Columns[j], j == 0)
		}
		p.f("</tr>\n")
	}
	p.f("</tbody>\n</table>\n")
}

func class(c *Column) string {
	switch {
	case c.Right:
		return ` class="right"`
	case c.Small:
		return ` class="small"`
	}
	return ""
}

func (p *page) cell(c *Cell, col *Column, first bool) {
	tag, scope := "td", ""
	if first {
		tag, scope = "th", ` scope="row"`
	}
	id := ""
	if c.Anchor != "" {
		id = ` id="` + anchorID(c.Anchor) + `"`
	}
	p.f("<%s%s%s%s>", tag, scope, id, class(col))
	if c.Mark != NoMark {
		p.f(`<svg class="mark" width="11" height="11" viewBox="0 0 2.7 2.7" aria-hidden="true">%s</svg> `, vector(0, 0, 2.7, 2.7, c.Mark))
	}
	switch {
	case len(c.Links) > 0:
		for i, name := range c.Links {
			if i > 0 {
				p.f(", ")
			}
			p.f("<a href=\"#%s\">%s</a>", anchorID(name), html.EscapeString(name))
		}
	case c.Strong:
		p.f("<strong>%s</strong>", lines(c.Text))
	default:
		p.f("%s", lines(c.Text))
	}
	if c.Below != "" {
		p.f("<br><span class=\"below\">%s</span>", lines(c.Below))
	}
	p.f("</%s>", tag)
}

// anchorID is the name of an anchor as an id.
func anchorID(s string) string {
	return "a-" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, s)
}

// vector is a rectangle with the pattern of a mark, as SVG.
func vector(x, y, w, h float64, m Mark) string {
	l := looks[m]
	var b strings.Builder
	ink := fmt.Sprintf("#%02x%02x%02x", l.ink.R, l.ink.G, l.ink.B)
	fmt.Fprintf(&b, `<rect x="%s" y="%s" width="%s" height="%s" fill="#%02x%02x%02x"/>`, n(x), n(y), n(w), n(h), l.paper.R, l.paper.G, l.paper.B)
	if l.pattern != "full" && l.pattern != "empty" {
		fmt.Fprintf(&b, `<path stroke="%s" stroke-width="0.25" fill="none" d="`, ink)
		const step = 1.1
		stroke := func(x1, y1, x2, y2 float64) { fmt.Fprintf(&b, "M%s %sL%s %s", n(x1), n(y1), n(x2), n(y2)) }
		switch l.pattern {
		case "hatch", "cross":
			for d := step - h; d < w; d += step {
				from, to := max(d, 0), min(d+h, w)
				stroke(x+from, y+h-(from-d), x+to, y+h-(to-d))
				if l.pattern == "cross" {
					stroke(x+from, y+(from-d), x+to, y+(to-d))
				}
			}
		case "lines":
			for d := step / 2; d < h; d += step {
				stroke(x, y+d, x+w, y+d)
			}
		case "dots":
			row := 0
			for dy := 0.55; dy < h; dy += step {
				for dx := 0.4 + float64(row%2)*step/2; dx < w-0.3; dx += step {
					stroke(x+dx, y+dy, x+dx+0.3, y+dy)
				}
				row++
			}
		}
		b.WriteString(`"/>`)
	}
	fmt.Fprintf(&b, `<rect x="%s" y="%s" width="%s" height="%s" fill="none" stroke="%s" stroke-width="0.2"/>`, n(x), n(y), n(w), n(h), ink)
	return b.String()
}

func n(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 2, 64), ".00") }

func (p *page) bars(b *Bars) {
	const width, label, pace, height = 174.0, 58.0, 8.4, 4.6
	top := 9.0
	p.f(`<figure><figcaption>%s</figcaption><svg class="chart" viewBox="0 0 %s %s" role="img" aria-labelledby="c%d-t c%d-d"><title id="c%d-t">%s</title><desc id="c%d-d">%s</desc>`,
		html.EscapeString(b.Title), n(width), n(top+pace*float64(len(b.Items))), p.Len(), p.Len(), p.Len(), html.EscapeString(b.Title), p.Len(), html.EscapeString(b.Description))
	x := 0.0
	for _, s := range b.Series {
		p.f(`%s<text x="%s" y="3.6" font-size="3.1">%s</text>`, vector(x, 1, 3, 3, s.Mark), n(x+4.4), html.EscapeString(s.Label))
		x += 10 + 2.4*float64(len([]rune(s.Label)))
	}
	most := int64(1)
	for i := range b.Items {
		most = max(most, sum(b.Items[i].Values))
	}
	for i := range b.Items {
		it := &b.Items[i]
		y := top + pace*float64(i)
		p.f(`<text x="0" y="%s" font-size="2.9">%s</text><text x="%s" y="%s" font-size="2.9" text-anchor="end">%s</text>`, n(y+4), html.EscapeString(shortened(it.Label, 44)), n(width), n(y+4), html.EscapeString(it.Right))
		whole := sum(it.Values)
		if b.Absolute {
			whole = most
		}
		x := label
		for k, v := range it.Values {
			w := (width - label - 30) * float64(v) / float64(max(whole, 1))
			if w > 0 {
				p.f("%s", vector(x, y+1, w, height, b.Series[k].Mark))
			}
			x += w
		}
	}
	p.f("</svg></figure>\n")
}

// shortened cuts a label that a picture has no room for; the table beside it has it whole.
func shortened(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func (p *page) trend(t *Trend) {
	const width, height, left = 174.0, 46.0, 12.0
	id := p.Len()
	p.f(`<figure><figcaption>%s</figcaption><svg class="chart" viewBox="0 -4 %s 58" role="img" aria-labelledby="c%d-t c%d-d"><title id="c%d-t">%s</title><desc id="c%d-d">%s</desc>`,
		html.EscapeString(t.Title), n(width), id, id, id, html.EscapeString(t.Title), id, html.EscapeString(t.Description))
	for i := range 5 {
		v := t.Highest * float64(i) / 4
		y := height - height*float64(i)/4
		p.f(`<path d="M%s %sH%s" stroke="#d5dbe1" stroke-width="0.2"/><text x="%s" y="%s" font-size="2.6" text-anchor="end">%s</text>`, n(left), n(y), n(width), n(left-2), n(y+1), html.EscapeString(plainNumber(v)+t.Unit))
	}
	at := func(i int) float64 {
		if len(t.Points) < 2 {
			return width / 2
		}
		return left + 6 + (width-left-12)*float64(i)/float64(len(t.Points)-1)
	}
	level := func(v float64) float64 { return height - height*min(v/max(t.Highest, 1e-9), 1) }
	for i := 1; i < len(t.Points); i++ {
		if a, b := &t.Points[i-1], &t.Points[i]; !a.None && !b.None {
			p.f(`<path d="M%s %sL%s %s" stroke="#1f4e79" stroke-width="0.6"/>`, n(at(i-1)), n(level(a.Value)), n(at(i)), n(level(b.Value)))
		}
	}
	every := max(1, (len(t.Points)+11)/12)
	for i := range t.Points {
		q := &t.Points[i]
		if i%every == 0 {
			p.f(`<text x="%s" y="50.5" font-size="2.6" text-anchor="middle">%s</text>`, n(at(i)), html.EscapeString(q.Label))
		}
		if !q.None {
			p.f(`<circle cx="%s" cy="%s" r="0.9" fill="#1f4e79"/>`, n(at(i)), n(level(q.Value)))
			if len(t.Points) <= 13 {
				p.f(`<text x="%s" y="%s" font-size="2.6" text-anchor="middle">%s</text>`, n(at(i)), n(level(q.Value)-2), plainNumber(q.Value))
			}
		}
	}
	p.f("</svg></figure>\n")
}
