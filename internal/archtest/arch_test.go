package archtest

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kyra-mdr/kyra/"

// layers lists the packages from the bottom up: each may import those of lower
// layers, and of its own layer only what sits before it in the list.
var layers = []struct {
	name     string
	packages []string
}{
	{"leaves", []string{"internal/fault", "internal/quiet", "internal/run", "internal/sole", "internal/telemetry"}},
	{"foundations", []string{
		"internal/collector/protocol", "internal/event", "internal/evtx", "internal/framing", "internal/query", "internal/sigma", "internal/wazuh", "internal/mask", "internal/eventstore", "internal/eventstore/memory",
		"internal/eventstore/storetest", "internal/eventstore/victorialogs", "internal/queue", "internal/archive", "internal/vault", "internal/export", "internal/sqldb", "internal/sqldb/sqldbtest", "internal/outbound", "internal/outbound/mail", "internal/seal",
	}},
	{"domain", []string{"internal/audit", "internal/job", "internal/outbox", "internal/webhook", "internal/tenant", "internal/identity", "internal/account", "internal/sso", "internal/sso/ssotest", "internal/view", "internal/source", "internal/privacy", "internal/fleet", "internal/rule", "internal/alert", "internal/alert/alerttest", "internal/asset", "internal/principal", "internal/intel", "internal/risk", "internal/exposure", "internal/incident", "internal/retention", "internal/dsr", "internal/arrival", "internal/arrival/arrivaltest", "internal/connector", "internal/notice", "internal/compliance", "internal/evidence"}},
	{"engines", []string{"internal/parse", "internal/logsource", "internal/quarantine", "internal/detect", "internal/detect/ruletest", "internal/hunt", "internal/sight", "internal/content", "internal/exception", "rules", "internal/workbench", "internal/pipeline", "internal/canary", "playbooks", "internal/playbook", "internal/assess", "internal/backup"}},
	{"doors", []string{"internal/collector/spool", "internal/collector/source", "internal/collector", "internal/collector/command", "internal/notify", "internal/report/font", "internal/report/paper", "internal/report", "internal/ingest", "internal/scim", "internal/api", "internal/console", "client"}},
	{"assembly", []string{"internal/config", "internal/demo", "internal/app", "internal/app/clients"}},
	{"commands", []string{"cmd/kyra-collector", "cmd/kyra"}},
}

// restricted names who alone may import a package, and why.
var restricted = []struct{ prefix, only, reason string }{
	{"github.com/VictoriaMetrics/VictoriaLogs", "internal/eventstore/victorialogs", "its libraries register flags and end the process: one package holds them"},
	{"github.com/nats-io", "internal/queue", "the queue is the only user of JetStream"},
	{"modernc.org/sqlite", "internal/sqldb", "drivers are hidden behind sqldb"},
	{"github.com/jackc/pgx", "internal/sqldb", "drivers are hidden behind sqldb"},
	{"code.dny.dev/ssrf", "internal/outbound", "there is one way out"},
	{"github.com/danielgtaylor/huma", "internal/api", "HTTP shapes stay in the REST door"},
	{module + "internal/config", "internal/app", "packages get their own settings; only app and the commands know the file"},
}

type pkg struct {
	ImportPath, Dir, Name string
	Imports, GoFiles      []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,GoFiles,Name", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsPointDown(t *testing.T) {
	place := map[string]int{}
	for i, l := range layers {
		for j, p := range l.packages {
			place[module+p] = (i+1)*1000 + j
		}
	}
	for _, p := range list(t) {
		if strings.HasSuffix(p.ImportPath, "/archtest") {
			continue
		}
		if place[p.ImportPath] == 0 {
			t.Errorf("%s is in no layer: add it to layers", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if n := place[imp]; n != 0 && n >= place[p.ImportPath] {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			}
		}
	}
}

func TestRestrictedImports(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "cmd/") {
			continue
		}
		for _, imp := range p.Imports {
			for _, r := range restricted {
				if strings.HasPrefix(imp, r.prefix) && name != r.only && !strings.HasPrefix(name, r.only+"/") {
					t.Errorf("%s imports %s: only %s may, since %s", name, imp, r.only, r.reason)
				}
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, p := range list(t) {
		var with []string
		for _, f := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				with = append(with, f)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: %d files carry a package comment %v, want one", p.ImportPath, len(with), with)
		}
	}
}

// TestArchitectureNamesEveryPackage keeps the table of ARCHITECTURE.md true.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		for _, p := range l.packages {
			if !strings.Contains(string(text), "`"+strings.TrimPrefix(p, "internal/")+"`") {
				t.Errorf("ARCHITECTURE.md does not name %s", p)
			}
		}
	}
}

var forbidden = []string{"utils", "util", "common", "helpers", "types", "models", "shared", "base", "misc"}

func TestNoCatchAllPackages(t *testing.T) {
	for _, p := range list(t) {
		if slices.Contains(forbidden, filepath.Base(p.ImportPath)) {
			t.Errorf("%s: name the package after what it does", p.ImportPath)
		}
	}
}
