package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
)

// An Export asks for everything that a list holds.
type Export struct {
	Resource string // such as "alerts"
	Format   string // "csv" or "json"
	Filters  url.Values
}

// Export copies the answer to w and returns how many bytes there were. An answer that
// ends early is an error: what w got is then only a part.
func (c *Client) Export(ctx context.Context, e Export, w io.Writer) (int64, error) {
	q := url.Values{"format": {e.Format}}
	maps.Copy(q, e.Filters)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/export/"+url.PathEscape(e.Resource)+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.options.UserAgent)
	h := *c.options.HTTP
	h.Timeout = 0 // a list may be long; ctx ends it
	resp, err := h.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		problem := &Error{}
		data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil || json.Unmarshal(data, problem) != nil {
			problem.Title = ""
		}
		problem.Status = resp.StatusCode
		problem.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
		return 0, problem
	}
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fmt.Errorf("the answer ended early after %d bytes: %w", n, err)
	}
	return n, nil
}

// Total returns how many elements the list at path, such as "/alerts", has.
func (c *Client) Total(ctx context.Context, path string, filters url.Values) (int64, error) {
	q := url.Values{"size": {"1"}}
	maps.Copy(q, filters)
	var p Page[json.RawMessage]
	err := c.call(ctx, request{method: http.MethodGet, path: path, query: q}, &p)
	return p.TotalElements, err
}
