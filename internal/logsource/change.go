package logsource

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Patch changes how silence of a source is told. nil leaves a thing as it is.
type Patch struct {
	Muted       *bool
	SilentAfter *time.Duration // 0: as learned
	Version     int64          // that the change is made on, 0 for any
}

// What SilentAfter may be.
const (
	MinSilentAfter = time.Minute
	MaxSilentAfter = 30 * 24 * time.Hour
)

// Patch changes a source and returns it as it then is.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Source, error) {
	if p.Muted == nil && p.SilentAfter == nil {
		return nil, fault.New(fault.Invalid, "Give at least one of muted, silentAfter")
	}
	if a := p.SilentAfter; a != nil && *a != 0 && (*a < MinSilentAfter || *a > MaxSilentAfter) {
		return nil, fault.New(fault.Invalid, "Allowed: %d to %d seconds, or 0 for what was learned", int(MinSilentAfter.Seconds()), int(MaxSilentAfter.Seconds())).In("silentAfter")
	}
	err := s.change(ctx, tenant, id, p.Version, func(e *entry) error {
		if e.others {
			return fault.New(fault.Conflict, "it stands for many sources, whose silence is not watched")
		}
		if p.Muted != nil {
			e.muted = *p.Muted
		}
		if p.SilentAfter != nil {
			e.silentAfter = int64(p.SilentAfter.Seconds())
		}
		return nil
	}, func(tx *sqldb.DB, e *entry) error {
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "log_source.update", Object: id,
			Detail: map[string]any{"source": e.key.source, "host": e.host, "muted": e.muted, "silentAfter": e.silentAfter},
		})
	})
	if err != nil {
		return nil, wrap("change log source", err)
	}
	return s.Get(ctx, tenant, id)
}

// change lets f change a copy of the entry, writes that with what also does, and then
// makes the entry so.
func (s *Service) change(ctx context.Context, tenant uint32, id string, version int64, f func(*entry) error, also func(*sqldb.DB, *entry) error) error {
	s.saving.Lock() // no flush in between
	defer s.saving.Unlock()
	o := s.observer
	o.mu.Lock()
	e := o.byID[tenant][id]
	if e == nil {
		o.mu.Unlock()
		return unknown()
	}
	changed := *e
	changed.proposals = slices.Clone(e.proposals)
	r, err := e.row(true)
	o.mu.Unlock()
	if err != nil {
		return err
	}
	if version != 0 && version != changed.version {
		return fault.New(fault.Conflict, "it has changed since: read it again").In("version")
	}
	if err := f(&changed); err != nil {
		return err
	}
	changed.version++
	if err := s.write(ctx, []row{r}); err != nil { // it may not be there yet
		return err
	}
	err = s.db.Tx(ctx, func(tx *sqldb.DB) error {
		if err := also(tx, &changed); err != nil {
			return err
		}
		x, err := changed.row(false)
		if err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `UPDATE log_source SET muted = $1, silent_after = $2, proposals = $3, version = $4 WHERE tenant = $5 AND id = $6`,
			changed.muted, changed.silentAfter, x.proposals, changed.version, int64(tenant), id)
		return err
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	e.muted, e.silentAfter, e.proposals, e.version = changed.muted, changed.silentAfter, changed.proposals, changed.version
	return nil
}

// Accept makes a proposed time zone a setting and returns the source.
func (s *Service) Accept(ctx context.Context, tenant uint32, actor, id string, number int) (*Source, error) {
	err := s.decide(ctx, tenant, actor, id, number, func(tx *sqldb.DB, e *entry, p *Proposal) error {
		if p.Kind != ZoneProposal {
			return fault.New(fault.Conflict, "no setting mends a clock: set the host's by NTP, then this goes away by itself, or dismiss it")
		}
		if e.host == "" {
			return fault.New(fault.Conflict, "the source has no host that a setting could name: make one by POST /log-source-settings")
		}
		d := Definition{Source: e.key.source, Host: e.host, TimeZone: p.Zone}
		x, err := s.create(ctx, tx, tenant, actor, Draft{Name: cut(fmt.Sprintf("Time zone of %s on %s", e.key.source, e.host)), Priority: 100, Enabled: true, Definition: d})
		if err != nil {
			return err
		}
		p.State, p.Setting = IsAccepted, x.ID
		return nil
	})
	if err != nil {
		return nil, wrap("accept proposal", err)
	}
	s.refresh(ctx)
	return s.Get(ctx, tenant, id)
}

// Dismiss keeps a proposal from being made again and returns the source.
func (s *Service) Dismiss(ctx context.Context, tenant uint32, actor, id string, number int) (*Source, error) {
	err := s.decide(ctx, tenant, actor, id, number, func(_ *sqldb.DB, _ *entry, p *Proposal) error {
		p.State = IsDismissed
		return nil
	})
	if err != nil {
		return nil, wrap("dismiss proposal", err)
	}
	return s.Get(ctx, tenant, id)
}

func (s *Service) decide(ctx context.Context, tenant uint32, actor, id string, number int, f func(*sqldb.DB, *entry, *Proposal) error) error {
	var at int
	return s.change(ctx, tenant, id, 0, func(e *entry) error {
		if at = slices.IndexFunc(e.proposals, func(p Proposal) bool { return p.Number == number }); at < 0 {
			return fault.New(fault.NotFound, "no such proposal")
		}
		if e.proposals[at].State != IsOpen {
			return fault.New(fault.Conflict, "it is %s already", e.proposals[at].State)
		}
		return nil
	}, func(tx *sqldb.DB, e *entry) error {
		p := &e.proposals[at]
		if err := f(tx, e, p); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Tenant: tenant, At: s.options.Now(), Actor: actor, Action: "log_source.proposal", Object: id,
			Detail: map[string]any{"source": e.key.source, "host": e.host, "proposal": p.Kind, "zone": p.Zone, "state": p.State},
		})
	})
}

func cut(s string) string {
	if r := []rune(s); len(r) > maxName {
		return string(r[:maxName])
	}
	return s
}
