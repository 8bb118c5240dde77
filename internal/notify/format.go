package notify

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Renderer returns the function that words messages for receivers, with links under
// publicURL, which it asks for each time.
func Renderer(publicURL func() string) func(webhook.Format, *outbox.Message) string {
	return func(f webhook.Format, m *outbox.Message) string {
		link := Link(publicURL)(m.Kind, m.Object)
		if m.Event == notice.DigestEvent {
			link = strings.TrimSuffix(publicURL(), "/") + "/notifications"
		}
		switch f {
		case webhook.Mail:
			return encode(letterOf(m, link))
		case webhook.Syslog:
			return connector.SyslogLine(m, link)
		case webhook.Full:
			return encode(fullPayload{m.Event, m.At.UTC().Format(time.RFC3339), fullData{payloadData{m.Object, m.Title, severityOf(m), link}, m.Kind, m.Text, m.Rule, m.Source}})
		case webhook.Standard:
		case webhook.Slack:
			return encode(slackBody(m, link))
		case webhook.Teams:
			return encode(teamsBody(m, link))
		case webhook.Discord:
			return encode(discordBody(m, link))
		}
		return encode(payload{m.Event, m.At.UTC().Format(time.RFC3339), payloadData{m.Object, m.Title, severityOf(m), link}})
	}
}

// Link returns the function that says where the console shows an object.
func Link(publicURL func() string) func(kind, object string) string {
	return func(kind, object string) string {
		return strings.TrimSuffix(publicURL(), "/") + "/" + kind + "/" + object
	}
}

// fullPayload is the documented body with everything else that is known.
type fullPayload struct {
	Event     string   `json:"event"`
	Timestamp string   `json:"timestamp"`
	Data      fullData `json:"data"`
}

type fullData struct {
	payloadData
	Kind   string `json:"kind"`
	Text   string `json:"text,omitempty"`
	RuleID string `json:"ruleId,omitempty"`
	Source string `json:"source,omitempty"`
}

// payload is the documented body, key by key.
type payload struct {
	Event     string      `json:"event"`
	Timestamp string      `json:"timestamp"`
	Data      payloadData `json:"data"`
}

type payloadData struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	URL      string `json:"url"`
}

func severityOf(m *outbox.Message) string {
	if m.Severity == "" {
		return "info"
	}
	return m.Severity
}

// encode leaves <, > and & as they are: the receivers' own escapes stand in the text.
func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // texts and numbers always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// what is an event in words.
func what(event string) string {
	switch event {
	case outbox.AlertCreated:
		return "New alert"
	case outbox.AlertUpdated:
		return "Alert updated"
	case outbox.IncidentCreated:
		return "New incident"
	case outbox.IncidentUpdated:
		return "Incident updated"
	case outbox.CollectorDisconnected:
		return "Collector went offline"
	case outbox.CollectorConnected:
		return "Collector is online"
	case outbox.WebhookDisabled:
		return "Webhook disabled"
	case outbox.IncidentOverdue:
		return "Incident overdue"
	case outbox.Canary:
		return "Way of the events"
	case outbox.ChannelDisabled:
		return "Notification channel disabled"
	case outbox.ConnectorDisabled:
		return "Connector disabled"
	case outbox.ConnectorUnhealthy:
		return "Connector"
	case notice.DigestEvent:
		return "Digest"
	case TestEvent, ChannelTestEvent:
		return "Test"
	}
	return event
}

// color is the severity's, as 0xRRGGBB.
func color(severity string) int {
	switch severity {
	case "critical":
		return 0xc92a2a
	case "high":
		return 0xe8590c
	case "medium":
		return 0xf59f00
	case "low":
		return 0x1c7ed6
	}
	return 0x868e96
}

// cut bounds a text to n characters: chats refuse longer ones.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

type object = map[string]any

// facts are what every receiver is told beside title and text, in order.
func facts(m *outbox.Message) [][2]string {
	list := [][2]string{{"Event", m.Event}, {"Severity", severityOf(m)}}
	if m.Source != "" {
		list = append(list, [2]string{"Source", m.Source})
	}
	return append(list, [2]string{"Time", m.At.UTC().Format(time.RFC3339)}, [2]string{"ID", m.Object})
}

const maxChat = 2000 // characters of a text in a chat

// slackBody is an incoming webhook's message. Slack's own marks in titles and texts are
// escaped, so that a log line cannot address everybody or show another link.
func slackBody(m *outbox.Message, link string) object {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var fields []object
	for _, f := range facts(m) {
		fields = append(fields, object{"title": f[0], "value": escape(f[1]), "short": f[0] != "ID"})
	}
	return object{
		"text": what(m.Event) + " (" + severityOf(m) + "): " + escape(cut(m.Title, 300)),
		"attachments": []object{{
			"color": hexColor(severityOf(m)), "title": escape(cut(m.Title, 300)), "title_link": link, "text": escape(cut(m.Text, maxChat)), "fields": fields, "footer": "KYRA", "ts": m.At.Unix(),
			"mrkdwn_in": []string{},
		}},
	}
}

func hexColor(severity string) string {
	const digits = "0123456789abcdef"
	n := color(severity)
	out := []byte("#000000")
	for i := 6; i > 0; i-- {
		out[i] = digits[n&15]
		n >>= 4
	}
	return string(out)
}

// discordBody is an execute-webhook call. Nobody is mentioned, whatever stands in the text.
func discordBody(m *outbox.Message, link string) object {
	var fields []object
	for _, f := range facts(m) {
		fields = append(fields, object{"name": f[0], "value": cut(f[1], 1000), "inline": f[0] != "ID"})
	}
	return object{
		"content": "", "allowed_mentions": object{"parse": []string{}},
		"embeds": []object{{
			"author": object{"name": what(m.Event)}, "title": cut(markdown(m.Title), 250), "url": link, "description": cut(markdown(m.Text), maxChat), "color": color(severityOf(m)),
			"timestamp": m.At.UTC().Format(time.RFC3339), "fields": fields, "footer": object{"text": "KYRA"},
		}},
	}
}

// teamsBody is an adaptive card, which both Teams' workflows and its older connectors take.
func teamsBody(m *outbox.Message, link string) object {
	var list []object
	for _, f := range facts(m) {
		list = append(list, object{"title": f[0], "value": markdown(f[1])})
	}
	tone := "default"
	switch severityOf(m) {
	case "critical", "high":
		tone = "attention"
	case "medium":
		tone = "warning"
	}
	body := []object{
		{"type": "TextBlock", "text": what(m.Event), "isSubtle": true, "spacing": "none"},
		{"type": "TextBlock", "text": markdown(cut(m.Title, 300)), "weight": "bolder", "size": "medium", "wrap": true, "color": tone},
	}
	if m.Text != "" {
		body = append(body, object{"type": "TextBlock", "text": markdown(cut(m.Text, maxChat)), "wrap": true})
	}
	return object{
		"type": "message",
		"attachments": []object{{
			"contentType": "application/vnd.microsoft.card.adaptive",
			"content": object{
				"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "msteams": object{"width": "Full"},
				"body":    append(body, object{"type": "FactSet", "facts": list}),
				"actions": []object{{"type": "Action.OpenUrl", "title": "Open in KYRA", "url": link}},
			},
		}},
	}
}

// markdown takes away the meaning of what chats would show as links or emphasis.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "~", `\~`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "@", "@\u200b").Replace(s)
}
