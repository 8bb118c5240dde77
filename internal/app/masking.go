package app

import (
	"context"
	"fmt"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/privacy"
	"github.com/kyra-mdr/kyra/internal/quarantine"
	"github.com/kyra-mdr/kyra/internal/queue"
)

// openMasking makes ready what takes personal data out of records on their way into
// the queue. A server that cannot read its rules does not start: nothing may be kept
// that they forbid.
func (s *Server) openMasking(ctx context.Context) error {
	sealer, err := s.sealer()
	if err != nil {
		return err
	}
	s.privacy = privacy.New(s.db, sealer, s.recordFields, time.Now)
	if err := s.privacy.Load(ctx); err != nil {
		return fmt.Errorf("open masking: %w", err)
	}
	return nil
}

func (s *Server) runMasking(ctx context.Context) error { return s.privacy.Run(ctx, s.log) }

// recordFields returns a parser that tells the fields of records as the pipeline will
// read them: by the tenant's settings of log sources, or an alias would hide what is to
// be masked.
func (s *Server) recordFields() privacy.ParseFunc {
	p := parse.New(parse.Options{})
	var e event.Event
	return func(ctx context.Context, c *queue.Chunk, i int, yield func(name, value string)) error {
		settings, err := s.logs.For(ctx, c.Tenant)
		if err != nil {
			return err
		}
		p.Parse(&parse.Record{
			Tenant: c.Tenant, Raw: c.Records[i], Arrived: c.Arrived, Peer: c.Peer, Stream: c.Stream, Source: c.Source, Input: quarantine.Door(c.Input), Key: c.Key, Settings: settings,
		}, &e)
		for _, f := range e.Fields {
			yield(f.Name, f.Value)
		}
		return nil
	}
}
