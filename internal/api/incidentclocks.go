package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kyra-mdr/kyra/internal/incident"
)

// NoticeClock runs from becoming aware of an incident to telling somebody of it.
type NoticeClock struct {
	ID           string     `json:"id" format:"uuid"`
	Law          string     `json:"law" example:"GDPR"`
	Name         string     `json:"name"`
	Recipient    string     `json:"recipient" doc:"Who is to be told."`
	PersonalData bool       `json:"personalData"`
	Hours        int        `json:"hours"`
	AwareAt      time.Time  `json:"awareAt"`
	DueAt        time.Time  `json:"dueAt"`
	State        string     `json:"state" enum:"running,overdue,notified,notifiedLate,withdrawn"`
	Remaining    *int64     `json:"remainingSeconds" nullable:"true" doc:"Until dueAt, below 0 when that has passed; null when nobody has to be told any more."`
	DraftedAt    *time.Time `json:"draftedAt" nullable:"true" doc:"When a draft notice was made first."`
	NotifiedAt   *time.Time `json:"notifiedAt" nullable:"true"`
	NotifiedTo   *string    `json:"notifiedTo" nullable:"true"`
	NotifiedBy   *string    `json:"notifiedBy" nullable:"true"`
	Reference    *string    `json:"reference" nullable:"true" doc:"What the recipient calls it."`
	RecordedAt   *time.Time `json:"recordedAt" nullable:"true" doc:"When it was written down that they were told."`
	MarkedBy     string     `json:"markedBy"`
	MarkedAt     time.Time  `json:"markedAt"`
	WithdrawnAt  *time.Time `json:"withdrawnAt" nullable:"true"`
	WithdrawnBy  *string    `json:"withdrawnBy" nullable:"true"`
	Reason       *string    `json:"reason" nullable:"true" doc:"Why it was withdrawn."`

	_ struct{} `additionalProperties:"true"`
}

func (a *api) clockOf(c *incident.Clock) NoticeClock {
	now := a.Now()
	out := NoticeClock{
		ID: c.ID, Law: c.Law, Name: c.Name, Recipient: c.Recipient, PersonalData: c.Personal, Hours: int(c.Within / time.Hour), AwareAt: c.AwareAt, DueAt: c.DueAt, State: string(c.State(now)),
		DraftedAt: c.DraftedAt, NotifiedAt: c.NotifiedAt, NotifiedTo: orNull(c.NotifiedTo), NotifiedBy: orNull(c.NotifiedBy), Reference: orNull(c.Reference), RecordedAt: c.RecordedAt,
		MarkedBy: c.MarkedBy, MarkedAt: c.MarkedAt, WithdrawnAt: c.WithdrawnAt, WithdrawnBy: orNull(c.WithdrawnBy), Reason: orNull(c.Reason),
	}
	if c.NotifiedAt == nil && c.WithdrawnAt == nil {
		out.Remaining = new(int64(c.DueAt.Sub(now) / time.Second))
	}
	return out
}

type otherLaw struct {
	Name         string `json:"name" doc:"1 to 200 characters."`
	Hours        int    `json:"hours" doc:"1 to 2,160."`
	Recipient    string `json:"recipient,omitempty"`
	PersonalData bool   `json:"personalData,omitempty"`
}

type noticeFacts struct {
	IncidentID  string              `json:"incidentId"`
	Title       string              `json:"title"`
	Severity    string              `json:"severity"`
	Status      string              `json:"status"`
	FirstSeenAt *time.Time          `json:"firstSeenAt" nullable:"true" doc:"First sign in the logs."`
	DetectedAt  time.Time           `json:"detectedAt"`
	AwareAt     time.Time           `json:"awareAt"`
	ContainedAt *time.Time          `json:"containedAt" nullable:"true"`
	ClosedAt    *time.Time          `json:"closedAt" nullable:"true"`
	Alerts      int64               `json:"alerts"`
	Techniques  []string            `json:"techniques" nullable:"false"`
	Affected    map[string][]string `json:"affected" doc:"What the alerts name, by type of entity; at most 20 of each."`
	More        map[string]int      `json:"more" doc:"How many there are beyond those."`
	Done        []string            `json:"done" nullable:"false"`
	Files       int                 `json:"files" doc:"Of evidence."`

	_ struct{} `additionalProperties:"true"`
}

