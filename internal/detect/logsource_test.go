package detect

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
)

// publicSources returns the log sources of the recorded public rules and how many
// rules have each.
func publicSources(t *testing.T) map[sigma.LogSource]int {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "sigma-rules.tar.gz")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the recorded rules are not beside the repository: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[sigma.LogSource]int{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".yml") {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		docs, err := sigma.Parse(text)
		if err != nil {
			continue // other tests count these
		}
		for _, d := range docs {
			if d.Correlation == nil {
				out[d.LogSource]++
			}
		}
	}
}

// TestPublicSourcesResolve: every log source of the public rules has an entry in
// the table. What falls to the general rules, which can only guess, is listed.
func TestPublicSourcesResolve(t *testing.T) {
	t.Parallel()
	sources := publicSources(t)
	if len(sources) < 130 {
		t.Errorf("only %d log sources in the recorded rules", len(sources))
	}
	guessed := []string{}
	for l := range sources {
		s := loadTable().resolve(l)
		if len(s.guessed) > 0 {
			guessed = append(guessed, l.String()+" guesses "+strings.Join(s.guessed, ", "))
		}
		for _, c := range s.needs {
			if len(c) == 0 {
				t.Errorf("%s: no event can ever have this log source", l)
			}
		}
	}
	slices.Sort(guessed)
	want := []string{}
	if !slices.Equal(guessed, want) {
		t.Errorf("these log sources have no entry of their own in logsources.yaml:\n%s", strings.Join(guessed, "\n"))
	}
	t.Logf("%d log sources", len(sources))
}

// TestSpellings: names under which senders hand on the same field.
func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		product, category, service, field string
		want                              []string
	}{
		{"windows", "process_creation", "", "Image", []string{"Image", "winlog.event_data.Image", "data.win.eventdata.image", "NewProcessName", "process_path"}},
		{"windows", "process_creation", "", "sha256", []string{"hash_sha256"}},
		{"windows", "", "windefend", "ThreatName", []string{"Threat Name"}},
		{"azure", "", "auditlogs", "TargetResources.ModifiedProperties.DisplayName", []string{"properties.targetResources.modifiedProperties.displayName", "targetResources.modifiedProperties.displayName"}},
		{"azure", "", "signinlogs", "ResultType", []string{"ResultType", "resultType", "status.errorCode", "event_code"}},
		{"azure", "", "signinlogs", "riskLevelDuringSignIn", []string{"RiskLevelDuringSignIn", "properties.riskLevelDuringSignIn"}},
		{"okta", "", "okta", "eventType", []string{"eventType", "detail.eventType", "eventtype"}},
		{"okta", "", "okta", "debugContext.debugData.requestUri", []string{"debugcontext.debugdata.requesturi"}},
		{"gcp", "", "gcp.audit", "gcp.audit.method_name", []string{"protoPayload.methodName", "data.protoPayload.methodName"}},
		{"gcp", "", "gcp.audit", "data.protoPayload.methodName", []string{"protoPayload.methodName"}},
		{"gcp", "", "gcp.audit", "protoPayload.methodName", []string{"data.protoPayload.methodName"}},
		{"m365", "", "audit", "Operation", []string{"operation"}},
		{"", "webserver", "", "cs-uri-query", []string{"url_query"}},
		{"", "proxy", "", "c-useragent", []string{"user_agent"}},
		{"", "proxy", "", "c-uri-extension", []string{"cs-uri-extension", "url_extension"}},
		{"kubernetes", "application", "audit", "capabilities", []string{"requestObject.spec.containers.securityContext.capabilities.add"}},
		{"github", "", "audit", "action", []string{"fields.action", "action"}},
	} {
		source := loadTable().resolve(sigma.LogSource{Product: c.product, Category: c.category, Service: c.service})
		got := source.candidates(c.field)
		for _, name := range c.want {
			if !slices.Contains(got, name) {
				t.Errorf("%s: %s is not sought as %s, only as %v", source.name, c.field, name, got)
			}
		}
	}
}

// TestHashes: Sysmon's one field of all hashes is found by the name of each.
func TestHashes(t *testing.T) {
	t.Parallel()
	var e event.Event
	parse.New(parse.Options{}).Parse(&parse.Record{Raw: `{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\a.exe","Hashes":"MD5=098F6BCD4621D373CADE4E832627B4F6,SHA256=9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08,IMPHASH=AE1B7C3D"}`}, &e)
	for field, value := range map[string]string{
		"md5": "098f6bcd4621d373cade4e832627b4f6", "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "Imphash": "ae1b7c3d",
		"Hashes|contains": "IMPHASH=AE1B7C3D",
	} {
		docs, err := sigma.Parse([]byte("title: x\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s: {'" + field + "': " + value + "}\n  condition: s\n"))
		if err != nil {
			t.Fatal(err)
		}
		set, problems := Compile([]Rule{{Document: docs[0]}})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if len(set.NewMatcher().Match(&e, nil)) != 1 {
			t.Errorf("%s is not found", field)
		}
	}
}

// TestTableNames: each field that a condition asks for is filled by the parsers,
// the native marks of a product aside.
func TestTableNames(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	for i := range loadTable().Sources {
		for _, alternative := range loadTable().Sources[i].When {
			for field := range alternative {
				asked[field] = true
			}
		}
	}
	want := []string{
		"Channel", "EventID", "EventLog", "EventType", "Provider_Name", "action", "category", "dataset", "logtype", "msg", "node_id",
		"product", "program", "source", "syslog_facility", "type", "vendor",
	}
	if got := slices.Sorted(maps.Keys(asked)); !slices.Equal(got, want) {
		t.Errorf("conditions ask for the fields %v, not %v", got, want)
	}
}
