package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kyra-mdr/kyra/internal/detect/ruletest"
)

// errRulesFailed ends `kyra rules test` where a rule is not as its logs say.
var errRulesFailed = errors.New("rules are not as their logs say")

func newRulesTestCommand() *cobra.Command {
	opts := struct{ json, allowUntested bool }{}
	cmd := &cobra.Command{
		Use: "test [--json] [--allow-untested] DIR|FILE…", Short: "run the logs that lie beside rules through the engine",
		Long: "Beside a rule file NAME.yml lies NAME.txtar with logs that must raise the rule (sections\n" +
			"positive/….log) and logs that must not (negative/….log). Each is parsed, matched and correlated\n" +
			"as a server would. What is not as it should be is explained. A rule without logs fails, unless\n" +
			"--allow-untested is given. Exit status: 0 all as it should be, 1 not.",
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			all := ruletest.Report{Failures: []ruletest.Failure{}, Untested: []string{}, Problems: []ruletest.Problem{}}
			for _, arg := range args {
				r, err := testRules(cmd, arg)
				if err != nil {
					return err
				}
				all.Rules += r.Rules
				all.Logs += r.Logs
				all.Failures = append(all.Failures, r.Failures...)
				all.Untested = append(all.Untested, r.Untested...)
				all.Problems = append(all.Problems, r.Problems...)
			}
			print := printRulesReport
			if opts.json {
				print = printRulesReportJSON
			}
			if err := print(cmd.OutOrStdout(), &all, opts.allowUntested); err != nil {
				return err
			}
			if all.Rules == 0 {
				return fmt.Errorf("there are no rule files (*.yml) in %v", args)
			}
			if bad := len(all.Failures) + len(all.Problems); bad > 0 || len(all.Untested) > 0 && !opts.allowUntested {
				return errRulesFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&opts.allowUntested, "allow-untested", false, "count rules without logs, but do not fail for them")
	return cmd
}

// testRules tests a folder, or one file with the folder's other rules at hand.
func testRules(cmd *cobra.Command, arg string) (*ruletest.Report, error) {
	info, err := os.Stat(arg)
	if err != nil {
		return nil, fmt.Errorf("open rules: %w", err)
	}
	dir, wanted := arg, func(string) bool { return true }
	if !info.IsDir() {
		dir = filepath.Dir(arg)
		wanted = func(name string) bool { return name == filepath.Base(arg) }
	}
	suite, err := ruletest.Open(os.DirFS(dir), wanted)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	r, err := suite.Run(cmd.Context())
	if err != nil {
		return nil, err
	}
	at := func(name *string) { *name = filepath.Join(dir, filepath.FromSlash(*name)) }
	for i := range r.Failures {
		at(&r.Failures[i].File)
	}
	for i := range r.Problems {
		at(&r.Problems[i].File)
	}
	for i := range r.Untested {
		at(&r.Untested[i])
	}
	return r, nil
}

func printRulesReport(w io.Writer, r *ruletest.Report, allowUntested bool) error {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "BROKEN    %s\n          %s\n", p.File, p.Message)
	}
	for i := range r.Failures {
		f := &r.Failures[i]
		fmt.Fprintf(w, "FAILED    %s: %s\n          %s\n", f.File, f.Section, f.Message)
		for _, why := range f.Why {
			fmt.Fprintf(w, "          %s\n", why)
		}
		for _, title := range f.Instead {
			fmt.Fprintf(w, "          raised instead: %q\n", title)
		}
	}
	if !allowUntested {
		for _, name := range r.Untested {
			fmt.Fprintf(w, "UNTESTED  %s\n", name)
		}
	}
	_, err := fmt.Fprintf(w, "%d rules, %d logs: %d failed, %d rules without logs, %d broken\n",
		r.Rules, r.Logs, len(r.Failures), len(r.Untested), len(r.Problems))
	return err
}

func printRulesReportJSON(w io.Writer, r *ruletest.Report, _ bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
