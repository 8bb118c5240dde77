package dsr

import (
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	c := &Calendar{Zone: time.UTC, Holidays: map[string]bool{"2026-12-25": true}}
	for _, x := range []struct {
		law      Law
		kind     Kind
		day      string
		extended bool
		want     string
	}{
		{GDPR, Access, "2026-03-05", false, "2026-04-06"}, // 5 April is a Sunday
		{GDPR, Access, "2026-01-31", false, "2026-03-02"}, // 28 February is a Saturday
		{GDPR, Access, "2028-01-31", false, "2028-02-29"}, // a leap year
		{GDPR, Access, "2026-08-31", false, "2026-09-30"},
		{GDPR, Access, "2026-11-30", true, "2027-03-01"}, // 28 February is a Sunday
		{GDPR, Erasure, "2026-11-25", false, "2026-12-28"},
		{GDPR, Erasure, "2026-12-31", false, "2027-02-01"},
		{CCPA, Access, "2026-01-01", false, "2026-02-15"}, // a Sunday: calendar days
		{CCPA, Access, "2026-01-01", true, "2026-04-01"},
		{CCPA, Objection, "2026-12-14", false, "2027-01-05"},
		{PIPA, Access, "2026-02-20", false, "2026-03-02"},
		{PIPA, Access, "2026-02-18", false, "2026-03-02"}, // 28 February is a Saturday
		{PIPA, Access, "2026-02-18", true, "2026-03-10"},
		{PIPA, Erasure, "2026-12-05", true, "2026-12-28"}, // Christmas, then a weekend
	} {
		day, err := time.Parse(time.DateOnly, x.day)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.due(x.law, x.kind, day, x.extended)
		if err != nil || got.Format(time.DateOnly) != x.want {
			t.Errorf("%s %s of %s, extended %t: %s %v, want %s", x.law, x.kind, x.day, x.extended, got.Format(time.DateOnly), err, x.want)
		}
	}
	if _, err := c.due(CCPA, Objection, time.Now(), true); err == nil {
		t.Error("the term to opt out was extended")
	}
	if got := c.acknowledge(CCPA, time.Date(2026, 12, 18, 0, 0, 0, 0, time.UTC)); got != "2027-01-04" {
		t.Errorf("acknowledge by %s, want 2027-01-04", got)
	}
	seoul := time.FixedZone("KST", 9*3600)
	if got := (&Calendar{Zone: seoul}).end(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)); !got.Equal(time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("the day ends at %s", got)
	}
}
