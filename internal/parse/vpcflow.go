package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func vpcFlowParser() content {
	return content{
		Info: Info{
			Name:    "aws_vpcflow",
			Sources: []string{"aws_vpcflow"},
			About:   "flow logs of Amazon VPC: the default columns, or those that a header line named",
			Samples: []Sample{
				{`2 123456789012 eni-0a1b2c3d 203.0.113.9 10.0.0.5 51000 22 6 20 4249 1772600767 1772600827 REJECT OK`, []string{
					"source=aws_vpcflow", "category=network", "action=drop", "outcome=failure", "src_ip=203.0.113.9", "src_port=51000", "dst_ip=10.0.0.5", "dst_port=22", "proto=tcp", "src_bytes=4249", "in_iface=eni-0a1b2c3d",
					"cloud_provider=aws", "cloud_account=123456789012", "srcaddr=203.0.113.9", "time_quality=exact", "packets=20",
				}},
				{`2 123456789012 eni-0a1b2c3d - - - - - - - 1772600767 1772600827 - NODATA`, []string{"source=aws_vpcflow", "action=", "log-status=NODATA"}},
				{`version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status`, []string{"source=aws_vpcflow", "category=", "tags="}},
			},
		},
		parse: parseVPCFlow,
	}
}

const vpcFlowColumns = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"

// isVPCFlow tells the default columns and a header.
func isVPCFlow(s string) bool {
	return len(s) > 30 && s[1] == ' ' && isDigit(s[0]) && before(s, " eni-", 24) || strings.HasPrefix(s, "version account-id ")
}

func parseVPCFlow(l *line) bool {
	s := l.text
	key := l.table("vpcflow")
	if strings.HasPrefix(s, "version ") || strings.HasPrefix(s, "account-id ") || strings.Contains(s, " srcaddr ") {
		l.source = "aws_vpcflow"
		if len(s) < maxTableHeader {
			n := l.p.tables.keep(key)
			n.text = append(n.text[:0], s...)
		}
		return true
	}
	columns := vpcFlowColumns
	if n := l.p.tables.of(key); n != nil {
		columns = n.string()
	}
	if strings.Count(columns, " ") != strings.Count(s, " ") {
		columns = vpcFlowColumns
		if !isVPCFlow(s) || strings.Count(columns, " ") != strings.Count(s, " ") {
			return false
		}
	}
	l.knownAs("aws_vpcflow", "Amazon", "VPC")
	l.add(event.CloudProvider, "aws")
	action, outcome := "", ""
	for s != "" {
		var name, value string
		name, columns = cutField(columns)
		value, s = cutField(s)
		if value == "-" || value == "" || name == "" {
			continue
		}
		if name != "action" {
			l.native("", name, value)
		}
		switch name {
		case "account-id":
			l.add(event.CloudAccount, value)
		case "interface-id":
			l.add(event.InIface, value)
		case "region":
			l.add(event.CloudRegion, value)
		case "srcaddr":
			l.addPeer(event.SrcIP, "", value)
		case "dstaddr":
			l.addPeer(event.DstIP, "", value)
		case "srcport":
			l.addInt(event.SrcPort, value)
		case "dstport":
			l.addInt(event.DstPort, value)
		case "protocol":
			l.add(event.Proto, l.protocol(value))
		case "bytes":
			l.addInt(event.SrcBytes, value)
		case "flow-direction":
			switch value {
			case "ingress":
				l.add(event.Direction, "inbound")
			case "egress":
				l.add(event.Direction, "outbound")
			}
		case "start":
			if t, ok := epoch(value); ok {
				l.setTime(t, qualityExact)
			}
		case "action":
			l.native("fields", "action", value)
			action, outcome = "allow", "success"
			if value == "REJECT" {
				action, outcome = "drop", "failure"
			}
		}
	}
	l.is("network", action, outcome)
	return true
}
