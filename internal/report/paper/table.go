package paper

import "github.com/kyra-mdr/kyra/internal/report/font"

// Measures of tables, in millimetres.
const (
	pitch   = 3.85 // of the lines of a row
	padding = 1.7  // above and below them
	gutter  = 4.2  // between columns
)

// laid is one line of a cell.
type laid struct {
	text string
	z    size
	mark Mark
	link []span
}

// span is a part of a line that can be clicked.
type span struct {
	x, w   float64
	anchor string
}

// grid is a table that is being set.
type grid struct {
	*Table
	x, w []float64 // of the columns
}

// laidOut is the grid of a table's columns.
func laidOut(t *Table) *grid {
	g := &grid{Table: t, x: make([]float64, len(t.Columns)), w: make([]float64, len(t.Columns))}
	sum := 0.0
	for i := range t.Columns {
		sum += t.Columns[i].Width
	}
	x := marginSide
	for i := range t.Columns {
		w := column * t.Columns[i].Width / sum
		g.x[i], g.w[i] = x, w-gutter
		if i == len(t.Columns)-1 {
			g.w[i] = w
		}
		x += w
	}
	return g
}

// tableStart is the height of a table's title, its head and its first row, which stay
// together.
func (p *printer) tableStart(t *Table) float64 {
	h := 0.0
	if t.Title != "" {
		h += float64(len(p.wrap(t.Title, column, caption)))*caption.leading() + 1.2
	}
	if len(t.Rows) == 0 {
		return h + 8
	}
	g := laidOut(t)
	h += p.headHeight(g)
	r := &t.Rows[0]
	if r.Group != "" && len(t.Rows) > 1 {
		h += 8
		r = &t.Rows[1]
	}
	_, n := p.layRow(g, r)
	least := h + min(float64(n)*pitch+2*padding, 60)
	if len(t.Rows) > short {
		return least
	}
	for i := range t.Rows {
		_, n := p.layRow(g, &t.Rows[i])
		h += float64(n)*pitch + 2*padding
	}
	if h > 90 {
		return least
	}
	return h // a short table is not torn
}

// short is how many rows a table has at most that stays together where it can.
const short = 8

func (p *printer) table(t *Table) {
	p.room(p.tableStart(t))
	if t.Title != "" {
		p.lines(marginSide, p.wrap(t.Title, column, caption), caption)
		p.y += 1.2
	}
	if len(t.Rows) == 0 {
		p.paragraph(t.Empty, muted)
		return
	}
	g := laidOut(t)
	p.head(g)
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Group != "" {
			p.group(g, r.Group)
			continue
		}
		if rest := t.Rows[i:]; len(rest) == 2 && i >= 2 && rest[1].Group == "" {
			first, last := p.rowHeight(g, &rest[0]), p.rowHeight(g, &rest[1])
			if p.y+first <= bottom && p.y+first+last > bottom && first+last < 90 {
				p.more(g) // the last row does not stand on a page alone
			}
		}
		p.row(g, r)
	}
	p.y += 5
}

func (p *printer) headLines(g *grid) (all [][]string, most int) {
	for i := range g.Columns {
		lines := p.wrap(g.Columns[i].Title, g.w[i], columnT)
		all, most = append(all, lines), max(most, len(lines))
	}
	return all, most
}

func (p *printer) headHeight(g *grid) float64 {
	_, n := p.headLines(g)
	return float64(n)*3.4 + 3.2
}

// head sets the titles of the columns.
func (p *printer) head(g *grid) {
	all, n := p.headLines(g)
	h := float64(n)*3.4 + 3.2
	for i, lines := range all {
		y := p.y + h - 2.0 - float64(len(lines)-1)*3.4
		for _, s := range lines {
			if g.Columns[i].Right {
				p.right(g.x[i]+g.w[i], y, s, columnT)
			} else {
				p.text(g.x[i], y, s, columnT)
			}
			y += 3.4
		}
	}
	p.y += h
	p.draw(ink, 0.35)
	p.line(marginSide, p.y, marginSide+column, p.y)
}

// more begins a page within a table.
func (p *printer) more(g *grid) {
	p.newPage()
	p.head(g)
}

