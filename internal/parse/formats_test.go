package parse

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/formats.md")

// TestFormatsPage: the page of the manual that lists what is understood is what
// the code understands.
func TestFormatsPage(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "formats.md")
	if *update {
		if err := os.WriteFile(path, []byte(formatsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != formatsPage() {
		t.Error("docs/formats.md is out of date: go test ./internal/parse -run TestFormatsPage -update")
	}
}

func formatsPage() string {
	var b strings.Builder
	b.WriteString(`# Formats

Every record is taken as it comes: the transport's header (RFC 3164 in the shapes in which it is really sent, RFC 5424, none) is read first, then the content is recognised. What nothing knows is kept whole as text and can be searched.

A sender may name the format with ` + "`--source`" + ` (` + "`kyra send`, `kyra hunt`" + `), the setting of a source, or the header of a door; the names of the first and second column serve. Without that the program's name or the text decides.

Every field of a structured record stands under its own name, nested names joined by dots, several values where there are several. The canonical fields (` + "`source`, `user`, `src_ip`, `action`, `outcome`" + ` and so on) stand beside them. A record's own field whose name is a canonical one and whose value differs stands under ` + "`fields.NAME`" + `.

| name | field source | understood |
|---|---|---|
`)
	for _, info := range Parsers() {
		sources := strings.Join(info.Sources, ", ")
		if sources == "" {
			sources = "the program's"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", info.Name, sources, info.About)
	}
	b.WriteString("\nWindows events (as JSON of NXLog, Winlogbeat, Wazuh and evtx_dump), Suricata, Zeek, Caddy and Traefik are told by their fields, too; they come under `json`. `kyra parse` shows what becomes of a line and why.\n")
	return b.String()
}
