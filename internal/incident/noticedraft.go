package incident

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// A Notice is a draft of what a clock's recipient is to be told. It holds what the case
// knows; what only people know is left open for them.
type Notice struct {
	Clock      Clock
	Incident   string // id
	Title      string
	Severity   string
	Status     Status
	FirstSeen  *time.Time // when the first alert was seen, nil where there is none
	DetectedAt time.Time  // when the incident was made
	AwareAt    time.Time
	Contained  *time.Time
	Closed     *time.Time
	Alerts     int64
	Techniques []string            // MITRE ATT&CK ids
	Affected   map[string][]string // by type of entity, at most maxNamed of each
	More       map[string]int      // beyond those
	Done       []string            // tasks that are done, and statuses that were reached, oldest first
	Files      int                 // of evidence
}

const maxNamed = 20

// DraftNotice makes a draft of what a clock's recipient is to be told, of the case as it
// now is. note records that there is one.
func (s *Service) DraftNotice(ctx context.Context, tenant uint32, actor, id, clock string, note bool) (*Notice, error) {
	if note {
		if _, err := s.wind(ctx, tenant, actor, id, clock, func(c *Clock, now time.Time) (Step, error) {
			if c.DraftedAt == nil {
				c.DraftedAt = &now
			}
			return Step{Action: "noticeDrafted", New: c.Law}, nil
		}); err != nil {
			return nil, err
		}
	}
	var n *Notice
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		d, err := s.get(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		c, err := clockOf(ctx, tx, d.ID, clock)
		if err != nil {
			return err
		}
		n = noticeOf(d, c)
		return nil
	})
	return n, fault.Wrap("draft notice", err)
}

func noticeOf(d *Detail, c *Clock) *Notice {
	n := &Notice{
		Clock: *c, Incident: d.ID, Title: d.Title, Severity: d.Severity, Status: d.Status, DetectedAt: d.CreatedAt, AwareAt: c.AwareAt, Contained: d.ContainedAt, Closed: d.ClosedAt,
		Alerts: d.AlertCount, Affected: map[string][]string{}, More: map[string]int{}, Files: len(d.Evidence),
	}
	for i := range d.Alerts {
		a := &d.Alerts[i]
		if n.FirstSeen == nil || a.FirstSeen.Before(*n.FirstSeen) {
			n.FirstSeen = new(a.FirstSeen)
		}
		if a.Technique != "" && !slices.Contains(n.Techniques, a.Technique) {
			n.Techniques = append(n.Techniques, a.Technique)
		}
	}
	slices.Sort(n.Techniques)
	for _, e := range d.Entities {
		switch named := n.Affected[e.Type]; {
		case slices.Contains(named, e.Value):
		case len(named) == maxNamed:
			n.More[e.Type]++
		default:
			n.Affected[e.Type] = append(named, e.Value)
		}
	}
	for _, st := range d.Timeline {
		if st.Action == "status" {
			n.Done = append(n.Done, st.At.UTC().Format("2006-01-02 15:04 MST")+" "+st.New)
		}
	}
	for i := range d.Tasks {
		if t := &d.Tasks[i]; t.DoneAt != nil {
			n.Done = append(n.Done, t.DoneAt.UTC().Format("2006-01-02 15:04 MST")+" "+t.Title)
		}
	}
	slices.Sort(n.Done)
	return n
}

// words are the texts of a notice in one language.
type words struct {
	draft, to, law, due, what, when, seen, detected, aware, contained, scope, alerts, techniques, affected, people, done, files, consequences, contact, open, notYet, more string
}

