package clients

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A signed is what the library is to verify.
type signed struct {
	Name    string            `json:"name"`
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Good    bool              `json:"good"`
}

// TestStandardWebhooks lets the library of Standard Webhooks for Node verify what a
// receiver is sent: with one secret, with both while it is rotated, and not what was
// changed or signed for another.
func TestStandardWebhooks(t *testing.T) {
	if raceEnabled {
		t.Skip("the server is a program of its own: the race detector would see nothing of it")
	}
	node := program(t, "node")
	if _, err := os.Stat("testdata/npm/node_modules/standardwebhooks/package.json"); err != nil {
		missing(t, "the npm package standardwebhooks")
	}
	var mu sync.Mutex
	var got []signed
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		x := signed{Headers: map[string]string{}, Body: string(body)}
		for _, h := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			x.Headers[h] = r.Header.Get(h)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, x)
	}))
	t.Cleanup(receiver.Close)
	t.Setenv("KYRA_WEBHOOKS_ALLOW", "127.0.0.0/8")
	s := startServer(t)
	ask := func(path, body string) (out struct{ ID, Secret string }) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.key)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode/100 == 2 {
			err = json.Unmarshal(answer, &out)
		}
		if err != nil || resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, answer)
		}
		return out
	}
	hook := ask("/api/v1/webhooks", `{"name":"r","url":"`+receiver.URL+`","events":["alert.created"]}`)
	path := "/api/v1/webhooks/" + hook.ID
	ask(path+"/test", "")
	rotated := ask(path+"/rotate-secret", `{"graceHours":1}`)
	ask(path+"/test", "")

	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || rotated.Secret == hook.Secret || rotated.Secret == "" {
		t.Fatalf("%d deliveries, want 2", len(got))
	}
	as := func(x signed, name, secret string, good bool) signed {
		x.Name, x.Secret, x.Good = name, secret, good
		return x
	}
	changed := got[0]
	changed.Body = strings.Replace(changed.Body, `"event"`, `"Event"`, 1)
	list := []signed{
		as(got[0], "one secret", hook.Secret, true), as(got[1], "the old secret", hook.Secret, true), as(got[1], "the new secret", rotated.Secret, true),
		as(got[0], "a secret that came later", rotated.Secret, false), as(changed, "a changed body", hook.Secret, false),
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "signed.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "standardwebhooks.mjs", file) //nolint:gosec // our own script
	cmd.Dir = "testdata/npm"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
