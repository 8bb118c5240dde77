package api

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/content"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/sight"
)

const asZip = "Content-Type: application/zip"

func packed(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sigmaRule(id, field, more string) string {
	return fmt.Sprintf("title: Rule %s\nid: %s\nauthor: Jane Doe\nlogsource:\n    category: process_creation\n    product: windows\ndetection:\n    a:\n        %s: x\n    condition: a\nlevel: high\n%s", id, id, field, more)
}

func samplePack(t *testing.T) string {
	t.Helper()
	return packed(t,
		"p/LICENSE", "Detection Rule License 1.1",
		"p/rules/sees.yml", sigmaRule("sees", "Image", ""),
		"p/rules/blind.yml", sigmaRule("blind", "ParentImage", ""),
		"p/rules/list.yml", strings.Replace(sigmaRule("list", "Image|expand", "license: MIT\n"), ": x", ": '%Tools%'", 1),
		"p/rules/bad.yml", strings.Replace(sigmaRule("bad", "Image", ""), "condition: a", "condition: b", 1),
		"p/rules/old.yml", sigmaRule("old", "Image", "status: deprecated\n"),
		"p/README.md", "words",
	)
}

// importServer has seen one event of windows/process_creation.
func importServer(t *testing.T) *server {
	t.Helper()
	return newServer(t, func(c *Config) {
		c.Rules = newRules(t, c.DB)
		c.Sight = sight.New(c.DB, sight.Options{Log: c.Log, Now: c.Now, Lists: c.Rules.Lists, Active: c.Rules.Active})
		for tenant := range uint32(4) {
			e := event.Event{Tenant: tenant}
			for _, f := range [][2]string{{"source", "windows"}, {"Channel", "Microsoft-Windows-Sysmon/Operational"}, {"EventID", "1"}, {"Image", "x"}} {
				e.Add(f[0], f[1])
			}
			c.Sight.Observe(&e)
		}
	})
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	s := importServer(t)
	const path = "/api/v1/siem/rules/import?pack=p&source=https://github.com/o/r"
	dry := s.post(path+"&dryRun=true", samplePack(t), asZip).want(200)
	dry.is("dryRun", true).is("counts.created", 3)
	s.get("/api/v1/siem/rules/sees").want(404)

	a := s.post(path, samplePack(t), asZip).want(200)
	golden(t, "import.json", steady(t, a.body))
	a.is("counts.loaded", 3).is("counts.refused", 1).is("refused.0.file", "rules/bad.yml").is("refused.0.line", 10).is("refused.0.column", 16)
	a.is("blind.0.reason", "no event of windows/process_creation has the field ParentImage").is("blind.1.reason", "needs the list Tools").is("lists.0.name", "Tools")

	s.do(s.rw, http.MethodPut, "/api/v1/siem/lists/Tools", `{"values":["psexec*"]}`).want(201)
	again := s.post(path, samplePack(t), asZip).want(200)
	again.is("counts.unchanged", 3).is("counts.blind", 1).is("lists", []any{})

	s.do(s.rw, http.MethodPatch, "/api/v1/siem/rules/sees", `{"yaml":"`+strings.ReplaceAll(sigmaRule("sees", "Image", "description: ours\n"), "\n", `\n`)+`"}`).want(200)
	theirs := packed(t, "rules/sees.yml", sigmaRule("sees", "Image", "description: theirs\n"))
	c := s.post(path, theirs, asZip).want(200)
	golden(t, "importconflict.json", steady(t, c.body))
	c.is("counts.conflicts", 1).is("counts.gone", 2)
	if !strings.Contains(c.text("conflicts.0.ours"), "+description: ours") || !strings.Contains(c.text("conflicts.0.theirs"), "+description: theirs") {
		t.Errorf("the conflict shows %s", c.body)
	}
	s.post(path+"&onConflict=theirs&prune=true", theirs, asZip).want(200).is("counts.updated", 1).is("gone.0.removed", true)
	s.get("/api/v1/siem/rules/blind").want(404)
	s.do(s.foreign, http.MethodGet, "/api/v1/siem/rules/sees", "").want(404)
}

func TestImportForms(t *testing.T) {
	t.Parallel()
	s := importServer(t)
	one := sigmaRule("one", "Image", "")
	s.post("/api/v1/siem/rules/import", one, "Content-Type: application/yaml").want(200).is("counts.created", 1).is("pack", "imported")
	s.post("/api/v1/siem/rules/import?status=draft&staged=true&minLevel=high", sigmaRule("two", "Image", ""), "Content-Type: text/yaml; charset=utf-8").want(200).is("counts.created", 1)
	s.get("/api/v1/siem/rules/two").want(200).is("status", "DRAFT")

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("note", "words"); err != nil {
		t.Fatal(err)
	}
	part, err := form.CreateFormFile("file", "our_rules.zip")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, samplePack(t))
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	s.post("/api/v1/siem/rules/import", body.String(), "Content-Type: "+form.FormDataContentType()).want(200).is("pack", "our_rules").is("license", "DRL-1.1").is("counts.created", 3)
}

