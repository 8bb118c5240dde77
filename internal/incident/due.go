package incident

import (
	"context"
	"log/slog"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// lookEvery is how often due times are looked at.
const lookEvery = 10 * time.Second

// Run notices, until ctx is done, which incidents become overdue.
func (s *Service) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if _, err := s.NoteOverdue(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "due times of incidents not looked at", "err", err)
		}
		if _, err := s.TellLateNotices(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "due times of notices not looked at", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// NoteOverdue notes for every incident whose due time has passed, once, that it is
// overdue, has it told, and returns how many these were. Several servers may do it.
func (s *Service) NoteOverdue(ctx context.Context, now time.Time) (int, error) {
	now = now.UTC().Truncate(time.Microsecond)
	const atOnce = 500
	due, err := sqldb.All(ctx, s.db, scan, selectIncident+` WHERE sla_due_at <= $1 AND overdue_at IS NULL AND status <> 'CLOSED' ORDER BY sla_due_at LIMIT $2`, now.UnixMicro(), atOnce)
	if err != nil {
		return 0, fault.Wrap("look for overdue incidents", err)
	}
	noted := 0
	for i := range due {
		in := &due[i]
		err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
			n, err := sqldb.Exec(ctx, tx, `UPDATE incident SET overdue_at = $1, updated_at = $1 WHERE id = $2 AND overdue_at IS NULL AND status <> 'CLOSED' AND sla_due_at <= $1`, now.UnixMicro(), in.ID)
			if err != nil || n == 0 {
				return err
			}
			noted++
			in.OverdueAt, in.UpdatedAt = &now, now
			if err := step(ctx, tx, in.ID, Step{At: now, Actor: audit.System, Action: "overdue", Old: in.SLADueAt.Format(time.RFC3339), New: string(in.Status)}); err != nil {
				return err
			}
			if s.tell == nil {
				return nil
			}
			return s.tell(ctx, tx, in, Overdue)
		})
		if err != nil {
			return noted, fault.Wrap("note overdue incident", err)
		}
	}
	return noted, nil
}
