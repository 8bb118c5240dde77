// Package paper sets documents: as PDF, as HTML that reads the same, and their data as
// CSV. It knows nothing of what they say, and reads no clock: the same document gives the
// same bytes.
package paper

import "time"

// A Document is what is set.
type Document struct {
	Language     string // "en", "ko"
	Kind         string // above the title: "Compliance status report"
	Title        string
	Subtitle     string // "" for none
	Organisation string
	Running      string    // at the foot of every page
	AsOf         time.Time // becomes the date of the file
	Cover        []Fact    // below the title
	CoverNote    string    // at the foot of the cover
	Contents     string    // heading of the list of contents, "Page" the word before a number
	Page         string
	Blocks       []Block
	Data         *Table // what the CSV holds; nil for none
}

// A Block is one piece of a document.
type Block interface{ Kind() string }

// Heading begins a section. Those of level 1 are in the list of contents and begin a page
// where NewPage says so.
type Heading struct {
	Level   int // 1 to 3
	Text    string
	NewPage bool
}

// Text is a paragraph; Muted for what is beside the point.
type Text struct {
	Text  string
	Muted bool
}

// Note is a paragraph that must not be overlooked.
type Note struct {
	Mark Mark
	Text string
}

// Points is a list of sentences.
type Points struct{ Items []string }

// Facts are names with values.
type Facts struct{ Items []Fact }

// A Fact is one name with its value.
type Fact struct{ Name, Value string }

// Tiles are figures that are seen at once, three or four in a row.
type Tiles struct{ Items []Tile }

// A Tile is one figure.
type Tile struct{ Value, Label, Note string }

// Table is rows in columns. No row is ever left out or cut.
type Table struct {
	Title   string // read by those who cannot see it; shown above it
	Columns []Column
	Rows    []Row
	Empty   string // shown where there are no rows
}

// A Column of a table.
type Column struct {
	Title string
	Width float64 // parts of the whole
	Right bool    // numbers
	Small bool    // hashes and identifiers
}

// A Row has a cell for each column, or is the heading Group of those that follow.
type Row struct {
	Group string
	Cells []Cell
}

// A Cell of a table.
type Cell struct {
	Text   string
	Below  string // smaller, under Text
	Mark   Mark   // in front of Text
	Strong bool
	Links  []string // Text is a list, joined by ", ", of links to these anchors
	Anchor string   // the row can be linked to by this name
}

// Bars are stacked bars, one an item, all of one length.
type Bars struct {
	Title       string
	Description string // for those who cannot see it
	Series      []Series
	Items       []Bar
	Absolute    bool // lengths show the sums, not the shares
}

// Series is one part of every bar.
type Series struct {
	Label string
	Mark  Mark
}

// A Bar has a value for each series, none negative.
type Bar struct {
	Label  string
	Values []int64
	Right  string // at its end
}

// Trend is a line over time.
type Trend struct {
	Title, Description string
	Points             []Point
	Highest            float64 // of the axis
	Unit               string
}

// A Point of a trend; None where nothing was measured.
type Point struct {
	Label string
	Value float64
	None  bool
}

// Signatures are fields to sign in, by role.
type Signatures struct {
	Roles                       []string
	Name, Office, Date, Written string // labels
}

// Break begins a page.
type Break struct{}

// Kind implements Block.
func (Heading) Kind() string { return "heading" }

// Kind implements Block.
func (Text) Kind() string { return "text" }

// Kind implements Block.
func (Note) Kind() string { return "note" }

// Kind implements Block.
func (Points) Kind() string { return "points" }

// Kind implements Block.
func (Facts) Kind() string { return "facts" }

// Kind implements Block.
func (Tiles) Kind() string { return "tiles" }

// Kind implements Block.
func (Table) Kind() string { return "table" }

// Kind implements Block.
func (Bars) Kind() string { return "bars" }

// Kind implements Block.
func (Trend) Kind() string { return "trend" }

// Kind implements Block.
func (Signatures) Kind() string { return "signatures" }

// Kind implements Block.
func (Break) Kind() string { return "break" }

// A Mark tells states apart by colour and by pattern, so that no colour is needed.
type Mark int

// The marks.
const (
	NoMark   Mark = iota
	Good          // full
	Middling      // hatched
	Bad           // cross-hatched
	Unknown       // dotted
	Outside       // empty
	First         // five steps, the gravest first
	Second
	Third
	Fourth
	Fifth
)

type colour struct{ R, G, B int }

// look is how a mark is drawn.
type look struct {
	ink     colour // of the pattern and the outline
	paper   colour // below it
	pattern string // "full", "hatch", "cross", "dots", "lines", "empty"
}

var looks = map[Mark]look{
	Good:     {colour{0x2b, 0x72, 0x55}, colour{0x2b, 0x72, 0x55}, "full"},
	Middling: {colour{0xb7, 0x7a, 0x12}, colour{0xfa, 0xf0, 0xd9}, "hatch"},
	Bad:      {colour{0xa6, 0x32, 0x2a}, colour{0xf8, 0xe0, 0xdc}, "cross"},
	Unknown:  {colour{0x6b, 0x76, 0x84}, colour{0xf3, 0xf5, 0xf7}, "dots"},
	Outside:  {colour{0x9a, 0xa4, 0xaf}, colour{0xff, 0xff, 0xff}, "empty"},
	First:    {colour{0x7d, 0x1f, 0x2b}, colour{0x7d, 0x1f, 0x2b}, "full"},
	Second:   {colour{0xb5, 0x4a, 0x2c}, colour{0xf9, 0xe4, 0xdb}, "cross"},
	Third:    {colour{0xb7, 0x7a, 0x12}, colour{0xfa, 0xf0, 0xd9}, "hatch"},
	Fourth:   {colour{0x2f, 0x6a, 0x9a}, colour{0xe3, 0xee, 0xf6}, "lines"},
	Fifth:    {colour{0x6b, 0x76, 0x84}, colour{0xf3, 0xf5, 0xf7}, "dots"},
}
