package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func zscalerParser() content {
	return content{
		Info: Info{
			Name:     "zscaler",
			Sources:  []string{"zscaler", "zscaler_zia", "zscaler_zpa"},
			Programs: []string{"zscalernss"},
			About:    "Zscaler: web logs of Internet Access (NSS, key=value), alerts of NSS, and Private Access logs (LSS, JSON)",
			Samples: []Sample{
				{"2026-03-04 05:06:07\treason=Not allowed to browse this category\tevent_id=77\tprotocol=HTTPS\taction=Blocked\turlcategory=Gambling\tserverip=198.51.100.7\trequestmethod=GET\tuseragent=Mozilla/5.0 (X11)\tproduct=NSS\tClientIP=10.0.0.8\tstatus=403\tuser=bob@example.com\turl=example.com/bet?x=1\tvendor=Zscaler\thostname=example.com", []string{
					"source=zscaler_zia", "vendor=Zscaler", "product=NSS", "category=web", "action=deny", "outcome=failure", "user=bob@example.com", "src_ip=10.0.0.8", "dst_ip=198.51.100.7", "http_method=GET",
					"http_status=403", "url_path=/bet", "domain=example.com", "user_agent=Mozilla/5.0 (X11)", "rule_category=Gambling",
				}},
				{`{"LogTimestamp":"Wed Mar  4 05:06:07 2026","Customer":"c","SessionID":"s1","ConnectionID":"s1,c1","ConnectionStatus":"active","IPProtocol":6,"Username":"bob@example.com","ServicePort":8384,"ClientPublicIP":"203.0.113.9","Policy":"allow web","Application":"wiki","ServerIP":"10.0.0.5"}`, []string{
					"source=zscaler_zpa", "vendor=Zscaler", "category=network", "user=bob@example.com", "src_ip=203.0.113.9", "dst_ip=10.0.0.5", "dst_port=8384", "proto=tcp", "session_id=s1", "rule_name=allow web",
				}},
				{`<134>Mar  4 05:06:07 [10.0.0.143] ZscalerNSS: The NSS free memory has decreased to 1.40 GB`, []string{"source=zscaler", "host=10.0.0.143", "vendor=Zscaler"}},
			},
		},
		parse: func(l *line) bool {
			if !strings.EqualFold(l.program, "ZscalerNSS") {
				return false
			}
			l.knownAs("zscaler", "Zscaler", "NSS")
			return true
		},
	}
}

// zscalerWeb gives the pairs of a web log their meaning.
func (l *line) zscalerWeb() {
	l.source = "zscaler_zia"
	for _, f := range slices.Clip(l.e.Fields) {
		switch f.Name {
		case "ClientIP", "clientip", "cip":
			l.once(event.SrcIP, ipOrNone(f.Value))
		case "serverip":
			l.once(event.DstIP, ipOrNone(f.Value))
		case "requestmethod":
			l.once(event.HTTPMethod, f.Value)
		case "status":
			l.onceInt(event.HTTPStatus, f.Value)
		case "hostname":
			l.once(event.Domain, f.Value)
		case "urlcategory":
			l.once(event.RuleCategory, f.Value)
		case "threatname":
			if f.Value != "None" {
				l.put(event.RuleName, f.Value)
				l.atLeast(medium)
			}
		case "refererURL":
			if f.Value != "None" {
				l.once(event.Referrer, f.Value)
			}
		case "requestsize":
			l.onceInt(event.SrcBytes, f.Value)
		case "responsesize":
			l.onceInt(event.DstBytes, f.Value)
		case event.URL:
			l.splitURL(f.Value)
		}
	}
	word := l.e.Get(event.Action)
	l.putThree("web", firewallAction(word), firewallOutcome(word))
}

// zscalerPrivate gives the fields of a Private Access log their meaning.
func (l *line) zscalerPrivate() {
	l.knownAs("zscaler_zpa", "Zscaler", "Private Access")
	category := "network"
	for _, f := range slices.Clip(l.e.Fields) {
		switch f.Name {
		case "Username", "User":
			if f.Value != "ZPA LSS Client" {
				l.account(f.Value)
			}
		case "ClientPublicIP", "PublicIP":
			l.once(event.SrcIP, ipOrNone(f.Value))
		case "ServerIP":
			l.once(event.DstIP, ipOrNone(f.Value))
		case "ServicePort", "ServerPort":
			l.onceInt(event.DstPort, f.Value)
		case "SessionID":
			l.once(event.SessionID, f.Value)
			f.Value = ""
		case "Policy":
			l.once(event.RuleName, f.Value)
		case "Connector":
			if l.host == "" {
				l.host = f.Value
			}
		case "SessionStatus":
			category = "session"
			if strings.HasSuffix(f.Value, "AUTHENTICATED") {
				l.putThree("", "login", "success")
			} else if strings.HasSuffix(f.Value, "FAILED") {
				l.happened("", "login", "failure")
			}
		}
	}
	l.put(event.Category, category)
}
