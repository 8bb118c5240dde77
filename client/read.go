package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// A Page is a part of a list.
type Page[T any] struct {
	Content       []T   `json:"content"`
	TotalElements int64 `json:"totalElements"`
	TotalPages    int64 `json:"totalPages"`
	Number        int   `json:"number"`
	Size          int   `json:"size"`
}

// An Alert is an item of the alert list.
type Alert struct {
	ID             string    `json:"id"`
	Title          string    `json:"title"`
	Severity       string    `json:"severity"` // critical, high, medium, low, info
	Status         string    `json:"status"`   // OPEN, IN_PROGRESS, RESOLVED, FALSE_POSITIVE
	Source         string    `json:"source"`
	MitreTactic    string    `json:"mitreTactic"`
	MitreTechnique string    `json:"mitreTechnique"`
	CreatedAt      time.Time `json:"createdAt"`
	Description    string    `json:"description"`
}

// An Incident is an item of the incident list.
type Incident struct {
	ID             string    `json:"id"`
	Title          string    `json:"title"`
	Severity       string    `json:"severity"`
	Status         string    `json:"status"` // OPEN, CONTAINED, ERADICATED, RECOVERED, CLOSED
	AlertCount     int64     `json:"alertCount"`
	CreatedAt      time.Time `json:"createdAt"`
	AssignedTo     *string   `json:"assignedTo"` // nil when nobody is
	MitreTactic    string    `json:"mitreTactic"`
	MitreTechnique string    `json:"mitreTechnique"`
}

// A Query asks for events. The zero time means the server's default, the last 24 hours.
type Query struct {
	Query string    // such as "program:sshd AND user:root"
	From  time.Time // inclusive
	To    time.Time // exclusive
	Limit int       // events to return, 0 for the server's default of 50
}

// Events is the answer to a Query.
type Events struct {
	Events    []Event `json:"events"` // newest first
	Total     int64   `json:"total"`  // all that match, exactly
	Histogram []struct {
		Time      time.Time        `json:"time"`
		Count     int64            `json:"count"`
		Breakdown map[string]int64 `json:"breakdown"` // by severity
	} `json:"histogram"`
	QueryTime int64 `json:"queryTime"` // milliseconds
}

// An Event is one stored log record.
type Event struct {
	ID        string         `json:"id"`
	Timestamp time.Time      `json:"timestamp"`
	Source    string         `json:"source"`
	Host      string         `json:"host"`
	Severity  string         `json:"severity"`
	Message   string         `json:"message"`
	Fields    map[string]any `json:"fields"`
}

// Alerts lists alerts. filter holds the API's parameters: severity, status,
// search, page, size, sort, direction and others; nil lists the newest.
func (c *Client) Alerts(ctx context.Context, filter url.Values) (*Page[Alert], error) {
	return list[Alert](ctx, c, "/alerts", filter)
}

// Incidents lists incidents, as Alerts does.
func (c *Client) Incidents(ctx context.Context, filter url.Values) (*Page[Incident], error) {
	return list[Incident](ctx, c, "/incidents", filter)
}

func list[T any](ctx context.Context, c *Client, path string, filter url.Values) (*Page[T], error) {
	var page Page[T]
	if err := c.call(ctx, request{method: http.MethodGet, path: path, query: filter}, &page); err != nil {
		return nil, fmt.Errorf("list %s: %w", path[1:], err)
	}
	return &page, nil
}

// Search finds events.
func (c *Client) Search(ctx context.Context, q Query) (*Events, error) {
	body := map[string]any{"query": q.Query}
	if !q.From.IsZero() {
		body["fromTime"] = q.From.UTC().Format(time.RFC3339Nano)
	}
	if !q.To.IsZero() {
		body["toTime"] = q.To.UTC().Format(time.RFC3339Nano)
	}
	if q.Limit > 0 {
		body["limit"] = q.Limit
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode query: %w", err)
	}
	var events Events
	if err := c.call(ctx, request{method: http.MethodPost, path: "/siem/search", body: data, contentType: "application/json"}, &events); err != nil {
		return nil, fmt.Errorf("search events: %w", err)
	}
	return &events, nil
}
