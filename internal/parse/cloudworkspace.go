package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func workspaceParser() content {
	return productContent(Info{
		Name:    "google_workspace",
		Sources: []string{"google_workspace"},
		About:   "Google Workspace: activities of the Reports API and the login and admin logs that Google Cloud exports",
		Samples: []Sample{
			{`{"kind":"admin#reports#activity","id":{"time":"2026-03-04T05:06:07.000Z","uniqueQualifier":"1","applicationName":"login","customerId":"C1"},"actor":{"callerType":"USER","email":"bob@example.com","profileId":"11"},"ipAddress":"203.0.113.9","events":[{"type":"login","name":"login_failure","parameters":[{"name":"login_type","value":"google_password"}]}]}`, []string{
				"source=google_workspace", "dataset=login", "vendor=Google", "product=Google Workspace", "cloud_service=login.googleapis.com", "category=authentication", "action=login", "outcome=failure",
				"user=bob@example.com", "user_id=11", "src_ip=203.0.113.9", "event_code=login_failure", "severity=medium", "events.name=login_failure", "time_quality=exact",
			}},
			{`{"kind":"admin#reports#activity","id":{"time":"2026-03-04T05:06:07.000Z","applicationName":"admin","customerId":"C1"},"actor":{"email":"admin@example.com"},"ipAddress":"198.51.100.7","events":[{"type":"DELEGATED_ADMIN_SETTINGS","name":"ASSIGN_ROLE","parameters":[{"name":"USER_EMAIL","value":"eve@example.com"}]}]}`, []string{
				"source=google_workspace", "dataset=admin", "category=iam", "action=group_add", "outcome=success", "user=admin@example.com", "target_user=eve@example.com", "event_code=ASSIGN_ROLE",
			}},
			{`{"protoPayload":{"authenticationInfo":{"principalEmail":"bob@example.com"},"methodName":"google.login.LoginService.suspiciousLogin","serviceName":"login.googleapis.com","metadata":{"event":[{"eventName":"suspicious_login","eventType":"login"}]},"requestMetadata":{"callerIp":"203.0.113.9"}},"timestamp":"2026-03-04T05:06:07Z"}`, []string{
				"source=google_workspace", "dataset=login", "user=bob@example.com", "src_ip=203.0.113.9", "event_code=suspicious_login", "severity=high",
				"protoPayload.metadata.event.eventName=suspicious_login",
			}},
			{`{"eventService":"admin.googleapis.com","eventName":"GRANT_ADMIN_PRIVILEGE"}`, []string{
				"source=google_workspace", "dataset=admin", "category=iam", "action=group_add", "cloud_service=admin.googleapis.com",
			}},
		},
	})
}

// workspace reads the activities of the Reports API.
func workspace(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var application, name, kind, parameter, target string
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "id.applicationName":
			application = v
		case "id.time":
			l.timeOf(v)
		case "events.name", "name":
			if name == "" {
				name = v
			}
		case "events.type", "type":
			if kind == "" {
				kind = v
			}
		case "actor.email":
			l.once(event.User, v)
		case "actor.profileId":
			l.once(event.UserID, v)
		case "ipAddress":
			l.client(v)
		case "events.parameters.name":
			parameter = v
		case "events.parameters.value":
			if parameter == "USER_EMAIL" || parameter == "affected_email_address" {
				target = v
			}
		case "parameters.USER_EMAIL", "parameters.affected_email_address":
			target = v
		}
	}
	l.add(event.TargetUser, target)
	workspaceEvent(l, application, name, kind)
	return true
}

// workspaceNamed reads records that carry service and event under two plain
// names.
func workspaceNamed(l *line, from int) bool {
	service, name := "", ""
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "eventService":
			service = f.Value
		case "eventName":
			name = f.Value
		}
	}
	application, found := strings.CutSuffix(service, ".googleapis.com")
	if !found {
		return false
	}
	workspaceEvent(l, application, name, "")
	return true
}

func workspaceEvent(l *line, application, name, kind string) {
	l.knownAs("google_workspace", "Google", "Google Workspace")
	l.dataset = application
	l.once(event.CloudProvider, "gcp")
	l.once(event.CloudService, workspaceService(l.p, application))
	l.add(event.EventCode, name)
	category, action := directoryAction(name)
	outcome := "success"
	switch {
	case category != "":
	case application == "login":
		category, action = "authentication", name
		switch name {
		case "login_success", "login_verification":
			action = "login"
		case "login_failure":
			action, outcome = "login", "failure"
		case "logout":
		default:
			if strings.HasPrefix(name, "suspicious_") || strings.HasSuffix(name, "_attack_warning") || strings.HasPrefix(name, "account_disabled") {
				l.atLeast(high)
			}
		}
	case application == "drive":
		category, action = "file", name
	case kind == "USER_SETTINGS" || kind == "GROUP_SETTINGS" || kind == "DELEGATED_ADMIN_SETTINGS" || application == "user_accounts":
		category, action = "iam", name
	default:
		category, action = "configuration", name
	}
	l.happened(category, action, outcome)
}

// workspaceService names the API of an application.
func workspaceService(p *Parser, application string) string {
	switch application {
	case "login":
		return "login.googleapis.com"
	case "admin":
		return "admin.googleapis.com"
	case "drive":
		return "drive.googleapis.com"
	}
	if application == "" || len(application) > 64 {
		return ""
	}
	var short [96]byte
	return p.names.of(append(append(short[:0], application...), ".googleapis.com"...))
}
