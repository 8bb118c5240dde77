package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A Sample is one real line and fields that it must give, "name=value" each. It
// documents the parser and is its first test.
type Sample struct {
	Line   string
	Fields []string
}

// Info describes one content parser.
type Info struct {
	Name     string   // what Record.Source may name
	Sources  []string // values of the field source that it gives; hints too
	Programs []string // syslog programs that lead to it, lower case
	About    string   // the products and lines it knows, in one sentence
	Samples  []Sample
}

// Parsers lists the content parsers in alphabetical order of their code.
func Parsers() []Info {
	all := contents()
	infos := make([]Info, len(all))
	for i, c := range all {
		infos[i] = c.Info
	}
	return infos
}

// A content is one content parser.
type content struct {
	Info
	// strict says that a record whose hint names this parser and that it cannot
	// read is broken; others write free text too.
	strict bool
	// parse reads l.text. It returns false, with nothing added, if that is not
	// content of this kind.
	parse func(*line) bool
}

func contents() []content {
	return append(hostContents(), []content{
		apacheParser(),
		applicationsParser(),
		arubaParser(),
		asaParser(),
		awsParser(),
		azureParser(),
		bitbucketParser(),
		cefParser(),
		checkPointParser(),
		cronParser(),
		devicesParser(),
		iosParser(),
		iseParser(),
		esaParser(),
		dockerParser(),
		duoParser(),
		f5Parser(),
		filterlogParser(),
		gcpParser(),
		gitHubParser(),
		gitLabParser(),
		haproxyParser(),
		jsonParser(),
		juniperParser(),
		kubernetesParser(),
		kvParser(),
		leefParser(),
		loginParser(),
		m365Parser(),
		mikroTikParser(),
		modSecurityParser(),
		mssqlParser(),
		mysqlParser(),
		netfilterParser(),
		nginxParser(),
		oktaParser(),
		oneLoginParser(),
		openCanaryParser(),
		paloAltoParser(),
		pamParser(),
		postgresParser(),
		shadowParser(),
		sonicWallParser(),
		sophosParser(),
		sshdParser(),
		suParser(),
		sudoParser(),
		symantecParser(),
		systemdParser(),
		workspaceParser(),
		zscalerParser(),
	}...)
}

// registry finds content parsers without trying them in turn.
type registry struct {
	programs map[string]*content
	hints    map[string]*content
	index    *deviceIndex

	apache, applications, aruba, asa, cef, checkPoint, devices, esa, f5, haproxy, ise, ios, mikroTik, paloAlto, sonicWall, sophos, json, kv, leef, mssql, mysql, netfilter, nginx, pam, postgres *content
}

func newRegistry() registry {
	all := contents()
	reg := registry{programs: map[string]*content{}, hints: map[string]*content{}, index: newDeviceIndex()}
	for i := range all {
		c := &all[i]
		for _, program := range c.Programs {
			reg.programs[program] = c
			reg.hints[program] = c
		}
		reg.hints[c.Name] = c
		for _, source := range c.Sources {
			reg.hints[source] = c
		}
	}
	reg.apache, reg.cef, reg.json, reg.kv = reg.hints["apache"], reg.hints["cef"], reg.hints["json"], reg.hints["kv"]
	reg.leef, reg.netfilter, reg.nginx, reg.pam = reg.hints["leef"], reg.hints["iptables"], reg.hints["nginx"], reg.hints["pam"]
	reg.asa, reg.ios = reg.hints["cisco_asa"], reg.hints["cisco_ios"]
	reg.haproxy = reg.hints["haproxy"]
	reg.applications = reg.hints["applications"]
	reg.aruba, reg.devices, reg.esa, reg.ise = reg.hints["aruba"], reg.hints["devices"], reg.hints["cisco_esa"], reg.hints["cisco_ise"]
	reg.f5, reg.sonicWall, reg.sophos = reg.hints["f5_bigip"], reg.hints["sonicwall"], reg.hints["sophos"]
	reg.checkPoint, reg.paloAlto, reg.mikroTik = reg.hints["checkpoint"], reg.hints["paloalto"], reg.hints["mikrotik"]
	reg.mssql, reg.mysql, reg.postgres = reg.hints["mssql"], reg.hints["mysql"], reg.hints["postgresql"]
	return reg
}

// isFamily tells hints that name a kind of system and leave the choice to us.
func isFamily(hint string) bool {
	switch hint {
	case "", "auto", "linux", "unix", "bsd", "macos", "syslog", "text", "raw", "plain":
		return true
	}
	return false
}

// isFormat tells hints that name how a record is written, not what wrote it.
func isFormat(hint string) bool {
	switch hint {
	case "json", "kv", "cef", "leef":
		return true
	}
	return false
}

// content chooses and runs the content parser for l.text.
func (l *line) content() {
	if l.repeated() {
		return
	}
	if l.container() {
		l.innerHeader()
	}
	if l.force != nil && l.forced() {
		return
	}
	reg := &l.p.registry
	hint := l.r.Source
	var own, forced *content
	if l.program != "" {
		own = reg.programs[l.p.lower(l.program)]
	}
	if hint != "" {
		forced = reg.hints[hint]
	}
	if own == nil && forced != nil || own != nil && own == forced {
		if l.try(forced, "the sender's hint names it") {
			if slices.Contains(forced.Sources, hint) && l.source == forced.Sources[0] {
				l.source = hint
			}
			return
		}
		if own == nil && forced.strict && l.text != "" && !l.pamLine() {
			l.fail(ReasonMismatch, -1)
		}
	}
	if l.pamLine() && l.try(reg.pam, "the text is PAM's") {
		l.source = "pam"
		if own != nil {
			l.source = own.Sources[0]
		}
		return
	}
	if own != nil && own != forced && l.try(own, "the program name leads to it") {
		return
	}
	if c, why := l.sniff(); c != nil && l.try(c, why) {
		if !isFamily(hint) && (l.generic() || l.guessed) {
			l.source = hint
		}
		return
	}
	l.know("text", "nothing knows the text")
	l.plain()
	if l.loginFailure(l.text) {
		l.know("login", "the text tells of a failed login")
	}
	l.source = l.plainSource()
}

