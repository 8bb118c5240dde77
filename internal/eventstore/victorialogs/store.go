package victorialogs

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/app/vlstorage/netinsert"
	"github.com/VictoriaMetrics/VictoriaLogs/app/vlstorage/netselect"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/logger"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/promauth"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/eventstore"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// A Node is a storage node to work with.
type Node struct {
	Addr     string // host:port
	Username string // for basic authentication, if any
	Password string
	TLS      bool

	// Dir is the node's data folder where it is on this machine: snapshots,
	// which make rows durable, can then be removed again. Without it Sync waits
	// for the node's own writing instead.
	Dir string
}

// Config says which nodes a Store uses and what a search may cost.
type Config struct {
	Nodes  []Node       // none: SetNodes gives them later
	Logger *slog.Logger // required

	QueryTimeout  time.Duration // for one search, default 30 s
	QueryParallel int           // searches at a time, default 4
	FlushInterval time.Duration // of nodes without Dir (-inmemoryDataFlushInterval), default 5 s
}

// Store is an eventstore.Store on storage nodes.
type Store struct {
	log     *slog.Logger
	timeout time.Duration
	flush   time.Duration
	queries *semaphore.Weighted
	http    *http.Client
	zstd    *zstd.Encoder
	buffers sync.Pool // *[]byte

	cluster atomic.Pointer[cluster]
	epoch   atomic.Uint64

	// gate is held for reading while rows are on their way, and for writing
	// where there must be none.
	gate sync.RWMutex

	mu   sync.Mutex // guards what follows
	enc  *encoder
	days map[int64]struct{} // with rows that may be unsynced
}

var _ eventstore.Store = (*Store)(nil)

// cluster is the nodes at one time.
type cluster struct {
	nodes   []*node
	selects *netselect.Storage
}

type node struct {
	Node
	base  string // URL without path
	start atomic.Uint64
}

// parseFlags satisfies the VictoriaMetrics libraries, which refuse to work
// before the flags were parsed.
var parseFlags = sync.OnceFunc(func() {
	if !flag.Parsed() {
		_ = flag.CommandLine.Parse(nil)
	}
})

// queryMemory bounds what the libraries take in this process to join the answers of
// nodes; unset they would reckon with most of the machine's memory.
const queryMemory = "536870912"

// setUpClient sets the libraries up for asking nodes, once, unless this process is
// a node.
var setUpClient = sync.OnceFunc(func() {
	if !flag.Parsed() {
		for name, value := range map[string]string{"memory.allowedBytes": queryMemory, "loggerLevel": "WARN"} {
			_ = flag.Set(name, value) // both are there: the node sets them too, and checks
		}
	}
	parseFlags()
	logger.InitNoLogFlags()
})

// New returns a store on the nodes. It does not talk to them yet.
func New(c Config) (*Store, error) {
	setUpClient()
	if c.QueryTimeout == 0 {
		c.QueryTimeout = 30 * time.Second
	}
	if c.QueryParallel == 0 {
		c.QueryParallel = 4
	}
	if c.FlushInterval == 0 {
		c.FlushInterval = 5 * time.Second
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("make a compressor: %w", err)
	}
	s := &Store{
		log: c.Logger, timeout: c.QueryTimeout, flush: c.FlushInterval,
		queries: semaphore.NewWeighted(int64(c.QueryParallel)),
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, DisableCompression: true}},
		zstd:    enc,
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		days:    map[int64]struct{}{},
		enc:     newEncoder(max(len(c.Nodes), 1), strconv.FormatInt(time.Now().UnixNano(), 36)),
	}
	s.epoch.Store(1)
	if len(c.Nodes) > 0 {
		if err := s.SetNodes(c.Nodes); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SetNodes gives the nodes to work with from now on, or new addresses of them.
// Their number must not change.
func (s *Store) SetNodes(nodes []Node) error {
	c := &cluster{}
	var addrs []string
	var auth []*promauth.Config
	var tls []bool
	compress := false
	for _, n := range nodes {
		var options promauth.Options
		if n.Username != "" {
			options.BasicAuth = &promauth.BasicAuthConfig{Username: n.Username, Password: promauth.NewSecret(n.Password)}
		}
		a, err := options.NewConfig()
		if err != nil {
			return fmt.Errorf("prepare the node %s: %w", n.Addr, err)
		}
		scheme := "http://"
		if n.TLS {
			scheme = "https://"
		}
		addrs, auth, tls = append(addrs, n.Addr), append(auth, a), append(tls, n.TLS)
		compress = compress || n.Dir == ""
		c.nodes = append(c.nodes, &node{Node: n, base: scheme + n.Addr})
	}
	c.selects = netselect.NewStorage(addrs, auth, tls, !compress)
	s.cluster.Store(c)
	return nil
}

// lost notes that unsynced rows may be gone.
func (s *Store) lost() { s.epoch.Add(1) }

// Epoch implements eventstore.Store.
func (s *Store) Epoch() uint64 { return s.epoch.Load() }

// Counts returns what Append met that should be seldom, since the start.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enc.counts
}

