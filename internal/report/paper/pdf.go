package paper

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/kyra-mdr/kyra/internal/report/font"
)

// The page, in millimetres: A4 with a column of 174.
const (
	pageWidth, pageHeight = 210.0, 297.0
	marginSide            = 18.0
	marginTop             = 20.0
	marginFoot            = 22.0
	column                = pageWidth - 2*marginSide
	bottom                = pageHeight - marginFoot
)

var (
	ink    = colour{0x1b, 0x24, 0x30}
	grey   = colour{0x5b, 0x66, 0x73}
	rule   = colour{0xd5, 0xdb, 0xe1}
	shade  = colour{0xf3, 0xf5, 0xf8}
	accent = colour{0x1f, 0x4e, 0x79}
)

// The sizes of type.
var (
	body    = size{pt: 9.5, ink: ink}
	muted   = size{pt: 8.5, ink: grey}
	cell    = size{pt: 8.2, ink: ink}
	strong  = size{pt: 8.2, ink: ink, bold: true}
	below   = size{pt: 7.4, ink: grey}
	code    = size{pt: 7, ink: ink, small: true}
	columnT = size{pt: 7.4, ink: grey, bold: true}
	caption = size{pt: 9, ink: ink, bold: true}
)

// printer sets one document as PDF.
type printer struct {
	*fpdf.Fpdf
	doc           *Document
	y             float64
	regular, bold face
	anchors       map[string]int
	contents      []entry
}

// entry is a line of the list of contents.
type entry struct {
	text string
	page int
	link int
}

