package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/client"
)

// exportLists names the list that a resource is the whole of.
var exportLists = map[string]string{
	"alerts": "/alerts", "incidents": "/incidents", "detection-rules": "/siem/rules", "assets": "/assets", "audit-logs": "/audit-logs", "identities": "/identities",
	"connectors": "/connectors", "playbooks": "/playbooks", "notifications": "/notifications", "subdomains": "/subdomains", "threat-intel-iocs": "/threat-intel-iocs",
	"risk-intelligence": "/risk-intelligence", "dsr": "/dsr", "compliance-controls": "",
}

func newExportCommand() *cobra.Command {
	opts := struct {
		to, key, keyFile, format, out string
		filters                       []string
	}{}
	cmd := &cobra.Command{
		Use: "export RESOURCE --format csv|json [--filter NAME=VALUE]… [--out FILE]", Short: "take a whole list out of a server", Args: usageArgs(cobra.ExactArgs(1)),
		Long: "Writes everything that a list holds, from one snapshot, to a file or to standard output.\n" +
			"RESOURCE is one of " + strings.Join(resourceNames(), ", ") + ".\n" +
			"A filter is one of the list's, such as severity=critical. The server's address and key may also\n" +
			"stand in KYRA_URL and KYRA_KEY; a read-only key is enough.",
		RunE: func(cmd *cobra.Command, args []string) error {
			key := cmp.Or(opts.key, os.Getenv("KYRA_KEY"))
			if opts.keyFile != "" {
				text, err := os.ReadFile(opts.keyFile)
				if err != nil {
					return err
				}
				key = strings.TrimSpace(string(text))
			}
			if key == "" {
				return fmt.Errorf("no key: give --key, --key-file or KYRA_KEY: %w", errUsage)
			}
			list, known := exportLists[args[0]]
			if !known {
				return fmt.Errorf("no resource %q: there are %s: %w", args[0], strings.Join(resourceNames(), ", "), errUsage)
			}
			e := client.Export{Resource: args[0], Format: opts.format, Filters: url.Values{}}
			for _, f := range opts.filters {
				name, value, ok := strings.Cut(f, "=")
				if !ok {
					return fmt.Errorf("--filter %q: want NAME=VALUE: %w", f, errUsage)
				}
				e.Filters.Add(name, value)
			}
			c, err := client.New(cmp.Or(opts.to, os.Getenv("KYRA_URL"), "http://127.0.0.1:8080"), key, client.Options{UserAgent: "kyra-export"})
			if err != nil {
				return fmt.Errorf("%w: %w", err, errUsage)
			}
			return export(cmd.Context(), c, e, list, opts.out, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&opts.to, "to", "", "address of the server (http://127.0.0.1:8080)")
	cmd.Flags().StringVar(&opts.key, "key", "", "API key")
	cmd.Flags().StringVar(&opts.keyFile, "key-file", "", "file that holds the key alone")
	cmd.Flags().StringVar(&opts.format, "format", "csv", "csv or json")
	cmd.Flags().StringVar(&opts.out, "out", "", "file to write (standard output)")
	cmd.Flags().StringArrayVar(&opts.filters, "filter", nil, "filter of the list, NAME=VALUE")
	return cmd
}

func resourceNames() []string {
	names := make([]string, 0, len(exportLists))
	for n := range exportLists {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// export writes to a file under another name first: a file of the name that was asked for
// is whole.
func export(ctx context.Context, c *client.Client, e client.Export, list, out string, stdout, stderr io.Writer) error {
	bar := &progressBar{to: stderr, quiet: !isTerminal(stderr), quote: e.Format == "csv"}
	if !bar.quiet && bar.quote && list != "" {
		total, err := c.Total(ctx, list, e.Filters)
		if err != nil {
			return err
		}
		bar.total = total
	}
	if out == "" {
		bar.quiet = bar.quiet || isTerminal(stdout)
		_, err := c.Export(ctx, e, io.MultiWriter(stdout, bar))
		bar.end()
		return err
	}
	part := out + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // what is exported is not for everybody
	if err != nil {
		return err
	}
	_, err = c.Export(ctx, e, io.MultiWriter(f, bar))
	bar.end()
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(part) // half of a list helps nobody
		return err
	}
	return os.Rename(part, out)
}

// progressBar counts what goes by: the rows of CSV, or bytes.
type progressBar struct {
	to            io.Writer
	quiet, quote  bool
	total         int64
	rows, written int64
	inside        bool // of a quoted cell
	shown         time.Time
}

// Write implements io.Writer.
func (b *progressBar) Write(p []byte) (int, error) {
	b.written += int64(len(p))
	if b.quote {
		for _, c := range p {
			switch {
			case c == '"':
				b.inside = !b.inside
			case c == '\n' && !b.inside:
				b.rows++
			}
		}
	}
	if now := time.Now(); !b.quiet && now.Sub(b.shown) > 100*time.Millisecond {
		b.shown = now
		b.show()
	}
	return len(p), nil
}

func (b *progressBar) show() {
	rows := max(b.rows-1, 0) // the header
	if b.total <= 0 {
		fmt.Fprintf(b.to, "\r%.1f MB ", float64(b.written)/1e6)
		return
	}
	const width = 40
	done := int(min(rows, b.total) * width / b.total)
	fmt.Fprintf(b.to, "\r[%s%s] %d of %d rows, %.1f MB ", strings.Repeat("#", done), strings.Repeat("-", width-done), rows, b.total, float64(b.written)/1e6)
}

func (b *progressBar) end() {
	if !b.quiet {
		b.show()
		fmt.Fprintln(b.to)
	}
}