// plainSource names the source of a line that no content parser names one for.
func (l *line) plainSource() string {
	switch {
	case !isFamily(l.r.Source):
		return l.r.Source
	case l.program != "":
		return l.p.lower(l.program)
	case l.header == "none" || l.header == "time":
		return "text"
	default:
		return "syslog"
	}
}

// try runs c and settles the source.
func (l *line) try(c *content, why string) bool {
	mark, text := len(l.e.Fields), l.text
	if !c.parse(l) {
		l.e.Fields, l.text = l.e.Fields[:mark], text
		return false
	}
	if l.parser == "" {
		l.know(c.Name, why)
	}
	if l.source == "" && len(c.Sources) > 0 {
		l.source = c.Sources[0]
	}
	return true
}

// generic tells whether the source says no more than the format.
func (l *line) generic() bool { return l.source == "json" || l.source == "kv" }

// pamLine tells lines of the PAM library, which any program may write.
func (l *line) pamLine() bool {
	return strings.HasPrefix(l.text, "pam_") || strings.HasPrefix(l.tagged, "pam_") ||
		strings.HasPrefix(l.text, "PAM ") && !strings.HasPrefix(l.text, "PAM service(")
}

// sniff chooses a content parser by the text alone.
func (l *line) sniff() (*content, string) {
	s := l.text
	reg := &l.p.registry
	if s == "" {
		if l.program != "" && l.device() != nil {
			return reg.devices, "its program is that of an appliance"
		}
		return nil, ""
	}
	if c, why := l.hostLog(); c != nil {
		return c, why
	}
	if c, why := l.appliance(); c != nil {
		return c, why
	}
	switch s[0] {
	case '{':
		return reg.json, "the text begins as a JSON object"
	case '-':
		if isModSecuritySections(s) {
			return reg.hints["modsecurity"], "the text begins with a section of ModSecurity's audit log"
		}
	case '@':
		if rest, ok := strings.CutPrefix(s, "@cee:"); ok {
			l.text = skipSpaces(rest)
			return reg.json, "the text begins with @cee:"
		}
	case '[':
		if len(s) > 28 && s[4] == ' ' && isWeekday(s[1:]) {
			return reg.apache, "the text begins with Apache's bracketed time"
		}
	}
	if isPostgresLine(s) {
		return reg.postgres, "a level of PostgreSQL stands behind its prefix"
	}
	if isMSSQLLine(s) && l.header == "time" {
		return reg.mssql, "the text begins as SQL Server's log"
	}
	if isMySQLLine(s) {
		return reg.mysql, "the text begins as MySQL's log"
	}
	if len(s) > 27 && s[4] == '/' && s[7] == '/' && s[10] == ' ' && isDigit(s[0]) {
		if i := strings.IndexByte(s, '#'); i > 0 && i < 64 {
			return reg.nginx, "the text begins with nginx's date and time"
		}
	}
	if isHAProxy(s) {
		return reg.haproxy, "an address with its port and HAProxy's time begin the text"
	}
	if i := strings.IndexByte(s, '['); i > 4 && len(s) > i+28 && s[i+3] == '/' && s[i+7] == '/' && s[i-1] == ' ' {
		return reg.nginx, "an access log's bracketed time stands in it"
	}
	if i := strings.Index(s, "EF:"); i > 0 && i < 256 && i+4 < len(s) && isDigit(s[i+3]) {
		switch {
		case s[i-1] == 'C' && (i == 1 || s[i-2] == ' '):
			l.text = s[i-1:]
			return reg.cef, "CEF: stands in it"
		case s[i-1] == 'E' && i > 1 && s[i-2] == 'L' && (i == 2 || s[i-3] == ' '):
			l.text = s[i-2:]
			return reg.leef, "LEEF: stands in it"
		}
	}
	if application(s) != "" {
		return reg.applications, "the module of an application stands in it"
	}
	if i := strings.Index(s, "IN="); i >= 0 && strings.Contains(s[i:], " OUT=") {
		return reg.netfilter, "IN= and OUT= stand in it"
	}
	if kvStart(s) {
		return reg.kv, "the text begins with key=value pairs"
	}
	return nil, ""
}

// native adds a field under the source's own name, "id.name" where id is given.
// Where that is a canonical name already taken for something else it stands
// under event.NativePrefix. A value whose name is empty has no field of its own: the
// message holds it, and the store would take a field without a name for the message.
func (l *line) native(id, name, value string) {
	if name == "" {
		return
	}
	var short [128]byte
	b := short[:0]
	if id != "" {
		b = append(append(b, id...), '.')
	} else if event.IsCanonical(name) {
		b = append(b, event.NativePrefix...)
	} else {
		l.e.Add(name, value)
		return
	}
	l.e.Add(l.p.names.of(append(b, name...)), value)
}
