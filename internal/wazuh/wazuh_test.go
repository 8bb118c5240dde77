package wazuh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/detect"
	"github.com/kyra-mdr/kyra/internal/event"
	"github.com/kyra-mdr/kyra/internal/parse"
	"github.com/kyra-mdr/kyra/internal/sigma"
	"github.com/kyra-mdr/kyra/internal/wazuh"
)

// local is a rule file as administrators write them, with what Wazuh allows and XML
// does not.
const local = `<!-- Our own rules -- do not edit -->
<var name="WORDS">refused|denied</var>
<group name="local,syslog,sshd,">
  <rule id="100000" level="0" noalert="1">
    <decoded_as>sshd</decoded_as>
    <description>sshd messages</description>
  </rule>
  <rule id="100001" level="5">
    <if_sid>100000</if_sid>
    <match>^Failed |</match>
    <match>^error: PAM</match>
    <description>sshd: $(user) failed from $(srcip).</description>
    <mitre><id>T1110</id></mitre>
    <group>authentication_failed,pci_dss_10.2.4,</group>
  </rule>
  <rule id="100002" level="0">
    <if_sid>100001</if_sid>
    <user>^monitor$</user>
    <description>Our monitoring may fail.</description>
  </rule>
  <rule id="100003" level="10" frequency="4" timeframe="120">
    <if_matched_sid>100001</if_matched_sid>
    <same_source_ip />
    <description>sshd: brute force</description>
    <group>authentication_failures,</group>
  </rule>
  <rule id="100004" level="12" frequency="3" timeframe="600">
    <if_matched_group>authentication_failed</if_matched_group>
    <same_srcip />
    <different_user />
    <description>Many accounts from one address</description>
  </rule>
  <rule id="100005" level="8">
    <if_sid>100000</if_sid>
    <regex>^Accepted \w+ for root from 203.0.113.\d+ port</regex>
    <srcip>!203.0.113.0/25</srcip>
    <description>root from the far half</description>
  </rule>
  <rule id="100006" level="6">
    <if_sid>100000</if_sid>
    <regex type="pcre2">(?i)^disconnected from (user|invalid user) \S+ [0-9.]+</regex>
    <description>gone</description>
  </rule>
  <rule id="100007" level="4">
    <program_name>^app</program_name>
    <match>$WORDS</match>
    <description>Application: no access</description>
  </rule>
</group>
<group name="windows,">
  <rule id="100020" level="12">
    <if_sid>60001</if_sid>
    <field name="win.system.eventID">^4720$|^4722$</field>
    <field name="win.eventdata.targetUserName" negate="yes">\$$</field>
    <field name="win.system.severityValue">^AUDIT_SUCCESS$</field>
    <description>Account $(win.eventdata.targetUserName) made</description>
  </rule>
</group>
<group name="web,">
  <rule id="100030" level="6">
    <if_sid>31100</if_sid>
    <id>^4</id>
    <url>/admin|.php?x=*</url>
    <description>Web: admin refused</description>
  </rule>
</group>
<group name="virus,">
  <rule id="100050" level="0"><decoded_as>scanner-x</decoded_as><description>ours</description></rule>
  <rule id="100051" level="0"><category>windows</category><field name="win.system.providerName">^Scanner$</field><description>its events</description></rule>
  <rule id="100052" level="9"><if_sid>100050, 100051</if_sid><match>virus</match><description>Virus</description></rule>
</group>
<group name="lists,">
  <rule id="100040" level="7">
    <decoded_as>json</decoded_as>
    <list field="srcip" lookup="address_match_key">etc/lists/bad-addresses</list>
    <description>Bad address</description>
  </rule>
</group>
`