type (
	clocksOut struct {
		Body struct {
			Reportable bool          `json:"reportable" doc:"Somebody has to be told, or was."`
			Clocks     []NoticeClock `json:"clocks" nullable:"false" doc:"The first to be due first."`

			_ struct{} `additionalProperties:"true"`
		}
	}
	reportableIn struct {
		ID   string `path:"id"`
		Body struct {
			Laws    []string   `json:"laws,omitempty" nullable:"false" doc:"KISA (24 h), PIPA (72 h), GDPR (72 h), DFARS (72 h), CCPA (720 h)."`
			Other   []otherLaw `json:"other,omitempty" nullable:"false" doc:"Laws and contracts that KYRA does not know."`
			AwareAt *time.Time `json:"awareAt,omitempty" doc:"When somebody became aware of it; when the incident was made when left out."`
		}
	}
	byClock struct {
		ID    string `path:"id"`
		Clock string `path:"clock"`
	}
	notifiedIn struct {
		ID    string `path:"id"`
		Clock string `path:"clock"`
		Body  struct {
			At        *time.Time `json:"at,omitempty" doc:"Now when left out."`
			To        string     `json:"to,omitempty" doc:"The clock's recipient when left out."`
			By        string     `json:"by,omitempty" doc:"You when left out."`
			Reference string     `json:"reference,omitempty"`
		}
	}
	withdrawIn struct {
		ID    string `path:"id"`
		Clock string `path:"clock"`
		Body  struct {
			Reason string `json:"reason"`
		}
	}
	clockOut  struct{ Body NoticeClock }
	noticeOut struct {
		Body struct {
			Clock    NoticeClock `json:"clock"`
			Language string      `json:"language" enum:"en,ko"`
			Markdown string      `json:"markdown"`
			Facts    noticeFacts `json:"facts"`

			_ struct{} `additionalProperties:"true"`
		}
	}
)

func (a *api) incidentClocks() {
	const tag, path, one = "Incidents", "/incidents/{id}/reportable", "/incidents/{id}/reportable/{clock}"
	handle(a, operation{
		id: "getReportable", method: http.MethodGet, path: path, tag: tag, summary: "List by when somebody has to be told of an incident", uuid: true,
	}, func(ctx context.Context, c *call, in *byID) (*clocksOut, error) {
		return a.clocks(a.Incidents.Clocks(ctx, c.Tenant.Number, in.ID))
	})
	handle(a, operation{
		id: "markReportable", method: http.MethodPost, path: path, tag: tag, summary: "Mark an incident as reportable", uuid: true,
		doc: "Starts the clock of each law that it falls under; that it does, you decide. Clocks that run stay as they are. When one has run out and it is not recorded that somebody was told, incident.noticeOverdue is told.",
	}, a.markReportable)
	handle(a, operation{
		id: "noteNotified", method: http.MethodPost, path: one + "/notified", tag: tag, summary: "Record that somebody was told of an incident", uuid: true,
		doc: "KYRA itself tells no authority.",
	}, func(ctx context.Context, c *call, in *notifiedIn) (*clockOut, error) {
		n := incident.Notification{To: in.Body.To, By: in.Body.By, Reference: in.Body.Reference}
		if in.Body.At != nil {
			n.At = *in.Body.At
		}
		return a.clock(a.Incidents.NoteNotified(ctx, c.Tenant.Number, c.Actor, in.ID, in.Clock, n))
	})
	handle(a, operation{
		id: "withdrawReportable", method: http.MethodPost, path: one + "/withdraw", tag: tag, summary: "Record that nobody has to be told after all", uuid: true,
		doc: "The clock is kept, with who and why.",
	}, func(ctx context.Context, c *call, in *withdrawIn) (*clockOut, error) {
		return a.clock(a.Incidents.WithdrawClock(ctx, c.Tenant.Number, c.Actor, in.ID, in.Clock, in.Body.Reason))
	})
	handle(a, operation{
		id: "getNoticeDraft", method: http.MethodGet, path: one + "/notice", tag: tag, summary: "Look at a draft notice", uuid: true,
		doc: "Of the case as it now is, as Markdown and as facts. What only people know is left open.", params: []param{documentParam},
	}, func(ctx context.Context, c *call, in *byClock) (*noticeOut, error) {
		return a.draftNotice(ctx, c, in, false)
	})
	handle(a, operation{
		id: "makeNoticeDraft", method: http.MethodPost, path: one + "/notice", tag: tag, summary: "Make a draft notice", uuid: true,
		doc: "As GET, and records that there is a draft.", params: []param{documentParam},
	}, func(ctx context.Context, c *call, in *byClock) (*noticeOut, error) {
		return a.draftNotice(ctx, c, in, true)
	})
}

