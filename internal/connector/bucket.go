package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/arrival"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	// settle is how long an export waits for what is on its way. Events that come later
	// are in a later object.
	settle        = 2 * time.Minute
	partSize      = 16 << 20 // bytes of a part: what an upload holds in memory
	uploadFor     = 30 * time.Minute
	exportFor     = 40 * time.Minute // a lease: longer than an object takes at most
	objectRecords = 2_000_000        // events of one object, but for those of one batch
)

func checkQuery(s string) error {
	_, err := query.Parse(s)
	return err
}

// bucket is the client of a connector of kind s3. Its calls go through the guard.
func (s *Service) bucket(c settings) (*minio.Client, error) {
	u, err := url.Parse(c.text("endpoint"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "the endpoint cannot be used")
	}
	lookup := minio.BucketLookupDNS
	if c.flag("pathStyle") {
		lookup = minio.BucketLookupPath
	}
	client := s.Guard.Client(outbound.Limits{Total: uploadFor, Body: maxAnswer})
	return minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.text("accessKey"), c.text("secretKey"), ""), Secure: u.Scheme == "https", Region: c.text("region"), BucketLookup: lookup,
		Transport: client.Transport, MaxRetries: 3,
	})
}

// export puts one span of time into the bucket of a due connector, and notes that it did.
// It tells whether there was one. The same span gets the same names, so that an export
// that is repeated replaces what was there.
func (s *Service) export(ctx context.Context) (bool, error) {
	now := s.now()
	due, err := sqldb.All(ctx, s.db, scan, selectConnector+` WHERE kind = 's3' AND enabled AND next_at <= $1 AND lease_until <= $1 ORDER BY next_at, id LIMIT 1`, now.UnixMicro())
	if err != nil || len(due) == 0 {
		return false, fault.Wrap("look for exports", err)
	}
	c := &due[0]
	every := time.Duration(settings(c.Config).number("everyMinutes")) * time.Minute
	from, to := c.DoneUntil, c.DoneUntil.Add(every)
	if to.Add(settle).After(now) {
		_, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET next_at = $2 WHERE id = $1`, c.ID, to.Add(settle).UnixMicro())
		return true, fault.Wrap("put off export", err)
	}
	n, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET lease_until = $2 WHERE id = $1 AND lease_until = $3`, c.ID, now.Add(exportFor).UnixMicro(), c.leaseUntil.UnixMicro())
	if err != nil || n == 0 {
		return false, fault.Wrap("take export", err)
	}
	conf, err := s.settings(c)
	if err == nil {
		for _, what := range conf.list("contents") {
			if what == "events" {
				err = s.putEvents(ctx, c, conf, from, to)
			} else {
				err = s.put(ctx, c, conf, objectName(conf, what, from, to, ""), func(w io.Writer) error { return s.writeAlerts(ctx, c.Tenant, from, to, w) })
			}
			if err != nil {
				break
			}
		}
	}
	at := s.now()
	if err != nil {
		_, noted := sqldb.Exec(context.WithoutCancel(ctx), s.db, `UPDATE connector SET lease_until = 0, next_at = $2, last_failure = $3, last_error = $4 WHERE id = $1`,
			c.ID, at.Add(5*time.Minute).UnixMicro(), at.UnixMicro(), outbound.Reason(err))
		s.Log.WarnContext(ctx, "export to a bucket failed", "connector", c.ID, "tenant", c.Tenant, "err", err)
		return true, fault.Wrap("note export", noted)
	}
	_, err = sqldb.Exec(ctx, s.db, `UPDATE connector SET lease_until = 0, next_at = $2, done_until = $2, events_to = -1, last_success = $3, last_error = '' WHERE id = $1`, c.ID, to.UnixMicro(), at.UnixMicro())
	return true, fault.Wrap("note export", err)
}

func objectName(conf settings, what string, from, to time.Time, number string) string {
	const stamp = "20060102T150405Z"
	return conf.text("prefix") + what + "/" + from.Format("2006/01/02/") + what + "-" + from.Format(stamp) + "-" + to.Format(stamp) + number + ".ndjson.gz"
}

