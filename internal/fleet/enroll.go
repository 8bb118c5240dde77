package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/collector/protocol"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/source"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// An Application is a machine that asks to be let in.
type Application struct {
	Token   string // as CreateToken returned it, or its secret alone
	Request string // PEM certificate request for a key that was made on the machine
	Machine
}

// A Machine is where a collector runs, by its own word.
type Machine struct{ Hostname, OSFamily, Version string }

func (m *Machine) trim() {
	m.Hostname, m.OSFamily, m.Version = brief(m.Hostname, 253), brief(strings.ToLower(m.OSFamily), 32), brief(m.Version, 64)
}

// A Grant is a certificate for a collector.
type Grant struct {
	ID          string // of the collector
	Certificate string // PEM
	Authority   string // PEM
	NotAfter    time.Time
}

// again is how long who used a token may ask for its answer once more: with the
// same key only, so that nobody else can.
const again = time.Hour

// Enroll lets a collector in. Every refusal of the token is the same
// fault.Unauthenticated.
func (s *Service) Enroll(ctx context.Context, a Application) (Grant, error) {
	refused := fault.New(fault.Unauthenticated, "the enrolment token is unknown, used, expired or revoked: make a new one")
	secret := a.Token
	if strings.HasPrefix(secret, protocol.TokenPrefix) {
		t, err := protocol.ParseToken(secret)
		if err != nil || t.CA != s.Authority.Fingerprint() {
			return Grant{}, refused
		}
		secret = t.Secret
	}
	key, err := requestedKey(a.Request)
	if err != nil {
		return Grant{}, err
	}
	used, err := keyDigest(key)
	if err != nil {
		return Grant{}, err
	}
	a.trim()
	if a.Hostname == "" {
		return Grant{}, fault.New(fault.Invalid, "Allowed: the machine's name").In("hostname")
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		return Grant{}, fmt.Errorf("enrol a collector: %w", err)
	}
	now := s.moment()
	var certificate *x509.Certificate
	id := ""
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		t, err := sqldb.One(ctx, tx, scanToken, tokenColumns+` WHERE digest = $1`, digestOf(secret))
		if errors.Is(err, fault.NotFound) {
			return refused
		}
		if err != nil {
			return err
		}
		if t.UsedAt != nil && t.usedKey == used && now.Sub(*t.UsedAt) < again {
			id = t.UsedBy
			certificate, err = s.reissue(ctx, tx, id, key, "collector.enroll", now)
			return err
		}
		if t.Status(now) != "open" {
			return refused
		}
		id = fresh.String()
		n, err := sqldb.Exec(ctx, tx, `
			UPDATE fleet_token SET used_at = $1, used_by = $2, used_key = $3 WHERE id = $4 AND used_at IS NULL AND revoked_at IS NULL`,
			now.UnixMicro(), id, used, t.ID)
		if err != nil {
			return err
		}
		if n != 1 {
			return refused
		}
		certificate, err = s.admitNew(ctx, tx, &t, id, key, &a.Machine, now)
		return err
	})
	if err != nil {
		return Grant{}, fmt.Errorf("enrol a collector: %w", err)
	}
	return s.grant(id, certificate), nil
}

func (s *Service) grant(id string, c *x509.Certificate) Grant {
	return Grant{ID: id, Certificate: certificatePEM(c.Raw), Authority: s.Authority.PEM(), NotAfter: c.NotAfter}
}

// admitNew makes the collector that a token let in.
func (s *Service) admitNew(ctx context.Context, tx *sqldb.DB, t *Token, id string, key *ecdsa.PublicKey, m *Machine, now time.Time) (*x509.Certificate, error) {
	certificate, err := s.Authority.signCollector(id, key)
	if err != nil {
		return nil, err
	}
	labels, err := labelsText(t.Labels)
	if err != nil {
		return nil, err
	}
	if _, err := sqldb.Exec(ctx, tx, `
		INSERT INTO fleet_member (id, tenant, name, labels, enrolled_at, serial, not_after) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, int64(t.Tenant), t.Name, labels, now.UnixMicro(), serialText(certificate), certificate.NotAfter.UnixMicro()); err != nil {
		return nil, err
	}
	if err := s.Sources.Heartbeat(ctx, tx, source.Beat{
		Tenant: t.Tenant, ID: id, Name: id, Hostname: m.Hostname, Version: m.Version, OSFamily: m.OSFamily,
	}); err != nil {
		return nil, err
	}
	return certificate, audit.Record(ctx, tx, audit.Entry{
		Tenant: t.Tenant, At: now, Actor: actorOf(t.Name), Action: "collector.enroll", Object: id,
		Detail: map[string]any{"name": t.Name, "hostname": m.Hostname, "token": t.ID, "serial": serialText(certificate)},
	})
}

// Renew gives a collector a new certificate, in good time before its old one ends.
func (s *Service) Renew(ctx context.Context, c Caller, request string) (Grant, error) {
	key, err := requestedKey(request)
	if err != nil {
		return Grant{}, err
	}
	var certificate *x509.Certificate
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		certificate, err = s.reissue(ctx, tx, c.ID, key, "collector.renew", s.moment())
		return err
	})
	if err != nil {
		return Grant{}, fmt.Errorf("renew a collector's certificate: %w", err)
	}
	return s.grant(c.ID, certificate), nil
}

// reissue signs another certificate for a collector that is in.
func (s *Service) reissue(ctx context.Context, tx *sqldb.DB, id string, key *ecdsa.PublicKey, action string, now time.Time) (*x509.Certificate, error) {
	m, err := sqldb.One(ctx, tx, scanMember, memberColumns+` WHERE m.id = $1`, id)
	if errors.Is(err, fault.NotFound) {
		return nil, errUnknown()
	}
	if err != nil {
		return nil, err
	}
	if m.RevokedAt != nil {
		return nil, errRevoked()
	}
	certificate, err := s.Authority.signCollector(id, key)
	if err != nil {
		return nil, err
	}
	if _, err := sqldb.Exec(ctx, tx, `UPDATE fleet_member SET serial = $1, not_after = $2 WHERE id = $3`,
		serialText(certificate), certificate.NotAfter.UnixMicro(), id); err != nil {
		return nil, err
	}
	return certificate, audit.Record(ctx, tx, audit.Entry{
		Tenant: m.Tenant, At: now, Actor: actorOf(m.Name), Action: action, Object: id,
		Detail: map[string]any{"serial": serialText(certificate), "replaces": m.Serial},
	})
}

func serialText(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

func actorOf(name string) string { return "collector:" + name }

// brief makes a foreign text fit for a column: valid, without control characters,
// of at most n bytes.
func brief(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.TrimSpace(s)
}
