package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/job"
	"github.com/kyra-mdr/kyra/internal/outbound/mail"
	"github.com/kyra-mdr/kyra/internal/report/paper"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/vault"
)

const (
	jobKind  = "report"
	attempts = 3
	tick     = 20 * time.Second
	// KeepFor is how long what was made is kept.
	KeepFor = 400 * 24 * time.Hour
	// maxMail is how much a letter carries; what is more is downloaded.
	maxMail = 10 << 20
)

// Kinds are the kinds of jobs that s runs.
func (s *Service) Kinds() map[string]job.Kind {
	return map[string]job.Kind{jobKind: {Work: s.work, Attempts: attempts, Time: 30 * time.Minute}}
}

// Start makes a report of the tenant's now; zero times mean the period that is due.
func (s *Service) Start(ctx context.Context, tenant uint32, actor, id string, from, to time.Time) (*Run, *job.Job, error) {
	r, err := s.Get(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	return s.start(ctx, r, actor, from, to)
}

// Once makes a report that nobody wants to keep the settings of.
func (s *Service) Once(ctx context.Context, tenant uint32, actor string, r Schedule, from, to time.Time) (*Run, *job.Job, error) {
	r.Tenant, r.ID = tenant, ""
	if err := s.settle(ctx, &r); err != nil {
		return nil, nil, err
	}
	return s.start(ctx, &r, actor, from, to)
}

func (s *Service) start(ctx context.Context, r *Schedule, actor string, from, to time.Time) (*Run, *job.Job, error) {
	usualFrom, usualTo := r.period(s.now())
	if to.IsZero() {
		to = usualTo
	}
	if from.IsZero() {
		from = usualFrom
		if !from.Before(to) {
			from = to.AddDate(0, 0, -30)
		}
	}
	const longest = 3 * 366 * 24 * time.Hour
	switch {
	case !from.Before(to):
		return nil, nil, fault.New(fault.Invalid, "Must be before to").In("from")
	case to.Sub(from) > longest:
		return nil, nil, fault.New(fault.Invalid, "A report tells of three years at most").In("from")
	}
	run, err := s.insert(ctx, s.DB, r, actor, from, to, time.Time{})
	if err != nil {
		return nil, nil, fault.Wrap("start report", err)
	}
	j, err := s.begin(ctx, run)
	if err != nil {
		return nil, nil, fault.Wrap("start report", err)
	}
	return run, j, nil
}

// insert writes down that a report is to be made.
func (s *Service) insert(ctx context.Context, db *sqldb.DB, r *Schedule, actor string, from, to, slot time.Time) (*Run, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	run := &Run{
		ID: id.String(), Tenant: r.Tenant, Report: r.ID, Name: r.Name, Kind: r.Kind, Settings: r.Settings, From: from.UTC().Truncate(time.Microsecond), To: to.UTC().Truncate(time.Microsecond),
		State: job.Queued, Files: []File{}, Actor: actor, CreatedAt: s.now(),
	}
	due := int64(0)
	if !slot.IsZero() {
		run.Slot, due = &slot, slot.UnixMicro()
	}
	_, err = sqldb.Exec(ctx, db, `INSERT INTO report_run (id, tenant, report, name, kind, settings, period_from, period_to, slot, state, actor, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'QUEUED', $10, $11)`,
		run.ID, int64(run.Tenant), run.Report, run.Name, string(run.Kind), text, run.From.UnixMicro(), run.To.UnixMicro(), due, actor, run.CreatedAt.UnixMicro())
	return run, err
}

// begin starts the job of a run. Where two servers do so, the run goes with the first
// that works on it.
func (s *Service) begin(ctx context.Context, run *Run) (*job.Job, error) {
	j, err := s.Jobs.Start(ctx, run.Tenant, run.Actor, job.Draft{Kind: jobKind, Subject: run.ID, Params: map[string]string{"run": run.ID}})
	if err != nil {
		if run.Slot == nil { // whoever asked is told, and may ask again
			_, gone := sqldb.Exec(ctx, s.DB, `DELETE FROM report_run WHERE id = $1`, run.ID)
			err = errors.Join(err, gone)
		}
		return nil, err
	}
	run.Job = j.ID
	_, err = sqldb.Exec(ctx, s.DB, `UPDATE report_run SET job = $1 WHERE id = $2 AND job = ''`, j.ID, run.ID)
	return j, err
}

// Schedule makes what is due until ctx is done. Any number of servers may do so: each
// report is made once for each time that it is due. What was missed while no server ran
// is made once, for the last time that it was due.
func (s *Service) Schedule(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	var swept time.Time
	for {
		if err := s.Round(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "reports are not made: trying again", "err", err)
		}
		if now := s.now(); now.Sub(swept) > 24*time.Hour {
			swept = now
			if err := s.sweep(ctx, now.Add(-KeepFor)); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "old reports are not swept", "err", err)
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Round starts what is due, and writes down how runs ended whose jobs did not get to it.
func (s *Service) Round(ctx context.Context) error {
	now := s.now()
	due, err := sqldb.All(ctx, s.DB, scanSchedule, selectSchedule+` WHERE next_at <= $1 AND enabled ORDER BY next_at LIMIT 100`, now.UnixMicro())
	if err != nil {
		return err
	}
	for i := range due {
		if err := s.due(ctx, &due[i], now); err != nil {
			return err
		}
	}
	open, err := sqldb.All(ctx, s.DB, scanRun, selectRun+` WHERE state IN ('QUEUED', 'RUNNING') ORDER BY id LIMIT 500`)
	if err != nil {
		return err
	}
	var failed error
	for i := range open {
		r := &open[i]
		if r.Job == "" {
			// Its server died between the two, or the tenant had too many jobs.
			if now.Sub(r.CreatedAt) > 5*time.Second {
				_, err = s.begin(ctx, r)
				if errors.Is(err, fault.Limited) {
					err = nil
				}
				failed = errors.Join(failed, err)
			}
			continue
		}
		if err := s.look(ctx, r); err != nil {
			return err
		}
		if r.State.Ended() {
			failed = errors.Join(failed, s.end(ctx, r))
		}
	}
	return failed
}

// due starts one report, unless another server did.
func (s *Service) due(ctx context.Context, r *Schedule, now time.Time) error {
	slot := *r.NextAt
	for next := r.next(slot); !next.IsZero() && !next.After(now); next = r.next(slot) {
		slot = next // what was missed before is not made
	}
	next := r.next(now)
	var run *Run
	err := s.DB.Tx(ctx, func(tx *sqldb.DB) error {
		run = nil
		n, err := sqldb.Exec(ctx, tx, `UPDATE report SET next_at = $1 WHERE id = $2 AND next_at = $3`, sqldb.Nullable(&next), r.ID, r.NextAt.UnixMicro())
		if err != nil || n == 0 {
			return err
		}
		from, to := r.period(slot)
		run, err = s.insert(ctx, tx, r, audit.System, from, to, slot)
		return err
	})
	if sqldb.Violation(err) == sqldb.Unique {
		return nil // another server made it for this time
	}
	if err != nil || run == nil {
		return err
	}
	_, err = s.begin(ctx, run)
	if errors.Is(err, fault.Limited) { // Round tries again
		err = nil
	}
	return err
}

func (s *Service) end(ctx context.Context, r *Run) error {
	at := s.now()
	if r.EndedAt != nil {
		at = *r.EndedAt
	}
	_, err := sqldb.Exec(ctx, s.DB, `UPDATE report_run SET state = $1, reason = $2, ended_at = $3 WHERE id = $4 AND state IN ('QUEUED', 'RUNNING')`, string(r.State), r.Reason, at.UnixMicro(), r.ID)
	return err
}

func (s *Service) sweep(ctx context.Context, before time.Time) error {
	_, err := sqldb.Exec(ctx, s.DB, `DELETE FROM report_run WHERE created_at < $1`, before.UnixMicro())
	return errors.Join(err, s.Files.Sweep(before))
}

// work makes a report: gathers, sets, keeps and sends it.
func (s *Service) work(ctx context.Context, t *job.Task) (any, error) {
	var p struct {
		Run string `json:"run"`
	}
	if err := t.Read(&p); err != nil {
		return nil, err
	}
	n, err := sqldb.Exec(ctx, s.DB, `UPDATE report_run SET state = 'RUNNING', job = $1 WHERE id = $2 AND tenant = $3 AND state IN ('QUEUED', 'RUNNING') AND (job = '' OR job = $1)`, t.ID, p.Run, int64(t.Tenant))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return map[string]string{"run": p.Run, "note": "another job makes it"}, nil
	}
	r, err := sqldb.One(ctx, s.DB, scanRun, selectRun+` WHERE id = $1`, p.Run)
	if err != nil {
		return nil, err
	}
	steps := int64(2 + len(r.Settings.Formats))
	t.Progress(0, steps, "gathering")
	doc, name, err := s.document(ctx, &r)
	if err != nil {
		return nil, err
	}
	r.Files = []File{}
	for i, f := range r.Settings.Formats {
		t.Progress(int64(1+i), steps, "setting "+f)
		file, err := s.keep(r.Tenant, doc, f, name)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.Files = append(r.Files, *file)
	}
	text, err := json.Marshal(r.Files)
	if err != nil {
		return nil, err
	}
	if _, err := sqldb.Exec(ctx, s.DB, `UPDATE report_run SET files = $1 WHERE id = $2`, string(text), r.ID); err != nil {
		return nil, err
	}
	if r.Settings.Channel != "" && r.Delivery != "sent" {
		t.Progress(steps-1, steps, "sending")
		if err := s.send(ctx, &r, doc); err != nil {
			if ctx.Err() != nil || errors.Is(err, fault.Unavailable) && t.Attempt < attempts {
				return nil, err
			}
			// It can be downloaded all the same.
			r.Delivery, r.DeliveryError = "failed", reasonOf(err)
			s.Log.WarnContext(ctx, "a report was made but not sent", "report", r.Name, "tenant", r.Tenant, "err", err)
		} else {
			r.Delivery = "sent"
		}
	}
	t.Progress(steps, steps, "done")
	_, err = sqldb.Exec(ctx, s.DB, `UPDATE report_run SET state = 'DONE', delivery = $1, delivery_error = $2, ended_at = $3 WHERE id = $4`, r.Delivery, r.DeliveryError, s.now().UnixMicro(), r.ID)
	return map[string]any{"run": r.ID, "files": r.Files, "delivery": r.Delivery}, err
}

func reasonOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return "the letter could not be handed over"
}

