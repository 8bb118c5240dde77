package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/client"
)

func newSendCommand() *cobra.Command {
	opts := struct{ to, key, keyFile, source string }{}
	cmd := &cobra.Command{
		Use: "send --to URL --key KEY [--source NAME] FILE…|-", Short: "send log files to a server", Args: usageArgs(cobra.MinimumNArgs(1)),
		Long: "Sends text lines, NDJSON, JSON arrays and Windows event logs (.evtx), plain or compressed with gzip\n" +
			"or zstd, and ends when the server has acknowledged all of them: they are on its disk. Prints the\n" +
			"count. The server's address and key may also stand in KYRA_URL and KYRA_KEY.",
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
			c, err := client.New(cmp.Or(opts.to, os.Getenv("KYRA_URL"), "http://127.0.0.1:8080"), key, client.Options{UserAgent: "kyra-send"})
			if err != nil {
				return fmt.Errorf("%w: %w", err, errUsage)
			}
			total := int64(0)
			var torn error // what could be read of these files was sent
			for _, path := range args {
				n, err := sendFile(cmd.Context(), c, cmd.InOrStdin(), cmd.ErrOrStderr(), opts.source, path)
				total += n
				if errors.Is(err, client.Torn) {
					torn = errors.Join(torn, fmt.Errorf("%s: %w", path, err))
					continue
				}
				if err != nil {
					return fmt.Errorf("%s: %w: %d records were acknowledged", path, err, total)
				}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), total)
			return errors.Join(torn, err)
		},
	}
	cmd.Flags().StringVar(&opts.to, "to", "", "address of the server (http://127.0.0.1:8080)")
	cmd.Flags().StringVar(&opts.key, "key", "", "read-write API key")
	cmd.Flags().StringVar(&opts.keyFile, "key-file", "", "file that holds the key alone")
	cmd.Flags().StringVar(&opts.source, "source", "", "what sent the logs, where it should not be recognised")
	return cmd
}

func sendFile(ctx context.Context, c *client.Client, in io.Reader, progress io.Writer, source, path string) (int64, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		in = file
	}
	show := func(int64) {}
	if isTerminal(progress) {
		show = func(n int64) { fmt.Fprintf(progress, "\r%s: %d records acknowledged ", path, n) }
		defer fmt.Fprintln(progress)
	}
	return c.Send(ctx, source, in, show)
}

// isTerminal tells whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
