package app

import (
	"context"
	"maps"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/dsr"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/tenant"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// openRequests adds the kinds of jobs of data subject requests. It needs database, event
// store and alerts.
func (s *Server) openRequests(kinds map[string]job.Kind, now func() time.Time) error {
	sealer, err := s.sealer()
	if err != nil {
		return err
	}
	files, err := vault.Open(s.folder.in("requests"))
	if err != nil {
		return err
	}
	keys := identity.New(s.db, tenant.New(s.db), s.log, now)
	s.requests, err = dsr.New(dsr.Config{
		DB: s.db, Events: s.store, Sealer: sealer, Vault: files, Log: s.log, Now: now, Places: s.places(),
		Several: func(ctx context.Context, number uint32) (bool, error) {
			_, n, err := keys.List(ctx, number, identity.Filter{Scopes: []identity.Scope{identity.ReadWrite}, Statuses: []identity.Status{identity.Active}, Size: 1})
			return n > 1, err
		},
		Retention: func(ctx context.Context, number uint32) (int, error) {
			list, err := tenant.New(s.db).List(ctx)
			for _, t := range list {
				if t.Number == number {
					return t.RetentionDays, err
				}
			}
			return 0, err
		},
	})
	if err == nil {
		maps.Copy(kinds, s.requests.Kinds())
	}
	return err
}

// places is where a person may appear besides events.
func (s *Server) places() []dsr.Place {
	return []dsr.Place{
		{Name: "alerts", Find: func(ctx context.Context, number uint32, values []string, limit int) (found []dsr.Mention, total int64, err error) {
			seen := map[string]bool{}
			for _, v := range values {
				for a, err := range s.detection.alerts.StreamListed(ctx, number, alert.Filter{Entity: v}) {
					if err != nil {
						return nil, 0, err
					}
					if seen[a.ID] {
						continue
					}
					seen[a.ID] = true
					if len(found) < limit {
						found = append(found, dsr.Mention{ID: a.ID, At: a.CreatedAt})
					}
				}
			}
			return found, int64(len(seen)), nil
		}},
		{Name: "auditLogs", Find: func(ctx context.Context, number uint32, values []string, limit int) (found []dsr.Mention, total int64, err error) {
			for _, v := range values {
				page, n, err := audit.List(ctx, s.db, number, audit.Filter{Actor: v, Size: limit})
				if err != nil {
					return nil, 0, err
				}
				total += n
				for _, e := range page[:min(len(page), limit-len(found))] {
					found = append(found, dsr.Mention{ID: e.ID, At: e.At})
				}
			}
			return found, total, nil
		}},
	}
}

// erased is what building the index again leaves out.
func (s *Server) erased() (func(context.Context, uint32) (func(*event.Event) bool, error), error) {
	sealer, err := s.sealer()
	if err != nil {
		return nil, err
	}
	requests, err := dsr.New(dsr.Config{DB: s.db, Sealer: sealer, Log: s.log})
	if err != nil {
		return nil, err
	}
	return requests.Erased, nil
}