// keep sets a document and keeps the file.
func (s *Service) keep(tenant uint32, doc *paper.Document, format, name string) (*File, error) {
	var b bytes.Buffer
	f := &File{Format: format, Name: name + "." + format, MediaType: "application/pdf"}
	set := paper.PDF
	if format == "csv" {
		f.MediaType, set = "text/csv; charset=utf-8", paper.CSV
	}
	if err := set(&b, doc); err != nil {
		return nil, err
	}
	ref, err := s.Files.PutBytes(tenant, b.Bytes())
	if err != nil {
		return nil, err
	}
	f.Bytes, f.SHA256 = ref.Size, ref.SHA256
	return f, nil
}

// Open opens a file of a run in one of its formats.
func (s *Service) Open(ctx context.Context, tenant uint32, id, format string) (*File, io.ReadCloser, error) {
	r, err := s.Made(ctx, tenant, id)
	if err != nil {
		return nil, nil, err
	}
	if r.State != job.Done {
		return nil, nil, fault.New(fault.Conflict, "the report is %s: its files are there when it is DONE", r.State)
	}
	for i := range r.Files {
		if f := &r.Files[i]; format == "" || f.Format == format {
			file, err := s.Files.Get(tenant, vault.Ref{SHA256: f.SHA256, Size: f.Bytes})
			return f, file, fault.Wrap("open report", err)
		}
	}
	return nil, nil, fault.New(fault.NotFound, "the report was not made as %s", format)
}

