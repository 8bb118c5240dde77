package connector

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/kyra-mdr/kyra/internal/fault"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// What goes through a connector is counted by the minute: in memory, and every few
// seconds added to the database, where the counts of all servers meet.

// A Minute is what happened in one.
type Minute struct {
	Sent, Failed, Bytes int64
	Latencies           map[int]int64 // attempts by step of the scale
}

type minuteOf struct {
	connector string
	minute    int64
}

type traffic struct {
	mu      sync.Mutex
	minutes map[minuteOf]*Minute
}

const (
	keepMinutes = 61
	// The scale of latencies begins at 100 µs and has four steps for each doubling.
	scaleFrom  = 100 * time.Microsecond
	scaleSteps = 4
	scaleEnd   = 96 // nearly half an hour
)

func step(d time.Duration) int {
	if d <= scaleFrom {
		return 0
	}
	return min(int(math.Ceil(scaleSteps*math.Log2(float64(d)/float64(scaleFrom)))), scaleEnd)
}

// stepEnd is the longest latency of a step.
func stepEnd(n int) time.Duration {
	return time.Duration(float64(scaleFrom) * math.Exp2(float64(n)/scaleSteps))
}

// Count notes one attempt to send so many bytes through a connector.
func (s *Service) Count(connector string, ok bool, bytes int, latency time.Duration) {
	s.countMany(connector, ok, 1, bytes, latency)
}

// countMany notes one attempt to send so many messages at once.
func (s *Service) countMany(connector string, ok bool, messages int64, bytes int, latency time.Duration) {
	t := &s.traffic
	k := minuteOf{connector, s.Now().Unix() / 60}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.minutes[k]
	if m == nil {
		m = &Minute{Latencies: map[int]int64{}}
		t.minutes[k] = m
	}
	if ok {
		m.Sent += messages
		m.Bytes += int64(bytes)
	} else {
		m.Failed++
	}
	m.Latencies[step(latency)]++
}

// flush adds what was counted to the database.
func (s *Service) flush(ctx context.Context) error {
	t := &s.traffic
	t.mu.Lock()
	counted := t.minutes
	t.minutes = map[minuteOf]*Minute{}
	t.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	err := s.db.Tx(ctx, func(tx *sqldb.DB) error {
		for k, m := range counted {
			if err := keep(ctx, tx, k, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // counted again with the next
		t.mu.Lock()
		defer t.mu.Unlock()
		for k, m := range counted {
			if have := t.minutes[k]; have != nil {
				m.add(have)
			}
			t.minutes[k] = m
		}
	}
	return fault.Wrap("keep what went through connectors", err)
}

func keep(ctx context.Context, tx *sqldb.DB, k minuteOf, m *Minute) error {
	// A connector that is gone has no counts; its row is held against other servers.
	n, err := sqldb.Exec(ctx, tx, `UPDATE connector SET check_at = check_at WHERE id = $1`, k.connector)
	if err != nil || n == 0 {
		return err
	}
	have, err := sqldb.All(ctx, tx, scanMinute, `SELECT sent, failed, bytes, latencies FROM connector_minute WHERE connector_id = $1 AND minute = $2`, k.connector, k.minute)
	if err != nil {
		return err
	}
	sum := &Minute{Latencies: map[int]int64{}}
	sum.add(m)
	for i := range have {
		sum.add(&have[i])
	}
	text, err := json.Marshal(sum.Latencies)
	if err != nil {
		return err
	}
	_, err = sqldb.Exec(ctx, tx, `INSERT INTO connector_minute (connector_id, minute, sent, failed, bytes, latencies) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (connector_id, minute) DO UPDATE SET sent = $3, failed = $4, bytes = $5, latencies = $6`, k.connector, k.minute, sum.Sent, sum.Failed, sum.Bytes, string(text))
	return err
}

func scanMinute(rows *sql.Rows, m *Minute) error {
	var text string
	if err := rows.Scan(&m.Sent, &m.Failed, &m.Bytes, &text); err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), &m.Latencies)
}

func (m *Minute) add(other *Minute) {
	m.Sent += other.Sent
	m.Failed += other.Failed
	m.Bytes += other.Bytes
	for k, n := range other.Latencies {
		m.Latencies[k] += n
	}
}

// quantile is the latency that the part q of the attempts did not exceed, to the end of
// its step, which is at most a fifth above it; 0 where there were none.
func (m *Minute) quantile(q float64) time.Duration {
	var all int64
	for _, n := range m.Latencies {
		all += n
	}
	if all == 0 {
		return 0
	}
	rank := int64(math.Ceil(q * float64(all)))
	for i := 0; i <= scaleEnd; i++ {
		if rank -= m.Latencies[i]; rank <= 0 {
			return stepEnd(i)
		}
	}
	return stepEnd(scaleEnd)
}

// Windows are the spans that metrics are given for.
var Windows = []struct {
	Name    string
	Minutes int64
}{{"1m", 1}, {"5m", 5}, {"15m", 15}, {"1h", 60}}

// Metrics is what went through a connector within a window that ends now.
type Metrics struct {
	Window              string
	Sent, Failed, Bytes int64
	P50, P95            time.Duration // of all attempts, failed ones too
}

// Metrics returns what went through the tenant's connector, one for each of Windows. A
// window reaches back to the begin of its first minute.
func (s *Service) Metrics(ctx context.Context, tenant uint32, id string) ([]Metrics, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	now := s.now().Unix() / 60
	sums := make([]Minute, len(Windows))
	err := s.db.View(ctx, func(tx *sqldb.DB) error {
		c, err := byID(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		for i, w := range Windows {
			sums[i].Latencies = map[int]int64{}
			minutes, err := sqldb.All(ctx, tx, scanMinute, `SELECT sent, failed, bytes, latencies FROM connector_minute WHERE connector_id = $1 AND minute >= $2`, c.ID, now-w.Minutes)
			if err != nil {
				return err
			}
			for j := range minutes {
				sums[i].add(&minutes[j])
			}
		}
		return nil
	})
	if err != nil {
		return nil, fault.Wrap("measure connector", err)
	}
	out := make([]Metrics, len(Windows))
	for i := range sums {
		m := &sums[i]
		out[i] = Metrics{Windows[i].Name, m.Sent, m.Failed, m.Bytes, m.quantile(0.5), m.quantile(0.95)}
	}
	return out, nil
}
