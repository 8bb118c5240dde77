package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kyra": main})
}

// TestScripts drives the program from outside.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// The child of the event store is this binary as well.
			env.Setenv("KYRA_RETENTION_MIN_FREE_BYTES", "1MiB")
			bundles, err := filepath.Abs("../../internal/evidence/testdata")
			env.Setenv("BUNDLES", bundles)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await":    await,
			"exchange": exchange,
		},
	})
}

// await FILE TEXT waits until the file holds the text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await file text")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		data, err := os.ReadFile(filepath.Clean(ts.MkAbs(args[0])))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s does not hold %q after 30 s: %q", args[0], args[1], data)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exchange FILE OLD NEW puts a text in the place of another of the same length, once.
func exchange(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || len(args[1]) != len(args[2]) {
		ts.Fatalf("usage: exchange file old new")
	}
	data := ts.ReadFile(args[0])
	if !strings.Contains(data, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(data, args[1], args[2], 1)), 0o600))
}
