package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbox"
)

type (
	// NotificationItem is one message for people.
	NotificationItem struct {
		ID        string    `json:"id" format:"uuid"`
		Event     string    `json:"event"`
		Title     string    `json:"title"`
		Severity  string    `json:"severity" enum:"critical,high,medium,low,info"`
		Message   string    `json:"message"`
		Read      bool      `json:"read" doc:"By the reader, which is the API key."`
		Kind      string    `json:"kind" doc:"What it is about: alerts, incidents, collectors and the like."`
		ObjectID  string    `json:"objectId"`
		RuleID    *string   `json:"ruleId" nullable:"true"`
		Source    *string   `json:"source" nullable:"true"`
		CreatedAt time.Time `json:"createdAt"`

		_ struct{} `additionalProperties:"true"`
	}
	notificationOut struct{ Body NotificationItem }
	markIn          struct {
		ID   string `path:"id"`
		Body struct {
			Read bool `json:"read"`
		}
	}
	unreadOut struct {
		Body struct {
			Unread int64 `json:"unread"`

			_ struct{} `additionalProperties:"true"`
		}
	}
	notificationsOut struct {
		Unread int64 `header:"X-Unread-Count"`
		Body   page[NotificationItem]
	}

	wantedItem struct {
		Severity []string `json:"severity" nullable:"false" doc:"Only these; empty means all."`
		Events   []string `json:"events" nullable:"false" doc:"Only these; empty means all."`
	}
	digestItem struct {
		Above   int `json:"above" minimum:"0" maximum:"1000" doc:"Messages within the window after which the rest becomes one; 0: never."`
		Minutes int `json:"minutes" minimum:"1" maximum:"1440" doc:"Length of the window."`
	}
	quietItem struct {
		From     string   `json:"from" example:"22:00"`
		To       string   `json:"to" example:"07:00" doc:"On the next day where it is not after from."`
		TimeZone string   `json:"timeZone" example:"Asia/Seoul"`
		Except   []string `json:"except,omitempty" doc:"Severities that are told all the same."`
	}
	ownItem struct {
		ConnectorID string      `json:"connectorId" format:"uuid" doc:"Of kind smtp."`
		Address     string      `json:"address"`
		Severity    []string    `json:"severity,omitempty" doc:"Only these; all when left out."`
		Events      []string    `json:"events,omitempty" doc:"Only these; all when left out."`
		Digest      *digestItem `json:"digest,omitempty" doc:"20 in 10 minutes when left out."`
		QuietHours  *quietItem  `json:"quietHours,omitempty"`
	}
	preferencesBody struct {
		InApp wantedItem `json:"inApp" doc:"What is listed, counted and streamed."`
		Email *ownItem   `json:"email,omitempty" doc:"Letters to the reader; absent for none."`

		_ struct{} `additionalProperties:"true"`
	}
	preferencesOut struct {
		Revision int64 `header:"X-Revision"`
		Body     preferencesBody
	}
	preferencesIn struct {
		Body struct {
			InApp *struct {
				Severity []string `json:"severity,omitempty"`
				Events   []string `json:"events,omitempty"`
			} `json:"inApp,omitempty"`
			Email *ownItem `json:"email,omitempty"`
		}
	}
)

func reader(c *call) notice.Reader {
	return notice.Reader{Tenant: c.Tenant.Number, ID: c.ID(), Actor: c.Actor}
}

func notificationOf(n *notice.Notice) NotificationItem {
	severity := n.Severity
	if severity == "" {
		severity = "info"
	}
	return NotificationItem{
		ID: n.ID, Event: n.Event, Title: n.Title, Severity: severity, Message: n.Text, Read: n.Read, Kind: n.Kind, ObjectID: n.Object, RuleID: orNull(n.Rule), Source: orNull(n.Source), CreatedAt: n.At,
	}
}

var notificationFilters = []param{
	{name: "severity", doc: "Filter by severity.", kind: enum, values: event.Severities, many: true},
	{name: "event", doc: "Filter by event.", kind: enum, values: outbox.Events, many: true},
	{name: "read", doc: "false: only what the reader has not read.", kind: enum, values: []string{"false"}},
	{name: "objectId", doc: "Filter by what they are about."},
	{name: "search", doc: "Search in the title."},
	{name: "from", doc: "Only those of then or later.", kind: moment},
	{name: "to", doc: "Only those before then.", kind: moment},
	{name: "all", doc: "true: also what the reader's preferences leave out.", kind: enum, values: []string{"true", "false"}},
}

