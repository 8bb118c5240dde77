package parse

import (
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

// speedLines are ordinary lines, one for each kind of content. Those marked
// clean must not allocate.
var speedLines = []struct {
	name  string
	clean bool
	line  string
}{
	{"sshd", true, "<38>Nov 25 06:55:48 web1 sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2"},
	{"sshd5424", true, "<38>1 2026-11-25T06:55:48.123456+00:00 web1 sshd 24200 - - Failed password for root from 173.234.31.186 port 38926 ssh2"},
	{"pam", true, "Nov 25 06:55:46 web1 sshd[24200]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186  user=root"},
	{"sudo", true, "Nov 25 05:06:07 web1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update"},
	{"su", true, "Nov 25 05:06:07 web1 su[77]: FAILED SU (to root) alice on pts/1"},
	{"shadow", true, "Nov 25 05:06:07 web1 useradd[4711]: new user: name=mallory, UID=1001, GID=1001, home=/home/mallory, shell=/bin/bash, from=/dev/pts/0"},
	{"cron", true, "Nov 25 05:17:01 web1 CRON[4711]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)"},
	{"systemd", true, "Nov 25 05:06:07 web1 systemd[1]: Started nginx.service - A high performance web server."},
	{"iptables", true, "Nov 25 05:06:07 gw kernel: [12345.678901] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 SRC=203.0.113.9 DST=192.0.2.10 LEN=60 TOS=0x00 PREC=0x00 TTL=50 ID=54321 DF PROTO=TCP SPT=43210 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0 "},
	{"nginx", true, `203.0.113.9 - alice [25/Nov/2026:13:55:36 +0200] "GET /a/b?x=1&y=2 HTTP/1.1" 404 162 "https://e.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0"`},
	{"nginxerror", true, `2026/11/25 10:47:03 [error] 24537#230441: *914 open() "/var/www/x" failed (2: No such file or directory), client: 203.0.113.9, server: _, request: "GET /x HTTP/2.0", host: "e.org"`},
	{"apacheerror", true, `[Wed Nov 25 10:42:29.902022 2026] [auth_basic:error] [pid 35708:tid 4328636416] [client 72.15.99.187:51234] AH01617: user bob: authentication failure for "/secret": Password Mismatch`},
	{"json", true, `{"@timestamp":"2026-11-25T05:06:07.25Z","log.level":"error","message":"login failed","user":{"name":"bob","id":77},"source":{"ip":"1.2.3.4","port":443},"event":{"action":"login"},"labels":["a","b"]}`},
	{"windows", true, `{"EventID":4625,"Channel":"Security","Hostname":"DC1","EventTime":"2026-11-25 05:06:07","TargetUserName":"bob","TargetDomainName":"CORP","IpAddress":"10.0.0.9","IpPort":"50111","SubStatus":"0xc000006a","LogonType":3,"SubjectUserName":"-","WorkstationName":"WS7","Message":"An account failed to log on."}`},
	{"postgresql", true, `2026-11-25 05:06:07.123 UTC [4711] bob@shop FATAL:  password authentication failed for user "bob"`},
	{"pgaudit", true, `2026-11-25 05:06:07.123 UTC [4711] bob@shop LOG:  AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.items,"select * from items where name = ""x""",<none>`},
	{"mysql", true, `2026-11-25T05:06:07.123456Z 12 [Note] [MY-010926] [Server] Access denied for user 'root'@'203.0.113.9' (using password: YES)`},
	{"okta", true, shortJSON[3]},
	{"cloudtrail", true, shortJSON[2]},
	{"gitlab", true, `{"severity":"INFO","time":"2026-11-25T05:06:07.523Z","author_id":3,"author_name":"bob","entity_id":2,"entity_type":"Project","entity_path":"g/p","change":"visibility","ip_address":"203.0.113.9"}`},
	{"kv", true, `<189>date=2026-11-25 time=05:06:07 devname="fw01" devid="FGT60" eventtime=1795583167000000000 tz="+0000" logid="0000000013" type="traffic" subtype="forward" level="notice" srcip=10.1.1.1 srcport=4711 srcintf="lan" dstip=203.0.113.5 dstport=443 proto=6 action="deny" policyid=7 service="HTTPS"`},
	{"cef", true, `Nov 25 08:26:10 fw1 CEF:0|Check Point|VPN-1 & FireWall-1|R80|100|worm stopped|9|src=10.0.0.1 dst=2.1.2.2 spt=1232 dpt=443 proto=TCP suser=bob act=drop msg=a b c request=http://e.org/x?y cs1Label=RuleName cs1=Stop worms rt=1795583167000`},
	{"leef", true, "<13>Nov 25 11:07:53 192.0.2.5 LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=192.0.2.0\tdst=172.50.123.1\tsev=5\tcat=anomaly\tsrcPort=81\tdstPort=21\tusrName=joe.black"},
	{"asa", true, `<166>Nov 25 05:06:07 fw1 %ASA-6-302013: Built inbound TCP connection 77 for outside:203.0.113.9/50123 (203.0.113.9/50123) to dmz:10.0.0.5/443 (192.0.2.10/443)`},
	{"asadeny", true, `<164>Nov 25 05:06:07 fw1 %ASA-4-106023: Deny tcp src outside:203.0.113.9/50123 dst inside:10.0.0.5/22 by access-group "outside_in" [0x0, 0x0]`},
	{"ios", true, `<190>Nov 25 05:06:07 192.0.2.2 sw2: 3132779: Nov 25 2026 05:06:06.398 UTC: %SEC-6-IPACCESSLOGP: list 150 denied tcp 203.0.113.9(59832) -> 10.0.0.5(22), 3 packets`},
	{"paloalto", true, `<14>Nov 25 05:06:07 pa1 1,2026/11/25 05:06:07,0123456789,TRAFFIC,end,2305,2026/11/25 05:06:06,10.0.0.8,198.51.100.7,192.0.2.1,198.51.100.7,"web, out",corp\bob,,ssl,vsys1,trust,untrust,ethernet1/2,ethernet1/1,fwd,2026/11/25 05:06:06,25149,1,40022,443,50022,443,0x400053,tcp,allow,5000,1000,4000,20,2026/11/25 05:05:36,30,any,0,77,0x0,10.0.0.0-10.255.255.255,Germany,0,10,10,tcp-fin,0,0,0,0,,pa1-dev,from-policy`},
	{"checkpoint", true, `<134>1 2026-11-25T05:06:08Z gw1 CheckPoint 7776 - [action:"Drop"; flags:"278528"; ifdir:"inbound"; ifname:"eth1"; origin:"192.0.2.1"; time:"1795583167"; dst:"10.0.0.5"; product:"VPN-1 & FireWall-1"; proto:"6"; rule_name:"Cleanup"; s_port:"52780"; service:"22"; src:"203.0.113.9"]`},
	{"juniper", true, `<14>1 2026-11-25T05:06:07.123Z srx1 RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.40 source-address="203.0.113.9" source-port="4000" destination-address="10.0.0.5" destination-port="22" protocol-id="6" policy-name="deny-all"] session denied`},
	{"filterlog", true, `<134>Nov 25 05:06:07 fw1 filterlog[69805]: 53,,,1000000301,em0,match,block,in,4,0x0,,64,420,0,none,6,tcp,60,203.0.113.9,10.0.0.5,53742,22,0,S,29633380,,65535,,mss`},
	{"sophos", true, `<30>device_name="SFW" timestamp="2026-11-25T05:06:07+0100" device_model="XGS" log_id="010102600002" log_type="Firewall" log_subtype="Denied" severity="Information" fw_rule_id="12" in_interface="Port2" src_ip="203.0.113.9" dst_ip="10.0.0.5" protocol="TCP" src_port=4000 dst_port=22`},
	{"sonicwall", true, `<134>id=firewall sn=0017C5000000 time="2026-11-25 05:06:07" fw=192.0.2.1 pri=6 c=262144 m=98 msg="Connection Opened" n=7 src=10.0.0.8:40022:X0 dst=198.51.100.7:443:X1 proto=tcp/https sent=60`},
	{"mikrotik", true, `<134>Nov 25 05:06:07 r1 firewall,info drop-in input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:00:5e:00:53:01, proto TCP (SYN), 203.0.113.9:51000->192.0.2.1:22, len 60`},
	{"haproxy", true, `Nov 25 05:06:07 lb1 haproxy[14389]: 203.0.113.9:33317 [25/Nov/2026:05:06:06.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /index.html?a=b HTTP/1.1"`},
	{"text", true, "Nov 25 05:06:07 web1 postfix/smtpd[26897]: connect from unknown[203.0.113.42]"},
}

// TestAllocations: parsing allocates nothing once the parser has seen the
// sender, the names and the programs, and the event has room for its fields.
func TestAllocations(t *testing.T) {
	for _, s := range speedLines {
		p := New(Options{})
		var e event.Event
		r := Record{Raw: s.line, Arrived: arrival, Peer: "192.0.2.1"}
		p.Parse(&r, &e)
		n := testing.AllocsPerRun(100, func() { p.Parse(&r, &e) })
		if s.clean && n != 0 {
			t.Errorf("%s: %v allocations, want none", s.name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, s := range speedLines {
		b.Run(s.name, func(b *testing.B) {
			p := New(Options{})
			var e event.Event
			r := Record{Raw: s.line, Arrived: arrival, Peer: "192.0.2.1"}
			b.SetBytes(int64(len(s.line)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(&r, &e)
			}
		})
	}
}

// BenchmarkCorpus reads the 2,000 real lines of each set in turn.
func BenchmarkCorpus(b *testing.B) {
	for _, name := range []string{"OpenSSH", "Linux", "Apache"} {
		b.Run(name, func(b *testing.B) {
			lines := readLines(b, sharedData(b, "loghub/"+name+"_2k.log"))
			p := New(Options{})
			var e event.Event
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Parse(&Record{Raw: lines[i%len(lines)], Arrived: arrival, Peer: "192.0.2.1"}, &e)
			}
		})
	}
	b.Run("WindowsJSON", func(b *testing.B) {
		lines := unzip(b, sharedData(b, "otrf/psh_python_webserver.ndjson.gz"))
		p := New(Options{})
		var e event.Event
		size := 0
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			raw := lines[i%len(lines)]
			size += len(raw)
			p.Parse(&Record{Raw: raw, Arrived: arrival}, &e)
		}
		b.ReportMetric(float64(size)/float64(b.N), "B/record")
	})
}
