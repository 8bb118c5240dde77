package paper

// block sets one piece; what follows decides whether a heading would stand alone.
func (p *printer) block(b Block, after []Block) {
	switch b := b.(type) {
	case Heading:
		p.heading(b, after)
	case Text:
		z := body
		if b.Muted {
			z = muted
		}
		p.paragraph(b.Text, z)
	case Note:
		p.note(b)
	case Points:
		p.points(b.Items)
	case Facts:
		p.room(p.factsHeight(b.Items))
		p.facts(b.Items, 52, size{pt: 9, ink: grey}, size{pt: 9, ink: ink})
		p.y += 3
	case Tiles:
		p.tiles(b.Items)
	case Table:
		p.table(&b)
	case Bars:
		p.bars(&b)
	case Trend:
		p.trend(&b)
	case Signatures:
		p.signatures(&b)
	case Break:
		p.newPage()
	}
}

// least is how much of what follows must stand below a heading.
func (p *printer) least(after []Block) float64 {
	if len(after) == 0 {
		return 0
	}
	switch b := after[0].(type) {
	case Heading:
		return 14 + p.least(after[1:])
	case Text:
		z := body
		if b.Muted {
			z = muted
		}
		n := len(p.wrap(b.Text, min(column, z.pt*17.5), z))
		if n > 4 {
			return 4 * z.leading()
		}
		h := float64(n)*z.leading() + 2.4
		if len(after) > 1 {
			if t, ok := after[1].(Table); ok {
				h += p.tableStart(&t)
			}
		}
		return h
	case Table:
		return p.tableStart(&b)
	case Bars:
		return min(26+9*float64(len(b.Items)), 120)
	case Trend:
		return 70
	case Tiles:
		return 30
	case Facts:
		return p.factsHeight(b.Items)
	case Signatures:
		return 60
	}
	return 22
}

// factsHeight is the room that a short list of facts needs so that it stays together, and
// that its beginning needs where it is long.
func (p *printer) factsHeight(items []Fact) float64 {
	z := size{pt: 9, ink: ink}
	h := 0.0
	for _, f := range items {
		h += float64(max(1, len(p.wrap(f.Value, column-52, z))))*z.leading() + 1.1
	}
	return min(h, 100)
}

func (p *printer) heading(h Heading, after []Block) {
	z := size{pt: 17, ink: ink, bold: true}
	before, behind := 10.0, 5.0
	switch h.Level {
	case 2:
		z, before, behind = size{pt: 12, ink: accent, bold: true}, 7, 2.5
	case 3:
		z, before, behind = size{pt: 10, ink: ink, bold: true}, 5, 1.5
	}
	all := p.wrap(h.Text, column, z)
	switch {
	case h.NewPage && p.y != marginTop:
		p.newPage()
	case !p.room(before+float64(len(all))*z.leading()+behind+p.least(after)) && p.y != marginTop:
		p.y += before
	}
	p.SetFont("kyra", "", 10) // bookmarks are of the encoding of the font
	p.Bookmark(h.Text, max(h.Level-1, 0), p.y)
	if h.Level == 1 {
		link := p.AddLink()
		p.SetLink(link, p.y, p.PageNo())
		p.contents = append(p.contents, entry{all[0], p.PageNo(), link})
	}
	p.lines(marginSide, all, z)
	p.y += behind
}

func (p *printer) paragraph(text string, z size) {
	all := p.wrap(text, min(column, z.pt*17.5), z)
	if len(all) <= 4 {
		p.room(float64(len(all)) * z.leading())
	}
	p.lines(marginSide, all, z)
	p.y += 2.4
}

func (p *printer) note(n Note) {
	all := p.wrap(n.Text, column-14, body)
	h := float64(len(all))*body.leading() + 6
	p.room(h + 4)
	l := looks[n.Mark]
	if n.Mark == NoMark {
		l = look{ink: accent, paper: shade, pattern: "empty"}
	}
	p.fill(shade)
	p.Rect(marginSide, p.y, column, h, "F")
	p.fill(l.ink)
	p.Rect(marginSide, p.y, 1.2, h, "F")
	p.y += 3
	p.lines(marginSide+7, all, body)
	p.y += 3 + 4
}

func (p *printer) points(items []string) {
	for _, s := range items {
		all := p.wrap(s, column-6, body)
		p.room(float64(min(len(all), 4)) * body.leading())
		p.text(marginSide+1, p.y+body.leading()*0.72, "•", size{pt: body.pt, ink: accent})
		p.lines(marginSide+6, all, body)
		p.y += 1
	}
	p.y += 2
}

// facts sets names with values beside them.
func (p *printer) facts(items []Fact, name float64, nz, vz size) {
	for _, f := range items {
		names, values := p.wrap(f.Name, name-4, nz), p.wrap(f.Value, column-name, vz)
		n := max(len(names), len(values))
		p.room(float64(min(n, 6)) * vz.leading())
		for i := range n {
			p.room(vz.leading())
			if i < len(names) {
				p.text(marginSide, p.y+vz.leading()*0.72, names[i], nz)
			}
			if i < len(values) {
				p.text(marginSide+name, p.y+vz.leading()*0.72, values[i], vz)
			}
			p.y += vz.leading()
		}
		p.y += 1.1
	}
}

func (p *printer) tiles(items []Tile) {
	const gap, height = 4.0, 26.0
	per := min(len(items), 4)
	if len(items) == 5 || len(items) == 6 {
		per = 3
	}
	w := (column - gap*float64(per-1)) / float64(per)
	label, note := size{pt: 8.2, ink: ink}, size{pt: 7.4, ink: grey}
	for i := 0; i < len(items); i += per {
		p.room(height + gap)
		for j, t := range items[i:min(i+per, len(items))] {
			x := marginSide + float64(j)*(w+gap)
			p.fill(shade)
			p.Rect(x, p.y, w, height, "F")
			p.fill(accent)
			p.Rect(x, p.y, w, 0.7, "F")
			value := size{pt: 19, ink: ink, bold: true}
			for p.width(t.Value, value) > w-8 && value.pt > 9 {
				value.pt--
			}
			p.text(x+4, p.y+10.5, t.Value, value)
			y := p.y + 15.6
			for _, s := range p.wrap(t.Label, w-8, label) {
				p.text(x+4, y, s, label)
				y += 3.7
			}
			for _, s := range p.wrap(t.Note, w-8, note) {
				p.text(x+4, y+0.3, s, note)
				y += 3.4
			}
		}
		p.y += height + gap
	}
	p.y += 2
}

func (p *printer) signatures(s *Signatures) {
	const height = 46.0
	label := size{pt: 8.2, ink: grey}
	for _, role := range s.Roles {
		p.room(height + 4)
		p.draw(rule, 0.25)
		p.Rect(marginSide, p.y, column, height, "D")
		p.text(marginSide+5, p.y+8, role, size{pt: 10.5, ink: ink, bold: true})
		field := func(x, y float64, name string) {
			p.text(x, y, name, label)
			p.draw(grey, 0.2)
			p.line(x+22, y+0.8, x+column/2-8, y+0.8)
		}
		field(marginSide+5, p.y+20, s.Name)
		field(marginSide+column/2+3, p.y+20, s.Office)
		field(marginSide+5, p.y+37, s.Written)
		field(marginSide+column/2+3, p.y+37, s.Date)
		p.y += height + 5
	}
}
