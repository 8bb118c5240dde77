package dsr

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

// Config is what a Service works with.
type Config struct {
	DB     *sqldb.DB
	Events eventstore.Store
	Sealer *seal.Sealer
	Vault  *vault.Vault // of access packages; nil: none can be made or read
	Log    *slog.Logger
	Now    func() time.Time // time.Now

	// Several tells whether a tenant has more than one key that may write, so that one
	// can approve what another does; nil: none has.
	Several func(ctx context.Context, tenant uint32) (bool, error)
	// Retention is for how many days a tenant's raw archive is kept.
	Retention func(ctx context.Context, tenant uint32) (int, error)
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	key        [seal.KeySize]byte // of the hashes by which identifiers are found
	pseudonyms [seal.KeySize]byte
}

// New returns the use cases.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Service{Config: c}
	var err error
	if s.key, err = c.Sealer.Derive("dsr identifiers"); err != nil {
		return nil, err
	}
	s.pseudonyms, err = c.Sealer.Derive("dsr pseudonyms")
	return s, err
}

// trace is the hash by which a name or an identifier is found.
func (s *Service) trace(tenant uint32, value string) string {
	h := hmac.New(sha256.New, s.key[:])
	fmt.Fprintf(h, "%d\x00%s", tenant, strings.ToLower(strings.TrimSpace(value)))
	return hex.EncodeToString(h.Sum(nil))
}

// A Draft is a request to take in.
type Draft struct {
	Kind       Kind
	Law        Law
	ReceivedOn string // YYYY-MM-DD; "" is today
	Channel    string
	AssignedTo string
	Person
}

const maxNote = 10_000 // characters

func short(field, s string, least, most int) error {
	if n := utf8.RuneCountInString(s); n < least || n > most || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fault.New(fault.Invalid, "Allowed: %d to %d characters", least, most).In(field)
	}
	return nil
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make id: %w", err)
	}
	return id.String(), nil
}

// Create takes a request in.
func (s *Service) Create(ctx context.Context, tenant uint32, actor string, d Draft) (*Detail, error) {
	now := s.Now().UTC()
	set, err := s.Settings(ctx, tenant)
	if err != nil {
		return nil, err
	}
	c, err := set.calendar()
	if err != nil {
		return nil, err
	}
	d.Law = cmp.Or(d.Law, set.Law)
	if d.ReceivedOn == "" {
		d.ReceivedOn = now.In(c.Zone).Format(time.DateOnly)
	}
	day, err := time.Parse(time.DateOnly, d.ReceivedOn)
	switch {
	case !slices.Contains(Kinds, d.Kind):
		return nil, fault.New(fault.Invalid, "Allowed: access, erasure, rectification, restriction, objection, portability").In("kind")
	case !slices.Contains(Laws, d.Law):
		return nil, fault.New(fault.Invalid, "Allowed: GDPR, CCPA, PIPA").In("law")
	case err != nil || day.Year() < 2000:
		return nil, fault.New(fault.Invalid, "Allowed: a day such as 2026-04-22").In("receivedOn")
	case !day.Before(c.end(now.In(c.Zone))):
		return nil, fault.New(fault.Invalid, "Allowed: today or earlier").In("receivedOn")
	}
	if err := errors.Join(short("name", d.Name, 1, 200), short("channel", d.Channel, 0, 100), short("assignedTo", d.AssignedTo, 0, 200), short("note", d.Note, 0, maxNote)); err != nil {
		return nil, firstOf(err)
	}
	if d.Identifiers, err = cleanIdentifiers(d.Identifiers); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	due, err := c.due(d.Law, d.Kind, day, false)
	if err != nil {
		return nil, err
	}
	r := &Request{
		ID: id, Tenant: tenant, Kind: d.Kind, Law: d.Law, Status: Received, Channel: d.Channel, ReceivedOn: d.ReceivedOn,
		DueOn: due.Format(time.DateOnly), DueAt: c.end(due), AckBy: c.acknowledge(d.Law, day), Verification: Unverified, AssignedTo: d.AssignedTo,
		CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if err := s.keep(r, &d.Person); err != nil {
		return nil, err
	}
	var out *Detail
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if err := insert(ctx, tx, r); err != nil {
			return err
		}
		if err := s.leaveTraces(ctx, tx, r, &d.Person); err != nil {
			return err
		}
		if err := s.note(ctx, tx, r, actor, "created", "", string(r.Status), ""); err != nil {
			return err
		}
		// The log is never changed: it names the request, not the person.
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: now, Actor: actor, Action: "dsr.create", Object: id, Detail: map[string]any{"kind": d.Kind, "law": d.Law, "receivedOn": d.ReceivedOn, "dueOn": r.DueOn}}); err != nil {
			return err
		}
		out, err = s.get(ctx, tx, tenant, id)
		return err
	})
	return out, fault.Wrap("take request in", err)
}

