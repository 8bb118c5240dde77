// Package compliance holds the frameworks, their controls and the checks that prove them,
// and judges from the results of checks, from what people attest and from exceptions how
// each control stands. It evaluates no check itself and knows no framework by name: what
// is special about one is in its catalogue.
//
// No data is never a pass, and a person cannot lift a check that fails, except through an
// exception that is recorded.
package compliance

// A Profile is a choice of a framework's controls.
type Profile string

// The profiles.
const (
	Core Profile = "core" // what telemetry can speak about
	Full Profile = "full" // every control
)

// Profiles lists the profiles.
var Profiles = []Profile{Core, Full}

// A Mode says how far checks alone settle a control.
type Mode string

// The modes. A check that fails lowers a control of any mode.
const (
	Auto   Mode = "auto"   // checks alone set the status
	Assist Mode = "assist" // checks can lower it; a person must attest before it is compliant
	Manual Mode = "manual" // a person attests
)

// Modes lists the modes.
var Modes = []Mode{Auto, Assist, Manual}

// A Status is how a control stands.
type Status string

// The statuses, the best first. A control that is not applicable leaves the totals.
const (
	Compliant     Status = "compliant"
	Partial       Status = "partial"
	NonCompliant  Status = "nonCompliant"
	NotAssessed   Status = "notAssessed"
	NotApplicable Status = "notApplicable"
)

// Statuses lists the statuses.
var Statuses = []Status{Compliant, Partial, NonCompliant, NotAssessed, NotApplicable}

// A Framework is one edition of a standard, a law or a certification scheme.
type Framework struct {
	ID             string `yaml:"id"`      // "ISMSP": short, the same for every edition
	Edition        string `yaml:"edition"` // "2023-10": short, tells editions of one framework apart
	Name           string `yaml:"name"`
	NameKo         string `yaml:"nameKo"` // "" where there is none
	Version        string `yaml:"version"`
	Authority      string `yaml:"authority"`
	Granularity    string `yaml:"granularity"`
	DefaultProfile Profile
	Languages      []string
	Totals         Totals // as the catalogue states them; checked when it is loaded
	Licence        string
	Notes          []string
	Domains        []Domain
	Controls       []Control // in the order of the standard; those Apart at the end

	byID map[string]*Control
}

// Ref names the framework and its edition: "TISAX@6.0".
func (f *Framework) Ref() string { return f.ID + "@" + f.Edition }

// Control returns the control of that id, or nil.
func (f *Framework) Control(id string) *Control { return f.byID[id] }

// Domain returns the domain of that id, or nil.
func (f *Framework) Domain(id string) *Domain {
	for i := range f.Domains {
		if f.Domains[i].ID == id {
			return &f.Domains[i]
		}
	}
	return nil
}

// Totals are the counts of controls that are not Apart.
type Totals struct {
	Full   int `yaml:"full"`
	Core   int `yaml:"core"`
	Auto   int `yaml:"auto"`
	Assist int `yaml:"assist"`
	Manual int `yaml:"manual"`
}

// A Domain groups controls: a family, a clause, a function.
type Domain struct {
	ID       string `yaml:"id"`
	Title    string `yaml:"title"`
	TitleKo  string `yaml:"titleKo"`  // "" where there is none
	Controls int    `yaml:"controls"` // how many it has
}

// A Control is one thing that a framework asks for.
type Control struct {
	ID         string // as the framework writes it: "2.9.4", "A.8.15", "Art.33(1)"
	Domain     string // id of its Domain
	Title      string
	TitleKo    string // "" where there is none
	Mode       Mode
	StrictMode Mode // in strict assessments; equal to Mode where they do not differ
	Core       bool
	// Category is a part of the framework that an assessment may leave out or take in:
	// "availability" of SOC 2, "A1" of PCI DSS. "" for what is always in.
	Category string
	Apart    bool // not counted unless its category is chosen
	Checks   []Link
	Weight   int    // CMMC: what is taken off the official score while it is not met
	Level1   string // CMMC: the requirement of level 1 that it holds, "" for none

	line int // in its file
}

// ModeIn is the control's mode in a strict or an ordinary assessment.
func (c *Control) ModeIn(strict bool) Mode {
	if strict {
		return c.StrictMode
	}
	return c.Mode
}

// A Link is a check that a control relies on, with what the control asks of it.
type Link struct {
	Check   string
	Params  Params  // the check's, with the control's own in their place
	Absence Outcome // what a missing source means here: NoData or Fail
	Key     string  // of the Variant: the result to look at
}
