package incident

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// tellLate has others told that a notice is overdue.
func (s *Service) tellLate(ctx context.Context, tx *sqldb.DB, in *Incident, c *Clock) error {
	return outbox.Add(ctx, tx, outbox.Message{
		Tenant: in.Tenant, Event: outbox.NoticeOverdue, Kind: "incidents", Object: in.ID, Title: in.Title, Severity: "critical", Rule: in.RuleID,
		Text: c.Name + ": " + c.Recipient + " had to be told by " + c.DueAt.Format(time.RFC3339) + ", and it is not recorded that they were",
	})
}

// NoticeFigures tell how notices of a period fared. All but Clocks count clocks that were
// not withdrawn.
type NoticeFigures struct {
	Incidents    int64 // that were marked as reportable
	Notices      int64
	InTime       int64
	Late         int64 // told after their time, or not told and their time is over
	Running      int64
	WithoutDraft int64   // of Running, those of which no draft notice was made
	Clocks       []Clock // the first of them, the first to be due first, at most maxFigures
}

const maxFigures = 1000

// NoticeFigures counts the clocks of the tenant that began in a period and were not
// withdrawn. The limit of a law is its own. Where people set one themselves it counts no
// longer than deadline, and piiDeadline where it is about personal data; 0 for no bound.
func (s *Service) NoticeFigures(ctx context.Context, tenant uint32, from, to, now time.Time, deadline, piiDeadline time.Duration) (*NoticeFigures, error) {
	f := &NoticeFigures{}
	seen := map[string]bool{}
	for c, err := range sqldb.Stream(ctx, s.db, scanClock, selectClock+` WHERE tenant = $1 AND aware_at >= $2 AND aware_at < $3 AND withdrawn_at IS NULL ORDER BY due_at, id`, int64(tenant), from.UnixMicro(), to.UnixMicro()) {
		if err != nil {
			return nil, fault.Wrap("count notices", err)
		}
		c.DueAt = c.AwareAt.Add(c.limit(deadline, piiDeadline))
		if !seen[c.Incident] {
			seen[c.Incident] = true
			f.Incidents++
		}
		f.Notices++
		switch c.State(now) {
		case Notified:
			f.InTime++
		case Running:
			f.Running++
			if c.DraftedAt == nil {
				f.WithoutDraft++
			}
		default:
			f.Late++
		}
		if len(f.Clocks) < maxFigures {
			f.Clocks = append(f.Clocks, c)
		}
	}
	return f, nil
}

func (c *Clock) limit(deadline, piiDeadline time.Duration) time.Duration {
	for _, l := range Laws {
		if l.ID == c.Law {
			return c.Within
		}
	}
	if c.Personal && piiDeadline > 0 {
		deadline = piiDeadline
	}
	if deadline > 0 {
		return min(c.Within, deadline)
	}
	return c.Within
}
