package parse

import (
	"strconv"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func awsParser() content {
	return productContent(Info{
		Name:    "aws",
		Sources: []string{"aws", "aws_cloudtrail", "aws_guardduty", "aws_securityhub"},
		About:   "Amazon Web Services: CloudTrail records, GuardDuty and Security Hub findings, plain or inside an EventBridge event",
		Samples: []Sample{
			{`{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.iam","account":"1","time":"2026-03-04T05:06:07Z","region":"us-east-1","detail":{"eventTime":"2026-03-04T05:06:07Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9","userIdentity":{"type":"IAMUser","userName":"pedro"},"requestParameters":{"userName":"eve"}}}`, []string{
				"source=aws_cloudtrail", "cloud_service=iam.amazonaws.com", "action=CreateUser", "outcome=success", "user=pedro", "target_user=eve", "src_ip=203.0.113.9",
				"detail.eventName=CreateUser", `detail.requestParameters={"userName":"eve"}`, "detail.requestParameters.userName=eve", "event_code=CreateUser", "time_quality=exact",
			}},
			{`{"schemaVersion":"2.0","accountId":"123","region":"us-east-1","partition":"aws","id":"f1","arn":"arn:aws:guardduty:x","type":"UnauthorizedAccess:EC2/SSHBruteForce","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-99"}},"service":{"serviceName":"guardduty","detectorId":"d1","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"remoteIpDetails":{"ipAddressV4":"203.0.113.9"},"localPortDetails":{"port":22}}},"eventLastSeen":"2026-03-04T05:06:07Z","count":3},"severity":8,"title":"SSH brute force","description":"i-99 is under attack.","createdAt":"2026-03-04T05:00:00Z","updatedAt":"2026-03-04T05:07:00Z"}`, []string{
				"source=aws_guardduty", "vendor=Amazon", "product=GuardDuty", "cloud_provider=aws", "cloud_account=123", "cloud_region=us-east-1", "category=intrusion_detection", "action=detect",
				"rule_name=UnauthorizedAccess:EC2/SSHBruteForce", "rule_category=UnauthorizedAccess", "severity=high", "host=i-99", "src_ip=203.0.113.9", "dst_port=22",
				"message=SSH brute force", "event_code=UnauthorizedAccess:EC2/SSHBruteForce", "service.count=3", "time_quality=exact",
			}},
			{`{"SchemaVersion":"2018-10-08","Id":"x","ProductArn":"arn:aws:securityhub:us-east-1::product/aws/inspector","ProductName":"Inspector","AwsAccountId":"123","Region":"us-east-1","GeneratorId":"g","Types":["Software and Configuration Checks"],"Title":"Open port","Severity":{"Label":"CRITICAL"},"UpdatedAt":"2026-03-04T05:06:07Z","Resources":[{"Id":"arn:x"}]}`, []string{
				"source=aws_securityhub", "cloud_account=123", "category=intrusion_detection", "rule_name=Open port", "severity=critical", "time_quality=exact",
			}},
		},
	})
}

// cloudTrail reads AWS CloudTrail records. Exporters of Microsoft 365 alerts use
// two of its names.
func cloudTrail(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var name, service, kind, user, arn, identity, failure, login, mfa string
	for _, f := range own {
		switch outOfEnvelope(f.Name) {
		case "eventSource":
			service = f.Value
		case "eventName":
			name = f.Value
		case "awsRegion":
			l.add(event.CloudRegion, f.Value)
		case "recipientAccountId":
			l.add(event.CloudAccount, f.Value)
		case "sourceIPAddress":
			l.addPeer(event.SrcIP, event.SrcHost, f.Value)
		case "userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName":
			if user == "" {
				user = f.Value
			}
		case "userIdentity.arn":
			arn = f.Value
		case "userIdentity.type":
			kind = f.Value
		case "userIdentity.principalId":
			identity = f.Value
		case "errorCode":
			failure = f.Value
		case "responseElements.ConsoleLogin":
			login = f.Value
		case "additionalEventData.MFAUsed":
			mfa = f.Value
		case "requestParameters.userName":
			l.add(event.TargetUser, f.Value)
		case "eventTime":
			l.timeOf(f.Value)
		}
	}
	if service == "SecurityComplianceCenter" || service == "Exchange" {
		return m365Alert(l, from, service)
	}
	l.source = "aws_cloudtrail"
	l.add(event.CloudProvider, "aws")
	l.add(event.CloudService, service)
	switch {
	case kind == "Root":
		user = "root"
	case user == "" && arn != "":
		user = arn[strings.LastIndexByte(arn, '/')+1:]
	case user == "":
		user = identity
	}
	l.add(event.User, user)
	l.add(event.UserID, identity)
	category, action := "configuration", name
	if name == "ConsoleLogin" {
		category, action = "authentication", "login"
		if mfa == "Yes" {
			l.add(event.AuthMethod, "mfa")
		}
	}
	ok := failure == "" && login != "Failure"
	l.put(event.Category, category)
	l.put(event.Action, action)
	l.outcomeOf(ok)
	if !ok {
		l.add(event.Reason, failure)
		l.atLeast(low)
		if name == "ConsoleLogin" {
			l.atLeast(medium)
			if kind == "Root" {
				l.atLeast(high)
			}
		}
	}
	l.add(event.EventCode, name)
	return true
}

// guardDuty reads findings of Amazon GuardDuty.
func guardDuty(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var kind, title, gravity, seen, updated string
	for i := range own {
		v := own[i].Value
		name := outOfEnvelope(own[i].Name)
		switch name {
		case "type":
			kind = v
		case "title":
			title = v
		case "severity", "fields.severity":
			gravity = v
		case "accountId":
			l.once(event.CloudAccount, v)
		case "region":
			l.once(event.CloudRegion, v)
		case "resource.instanceDetails.instanceId":
			l.host = v
		case "resource.accessKeyDetails.userName":
			l.once(event.User, v)
		case "service.eventLastSeen":
			seen = v
		case "updatedAt":
			updated = v
		default:
			switch {
			case !strings.HasPrefix(name, "service.action."):
			case strings.HasSuffix(name, ".remoteIpDetails.ipAddressV4"):
				l.client(v)
			case strings.HasSuffix(name, ".localPortDetails.port"):
				if l.e.Get(event.DstPort) == "" {
					l.addInt(event.DstPort, v)
				}
			case strings.HasSuffix(name, ".dnsRequestAction.domain"):
				l.once(event.DNSQuery, v)
			}
		}
	}
	class, _, ok := strings.Cut(kind, ":")
	if !ok {
		return false
	}
	l.timeOf(seen)
	l.timeOf(updated)
	l.knownAs("aws_guardduty", "Amazon", "GuardDuty")
	l.once(event.CloudProvider, "aws")
	l.titled(title)
	l.add(event.EventCode, kind)
	l.add(event.RuleName, kind)
	l.add(event.RuleCategory, class)
	l.happened("intrusion_detection", "detect", "unknown")
	l.atLeast(guardDutyGravity(gravity))
	return true
}

// guardDutyGravity: findings are graded from 1 to 10.
func guardDutyGravity(s string) severity {
	g, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || g >= 4 && g < 7:
		return medium
	case g >= 9:
		return critical
	case g >= 7:
		return high
	default:
		return low
	}
}

// securityHub reads findings in the format of AWS Security Hub.
func securityHub(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	for i := range own {
		v := own[i].Value
		switch outOfEnvelope(own[i].Name) {
		case "AwsAccountId":
			l.once(event.CloudAccount, v)
		case "Region":
			l.once(event.CloudRegion, v)
		case "Title":
			l.titled(v)
			l.once(event.RuleName, v)
		case "GeneratorId":
			l.once(event.RuleID, v)
		case "Types":
			l.once(event.RuleCategory, v)
		case "Severity.Label", "FindingProviderFields.Severity.Label":
			l.atLeast(severity(event.SeverityRank(l.p.lower(v))))
		case "Action.AwsApiCallAction.RemoteIpDetails.IpAddressV4", "Action.NetworkConnectionAction.RemoteIpDetails.IpAddressV4":
			l.client(v)
		case "UpdatedAt":
			l.timeOf(v)
		}
	}
	l.knownAs("aws_securityhub", "Amazon", "Security Hub")
	l.once(event.CloudProvider, "aws")
	l.happened("intrusion_detection", "detect", "unknown")
	return true
}
