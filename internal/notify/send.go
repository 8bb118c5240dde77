package notify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

const (
	maxExcerpt = 1000     // bytes of an answer that the log keeps
	maxDrain   = 64 << 10 // bytes of an answer that are read, so that its connection serves again
)

// attempt sends one delivery and tells what became of it.
func (n *Notifier) attempt(ctx context.Context, w *webhook.Webhook, keys [][]byte, d *webhook.Delivery) webhook.Result {
	switch w.Owner {
	case webhook.OfConnector:
		return n.Connectors.Deliver(ctx, w, d)
	case webhook.OfChannel:
		return n.tellChannel(ctx, w, d)
	case webhook.Alone:
	}
	return n.call(ctx, w.URL, keys, d)
}

// call posts a delivery to an address.
func (n *Notifier) call(ctx context.Context, url string, keys [][]byte, d *webhook.Delivery) webhook.Result {
	begin := n.now()
	r := webhook.Result{Delivery: d.ID}
	status, header, answer, err := n.post(ctx, url, keys, d, begin)
	r.At = n.now()
	r.Latency = r.At.Sub(begin)
	r.Status, r.Answer = status, answer
	switch {
	case err != nil:
		r.Error = outbound.Reason(err)
	case status >= 200 && status < 300:
		r.OK = true
	case status == http.StatusGone:
		r.Gone, r.Error = true, "the receiver answered 410 Gone"
	case status >= 300 && status < 400:
		r.Error = fmt.Sprintf("the receiver redirects (%d): set the address that it really has", status)
	default:
		r.Error = strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status)))
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		r.RetryAfter = retryAfter(header.Get("Retry-After"), r.At)
	}
	return r
}

func (n *Notifier) post(ctx context.Context, url string, keys [][]byte, d *webhook.Delivery, at time.Time) (status int, header http.Header, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(d.Body))
	if err != nil {
		return 0, nil, "", err
	}
	req.Header = requestHeader(n.agent, d.ID, at)
	if len(keys) > 0 {
		req.Header[headerSignature] = []string{sign(keys, d.ID, at, d.Body)}
	}
	res, err := n.client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	// The status is the answer; a body that ends early or never changes nothing.
	excerpt, _ := io.ReadAll(io.LimitReader(res.Body, maxExcerpt))
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain))
	return res.StatusCode, res.Header, printable(excerpt), nil
}

// requestHeader is what a delivery is sent with, but for its signature. The names are
// spelt as Standard Webhooks does.
func requestHeader(agent, id string, at time.Time) http.Header {
	return http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {agent}, headerID: {id}, headerTimestamp: {strconv.FormatInt(at.Unix(), 10)},
	}
}

// printable makes foreign bytes storable text.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), "\uFFFD"))
}

// retryAfter reads the header in both of its forms (RFC 9110 10.2.3); 0 for none.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(strings.TrimSpace(header), 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
