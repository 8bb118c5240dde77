package exposure

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Check is what a name showed when it was looked at.
type Check struct {
	Addresses   []string     `json:"addresses"`
	Aliases     []string     `json:"aliases"` // CNAME records, in order
	Error       string       `json:"error"`   // why it could not be resolved, "" where it could
	Dangling    string       `json:"dangling"`
	Certificate *Certificate `json:"certificate"` // nil: there is none
	TLSError    string       `json:"tlsError"`    // why there is none
	HTTP        *HTTP        `json:"http"`        // nil: no answer
	HTTPError   string       `json:"httpError"`
}

// A Certificate is what a server showed.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"` // at most 100
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Problem   string    `json:"problem"` // why a browser would refuse it, "" where it would not
	Version   string    `json:"version"` // of TLS
}

// HTTP is the answer to GET /.
type HTTP struct {
	Status   int               `json:"status"`
	Title    string            `json:"title"`
	Location string            `json:"location"`
	Headers  map[string]string `json:"headers"` // those of notedHeaders that are there
}

// notedHeaders tell of the server and of how it guards its visitors.
var notedHeaders = []string{"Server", "X-Powered-By", "Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options"}

// Kind is the kind of job that checks a domain; Params are what it is given.
const Kind = "domain-check"

// Params names the domain to check.
type Params struct {
	Domain string `json:"domain"` // id
}

const (
	connectTime  = 5 * time.Second
	answerTime   = 10 * time.Second
	maxPage      = 256 << 10 // bytes that are read
	maxTitle     = 300       // characters
	maxHeader    = 500       // characters
	expiringDays = 21
)

// CheckedNames is what a check found in all.
type CheckedNames struct {
	Checked  int `json:"checked"`
	Resolved int `json:"resolved"`
	Problems int `json:"problems"` // names with something wrong
	Dangling int `json:"dangling"`
}

// CheckDomain tells whether active checks may begin now.
func (s *Service) CheckDomain(ctx context.Context, tenant uint32, id string) (*Domain, error) {
	d, err := s.Domain(ctx, tenant, id)
	switch {
	case err != nil:
		return nil, err
	case d.VerifiedAt == nil:
		return nil, fault.New(fault.Conflict, "%s is not verified: set its DNS record and call POST /domains/{id}/verify first", d.Name)
	case !d.ActiveChecks:
		return nil, fault.New(fault.Conflict, "active checks of %s are off: switch them on with PATCH /domains/{id} {\"activeChecks\": true}", d.Name)
	case s.Guard == nil:
		return nil, fault.New(fault.Unavailable, "this server makes no active checks")
	}
	return d, nil
}

// Work is the job: it proves the domain anew, then looks at one name after the other.
func (s *Service) Work(ctx context.Context, t *job.Task) (any, error) {
	var p Params
	if err := t.Read(&p); err != nil {
		return nil, err
	}
	d, err := s.CheckDomain(ctx, t.Tenant, p.Domain)
	if err != nil {
		return nil, err
	}
	if d, err = s.VerifyDomain(ctx, t.Tenant, t.Actor, d.ID); err != nil {
		return nil, err // whose domain it is may have changed
	}
	if _, err := sqldb.Exec(ctx, s.DB, `UPDATE exposure_domain SET checked_at = $1 WHERE id = $2`, s.now().UnixMicro(), d.ID); err != nil {
		return nil, err
	}
	names, err := sqldb.All(ctx, s.DB, scanName, selectName+` WHERE n.tenant = $1 AND n.domain = $2 AND n.state <> 'ignored' ORDER BY n.last_seen DESC, n.id LIMIT $3`, int64(t.Tenant), d.ID, maxChecked)
	if err != nil {
		return nil, err
	}
	var out CheckedNames
	pause := time.NewTicker(s.Pause)
	defer pause.Stop()
	for i := range names {
		t.Progress(int64(i), int64(len(names)), names[i].Name)
		if i > 0 {
			select {
			case <-pause.C:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		c := s.look(ctx, names[i].Name)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.keep(ctx, d, &names[i], c, &out); err != nil {
			return nil, err
		}
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		return audit.Record(ctx, tx, audit.Entry{Tenant: t.Tenant, At: s.now(), Actor: t.Actor, Action: "domain.check", Object: d.ID, Detail: map[string]any{"name": d.Name, "found": out}})
	})
	return out, err
}

const maxChecked = 2000 // names of a domain, the ones seen last first

// look asks DNS, TLS and HTTP about a name.
func (s *Service) look(ctx context.Context, name string) *Check {
	c := &Check{}
	r, err := s.resolve(ctx, name)
	c.Addresses, c.Aliases = r.addresses, r.aliases
	if err != nil {
		c.Error = outbound.Reason(err)
		return c
	}
	page := ""
	if !r.missing {
		page = s.lookTLS(ctx, name, r.addresses, c)
	}
	c.Dangling = r.dangling(page)
	return c
}

// lookTLS shakes hands with the name's server and asks for its page on the same
// connection, whatever the certificate is worth: that is what it is to be told.
func (s *Service) lookTLS(ctx context.Context, name string, addresses []string, c *Check) (page string) {
	ctx, cancel := context.WithTimeout(ctx, connectTime+answerTime)
	defer cancel()
	dialer := s.Guard().Dialer(connectTime)
	var conn net.Conn
	var err error
	for i, a := range addresses {
		if conn, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(a, s.HTTPS)); err == nil || i == 1 {
			break
		}
	}
	if err != nil || conn == nil {
		c.TLSError = outbound.Reason(err)
		return ""
	}
	defer func() { _ = conn.Close() }()                                                                                   // what it said is read
	secure := tls.Client(conn, &tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: true}) //nolint:gosec // nothing is sent that matters; verified below to tell of it
	if err := secure.HandshakeContext(ctx); err != nil {
		c.TLSError = outbound.Reason(err)
		return ""
	}
	state := secure.ConnectionState()
	c.Certificate = certificateOf(&state, name, s.now())
	if deadline, ok := ctx.Deadline(); ok {
		_ = secure.SetDeadline(deadline)
	}
	c.HTTP, page, err = get(ctx, secure, name)
	if err != nil {
		c.HTTPError = outbound.Reason(err)
	}
	return page
}

