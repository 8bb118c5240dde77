package exposure

import "context"

var (
	ReadAliases = readAliases
	TitleOf     = titleOf
)

// Age is what Run does now and then.
func (s *Service) Age(ctx context.Context) error { return s.age(ctx) }
