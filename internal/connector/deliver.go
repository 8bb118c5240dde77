package connector

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Sink queues messages for the connectors that take them, in the transaction of the outbox.
func (s *Service) Sink(ctx context.Context, tx *sqldb.DB, messages []outbox.Message) error {
	known := map[uint32][]Connector{}
	var queued []webhook.Queued
	for i := range messages {
		m := &messages[i]
		list, ok := known[m.Tenant]
		if !ok {
			var err error
			if list, err = sqldb.All(ctx, tx, scan, selectConnector+` c WHERE tenant = $1 AND kind IN ('http', 'syslog')
				AND EXISTS (SELECT 1 FROM webhook w WHERE w.id = c.id AND w.enabled) ORDER BY id`, int64(m.Tenant)); err != nil {
				return fault.Wrap("find connectors", err)
			}
			known[m.Tenant] = list
		}
		for j := range list {
			if c := &list[j]; c.wants(m) {
				queued = append(queued, webhook.Queued{Receiver: c.ID, Body: s.body(c.Kind, settings(c.Config), m), Message: m})
			}
		}
	}
	return s.hooks.Queue(ctx, tx, queued)
}

func (c *Connector) wants(m *outbox.Message) bool {
	conf := settings(c.Config)
	severity := conf.list("severity")
	return slices.Contains(conf.list("events"), m.Event) && (len(severity) == 0 || m.Severity == "" || slices.Contains(severity, m.Severity))
}

// body is what a connector is sent of a message. That of syslog begins with its priority.
func (s *Service) body(k Kind, c settings, m *outbox.Message) string {
	if k == Syslog {
		return "<" + strconv.Itoa(priority(c.text("facility"), m.Severity)) + ">" + s.Render(webhook.Syslog, m)
	}
	return s.Render(webhook.Full, m)
}

// Deliver makes one attempt at a delivery of the connector's receiver.
func (s *Service) Deliver(ctx context.Context, w *webhook.Webhook, d *webhook.Delivery) webhook.Result {
	begin := s.Now()
	r := webhook.Result{Delivery: d.ID}
	c, err := byID(ctx, s.db, w.Tenant, w.ID)
	var conf settings
	if err == nil {
		conf, err = s.settings(c)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, callFor)
		defer cancel()
		switch c.Kind {
		case HTTP:
			r.Status, r.Answer, r.RetryAfter, err = s.call(ctx, conf, d.ID, d.Body)
			r.Gone = r.Status == http.StatusGone
		case Syslog:
			err = s.sendSyslog(ctx, conf, d.Body)
		case SMTP, Slack, S3, TAXII:
			err = fault.New(fault.Invalid, "connectors of this kind take no messages")
		}
	}
	r.At = s.Now()
	r.Latency = r.At.Sub(begin)
	if r.OK = err == nil; !r.OK {
		r.Error = outbound.Reason(err)
	}
	if c != nil {
		s.Count(c.ID, r.OK, len(d.Body), r.Latency)
	}
	return r
}

// call sends one request to an HTTP target. Every answer but 2xx is an error.
func (s *Service) call(ctx context.Context, c settings, id, body string) (status int, answer string, retry time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, c.text("method"), c.text("url"), strings.NewReader(body))
	if err != nil {
		return 0, "", 0, err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {s.Agent}, "Idempotency-Key": {id}}
	secret := c.text("secret")
	switch c.text("auth") {
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+secret)
	case "basic":
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.text("username")+":"+secret)))
	case "header":
		req.Header.Set(c.text("header"), secret)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, "", 0, err
	}
	defer res.Body.Close()
	const excerpt, drain = 1000, 64 << 10
	b, _ := io.ReadAll(io.LimitReader(res.Body, excerpt)) // the status is the answer
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, drain))
	answer = oneLine(string(b))
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res.StatusCode, answer, 0, nil
	}
	if seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 20); err == nil && (res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable) {
		retry = time.Duration(seconds) * time.Second //nolint:gosec // 20 bits
	}
	return res.StatusCode, answer, retry, refused(res.StatusCode)
}

func refused(status int) error {
	return fault.New(fault.Unavailable, "it answered %s", strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))))
}

// Through returns the configuration of the tenant's connector with its secrets, for a
// channel that sends through it. A disabled one is fault.Unavailable.
func (s *Service) Through(ctx context.Context, tenant uint32, id string) (map[string]any, error) {
	c, err := byID(ctx, s.db, tenant, id)
	if err != nil {
		return nil, fault.Wrap("find connector", err)
	}
	if !c.Enabled {
		return nil, fault.New(fault.Unavailable, "the connector %s is disabled", c.Name)
	}
	return s.settings(c)
}