func notificationFilter(q given) notice.Filter {
	return notice.Filter{
		Severity: q.all("severity"), Events: q.all("event"), Unread: q.one("read") == "false", Object: q.one("objectId"), Search: q.one("search"), From: q.moment("from"), To: q.moment("to"), Everything: q.one("all") == "true",
	}
}

func (a *api) notifications() {
	const tag = "Notifications"
	handle(a, operation{
		id: "listNotifications", method: http.MethodGet, path: "/notifications", tag: tag, summary: "List notifications", params: append(paging("createdAt"), notificationFilters...),
		doc: "What happened, as far as the reader's preferences want it. A reader is an API key. The header X-Unread-Count has how many it has not read. Kept for 90 days.",
	}, a.listNotifications)
	handle(a, operation{
		id: "countUnreadNotifications", method: http.MethodGet, path: "/notifications/unread-count", tag: tag, summary: "Count what was not read",
	}, func(ctx context.Context, c *call, _ *none) (*unreadOut, error) { return a.unread(ctx, c) })
	handle(a, operation{
		id: "readAllNotifications", method: http.MethodPost, path: "/notifications/read-all", tag: tag, summary: "Mark everything as read", safe: true,
		doc: "For the reader alone; a read-only key may.",
	}, func(ctx context.Context, c *call, _ *none) (*unreadOut, error) {
		if err := a.Notices.ReadAll(ctx, reader(c)); err != nil {
			return nil, err
		}
		return a.unread(ctx, c)
	})
	handle(a, operation{
		id: "getNotificationPreferences", method: http.MethodGet, path: "/notifications/preferences", tag: tag, summary: "Get the reader's preferences", single: true,
	}, func(ctx context.Context, c *call, _ *none) (*preferencesOut, error) {
		return outOfPreferences(a.Notices.Preferences(ctx, reader(c)))
	})
	handle(a, operation{
		id: "setNotificationPreferences", method: http.MethodPut, path: "/notifications/preferences", tag: tag, summary: "Replace the reader's preferences", single: true,
	}, a.setPreferences)
	handle(a, operation{
		id: "getNotification", method: http.MethodGet, path: "/notifications/{id}", tag: tag, summary: "Get a notification", single: true, uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*notificationOut, error) {
		return outOfNotice(a.Notices.Get(ctx, reader(c), in.ID))
	})
	handle(a, operation{
		id: "markNotification", method: http.MethodPatch, path: "/notifications/{id}", tag: tag, summary: "Mark a notification as read or unread", uuid: true, safe: true,
		doc: "For the reader alone; a read-only key may.",
	}, func(ctx context.Context, c *call, in *markIn) (*notificationOut, error) {
		return outOfNotice(a.Notices.Mark(ctx, reader(c), in.ID, in.Body.Read))
	})
	a.notificationStream(tag)
	a.notificationChannels()
	a.notificationRoutes()
}

func outOfNotice(n *notice.Notice, err error) (*notificationOut, error) {
	if err != nil {
		return nil, err
	}
	return &notificationOut{notificationOf(n)}, nil
}

func (a *api) unread(ctx context.Context, c *call) (*unreadOut, error) {
	n, err := a.Notices.Unread(ctx, reader(c))
	out := &unreadOut{}
	out.Body.Unread = n
	return out, err
}

func (a *api) listNotifications(ctx context.Context, c *call, _ *none) (*notificationsOut, error) {
	asked := c.query.paging("createdAt")
	list, total, unread, err := a.Notices.List(ctx, reader(c), notificationFilter(c.query), asked.ascending, asked.page, asked.size)
	if err != nil {
		return nil, err
	}
	return &notificationsOut{Unread: unread, Body: pageOf(asked, total, list, notificationOf).Body}, nil
}