func (a *api) markReportable(ctx context.Context, c *call, in *reportableIn) (*clocksOut, error) {
	var laws []incident.Obligation
	for _, id := range in.Body.Laws {
		if !knownLaw(id) {
			return nil, invalid("laws", "Allowed: KISA, PIPA, GDPR, DFARS, CCPA; name others with their hours in other")
		}
		laws = append(laws, incident.Obligation{ID: id})
	}
	for _, o := range in.Body.Other {
		laws = append(laws, incident.Obligation{ID: o.Name, Hours: o.Hours, Recipient: o.Recipient, Personal: o.PersonalData})
	}
	var aware time.Time
	if in.Body.AwareAt != nil {
		aware = *in.Body.AwareAt
	}
	return a.clocks(a.Incidents.MarkReportable(ctx, c.Tenant.Number, c.Actor, in.ID, laws, aware))
}

func knownLaw(id string) bool {
	for _, l := range incident.Laws {
		if _, ok := oneOf(id, []string{l.ID}); ok {
			return true
		}
	}
	return false
}

func (a *api) clocks(list []incident.Clock, err error) (*clocksOut, error) {
	if err != nil {
		return nil, err
	}
	out := &clocksOut{}
	out.Body.Clocks = make([]NoticeClock, len(list))
	for i := range list {
		out.Body.Clocks[i] = a.clockOf(&list[i])
		out.Body.Reportable = out.Body.Reportable || list[i].WithdrawnAt == nil
	}
	return out, nil
}

func (a *api) clock(c *incident.Clock, err error) (*clockOut, error) {
	if err != nil {
		return nil, err
	}
	return &clockOut{a.clockOf(c)}, nil
}

func (a *api) draftNotice(ctx context.Context, c *call, in *byClock, note bool) (*noticeOut, error) {
	n, err := a.Incidents.DraftNotice(ctx, c.Tenant.Number, c.Actor, in.ID, in.Clock, note)
	if err != nil {
		return nil, err
	}
	out := &noticeOut{}
	b := &out.Body
	b.Clock, b.Language = a.clockOf(&n.Clock), c.language()
	b.Markdown = n.Markdown(b.Language)
	b.Facts = noticeFacts{
		IncidentID: n.Incident, Title: n.Title, Severity: n.Severity, Status: string(n.Status), FirstSeenAt: n.FirstSeen, DetectedAt: n.DetectedAt, AwareAt: n.AwareAt, ContainedAt: n.Contained, ClosedAt: n.Closed,
		Alerts: n.Alerts, Techniques: append([]string{}, n.Techniques...), Affected: n.Affected, More: n.More, Done: append([]string{}, n.Done...), Files: n.Files,
	}
	return out, nil
}