var languages = map[string]words{
	"en": {
		draft: "Draft notice of an incident", to: "To", law: "Duty", due: "To be told by", what: "What happened", when: "When", seen: "First sign in the logs", detected: "Detected", aware: "Became aware",
		contained: "Contained", scope: "What is affected", alerts: "Alerts", techniques: "Techniques (MITRE ATT&CK)", affected: "Named in the logs", people: "People and records concerned: kinds and approximate numbers",
		done: "What was done", files: "Files of evidence kept, with their SHA-256", consequences: "Likely consequences, and what people can do", contact: "Whom to ask: name, role, telephone, mail",
		open: "[to be completed by a person]", notYet: "not yet", more: "and %d more",
	},
	"ko": {
		draft: "침해사고 통지서 초안", to: "수신", law: "근거", due: "통지 기한", what: "사고 개요", when: "일시", seen: "로그상 최초 징후", detected: "탐지", aware: "인지", contained: "차단", scope: "피해 범위", alerts: "경보 수",
		techniques: "공격 기법 (MITRE ATT&CK)", affected: "로그에 나타난 대상", people: "관련 정보주체와 개인정보 항목: 종류와 대략적인 수", done: "조치 사항", files: "보존한 증거 파일 수 (SHA-256 포함)",
		consequences: "예상되는 영향과 정보주체가 취할 수 있는 조치", contact: "담당자: 성명, 직위, 전화, 전자우편", open: "[담당자가 작성]", notYet: "아직 아님", more: "외 %d건",
	},
}

// Markdown writes the notice in a language: "ko", or English for any other. Texts of the
// case stand as they are, with what Markdown would read marked as plain.
func (n *Notice) Markdown(lang string) string {
	w, ok := languages[lang]
	if !ok {
		w = languages["en"]
	}
	var b strings.Builder
	law := n.Clock.Name
	for _, l := range Laws {
		if l.ID == n.Clock.Law && lang == "ko" {
			law = l.NameKo
		}
	}
	item := func(name, value string) { fmt.Fprintf(&b, "- %s: %s\n", name, value) }
	at := func(t *time.Time) string {
		if t == nil {
			return w.notYet
		}
		return t.UTC().Format("2006-01-02 15:04:05 MST")
	}
	fmt.Fprintf(&b, "# %s\n\n", w.draft)
	item(w.to, plain(n.Clock.Recipient))
	item(w.law, plain(law))
	item(w.due, at(&n.Clock.DueAt))
	fmt.Fprintf(&b, "\n## %s\n\n%s (%s, %s)\n\n%s\n", w.what, plain(n.Title), n.Severity, n.Status, w.open)
	fmt.Fprintf(&b, "\n## %s\n\n", w.when)
	if n.FirstSeen != nil {
		item(w.seen, at(n.FirstSeen))
	}
	item(w.detected, at(&n.DetectedAt))
	item(w.aware, at(&n.AwareAt))
	item(w.contained, at(n.Contained))
	fmt.Fprintf(&b, "\n## %s\n\n", w.scope)
	item(w.alerts, fmt.Sprint(n.Alerts))
	if len(n.Techniques) > 0 {
		item(w.techniques, plain(strings.Join(n.Techniques, ", ")))
	}
	n.affected(&b, w)
	item(w.people, w.open)
	fmt.Fprintf(&b, "\n## %s\n\n", w.done)
	for _, d := range n.Done {
		fmt.Fprintf(&b, "- %s\n", plain(d))
	}
	item(w.files, fmt.Sprint(n.Files))
	fmt.Fprintf(&b, "- %s\n", w.open)
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n## %s\n\n%s\n", w.consequences, w.open, w.contact, w.open)
	return b.String()
}

func (n *Notice) affected(b *strings.Builder, w words) {
	kinds := make([]string, 0, len(n.Affected))
	for kind := range n.Affected {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, cmp.Compare)
	for _, kind := range kinds {
		list := plain(strings.Join(n.Affected[kind], ", "))
		if more := n.More[kind]; more > 0 {
			list += " " + fmt.Sprintf(w.more, more)
		}
		fmt.Fprintf(b, "- %s, %s: %s\n", w.affected, kind, list)
	}
}

// plain marks what Markdown would read: titles and names come from attackers.
func plain(s string) string {
	var b strings.Builder
	for _, r := range clean(s, true) {
		if strings.ContainsRune("\\`*_{}[]()<>#|!~&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
