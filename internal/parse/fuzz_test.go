package parse

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// FuzzParse reads anything, under any hint, as the doors deliver it.
func FuzzParse(f *testing.F) {
	hints := []string{"", "unknown-product"}
	for _, info := range Parsers() {
		hints = append(hints, info.Name)
		for _, sample := range info.Samples {
			f.Add(sample.Line, uint8(0))
		}
	}
	for _, c := range headerCases {
		f.Add(c.line, uint8(0))
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string, hint uint8) {
		var e event.Event
		r := Record{Raw: raw, Arrived: arrival, Peer: "192.0.2.1", Source: hints[int(hint)%len(hints)]}
		p.Parse(&r, &e)
		checkInvariants(t, raw, &e)
	})
}

// fuzzOne fuzzes one content parser through its hint.
func fuzzOne(f *testing.F, name string) {
	for _, info := range Parsers() {
		if info.Name == name {
			for _, sample := range info.Samples {
				f.Add(sample.Line)
			}
		}
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string) {
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival, Source: name}, &e)
		checkInvariants(t, raw, &e)
	})
}

func FuzzJSON(f *testing.F)   { fuzzOne(f, "json") }
func FuzzPAM(f *testing.F)    { fuzzOne(f, "pam") }
func FuzzShadow(f *testing.F) { fuzzOne(f, "shadow-utils") }
func FuzzSSHD(f *testing.F)   { fuzzOne(f, "sshd") }
func FuzzSu(f *testing.F)     { fuzzOne(f, "su") }
func FuzzSudo(f *testing.F)   { fuzzOne(f, "sudo") }

func FuzzModSecurity(f *testing.F) { fuzzOne(f, "modsecurity") }
func FuzzMSSQL(f *testing.F)       { fuzzOne(f, "mssql") }
func FuzzMySQL(f *testing.F)       { fuzzOne(f, "mysql") }
func FuzzPostgreSQL(f *testing.F)  { fuzzOne(f, "postgresql") }
func FuzzDocker(f *testing.F)      { fuzzOne(f, "docker") }

// FuzzCloud reads the records of cloud services and hosted applications, changed.
func FuzzCloud(f *testing.F) {
	for _, info := range Parsers() {
		for _, sample := range info.Samples {
			if sample.Line[0] == '{' {
				f.Add(sample.Line)
			}
		}
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string) {
		var e event.Event
		p.Parse(&Record{Raw: raw, Arrived: arrival}, &e)
		checkInvariants(t, raw, &e)
	})
}

// FuzzEnvelope reads anything inside collectors' envelopes.
func FuzzEnvelope(f *testing.F) {
	for _, info := range Parsers() {
		f.Add(info.Samples[0].Line)
	}
	p := New(Options{RepeatSources: 8})
	f.Fuzz(func(t *testing.T, raw string) {
		text, err := json.Marshal(raw)
		if err != nil {
			t.Skip()
		}
		for _, form := range []string{
			`{"log":%s,"stream":"stdout","kubernetes":{"host":"n","container_name":"sshd"}}`, `{"line":%s,"labels":{"job":"su","src_ip":"1.2.3.4"}}`,
			`{"short_message":%s,"level":3,"_user":"u"}`, `{"event":%s,"host":"h","source":"system"}`, `{"event":{"message":%s}}`,
		} {
			var e event.Event
			line := fmt.Sprintf(form, text)
			p.Parse(&Record{Raw: line, Arrived: arrival}, &e)
			checkInvariants(t, line, &e)
		}
		var e event.Event
		line := "2026-03-04T05:06:07Z stdout F " + raw
		p.Parse(&Record{Raw: line, Arrived: arrival}, &e)
		checkInvariants(t, line, &e)
	})
}

func FuzzApache(f *testing.F)    { fuzzOne(f, "apache") }
func FuzzCEF(f *testing.F)       { fuzzOne(f, "cef") }
func FuzzCron(f *testing.F)      { fuzzOne(f, "cron") }
func FuzzKV(f *testing.F)        { fuzzOne(f, "kv") }
func FuzzLEEF(f *testing.F)      { fuzzOne(f, "leef") }
func FuzzLogin(f *testing.F)     { fuzzOne(f, "login") }
func FuzzNetfilter(f *testing.F) { fuzzOne(f, "iptables") }
func FuzzNginx(f *testing.F)     { fuzzOne(f, "nginx") }
func FuzzSystemd(f *testing.F)   { fuzzOne(f, "systemd") }

func FuzzCiscoASA(f *testing.F)     { fuzzOne(f, "cisco_asa") }
func FuzzCiscoIOS(f *testing.F)     { fuzzOne(f, "cisco_ios") }
func FuzzPaloAlto(f *testing.F)     { fuzzOne(f, "paloalto") }
func FuzzCheckPoint(f *testing.F)   { fuzzOne(f, "checkpoint") }
func FuzzFilterlog(f *testing.F)    { fuzzOne(f, "pf") }
func FuzzJuniper(f *testing.F)      { fuzzOne(f, "juniper") }
func FuzzMikroTik(f *testing.F)     { fuzzOne(f, "mikrotik") }
func FuzzSophos(f *testing.F)       { fuzzOne(f, "sophos") }
func FuzzSonicWall(f *testing.F)    { fuzzOne(f, "sonicwall") }
func FuzzF5(f *testing.F)           { fuzzOne(f, "f5_bigip") }
func FuzzAruba(f *testing.F)        { fuzzOne(f, "aruba") }
func FuzzCiscoISE(f *testing.F)     { fuzzOne(f, "cisco_ise") }
func FuzzCiscoESA(f *testing.F)     { fuzzOne(f, "cisco_esa") }
func FuzzSymantec(f *testing.F)     { fuzzOne(f, "symantec_ep") }
func FuzzZscaler(f *testing.F)      { fuzzOne(f, "zscaler") }
func FuzzDevices(f *testing.F)      { fuzzOne(f, "devices") }
func FuzzApplications(f *testing.F) { fuzzOne(f, "applications") }
func FuzzHAProxy(f *testing.F)      { fuzzOne(f, "haproxy") }
