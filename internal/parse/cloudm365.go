package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func m365Parser() content {
	return productContent(Info{
		Name:    "m365",
		Sources: []string{"m365"},
		About:   "Microsoft 365: the unified audit log of the Management Activity API (Exchange, SharePoint, Entra ID, Defender alerts)",
		Samples: []Sample{
			{`{"CreationTime":"2026-03-04T05:06:07","Id":"x1","Operation":"UserLoginFailed","OrganizationId":"o1","RecordType":15,"ResultStatus":"Failed","UserKey":"k","UserType":0,"Workload":"AzureActiveDirectory","ClientIP":"203.0.113.9","ObjectId":"o","UserId":"bob@example.com","LogonError":"InvalidUserNameOrPassword","ErrorNumber":"50126"}`, []string{
				"source=m365", "vendor=Microsoft", "product=Microsoft 365", "dataset=AzureActiveDirectory", "category=authentication", "action=login", "outcome=failure",
				"reason=InvalidUserNameOrPassword", "user=bob@example.com", "src_ip=203.0.113.9", "event_code=UserLoginFailed", "severity=medium", "Operation=UserLoginFailed", "fields.id=", "Id=x1",
			}},
			{`{"CreationTime":"2026-03-04T05:06:07","Id":"x2","Operation":"New-InboxRule","OrganizationId":"o1","RecordType":1,"ResultStatus":"True","UserType":2,"Workload":"Exchange","ClientIP":"[::ffff:198.51.100.7]:52342","ObjectId":"x","UserId":"bob@example.com","Parameters":[{"Name":"ForwardTo","Value":"x@evil.example"}]}`, []string{
				"source=m365", "dataset=Exchange", "category=configuration", "action=New-InboxRule", "outcome=success", "src_ip=198.51.100.7", "src_port=52342",
				"Parameters.Name=ForwardTo", "Parameters.Value=x@evil.example", "time_quality=exact",
			}},
			{`{"CreationTime":"2026-03-04T05:06:07","Id":"x3","Operation":"FileDownloaded","RecordType":6,"UserType":0,"Workload":"SharePoint","ClientIP":"198.51.100.7","ObjectId":"https://x.sharepoint.com/a.docx","UserId":"bob@example.com","UserAgent":"Mozilla/5.0"}`, []string{
				"source=m365", "category=file", "action=FileDownloaded", "outcome=success", "file_path=https://x.sharepoint.com/a.docx", "user_agent=Mozilla/5.0",
			}},
			{`{"eventSource":"SecurityComplianceCenter","eventName":"Potential ransomware activity","status":"success","UserId":"bob@example.com"}`, []string{
				"source=m365", "dataset=SecurityComplianceCenter", "category=intrusion_detection", "rule_name=Potential ransomware activity", "severity=medium",
				"eventName=Potential ransomware activity",
			}},
		},
	})
}

// m365 reads the unified audit log. Some exporters write its names in lower case.
func m365(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var op, workload, status, object, failure, alert, target string
	for i := range own {
		v := own[i].Value
		switch outOfEnvelope(own[i].Name) {
		case "Operation", "operation":
			op = v
		case "Workload", "workload":
			workload = v
		case "ResultStatus", "resultstatus":
			status = v
		case "UserId", "userid":
			l.once(event.User, v)
		case "UserKey", "userkey":
			l.once(event.UserID, v)
		case "ClientIP", "clientip", "ClientIPAddress", "ActorIpAddress", "ClientIp":
			l.client(v)
		case "ObjectId", "objectid":
			object = v
		case "UserAgent", "ClientInfoString":
			l.once(event.UserAgent, v)
		case "LogonError":
			failure = v
		case "Name":
			alert = v
		case "SessionId":
			l.once(event.SessionID, v)
		case "TargetUserOrGroupName", "MailboxOwnerUPN":
			target = v
		case "CreationTime", "creationtime":
			l.utcTime(v)
		}
	}
	if op == "" || workload == "" {
		return false
	}
	l.knownAs("m365", "Microsoft", "Microsoft 365")
	l.dataset = workload
	l.add(event.EventCode, op)
	l.add(event.TargetUser, target)
	outcome := "success"
	if status != "" {
		outcome = outcomeWord(status)
	}
	category, action := m365Action(op)
	switch {
	case op == "UserLoginFailed":
		outcome = "failure"
	case category == "file":
		l.once(event.FilePath, object)
	case op == "AlertTriggered" || op == "AlertEntityGenerated":
		l.once(event.RuleName, alert)
		l.titled(alert)
		l.atLeast(medium)
	}
	l.happened(category, action, outcome)
	if outcome == "failure" {
		l.once(event.Reason, cmp.Or(failure, status))
	}
	return true
}

func m365Action(op string) (category, action string) {
	switch op {
	case "UserLoggedIn", "UserLoginFailed", "MailboxLogin", "TeamsSessionStarted":
		return "authentication", "login"
	case "UserLoggedOff":
		return "authentication", "logout"
	case "AlertTriggered", "AlertEntityGenerated":
		return "intrusion_detection", "detect"
	}
	if category, action = directoryAction(op); category != "" {
		return category, action
	}
	switch {
	case strings.HasPrefix(op, "File"), strings.HasPrefix(op, "Folder"), strings.HasPrefix(op, "Mail"), op == "Send", op == "SendAs", op == "HardDelete",
		op == "SoftDelete", op == "MoveToDeletedItems":
		return "file", op
	case strings.HasPrefix(op, "Add ") || strings.HasPrefix(op, "Update ") || strings.HasPrefix(op, "Delete ") || strings.HasPrefix(op, "Remove "):
		return "iam", op
	}
	return "configuration", op
}

// m365Alert reads the alerts of Defender for Cloud Apps as exporters write them,
// under two names that CloudTrail has too.
func m365Alert(l *line, from int, source string) bool {
	name, status := "", ""
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "eventName":
			name = f.Value
		case "status", "Status":
			status = f.Value
		case "UserId":
			l.once(event.User, f.Value)
		}
	}
	l.knownAs("m365", "Microsoft", "Microsoft 365")
	l.dataset = source
	l.once(event.EventCode, name)
	if source == "Exchange" {
		l.happened("configuration", name, outcomeWord(status))
		return true
	}
	l.once(event.RuleName, name)
	l.titled(name)
	l.happened("intrusion_detection", "detect", outcomeWord(status))
	l.atLeast(medium)
	return true
}
