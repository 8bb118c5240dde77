package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// Config says where the queue lies and how much it holds.
type Config struct {
	URL        string // NATS servers, comma separated; "" runs an embedded server in Dir
	Dir        string // folder of the embedded server
	Partitions int    // used when the queue is made; an existing queue keeps its own
	MaxBytes   int64  // of all partitions together; beyond it Append refuses
	Replicas   int    // copies in a cluster
}

// streamName names the stream of a partition; its one subject is subject(p).
func streamName(partition int) string { return fmt.Sprintf("KYRA_EVENTS_%d", partition) }
func subject(partition int) string    { return fmt.Sprintf("kyra.events.%d", partition) }

// maxPartitions is what event.ID and the look-up of existing streams allow for.
const maxPartitions = 256

// Queue is an open queue. Append works while Run does.
type Queue struct {
	log        *slog.Logger
	ns         *server.Server // nil when the server is not ours
	nc         *nats.Conn
	js         jetstream.JetStream
	streams    []jetstream.Stream
	partitions []*appender
}

// Open connects to the queue, making what is missing. after tells the last
// sequence that the caller knows of each partition: a queue that was emptied or
// lost goes on behind it, so that no id is ever given twice.
func Open(ctx context.Context, cfg Config, after map[int]uint64, log *slog.Logger) (*Queue, error) {
	q := &Queue{log: log}
	if err := q.connect(ctx, cfg); err != nil {
		q.Close()
		return nil, err
	}
	if err := q.openStreams(ctx, cfg, after); err != nil {
		q.Close()
		return nil, err
	}
	limit := min(maxBatch, int(q.nc.MaxPayload())/2)
	for p := range q.streams {
		codec, err := NewCodec()
		if err != nil {
			q.Close()
			return nil, err
		}
		q.partitions = append(q.partitions, &appender{
			queue: q, subject: subject(p), codec: codec, limit: limit,
			waiting: make(chan *request, 64), stopped: make(chan struct{}),
		})
	}
	return q, nil
}

func (q *Queue) connect(ctx context.Context, cfg Config) error {
	opts := []nats.Option{nats.Name("kyra"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.RetryOnFailedConnect(false)}
	address := cfg.URL
	if address == "" {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return fmt.Errorf("make queue folder: %w", err)
		}
		ns, err := server.NewServer(&server.Options{
			ServerName: "kyra", DontListen: true, JetStream: true, StoreDir: cfg.Dir,
			// JetStream's default syncs every two minutes and would lose what was acknowledged.
			SyncAlways: true, NoSigs: true, NoLog: true,
			JetStreamMaxMemory: 16 << 20, JetStreamMaxStore: cfg.MaxBytes + 64<<20, MaxPayload: 8 << 20,
		})
		if err != nil {
			return fmt.Errorf("make queue server: %w", err)
		}
		ns.Start()
		q.ns = ns
		if !ns.ReadyForConnections(30 * time.Second) {
			return errors.New("queue server did not come up within 30 s")
		}
		opts = append(opts, nats.InProcessServer(ns))
	}
	nc, err := nats.Connect(address, opts...)
	if err != nil {
		return fmt.Errorf("connect to the queue at %s: %w", place(address), err)
	}
	q.nc = nc
	q.js, err = jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	if _, err := q.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("JetStream is not enabled at %s: %w", place(address), err)
	}
	return nil
}

// place names the server without the password that its address may hold.
func place(addresses string) string {
	if addresses == "" {
		return "the embedded server"
	}
	var all []string
	for one := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			return "the address in queue.url, which is none"
		}
		if _, secret := u.User.Password(); u.User != nil && !secret {
			u.User = url.User("xxxxx") // a token
		}
		all = append(all, u.Redacted())
	}
	return strings.Join(all, ", ")
}

func (q *Queue) openStreams(ctx context.Context, cfg Config, after map[int]uint64) error {
	// An existing queue keeps its partitions: tenants must not move. The first
	// partition is made last, so that an interrupted start begins anew.
	if _, err := q.js.Stream(ctx, streamName(0)); errors.Is(err, jetstream.ErrStreamNotFound) {
		for p := max(cfg.Partitions, 1) - 1; p >= 0; p-- {
			if err := q.createStream(ctx, p, cfg, after[p]); err != nil {
				return fmt.Errorf("make queue partition %d: %w", p, err)
			}
		}
	}
	for p := range maxPartitions {
		s, err := q.js.Stream(ctx, streamName(p))
		if errors.Is(err, jetstream.ErrStreamNotFound) && p > 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("open queue partition %d: %w", p, err)
		}
		if last := s.CachedInfo().State.LastSeq; last < after[p] {
			q.log.WarnContext(ctx, "queue was emptied: going on behind the last known message", "partition", p, "last_seq", last, "known_seq", after[p])
			if err := s.Purge(ctx, jetstream.WithPurgeSequence(after[p]+1)); err != nil {
				return fmt.Errorf("move queue partition %d forward: %w", p, err)
			}
		}
		q.streams = append(q.streams, s)
	}
	return nil
}

