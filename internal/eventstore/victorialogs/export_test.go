package victorialogs

import (
	"context"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
)

// Own runs the two queries that a user of the bare node would: a histogram by
// severity and the newest 50 rows.
func (s *Store) Own(ctx context.Context, tenant uint32, from, to int64, f string) error {
	for _, pipes := range []string{"stats by (_time:15m, severity) count() hits", "sort by (_time desc) limit 50"} {
		if err := s.run(ctx, tenant, from, to, filter(f), pipes, func(*logstorage.DataBlock) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
