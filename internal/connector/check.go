package connector

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Try checks a connector that is not stored: whether it can be reached, and signed in to.
// Nothing is kept. Those that can only be tried by a message get one that says so.
func (s *Service) Try(ctx context.Context, tenant uint32, d Draft) (*Health, error) {
	c, secrets, err := s.draft(tenant, d)
	if err != nil {
		return nil, err
	}
	return s.tried(ctx, c, both(c.Config, secrets))
}

// Test does what Try does with the tenant's stored connector, and keeps what it found.
func (s *Service) Test(ctx context.Context, tenant uint32, id string) (*Health, error) {
	c, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	conf, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	h, err := s.tried(ctx, c, conf)
	if err != nil {
		return nil, err
	}
	return h, s.keepHealth(ctx, c, h)
}

func (s *Service) tried(ctx context.Context, c *Connector, conf settings) (*Health, error) {
	select {
	case s.testing <- struct{}{}:
		defer func() { <-s.testing }()
	default:
		return nil, fault.New(fault.Unavailable, "other connectors are being tested, try again")
	}
	flow := Check{Name: dataFlow, Status: Skipped, Message: "A test looks at none."}
	if c.Kind == TAXII {
		flow.Message = readByFeeds
	}
	return healthOf(s.now(), append(s.probe(ctx, c.Kind, conf, true), flow)), nil
}

// probe looks whether a system can be reached and signed in to. loud says that a message
// may be sent where there is no other way to find out.
func (s *Service) probe(ctx context.Context, k Kind, c settings, loud bool) []Check {
	ctx, cancel := context.WithTimeout(ctx, 2*callFor)
	defer cancel()
	begin := time.Now()
	var reached bool
	var err error
	signs := true // whether there is something to sign in with
	said := ""
	switch k {
	case SMTP:
		var step mail.Step
		step, err = mail.Check(ctx, s.Guard, s.MailServer(c))
		reached, signs = step != mail.Connecting, c.text("username") != ""
	case Slack:
		reached, err = s.probeSlack(ctx, c, loud)
		if !loud {
			said = "Only a message shows whether the address is good: POST …/test sends one."
		}
	case HTTP:
		reached, err = s.probeHTTP(ctx, c, loud)
		signs = c.text("auth") != "none"
		if !loud {
			said = "Only a message shows whether it is let in: POST …/test sends one."
		}
	case Syslog:
		signs = false
		if loud {
			err = s.sendSyslog(ctx, c, s.body(Syslog, c, s.testMessage()))
		} else if conn, failed := s.dial(ctx, c); failed != nil {
			err = failed
		} else {
			err = conn.Close()
		}
		reached = err == nil
	case S3:
		reached, err = s.probeBucket(ctx, c)
	case TAXII:
		reached, err = s.probeTAXII(ctx, c)
		signs = c.text("username") != ""
	}
	took := float64(time.Since(begin).Microseconds()) / 1000
	if !reached {
		return []Check{{connectivity, Failed, outbound.Reason(err), took}, {authentication, Skipped, "It was not reached.", 0}}
	}
	sign := Check{authentication, OK, "", took}
	switch {
	case err != nil:
		sign.Status, sign.Message = Failed, outbound.Reason(err)
	case !signs:
		sign.Status, sign.Message = Skipped, "There is nothing to sign in with."
	case said != "":
		sign.Status, sign.Message = Skipped, said
	}
	return []Check{{connectivity, OK, "", took}, sign}
}

// MailServer is what a connector of kind smtp is, for those who send through it.
func (*Service) MailServer(c map[string]any) mail.Server {
	conf := settings(c)
	return mail.Server{
		Host: conf.text("host"), Port: conf.number("port"), Security: conf.text("security"), Username: conf.text("username"), Password: conf.text("password"), CA: conf.text("ca"),
	}
}

func (s *Service) testMessage() *outbox.Message {
	return &outbox.Message{Event: "connector.test", Kind: "connectors", Object: "test", Title: "Test of a connector", Severity: "info", Text: "This is a test. Nothing happened, and nothing needs to be done.", At: s.now()}
}

// reach tells whether a server answers at all.
func (s *Service) reach(ctx context.Context, method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", s.Agent)
	return s.client.Do(req)
}

func (s *Service) probeSlack(ctx context.Context, c settings, loud bool) (reached bool, err error) {
	if !loud {
		return s.answers(ctx, c.text("url"))
	}
	status, _, _, err := s.call(ctx, settings{"method": "POST", "url": c.text("url")}, "test", s.Render(webhook.Slack, s.testMessage()))
	return status != 0, err
}

func (s *Service) probeHTTP(ctx context.Context, c settings, loud bool) (reached bool, err error) {
	if !loud {
		return s.answers(ctx, c.text("url"))
	}
	status, _, _, err := s.call(ctx, c, "test", s.body(HTTP, c, s.testMessage()))
	return status != 0, err
}

// answers asks with a method that changes nothing; whatever comes back shows that it is there.
func (s *Service) answers(ctx context.Context, url string) (bool, error) {
	res, err := s.reach(ctx, http.MethodHead, url)
	if err != nil {
		return false, err
	}
	return true, res.Body.Close()
}

func (s *Service) probeBucket(ctx context.Context, c settings) (reached bool, err error) {
	client, err := s.bucket(c)
	if err != nil {
		return false, err
	}
	there, err := client.BucketExists(ctx, c.text("bucket"))
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return true, fault.New(fault.Unavailable, "it answered: %s", oneLine(answer.Message))
	}
	if err == nil && !there {
		return true, fault.New(fault.Invalid, "there is no bucket of that name")
	}
	return err == nil, err
}

// probeTAXII reads the collections of an API root (TAXII 2.1, 5.1).
func (s *Service) probeTAXII(ctx context.Context, c settings) (reached bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.text("url"), "/")+"/collections/", http.NoBody)
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", s.Agent)
	req.Header.Set("Accept", "application/taxii+json;version=2.1")
	if c.text("username") != "" {
		req.SetBasicAuth(c.text("username"), c.text("password"))
	}
	res, err := s.client.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return true, refused(res.StatusCode)
	}
	var got struct {
		Collections []struct {
			ID      string `json:"id"`
			CanRead bool   `json:"can_read"`
		} `json:"collections"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&got); err != nil {
		return true, fault.New(fault.Unavailable, "the answer is no list of TAXII collections: is the address that of an API root?")
	}
	for _, one := range got.Collections {
		if one.CanRead && (c.text("collection") == "" || c.text("collection") == one.ID) {
			return true, nil
		}
	}
	if c.text("collection") != "" {
		return true, fault.New(fault.Invalid, "there is no readable collection of that id")
	}
	return true, fault.New(fault.Invalid, "there is no readable collection")
}
