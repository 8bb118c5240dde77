package clients

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var rsyslogClients = []client{
	{name: "rsyslog-udp", input: "syslog-udp", send: rsyslog("", func(s *server) string {
		return fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%s" protocol="udp" template="RSYSLOG_ForwardFormat")`, port(s.udp))
	})},
	{name: "rsyslog-tcp", form: seconds, send: rsyslog("", func(s *server) string {
		return fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%s" protocol="tcp" template="RSYSLOG_TraditionalForwardFormat")`, port(s.tcp))
	})},
	{name: "rsyslog-octet-counted", send: rsyslog("", func(s *server) string {
		return fmt.Sprintf(`action(type="omfwd" target="127.0.0.1" port="%s" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")`, port(s.tcp))
	})},
	{name: "rsyslog-tls", send: rsyslog("lmnsd_gtls.so", rsyslogTLS("gtls"))},
	{name: "rsyslog-openssl", send: rsyslog("lmnsd_ossl.so", rsyslogTLS("ossl"))},
	{name: "rsyslog-relp", send: rsyslog("omrelp.so", func(s *server) string {
		return fmt.Sprintf("module(load=\"omrelp\")\n"+`action(type="omrelp" target="127.0.0.1" port="%s" template="RSYSLOG_SyslogProtocol23Format")`, port(s.relp))
	})},
	{name: "rsyslog-relp-openssl", send: rsyslog("omrelp.so", relpTLS(` tls.tlslib="openssl"`, ""))},
	{name: "rsyslog-relp-gnutls", send: func(t *testing.T, s *server, lines []line) {
		cert, key := certificate(t) // without one of its own, librelp's GnuTLS speaks anonymous TLS only
		rsyslog("omrelp.so", relpTLS("", fmt.Sprintf(`tls.mycert="%s" tls.myprivkey="%s"`, cert, key)))(t, s, lines)
	}},
	{name: "rsyslog-elasticsearch", levels: &shortLevels, send: rsyslog("omelasticsearch.so", func(s *server) string {
		return fmt.Sprintf(`module(load="omelasticsearch")
template(name="kyra" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="programname" format="jsonf")
  property(outname="level" name="syslogseverity-text" format="jsonf")
  property(outname="message" name="msg" position.from="2" format="jsonf")
}
action(type="omelasticsearch" template="kyra" server="127.0.0.1" serverport="%s" uid="kyra" pwd="%s" bulkmode="on")`, port(s.url[len("http://"):]), s.token)
	})},
}

func rsyslogTLS(driver string) func(*server) string {
	return func(s *server) string {
		return fmt.Sprintf(`global(DefaultNetstreamDriverCAFile="%s")
action(type="omfwd" target="127.0.0.1" port="%s" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"
  StreamDriver="%s" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost")`, s.ca, port(s.tls), driver)
	}
}

func relpTLS(library, own string) func(*server) string {
	return func(s *server) string {
		return fmt.Sprintf(`module(load="omrelp"%s)
action(type="omrelp" target="127.0.0.1" port="%s" template="RSYSLOG_SyslogProtocol23Format"
  tls="on" tls.cacert="%s" tls.authmode="name" tls.permittedpeer=["localhost"] %s)`, library, port(s.relpTLS), s.ca, own)
	}
}

// rsyslog is a relay with one action. plugin is the file that it needs beside
// rsyslogd itself.
func rsyslog(plugin string, action func(*server) string) func(*testing.T, *server, []line) {
	return func(t *testing.T, s *server, lines []line) {
		daemon := program(t, "rsyslogd")
		if found, _ := filepath.Glob("/usr/lib/*/rsyslog/" + plugin); plugin != "" && len(found) == 0 {
			missing(t, "rsyslog's "+plugin)
		}
		dir, in := t.TempDir(), freeAddr(t)
		conf := filepath.Join(dir, "rsyslog.conf")
		text := fmt.Sprintf("global(workDirectory=\"%s\" parser.escapeControlCharactersOnReceive=\"off\")\nmodule(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"%s\")\n%s\n", dir, port(in), action(s))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, nil, daemon, "-n", "-i", "NONE", "-f", conf)
		feed(t, in, lines)
	}
}

// feed hands lines to a relay, ten thousand in a second or two, as UDP behind it
// knows no other way of not being overrun.
func feed(t *testing.T, addr string, lines []line) {
	t.Helper()
	var conn net.Conn
	eventually(t, "the relay", func() (ok bool) {
		var err error
		conn, err = net.Dial("tcp", addr)
		return err == nil
	})
	paced(t, conn, lines, (*line).syslog)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// paced writes a hundred lines each ten milliseconds.
func paced(t *testing.T, to io.Writer, lines []line, write func(*line) string) {
	t.Helper()
	const part = 100
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(lines) > 0 {
		n := min(part, len(lines))
		if _, err := io.WriteString(to, text(lines[:n], write)); err != nil {
			t.Fatal(err)
		}
		lines = lines[n:]
		<-tick.C
	}
}
