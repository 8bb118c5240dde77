package dsr

import (
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Calendar is the days on which a tenant does not work besides weekends.
type Calendar struct {
	Zone     *time.Location
	Holidays map[string]bool // YYYY-MM-DD
}

func (c *Calendar) works(d time.Time) bool {
	return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday && !c.Holidays[d.Format(time.DateOnly)]
}

// rolled is d, or the next working day.
func (c *Calendar) rolled(d time.Time) time.Time {
	for !c.works(d) {
		d = d.AddDate(0, 0, 1)
	}
	return d
}

// business is the n-th working day after d.
func (c *Calendar) business(d time.Time, n int) time.Time {
	for n > 0 {
		d = d.AddDate(0, 0, 1)
		if c.works(d) {
			n--
		}
	}
	return d
}

// months is the same date n months later, or the last day of that month where it has no
// such date.
func months(d time.Time, n int) time.Time {
	y, m, day := d.Date()
	first := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, d.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, last)-1)
}

// due is the last day of the term of a request that was received on day.
//
// GDPR: one month, or three where it is extended (Article 12(3)); the same date of a
// later month or its last day, and where that is no working day the next one (Regulation
// 1182/71, Article 3). CCPA: 45 calendar days after receipt, 90 where it is extended
// (regulations § 7021), and 15 working days to opt out or to limit (§§ 7026, 7027). PIPA:
// 10 days, the first not counted, and where the last is no working day the next one
// (Enforcement Decree, Article 41; Civil Act, Articles 157 and 161); where there is a good
// reason, of which the person is told, it may be put off (Act, Article 35(3)) until the
// reason ends: here once, by 10 days.
func (c *Calendar) due(law Law, kind Kind, day time.Time, extended bool) (time.Time, error) {
	optOut := law == CCPA && (kind == Objection || kind == Restriction)
	switch {
	case extended && optOut:
		return time.Time{}, fault.New(fault.Conflict, "%s gives no longer term for such a request", law).In("extension")
	case law == GDPR && extended:
		return c.rolled(months(day, 3)), nil
	case law == GDPR:
		return c.rolled(months(day, 1)), nil
	case optOut:
		return c.business(day, 15), nil
	case law == CCPA && extended:
		return day.AddDate(0, 0, 90), nil
	case law == CCPA:
		return day.AddDate(0, 0, 45), nil
	case extended:
		return c.rolled(day.AddDate(0, 0, 20)), nil
	default:
		return c.rolled(day.AddDate(0, 0, 10)), nil
	}
}

// acknowledge is the day by which receipt is to be confirmed, "" for none: CCPA wants it
// within 10 working days (§ 7021).
func (c *Calendar) acknowledge(law Law, day time.Time) string {
	if law != CCPA {
		return ""
	}
	return c.business(day, 10).Format(time.DateOnly)
}

// end is the moment at which a day is over where the tenant is.
func (c *Calendar) end(d time.Time) time.Time {
	y, m, day := d.Date()
	return time.Date(y, m, day+1, 0, 0, 0, 0, c.Zone).UTC()
}
