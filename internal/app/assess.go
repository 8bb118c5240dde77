package app

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/assess"
	"github.com/kyra-mdr/kyra/internal/compliance"
	"github.com/kyra-mdr/kyra/internal/job"
)

// openAssessment adds the kind of jobs that evaluates checks. What the assessor looks at is
// opened later: equipAssessment hands it over.
func (s *Server) openAssessment(kinds map[string]job.Kind, now func() time.Time) {
	d := &s.detection
	s.proof.assessor = assess.New(assess.Config{
		DB: s.db, Compliance: s.proof.service, Log: s.log, Now: now, Tenants: s.tenants.numbers,
		Events: s.store, Rules: d.rules, Blind: d.sights.Health, Problems: d.rulesets.Problems, Coverage: d.workbench.Coverage,
		Archived: s.archive.Oldest, Platform: s.platform, SignIn: s.signInPolicy,
		Save: s.proof.evidence.Save,
	})
	maps.Copy(kinds, s.proof.assessor.Kinds())
}

// equipAssessment needs log sources.
func (s *Server) equipAssessment() {
	s.proof.assessor.Logs = s.logs
}

// collectEvidence starts the job that evaluates what is selected.
func (s *Server) collectEvidence(ctx context.Context, tenant uint32, actor string, selection compliance.Selection) (*job.Job, error) {
	return s.detection.jobs.Start(ctx, tenant, actor, assess.Draft(selection))
}

// Assess evaluates every check of the default tenant now, which else happens as they fall
// due.
func (s *Server) Assess(ctx context.Context) (*assess.Summary, error) {
	return s.proof.assessor.Collect(ctx, s.owner, compliance.Selection{}, nil)
}

// signInPolicy describes to checks how people of a tenant sign in.
func (s *Server) signInPolicy(ctx context.Context, number uint32) (*assess.SignInPolicy, error) {
	policy, err := s.accounts.PolicyOf(ctx, number)
	if err != nil {
		return nil, err
	}
	return &assess.SignInPolicy{
		Password: assess.PasswordPolicy{MinLength: account.MinPassword, Complexity: policy.Kinds, History: policy.History, BlockCommon: true},
		Sessions: assess.SessionPolicy{MaxAttempts: policy.LockAttempts, Lock: policy.Lock(), Idle: policy.Idle},
	}, nil
}

// platform describes the installation to checks.
func (s *Server) platform(ctx context.Context) (*assess.Platform, error) {
	every, err := s.cfg.Canary.Interval()
	if err != nil {
		return nil, fmt.Errorf("canary.every: %w", err)
	}
	p := &assess.Platform{Version: Version(), CanaryEvery: every, DiskFree: s.disk.free.Load()}
	if p.DiskTotal, err = totalBytes(s.folder.path); err != nil {
		s.log.WarnContext(ctx, "the size of the disk is not known", "err", err)
	}
	if p.Listeners, p.Certificates, err = s.listeners(); err != nil {
		return nil, err
	}
	p.Stores = s.placesOfData()
	if s.cfg.Seal.Key == "" {
		info, err := os.Stat(s.folder.in("seal-key"))
		if err != nil {
			return nil, fmt.Errorf("look at the key that seals secrets: %w", err)
		}
		p.Keys = append(p.Keys, assess.Key{Name: "key that seals secrets and signs heads of the audit log", Since: info.ModTime().UTC()})
	}
	return p, nil
}

// listeners are the doors that are open, and the certificates that they show.
func (s *Server) listeners() (doors []assess.Listener, shown []assess.Certificate, err error) {
	expires := map[string]*time.Time{}
	for name, file := range map[string]string{"api": s.cfg.TLS.Cert, "syslog": s.cfg.Syslog.Cert} {
		if file == "" {
			continue
		}
		at, err := expiryOf(file)
		if err != nil {
			return nil, nil, err
		}
		expires[name] = &at
		shown = append(shown, assess.Certificate{Name: name, Expires: at})
	}
	door := func(name string, a net.Addr, secure bool, certificate string) {
		if a == nil {
			return
		}
		l := assess.Listener{Name: name, Address: a.String(), Local: local(a.String())}
		if secure {
			l.TLS, l.Expires = "1.2", expires[certificate]
		}
		doors = append(doors, l)
	}
	door("api", s.listener.Addr(), s.cfg.TLS.Cert != "", "api")
	doors[0].Behind = doors[0].Local && strings.HasPrefix(strings.ToLower(s.cfg.PublicURL), "https://")
	if s.agents.extra != nil {
		door("collectors", s.agents.extra.Collectors().Addr(), true, "")
		doors[len(doors)-1].TLS = "1.3"
	}
	door("syslog udp", s.syslog.UDPAddr(), false, "")
	door("syslog tcp", s.syslog.TCPAddr(), false, "")
	door("syslog tls", s.syslog.TLSAddr(), true, "syslog")
	for name, address := range map[string]string{"relp": s.cfg.Syslog.RELP, "gelf udp": s.cfg.GELF.UDP, "gelf tcp": s.cfg.GELF.TCP} {
		if address != "" {
			doors = append(doors, assess.Listener{Name: name, Address: address, Local: local(address)})
		}
	}
	if address := s.cfg.Syslog.RELPTLS; address != "" {
		doors = append(doors, assess.Listener{Name: "relp tls", Address: address, Local: local(address), TLS: "1.2", Expires: expires["syslog"]})
	}
	return doors, shown, nil
}

// local tells whether an address is reachable from this machine alone.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// expiryOf reads until when the first certificate of a PEM file holds.
func expiryOf(file string) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, fmt.Errorf("read certificate: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, fmt.Errorf("read certificate %s: %w", file, err)
		}
		return c.NotAfter.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%s holds no certificate", file)
}

// placesOfData tells where data lies, and whether the disk there is encrypted.
func (s *Server) placesOfData() []assess.Store {
	encrypted, how := encryptedDisk(s.folder.path)
	stores := []assess.Store{
		{Name: "queue", Primary: true, Encrypted: encrypted, How: how},
		{Name: "raw archive", Primary: true, Encrypted: encrypted, How: how},
		{Name: "files", Primary: true, Encrypted: encrypted, How: how},
	}
	const elsewhere = "on other machines, which this server cannot see"
	index := assess.Store{Name: "index of events", Primary: true, Encrypted: encrypted, How: how}
	if len(s.cfg.EventStore.Nodes) > 0 {
		index.Encrypted, index.How = false, elsewhere
	}
	control := assess.Store{Name: "control database", Primary: true, Encrypted: encrypted, How: how}
	if s.cfg.Database.URL != "" {
		control.Encrypted, control.How = false, elsewhere
	}
	if s.cfg.Queue.URL != "" {
		stores[0].Encrypted, stores[0].How = false, elsewhere
	}
	return append(stores, index, control)
}
