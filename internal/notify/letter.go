package notify

import (
	"context"
	"errors"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
)

// Mail sends a letter now to the receivers of a notification channel of kind email, from
// the sender of its connector. l's ID names it without a domain. A server that cannot be
// reached is fault.Unavailable: try again later.
func (n *Notifier) Mail(ctx context.Context, tenant uint32, channel string, l *mail.Letter) error {
	t, err := n.Notices.Target(ctx, tenant, channel)
	if err != nil {
		return err
	}
	if t.Kind != notice.Email || t.ConnectorID == "" {
		return fault.New(fault.Invalid, "the channel sends no mail").In("channel")
	}
	conf, err := n.Connectors.Through(ctx, tenant, t.ConnectorID)
	if err != nil {
		return err
	}
	from, _ := conf["from"].(string)
	name, _ := conf["fromName"].(string)
	at := strings.LastIndexByte(from, '@')
	if at < 0 {
		return errors.New("the connector has no address to send from")
	}
	l.ID += from[at:]
	l.From, l.FromName, l.To, l.Agent = from, name, t.To, n.agent
	begin := n.now()
	_, err = mail.Send(ctx, n.Guard, n.Connectors.MailServer(conf), l)
	size := len(l.Text) + len(l.HTML)
	for i := range l.Files {
		size += len(l.Files[i].Content)
	}
	n.Connectors.Count(t.ConnectorID, err == nil, size, n.now().Sub(begin))
	return err
}
