package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// reference returns the lines of the public API reference, which lies beside the
// repository where it is developed.
func reference(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/api/rest-api-reference.txt")
	if err != nil {
		t.Skip("the public reference is not beside the repository: ", err)
	}
	return strings.Split(string(text), "\n")
}

// curls returns the reference's commands, each as it is printed.
func curls(lines []string) []string {
	var all []string
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "curl ") {
			continue
		}
		text := lines[i]
		for (strings.HasSuffix(text, `\`) || strings.Count(text, "'")%2 == 1) && i+1 < len(lines) {
			i++
			text += "\n" + lines[i]
		}
		all = append(all, text)
	}
	return all
}

// TestReferenceCommands runs every command of the reference as it is printed, but
// for host and key, against a server that has seen an attack.
func TestReferenceCommands(t *testing.T) {
	commands := curls(reference(t))
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	if len(commands) < 9 {
		t.Fatalf("only %d commands were found in the reference", len(commands))
	}
	receiver := newHookReceiver(t)
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), allowThisMachine)
	attack(t, p)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".curlrc"), []byte("silent\nwrite-out = \"\\n%{http_code}\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{ // the shortened id is nobody's
		"/incidents/7c9e6679-a1f4/comments": 404, "/webhooks": 201,
	}
	shapes := map[string]func(t *testing.T, body string){
		"/alerts": func(t *testing.T, body string) {
			wantKeys(t, body, "content,number,size,totalElements,totalPages", "createdAt,description,id,mitreTactic,mitreTechnique,severity,source,status,title")
		},
		"/incidents": func(t *testing.T, body string) {
			wantKeys(t, body, "content,number,size,totalElements,totalPages", "alertCount,assignedTo,createdAt,id,mitreTactic,mitreTechnique,severity,status,title")
		},
		"/siem/search": func(t *testing.T, body string) {
			for _, key := range []string{`"events":`, `"total":`, `"histogram":`, `"queryTime":`} {
				if !strings.Contains(body, key) {
					t.Errorf("the answer has no %s: %.300s", key, body)
				}
			}
		},
		"/siem/rules": func(t *testing.T, body string) {
			var page struct {
				Content []struct {
					Name            string
					MitreTechniques []string
				}
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Content) != 5 {
				t.Fatalf("%v, %d rules: %.300s", err, len(page.Content), body)
			}
			for _, r := range page.Content {
				if !slices.ContainsFunc(r.MitreTechniques, func(id string) bool { return id == "T1110" || strings.HasPrefix(id, "T1110.") }) {
					t.Errorf("rule %s is of %v", r.Name, r.MitreTechniques)
				}
			}
		},
		"/collectors": func(t *testing.T, body string) {
			var list []map[string]any
			if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) == 0 {
				t.Fatalf("not a bare array with the server in it: %.300s %v", body, err)
			}
			keys := strings.Join(slices.Sorted(maps.Keys(list[0])), ",")
			if keys != "eventsIngested,hostname,id,lastHeartbeat,osFamily,status,version" || list[0]["status"] != "online" {
				t.Errorf("collector is %v", list[0])
			}
		},
	}
	shapes["/webhooks"] = func(t *testing.T, body string) {
		for _, key := range []string{`"id":`, `"secret":"whsec_`} {
			if !strings.Contains(body, key) {
				t.Errorf("the answer has no %s: %.300s", key, body)
			}
		}
	}
	for _, command := range commands {
		_, path, _ := strings.Cut(command, "/api/v1")
		path, _, _ = strings.Cut(path, "\n")
		path, _, _ = strings.Cut(path, "?")
		path = strings.TrimRight(path, `"' \`)
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.NewReplacer("https://console.kyramdr.com", p.url, "YOUR_API_KEY", p.key, "https://hooks.slack.com", receiver.URL).Replace(command)) //nolint:gosec // the reference's own text
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CURL_HOME="+dir)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			text := strings.TrimSpace(string(out))
			body, status := "", text
			if i := strings.LastIndex(text, "\n"); i >= 0 {
				body, status = text[:i], text[i+1:]
			}
			code := 200
			if c, ok := want[path]; ok {
				code = c
			}
			if status != fmt.Sprint(code) {
				t.Fatalf("status %s, want %d: %.300s", status, code, body)
			}
			if check := shapes[path]; check != nil {
				check(t, body)
			}
		})
	}
	t.Run("payload", func(t *testing.T) { wantPayload(t, p, receiver) })
	t.Run("python", func(t *testing.T) { runPython(t, p) })
	p.stop()
}

func wantKeys(t *testing.T, body, envelope, item string) {
	t.Helper()
	var page map[string]any
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatalf("%v in %.300s", err, body)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(page)), ","); got != envelope {
		t.Errorf("envelope has %s, want %s", got, envelope)
	}
	list, ok := page["content"].([]any)
	if !ok {
		t.Fatalf("content is no array: %.300s", body)
	}
	for _, x := range list {
		if got := strings.Join(slices.Sorted(maps.Keys(x.(map[string]any))), ","); got != item {
			t.Errorf("item has %s, want %s", got, item)
		}
	}
}

// attack sends failed logins of today and waits for the alert.
func attack(t *testing.T, p *process) {
	t.Helper()
	var lines strings.Builder
	for i := range 47 {
		fmt.Fprintf(&lines, "<38>1 %s bastion sshd 1 - - Failed password for root from 10.0.1.55 port %d ssh2\n", time.Now().Add(time.Duration(i-60)*time.Second).UTC().Format(time.RFC3339), 4000+i)
	}
	if status, err := p.call(http.MethodPost, "/api/v1/ingest", lines.String(), nil); err != nil || status != http.StatusOK {
		t.Fatalf("ingest: %d %v", status, err)
	}
	var list struct {
		Content []struct{ Title, Description, Source, MitreTactic, MitreTechnique, Severity string }
	}
	eventually(t, "alert", func() bool {
		status, err := p.call(http.MethodGet, "/api/v1/alerts?search=Brute", "", &list)
		return err == nil && status == http.StatusOK && len(list.Content) == 1
	})
	a := list.Content[0]
	if a.Title != "Brute Force Authentication Attempt" || a.Description != "47 failed logon attempts from 10.0.1.55 targeting root account" ||
		a.Source != "sshd" || a.MitreTactic != "credential-access" || a.MitreTechnique != "T1110" || a.Severity != "high" {
		t.Errorf("the alert is %+v", a)
	}
}

// runPython runs the reference's Python example as it is printed, but for host and
// key, and for the indent that the text of the reference has lost.
func runPython(t *testing.T, p *process) {
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import requests").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("Python with requests is not installed")
	}
	lines := reference(t)
	from := slices.Index(lines, "# Python example")
	if from < 0 {
		t.Fatal("the reference has no Python example")
	}
	var program []string
	for _, l := range lines[from:] {
		if l == "" {
			break
		}
		if strings.HasPrefix(l, "print(") {
			l = "    " + l
		}
		program = append(program, l)
	}
	text := strings.NewReplacer("https://console.kyramdr.com", p.url, "your-api-key", p.key).Replace(strings.Join(program, "\n"))
	if out, err := exec.CommandContext(t.Context(), python, "-c", text).CombinedOutput(); err != nil || len(out) > 0 { //nolint:gosec // the reference's own text
		t.Errorf("%v: %s: there is no critical alert to print", err, out)
	}
	text = strings.ReplaceAll(text, `"critical"`, `"high"`)
	out, err := exec.CommandContext(t.Context(), python, "-c", text).CombinedOutput() //nolint:gosec // the reference's own text
	if err != nil || !strings.Contains(string(out), "[high] Brute Force Authentication Attempt") {
		t.Errorf("%v: %s", err, out)
	}
}