func firstOf(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	return err
}

// keep seals the person into r.
func (s *Service) keep(r *Request, p *Person) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	r.sealed = s.Sealer.Seal(r.Tenant, "dsr "+r.ID, text)
	r.Masked = p.masked()
	return nil
}

// Person opens who asked; fault.Conflict where that was minimised.
func (s *Service) person(r *Request) (*Person, error) {
	if len(r.sealed) == 0 {
		return nil, fault.New(fault.Conflict, "who asked was forgotten when the request had been closed for long")
	}
	text, err := s.Sealer.Open(r.Tenant, "dsr "+r.ID, r.sealed)
	if err != nil {
		return nil, err
	}
	p := &Person{}
	return p, json.Unmarshal(text, p)
}

func (s *Service) leaveTraces(ctx context.Context, tx *sqldb.DB, r *Request, p *Person) error {
	macs := map[string]bool{s.trace(r.Tenant, p.Name): true}
	for _, x := range p.Identifiers {
		macs[s.trace(r.Tenant, x.Value)] = true
	}
	for mac := range macs {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO dsr_trace (tenant, mac, request) VALUES ($1, $2, $3)`, int64(r.Tenant), mac, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) note(ctx context.Context, tx *sqldb.DB, r *Request, actor, action, from, to, text string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO dsr_history (id, request, at, actor, action, old_value, new_value, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, r.ID, s.Now().UnixMicro(), actor, action, from, to, text)
	return err
}

// Reveal opens who asked, which the audit log notes.
func (s *Service) Reveal(ctx context.Context, tenant uint32, actor, id string) (*Person, error) {
	var p *Person
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		d, err := s.get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if p, err = s.person(&d.Request); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.Now(), Actor: actor, Action: "dsr.reveal", Object: id})
	})
	return p, fault.Wrap("reveal request", err)
}

// A Patch is a change; nil fields stay as they are.
type Patch struct {
	Status       *Status
	Reason       *string // of a rejection
	Verification *string
	VerifiedHow  *string
	AssignedTo   *string
	Extension    *string // why the term is made longer
	Told         *string // YYYY-MM-DD: when the person was told so
	Acknowledged bool    // receipt was confirmed to the person
	Approve      bool    // an erasure
	Version      int64   // that the caller has seen, 0 for any
}

// Patch changes a request.
func (s *Service) Patch(ctx context.Context, tenant uint32, actor, id string, p Patch) (*Detail, error) {
	var out *Detail
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		d, err := s.get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if p.Version != 0 && p.Version != d.Version {
			return fault.New(fault.Conflict, "the request has changed since").In("version")
		}
		changes, err := s.apply(ctx, tx, &d.Request, actor, &p)
		if err != nil {
			return err
		}
		detail := map[string]any{}
		for _, c := range changes {
			if err := s.note(ctx, tx, &d.Request, actor, c.Action, c.Old, c.New, c.Note); err != nil {
				return err
			}
			detail[c.Action] = map[string]string{"from": c.Old, "to": c.New}
		}
		if len(changes) > 0 {
			if err := update(ctx, tx, &d.Request, s.Now()); err != nil {
				return err
			}
			if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.Now(), Actor: actor, Action: "dsr.update", Object: id, Detail: detail}); err != nil {
				return err
			}
		}
		out, err = s.get(ctx, tx, tenant, id)
		return err
	})
	return out, fault.Wrap("change request", err)
}

// apply changes r and tells what became another.
func (s *Service) apply(ctx context.Context, tx *sqldb.DB, r *Request, actor string, p *Patch) ([]Step, error) {
	var steps []Step
	now := s.Now().UTC()
	if r.Status.Closed() {
		return nil, fault.New(fault.Conflict, "the request is closed: make a new one")
	}
	if p.Verification != nil && *p.Verification != r.Verification {
		how := ""
		if p.VerifiedHow != nil {
			how = *p.VerifiedHow
		}
		switch {
		case !slices.Contains(Verifications, *p.Verification):
			return nil, fault.New(fault.Invalid, "Allowed: %s", strings.Join(Verifications, ", ")).In("verification")
		case *p.Verification == IsVerified && strings.TrimSpace(how) == "":
			return nil, fault.New(fault.Invalid, "say how the person was recognised").In("verifiedHow")
		}
		if err := short("verifiedHow", how, 0, 1000); err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: "verification", Old: r.Verification, New: *p.Verification, Note: how})
		r.Verification, r.VerifiedHow, r.VerifiedBy = *p.Verification, how, actor
		if r.Verification == IsVerified && r.Status == Received && p.Status == nil {
			p.Status = new(Verified)
		}
	}
	if p.AssignedTo != nil && *p.AssignedTo != r.AssignedTo {
		if err := short("assignedTo", *p.AssignedTo, 0, 200); err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: "assignedTo", Old: r.AssignedTo, New: *p.AssignedTo})
		r.AssignedTo = *p.AssignedTo
	}
	if p.Extension != nil && *p.Extension != r.Extension {
		if err := s.extend(ctx, tx, r, p, now); err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: "extended", New: r.DueOn, Note: r.Extension})
	}
	if p.Told != nil && *p.Told != r.ExtensionTold {
		if err := s.told(r, *p.Told, now); err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: "extensionTold", Old: r.ExtensionTold, New: *p.Told})
		r.ExtensionTold = *p.Told
	}
	if p.Acknowledged && r.AckedAt == nil {
		r.AckedAt = &now
		steps = append(steps, Step{Action: "acknowledged"})
	}
	if p.Approve && r.ApprovedBy != actor {
		if r.Kind != Erasure || r.Verification != IsVerified {
			return nil, fault.New(fault.Conflict, "only the erasure that a verified person asked for can be approved")
		}
		steps = append(steps, Step{Action: "approved", Old: r.ApprovedBy, New: actor})
		r.ApprovedBy = actor
	}
	if p.Status != nil && *p.Status != r.Status {
		to := *p.Status
		if err := step(r.Status, to); err != nil {
			return nil, err
		}
		why := ""
		if p.Reason != nil {
			why = strings.TrimSpace(*p.Reason)
		}
		switch {
		case to == Rejected && why == "":
			return nil, fault.New(fault.Invalid, "say why the request is rejected").In("reason")
		case to != Received && to != Rejected && r.Verification != IsVerified:
			return nil, fault.New(fault.Conflict, "verify who the person is first").In("status")
		}
		if err := short("reason", why, 0, maxNote); err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: "status", Old: string(r.Status), New: string(to), Note: why})
		r.Status = to
		if to == Rejected {
			r.Reason = why
		}
		if to.Closed() {
			r.ClosedAt = &now
		}
	}
	return steps, nil
}

func (s *Service) extend(ctx context.Context, tx *sqldb.DB, r *Request, p *Patch, now time.Time) error {
	why := *p.Extension
	switch {
	case r.Law == PIPA && p.Told == nil:
		return fault.New(fault.Invalid, "PIPA asks that the person be told why, and when: give the day").In("extensionToldOn")
	case strings.TrimSpace(why) == "":
		return fault.New(fault.Invalid, "say why the term is made longer").In("extension")
	case r.Extension != "":
		return fault.New(fault.Conflict, "the term was made longer already").In("extension")
	case !now.Before(r.DueAt):
		return fault.New(fault.Conflict, "the term has ended: it could be made longer only before").In("extension")
	}
	if err := short("extension", why, 1, 1000); err != nil {
		return err
	}
	day, err := time.Parse(time.DateOnly, r.ReceivedOn)
	if err != nil {
		return err
	}
	set, err := settings(ctx, tx, r.Tenant)
	if err != nil {
		return err
	}
	c, err := set.calendar()
	if err != nil {
		return err
	}
	due, err := c.due(r.Law, r.Kind, day, true)
	if err != nil {
		return err
	}
	r.Extension, r.DueOn, r.DueAt, r.soonTold = why, due.Format(time.DateOnly), c.end(due), false
	return nil
}

// told refuses days on which the person cannot have been told of the longer term.
func (s *Service) told(r *Request, on string, now time.Time) error {
	day, err := time.Parse(time.DateOnly, on)
	switch {
	case r.Extension == "":
		return fault.New(fault.Conflict, "the term was not made longer").In("extensionToldOn")
	case err != nil || on < r.ReceivedOn || day.After(now.Add(14*time.Hour)): // where the day is ahead of UTC
		return fault.New(fault.Invalid, "Allowed: a day since the request was received, today or earlier").In("extensionToldOn")
	}
	return nil
}

// Comment adds a comment, also to a closed request.
func (s *Service) Comment(ctx context.Context, tenant uint32, actor, id, text string) (*Detail, error) {
	if err := short("content", strings.TrimSpace(text), 1, maxNote); err != nil {
		return nil, err
	}
	var out *Detail
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		d, err := s.get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if err := s.note(ctx, tx, &d.Request, actor, "comment", "", "", text); err != nil {
			return err
		}
		if err := update(ctx, tx, &d.Request, s.Now()); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, audit.Entry{Tenant: tenant, At: s.Now(), Actor: actor, Action: "dsr.comment", Object: id}); err != nil {
			return err
		}
		out, err = s.get(ctx, tx, tenant, id)
		return err
	})
	return out, fault.Wrap("comment request", err)
}
