package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/demo"
)

// feedIndicators makes the feed of the demo and uploads its file, before anything is
// replayed.
func feedIndicators(ctx context.Context, s *app.Server) error {
	const feeds = "/api/v1/threat-intel-feeds"
	made, err := demoPost(ctx, s, feeds, "application/json", []byte(`{"name":"Demo feed","format":"csv","columns":{"value":"value","confidence":"confidence","severity":"severity","tags":"tags","description":"description"}}`))
	if err != nil {
		return err
	}
	var feed struct{ ID string }
	if err := json.Unmarshal(made, &feed); err != nil {
		return fmt.Errorf("make the demo's feed: %w", err)
	}
	if _, err := demoPost(ctx, s, feeds+"/"+feed.ID+"/upload", "text/csv", demo.Indicators); err != nil {
		return err
	}
	return s.RefreshIndicators(ctx)
}

// demoPost sends a body to the demo's own server and returns what it answers.
func demoPost(ctx context.Context, s *app.Server, path, media string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.FirstKey)
	r.Header.Set("Content-Type", media)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fill the demo: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("fill the demo: %s answers %s: %s", path, res.Status, strings.TrimSpace(string(answer)))
	}
	return answer, err
}