func (q *Queue) createStream(ctx context.Context, p int, cfg Config, after uint64) error {
	_, err := q.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName(p), Subjects: []string{subject(p)}, Description: "raw event batches of KYRA",
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		Discard:  jetstream.DiscardNew, // full means that Append refuses, never that old batches go
		MaxBytes: cfg.MaxBytes / int64(max(cfg.Partitions, 1)), Replicas: max(cfg.Replicas, 1), FirstSeq: after + 1,
		Duplicates: time.Minute,
	})
	const noRoom = 10047 // JSStorageResourcesExceededErr: what streams may grow to is set aside at once
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.ErrorCode == noRoom {
		return fmt.Errorf("%s cannot set %d bytes aside on its disk: free some, give its JetStream more (max_file_store), or set queue.max_bytes lower: %w", place(cfg.URL), cfg.MaxBytes, err)
	}
	return err
}

// Close ends the connection and the embedded server. Call it after Run ended.
func (q *Queue) Close() {
	if q.nc != nil {
		q.nc.Close()
	}
	if q.ns != nil {
		q.ns.Shutdown()
		q.ns.WaitForShutdown()
	}
}

// Partitions returns how many partitions there are.
func (q *Queue) Partitions() int { return len(q.streams) }

// Partition returns where a tenant's events go, always the same for one queue.
func (q *Queue) Partition(tenant uint32) int {
	h := tenant * 0x9E3779B1 // Fibonacci hashing spreads the small numbers
	return int(uint64(h) * uint64(len(q.streams)) >> 32)
}

// LastSeq returns the sequence of the newest message of a partition, 0 where there was none.
func (q *Queue) LastSeq(ctx context.Context, partition int) (uint64, error) {
	info, err := q.streams[partition].Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask queue partition %d: %w", partition, err)
	}
	return info.State.LastSeq, nil
}

// Begin returns the sequence before the oldest message of a partition: what came up
// to it is gone from the queue.
func (q *Queue) Begin(ctx context.Context, partition int) (uint64, error) {
	info, err := q.streams[partition].Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask queue partition %d: %w", partition, err)
	}
	if info.State.Msgs == 0 {
		return info.State.LastSeq, nil
	}
	return info.State.FirstSeq - 1, nil
}

// Backlog returns messages and bytes that lie in all partitions.
func (q *Queue) Backlog(ctx context.Context) (messages, bytes uint64, err error) {
	for p, s := range q.streams {
		info, err := s.Info(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("ask queue partition %d: %w", p, err)
		}
		messages += info.State.Msgs
		bytes += info.State.Bytes
	}
	return messages, bytes, nil
}

// Trim forgets the messages of a partition up to and including seq.
func (q *Queue) Trim(ctx context.Context, partition int, seq uint64) error {
	if err := q.streams[partition].Purge(ctx, jetstream.WithPurgeSequence(seq+1)); err != nil {
		return fmt.Errorf("trim queue partition %d: %w", partition, err)
	}
	return nil
}

// A Message is one batch of the queue in its place.
type Message struct {
	Seq     uint64
	Payload []byte // what Codec.Decode reads
}

// idleAfter is how long Consume waits for a message before it says so.
const idleAfter = 500 * time.Millisecond

// Consume calls f with each message of a partition after the given sequence,
// in order, and waits for more, until ctx is done (then it returns nil) or f
// fails (then it returns that error). It calls idle about twice a second while
// no message comes.
func (q *Queue) Consume(ctx context.Context, partition int, after uint64, f func(Message) error, idle func() error) error {
	c, err := q.js.OrderedConsumer(ctx, streamName(partition), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		return fmt.Errorf("consume queue partition %d: %w", partition, err)
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(16))
	if err != nil {
		return fmt.Errorf("consume queue partition %d: %w", partition, err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(idleAfter))
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, nats.ErrTimeout) {
			if err := idle(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("consume queue partition %d: %w", partition, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read place in queue partition %d: %w", partition, err)
		}
		if meta.Sequence.Stream <= after {
			continue
		}
		after = meta.Sequence.Stream
		if err := f(Message{after, m.Data()}); err != nil {
			return err
		}
	}
}

// classify turns the queue's refusals into faults that a door can answer.
func classify(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api) && (api.ErrorCode == 10077 || api.ErrorCode == 10047 || api.ErrorCode == 10023): // store failed (full), insufficient resources, storage exceeded
		return fault.New(fault.Unavailable, "the event queue is full: try again later").Because(err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.New(fault.TooLarge, "the event is larger than the queue takes: raise max_payload of the NATS server").Because(err)
	default:
		return fault.New(fault.Unavailable, "the event queue does not answer: try again later").Because(err)
	}
}
