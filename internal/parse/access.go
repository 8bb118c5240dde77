package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// parseAccess reads the access log that nginx, Apache and others share: common
// and combined format, with a virtual host before them or not. server is the
// source to give where the line does not say.
//
//	[VHOST[:PORT] ]CLIENT IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERRER" "AGENT"[ …]]
func parseAccess(l *line, server string) bool {
	s := l.text
	open := strings.IndexByte(s, '[')
	if open < 5 || s[open-1] != ' ' || len(s) < open+28 || s[open+3] != '/' {
		return false
	}
	var c clock
	rest, ok := c.clfTime(s[open+1:])
	if !ok || rest == "" || rest[0] != ']' {
		return false
	}
	rest = strings.TrimPrefix(rest[1:], " ")
	request, n := cQuoted(rest)
	if n == 0 {
		return false
	}
	rest = strings.TrimPrefix(rest[n:], " ")
	if t, q, ok := l.resolve(&c); ok {
		l.setTime(t, q)
	}
	who := s[:open-1]
	vhost := accessWho(l, who)
	accessRequest(l, request)
	status, rest := cutField(rest)
	bytes, rest := cutField(rest)
	outcome := "success"
	if len(status) == 3 && status[0] >= '4' {
		outcome = "failure"
	}
	l.is("web", "request", outcome)
	l.addInt(event.HTTPStatus, status)
	l.addInt(event.DstBytes, bytes)
	if referrer, n := cQuoted(rest); n > 0 {
		l.addNonDash(event.Referrer, referrer)
		rest = strings.TrimPrefix(rest[n:], " ")
		if agent, n := cQuoted(rest); n > 0 {
			l.addNonDash(event.UserAgent, agent)
			rest = strings.TrimPrefix(rest[n:], " ")
			if forwarded, n := cQuoted(rest); n > 0 && n == len(rest) { // nginx's "main" format
				l.addNonDash("x_forwarded_for", forwarded)
			}
		}
	}
	if vhost && server == "" {
		server = "apache"
	}
	switch {
	case server != "":
		l.source = server
	case strings.HasSuffix(rest, "ms") && isDigit(rest[0]) && strings.Count(rest, `"`) >= 4:
		l.source = "traefik"
	case bunkerWeb(who):
		l.source = "bunkerweb"
	default: // common and combined are every server's
		l.source, l.guessed = serverOfFile(l.r.Stream), true
	}
	l.web = true
	return true
}

// serverOfFile names the server whose file a line was read from, by the file's path;
// nginx is the likeliest where that does not tell.
func serverOfFile(path string) string {
	for _, server := range [...]struct{ word, source string }{{"nginx", "nginx"}, {"lighttpd", "lighttpd"}, {"apache", "apache"}, {"httpd", "apache"}, {"bunkerweb", "bunkerweb"}, {"traefik", "traefik"}, {"caddy", "caddy"}} {
		if strings.Contains(path, server.word) {
			return server.source
		}
	}
	return "nginx"
}

// bunkerWeb tells what BunkerWeb writes before the time: a virtual host, the client, -,
// the request's id and the user.
func bunkerWeb(who string) bool {
	host, rest := cutField(who)
	client, rest := cutField(rest)
	ident, rest := cutField(rest)
	id, user := cutField(rest)
	if host == "-" || ident != "-" || user == "" || strings.IndexByte(user, ' ') >= 0 || !strings.ContainsAny(id, "0123456789") {
		return false
	}
	_, ok := address(client)
	return ok
}

// accessWho reads what stands before the time, and tells whether a virtual host
// with a port came first, as Apache writes it.
func accessWho(l *line, s string) (vhost bool) {
	first, rest := cutField(s)
	second, more := cutField(rest)
	client := first
	if _, ok := address(second); ok {
		client, rest = second, more
		name, port := addressPort(first)
		vhost = port != ""
		l.addNonDash(event.Domain, name)
		l.addInt("server_port", port)
	} else if strings.Count(rest, " ") >= 2 && first != "-" {
		if _, ok := address(first); !ok && second != "-" { // names for both
			client, rest = second, more
			l.add(event.Domain, first)
		}
	}
	if a, port := addressPort(client); port != "" {
		l.addSource(a, port)
	} else {
		l.addSource(client, "")
	}
	_, user := cutField(rest) // after ident
	if strings.HasSuffix(user, " -") {
		user = "-"
	}
	l.addNonDash(event.User, user)
	return vhost
}

// accessRequest splits "GET /a?b HTTP/1.1". What is no request line is kept as
// url and url_path: scanners send TLS and worse to plain ports.
func accessRequest(l *line, s string) {
	if s == "" || s == "-" {
		return
	}
	method, rest := cutField(s)
	i := strings.LastIndexByte(rest, ' ')
	if !isMethod(method) || rest == "" || i >= 0 && !strings.HasPrefix(rest[i+1:], "HTTP") {
		l.add(event.URL, s)
		l.add(event.URLPath, s)
		return
	}
	url := rest
	if i >= 0 {
		url = rest[:i]
		l.add(event.HTTPVersion, strings.TrimPrefix(rest[i+1:], "HTTP/"))
	}
	l.add(event.HTTPMethod, method)
	l.addURL(url)
}

// addURL adds a URL as sent, with its path and query.
func (l *line) addURL(url string) {
	l.add(event.URL, url)
	path := url
	if path != "" && path[0] != '/' {
		if i := strings.Index(path, "://"); i > 0 && i < 10 {
			path = path[i+3:]
			if i := strings.IndexAny(path, "/?"); i >= 0 {
				path = path[i:]
			} else {
				path = "/"
			}
		}
	}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		l.add(event.URLQuery, path[i+1:])
		path = path[:i]
	}
	l.add(event.URLPath, path)
}

// addExtension adds the ending of the file that a URL names, which rules on downloads
// ask for.
func (l *line) addExtension(url string) {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	if i := strings.Index(url, "://"); i >= 0 { // the host has dots, too
		url = url[i+3:]
		if i = strings.IndexByte(url, '/'); i < 0 {
			return
		}
		url = url[i:]
	}
	file := url[strings.LastIndexByte(url, '/')+1:]
	if i := strings.LastIndexByte(file, '.'); i > 0 && i < len(file)-1 && len(file)-i <= 12 {
		l.add("url_extension", l.p.lower(file[i+1:]))
	}
}

func isMethod(s string) bool {
	if len(s) < 3 || len(s) > 20 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 'A' || c > 'Z' {
			if c != '_' && c != '-' {
				return false
			}
		}
	}
	return true
}

// cQuoted reads a value in double quotes that keeps its backslash escapes; n is
// how many bytes it took, 0 where there is none.
func cQuoted(s string) (value string, n int) {
	if s == "" || s[0] != '"' {
		return "", 0
	}
	for at := 1; ; {
		i := strings.IndexByte(s[at:], '"')
		if i < 0 {
			return "", 0
		}
		end := at + i
		b := end
		for b > 1 && s[b-1] == '\\' {
			b--
		}
		if (end-b)&1 == 0 {
			return s[1:end], end + 1
		}
		at = end + 1
	}
}

// accessDataset returns "nginx.access" and its like.
func accessDataset(p *Parser, source string) string {
	switch source {
	case "nginx":
		return "nginx.access"
	case "apache":
		return "apache.access"
	}
	var short [80]byte
	return p.names.of(append(append(short[:0], source...), ".access"...))
}
