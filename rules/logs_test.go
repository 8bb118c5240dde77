package rules_test

import (
	"os"
	"testing"

	"github.com/kyra-mdr/kyra/internal/detect/ruletest"
)

// TestLogs runs each rule over the logs beside it.
func TestLogs(t *testing.T) {
	t.Parallel()
	ruletest.RunDir(t, os.DirFS("."))
}
