package notify

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// tellChannel makes one attempt at telling a notification channel.
func (n *Notifier) tellChannel(ctx context.Context, w *webhook.Webhook, d *webhook.Delivery) webhook.Result {
	begin := n.now()
	t, err := n.Notices.Target(ctx, w.Tenant, w.ID)
	var conf map[string]any
	if err == nil && t.ConnectorID != "" {
		conf, err = n.Connectors.Through(ctx, w.Tenant, t.ConnectorID)
	}
	var r webhook.Result
	switch {
	case err != nil:
	case t.Kind == notice.Email:
		err = n.mail(ctx, t, conf, d)
	case conf != nil:
		address, _ := conf["url"].(string)
		r = n.call(ctx, address, nil, d)
	default:
		r = n.call(ctx, t.URL, nil, d)
	}
	if r.Delivery == "" {
		r = webhook.Result{Delivery: d.ID, At: n.now(), OK: err == nil}
		r.Latency = r.At.Sub(begin)
		if err != nil {
			r.Error = outbound.Reason(err)
		}
	}
	if conf != nil {
		n.Connectors.Count(t.ConnectorID, r.OK, len(d.Body), r.Latency)
	}
	return r
}

// A letter is the body of a delivery by mail.
type letter struct {
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	At      time.Time `json:"at"`
}

func (n *Notifier) mail(ctx context.Context, t *notice.Target, conf map[string]any, d *webhook.Delivery) error {
	var l letter
	if err := json.Unmarshal([]byte(d.Body), &l); err != nil {
		return err
	}
	from, _ := conf["from"].(string)
	name, _ := conf["fromName"].(string)
	at := strings.LastIndexByte(from, '@')
	if at < 0 {
		return errors.New("the connector has no address to send from")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*n.Timeout)
	defer cancel()
	_, err := mail.Send(ctx, n.Guard, n.Connectors.MailServer(conf), &mail.Letter{
		ID: d.ID + from[at:], From: from, FromName: name, To: t.To, Subject: l.Subject, Text: l.Text, HTML: l.HTML, At: l.At, Agent: n.agent,
	})
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid {
		return fault.New(fault.Unavailable, "%s", f.Message)
	}
	return err
}

// letterOf words a message as mail, the same in plain text and in HTML.
func letterOf(m *outbox.Message, link string) letter {
	subject := "[KYRA] " + what(m.Event) + " (" + severityOf(m) + "): " + cut(m.Title, 150)
	if m.Event == notice.DigestEvent {
		subject = "[KYRA] " + cut(m.Title, 150)
	}
	list := facts(m)
	var b strings.Builder
	b.WriteString(m.Title + "\n\n")
	if m.Text != "" {
		b.WriteString(m.Text + "\n\n")
	}
	for _, f := range list {
		b.WriteString(f[0] + ": " + f[1] + "\n")
	}
	b.WriteString("\n" + link + "\n")
	var h strings.Builder
	if err := page.Execute(&h, map[string]any{
		"What": what(m.Event), "Title": m.Title, "Severity": severityOf(m), "Color": template.CSS(hexColor(severityOf(m))), "Lines": strings.Split(m.Text, "\n"), "Facts": list, "Link": link, //nolint:gosec // a colour of our own
	}); err != nil {
		panic(err) // the template knows its data
	}
	return letter{Subject: subject, Text: b.String(), HTML: h.String(), At: m.At.UTC()}
}

var page = template.Must(template.New("letter").Parse(`<!DOCTYPE html>
<html><body style="margin:0;padding:24px;background:#f4f5f7;font:15px/1.5 system-ui,sans-serif;color:#212529">
<table role="presentation" width="100%" style="max-width:640px;margin:auto;background:#fff;border-top:4px solid {{.Color}};border-collapse:collapse"><tr><td style="padding:24px">
<p style="margin:0;color:#5c636a">{{.What}} · {{.Severity}}</p>
<h1 style="margin:4px 0 16px;font-size:19px">{{.Title}}</h1>
{{range .Lines}}{{if .}}<p style="margin:0 0 6px">{{.}}</p>
{{end}}{{end}}<table role="presentation" style="margin-top:16px;font-size:13px">{{range .Facts}}
<tr><td style="padding:2px 16px 2px 0;color:#5c636a">{{index . 0}}</td><td>{{index . 1}}</td></tr>{{end}}
</table>
<p style="margin:20px 0 0"><a href="{{.Link}}">Open in KYRA</a></p>
</td></tr></table></body></html>
`))