// send mails what was made.
func (s *Service) send(ctx context.Context, r *Run, doc *paper.Document) error {
	if s.Mail == nil {
		return fault.New(fault.Invalid, "this server sends no mail")
	}
	l := &mail.Letter{ID: "report-" + r.ID, Subject: "[KYRA] " + r.Name + ": " + doc.Subtitle, At: r.CreatedAt}
	size := int64(0)
	for i := range r.Files {
		size += r.Files[i].Bytes
	}
	if size <= maxMail {
		for i := range r.Files {
			f := &r.Files[i]
			in, err := s.Files.Get(r.Tenant, vault.Ref{SHA256: f.SHA256, Size: f.Bytes})
			if err != nil {
				return err
			}
			content, err := io.ReadAll(in)
			if err = errors.Join(err, in.Close()); err != nil {
				return err
			}
			l.Files = append(l.Files, mail.File{Name: f.Name, MediaType: f.MediaType, Content: content})
		}
	}
	l.Text, l.HTML = s.letter(r, doc, size > maxMail)
	return s.Mail(ctx, r.Tenant, r.Settings.Channel, l)
}

// letter is what a report says in short.
func (s *Service) letter(r *Run, doc *paper.Document, large bool) (text, page string) {
	lang := r.Settings.Language
	var a, b strings.Builder
	fmt.Fprintf(&a, "%s\n%s\n%s\n\n", doc.Title, doc.Subtitle, doc.Organisation)
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"%s\"><body style=\"font:15px/1.5 system-ui,sans-serif;color:#1b2430\"><h1 style=\"font-size:19px;margin:0\">%s</h1><p style=\"color:#525d69;margin:0 0 16px\">%s<br>%s</p><table>", lang, html.EscapeString(doc.Title), html.EscapeString(doc.Subtitle), html.EscapeString(doc.Organisation))
	for _, block := range doc.Blocks {
		if tiles, ok := block.(paper.Tiles); ok {
			for _, x := range tiles.Items {
				fmt.Fprintf(&a, "%s: %s\n", x.Label, x.Value)
				fmt.Fprintf(&b, "<tr><td style=\"padding:2px 16px 2px 0;color:#525d69\">%s</td><td><strong>%s</strong></td></tr>", html.EscapeString(x.Label), html.EscapeString(x.Value))
			}
			break
		}
	}
	b.WriteString("</table>")
	say := lang.s("The report is attached.", "보고서를 첨부합니다.")
	if large {
		say = lang.s("The report is too large for a letter: download it.", "보고서가 커서 첨부하지 않았습니다. 내려받아 주십시오.")
	}
	fmt.Fprintf(&a, "\n%s\n", say)
	fmt.Fprintf(&b, "<p>%s</p>", html.EscapeString(say))
	if s.Link != "" {
		fmt.Fprintf(&a, "\n%s\n", s.Link)
		fmt.Fprintf(&b, "<p><a href=\"%s\">%s</a></p>", html.EscapeString(s.Link), html.EscapeString(lang.s("Open in KYRA", "KYRA에서 열기")))
	}
	b.WriteString("</body></html>\n")
	return a.String(), b.String()
}