func (p *printer) group(g *grid, name string) {
	z := size{pt: 8.6, ink: accent, bold: true}
	lines := p.wrap(name, column-4, z)
	h := float64(len(lines))*4.2 + 3
	if p.y+h+16 > bottom {
		p.more(g)
	}
	p.fill(shade)
	p.Rect(marginSide, p.y, column, h, "F")
	y := p.y + 4.6
	for _, s := range lines {
		p.text(marginSide+1.5, y, s, z)
		y += 4.2
	}
	p.y += h
	p.draw(rule, 0.2)
	p.line(marginSide, p.y, marginSide+column, p.y)
}

// lay breaks a cell into lines.
func (p *printer) lay(g *grid, i int, c *Cell) []laid {
	z, width := cell, g.w[i]
	switch {
	case g.Columns[i].Small:
		z = code
	case c.Strong:
		z = strong
	}
	if c.Mark != NoMark {
		width -= 4.2
	}
	var out []laid
	switch {
	case len(c.Links) > 0:
		out = p.links(c.Links, width, z)
	case c.Text != "" || c.Mark != NoMark:
		for _, s := range p.wrap(c.Text, width, z) {
			out = append(out, laid{text: s, z: z})
		}
	}
	if c.Mark != NoMark && len(out) > 0 {
		out[0].mark = c.Mark
	}
	if c.Below != "" {
		bz := below
		if g.Columns[i].Small {
			bz = size{pt: code.pt, ink: grey, small: true}
		}
		for _, s := range p.wrap(c.Below, g.w[i], bz) {
			out = append(out, laid{text: s, z: bz})
		}
	}
	return out
}

// links sets names beside each other, each of which leads to its anchor.
func (p *printer) links(names []string, width float64, z size) []laid {
	z.ink = accent
	var out []laid
	var l laid
	x := 0.0
	for i, name := range names {
		s := font.Fit(name)
		if i < len(names)-1 {
			s += ","
		}
		w := p.width(s, z)
		if x > 0 && x+w > width {
			out = append(out, l)
			l, x = laid{}, 0
		}
		if l.text != "" {
			l.text += " "
			x += p.width(" ", z)
		}
		l.z = z
		l.text += s
		l.link = append(l.link, span{x, w, name})
		x += w
	}
	return append(out, l)
}

// layRow breaks the cells of a row into lines; n is how many the longest has.
func (p *printer) layRow(g *grid, r *Row) (cells [][]laid, n int) {
	cells, n = make([][]laid, len(r.Cells)), 1
	for i := range r.Cells {
		cells[i] = p.lay(g, i, &r.Cells[i])
		n = max(n, len(cells[i]))
	}
	return cells, n
}

// rowHeight is the height of a row on one page.
func (p *printer) rowHeight(g *grid, r *Row) float64 {
	_, n := p.layRow(g, r)
	return float64(n)*pitch + 2*padding
}

func (p *printer) row(g *grid, r *Row) {
	cells, n := p.layRow(g, r)
	h := float64(n)*pitch + 2*padding
	if p.y+h > bottom && (h < 90 || p.y > bottom-30) {
		p.more(g)
	}
	for i := range r.Cells {
		if a := r.Cells[i].Anchor; a != "" {
			p.SetLink(p.anchor(a), p.y, p.PageNo())
		}
	}
	p.y += padding
	for from := 0; from < n; {
		fit := max(int((bottom-padding-p.y)/pitch), 1)
		to := min(from+fit, n)
		top := p.y
		// Cell by cell, so that what is copied out or read aloud stays together.
		for i := range cells {
			for k := from; k < min(to, len(cells[i])); k++ {
				p.y = top + float64(k-from)*pitch
				p.cellLine(g, i, &cells[i][k])
			}
		}
		p.y = top + float64(to-from)*pitch
		if from = to; from < n {
			p.more(g)
			p.y += padding
		}
	}
	p.y += padding
	p.draw(rule, 0.2)
	p.line(marginSide, p.y, marginSide+column, p.y)
}

func (p *printer) cellLine(g *grid, i int, l *laid) {
	x, y := g.x[i], p.y+pitch*0.74
	if l.mark != NoMark {
		p.mark(x, p.y+0.55, 2.7, 2.7, l.mark)
	}
	if l.mark != NoMark {
		x += 4.2
	}
	if g.Columns[i].Right && l.mark == NoMark {
		p.right(g.x[i]+g.w[i], y, l.text, l.z)
		return
	}
	p.text(x, y, l.text, l.z)
	for _, s := range l.link {
		p.Link(x+s.x, p.y, s.w, pitch, p.anchor(s.anchor))
	}
}
