package workbench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/eventstore/memory"
	"github.com/kyra-mdr/kyra/internal/rule"
)

// Lists and exceptions of the tenant count, and only of the tenant.
func TestProgramOfATenant(t *testing.T) {
	b := newBench(t, &memory.Store{}, func(c *Config) {
		c.Lists = func(_ context.Context, tenant uint32) (map[string][]string, error) {
			if tenant == 1 {
				return map[string][]string{"admins": {"root"}}, nil
			}
			return nil, nil
		}
	})
	text := "title: Admin failed\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: failure, user|expand: '%admins%'}, condition: s}\n"
	b.put(1, failure(noon.Add(-time.Hour), "root", "203.0.113.9"), failure(noon.Add(-time.Hour), "ann", "203.0.113.9"), failure(noon.Add(-time.Hour), "root", "10.0.0.1"))
	if res := b.backtest(BacktestRequest{Subject: Subject{Text: text}}); res.Matches != 2 {
		t.Errorf("%d matches, want 2", res.Matches)
	}
	p, err := b.Program(t.Context(), 2, Subject{Text: text})
	if err != nil || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Message, "admins") || p.Problems[0].Line != 1 {
		t.Errorf("without the list: %+v, %v", p.Problems, err)
	}
	b.rules.SetSilences(func(context.Context, uint32, string, string, string) (*rule.Preview, error) {
		return &rule.Preview{}, nil
	})
	d, err := b.rules.Create(t.Context(), 1, "ann", rule.Change{YAML: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	scope := rule.Scope{Filter: "selection: {src_ip: 10.0.0.1}\ncondition: selection\n"}
	if _, err := b.rules.CreateException(t.Context(), 1, "ann", d.ID, rule.ExceptionDraft{Scope: &scope, Reason: "our scanner"}); err != nil {
		t.Fatal(err)
	}
	res := b.backtest(BacktestRequest{Subject: Subject{ID: d.ID}})
	if res.Matches != 1 || res.Excepted != 1 || res.Alerts != 1 {
		t.Errorf("with an exception: %d matches, %d excepted, %d alerts", res.Matches, res.Excepted, res.Alerts)
	}
	p, err = b.Program(t.Context(), 1, Subject{ID: d.ID})
	if err != nil || p.Title() != "Admin failed" || p.Documents[0].ID != "" {
		t.Errorf("program %+v, %v", p, err)
	}
	trial, err := b.Try(t.Context(), 1, p, []string{failure(noon, "root", "10.0.0.1").text, failure(noon, "root", "203.0.113.9").text}, "")
	if err != nil || len(trial.Records[0].Excepted) != 1 || len(trial.Records[1].Excepted) != 0 || len(trial.Findings) != 1 || trial.Findings[0].Rule.ID != d.ID {
		t.Errorf("trial %+v, %v", trial, err)
	}
}

func BenchmarkProgram(b *testing.B) {
	w := newBench(b, &memory.Store{})
	w.builtin()
	for b.Loop() {
		if _, err := w.Program(b.Context(), 1, Subject{Text: bruteForce}); err != nil {
			b.Fatal(err)
		}
	}
}
