package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbound"
	"github.com/kyra-mdr/kyra/internal/query"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	// settle is how long an export waits for events that are on their way.
	settle    = 2 * time.Minute
	partSize  = 16 << 20 // bytes of a part: what an upload holds in memory
	uploadFor = 30 * time.Minute
	exportFor = 40 * time.Minute // a lease: longer than one takes at most
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
		return false, wrap("look for exports", err)
	}
	c := &due[0]
	every := time.Duration(settings(c.Config).number("everyMinutes")) * time.Minute
	from, to := c.DoneUntil, c.DoneUntil.Add(every)
	if to.Add(settle).After(now) {
		_, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET next_at = $2 WHERE id = $1`, c.ID, to.Add(settle).UnixMicro())
		return true, wrap("put off export", err)
	}
	n, err := sqldb.Exec(ctx, s.db, `UPDATE connector SET lease_until = $2 WHERE id = $1 AND lease_until = $3`, c.ID, now.Add(exportFor).UnixMicro(), c.leaseUntil.UnixMicro())
	if err != nil || n == 0 {
		return false, wrap("take export", err)
	}
	conf, err := s.settings(c)
	if err == nil {
		for _, what := range conf.list("contents") {
			if err = s.put(ctx, c, conf, what, from, to); err != nil {
				break
			}
		}
	}
	at := s.now()
	if err != nil {
		_, noted := sqldb.Exec(context.WithoutCancel(ctx), s.db, `UPDATE connector SET lease_until = 0, next_at = $2, last_failure = $3, last_error = $4 WHERE id = $1`,
			c.ID, at.Add(5*time.Minute).UnixMicro(), at.UnixMicro(), outbound.Reason(err))
		s.Log.WarnContext(ctx, "export to a bucket failed", "connector", c.ID, "tenant", c.Tenant, "err", err)
		return true, wrap("note export", noted)
	}
	_, err = sqldb.Exec(ctx, s.db, `UPDATE connector SET lease_until = 0, next_at = $2, done_until = $2, last_success = $3, last_error = '' WHERE id = $1`, c.ID, to.UnixMicro(), at.UnixMicro())
	return true, wrap("note export", err)
}

// put writes one object: everything of one kind within a span.
func (s *Service) put(ctx context.Context, c *Connector, conf settings, what string, from, to time.Time) error {
	client, err := s.bucket(conf)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, uploadFor)
	defer cancel()
	const stamp = "20060102T150405Z"
	name := conf.text("prefix") + what + "/" + from.Format("2006/01/02/") + what + "-" + from.Format(stamp) + "-" + to.Format(stamp) + ".ndjson.gz"
	reader, writer := io.Pipe()
	go func() {
		z := gzip.NewWriter(writer)
		err := s.write(ctx, c.Tenant, conf, what, from, to, z)
		if err == nil {
			err = z.Close()
		}
		writer.CloseWithError(err)
	}()
	begin := s.Now()
	info, err := client.PutObject(ctx, conf.text("bucket"), name, reader, -1, minio.PutObjectOptions{ContentType: "application/x-ndjson", ContentEncoding: "gzip", PartSize: partSize})
	_ = reader.CloseWithError(context.Canceled) // ends the writer where the upload failed
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

func (s *Service) write(ctx context.Context, tenant uint32, conf settings, what string, from, to time.Time, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if what == "alerts" {
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
	var filter query.Node
	if text := strings.TrimSpace(conf.text("query")); text != "" {
		var err error
		if filter, err = query.Parse(text); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	return s.Events.Walk(ctx, eventstore.WalkRequest{Tenant: tenant, Filter: filter, From: from.UnixNano(), To: to.UnixNano()}, func(events []event.Event) error {
		for i := range events {
			b.Reset()
			if err := encodeEvent(&b, &events[i]); err != nil {
				return err
			}
			if _, err := w.Write(b.Bytes()); err != nil {
				return err
			}
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