func TestImportRefusals(t *testing.T) {
	t.Parallel()
	s := importServer(t)
	const path = "/api/v1/siem/rules/import"
	s.do(s.ro, http.MethodPost, path, samplePack(t), asZip).problem(403, "Forbidden", "")
	s.post(path, samplePack(t)).problem(400, "Invalid Content-Type", "")
	s.post(path, "", asZip).problem(400, "Missing body", "")
	s.post(path, "--b\r\nContent-Disposition: form-data; name=file; filename=x\r\n\r\ncut", "Content-Type: multipart/form-data; boundary=b").problem(400, "Invalid body", "")
	s.post(path, "--b--\r\n", "Content-Type: multipart/form-data; boundary=b").problem(400, "Missing file", "")
	s.post(path, packed(t, "README.md", "words"), asZip).problem(400, "Bad request", "There is no file of rules in it: names end in .yml or .yaml")
	s.post(path, samplePack(t)[:100], asZip).want(400)
	s.post(path+"?status=on", samplePack(t), asZip).problem(400, "Invalid status value", "")
	s.post(path+"?format=snort", samplePack(t), asZip).problem(400, "Invalid format value", "")
	s.post(path+"?staged=true", samplePack(t), asZip).problem(400, "Invalid staged value", "Only a DRAFT can be staged: give status DRAFT with it")
	s.post(path, strings.Repeat("x", content.MaxArchive+1), asZip).problem(413, "Payload too large", "Allowed: at most 64 MiB")
	s.post(path, "\xff\xfe", "Content-Type: application/yaml").want(200).is("counts.refused", 1)
}

func TestExportRules(t *testing.T) {
	t.Parallel()
	s := importServer(t)
	s.post("/api/v1/siem/rules/import?pack=p&source=https://github.com/o/r", samplePack(t), asZip).want(200)
	s.post("/api/v1/siem/rules", sigmaRule("mine", "Image", ""), "Content-Type: application/yaml").want(201)
	a := s.get("/api/v1/siem/rules/export").want(200)
	if a.header.Get("Content-Type") != "application/zip" || !strings.Contains(a.header.Get("Content-Disposition"), ".zip") {
		t.Errorf("type %q, disposition %q", a.header.Get("Content-Type"), a.header.Get("Content-Disposition"))
	}
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r)
		files[f.Name] = string(text)
	}
	if len(files) != 5 || files["own/rule_mine.yml"] != sigmaRule("mine", "Image", "") || files["p/rules/sees.yml"] != sigmaRule("sees", "Image", "") {
		t.Errorf("the archive holds %q", files)
	}
	for _, line := range []string{
		"| p/rules/sees.yml | Jane Doe | DRL-1.1 | https://github.com/o/r/blob/HEAD/rules/sees.yml |", "| p/rules/list.yml | Jane Doe | MIT |",
		"| own/rule_mine.yml | Jane Doe | not stated | written here |",
	} {
		if !strings.Contains(files["NOTICE.md"], line) {
			t.Errorf("the notice lacks %s:\n%s", line, files["NOTICE.md"])
		}
	}
	// What was exported changes nothing when it comes back.
	s.post("/api/v1/siem/rules/import?pack=back", a.body, asZip).want(200).is("counts.unchanged", 4)
	s.get("/api/v1/siem/rules/export?pack=back").want(200)
	b := s.get("/api/v1/siem/rules/export?pack=p").want(200)
	if z, err := zip.NewReader(strings.NewReader(b.body), int64(len(b.body))); err != nil || len(z.File) != 4 {
		t.Errorf("one pack: %v", err)
	}
	if c := s.do(s.foreign, http.MethodGet, "/api/v1/siem/rules/export", "").want(200); len(c.body) > 600 {
		t.Error("another tenant exports rules of ours")
	}
}

func TestValueLists(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const path = "/api/v1/siem/lists"
	s.get(path).want(200).is("content", []any{})
	a := s.do(s.rw, http.MethodPut, path+"/Admins", `{"values":["root","adm-*"],"description":"who may"}`).want(201)
	golden(t, "valuelist.json", steady(t, a.body))
	s.do(s.rw, http.MethodPut, path+"/Empty.one", `{"values":[]}`).want(201)
	s.do(s.rw, http.MethodPut, path+"/Admins", `{"values":["root"]}`).want(200).is("version", 2).is("count", 1)
	golden(t, "valuelists.json", steady(t, s.get(path+"?direction=asc").want(200).body))
	s.get(path+"?search=adm").want(200).is("totalElements", 1)
	s.get(path+"?size=1&page=1&sort=count").want(200).is("content.0.name", "Empty.one")
	s.get(path+"?page=9").want(200).is("content", []any{})
	got := s.get(path + "/Admins").want(200)
	got.is("values", []string{"root"})
	s.do(s.ro, http.MethodGet, path+"/Admins", "", "If-None-Match: "+got.header.Get("ETag")).want(304)

	s.do(s.ro, http.MethodPut, path+"/Admins", `{"values":["eve"]}`).want(403)
	s.do(s.foreign, http.MethodGet, path+"/Admins", "").want(404)
	s.do(s.foreign, http.MethodDelete, path+"/Admins", "").want(404)
	s.do(s.rw, http.MethodPut, path+"/a%20b", `{"values":["x"]}`).problem(400, "Invalid name value", "")
	s.do(s.rw, http.MethodPut, path+"/x", `{"values":["x",""]}`).problem(400, "Invalid values[1] value", "")
	s.do(s.rw, http.MethodPut, path+"/x", `{}`).want(400)
	s.do(s.rw, http.MethodPut, path+"/x", "").want(400)
	s.do(s.rw, http.MethodDelete, path+"/Admins", "", `If-Match: "1.x"`).want(412)
	s.do(s.rw, http.MethodDelete, path+"/Admins", "").want(204)
	s.get(path + "/Admins").want(404)
}
