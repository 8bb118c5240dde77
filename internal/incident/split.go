package incident

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// Split takes alerts out of the incident and makes a new one of them, with the severity
// of the worst. Merging the new one back into the old undoes it. The title "" means the
// old one's with "Split: " before it.
func (s *Service) Split(ctx context.Context, tenant uint32, actor, id, title string, alertIDs []string) (*Detail, error) {
	if len(alertIDs) == 0 || len(alertIDs) > maxLink {
		return nil, fault.New(fault.Invalid, "Allowed: 1 to %d", maxLink).In("alertIds")
	}
	if strings.TrimSpace(title) != "" {
		var err error
		if title, err = checkTitle(title); err != nil {
			return nil, err
		}
	}
	return s.change(ctx, "split incident", tenant, func(tx *sqldb.DB, now time.Time) (string, error) {
		old, err := s.writable(ctx, tx, tenant, id)
		if err != nil {
			return "", err
		}
		there, err := s.alertsOf(ctx, tx, old, "")
		if err != nil {
			return "", err
		}
		var taken []alert.Alert
		for _, a := range there {
			if slices.Contains(alertIDs, a.ID) {
				taken = append(taken, a)
			}
		}
		for _, want := range alertIDs {
			if !slices.ContainsFunc(taken, func(a alert.Alert) bool { return a.ID == want }) {
				return "", fault.New(fault.Invalid, "alert %s is not in the incident", want).In("alertIds")
			}
		}
		if len(taken) == len(there) {
			return "", fault.New(fault.Invalid, "these are all alerts of the incident: leave at least one in it").In("alertIds")
		}
		in := Incident{Tenant: tenant, Title: title, Origin: Manual, AssignedTo: old.AssignedTo, SplitFrom: old.ID}
		if in.Title == "" {
			in.Title = "Split: " + cut(old.Title, maxTitle-len("Split: "))
		}
		in.Severity = worst(taken)
		if err := s.insert(ctx, tx, now, actor, &in, taken[0].FirstSeen); err != nil {
			return "", err
		}
		if err := step(ctx, tx, in.ID, Step{At: now, Actor: actor, Action: "splitFrom", Old: old.ID}); err != nil {
			return "", err
		}
		for i := range taken {
			if err := s.link(ctx, tx, now, actor, &in, &taken[i], ""); err != nil {
				return "", err
			}
			if err := s.unlink(ctx, tx, now, actor, old, &taken[i]); err != nil {
				return "", err
			}
		}
		if err := acknowledge(ctx, tx, now, actor, old.ID); err != nil {
			return "", err
		}
		if err := step(ctx, tx, old.ID, Step{At: now, Actor: actor, Action: "split", New: in.ID}); err != nil {
			return "", err
		}
		return in.ID, audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "incident.split", Object: old.ID, Detail: map[string]any{"into": in.ID, "alerts": alertIDs}})
	})
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
