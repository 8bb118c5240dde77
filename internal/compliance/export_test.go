package compliance

// CoverageOf counts controls; weight is that of partial in hundredths.
func CoverageOf(all []Standing, weight int64) Coverage { return coverageOf(all, weight) }

// Choose returns those that belong to an assessment in the profile.
func (s *Settings) Choose(f *Framework, all []Standing, p Profile) []Standing {
	return s.choose(f, all, p)
}
