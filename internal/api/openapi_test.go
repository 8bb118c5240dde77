package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with go test ./internal/api -update)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is out of date: go test ./internal/api -update, then look at the change (-want +got):\n%s", path, d)
	}
}

// The contract as a file: every change of it shows in review.
func TestOpenAPIIsFresh(t *testing.T) {
	s := newServer(t)
	text, err := s.spec()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "openapi.yaml", text)
}

// spec is the served description, as YAML.
func (s *server) spec() ([]byte, error) {
	var v any
	a := s.do("", "GET", "/api/v1/openapi.json", "")
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		return nil, err
	}
	return yamlOf(v)
}

func TestOpenAPIIsServedToAnyone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.do("", "GET", "/api/v1/openapi.json", "").want(200)
	if !strings.HasPrefix(a.text("openapi"), "3.1") || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("openapi %s of type %s", a.text("openapi"), a.header.Get("Content-Type"))
	}
	s.do("", "GET", "/api/v1/openapi.json", "", "If-None-Match: "+a.header.Get("ETag")).want(304)
	a.is("components.schemas.Problem.required", []string{"error", "message", "status"})
	if strings.Contains(a.body, `"422"`) || strings.Contains(a.body, "X-Revision") {
		t.Error("the description holds what no answer has")
	}
	page := s.do("", "GET", "/api/v1/docs", "").want(200)
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("docs are %s", page.header.Get("Content-Type"))
	}
	if outside := regexp.MustCompile(`(?i)(src|href)="(https?:)?//|<script|@import|url\(`).FindString(page.body); outside != "" {
		t.Errorf("the page needs something from outside: %s", outside)
	}
	for _, op := range []string{"listAlerts", "searchEvents", "createApiKey", "ingest"} {
		if !strings.Contains(page.body, `id="`+op+`"`) {
			t.Errorf("the page lacks %s", op)
		}
	}
}

// Every call that the reference names is described.
func TestEveryDocumentedCallIsDescribed(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	reference, err := os.ReadFile(filepath.Join(root, "..", "shared", "api", "rest-api-reference.txt"))
	if err != nil {
		t.Skipf("no public reference beside the repository: %v", err)
	}
	s := newServer(t)
	paths := s.do("", "GET", "/api/v1/openapi.json", "").want(200).at("paths").(map[string]any)
	calls := regexp.MustCompile(`(?m)^(GET|POST|PATCH|DELETE) (/api/v1/[^\s?]+)`).FindAllStringSubmatch(string(reference), -1)
	if len(calls) < 15 {
		t.Fatalf("the reference names only %d calls", len(calls))
	}
	for _, c := range calls {
		item, ok := paths[c[2]].(map[string]any)
		if !ok || item[strings.ToLower(c[1])] == nil {
			t.Errorf("%s %s is not described", c[1], c[2])
		}
	}
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// An operation names every parameter and answer it has; this checks a few that the
// golden file alone would let pass in review.
func TestDescriptionOfAList(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.do("", "GET", "/api/v1/openapi.json", "").want(200)
	var got []string
	op := a.at("paths").(map[string]any)["/api/v1/alerts"].(map[string]any)["get"].(map[string]any)
	for _, p := range op["parameters"].([]any) {
		got = append(got, p.(map[string]any)["name"].(string))
	}
	for _, want := range []string{"page", "size", "sort", "direction", "severity", "status", "search", "source", "mitre", "ruleId", "entity", "assignedTo", "createdFrom", "createdTo", "updatedSince"} {
		if !slices.Contains(got, want) {
			t.Errorf("no parameter %s in %v", want, got)
		}
	}
	for _, code := range []string{"200", "400", "401", "429", "500", "503"} {
		if op["responses"].(map[string]any)[code] == nil {
			t.Errorf("no answer %s", code)
		}
	}
	if !bytes.Contains([]byte(a.body), []byte(`"X-RateLimit-Limit"`)) {
		t.Error("the headers of the limit are not described")
	}
}
