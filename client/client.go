// Package client is the Go client of KYRA's REST API: it sends logs and reads
// alerts, incidents and events. It speaks HTTP to a server and holds no state but
// its connection. It is the only package that other modules may import.
//
//	c, err := client.New("https://kyra.example", key, client.Options{})
//	n, err := c.Send(ctx, "linux", file, nil)
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options are the settings of a Client. The zero value is ready to use.
type Options struct {
	HTTP      *http.Client  // default: one with a time-out of two minutes for each request
	UserAgent string        // default "kyra-client"
	Patience  time.Duration // how long to try again without any progress; default 2 min
	BatchSize int           // bytes of logs in one request, before compression; default 1 MiB
}

// A Client calls one server with one key. Its methods may be called concurrently.
type Client struct {
	base    string
	key     string
	options Options
	first   time.Duration // see firstPause
}

// New returns a Client of the server at base, such as "http://127.0.0.1:8080".
func New(base, key string, options Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("server address %q: want http://HOST:PORT or https://HOST", base)
	}
	if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, errors.New("the key holds characters that no key has")
	}
	options.HTTP = cmp.Or(options.HTTP, &http.Client{Timeout: 2 * time.Minute})
	options.UserAgent = cmp.Or(options.UserAgent, "kyra-client")
	options.Patience = cmp.Or(options.Patience, 2*time.Minute)
	options.BatchSize = cmp.Or(options.BatchSize, 1<<20)
	path := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api/v1")
	return &Client{base: u.Scheme + "://" + u.Host + path + "/api/v1", key: key, options: options, first: firstPause}, nil
}

// An Error is an answer of the server that is not a success.
type Error struct {
	Status  int    `json:"status"`
	Title   string `json:"error"`   // what is wrong
	Message string `json:"message"` // what is allowed, or what to do

	RetryAfter time.Duration `json:"-"` // when to try again, if the server says so
	body       []byte
}

func (e *Error) Error() string {
	text := e.Title
	if e.Message != "" {
		text += ": " + e.Message
	}
	hint := ""
	switch e.Status {
	case http.StatusUnauthorized:
		hint = "; check the key, or make one with `kyra key create`"
	case http.StatusForbidden:
		hint = "; this needs a read-write key"
	case http.StatusNotFound:
		hint = "; check the server's address"
	}
	return fmt.Sprintf("server answered %d %s%s", e.Status, cmp.Or(text, http.StatusText(e.Status)), hint)
}

// temporary reports whether the same request may succeed later.
func (e *Error) temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway,
		http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return false
}

// request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	body         []byte
	contentType  string
	encoding     string
}

// once makes a call. An answer that is no success is an *Error. A *[]byte takes the
// answer as it is.
func (c *Client) once(ctx context.Context, r request, into any) error {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.options.UserAgent)
	req.Header.Set("Accept", "application/json")
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.encoding != "" {
		req.Header.Set("Content-Encoding", r.encoding)
	}
	resp, err := c.options.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		problem := &Error{body: data}
		if json.Unmarshal(data, problem) != nil {
			problem.Title = "" // no answer of the API: a proxy's page, perhaps
		}
		problem.Status = resp.StatusCode
		problem.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
		return problem
	}
	if file, ok := into.(*[]byte); ok {
		*file = data
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read answer of %s: %w", address, err)
	}
	return nil
}

// call makes a call that may be repeated, until it succeeds or the error stays.
func (c *Client) call(ctx context.Context, r request, into any) error {
	wait := c.newBackoff()
	for {
		err := c.once(ctx, r, into)
		if err == nil {
			return nil
		}
		if err := wait.after(ctx, err); err != nil {
			return err
		}
	}
}

// A backoff paces tries: as the server says, else ever slower, always a bit
// scattered, so that many clients do not come back at once.
type backoff struct {
	patience time.Duration
	reached  bool      // the server has answered before
	since    time.Time // of the last progress
	first    time.Duration
	pause    time.Duration
}

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 15 * time.Second

	// unreached is the patience with a server that never answered: its address is
	// wrong, more often than not.
	unreached = 10 * time.Second
)

func (c *Client) newBackoff() *backoff {
	return &backoff{patience: c.options.Patience, since: time.Now(), first: c.first, pause: c.first}
}

// progress starts the patience anew.
func (b *backoff) progress() { b.reached, b.since, b.pause = true, time.Now(), b.first }

// after waits before the next try after err. It returns err if there should be none.
func (b *backoff) after(ctx context.Context, err error) error {
	pause, patience := b.pause, b.patience
	b.pause = min(2*b.pause, maxPause)
	if problem, ok := errors.AsType[*Error](err); ok {
		if !problem.temporary() {
			return err
		}
		b.reached = true
		pause = max(problem.RetryAfter, pause)
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	} else if !b.reached {
		patience = min(patience, unreached)
	}
	if ctx.Err() != nil {
		return err
	}
	pause += rand.N(pause/4 + 1)
	if time.Since(b.since)+pause > patience {
		return fmt.Errorf("no progress for %v: %w", time.Since(b.since).Round(time.Second), err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), err)
	}
}

// retryAfter reads the header: seconds or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
