package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func applicationsParser() content {
	return content{
		Info: Info{
			Name:     "applications",
			Sources:  []string{"vaultwarden", "paperless-ngx", "home-assistant", "gitea", "keycloak", "teamspeak3", "miniflux", "dropbear", "vsftpd", "grafana", "authentik", "traefik"},
			Programs: []string{"dropbear", "vsftpd"},
			About:    "hosted applications told by the module that their lines name: Vaultwarden, Paperless-ngx, Home Assistant, Gitea, Keycloak, TeamSpeak, Miniflux, Grafana, authentik; Dropbear and vsftpd: failed and other logins",
			Samples: []Sample{
				{`[2026-03-04 05:06:07.892][vaultwarden::api::core::two_factor::email][ERROR] Token is invalid! IP: 203.0.113.9`, []string{"source=vaultwarden", "program=Vaultwarden", "action=login", "outcome=failure", "src_ip=203.0.113.9", "level=ERROR"}},
				{`2026-03-04 05:06:07,457 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="r", ipAddress="203.0.113.9", error="user_not_found", username="eve"`, []string{
					"source=keycloak", "outcome=failure", "user=eve", "src_ip=203.0.113.9", "time_quality=tz_assumed",
				}},
				{`2026-03-04 05:06:07 WARNING (MainThread) [homeassistant.components.http.ban] Login attempt or request with invalid authentication from localhost (203.0.113.9). (curl/7)`, []string{"source=home-assistant", "program=home-assistant", "outcome=failure", "src_ip=203.0.113.9"}},
				{`Mar  4 05:06:07 r1 dropbear[77]: Exit before auth from <203.0.113.9:35928>: Bad buf_getptr`, []string{"source=dropbear", "program=dropbear", "src_ip=203.0.113.9", "src_port=35928", "outcome=failure"}},
				{`Mar  4 05:06:07 r1 dropbear[77]: Password auth succeeded for 'root' from 10.0.0.9:49242`, []string{"action=login", "outcome=success", "user=root", "src_ip=10.0.0.9"}},
				{`Exit (root): Disconnect received`, []string{"source=dropbear", "program=dropbear"}},
				{`DEBUG: CrowdsecBouncerTraefikPlugin: 2026/03/04 05:06:07 handleStreamCache:updated`, []string{"source=traefik", "program=traefik"}},
				{`2026-03-04 05:06:07.009756|INFO    |Query         |   |query from 11 203.0.113.9:48426 attempted to login with account "toto" and failed!`, []string{"source=teamspeak3", "program=ts3", "outcome=failure", "src_ip=203.0.113.9"}},
				{`Wed Mar  4 05:06:07 2026 [pid 27244] [bob] FAIL LOGIN: Client "::ffff:203.0.113.9"`, []string{"source=vsftpd", "program=vsftpd", "pid=27244", "user=bob", "src_ip=203.0.113.9", "outcome=failure"}},
				{`logger=http.server t=2026-03-04T05:06:07+01:00 level=info msg="Successful Login" User=admin@localhost`, []string{"source=grafana", "category=authentication", "action=login", "outcome=success", "user=admin@localhost"}},
				{`logger=context userId=0 orgId=0 uname= t=2026-03-04T05:06:07+01:00 level=info msg=Unauthorized error="[password-auth.failed] failed to authenticate identity: [password-auth.invalid] invalid password" remote_addr=203.0.113.9`, []string{
					"source=grafana", "action=login", "outcome=failure", "src_ip=203.0.113.9",
				}},
				{`{"action":"login_failed","auth_via":"unauthenticated","client_ip":"203.0.113.9","context":{"username":"eve"},"event":"Created Event","logger":"authentik.events.models","level":"info","timestamp":"2026-03-04T05:06:07","user":{"username":"AnonymousUser"}}`, []string{
					"source=authentik", "category=authentication", "action=login", "outcome=failure", "user=eve", "src_ip=203.0.113.9",
				}},
			},
		},
		parse: parseApplication,
	}
}

// application names the application that wrote a line of its own log, "" for none
// that we know.
func application(s string) string {
	if len(s) < 24 {
		return ""
	}
	near := s[:min(len(s), 112)]
	switch s[0] {
	case '[':
		switch {
		case strings.Contains(near, "][vaultwarden::"), strings.Contains(near, "][bitwarden_rs::"):
			return "vaultwarden"
		case strings.Contains(near, " [paperless."):
			return "paperless-ngx"
		}
	case '0', '1', '2', '3', 'W', 'I', 'E', 'D', '.', 'r', '|': // the time may have been read as a header
		switch {
		case strings.Contains(near, " [homeassistant."):
			return "home-assistant"
		case strings.Contains(near, " [org.keycloak."), strings.Contains(near, " [org.key.events]"):
			return "keycloak"
		case strings.Contains(near, "rs/web/auth/") && strings.Contains(near, ".go:"):
			return "gitea"
		case strings.Contains(near, "|Query  ") || strings.Contains(near, "|VirtualServer"):
			return "teamspeak3"
		case strings.Contains(near, "TraefikPlugin: "):
			return "traefik"
		}
	}
	return inWords(s, near)
}

