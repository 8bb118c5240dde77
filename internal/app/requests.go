package app

import (
	"context"
	"maps"
	"time"

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
		DB: s.db, Events: s.store, Sealer: sealer, Vault: files, Log: s.log, Now: now,
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
