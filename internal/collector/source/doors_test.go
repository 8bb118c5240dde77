package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// freePort returns an address that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func hangUp(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestSyslog(t *testing.T) {
	tcp, udp := freePort(t), freePort(t)
	var k kept
	stop := start(t, &k, fmt.Sprintf("source: {type: syslog, tcp: '%s', udp: '%s'}", tcp, udp))
	conn := dial(t, "tcp", tcp)
	fmt.Fprint(conn, "<13>one\n10 <13>hello!")
	k.await(t, "<13>one", "<13>hello!")
	fmt.Fprint(conn, "<13>torn")
	hangUp(t, conn)
	k.await(t, "<13>one", "<13>hello!", "<13>torn")
	for got := k.got(); len(got) == 3; got = k.got() { // the socket may be a moment late
		conn = dial(t, "udp", udp)
		fmt.Fprint(conn, "<13>datagram\n")
		hangUp(t, conn)
		time.Sleep(50 * time.Millisecond)
	}
	if got := k.got(); got[3] != "<13>datagram" {
		t.Errorf("%q", got)
	}
	open := dial(t, "tcp", tcp)
	fmt.Fprint(open, "<13>last\n")
	for !slices.Contains(k.got(), "<13>last") {
		time.Sleep(5 * time.Millisecond)
	}
	stop() // with a connection that stays open
	hangUp(t, open)
	if c := k.chunks[0].Chunk; c.Input != "syslog-tcp" || c.Peer != "127.0.0.1" {
		t.Errorf("%+v", c)
	}
}

func TestSyslogOverTLS(t *testing.T) {
	dir, address := t.TempDir(), freePort(t)
	authority := certify(t, dir, "ca", nil)
	certify(t, dir, "server", authority)
	sender := certify(t, dir, "sender", authority)
	stranger := certify(t, dir, "stranger", nil)
	text := fmt.Sprintf("source: {type: syslog, tls: '%s', cert: '%s/server.crt', key: '%s/server.key', client_ca: '%s/ca.crt'}", address, dir, dir, dir)
	var k kept
	start(t, &k, text)
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	talk := func(certificates ...tls.Certificate) error {
		conn := tls.Client(dial(t, "tcp", address), &tls.Config{ServerName: "localhost", RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12})
		defer func() { _ = conn.Close() }() // one that was refused is closed already
		fmt.Fprint(conn, "<13>one\n10 <13>hello!")
		if err := conn.CloseWrite(); err != nil {
			return err
		}
		_, err := io.ReadAll(conn) // what a door refuses it tells after the handshake
		return err
	}
	if err := talk(); err == nil {
		t.Error("a sender without a certificate was let in")
	}
	if err := talk(*stranger); err == nil {
		t.Error("a sender of another authority was let in")
	}
	if err := talk(*sender); err != nil {
		t.Error(err)
	}
	k.await(t, "<13>one", "<13>hello!")
	if c := k.chunks[0].Chunk; c.Input != "syslog-tls" || c.Peer != "127.0.0.1" {
		t.Errorf("%+v", c)
	}
}

