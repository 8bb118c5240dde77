package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/client"
	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/assess"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/demo"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/telemetry"
)

func newDemoCommand() *cobra.Command {
	listen, exit := "", false
	cmd := &cobra.Command{
		Use: "demo", Short: "replay a recorded attack into a throw-away server and tell what it found", Args: usageArgs(cobra.NoArgs),
		Long: "Starts a server in a temporary folder, replays a day of a small Linux and web estate with an attack\n" +
			"in it, and prints what was found and where to look. The server stays until Ctrl-C, then all is removed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), listen, exit)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address of the REST API")
	cmd.Flags().BoolVar(&exit, "exit", false, "end when the findings are printed")
	return cmd
}

func runDemo(ctx context.Context, out, errs io.Writer, listen string, exit bool) (err error) {
	dir, err := os.MkdirTemp("", "kyra-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := config.Default()
	cfg.Data, cfg.Listen = dir, listen
	cfg.Syslog.UDP, cfg.Syslog.TCP = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Retention.MinFreeBytes = 64 << 20
	cfg.Log.Level = "warn"
	cfg.WebhookAllow = []string{"127.0.0.1"} // where the demo's ticket system is
	child, err := childCommand()
	if err != nil {
		return err
	}
	s, err := app.Open(ctx, cfg, child, telemetry.NewLogger(errs, cfg.Log.SlogLevel(), cfg.Log.Format))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func() { close(ready) }) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended, s.Close())
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		return err
	}
	c, err := client.New(s.URL(), s.FirstKey, client.Options{UserAgent: "kyra-demo"})
	if err != nil {
		return err
	}
	if err := feedIndicators(ctx, s); err != nil {
		return err
	}
	if err := ownDomain(ctx, s); err != nil {
		return err
	}
	w, err := openWorld(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := replay(ctx, out, c, s); err != nil {
		return err
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	checks, err := s.Assess(ctx)
	if err != nil {
		return err
	}
	if err := tell(ctx, out, c, s, checks); err != nil {
		return err
	}
	if exit {
		return nil
	}
	fmt.Fprintln(out, "\nThe server stays until Ctrl-C; then everything is removed.")
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		ended <- nil
		return err
	}
}

// replay sends the recording, which ends now, and waits until it is processed.
func replay(ctx context.Context, out io.Writer, c *client.Client, s *app.Server) error {
	started := time.Now()
	fmt.Fprintln(out, "Replaying a day of a small estate, with an attack in it …")
	end := started.UTC().Truncate(time.Second)
	reader, writer := io.Pipe()
	go func() {
		var err error
		for l := range demo.Recording(end) {
			if _, err = io.WriteString(writer, l.Text+"\n"); err != nil {
				break
			}
		}
		writer.CloseWithError(err)
	}()
	sent, err := c.Send(ctx, "linux", reader, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  %d lines acknowledged after %.1f s\n", sent, time.Since(started).Seconds())
	for {
		done, err := s.Drained(ctx)
		if err != nil {
			return err
		}
		if done {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	found, err := c.Search(ctx, client.Query{Query: "*", From: end.Add(-demo.Day - time.Hour), To: end.Add(time.Hour), Limit: 1})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  %d events parsed, matched, stored and searchable after %.1f s\n", found.Total, time.Since(started).Seconds())
	if found.Total != sent {
		return fmt.Errorf("%d lines were acknowledged but %d events are found", sent, found.Total)
	}
	return nil
}

// tell prints what was found and where to look.
func tell(ctx context.Context, out io.Writer, c *client.Client, s *app.Server, checks *assess.Summary) error {
	var alerts []client.Alert
	for page := 0; ; page++ {
		p, err := c.Alerts(ctx, url.Values{"size": {"100"}, "page": {fmt.Sprint(page)}, "sort": {"lastSeen"}, "direction": {"asc"}})
		if err != nil {
			return err
		}
		alerts = append(alerts, p.Content...)
		if len(p.Content) == 0 || int64(len(alerts)) >= p.TotalElements {
			break
		}
	}
	byTactic, order := map[string][]client.Alert{}, []string{}
	counts := map[string]int{}
	for _, a := range alerts {
		if byTactic[a.MitreTactic] == nil {
			order = append(order, a.MitreTactic)
		}
		byTactic[a.MitreTactic] = append(byTactic[a.MitreTactic], a)
		counts[a.Severity]++
	}
	fmt.Fprintf(out, "\nFound: %d alerts over %d ATT&CK tactics (", len(alerts), len(order))
	for i, sev := range event.Severities {
		if i > 0 {
			fmt.Fprint(out, ", ")
		}
		fmt.Fprintf(out, "%d %s", counts[sev], sev)
	}
	fmt.Fprintln(out, ")")
	for _, tactic := range order {
		fmt.Fprintf(out, "\n%s\n", strings.ToUpper(tactic[:min(1, len(tactic))])+strings.ReplaceAll(tactic[min(1, len(tactic)):], "-", " "))
		for _, a := range byTactic[tactic] {
			fmt.Fprintf(out, "  %-8s %-10s %s\n           %s\n", a.Severity, a.MitreTechnique, a.Title, a.Description)
		}
	}
	incidents, err := c.Incidents(ctx, url.Values{"size": {"100"}, "sort": {"createdAt"}, "direction": {"asc"}})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d incidents\n", incidents.TotalElements)
	slices.SortStableFunc(incidents.Content, func(a, b client.Incident) int {
		return event.SeverityRank(b.Severity) - event.SeverityRank(a.Severity)
	})
	for _, i := range incidents.Content {
		fmt.Fprintf(out, "  %-8s %s (%d alerts)\n", i.Severity, i.Title, i.AlertCount)
	}
	fmt.Fprintf(out, "\nCompliance: %d checks for nine frameworks evaluated in %.1f s: %d pass, %d in part, %d fail, %d without data\n", checks.Evaluated, checks.Seconds, checks.Pass, checks.Partial, checks.Fail, checks.NoData)
	auth := fmt.Sprintf("-H 'Authorization: Bearer %s'", s.FirstKey)
	fmt.Fprintf(out, "\nLook for yourself (documentation: %s/api/v1/docs)\n", s.URL())
	fmt.Fprintf(out, "  curl %s '%s/api/v1/alerts?severity=critical,high&size=5'\n", auth, s.URL())
	fmt.Fprintf(out, "  curl %s '%s/api/v1/incidents?status=OPEN'\n", auth, s.URL())
	fmt.Fprintf(out, "  curl %s '%s/api/v1/compliance/ISMSP/coverage'\n", auth, s.URL())
	fmt.Fprintf(out, "  curl %s -H 'Content-Type: application/json' -d '{\"query\":\"program:sshd AND user:root\",\"limit\":5}' %s/api/v1/siem/search\n", auth, s.URL())
	return nil
}
