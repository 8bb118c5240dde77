package webhook

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

func sortBy(list []Webhook, q Query) {
	slices.SortFunc(list, func(a, b Webhook) int {
		n := 0
		if q.ByName {
			n = strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		}
		n = cmp.Or(n, strings.Compare(a.ID, b.ID))
		if !q.Ascending {
			n = -n
		}
		return n
	})
}

// A Patch is a change of a webhook; nil fields stay as they are.
type Patch struct {
	Name, URL *string
	Format    *Format // "": by the host
	Events    []string
	Filters   *Filters
	Enabled   *bool // true lets it start anew: what it failed at is forgotten

	// Version is the Webhook.Version that the change was made on; 0 for any. Another
	// one is fault.Conflict in field "version".
	Version int64
}

// Change changes the tenant's webhook and returns it as it then is. One that is disabled
// gets nothing more: what was pending for it is given up, and can be replayed.
func (s *Service) Change(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Webhook, error) {
	var w *Webhook
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if w, err = s.byID(ctx, tx, tenant, id); err != nil {
			return err
		}
		if p.Version != 0 && p.Version != w.Version {
			return fault.New(fault.Conflict, "the webhook was changed meanwhile: it is at version %d", w.Version).In("version")
		}
		before, was := describe(w), w.Enabled
		address := w.URL
		if err := s.apply(w, p); err != nil {
			return err
		}
		if err := nameFree(ctx, tx, w); err != nil {
			return err
		}
		w.Version++
		w.UpdatedAt = s.now()
		if w.Enabled && (!was || address != w.URL) {
			w.Failures, w.FailingSince, w.NotBefore, w.LastError = 0, nil, time.UnixMicro(0).UTC(), ""
		}
		if w.Enabled || was {
			w.DisabledReason = ""
		}
		if address != w.URL {
			w.stored = s.seal(w)
		}
		events, filters := encode(w)
		if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET name = $2, url = $3, format = $4, events = $5, filters = $6, enabled = $7, disabled_reason = $8, failures = $9,
			failing_since = $10, not_before = $11, last_error = $12, version = $13, updated_at = $14 WHERE id = $1`,
			w.ID, w.Name, w.stored, string(w.Format), events, filters, w.Enabled, w.DisabledReason, w.Failures,
			sqldb.Nullable(w.FailingSince), w.NotBefore.UnixMicro(), w.LastError, w.Version, w.UpdatedAt.UnixMicro()); err != nil {
			return err
		}
		if was && !w.Enabled {
			if err := giveUp(ctx, tx, w.ID, "the webhook was disabled"); err != nil {
				return err
			}
		}
		detail := map[string]any{"from": before, "to": describe(w)}
		if address != w.URL {
			detail["url"] = "changed"
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: w.UpdatedAt, Actor: actor, Action: "webhook.update", Object: w.ID, Detail: detail})
	})
	if err != nil {
		return nil, fault.Wrap("change webhook", taken(err))
	}
	return w, nil
}

func (s *Service) apply(w *Webhook, p Patch) error {
	if p.Name == nil && p.URL == nil && p.Format == nil && p.Events == nil && p.Filters == nil && p.Enabled == nil {
		return fault.New(fault.Invalid, "Give at least one of name, url, format, events, filters, enabled")
	}
	var err error
	if p.Name != nil {
		if w.Name, err = checkName(*p.Name); err != nil {
			return err
		}
	}
	if p.Events != nil {
		if w.Events, err = checkEvents(p.Events); err != nil {
			return err
		}
	}
	if p.Filters != nil {
		if err := p.Filters.check(); err != nil {
			return err
		}
		w.Filters = *p.Filters
	}
	if p.Enabled != nil {
		w.Enabled = *p.Enabled
	}
	if p.URL != nil {
		// A format that was found by the host is found anew.
		if u, err := url.Parse(w.URL); err == nil && w.Format == FormatOf(u.Hostname()) {
			w.Format = ""
		}
		w.URL = *p.URL
	}
	if p.Format != nil {
		w.Format = *p.Format
	}
	if p.URL != nil || p.Format != nil {
		return s.checkTarget(w)
	}
	return nil
}

// giveUp ends what is pending for a webhook.
func giveUp(ctx context.Context, tx *sqldb.DB, id, why string) error {
	_, err := sqldb.Exec(ctx, tx, `UPDATE webhook_delivery SET state = 'FAILED', error = $2 WHERE webhook_id = $1 AND state = 'PENDING'`, id, why)
	return err
}

// Delete removes the webhook and its log.
func (s *Service) Delete(ctx context.Context, tenant uint32, actor, id string) error {
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		w, err := s.byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM webhook_delivery WHERE webhook_id = $1`, `DELETE FROM webhook WHERE id = $1`} {
			if _, err := sqldb.Exec(ctx, tx, q, w.ID); err != nil {
				return err
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.now(), Actor: actor, Action: "webhook.delete", Object: w.ID, Detail: describe(w)})
	})
	return fault.Wrap("delete webhook", err)
}