// certify makes a certificate, its own authority without one, and leaves it with its key in dir.
func certify(t *testing.T, dir, name string, authority *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: authority == nil, BasicConstraintsValid: true,
	}
	parent, signer := c, key
	if authority != nil {
		parent = authority.Leaf
		signer, _ = authority.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ending, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// What cannot be held back is dropped when the queue is full, the newest first, and counted.
func TestSyslogDatagramsFull(t *testing.T) {
	d := &syslogDoor{spec: &syslogSpec{}}
	q := &datagrams{senders: map[string]*Piece{}, filled: make(chan struct{}, 1)}
	kept := 0
	for range 100 {
		if q.add(d, "192.0.2.1", strings.Repeat("x", 60_000)) {
			kept++
		}
	}
	if kept == 0 || kept == 100 || kept*60_000 > maxDatagrams {
		t.Errorf("kept %d", kept)
	}
	if got := q.take()["192.0.2.1"]; len(got.Chunk.Records) != kept {
		t.Errorf("%d", len(got.Chunk.Records))
	}
	if !q.add(d, "192.0.2.1", "again") {
		t.Error("no room after it was taken")
	}
}

func TestHTTP(t *testing.T) {
	address := freePort(t)
	var k kept
	start(t, &k, fmt.Sprintf("source: {type: http, listen: '%s', token: 0123456789abcdef}", address))
	hangUp(t, dial(t, "tcp", address))
	post := func(token, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("wrong", "x"); got != http.StatusUnauthorized || len(k.got()) > 0 {
		t.Error(got)
	}
	if got := post("0123456789abcdef", "{\"a\":1}\n{\"b\":2}\nplain\n"); got != http.StatusOK {
		t.Error(got)
	}
	k.await(t, `{"a":1}`, `{"b":2}`, "plain")
}

func TestExec(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	for name, x := range map[string]struct {
		script, more string
		want         []string
		fault        string
	}{
		"lines":   {"echo one; echo two", "", []string{"one", "two"}, ""},
		"whole":   {"echo one; echo two", ", whole: true", []string{"one\ntwo"}, ""},
		"failed":  {"echo one; echo no >&2; exit 3", "", []string{"one"}, "exit status 3: no"},
		"slow":    {"echo one; sleep 60", ", timeout: 300ms", []string{"one"}, "raise timeout"},
		"endless": {"yes y | head -c 100000", ", max_output: 4", []string{"y", "y"}, "max_output"},
	} {
		t.Run(name, func(t *testing.T) {
			var k kept
			start(t, &k, "source: {type: exec, interval: 1h, command: [/bin/sh, -c, '"+x.script+"']"+x.more+"}")
			k.await(t, x.want...)
			k.mu.Lock()
			defer k.mu.Unlock()
			if x.fault == "" && len(k.faults) > 0 || x.fault != "" && (len(k.faults) == 0 || !strings.Contains(k.faults[0].Error(), x.fault)) {
				t.Errorf("faults %v, want %q", k.faults, x.fault)
			}
		})
	}
}

// A journalctl of our own shows what it was asked and goes on from the cursor.
func TestJournald(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	program := filepath.Join(t.TempDir(), "journalctl")
	script := `#!/bin/sh
case "$*" in
*--after-cursor=c2*) echo '{"__CURSOR":"c3","MESSAGE":"three"}' ;;
*) echo '{"__CURSOR":"c1","MESSAGE":"one"}'; echo '{"__CURSOR":"c2","MESSAGE":"two"}' ;;
esac
exec sleep 60
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "source: {type: journald, units: [ssh.service], program: '" + program + "'}"
	var k kept
	stop := start(t, &k, text)
	first := []string{`{"__CURSOR":"c1","MESSAGE":"one"}`, `{"__CURSOR":"c2","MESSAGE":"two"}`}
	k.await(t, first...)
	stop()
	start(t, &k, text)
	k.await(t, append(first, `{"__CURSOR":"c3","MESSAGE":"three"}`)...)
}

// The journal's own program reads a journal of the test's own.
func TestJournalctl(t *testing.T) {
	program, err := exec.LookPath("journalctl")
	const remote = "/usr/lib/systemd/systemd-journal-remote" // writes journal files
	if _, remoteErr := os.Stat(remote); err != nil || remoteErr != nil {
		t.Skip("needs journalctl and systemd-journal-remote")
	}
	dir, written := t.TempDir(), 0
	put := func(file string, messages ...string) {
		var text strings.Builder
		for _, m := range messages {
			written++
			fmt.Fprintf(&text, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=00000000000000000000000000000001\n_SYSTEMD_UNIT=ssh.service\nMESSAGE=%s\n\n", time.Now().UnixMicro(), written, m)
		}
		cmd := exec.CommandContext(t.Context(), remote, "--output="+filepath.Join(dir, file), "-")
		cmd.Stdin = strings.NewReader(text.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	messages := func(k *kept) (all []string) {
		for _, r := range k.got() {
			var entry struct{ MESSAGE string }
			if err := json.Unmarshal([]byte(r), &entry); err != nil {
				t.Fatal(err)
			}
			all = append(all, entry.MESSAGE)
		}
		return all
	}
	put("a.journal", "one", "two")
	text := "source: {type: journald, units: [ssh.service], folder: '" + dir + "', program: '" + program + "'}"
	var k kept
	await := func(want ...string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !slices.Equal(messages(&k), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q, want %q", messages(&k), want)
			}
		}
	}
	stop := start(t, &k, text)
	await("one", "two")
	stop()
	put("b.journal", "three")
	start(t, &k, text)
	await("one", "two", "three")
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"source: {type: nothing}":                                    "source.type: is \"nothing\", allowed: auditd, docker",
		"source: {}":                                                 "source.type",
		"source: {type: file}":                                       "source.paths",
		"source: {type: file, paths: [a.log]}":                       "must begin at the root",
		"source: {type: file, paths: ['/a['], start: end}":           "not a pattern",
		"source: {type: file, paths: [/a], start: middle}":           "source.start",
		"source: {type: file, paths: [/a], multiline: {start: '('}}": "source.multiline.start",
		"source: {type: file, path: /a}":                             "unknown field \"path\"",
		"source: {type: syslog}":                                     "source.udp",
		"source: {type: syslog, tcp: nowhere}":                       "source.tcp",
		"source: {type: syslog, tls: ':1'}":                          "source.tls: needs cert",
		"source: {type: http, listen: ':1', token: short}":           "source.token",
		"source: {type: exec, command: []}":                          "source.command",
		"source: {type: exec, command: [a], interval: 1ms}":          "source.interval",
		"source: {type: wineventlog, channels: [Security]}":          "for Windows only",
		"source: {type: docker, root: /x, containers: ['[']}":        "source.containers",
		"source: [": "",
	} {
		if runtime.GOOS == "windows" && strings.Contains(text, "wineventlog") {
			continue
		}
		if _, _, err := Parse([]byte(text), Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func checkParse(t *testing.T, text string) {
	t.Helper()
	src, common, err := Parse([]byte(text), Env{Host: "h"})
	if err == nil && (src == nil || common == nil || common.Host == "") {
		t.Error("neither a source nor a fault")
	}
}
