package notify

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
)

// A Letter to one person about their account: a link that works once.
type Letter struct {
	ID       string // of the letter, without a domain
	To, Name string
	Tenant   string // its name
	By       string // who asked for it
	Link     string
	Reset    bool   // for another password, not an invitation
	Language string // en, ko or ja
	Ends     time.Duration
	At       time.Time
}

// words of such a letter: %s in order.
type words struct{ subject, hello, why, button, ends, ignore string }

// Their placeholders are replaced as text, then escaped: names come from anybody.
var invitation = map[string][2]words{
	"en": {
		{"{by} invites you to KYRA", "Hello {name},", "{by} invites you to work in {tenant} with KYRA.", "Accept the invitation", "The link works once and for {days} days.", "If you do not expect this letter, do nothing."},
		{"Another password for KYRA", "Hello {name},", "{by} has asked for a link by which you set another password for KYRA ({tenant}).", "Set another password", "The link works once and for a day.", "If you do not expect this letter, tell your Admin and do nothing."},
	},
	"ko": {
		{"{by}님이 KYRA에 초대했습니다", "{name}님, 안녕하세요.", "{by}님이 {tenant}의 KYRA에 초대했습니다.", "초대 수락", "링크는 한 번만 쓸 수 있으며 {days}일 동안 유효합니다.", "예상하지 못한 메일이라면 아무것도 하지 마세요."},
		{"KYRA 비밀번호 재설정", "{name}님, 안녕하세요.", "{by}님이 KYRA({tenant}) 비밀번호를 다시 설정할 수 있는 링크를 요청했습니다.", "비밀번호 재설정", "링크는 한 번만 쓸 수 있으며 하루 동안 유효합니다.", "예상하지 못한 메일이라면 관리자에게 알리고 아무것도 하지 마세요."},
	},
	"ja": {
		{"{by} さんから KYRA への招待", "{name} 様", "{by} さんが {tenant} の KYRA に招待しています。", "招待を承認する", "リンクは 1 回だけ使え、{days} 日間有効です。", "心当たりがない場合は、何もしないでください。"},
		{"KYRA のパスワードの再設定", "{name} 様", "{by} さんが KYRA（{tenant}）のパスワードを再設定するためのリンクを依頼しました。", "パスワードを再設定する", "リンクは 1 回だけ使え、1 日間有効です。", "心当たりがない場合は、管理者に知らせ、何もしないでください。"},
	},
}

// SendLetter sends the letter now through the tenant's mail connector. Where it has none,
// sent is false and nothing is wrong: whoever asked hands the link over.
func (n *Notifier) SendLetter(ctx context.Context, tenant uint32, l *Letter) (sent bool, err error) {
	enabled := true
	list, _, err := n.Connectors.List(ctx, tenant, connector.Query{Filter: connector.Filter{Kinds: []connector.Kind{connector.SMTP}, Enabled: &enabled}, Ascending: true, Size: 1})
	if err != nil || len(list) == 0 {
		return false, err
	}
	conf, err := n.Connectors.Through(ctx, tenant, list[0].ID)
	if err != nil {
		return false, err
	}
	from, _ := conf["from"].(string)
	name, _ := conf["fromName"].(string)
	at := strings.LastIndexByte(from, '@')
	if at < 0 {
		return false, errors.New("the connector has no address to send from")
	}
	if err := mail.CheckAddress(l.To); err != nil {
		return false, fault.New(fault.Invalid, "no letter can be sent to that address")
	}
	subject, text, html := l.worded()
	begin := n.now()
	_, err = mail.Send(ctx, n.Guard, n.Connectors.MailServer(conf), &mail.Letter{
		ID: l.ID + from[at:], From: from, FromName: name, To: []string{l.To}, Subject: subject, Text: text, HTML: html, At: l.At.UTC(), Agent: n.agent,
	})
	n.Connectors.Count(list[0].ID, err == nil, len(text)+len(html), n.now().Sub(begin))
	return err == nil, err
}

func (l *Letter) worded() (subject, text, html string) {
	both, ok := invitation[l.Language]
	if !ok {
		both = invitation["en"]
	}
	w := both[0]
	if l.Reset {
		w = both[1]
	}
	const day = 24 * time.Hour
	fill := strings.NewReplacer("{by}", oneLine(l.By), "{name}", oneLine(l.Name), "{tenant}", oneLine(l.Tenant), "{days}", strconv.Itoa(int(l.Ends/day))).Replace
	text = strings.Join([]string{fill(w.hello), fill(w.why), w.button + ":\n" + l.Link, fill(w.ends), w.ignore}, "\n\n") + "\n"
	var b bytes.Buffer
	if err := accountPage.Execute(&b, map[string]any{"Lines": []string{fill(w.hello), fill(w.why)}, "Button": w.button, "Link": l.Link, "After": []string{fill(w.ends), w.ignore}}); err != nil {
		panic(err) // the template knows its data
	}
	return "[KYRA] " + cut(fill(w.subject), 150), text, b.String()
}

// oneLine keeps a name within its line, and from looking like another text.
func oneLine(s string) string {
	return cut(strings.Join(strings.Fields(s), " "), 100)
}

var accountPage = template.Must(template.New("account").Parse(`<!DOCTYPE html>
<html><body style="margin:0;padding:24px;background:#f4f5f7;font:15px/1.5 system-ui,sans-serif;color:#212529">
<table role="presentation" width="100%" style="max-width:640px;margin:auto;background:#fff;border-top:4px solid #3b5bdb;border-collapse:collapse"><tr><td style="padding:24px">
{{range .Lines}}<p style="margin:0 0 12px">{{.}}</p>
{{end}}<p style="margin:20px 0"><a href="{{.Link}}" style="padding:9px 16px;border-radius:6px;background:#3b5bdb;color:#fff;text-decoration:none">{{.Button}}</a></p>
{{range .After}}<p style="margin:0 0 8px;color:#5c636a">{{.}}</p>
{{end}}</td></tr></table></body></html>
`))
