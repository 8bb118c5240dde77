package compliance

import "time"

// Complete checks a result and fills in what was left out, just as SaveResults does: who
// keeps a result elsewhere, such as evidence, keeps the same. Doing it twice changes
// nothing.
func (s *Service) Complete(r *Result) error { return s.complete(r, s.now()) }

// CountsUntil is when a completed result stops to count: twice the cadence of its check
// after it was gathered, or its own ValidUntil where that is sooner.
func (s *Service) CountsUntil(r *Result) time.Time {
	return r.validUntil(s.Catalogue.Check(r.Check))
}
