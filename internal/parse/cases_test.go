package parse

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/event"
)

// A parseCase is one line of a public test set with the fields that its authors
// expect.
type parseCase struct {
	ID      string         `json:"id"`
	Product string         `json:"product"`
	LogType string         `json:"log_type"`
	Raw     string         `json:"raw"`
	Expect  map[string]any `json:"expect"`
}

func readCases(t *testing.T, name string) []parseCase {
	t.Helper()
	var cases []parseCase
	for _, line := range readLines(t, sharedData(t, "cases/"+name)) {
		var c parseCase
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// unscored are expectations that name things of the set's own product, not
// fields of the event; score.py leaves the same out.
var unscored = map[string]bool{
	"service": true, "upstream_log_type": true, "event_category": true, "event_type": true, "message": true, "attack_signal": true,
	"time_local_assumed": true, "reference_error": true, "tags": true, "action_name": true, "reason": true, "level": true, "severity_num": true, "domain": true,
}

var fraction = regexp.MustCompile(`\.\d+`)

// sameValue compares as score.py does, and times as instants.
func sameValue(name, got, want string) bool {
	got, want = strings.TrimSpace(got), strings.TrimSpace(want)
	switch name {
	case "timestamp":
		g, err1 := time.Parse(time.RFC3339Nano, got)
		w, err2 := time.Parse(time.RFC3339Nano, want)
		return err1 == nil && err2 == nil && g.Unix() == w.Unix()
	case "timestamp_noyear":
		g, err := time.Parse(time.RFC3339Nano, got)
		return err == nil && g.UTC().Format("01-02T15:04:05Z") == fraction.ReplaceAllString(want, "")
	case "proto", "http_method", "action", "outcome", "host", "app_proto", "direction":
		return strings.EqualFold(got, want)
	case "src_ip", "dst_ip":
		return got == strings.TrimPrefix(strings.ToLower(want), "::ffff:")
	case "url_path": // the set puts the query into it
		path, _, _ := strings.Cut(want, "?")
		return got == want || got == path
	}
	return got == want
}

// TestCrowdSecCases: lines of CrowdSec's hub tests, the sender naming its log
// type as the set does. The floor is for the products that this package reads.
func TestCrowdSecCases(t *testing.T) {
	type tally struct{ right, all int }
	products := map[string]*tally{}
	p := New(Options{})
	var wrong []string
	fields := 0
	for _, c := range readCases(t, "crowdsec_parse.jsonl") {
		var e event.Event
		p.Parse(&Record{Raw: c.Raw, Arrived: arrival, Peer: "192.0.2.1", Source: c.LogType}, &e)
		checkInvariants(t, c.Raw, &e)
		if products[c.Product] == nil {
			products[c.Product] = &tally{}
		}
		products[c.Product].all++
		ok := true
		for _, name := range slices.Sorted(maps.Keys(c.Expect)) {
			want := fmt.Sprint(c.Expect[name])
			if unscored[name] {
				continue
			}
			fields++
			got := e.Get(name)
			if strings.HasPrefix(name, "timestamp") {
				got = time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano)
			}
			if !sameValue(name, got, want) {
				ok = false
				wrong = append(wrong, fmt.Sprintf("%s: %q\n  %s is %q, want %q", c.Product, c.Raw, name, got, want))
			}
		}
		if ok {
			products[c.Product].right++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(products)) {
		t.Logf("%-14s %3d of %3d", name, products[name].right, products[name].all)
	}
	t.Logf("%d of %d fields", fields-len(wrong), fields)
	if len(wrong)*100 > fields {
		t.Errorf("%d of %d fields are wrong, want one in a hundred at most", len(wrong), fields)
	}
	floors := map[string]int{
		"sshd": 10, "nginx": 3, "bunkerweb": 12, "caddy": 11, "traefik": 14, "authentik": 3, "dropbear": 4, "grafana": 9, "haproxy": 5, "mariadb": 6, "pf": 3, "vsftpd": 3,
		"gitea": 7, "home-assistant": 14, "keycloak": 7, "miniflux": 2, "mssql": 14, "mysql": 4, "opnsense-gui": 6, "paperless-ngx": 31, "teamspeak3": 6, "vaultwarden": 32,
	}
	for name, floor := range floors {
		if got := products[name]; got == nil || got.right < floor {
			t.Errorf("%s: %+v right, want %d at least", name, got, floor)
		}
	}
	if testing.Verbose() {
		for _, w := range wrong {
			t.Log(w)
		}
	}
}

// TestWireCases: vendors' messages as they arrive on the wire, each rendered
// with the same time and, where it has one, the same host name.
func TestWireCases(t *testing.T) {
	const stamp, host = "2026-03-04T05:06:07Z", "acme-fw01"
	p := New(Options{})
	var all, timeRight, hostRight, timeWant, hostWant, vendorRight int
	for _, c := range readCases(t, "sc4s_wire.jsonl") {
		all++
		raw := strings.TrimRight(c.Raw, "\n")
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1"}, &e)
		checkInvariants(t, raw, &e)
		if kind := fmt.Sprint(c.Expect["splunk_sourcetype"]); e.Get(event.Vendor) != "" && strings.EqualFold(vendorOf(kind), e.Get(event.Vendor)) {
			vendorRight++
		} else {
			t.Logf("%s is of %q, source %s: %.200q", kind, e.Get(event.Vendor), e.Get(event.Source), raw)
		}
		if c.Expect["epoch_asserted"] == true && e.Get(event.Source) != "auditd" { // whose own time is older than the header's here
			timeWant++
			if got := time.Unix(0, e.Time).UTC().Format(time.RFC3339); got == stamp {
				timeRight++
			} else {
				t.Logf("time is %s: %.200q", got, raw)
			}
		}
		if want, ok := c.Expect["host"].(string); ok {
			hostWant++
			if e.Get(event.Host) == want {
				hostRight++
			} else {
				t.Logf("host is %q: %.200q", e.Get(event.Host), raw)
			}
		}
	}
	if timeRight < 153 || hostRight < 107 {
		t.Error("fewer than before")
	}
	if vendorRight*100 < all*95 {
		t.Errorf("the vendor is right in %d of %d", vendorRight, all)
	}
	t.Logf("%d messages: vendor right in %d, time right in %d of %d, host in %d of %d", all, vendorRight, timeRight, timeWant, hostRight, hostWant)
}

// vendorOf names the maker as we do from Splunk's name for a kind of message.
func vendorOf(kind string) string {
	maker, _, _ := strings.Cut(kind, ":")
	switch {
	case strings.HasPrefix(kind, "zscaler"):
		return "Zscaler"
	case kind == "meraki":
		return "Cisco"
	case strings.HasPrefix(kind, "hpe:jetdirect"):
		return "HP"
	case strings.HasPrefix(kind, "cyberark:epv"):
		return "Cyber-Ark"
	}
	switch maker {
	case "imperva":
		return "Imperva Inc."
	case "prisma":
		return "Palo Alto Networks"
	case "websense":
		return "Forcepoint"
	case "novell":
		return "NetIQ"
	}
	return maker
}
