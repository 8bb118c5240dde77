package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/config"
	"github.com/kyra-mdr/kyra/internal/telemetry"
)

// serverFlags are the settings that `serve` takes on the command line; they win
// over file and environment.
type serverFlags struct {
	config, data, listen, syslogUDP, syslogTCP string
	webhookAllow                               []string
}

func (f *serverFlags) add(cmd *cobra.Command) {
	d := config.Default()
	cmd.Flags().StringVar(&f.config, "config", "", "YAML file; see kyra config")
	cmd.Flags().StringVar(&f.data, "data", d.Data, "data folder")
	cmd.Flags().StringVar(&f.listen, "listen", d.Listen, "address of the REST API")
	cmd.Flags().StringVar(&f.syslogUDP, "syslog-udp", d.Syslog.UDP, "address for syslog over UDP, empty for none")
	cmd.Flags().StringVar(&f.syslogTCP, "syslog-tcp", d.Syslog.TCP, "address for syslog over TCP, empty for none")
	cmd.Flags().StringArrayVar(&f.webhookAllow, "webhook-allow", nil, "internal network that webhooks and other outbound calls may reach, such as 10.0.0.0/8")
}

// load returns the checked settings in force.
func (f *serverFlags) load(cmd *cobra.Command) (config.Config, error) {
	cfg, err := config.Load(f.config, os.Environ())
	if err != nil {
		return cfg, err
	}
	for name, set := range map[string]func(){
		"data":          func() { cfg.Data = f.data },
		"listen":        func() { cfg.Listen = f.listen },
		"syslog-udp":    func() { cfg.Syslog.UDP = f.syslogUDP },
		"syslog-tcp":    func() { cfg.Syslog.TCP = f.syslogTCP },
		"webhook-allow": func() { cfg.Webhooks.Allow = f.webhookAllow },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("configuration: %w", err)
	}
	return cfg, nil
}

func newServeCommand() *cobra.Command {
	flags := &serverFlags{}
	cmd := &cobra.Command{
		Use: "serve", Short: "run the platform", Args: usageArgs(cobra.NoArgs),
		Long: "Runs everything in this process and its child: the REST API, syslog, queue, pipeline, event store\n" +
			"and database, with all data in one folder. The first start makes an API key, prints it, and writes\n" +
			"it into DIR/first-key. It stops in order on SIGTERM or Ctrl-C; a second signal ends it at once.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			log := telemetry.NewLogger(cmd.ErrOrStderr(), cfg.Log.SlogLevel(), cfg.Log.Format)
			return serve(cmd.Context(), cmd.OutOrStdout(), cfg, log)
		},
	}
	flags.add(cmd)
	return cmd
}

// stopWithin bounds an orderly stop. What is not processed by then stays in the
// queue for the next start.
const stopWithin = 30 * time.Second

func serve(ctx context.Context, out io.Writer, cfg config.Config, log *slog.Logger) error {
	child, err := childCommand()
	if err != nil {
		return err
	}
	s, err := app.Open(ctx, cfg, child, log)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(stopWithin, func() {
			fmt.Fprintln(os.Stderr, "kyra: stopping took too long: ended; nothing acknowledged is lost")
			os.Exit(exitFailed)
		})
	})()
	err = s.Run(ctx, func() { announce(out, cfg, s) })
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	return err
}

// childCommand is how the event store's child is started: this program itself.
func childCommand() ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{exe, "eventstore"}, nil
}

func announce(out io.Writer, cfg config.Config, s *app.Server) {
	fmt.Fprintf(out, "kyra %s\n", app.Version())
	fmt.Fprintf(out, "  API     %s/api/v1  (documentation: %s/api/v1/docs)\n", s.URL(), s.URL())
	udp, tcp, tls := s.SyslogAddrs()
	for _, l := range []struct{ name, addr string }{{"udp", udp}, {"tcp", tcp}, {"tls", tls}} {
		if l.addr != "" {
			fmt.Fprintf(out, "  syslog  %s %s\n", l.name, l.addr)
		}
	}
	fmt.Fprintf(out, "  data    %s\n", cfg.Data)
	if s.FirstKey != "" {
		fmt.Fprintf(out, "  key     %s  (read-write, shown once; also in %s/first-key)\n", s.FirstKey, cfg.Data)
	}
	if s.SetupLink != "" {
		fmt.Fprintf(out, "  set up  %s  (makes the first account, once; also in %s/setup-link)\n", s.SetupLink, cfg.Data)
	}
	fmt.Fprintln(out, "ready")
}