// inWords knows the applications whose first words are their own.
func inWords(s, near string) string {
	switch s[0] {
	case 'B', 'E', 'L', 'P':
		if strings.HasPrefix(s, "Bad password attempt for '") || strings.HasPrefix(s, "Bad PAM password attempt for '") || strings.HasPrefix(s, "Exit before auth") || strings.HasPrefix(s, "Exit (") && strings.Contains(near, "): ") || strings.HasPrefix(s, "Login attempt for nonexistent user") || strings.HasPrefix(s, "Password auth succeeded for '") {
			return "dropbear"
		}
	case 'l':
		if strings.HasPrefix(s, "logger=") && strings.Contains(near, " t=20") {
			return "grafana"
		}
	case 'm':
		if strings.HasPrefix(s, "miniflux ") && strings.Contains(near, "| ") {
			return "miniflux"
		}
	}
	if i := strings.Index(near, "[pid "); i >= 0 && i < 32 && (strings.Contains(near, "] FAIL LOGIN: Client ") || strings.Contains(near, "] OK LOGIN: Client ") || strings.Contains(near, "] FTP response: Client ") || strings.Contains(near, " CONNECT: Client ")) {
		return "vsftpd"
	}
	return ""
}

func parseApplication(l *line) bool {
	s := l.text
	name := application(s)
	if name == "" && (strings.EqualFold(l.program, "dropbear") || strings.EqualFold(l.program, "vsftpd")) {
		name = l.p.lower(l.program)
	}
	switch name {
	case "":
		return false
	case "grafana":
		if !parseKV(l) {
			return false
		}
		l.grafana()
	case "miniflux":
		if _, rest, ok := strings.Cut(s, "| "); ok {
			l.text = rest
			if !parseKV(l) {
				l.text = s
			}
		}
		l.loginFailure(s)
	default:
		l.plain()
		if !l.says(applicationSayings, s) {
			l.loginFailure(s)
		}
	}
	l.source = name
	program := applicationPrograms[name]
	if !isFamily(l.r.Source) && !isFormat(l.r.Source) && l.r.Source != "applications" {
		l.source, program = l.r.Source, "" // the sender's word for the same
	}
	if l.program == "" {
		l.program = cmp.Or(program, l.source)
	}
	return true
}

// applicationPrograms are the names that applications give themselves where that is
// not the source's.
var applicationPrograms = map[string]string{"vaultwarden": "Vaultwarden", "paperless-ngx": "Paperless-ngx", "teamspeak3": "ts3"}

// grafana tells logins from other lines.
func (l *line) grafana() {
	switch {
	case l.loginSuccess(l.message):
	case l.message == "Unauthorized" && strings.Contains(l.e.Get("error"), "password-auth"):
		l.happened("authentication", "login", "failure")
	}
}

// loginSuccess tells the one wording of a login that applications share.
func (l *line) loginSuccess(message string) bool {
	if message != "Successful Login" {
		return false
	}
	l.putThree("authentication", "login", "success")
	l.once(event.User, l.e.Get("User"))
	return true
}

// grafanaJSON reads what Grafana writes as JSON.
func grafanaJSON(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	known := false
	for _, f := range own {
		if f.Name == "t" {
			known = len(f.Value) > 19 && f.Value[4] == '-' && f.Value[10] == 'T'
		}
	}
	if !known {
		return false
	}
	l.knownAs("grafana", "Grafana Labs", "Grafana")
	if message := l.e.Get("msg"); message == "Invalid username or password" {
		l.happened("authentication", "login", "failure")
	} else {
		l.loginSuccess(message)
	}
	if l.program == "" {
		l.program = "grafana"
	}
	return true
}

// authentik reads authentik's events.
func authentik(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var action, tried, identifier string
	known := false
	for _, f := range own {
		switch f.Name {
		case "logger":
			known = strings.HasPrefix(f.Value, "authentik.")
		case event.Action:
			action = f.Value
		case "context.username":
			tried = f.Value
		case "identifier":
			identifier = f.Value
		}
	}
	if !known {
		return false
	}
	l.knownAs("authentik", "Authentik Security", "authentik")
	if tried == "" {
		tried = identifier
	}
	switch action {
	case "login_failed", "invalid_identifier", "invalid_login":
		if tried != "" {
			l.put(event.User, tried)
		}
		l.happened("authentication", "login", "failure")
	case "login":
		l.putThree("authentication", "login", "success")
	case "logout":
		l.putThree("authentication", "logout", "success")
	}
	if l.program == "" {
		l.program = "authentik"
	}
	return true
}

var applicationSayings = []saying{
	{form: form("Exit before auth from <{peer}>: {reason}"), category: "authentication", action: "login", outcome: "failure", severity: low},
	{form: form("Exit before auth (user '{user}', {_}): {reason}"), category: "authentication", action: "login", outcome: "failure", severity: low},
	{form: form("Password auth succeeded for '{user}' from {peer}"), category: "authentication", action: "login", outcome: "success"},
	{form: form("Pubkey auth succeeded for '{user}' with {_} from {peer}"), category: "authentication", action: "login", outcome: "success"},
	{form: form(`[pid {pid}] [{user}] FAIL LOGIN: Client "{src_ip}"`), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form(`[pid {pid}] [{user}] OK LOGIN: Client "{src_ip}"`), category: "authentication", action: "login", outcome: "success"},
	{form: form(`[pid {pid}] [{user}] FTP response: Client "{src_ip}", "530 {reason}"`), category: "authentication", action: "login", outcome: "failure", severity: low},
	{form: form(`[{user}] FAIL LOGIN: Client "{src_ip}"`), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form(`[{user}] OK LOGIN: Client "{src_ip}"`), category: "authentication", action: "login", outcome: "success"},
	{form: form(`{_}] Token is invalid! IP: {src_ip}`), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form(`{_} type="LOGIN_ERROR", {_} ipAddress="{src_ip}", error="{reason}",{_}username="{user}"`), category: "authentication", action: "login", outcome: "failure", severity: medium},
	{form: form(`{_} type="LOGIN_ERROR", {_} ipAddress="{src_ip}", error="{reason}"`), category: "authentication", action: "login", outcome: "failure", severity: medium},
}