const refusedRules = `<group name="x,">
  <rule id="100100" level="5"><if_sid>5716</if_sid><match>a</match><description>needs the stock rules</description></rule>
  <rule id="100101" level="5"><decoded_as>syscheck_new_entry</decoded_as><description>Wazuh's own</description></rule>
  <rule id="100102" level="5"><if_sid>100103</if_sid><match>a</match><description>circle</description></rule>
  <rule id="100103" level="5"><if_sid>100102</if_sid><match>a</match><description>circle</description></rule>
  <rule id="100104" level="5"><match>a</match><time>6 pm - 8 am</time><description>time</description></rule>
  <rule id="100105" level="5"><regex type="pcre2">(?=a)b</regex><description>look-ahead</description></rule>
  <rule id="100106" level="5"><match>a</match><description>twice</description></rule>
  <rule id="100106" level="5"><match>a</match><description>twice</description></rule>
  <rule id="100107" level="9" frequency="2" timeframe="5"><if_matched_sid>5716</if_matched_sid><description>counts what is not there</description></rule>
</group>
`

func convert(tb testing.TB, texts ...string) ([]wazuh.Rule, []wazuh.Refusal) {
	tb.Helper()
	var files []wazuh.File
	for i, text := range texts {
		files = append(files, wazuh.File{Name: fmt.Sprintf("%d.xml", i), Data: []byte(text)})
	}
	return wazuh.Convert(files)
}

// run parses and detects lines with the converted rules and returns how many events
// each rule's findings count.
func run(tb testing.TB, rules []wazuh.Rule, lines ...string) map[string]int64 {
	tb.Helper()
	var list []detect.Rule
	for _, r := range rules {
		docs, err := sigma.Parse([]byte(r.Text))
		if err != nil {
			tb.Fatalf("%v in\n%s", err, r.Text)
		}
		for _, d := range docs {
			list = append(list, detect.Rule{Document: d, Version: 1})
		}
	}
	set, problems := detect.Options{Lists: map[string][]string{"bad-addresses": {"192.0.2.0/24"}}}.Compile(list)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	matcher, detector := set.NewMatcher(), detect.New(func(uint32) *detect.Ruleset { return set })
	parser := parse.New(parse.Options{})
	var e event.Event
	var hits []detect.Hit
	out := map[string]int64{}
	for i, line := range lines {
		at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second).UnixNano()
		parser.Parse(&parse.Record{Raw: line, Arrived: at}, &e)
		e.ID = event.ID{Index: uint32(i)}
		hits = matcher.Match(&e, hits[:0])
		detector.Apply(&e, hits, nil)
	}
	detector.EndBatch(func(f *alert.Finding) { out[f.Rule.ID] += f.Count })
	return out
}

func sshd(text string) string { return "Nov 25 10:00:00 web1 sshd[42]: " + text }

func TestConvertedRulesFind(t *testing.T) {
	rules, refused := convert(t, local)
	if len(refused) > 0 {
		t.Fatalf("refused: %+v", refused)
	}
	got := run(t, rules,
		sshd("Failed password for ann from 198.51.100.7 port 4000 ssh2"),
		sshd("Failed password for bob from 198.51.100.7 port 4001 ssh2"),
		sshd("Failed password for eve from 198.51.100.7 port 4002 ssh2"),
		sshd("Failed password for monitor from 10.0.0.1 port 4002 ssh2"),
		sshd("Failed password for ann from 198.51.100.7 port 4003 ssh2"),
		sshd("Accepted password for root from 203.0.113.9 port 4003 ssh2"),
		sshd("Accepted password for root from 203.0.113.209 port 4003 ssh2"),
		sshd("Disconnected from user ann 198.51.100.7 port 4003"),
		"Nov 25 10:00:00 web1 appd[1]: access DENIED",
		"Nov 25 10:00:00 web1 other[1]: access denied",
		`203.0.113.5 - - [25/Nov/2026:10:00:00 +0000] "GET /x.PHP?x=* HTTP/1.1" 403 12 "-" "curl"`,
		`203.0.113.5 - - [25/Nov/2026:10:00:00 +0000] "GET /admin HTTP/1.1" 200 12 "-" "curl"`,
		`{"EventID":4720,"Channel":"Security","Provider_Name":"Microsoft-Windows-Security-Auditing","Keywords":"0x8020000000000000","TargetUserName":"mallory","SubjectUserName":"adm"}`,
		`{"EventID":4720,"Channel":"Security","Provider_Name":"Microsoft-Windows-Security-Auditing","Keywords":"0x8020000000000000","TargetUserName":"HOST$","SubjectUserName":"adm"}`,
		"Nov 25 10:00:00 web1 scanner[1]: a virus",
		"Nov 25 10:00:00 web1 mail[1]: a virus",
		`{"EventID":5,"Channel":"Application","Provider_Name":"Scanner","Message":"a virus"}`,
		`{"EventID":5,"Channel":"Application","Provider_Name":"Other","Message":"a virus"}`,
		`{"src_ip":"192.0.2.200","what":"ever"}`,
	)
	want := map[string]int64{
		"wazuh-100001": 4, // not that of monitor: level 0 takes it away
		"wazuh-100003": 4, "wazuh-100004": 4, "wazuh-100005": 1, "wazuh-100006": 1, "wazuh-100007": 1,
		"wazuh-100020": 1, "wazuh-100030": 1, "wazuh-100040": 1, "wazuh-100052": 2,
	}
	for id, n := range want {
		if got[id] != n {
			t.Errorf("%s counts %d events, want %d", id, got[id], n)
		}
	}
	for id, n := range got {
		if want[id] == 0 {
			t.Errorf("%s counts %d events, want none", id, n)
		}
	}
}

