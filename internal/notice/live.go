package notice

import (
	"context"
	"fmt"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

const (
	maxStreams = 256 // open at a time, of all tenants
	feedSize   = 100 // notices that are read at a time
)

// A Stream is a reader who wants notices as they come.
type Stream struct {
	s      *Service
	reader Reader
	after  int64 // seq of the last one that was handed over
	news   chan struct{}
}

// Follow opens a stream of notices after seq; a negative one means after the newest. Close
// it. Too many at a time are fault.Unavailable.
func (s *Service) Follow(ctx context.Context, r Reader, after int64) (*Stream, error) {
	if after < 0 {
		last, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT seq FROM notice_seq WHERE one = 1`)
		if err != nil {
			return nil, fault.Wrap("follow notices", err)
		}
		after = last
	}
	st := &Stream{s: s, reader: r, after: after, news: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.streams) >= maxStreams {
		return nil, fault.New(fault.Unavailable, "too many streams are open: close one")
	}
	s.streams[st] = struct{}{}
	st.news <- struct{}{} // there may be some already
	return st, nil
}

// News tells when Next may have something. It is closed when the server stops.
func (st *Stream) News() <-chan struct{} { return st.news }

// Next returns notices that the reader wants and has not been given, oldest first; none
// where there are none. more says that there may be others at once.
func (st *Stream) Next(ctx context.Context) (list []Notice, more bool, err error) {
	err = st.s.db.View(ctx, func(tx *sqldb.DB) error {
		p, err := preferences(ctx, tx, st.reader)
		if err != nil {
			return err
		}
		// What is not wanted is passed over, not looked at again.
		all, err := sqldb.All(ctx, tx, scanNotice, fmt.Sprintf("%s WHERE n.tenant = $1 AND n.seq > $3 ORDER BY n.seq LIMIT $4", selectNotice), int64(st.reader.Tenant), st.reader.ID, st.after, feedSize)
		if err != nil {
			return err
		}
		more = len(all) == feedSize
		for i := range all {
			st.after = all[i].Seq
			if p.InApp.wants(&all[i].Message) {
				list = append(list, all[i])
			}
		}
		return nil
	})
	return list, more, fault.Wrap("follow notices", err)
}

// Close ends the stream.
func (st *Stream) Close() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	delete(st.s.streams, st)
}

// CloseStreams ends all streams and lets no others begin: the server stops.
func (s *Service) CloseStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for st := range s.streams {
		close(st.news)
	}
}

// feed wakes the streams of tenants that have something new.
func (s *Service) feed(ctx context.Context) error {
	s.mu.Lock()
	n := len(s.streams)
	s.mu.Unlock()
	if n == 0 {
		return nil
	}
	last, err := sqldb.One(ctx, s.db, sqldb.Value[int64], `SELECT seq FROM notice_seq WHERE one = 1`)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || last == s.fed {
		return nil
	}
	s.fed = last
	for st := range s.streams {
		select {
		case st.news <- struct{}{}:
		default:
		}
	}
	return nil
}
