package intel

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// read returns what a document gives, as "type value confidence severity tags" lines.
func read(t *testing.T, f Format, doc string, s Settings) (lines []string, c Counts, err error) {
	t.Helper()
	err = Parse(f, strings.NewReader(doc), &s, &c, func(d *Draft) error {
		confidence := "-"
		if d.Confidence != nil {
			confidence = fmt.Sprint(*d.Confidence)
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", d.Type, d.Value, confidence, d.Severity, strings.Join(d.Tags, ","))))
		return nil
	})
	return lines, c, err
}

const bundle = `{"type":"bundle","id":"bundle--1","objects":[
{"type":"identity","name":"x"},
{"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.7']","confidence":85,"labels":["c2"],"valid_from":"2026-01-01T00:00:00Z"},
{"type":"indicator","pattern_type":"stix","pattern":"[domain-name:value = 'evil.example' OR url:value='http://evil.example/a\\'b'] OR [email-addr:value = 'a@evil.example']"},
{"type":"indicator","pattern_type":"stix","pattern":"[file:hashes.'SHA-256' = '` + "AbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAb" + `' OR file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"},
{"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value ISSUBSET '198.51.100.0/24']"},
{"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value IN ('203.0.113.8', '203.0.113.9')]"},
{"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.1' AND domain-name:value = 'x.example']"},
{"type":"indicator","pattern_type":"stix","pattern":"[process:command_line LIKE '%evil%']"},
{"type":"indicator","pattern_type":"stix","pattern":"[ipv4-addr:value = '203.0.113.1'] FOLLOWEDBY [ipv4-addr:value = '203.0.113.2']"},
{"type":"indicator","pattern_type":"yara","pattern":"rule x {}"},
{"type":"indicator","revoked":true,"pattern":"[ipv4-addr:value = '203.0.113.3']"}]}`

const mispDoc = `{"Event":{"info":"Phish","threat_level_id":"1","Tag":[{"name":"tlp:green"}],"Attribute":[
{"type":"ip-dst","value":"203.0.113.7","to_ids":true,"timestamp":"1700000000"},{"type":"domain|ip","value":"evil.example|203.0.113.8","to_ids":true},
{"type":"filename|md5","value":"a.exe|d41d8cd98f00b204e9800998ecf8427e","to_ids":"1"},{"type":"ip-src|port","value":"203.0.113.9|443","to_ids":1},{"type":"yara","value":"x","to_ids":true},
{"type":"url","value":"http://good.example/","to_ids":false},{"type":"url","value":"http://gone.example/","to_ids":true,"deleted":true}],
"Object":[{"Attribute":[{"type":"email-src","value":"a@evil.example","to_ids":true,"Tag":[{"name":"x"}]}]}]}}`

func TestFormats(t *testing.T) {
	md5 := "d41d8cd98f00b204e9800998ecf8427e"
	for _, c := range []struct {
		f                   Format
		doc                 string
		s                   Settings
		want                string
		invalid, understood int // understood: not
	}{
		{Plain, "\xef\xbb\xbf# list\n203.0.113.7\n; x\n198.51.100.0/24 ; SBL1\n\n0.0.0.0 ads.evil.example\nnot an\n", Settings{Confidence: new(60), Severity: "low", Tags: []string{"t"}}, "ipv4 203.0.113.7 60 low t|cidr 198.51.100.0/24 60 low t|domain ads.evil.example 60 low t", 1, 0},
		{Plain, md5 + "\n", Settings{Type: JA3}, "ja3 " + md5 + " -", 0, 0},
		{CSV, "ip,score,labels\n203.0.113.7,77%,a;b\n,,\n", Settings{Columns: Columns{Value: "IP", Confidence: "score", Tags: "labels"}}, "ipv4 203.0.113.7 77  a,b", 0, 0},
		{CSV, "203.0.113.7\tdomain\n evil.example\tdomain\n", Settings{Columns: Columns{Value: "1", Type: "2", Separator: "\t"}}, "domain evil.example -", 1, 0},
		{STIX, bundle, Settings{}, "ipv4 203.0.113.7 85  c2|domain evil.example -|url http://evil.example/a'b -|email a@evil.example -|sha256 " + strings.Repeat("ab", 32) + " -|md5 " + md5 + " -|cidr 198.51.100.0/24 -|ipv4 203.0.113.8 -|ipv4 203.0.113.9 -", 0, 4},
		{MISP, mispDoc, Settings{}, "ipv4 203.0.113.7 - high tlp:green|domain evil.example - high tlp:green|ipv4 203.0.113.8 - high tlp:green|md5 " + md5 + " - high tlp:green|ipv4 203.0.113.9 - high tlp:green|email a@evil.example - high tlp:green,x", 0, 2},
		{MISP, `{"response":[` + mispDoc + `]}`, Settings{Type: IPv4}, "ipv4 203.0.113.7 - high tlp:green|domain evil.example - high tlp:green|ipv4 203.0.113.8 - high tlp:green|md5 " + md5 + " - high tlp:green|ipv4 203.0.113.9 - high tlp:green|email a@evil.example - high tlp:green,x", 0, 2},
		{URLhaus, "# a\n# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\n\"1\",\"2026-01-01 00:00:00\",\"http://203.0.113.7/x\",\"online\",\"\",\"malware_download\",\"elf,Mozi\",\"https://urlhaus.abuse.ch/url/1/\",\"x\"\n", Settings{}, "url http://203.0.113.7/x 80 high elf,Mozi", 0, 0},
		{URLhaus, `{"3":[{"dateadded":"2026-01-01 00:00:00 UTC","url":"http://203.0.113.7/x","url_status":"offline","threat":"malware_download","tags":["elf"]}]}`, Settings{}, "url http://203.0.113.7/x 60 high elf", 0, 0},
		{ThreatFox, "# \"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\",\"threat_type\",\"fk_malware\",\"malware_alias\",\"malware_printable\",\"last_seen_utc\",\"confidence_level\",\"is_compromised\",\"reference\",\"tags\",\"anonymous\",\"reporter\"\n\"2026-01-01 00:00:00\", \"1\", \"203.0.113.7:443\", \"ip:port\", \"botnet_cc\", \"win.x\", \"None\", \"X\", \"\", \"75\", \"0\", \"None\", \"a,b\", \"0\", \"y\"\n\"2026-01-01 00:00:00\", \"2\", \"x\", \"envelope\", \"botnet_cc\", \"win.x\", \"None\", \"X\", \"\", \"75\", \"0\", \"None\", \"a\", \"0\", \"y\"\n", Settings{}, "ipv4 203.0.113.7 75 high a,b,botnet_cc", 0, 1},
		{ThreatFox, `{"query_status":"ok","data":[{"ioc":"evil.example","ioc_type":"domain","threat_type":"payload_delivery","confidence_level":100,"tags":null}]}`, Settings{}, "domain evil.example 100 high payload_delivery", 0, 0},
		{FeodoTracker, "# Feodo\r\n\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\r\n\"2026-01-01 00:00:00\",\"203.0.113.7\",\"443\",\"online\",\"2026-01-02\",\"Emotet\"\r\n# END\r\n", Settings{}, "ipv4 203.0.113.7 90 high", 0, 0},
		{FeodoTracker, `[{"ip_address":"203.0.113.7","port":443,"status":"online","malware":"Emotet","first_seen":"2026-01-01 00:00:00","last_online":"2026-01-02"}]`, Settings{}, "ipv4 203.0.113.7 90 high", 0, 0},
		{MalwareBazaar, "# x\n\"2026-01-01 00:00:00\", \"" + strings.Repeat("ab", 32) + "\", \"" + md5 + "\", \"n/a\", \"r\", \"a.exe\", \"exe\", \"x\", \"Emotet\"\n", Settings{}, "sha256 " + strings.Repeat("ab", 32) + " 90 high|md5 " + md5 + " 90 high", 0, 0},
	} {
		lines, counts, err := read(t, c.f, c.doc, c.s)
		if got := strings.Join(lines, "|"); err != nil || got != c.want || counts.Invalid != c.invalid || counts.NotUnderstood != c.understood {
			t.Errorf("%s: %v, %+v\n got %s\nwant %s", c.f, err, counts, got, c.want)
		}
	}
}

func TestBrokenDocuments(t *testing.T) {
	for f, docs := range map[Format][]string{
		STIX:    {`{"objects":[`, `{"objects":{}}`, `x`, `{"objects":[` + strings.Repeat("[", 100)},
		MISP:    {`{"Event":`, `<html>`},
		CSV:     {"a,b\n1,2\n"},
		Plain:   {strings.Repeat("a", maxLine+1)},
		URLhaus: {"{\"1\":"},
	} {
		for _, doc := range docs {
			if _, _, err := read(t, f, doc, Settings{Columns: Columns{Value: "absent"}}); !errors.Is(err, fault.Invalid) {
				t.Errorf("%s %.30q: %v", f, doc, err)
			}
		}
	}
}

func TestPacked(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("203.0.113.7\n"))
	_ = z.Close()
	lines, _, err := read(t, Plain, b.String(), Settings{})
	if err != nil || len(lines) != 1 {
		t.Errorf("%v, %v", lines, err)
	}
	if _, _, err := read(t, Plain, "PK\x03\x04", Settings{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a zip: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for i, doc := range []string{"203.0.113.7\n", "a,b\n", bundle, bundle, mispDoc, `{"1":[{"url":"http://a.b/"}]}`, "# a,b,c\n1,2,3\n", `[{"ip_address":"203.0.113.7"}]`, `{"data":[{}]}`} {
		f.Add(uint8(i), doc)
	}
	f.Fuzz(func(t *testing.T, format uint8, doc string) {
		var c Counts
		s := Settings{Columns: Columns{Value: "1", Type: "2", Confidence: "3", Tags: "4", ValidUntil: "5"}}
		err := Parse(Formats[int(format)%len(Formats)], strings.NewReader(doc), &s, &c, func(d *Draft) error {
			if err := d.check(noon); err == nil {
				if again, err := Normalise(d.Type, d.Value); err != nil || again != d.Value {
					t.Fatalf("%s %q becomes %q, %v", d.Type, d.Value, again, err)
				}
			}
			return nil
		})
		if _, ok := errors.AsType[*fault.Error](err); err != nil && !ok {
			t.Fatalf("an error that is no fault: %v", err)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("[ipv4-addr:value = 'a' OR (url:value IN ('b','c'))] OR [file:hashes.'SHA-256' = 'd\\'']")
	f.Fuzz(func(t *testing.T, pattern string) {
		if values, ok := patternValues(pattern); ok && len(values) == 0 {
			t.Fatal("understood and empty")
		}
	})
}