func TestWhatARuleSays(t *testing.T) {
	rules, _ := convert(t, "<!-- Copyright (C) Wazuh, Inc. GPLv2 -->\n"+local)
	docs, err := sigma.Parse([]byte(rules[0].Text))
	if err != nil {
		t.Fatal(err)
	}
	d := docs[0]
	if d.ID != "wazuh-100001" || d.Title != "sshd: … failed from …" || d.Severity() != "low" || d.Author != "Wazuh, Inc." || d.License != "GPL-2.0-only" ||
		d.Kyra.Description != "sshd: {user} failed from {src_ip}." || strings.Join(d.Techniques(), "") != "T1110" || rules[0].Line != 9 {
		t.Errorf("line %d, document %+v", rules[0].Line, d)
	}
}

func TestRefused(t *testing.T) {
	rules, refused := convert(t, refusedRules, "<group name=\"y\"><rule id=\"1\" level=\"3\"><match>x")
	want := map[string]string{
		"wazuh-100100": "rule 5716, which is not among the imported files",
		"wazuh-100101": "messages of Wazuh itself",
		"wazuh-100102": "continues itself",
		"wazuh-100103": "continues itself",
		"wazuh-100104": "<time> has no counterpart",
		"wazuh-100105": "is not RE2",
		"wazuh-100106": "stands in 0.xml line 8 already",
		"wazuh-100107": "what it counts is not among the imported files",
		"":             "the XML cannot be read",
	}
	for _, r := range refused {
		if w, ok := want[r.ID]; !ok || !strings.Contains(r.Reason, w) || r.Line == 0 {
			t.Errorf("%s line %d %s: %s", r.File, r.Line, r.ID, r.Reason)
		}
		delete(want, r.ID)
	}
	if len(want) > 0 {
		t.Errorf("not refused: %v", want)
	}
	if len(rules) != 1 {
		t.Errorf("%d rules, want the one that is there twice", len(rules))
	}
}

func TestOverwrite(t *testing.T) {
	rules, refused := convert(t, `<rule id="1" level="3"><match>old</match><description>old</description></rule>`,
		`<rule id="1" level="9" overwrite="yes"><match>new</match><description>new</description></rule>`)
	if len(rules) != 1 || len(refused) != 0 || !strings.Contains(rules[0].Text, "'new'") {
		t.Errorf("rules %+v, refused %+v", rules, refused)
	}
}

// FuzzConvert checks that whatever comes out is Sigma.
func FuzzConvert(f *testing.F) {
	f.Add(local)
	f.Add(refusedRules)
	f.Add("<group name=\"a\"><rule id=\"1\" level=\"5\"><regex>\\.+\\w*(a|b)</regex><field name=\"x.y\">^\\d\\$</field></rule></group>")
	f.Fuzz(func(t *testing.T, text string) {
		rules, _ := convert(t, text)
		for _, r := range rules {
			if _, err := sigma.Parse([]byte(r.Text)); err != nil {
				t.Errorf("%v in\n%s", err, r.Text)
			}
		}
	})
}