// putEvents writes what was stored since the export before: at least one object, more
// where it is much. Their names carry the first sequence of each, and how far the export
// goes is noted before it begins, so that a repetition writes the same ones again.
func (s *Service) putEvents(ctx context.Context, c *Connector, conf settings, from, to time.Time) error {
	filter, err := filterOf(conf)
	if err != nil {
		return err
	}
	if err := s.beginEvents(ctx, c); err != nil {
		return err
	}
	if c.eventsTo < 0 {
		stored, err := s.Events.Stored(ctx, c.Tenant)
		if err != nil {
			return err
		}
		c.eventsTo = max(int64(stored), c.eventsSeq) //nolint:gosec // sequences are small
		if _, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET events_to = $2 WHERE id = $1`, c.ID, c.eventsTo); err != nil {
			return err
		}
	}
	for done := false; !done; {
		part, err := s.Events.Next(ctx, c.Tenant, uint64(c.eventsSeq), uint64(c.eventsTo), objectRecords) //nolint:gosec // not negative here
		if err != nil {
			return err
		}
		sent := int64(0)
		err = s.put(ctx, c, conf, objectName(conf, "events", from, to, fmt.Sprintf("-%012x", part.After+1)), func(w io.Writer) error {
			sent = 0
			return s.writeEvents(ctx, c.Tenant, part, filter, w, &sent)
		})
		if err != nil {
			return err
		}
		c.eventsSeq = int64(part.To) //nolint:gosec // sequences are small
		done = c.eventsSeq >= c.eventsTo
		if _, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET events_seq = $2, events_sent = events_sent + $3, lease_until = $4 WHERE id = $1`, c.ID, c.eventsSeq, sent, s.now().Add(exportFor).UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// beginEvents finds out where the events of a connector begin that was sent none yet.
func (s *Service) beginEvents(ctx context.Context, c *Connector) error {
	if c.eventsSeq >= 0 {
		return nil
	}
	begin, err := s.Events.Begin(ctx, c.Tenant, c.DoneUntil)
	if err != nil {
		return err
	}
	c.eventsSeq = int64(begin) //nolint:gosec // sequences are small
	_, err = sqldb.Exec(ctx, s.db, `UPDATE connector SET events_seq = $2 WHERE id = $1 AND events_seq < 0`, c.ID, c.eventsSeq)
	return err
}

// filterOf is the query of a connector, nil for all events.
func filterOf(conf settings) (query.Node, error) {
	text := strings.TrimSpace(conf.text("query"))
	if text == "" {
		return nil, nil
	}
	return query.Parse(text)
}

// put writes one object.
func (s *Service) put(ctx context.Context, c *Connector, conf settings, name string, write func(io.Writer) error) error {
	client, err := s.bucket(conf)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, uploadFor)
	defer cancel()
	reader, writer := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		z := gzip.NewWriter(writer)
		err := write(z)
		if err == nil {
			err = z.Close()
		}
		writer.CloseWithError(err)
	}()
	begin := s.Now()
	info, err := client.PutObject(ctx, conf.text("bucket"), name, reader, -1, minio.PutObjectOptions{ContentType: "application/x-ndjson", ContentEncoding: "gzip", PartSize: partSize})
	cancel() // ends the writer where the upload failed
	_ = reader.CloseWithError(context.Canceled)
	<-written
	s.Count(c.ID, err == nil, int(info.Size), s.Now().Sub(begin))
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return fault.New(fault.Unavailable, "it answered: %s", oneLine(answer.Message)).Because(err)
	}
	return err
}

// exportedAlert is an alert as an object holds it.
type exportedAlert struct {
	ID          string    `json:"id"`
	Title       string    `json:"title"`
	Severity    string    `json:"severity"`
	Status      string    `json:"status"`
	Source      string    `json:"source"`
	Tactic      string    `json:"mitreTactic"`
	Technique   string    `json:"mitreTechnique"`
	CreatedAt   time.Time `json:"createdAt"`
	Description string    `json:"description"`
	RuleID      string    `json:"ruleId"`
	Occurrences int64     `json:"occurrences"`
	FirstSeen   time.Time `json:"firstSeen"`
	LastSeen    time.Time `json:"lastSeen"`
}

func (s *Service) writeAlerts(ctx context.Context, tenant uint32, from, to time.Time, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for a, err := range s.Alerts.Stream(ctx, tenant, alert.Filter{CreatedFrom: from, CreatedTo: to}) {
		if err != nil {
			return err
		}
		if err := enc.Encode(exportedAlert{a.ID, a.Title, a.Severity, string(a.Status), a.Source, a.Tactic, a.Technique, a.CreatedAt, a.Description, a.Rule.ID, a.Occurrences, a.FirstSeen, a.LastSeen}); err != nil {
			return err
		}
	}
	return nil
}

// writeEvents counts what it wrote.
func (s *Service) writeEvents(ctx context.Context, tenant uint32, part arrival.Stretch, filter query.Node, w io.Writer, n *int64) error {
	var b bytes.Buffer
	return s.Events.Walk(ctx, tenant, part, filter, func(events []event.Event) error {
		for i := range events {
			b.Reset()
			if err := encodeEvent(&b, &events[i]); err != nil {
				return err
			}
			if _, err := w.Write(b.Bytes()); err != nil {
				return err
			}
			*n++
		}
		return nil
	})
}

// encodeEvent writes one event as one line.
func encodeEvent(b *bytes.Buffer, e *event.Event) error {
	fields := map[string]any{}
	for _, f := range e.Fields {
		switch have := fields[f.Name].(type) {
		case nil:
			fields[f.Name] = f.Value
		case string:
			fields[f.Name] = []string{have, f.Value}
		case []string:
			fields[f.Name] = append(have, f.Value)
		}
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		ID        string         `json:"id"`
		Timestamp time.Time      `json:"timestamp"`
		Raw       string         `json:"raw"`
		Fields    map[string]any `json:"fields"`
	}{e.ID.String(), time.Unix(0, e.Time).UTC(), e.Raw, fields})
}
