package dsr

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Treatment is what an erasure does to a place of control data.
type Treatment string

// The treatments.
const (
	Erased        Treatment = "erased"        // what is about the person goes
	Pseudonymised Treatment = "pseudonymised" // the object stays, and no longer says who it was
	Kept          Treatment = "kept"          // nothing changes
)

// A Place is where a person may appear besides events.
type Place struct {
	Name      string
	Treatment Treatment
	Reason    string // why it is so
	Tables    []Table
}

// A Table is one of a place. Its SQL is a constant of this package.
type Table struct {
	Name   string // what is changed, x in the other expressions
	Join   string // what else is read, such as "JOIN alert o ON o.seq = x.seq"
	Tenant string // its number
	Object string // text: the id by which the API knows the object
	At     string // microseconds; "" for none
	Key    string // columns of Name that name a row, parted by commas
	// Columns are "name:kind" of Name's own, or of joined tables with their prefix: those
	// are read and never changed.
	Columns []Column
	// Names tells that an object whose values name the person is about the person: its
	// texts, and those of what tells of it, are looked through for every identifier.
	Names bool
	// Drop removes rows whose values name the person.
	Drop bool
	// And is a condition of its own, such as "x.ended_at IS NOT NULL".
	And string
	// About is the id of what a row tells of, where that is another one than Object.
	About string
	// Unique are columns, parted by commas, that no two rows share; Key where it is "".
	Unique string
	// Hidden tables only tell which objects are about the person.
	Hidden bool

	stamp bool // rows count their changes in version and updated_at
	after func(ctx context.Context, tx *sqldb.DB, tenant uint32, object string) error
}

// A Column is one that may name a person.
type Column struct {
	Name string
	Kind columnKind
}

type columnKind byte

const (
	text     columnKind = iota // a text for people: words of it
	value                      // names somebody or something as a whole, or holds words
	tagged                     // such as "ip:192.0.2.1"
	grouped                    // fields and their values, such as "user=akim"
	document                   // JSON
)

func (c Column) own() bool { return !strings.Contains(c.Name, ".") }

func (c Column) expression() string {
	if c.own() {
		return "x." + c.Name
	}
	return c.Name
}

// look tells what becomes of a column's text, and whether it names the person.
func (c Column) look(m matcher, s string, all bool) (out string, named bool) {
	switch c.Kind {
	case document:
		return m.document(s, all)
	case tagged:
		tag, rest, _ := strings.Cut(s, ":")
		out, named = m.value(rest)
		return tag + ":" + out, named
	case grouped:
		out = m.text(s, true)
		return out, out != s
	case value:
		if out, named = m.value(s); named {
			return out, true
		}
	}
	out = m.text(s, all)
	return out, out != s
}

// names tells whether the column as a whole, or a string of its document, can name somebody.
func (c Column) names() bool { return c.Kind != text }

// pseudonym is what takes the place of a value in a tenant's control data: the same each
// time, so that what was said of one person still belongs together, and not to be told
// from the value without the installation's key.
func (s *Service) pseudonym(tenant uint32, value string) string {
	h := hmac.New(sha256.New, s.pseudonyms[:])
	fmt.Fprintf(h, "%d\x00%s", tenant, strings.ToLower(value))
	return "person_" + hex.EncodeToString(h.Sum(nil)[:8])
}

// A Mention is one object that names a person.
type Mention struct {
	Place string    `json:"place"`
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
}

// PlaceFound tells what was found in a place, and what an erasure does there.
type PlaceFound struct {
	Place     string    `json:"place"`
	Objects   int64     `json:"objects"`
	Treatment Treatment `json:"treatment"`
	Reason    string    `json:"reason"`
}

// PlaceErased is the part of a proof that tells of one place.
type PlaceErased struct {
	PlaceFound
	// Erased and Pseudonymised count rows; Remaining counts objects that still name the
	// person at the end, which is all of them where they are kept.
	Erased        int64 `json:"erased"`
	Pseudonymised int64 `json:"pseudonymised"`
	Remaining     int64 `json:"remaining"`
}