func outOfPreferences(p *notice.Preferences, err error) (*preferencesOut, error) {
	if err != nil {
		return nil, err
	}
	out := &preferencesOut{Revision: p.Version}
	out.Body.InApp = wantedItem{append([]string{}, p.InApp.Severity...), append([]string{}, p.InApp.Events...)}
	if e := p.Email; e != nil {
		out.Body.Email = &ownItem{ConnectorID: e.ConnectorID, Address: e.Address, Severity: e.Severity, Events: e.Events, Digest: &digestItem{e.Digest.Above, e.Digest.Minutes}, QuietHours: quietOf(e.Quiet)}
	}
	return out, nil
}

func quietOf(q *notice.Quiet) *quietItem {
	if q == nil {
		return nil
	}
	return &quietItem{q.From, q.To, q.Zone, q.Except}
}

func (q *quietItem) quiet() *notice.Quiet {
	if q == nil {
		return nil
	}
	return &notice.Quiet{From: q.From, To: q.To, Zone: q.TimeZone, Except: q.Except}
}

func (a *api) setPreferences(ctx context.Context, c *call, in *preferencesIn) (*preferencesOut, error) {
	p := notice.Preferences{}
	if w := in.Body.InApp; w != nil {
		p.InApp = notice.Wanted{Severity: w.Severity, Events: w.Events}
	}
	if e := in.Body.Email; e != nil {
		p.Email = &notice.Own{Wanted: notice.Wanted{Severity: e.Severity, Events: e.Events}, ConnectorID: e.ConnectorID, Address: e.Address, Quiet: e.QuietHours.quiet()}
		if e.Digest != nil {
			p.Email.Digest = notice.Digest(*e.Digest)
		}
	}
	set, err := a.Notices.SetPreferences(ctx, reader(c), p, c.version)
	if err != nil {
		return nil, c.condition(err)
	}
	return outOfPreferences(set, nil)
}

const (
	streamFor = time.Hour // then the client comes again, with a key that may have been revoked
	beatEvery = 15 * time.Second
)

// notificationStream is not huma's: it never ends by itself.
func (a *api) notificationStream(tag string) {
	op := &operation{
		id: "streamNotifications", method: http.MethodGet, path: "/notifications/stream", tag: tag, summary: "Follow notifications as they come",
		doc: "Server-sent events: event is notification, data the notification as JSON, id a number. With the header Last-Event-ID, which browsers send by themselves, the stream goes on after that one; " +
			"without it with what happens next. A comment comes every 15 seconds. The stream ends after an hour.",
	}
	h := a.describe(op)
	h.Responses = map[string]*huma.Response{"200": {Description: "The stream", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	for _, code := range errorsOf(op) {
		h.Responses[strconv.Itoa(code)] = &huma.Response{}
	}
	a.huma.OpenAPI().AddOperation(&h)
	a.mux.HandleFunc("GET "+base+op.path, func(w http.ResponseWriter, r *http.Request) {
		// What enter hands on hides the connection, which is flushed here.
		a.enter(op, w, r, func(_ http.ResponseWriter, r *http.Request) { a.streamNotifications(w, r) })
	})
}

func (a *api) streamNotifications(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(callKey{}).(*call)
	after := int64(-1)
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			badRequest("Invalid Last-Event-ID", "Allowed: the id of an event of this stream").write(w)
			return
		}
		after = n
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamFor)
	defer cancel()
	stream, err := a.Notices.Follow(ctx, reader(c), after)
	if err != nil {
		problemFor(ctx, a.log, err).write(w)
		return
	}
	defer stream.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(beatEvery)) // not every writer has a connection behind it
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return conn.Flush() == nil
	}
	if !send(": KYRA\nretry: 3000\n\n") {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if !send(": here\n\n") {
				return
			}
		case _, open := <-stream.News():
			if !open || !a.sendNews(ctx, stream, send) {
				return
			}
		}
	}
}

// sendNews hands over what there is; false where the stream is to end.
func (a *api) sendNews(ctx context.Context, stream *notice.Stream, send func(string, ...any) bool) bool {
	for {
		list, more, err := stream.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				a.log.WarnContext(ctx, "stream of notifications ended", "err", err)
			}
			return false
		}
		for i := range list {
			body, err := json.Marshal(notificationOf(&list[i]))
			if err != nil || !send("id: %d\nevent: notification\ndata: %s\n\n", list[i].Seq, body) {
				return false
			}
		}
		if !more {
			return true
		}
	}
}
