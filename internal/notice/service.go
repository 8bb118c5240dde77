package notice

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/seal"
	"github.com/kyra-mdr/kyra/internal/sqldb"
	"github.com/kyra-mdr/kyra/internal/webhook"
)

// Config is what a Service needs; all but Now is required.
type Config struct {
	DB       *sqldb.DB
	Hooks    *webhook.Service
	Sealer   *seal.Sealer
	CheckURL func(string) (*url.URL, error)               // refuses addresses that may not be called
	Render   func(webhook.Format, *outbox.Message) string // the body that a channel gets
	Link     func(kind, object string) string             // where the console shows an object
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Service is the use cases. It is safe for use by several goroutines.
type Service struct {
	Config
	db    *sqldb.DB
	hooks *webhook.Service // of channels

	mu      sync.Mutex
	streams map[*Stream]struct{}
	closed  bool
	fed     int64 // seq of the newest notice that streams were woken for
}

// New returns the use cases; Run does what goes by the clock.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c, db: c.DB, hooks: c.Hooks.Of(webhook.OfChannel), streams: map[*Stream]struct{}{}}
}

// KeepFor is how long notices are kept.
const KeepFor = 90 * 24 * time.Hour

const flushEvery = time.Second

// Run sends digests that are due and follows notices for the streams, until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var swept time.Time
	for {
		s.report(ctx, "digests not sent", s.Flush(ctx))
		s.report(ctx, "streams not fed", s.feed(ctx))
		if now := s.now(); now.Sub(swept) >= time.Hour {
			swept = now
			s.report(ctx, "old notices not removed", s.sweep(ctx, now.Add(-KeepFor)))
		}
		select {
		case <-ctx.Done():
			s.CloseStreams()
			return nil
		case <-tick.C:
		}
	}
}

func (s *Service) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "notices stand still", "what", what, "err", err)
	}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// sweep forgets old notices, and what was read of them.
func (s *Service) sweep(ctx context.Context, before time.Time) error {
	return s.db.Tx(ctx, func(tx *sqldb.DB) error {
		for _, q := range []string{`DELETE FROM notice_mark WHERE seq IN (SELECT seq FROM notice WHERE at < $1)`, `DELETE FROM notice WHERE at < $1`} {
			if _, err := sqldb.Exec(ctx, tx, q, before.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkName(s string) (string, error) {
	const most = 100
	s = strings.TrimSpace(s)
	if n := utf8.RuneCountInString(s); n < 1 || n > most || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "Allowed: 1 to %d characters in one line", most).In("name")
	}
	return s, nil
}

// isID tells whether a text can be an id.
func isID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == len(uuid.Nil.String())
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}

func taken(err error, what string) error {
	if sqldb.Violation(err) == sqldb.Unique {
		return fault.New(fault.Conflict, "there is a %s of that name", what).In("name").Because(err)
	}
	return err
}

func stale(what string, given, is int64) error {
	if given != 0 && given != is {
		return fault.New(fault.Conflict, "the %s was changed meanwhile: it is at version %d", what, is).In("version")
	}
	return nil
}
