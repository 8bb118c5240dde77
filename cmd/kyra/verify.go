package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/evidence"
)

func newVerifyCommand() *cobra.Command {
	var key string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify [--key KEY] [--json] BUNDLE", Short: "check a bundle of evidence, offline",
		Long: "Checks a bundle that GET /compliance/evidence/bundle wrote, without a server and without a network:\n" +
			"every hash, the chain of records up to the signed head of the audit log, the signatures, and that\n" +
			"there is nothing else in the file. What is not as it was written is named: file, record, what differs.\n\n" +
			"--key is the signer's public key, from elsewhere: a file (PEM), or the base64 that\n" +
			"GET /audit-logs/verify shows. Without it the key of the bundle itself is taken.\n\n" +
			"Exit status: 0 everything is as it was written, 1 it is not, 2 wrong usage.",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			pinned, err := givenKey(key)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }() // it was only read
			info, err := f.Stat()
			if err != nil {
				return err
			}
			v, err := evidence.Verify(f, info.Size(), pinned)
			if err != nil {
				return err
			}
			show := explainVerdict
			if asJSON {
				show = printVerdict
			}
			if err := show(cmd.OutOrStdout(), v); err != nil {
				return err
			}
			if !v.OK() {
				problems := "problems"
				if len(v.Problems)+v.More == 1 {
					problems = "problem"
				}
				return fmt.Errorf("%s is not as it was written: %d %s", args[0], len(v.Problems)+v.More, problems)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "public key of the signer, from elsewhere: a file or base64")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// givenKey reads the flag: a file where there is one of that name, else the key itself.
func givenKey(flag string) (ed25519.PublicKey, error) {
	if flag == "" {
		return nil, nil
	}
	text, err := os.ReadFile(flag)
	if err != nil {
		text = []byte(flag)
	}
	key, err := evidence.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("--key %s: %w: %w", flag, err, errUsage)
	}
	return key, nil
}

func printVerdict(w io.Writer, v *evidence.Verdict) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		OK bool `json:"ok"`
		*evidence.Verdict
	}{v.OK(), v})
}

func explainVerdict(w io.Writer, v *evidence.Verdict) error {
	var b strings.Builder
	for _, p := range v.Problems {
		where := p.File
		if where == "" {
			where = "bundle"
		}
		if p.Line > 0 {
			where += fmt.Sprintf(":%d", p.Line)
		}
		if p.Record != "" {
			where += ", record " + p.Record
		}
		fmt.Fprintf(&b, "BAD   %s: %s\n", plainText(where), plainText(p.What))
	}
	if v.More > 0 {
		fmt.Fprintf(&b, "BAD   and %d more\n", v.More)
	}
	if v.OK() {
		framework, period := "all frameworks", ""
		if v.From != nil {
			period += " from " + v.From.Format(time.RFC3339)
		}
		if v.To != nil {
			period += " to " + v.To.Format(time.RFC3339)
		}
		if period != "" {
			period = ", effective" + period
		}
		if v.Framework != "" {
			framework = v.Framework + " " + v.Edition
		}
		fmt.Fprintf(&b, "GOOD  %d records of %s%s, in %d files\n", v.Records, plainText(framework), period, v.Files)
		fmt.Fprintf(&b, "GOOD  the chain holds from record %d to %d\n", v.FirstSeq, v.LastSeq)
		if v.SignedDay != "" {
			fmt.Fprintf(&b, "GOOD  it leads to the head of the audit log that was signed for %s\n", v.SignedDay)
		} else {
			fmt.Fprintf(&b, "NOTE  the day of the last record had not ended: no signed head of the audit log proves it yet, the signature of the bundle alone does\n")
		}
		fmt.Fprintf(&b, "GOOD  the signatures hold, key %s\n", v.KeyID)
		if !v.KeyGiven {
			b.WriteString("NOTE  the key came with the bundle: this shows that nothing was changed since it was signed, and not by whom.\n" +
				"      Ask the organisation for its public key by another way and give it with --key, or compare the id.\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plainText keeps what a bundle says from steering the terminal.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