// nodes returns the nodes, or an error while there are none.
func (s *Store) nodes() (*cluster, error) {
	c := s.cluster.Load()
	if c == nil {
		return nil, fault.New(fault.Unavailable, "the event store is starting")
	}
	return c, nil
}

// Rows go to a node in requests of about batchBytes; appendParallel of them at a
// time from one Append.
const (
	batchBytes     = 1 << 20
	appendParallel = 2
)

// Append implements eventstore.Store.
func (s *Store) Append(ctx context.Context, events []event.Event) error {
	c, err := s.nodes()
	if err != nil {
		return err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	given := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(appendParallel)
	bufs := make([]*[]byte, len(c.nodes))
	raws := make([][]byte, len(c.nodes))
	send := func(i int) {
		buf := bufs[i]
		*buf = raws[i]
		bufs[i], raws[i] = nil, nil
		group.Go(func() error {
			defer s.buffers.Put(buf)
			return s.insert(ctx, c.nodes[i], *buf)
		})
	}
	var days []int64
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, d := range days { // only now: a Sync meanwhile cannot have covered them
			s.days[d] = struct{}{}
		}
	}()
	for len(events) > 0 && ctx.Err() == nil {
		for i := range bufs {
			if bufs[i] == nil {
				bufs[i] = s.buffers.Get().(*[]byte)
				raws[i] = (*bufs[i])[:0]
			}
		}
		n, full := s.encode(raws, events, &days)
		events = events[n:]
		if full >= 0 {
			send(full)
		}
	}
	for i := range bufs {
		if bufs[i] != nil && len(raws[i]) > 0 {
			send(i)
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return given.Err()
}

// encode turns events into rows until a buffer is full, and returns how many
// and which buffer. It adds the days of the events to days.
func (s *Store) encode(raws [][]byte, events []event.Event, days *[]int64) (n, full int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enc.days = *days
	defer func() { *days = s.enc.days }()
	for i := range events {
		s.enc.add(raws, &events[i])
		for j := range raws {
			if len(raws[j]) >= batchBytes {
				return i + 1, j
			}
		}
	}
	return len(events), -1
}

// insert posts rows and waits for the answer.
func (s *Store) insert(ctx context.Context, n *node, rows []byte) error {
	body, encoding := rows, ""
	if n.Dir == "" { // on a network; over the loopback compressing costs more than it saves
		buf := s.buffers.Get().(*[]byte)
		defer s.buffers.Put(buf)
		*buf = s.zstd.EncodeAll(rows, (*buf)[:0])
		body, encoding = *buf, "zstd"
	}
	_, err := s.call(ctx, n, http.MethodPost, "/internal/insert?version="+url.QueryEscape(netinsert.ProtocolVersion), body, encoding)
	return err
}

// call asks a node and returns the answer's body. Whatever is wrong with the
// node is fault.Unavailable.
func (s *Store) call(ctx context.Context, n *node, method, path string, body []byte, encoding string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the event store: %w", err)
	}
	if n.Username != "" {
		req.SetBasicAuth(n.Username, n.Password)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unavailable(err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	err = errors.Join(err, resp.Body.Close())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unavailable(err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, unavailable(fmt.Errorf("%s %s: %s: %.500s", method, req.URL.Path, resp.Status, answer))
	}
	return answer, nil
}

func unavailable(cause error) error {
	return fault.New(fault.Unavailable, "the event store does not answer").Because(cause)
}

// Close implements eventstore.Store.
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return s.zstd.Close()
}