func certificateOf(state *tls.ConnectionState, name string, now time.Time) *Certificate {
	leaf := state.PeerCertificates[0]
	c := &Certificate{
		Subject: clip(leaf.Subject.String(), maxHeader), Issuer: clip(leaf.Issuer.String(), maxHeader), NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(), Names: []string{},
		Version: tls.VersionName(state.Version),
	}
	for _, n := range leaf.DNSNames[:min(len(leaf.DNSNames), 100)] {
		c.Names = append(c.Names, clip(n, maxName))
	}
	others := x509.NewCertPool()
	for _, p := range state.PeerCertificates[1:] {
		others.AddCert(p)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Intermediates: others, CurrentTime: now}); err != nil {
		c.Problem = clip(err.Error(), maxHeader)
	}
	return c
}

// get asks for / once and follows nothing.
func get(ctx context.Context, conn net.Conn, name string) (*HTTP, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/", http.NoBody)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("User-Agent", "KYRA exposure check")
	r.Close = true
	if err := r.Write(conn); err != nil {
		return nil, "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxPage+64<<10)), r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if len(page) > 0 {
		err = nil // a page that ends early is one still
	}
	h := &HTTP{Status: res.StatusCode, Location: clip(res.Header.Get("Location"), maxHeader), Title: titleOf(page), Headers: map[string]string{}}
	for _, key := range notedHeaders {
		if v := res.Header.Get(key); v != "" {
			h.Headers[key] = clip(v, maxHeader)
		}
	}
	return h, string(page), err
}

// titleOf returns the title of a page, "" where it has none.
func titleOf(page []byte) string {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken:
			if tag, _ := z.TagName(); string(tag) == "title" {
				if z.Next() == html.TextToken {
					return clip(strings.Join(strings.Fields(string(z.Text())), " "), maxTitle)
				}
				return ""
			}
		default:
		}
	}
}

// clip makes a foreign text storable and cuts it to n characters.
func clip(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return s
}

// wrong says in short what a check found, "" for nothing.
func (c *Check) wrong(now time.Time) string {
	var all []string
	if c.Dangling != "" {
		all = append(all, "dangling")
	}
	if x := c.Certificate; x != nil {
		switch left := x.NotAfter.Sub(now); {
		case left <= 0:
			all = append(all, "certificate expired")
		case left < expiringDays*24*time.Hour:
			all = append(all, fmt.Sprintf("certificate expires in %d days", int(left.Hours()/24)))
		case x.Problem != "":
			all = append(all, "certificate not trusted")
		}
	}
	return strings.Join(all, ", ")
}

// keep writes what a check found, what the certificate told of other names, and an alert
// where a name has begun to dangle.
func (s *Service) keep(ctx context.Context, d *Domain, n *Name, c *Check, out *CheckedNames) error {
	now := s.now()
	found := c.wrong(now)
	out.Checked++
	if len(c.Addresses) > 0 {
		out.Resolved++
	}
	if found != "" {
		out.Problems++
	}
	if c.Dangling != "" {
		out.Dangling++
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	err = s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE exposure_name SET found = $1, checked = $2, checked_at = $3 WHERE id = $4`, found, string(text), now.UnixMicro(), n.ID); err != nil {
			return err
		}
		if c.Dangling == "" || n.Checked != nil && n.Checked.Dangling != "" || s.Record == nil {
			return nil
		}
		return s.Record(ctx, tx, now, []alert.Finding{{
			Tenant: d.Tenant, Title: "Host name may be taken over", Severity: "high", Source: "kyra", Tactic: "resource-development", Technique: "T1584.001",
			Rule:        alert.RuleRef{ID: RuleDangling, Name: "Host name may be taken over", Author: "KYRA", Origin: "builtin", Version: 1},
			Description: n.Name + ": " + c.Dangling + ". Remove the DNS record, or take the place it leads to.",
			Key:         "domain=" + n.Name, Entities: []alert.Entity{{Type: "domain", Field: event.Domain, Value: n.Name}}, First: now.UnixNano(), Last: now.UnixNano(), Count: 1,
		}})
	})
	if err != nil {
		return fault.Wrap("keep check", err)
	}
	return s.learn(ctx, d, n, c, now)
}

// learn takes note of names that the certificate tells, and that this one is there.
func (s *Service) learn(ctx context.Context, d *Domain, n *Name, c *Check, now time.Time) error {
	at := now.UnixMicro()
	seen := map[string]bool{n.Name: true}
	var all []evidence
	if len(c.Addresses) > 0 {
		all = append(all, evidence{n.Name, at, at, fromCheck, c.Addresses})
	}
	if c.Certificate != nil {
		for _, text := range c.Certificate.Names {
			if name, ok := Normal(text); ok && under(name, d.Name) && !seen[name] {
				seen[name] = true
				all = append(all, evidence{name: name, first: at, last: at, sources: fromCertificate})
			}
		}
	}
	return s.absorb(ctx, d.Tenant, all)
}
