package paper

import (
	"fmt"
	"math"
	"strconv"
)

// mark fills a rectangle with the pattern of a mark.
func (p *printer) mark(x, y, w, h float64, m Mark) {
	if w <= 0 {
		return
	}
	l := looks[m]
	p.fill(l.paper)
	p.Rect(x, y, w, h, "F")
	p.ClipRect(x, y, w, h, false)
	p.draw(l.ink, 0.25)
	const step = 1.1
	switch l.pattern {
	case "hatch", "cross":
		for d := -h; d < w; d += step {
			p.line(x+d, y+h, x+d+h, y)
			if l.pattern == "cross" {
				p.line(x+d, y, x+d+h, y+h)
			}
		}
	case "lines":
		for d := step / 2; d < h; d += step {
			p.line(x, y+d, x+w, y+d)
		}
	case "dots":
		p.fill(l.ink)
		row := 0
		for dy := 0.55; dy < h; dy += step {
			for dx := 0.55 + float64(row%2)*step/2; dx < w; dx += step {
				p.Rect(x+dx-0.14, y+dy-0.14, 0.28, 0.28, "F")
			}
			row++
		}
	}
	p.ClipEnd()
	p.draw(l.ink, 0.2)
	p.Rect(x, y, w, h, "D")
}

// legend names the series.
func (p *printer) legend(all []Series) {
	x := marginSide
	z := size{pt: 8.2, ink: ink}
	for _, s := range all {
		w := 5 + p.width(s.Label, z) + 6
		if x+w > marginSide+column && x > marginSide {
			x = marginSide
			p.y += 5
		}
		p.mark(x, p.y+0.6, 3, 3, s.Mark)
		p.text(x+4.6, p.y+3.2, s.Label, z)
		x += w
	}
	p.y += 7
}

func (p *printer) bars(b *Bars) {
	height, pace, label := 4.6, 8.4, 58.0
	if b.Absolute {
		label = 44
		if len(b.Items) > 14 {
			height, pace = 3.4, 5.2
		}
	}
	total := 12 + pace*float64(len(b.Items))
	if total < bottom-marginTop {
		p.room(min(total, 150))
	}
	if b.Title != "" {
		p.lines(marginSide, p.wrap(b.Title, column, caption), caption)
		p.y += 1.5
	}
	p.legend(b.Series)
	right := 0.0
	z := size{pt: 8.2, ink: ink}
	most := int64(1)
	for i := range b.Items {
		right = max(right, p.width(b.Items[i].Right, z))
		most = max(most, sum(b.Items[i].Values))
	}
	span := column - label - right - 4
	for i := range b.Items {
		it := &b.Items[i]
		names := p.wrap(it.Label, label-4, z)
		h := max(pace, float64(len(names))*3.8+1.4)
		p.room(h)
		y := p.y + (h-float64(len(names))*3.8)/2
		for j, s := range names {
			p.text(marginSide, y+float64(j)*3.8+2.9, s, z)
		}
		whole := sum(it.Values)
		if b.Absolute {
			whole = most
		}
		x, top := marginSide+label, p.y+(h-height)/2
		if sum(it.Values) == 0 {
			p.draw(rule, 0.2)
			p.line(x, top+height, x+span, top+height)
		}
		for k, v := range it.Values {
			w := span * float64(v) / float64(max(whole, 1))
			p.mark(x, top, w, height, b.Series[k].Mark)
			if n := strconv.FormatInt(v, 10); v > 0 && height > 4 && w > p.width(n, strong)+3 {
				nw := p.width(n, strong)
				white := size{pt: 7.4, ink: ink, bold: true}
				p.fill(colour{255, 255, 255})
				p.Rect(x+(w-nw)/2-0.8, top+0.7, nw+1.6, height-1.4, "F")
				p.text(x+(w-p.width(n, white))/2, top+3.25, n, white)
			}
			x += w
		}
		p.right(marginSide+column, p.y+h/2+1, it.Right, z)
		p.y += h
	}
	p.y += 4
}

func sum(all []int64) (n int64) {
	for _, v := range all {
		n += v
	}
	return n
}

func (p *printer) trend(t *Trend) {
	const height, left, foot = 44.0, 12.0, 7.0
	p.room(height + foot + 16)
	if t.Title != "" {
		p.lines(marginSide, p.wrap(t.Title, column, caption), caption)
		p.y += 3
	}
	z := size{pt: 7.4, ink: grey}
	x0, x1, y0, y1 := marginSide+left, marginSide+column-6, p.y, p.y+height
	for i := range 5 {
		v := t.Highest * float64(i) / 4
		y := y1 - height*float64(i)/4
		p.draw(rule, 0.2)
		p.line(x0, y, x1, y)
		p.right(x0-2, y+1, plainNumber(v)+t.Unit, z)
	}
	n := len(t.Points)
	at := func(i int) float64 {
		if n < 2 {
			return (x0 + x1) / 2
		}
		return x0 + 6 + (x1-x0-12)*float64(i)/float64(n-1)
	}
	level := func(v float64) float64 { return y1 - (y1-y0)*min(v/max(t.Highest, 1e-9), 1) }
	every := max(1, int(math.Ceil(float64(n)/12)))
	p.draw(accent, 0.6)
	for i := 1; i < n; i++ {
		if a, b := &t.Points[i-1], &t.Points[i]; !a.None && !b.None {
			p.line(at(i-1), level(a.Value), at(i), level(b.Value))
		}
	}
	for i := range t.Points {
		q := &t.Points[i]
		if i%every == 0 {
			p.text(at(i)-p.width(q.Label, z)/2, y1+4.4, q.Label, z)
		}
		if q.None {
			continue
		}
		if n <= 31 {
			p.fill(accent)
			p.Circle(at(i), level(q.Value), 0.9, "F")
		}
		if n <= 13 {
			s := plainNumber(q.Value)
			p.text(at(i)-p.width(s, z)/2, level(q.Value)-2, s, size{pt: 7.4, ink: ink})
		}
	}
	p.y = y1 + foot + 4
}

// plainNumber has two decimals at most, and none that say nothing.
func plainNumber(v float64) string {
	s := fmt.Sprintf("%.2f", v)
	for len(s) > 0 && s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if len(s) > 0 && s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}