// PDF writes the document as PDF 1.7 with bookmarks, a title and its language.
func PDF(w io.Writer, d *Document) error {
	p := &printer{doc: d, anchors: map[string]int{}, Fpdf: fpdf.New("P", "mm", "A4", "")}
	at := d.AsOf.UTC()
	if at.IsZero() {
		at = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	p.SetCreationDate(at)
	p.SetModificationDate(at)
	p.SetCatalogSort(true)
	language := "en-GB"
	if d.Language == "ko" {
		language = "ko-KR"
	}
	p.SetLang(language)
	p.SetTitle(d.Title+" – "+d.Organisation, true)
	p.SetXmpMetadata(described(d, language, at))
	p.SetSubject(d.Kind, true)
	p.SetAuthor(d.Organisation, true)
	p.SetCreator("KYRA", true)
	p.SetProducer("KYRA", true)
	p.SetMargins(marginSide, marginTop, marginSide)
	p.SetAutoPageBreak(false, 0)
	p.SetCellMargin(0)
	p.AddUTF8FontFromBytes("kyra", "", font.Regular)
	p.AddUTF8FontFromBytes("kyra", "B", font.Bold)
	p.measure(&p.regular, "")
	p.measure(&p.bold, "B")

	p.cover()
	p.newPage()  // the list of contents, filled in at the end
	p.y = bottom // what follows begins on the next page
	for i, b := range d.Blocks {
		p.block(b, d.Blocks[i+1:])
	}
	p.list()
	p.feet()
	if err := p.Error(); err != nil {
		return fmt.Errorf("set PDF: %w", err)
	}
	if err := p.Output(&versioned{w: w}); err != nil {
		return fmt.Errorf("write PDF: %w", err)
	}
	return nil
}

// versioned writes a PDF whose first line says 1.7: the library says 1.3 of everything
// without transparency, and metadata came with 1.4.
type versioned struct {
	w     io.Writer
	begun bool
}

func (v *versioned) Write(b []byte) (int, error) {
	const theirs, ours = "%PDF-1.3", "%PDF-1.7" // of one length: places in the file stay
	if !v.begun {
		v.begun = true
		if rest, ok := bytes.CutPrefix(b, []byte(theirs)); ok {
			if _, err := io.WriteString(v.w, ours); err != nil {
				return 0, err
			}
			n, err := v.w.Write(rest)
			return n + len(theirs), err
		}
	}
	return v.w.Write(b)
}

// described is what the document says of itself to programs: XMP.
func described(d *Document, language string, at time.Time) []byte {
	text := func(s string) string {
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
		return b.String()
	}
	moment := at.Format(time.RFC3339)
	return fmt.Appendf(nil, `<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">%[1]s</rdf:li><rdf:li xml:lang="%[2]s">%[1]s</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">%[3]s</rdf:li></rdf:Alt></dc:description>
<dc:creator><rdf:Seq><rdf:li>%[4]s</rdf:li></rdf:Seq></dc:creator>
<dc:language><rdf:Bag><rdf:li>%[2]s</rdf:li></rdf:Bag></dc:language>
<xmp:CreatorTool>KYRA</xmp:CreatorTool><xmp:CreateDate>%[5]s</xmp:CreateDate><xmp:ModifyDate>%[5]s</xmp:ModifyDate>
<pdf:Producer>KYRA</pdf:Producer>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`, text(d.Title+" – "+d.Organisation), language, text(d.Kind), text(d.Organisation), moment)
}

// measure fills the widths of a face.
func (p *printer) measure(f *face, style string) {
	f.style = style
	p.SetFont("kyra", style, 10)
	for r := range f.widths {
		if r >= 0xd800 && r < 0xe000 { // halves of pairs
			continue
		}
		f.widths[r] = uint16(p.GetStringSymbolWidth(string(rune(r)))) //nolint:gosec // at most some thousands
	}
}

func (p *printer) face(z size) *face {
	if z.bold {
		return &p.bold
	}
	return &p.regular
}

// text sets one line with its baseline at y.
func (p *printer) text(x, y float64, s string, z size) {
	p.SetFont("kyra", p.face(z).style, z.pt)
	p.SetTextColor(z.ink.R, z.ink.G, z.ink.B)
	p.Text(x, y, s)
}

// right sets one line that ends at x.
func (p *printer) right(x, y float64, s string, z size) { p.text(x-p.width(s, z), y, s, z) }

func (p *printer) fill(c colour) { p.SetFillColor(c.R, c.G, c.B) }

func (p *printer) draw(c colour, width float64) {
	p.SetDrawColor(c.R, c.G, c.B)
	p.SetLineWidth(width)
}

func (p *printer) line(x1, y1, x2, y2 float64) { p.Line(x1, y1, x2, y2) }

func (p *printer) newPage() {
	p.AddPage()
	p.y = marginTop
}

// room begins a page unless so much is left on this one.
func (p *printer) room(height float64) bool {
	if p.y+height <= bottom || p.y == marginTop {
		return false
	}
	p.newPage()
	return true
}

// leading is the height of a line.
func (z size) leading() float64 { return z.pt * mmPerPoint * 1.5 }

// lines sets lines below each other, over pages where they must be, and moves down.
func (p *printer) lines(x float64, all []string, z size) {
	for _, s := range all {
		p.room(z.leading())
		p.text(x, p.y+z.leading()*0.72, s, z)
		p.y += z.leading()
	}
}

// anchor is the link to a name.
func (p *printer) anchor(name string) int {
	id, ok := p.anchors[name]
	if !ok {
		id = p.AddLink()
		p.anchors[name] = id
	}
	return id
}

func (p *printer) cover() {
	d := p.doc
	p.newPage()
	p.fill(accent)
	p.Rect(0, 0, pageWidth, 6, "F")
	p.y = 62
	p.lines(marginSide, p.wrap(d.Kind, column, size{pt: 12, ink: accent, bold: true}), size{pt: 12, ink: accent, bold: true})
	p.y += 3
	title := size{pt: 27, ink: ink, bold: true}
	p.lines(marginSide, p.wrap(d.Title, column, title), title)
	if d.Subtitle != "" {
		sub := size{pt: 13, ink: grey}
		p.y += 1
		p.lines(marginSide, p.wrap(d.Subtitle, column, sub), sub)
	}
	p.y += 8
	p.draw(accent, 0.6)
	p.line(marginSide, p.y, marginSide+28, p.y)
	p.y += 9
	org := size{pt: 15, ink: ink}
	p.lines(marginSide, p.wrap(d.Organisation, column, org), org)
	p.y += 10
	p.facts(d.Cover, 46, size{pt: 10, ink: grey}, size{pt: 10, ink: ink})
	note := p.wrap(d.CoverNote, column-10, muted)
	h := float64(len(note))*muted.leading() + 8
	p.y = max(p.y+6, bottom-h)
	p.fill(shade)
	p.Rect(marginSide, p.y, column, h, "F")
	p.y += 4
	p.lines(marginSide+5, note, muted)
}

// list fills in the list of contents on the second page.
func (p *printer) list() {
	last := p.PageNo()
	p.SetPage(2)
	p.again()
	p.y = marginTop
	h := size{pt: 17, ink: ink, bold: true}
	p.lines(marginSide, []string{p.doc.Contents}, h)
	p.y += 5
	z := size{pt: 10.5, ink: ink}
	for _, e := range p.contents {
		number := fmt.Sprint(e.page)
		p.text(marginSide, p.y+4.5, e.text, z)
		p.right(marginSide+column, p.y+4.5, number, z)
		p.draw(rule, 0.2)
		p.line(marginSide, p.y+7.2, marginSide+column, p.y+7.2)
		p.Link(marginSide, p.y, column, 7.2, e.link)
		p.y += 8.6
	}
	p.SetPage(last)
	p.again()
}

// again tells the library to say anew which font a page uses that is gone back to.
func (p *printer) again() {
	p.SetFont("kyra", "B", 1)
	p.SetFont("kyra", "", 2)
}

// feet numbers the pages, now that it is known how many there are.
func (p *printer) feet() {
	last := p.PageCount()
	z := size{pt: 7.4, ink: grey}
	for n := 2; n <= last; n++ {
		p.SetPage(n)
		p.again()
		p.draw(rule, 0.2)
		y := pageHeight - 14.0
		p.line(marginSide, y, marginSide+column, y)
		number := fmt.Sprintf("%d / %d", n, last)
		if p.doc.Page != "" {
			number = p.doc.Page + " " + number
		}
		p.right(marginSide+column, y+4.5, number, z)
		p.text(marginSide, y+4.5, p.wrap(p.doc.Running, column-40, z)[0], z)
	}
}