// MaxGrace is how long at most the secret before a rotation signs too.
const MaxGrace = 7 * 24 * time.Hour

// Rotate gives the webhook a new secret and returns it; the one before signs too for
// the time of grace, from 0 to MaxGrace.
func (s *Service) Rotate(ctx context.Context, tenant uint32, actor, id string, grace time.Duration) (*Webhook, Secret, error) {
	if grace < 0 || grace > MaxGrace {
		return nil, "", fault.New(fault.Invalid, "Allowed: 0 to %d", int(MaxGrace.Hours())).In("graceHours")
	}
	secret := newSecret()
	var w *Webhook
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		var err error
		if w, err = s.byID(ctx, tx, tenant, id); err != nil {
			return err
		}
		w.UpdatedAt = s.now()
		w.Version++
		until := w.UpdatedAt.Add(grace)
		w.oldSecret, w.OldSecretUntil = w.secret, &until
		if grace == 0 {
			w.oldSecret, w.OldSecretUntil = nil, nil
		}
		w.secret = s.Sealer.Seal(tenant, purpose(w.ID), []byte(secret))
		if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET secret = $2, old_secret = $3, old_until = $4, version = $5, updated_at = $6 WHERE id = $1`,
			w.ID, w.secret, w.oldSecret, sqldb.Nullable(w.OldSecretUntil), w.Version, w.UpdatedAt.UnixMicro()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: w.UpdatedAt, Actor: actor, Action: "webhook.rotateSecret", Object: w.ID, Detail: map[string]any{"graceHours": grace.Hours()}})
	})
	if err != nil {
		return nil, "", fault.Wrap("rotate secret of webhook", err)
	}
	return w, secret, nil
}

// disable ends a receiver that KYRA gives up on, and has that told.
func (s *Service) disable(ctx context.Context, tx *sqldb.DB, w *Webhook, now time.Time, why string) error {
	w.Enabled, w.DisabledReason = false, why
	if _, err := sqldb.Exec(ctx, tx, `UPDATE webhook SET enabled = $2, disabled_reason = $3 WHERE id = $1`, w.ID, false, why); err != nil {
		return err
	}
	words := w.Owner.words()
	if err := giveUp(ctx, tx, w.ID, words.lower+" was disabled: "+why); err != nil {
		return err
	}
	if err := outbox.Add(ctx, tx, outbox.Message{
		Tenant: w.Tenant, Event: words.event, Kind: words.kind, Object: w.ID, Title: words.title + " " + w.Name + " was disabled", Severity: "medium", Text: why, At: now,
	}); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{Tenant: w.Tenant, At: now, Actor: audit.System, Action: words.noun + ".disable", Object: w.ID, Detail: map[string]any{"name": w.Name, "reason": why}})
}
