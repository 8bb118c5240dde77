package parse

import (
	"strings"
)

func zeekTableParser() content {
	return content{
		Info: Info{
			Name:    "zeek",
			Sources: []string{"zeek", "bro"},
			About:   "Zeek's logs as tables: columns by the #path and #fields lines that came before from the same sender",
			Samples: []Sample{
				{"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto", []string{"source=zeek", "category=", "tags="}},
				{"#close\t2026-03-04-05-06-07", []string{"source=zeek", "severity=info"}},
			},
		},
		parse: parseZeekTable,
	}
}

// isZeekTable tells a header of a table and, where one came before, its rows.
func (l *line) isZeekTable() bool {
	s := l.text
	if s[0] == '#' {
		i := strings.IndexAny(s, "\t ")
		return i > 0 && zeekHeader(s[:i])
	}
	return len(s) > 20 && digits(s) == 10 && s[10] == '.' && digits(s[11:]) == 6 && s[17] == '\t' && l.p.tables.of(l.table("zeek")) != nil
}

func zeekHeader(name string) bool {
	switch name {
	case "#separator", "#set_separator", "#empty_field", "#unset_field", "#path", "#open", "#close", "#fields", "#types":
		return true
	}
	return false
}

func parseZeekTable(l *line) bool {
	if l.text == "" || !l.isZeekTable() {
		return false
	}
	l.source = "zeek"
	if l.text[0] == '#' {
		l.zeekNote()
		return true
	}
	table := l.zeekTable(strings.Count(l.text, "\t"))
	if table == "" {
		return false
	}
	path, columns, _ := strings.Cut(table, "\t")
	row, source := l.row(), l.source
	row.field("_path", path)
	for s := l.text; columns != ""; {
		var name, value string
		name, columns, _ = strings.Cut(columns, "\t")
		value, s, _ = strings.Cut(s, "\t")
		if value == "-" || value == "(empty)" || value == "" {
			continue
		}
		switch name {
		case "answers", "TTLs", "tx_hosts", "rx_hosts", "conn_uids", "actions", "resp_fuids", "orig_fuids", "tags", "cert_chain_fuids", "analyzers": // sets
			for value != "" {
				var one string
				one, value, _ = strings.Cut(value, ",")
				row.field(name, one)
			}
		default:
			row.field(name, value)
		}
	}
	row.end()
	if l.source == "" || l.source == "json" {
		l.source = source
	}
	if l.dataset == "" {
		l.dataset = path
	}
	return true
}

// zeekNote takes note of a header: the note is a list of tables, the newest first,
// since a sender has many logs.
func (l *line) zeekNote() {
	name, value, _ := strings.Cut(l.text, "\t")
	if len(value) > maxTableHeader/4 || strings.Contains(value, "\n") {
		return
	}
	switch name {
	case "#path":
		n := l.p.tables.keep(l.table("zeek path"))
		n.text = append(n.text[:0], value...)
	case "#fields":
		path := "unknown"
		if n := l.p.tables.of(l.table("zeek path")); n != nil {
			path = string(n.text)
		}
		n := l.p.tables.keep(l.table("zeek"))
		all := path + "\t" + value + "\n"
		for rest := string(n.text); rest != ""; {
			var table string
			table, rest, _ = strings.Cut(rest, "\n")
			if other, _, _ := strings.Cut(table, "\t"); other != path && len(all)+len(table) < maxTableHeader {
				all += table + "\n"
			}
		}
		n.text = append(n.text[:0], all...)
	}
}

// zeekTable returns the newest table that has so many separators between columns.
func (l *line) zeekTable(tabs int) string {
	n := l.p.tables.of(l.table("zeek"))
	if n == nil {
		return ""
	}
	for rest := n.string(); rest != ""; {
		var table string
		table, rest, _ = strings.Cut(rest, "\n")
		if strings.Count(table, "\t") == tabs+1 {
			return table
		}
	}
	return ""
}
