package collector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"time"

	"github.com/kyra-mdr/kyra/internal/collector/protocol"
)

const (
	maxSkew   = 5 * time.Second // of the clock, beyond which it is said
	earlyFail = 2 * time.Second // within which a pushed source that cannot start is noticed
)

// beats reports to the server until ctx is done.
func (a *Agent) beats(ctx context.Context) error {
	for {
		every := a.beat(ctx)
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// beat sends one heartbeat, does what the answer says, and returns when the next is due.
func (a *Agent) beat(ctx context.Context) time.Duration {
	every := protocol.HeartbeatInterval
	a.measure(time.Now())
	message := a.heartbeat()
	began := time.Now()
	message.Clock = began.UnixNano()
	var answer protocol.HeartbeatResponse
	call, cancel := context.WithTimeout(ctx, every)
	err := a.link.Load().call(call, protocol.PathHeartbeat, message, &answer)
	cancel()
	if ctx.Err() != nil {
		return every
	}
	a.beaten(err, began, answer.ServerTime)
	if err != nil {
		if !time.Now().Before(a.id.Load().leaf.NotAfter) {
			a.o.Log.ErrorContext(ctx, "the certificate has ended while the server could not be reached: enroll again, with --replace")
		}
		return every
	}
	if answer.Renew || time.Now().After(a.id.Load().renewAt()) {
		if err := a.renew(ctx); err != nil {
			a.o.Log.WarnContext(ctx, "cannot renew the certificate: it is tried again", "ends", a.id.Load().leaf.NotAfter, "error", err)
		}
	}
	if answer.Config != nil {
		a.push(ctx, answer.Config)
		return time.Second // so that the server knows soon
	}
	if answer.IntervalSeconds > 0 {
		every = min(max(time.Duration(answer.IntervalSeconds)*time.Second, time.Second), 5*time.Minute)
	}
	return every
}

// beaten notes the answer to a heartbeat.
func (a *Agent) beaten(err error, began time.Time, server int64) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	before := a.report
	a.report.beatError = text
	if err == nil {
		now := time.Now()
		a.report.beat = now
		if server > 0 {
			a.report.offset = began.Add(now.Sub(began) / 2).Sub(time.Unix(0, server))
		}
	}
	offset := a.report.offset
	a.mu.Unlock()
	switch {
	case text != before.beatError && err != nil:
		a.o.Log.Warn("heartbeat failed", "error", err)
	case text != before.beatError:
		a.o.Log.Info("heartbeats are answered again")
	}
	if offset.Abs() > maxSkew && before.offset.Abs() <= maxSkew {
		a.o.Log.Warn("the clock of this host differs from the server's", "ahead", offset.Round(time.Millisecond).String())
	}
}

// measure works out rates and the load since the measure before.
func (a *Agent) measure(now time.Time) {
	totals, used := a.spool.Totals(), cpuTime()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.report
	if span := now.Sub(r.measured); !r.measured.IsZero() && span > 0 {
		r.cpu = 100 * float64(used-r.usage) / float64(span)
		r.rates = map[string]float64{}
		for key, t := range totals {
			r.rates[key] = float64(t.Records-r.totals[key].Records) / span.Seconds()
		}
	}
	r.measured, r.usage, r.totals = now, used, totals
}

func (a *Agent) heartbeat() *protocol.Heartbeat {
	depth := a.spool.Depth()
	a.mu.Lock()
	defer a.mu.Unlock()
	h := &protocol.Heartbeat{
		Version: a.o.Version, OSFamily: runtime.GOOS, Hostname: a.hostname(),
		CPUPercent: a.report.cpu, MemoryBytes: residentBytes(),
		SpoolBytes: depth.Bytes, SpoolRecords: depth.Records, SpoolLimit: depth.Limit,
		Sources:        a.sourceReports(),
		ConfigRevision: a.pushed.Revision, ConfigRefused: a.refused, ConfigError: cut(a.wrong, 1000),
	}
	if !depth.Oldest.IsZero() {
		h.OldestSpooled = &depth.Oldest
	}
	return h
}

func (a *Agent) hostname() string {
	if a.config != nil && a.config.Host != "" {
		return a.config.Host
	}
	return a.o.Host
}

// sourceReports tells of every source. The caller holds mu.
func (a *Agent) sourceReports() []protocol.SourceReport {
	totals := a.spool.Totals()
	out := make([]protocol.SourceReport, 0, len(a.running))
	for _, name := range sortedKeys(a.running) {
		r := a.running[name]
		t := totals[r.key()]
		r.mu.Lock()
		s := protocol.SourceReport{
			Name: name, Type: r.common.Type, Records: t.Records, Bytes: t.Bytes, Filtered: t.Filtered, Dropped: t.Dropped,
			Errors: r.errors, LastError: cut(r.last, 500), Rate: a.report.rates[r.key()],
		}
		if !r.record.IsZero() {
			at := r.record
			s.LastRecord = &at
		}
		r.mu.Unlock()
		out = append(out, s)
	}
	return out
}

// cut bounds a text that is shown.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// renew asks for a certificate for a new key and uses it from the next connection on.
func (a *Agent) renew(ctx context.Context) error {
	a.renewed.Lock()
	defer a.renewed.Unlock()
	old := a.id.Load()
	key, text, err := newKey()
	if err != nil {
		return err
	}
	csr, err := request(key, a.o.Host)
	if err != nil {
		return err
	}
	var answer protocol.RenewResponse
	if err := a.link.Load().call(ctx, protocol.PathRenew, protocol.RenewRequest{CSR: csr}, &answer); err != nil {
		return err
	}
	// The authority is pinned: another one is not taken from an answer.
	id := &identity{ID: old.ID, Machine: old.Machine, Key: text, Certificate: answer.Certificate, CA: old.CA}
	if err := id.open(); err != nil {
		return fmt.Errorf("the new certificate cannot be used: %w", err)
	}
	if err := id.write(a.o.Paths); err != nil {
		return err
	}
	a.id.Store(id)
	a.link.Load().close() // idle connections show the old one
	a.o.Log.InfoContext(ctx, "certificate renewed", "ends", id.leaf.NotAfter)
	return nil
}

// push takes a configuration from the server. Where it has faults, or a new source
// of it cannot start, the one before stays or comes back, and the next heartbeat
// says why.
func (a *Agent) push(ctx context.Context, c *protocol.Config) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.mu.Lock()
	before := a.pushed
	a.mu.Unlock()
	err := a.tryPush(ctx, c, before)
	a.mu.Lock()
	if err != nil {
		a.wrong, a.refused = err.Error(), c.Revision
	} else {
		a.wrong, a.refused = "", ""
		a.pushed = managed{c.Revision, c.Files}
	}
	a.mu.Unlock()
	if err != nil {
		a.o.Log.ErrorContext(ctx, "the pushed configuration was refused: the one before stays in force", "revision", c.Revision, "error", err)
		return
	}
	a.o.Log.InfoContext(ctx, "pushed configuration in force", "revision", c.Revision, "files", len(c.Files))
}

func (a *Agent) tryPush(ctx context.Context, c *protocol.Config, before managed) error {
	if err := checkPushed(c); err != nil {
		return err
	}
	config, err := load(a.o.Paths, c.Files, a.env())
	if err != nil {
		return err
	}
	err = early(ctx, a.apply(config))
	if err == nil {
		err = managed{c.Revision, maps.Clone(c.Files)}.write(a.o.Paths)
	}
	if err == nil {
		return nil
	}
	old, backErr := load(a.o.Paths, before.Files, a.env())
	if backErr != nil {
		return errors.Join(err, backErr)
	}
	a.apply(old)
	return err
}

// early waits a moment for pushed sources that cannot start.
func early(ctx context.Context, started []*running) error {
	over := time.NewTimer(earlyFail)
	defer over.Stop()
	for _, r := range started {
		if !r.pushed {
			continue
		}
		select {
		case <-r.failed:
			r.mu.Lock()
			defer r.mu.Unlock()
			return fmt.Errorf("source %s cannot start: %s", r.name, r.last)
		case <-over.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
