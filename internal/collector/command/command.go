// Package command is the command line of the collector: enroll, run, status,
// reload, uninstall. The platform's program has it as a subcommand; a small
// program of its own holds nothing else.
package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/collector"
)

// options are what all commands are told.
type options struct {
	config, state, dir string
	version            string
	usage              error // wrapped by errors of wrong usage
}

// New returns the command. usage is wrapped by errors of wrong usage.
func New(use, version string, usage error) *cobra.Command {
	o := &options{version: version, usage: usage}
	root := &cobra.Command{
		Use: use, Short: "collect logs on this host and send them to a server",
		Long: "Reads logs where this host has them and sends them over mutual TLS, outbound only. What is read\n" +
			"lies on disk before it is sent, and until the server has acknowledged it.\n\n" +
			"Begin with: enroll --server https://HOST:PORT --token-file FILE",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&o.config, "config", "", "settings ("+defaultConfig()+"); sources.d lies beside the file")
	root.PersistentFlags().StringVar(&o.state, "state", "", "folder of identity and spool ("+defaultState()+")")
	root.PersistentFlags().StringVar(&o.dir, "dir", "", "one folder for settings and state, instead of both")
	root.AddCommand(o.enroll(), o.run(), o.status(), o.reload(), o.uninstall())
	return root
}

func (o *options) paths() collector.Paths {
	p := collector.Paths{Config: cmp.Or(o.config, defaultConfig()), State: cmp.Or(o.state, defaultState())}
	if o.dir != "" {
		p = collector.Paths{Config: cmp.Or(o.config, filepath.Join(o.dir, "collector.yaml")), State: cmp.Or(o.state, filepath.Join(o.dir, "state"))}
	}
	return p
}

func (o *options) wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", fmt.Errorf(format, args...), o.usage)
}

func (o *options) enroll() *cobra.Command {
	var e collector.Enrolment
	var file string
	var service bool
	cmd := &cobra.Command{
		Use: "enroll --server URL --token-file FILE", Short: "give this host an identity, with a one-time token", Args: cobra.NoArgs,
		Long: "Makes a key on this host and has it certified by the server that made the token. The token names\n" +
			"the server's authority, so no other certificate is needed. The token comes from a file, from\n" +
			"standard input (--token-file -) or from KYRA_ENROLL_TOKEN: others on this host can read\n" +
			"the command line.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if service {
				if err := serviceFolders(o.paths()); err != nil { // before the token is used up
					return err
				}
				if e.Server == "" && file == "" {
					if err := collector.CheckEnrolled(o.paths()); !errors.Is(err, collector.ErrNotEnrolled) {
						if err != nil {
							return err
						}
						if _, err := collector.Ask(cmd.Context(), o.paths(), "GET", "/status"); err == nil {
							return errors.New("a collector runs in these folders, and the service could not: end it first")
						}
						return installService(cmd.Context(), cmd.OutOrStdout(), o.paths())
					}
				}
			}
			if e.Server == "" {
				return o.wrong("no server: give --server https://HOST:PORT")
			}
			token, err := readToken(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			if e.Token = token; token == "" {
				return o.wrong("no token: give --token-file or KYRA_ENROLL_TOKEN")
			}
			if e.Host == "" {
				e.Host = hostname()
			}
			e.Version = o.version
			id, err := collector.Enroll(cmd.Context(), o.paths(), e)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "enrolled as %s\n", id)
			if _, err := collector.Ask(cmd.Context(), o.paths(), "POST", "/reload"); err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "the running collector uses it now")
				return nil
			}
			if service {
				return installService(cmd.Context(), cmd.OutOrStdout(), o.paths())
			}
			var folders strings.Builder
			for _, f := range []struct{ name, value string }{{"dir", o.dir}, {"config", o.config}, {"state", o.state}} {
				if strings.ContainsAny(f.value, " \t") {
					f.value = strconv.Quote(f.value)
				}
				if f.value != "" {
					folders.WriteString(" --" + f.name + " " + f.value)
				}
			}
			start, asService := cmd.Parent().CommandPath()+" run"+folders.String(), ", or as a service with: "+cmd.CommandPath()+" --service"+folders.String()
			if serviceFolders(o.paths()) != nil {
				asService = ""
			}
			fmt.Fprintf(cmd.OutOrStdout(), "sources are in %s; start with: %s%s\n", o.paths().Sources(), start, asService)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.Server, "server", "", "address of the server, https://HOST:PORT")
	f.StringVar(&file, "token-file", "", "file that holds the token, - for standard input")
	f.StringVar(&e.Host, "host", "", "how this host calls itself (its host name)")
	f.BoolVar(&e.Replace, "replace", false, "give up the identity that this host has")
	f.BoolVar(&e.Bare, "without-sources", false, "set up no source for the system's own log")
	f.BoolVar(&service, "service", false, "install and start the system service; alone, for a host that is enrolled already")
	return cmd
}

func readToken(in io.Reader, file string) (string, error) {
	switch file {
	case "":
		return strings.TrimSpace(os.Getenv("KYRA_ENROLL_TOKEN")), nil
	case "-":
		text, err := io.ReadAll(io.LimitReader(in, 4096))
		return strings.TrimSpace(string(text)), err
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return name
}

func (o *options) run() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "collect and send until the process is told to end", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			handler := collector.NewLogHandler(cmd.ErrOrStderr())
			run := collector.Options{
				Paths: o.paths(), Host: hostname(), Version: o.version, Handler: handler, Log: slog.New(handler),
			}
			if done, err := runAsService(run); done {
				return err
			}
			reload := make(chan os.Signal, 1)
			if runtime.GOOS != "windows" {
				signal.Notify(reload, syscall.SIGHUP)
				defer signal.Stop(reload)
			}
			return collector.Run(cmd.Context(), run, reload)
		},
	}
}

func (o *options) reload() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "have the running collector read its settings again", Args: cobra.NoArgs,
		Long: "Sources whose file did not change go on; no record is lost. Where there is a fault, it is shown\n" +
			"and all goes on as before.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := collector.Ask(cmd.Context(), o.paths(), "POST", "/reload")
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "reloaded")
			}
			return err
		},
	}
}

func (o *options) uninstall() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "stop the service and remove keys and state", Args: cobra.NoArgs,
		Long: "Removes the system service, the host's key and certificate, and the spool with all that is not\n" +
			"sent yet. Settings stay. Revoke the collector on the server as well.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := o.paths()
			if _, err := os.Stat(p.State); errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("nothing is installed: %s is not there", p.State)
			}
			waiting, err := collector.Waiting(p)
			if err != nil {
				return err
			}
			if !yes {
				fmt.Fprintf(cmd.OutOrStdout(), "This removes the service, the identity and %s with %d records that are not sent yet. Type yes: ", p.State, waiting)
				var answer string
				_, _ = fmt.Fscanln(cmd.InOrStdin(), &answer) // nothing is no
				if answer != "yes" {
					return errors.New("not removed")
				}
			}
			if err := removeService(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return err
			}
			if err := collector.Remove(p); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s; settings stay in %s\n", p.State, filepath.Dir(p.Config))
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (o *options) status() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show how the running collector does", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := collector.Ask(cmd.Context(), o.paths(), "GET", "/status")
			if err != nil {
				return err
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			var s collector.Status
			if err := json.Unmarshal(text, &s); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			return show(cmd.OutOrStdout(), &s)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
