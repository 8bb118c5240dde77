package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func gitHubParser() content {
	return productContent(Info{
		Name:    "github",
		Sources: []string{"github_audit"},
		About:   "GitHub: the audit log of organisations and enterprises, streamed or exported",
		Samples: []Sample{
			{`{"@timestamp":1772600767123,"_document_id":"d1","action":"org.add_member","actor":"octocat","actor_id":7,"actor_ip":"203.0.113.9","user":"eve","org":"my-org","repo":"my-org/my-repo","user_agent":"Mozilla/5.0","operation_type":"create"}`, []string{
				"source=github_audit", "vendor=GitHub", "product=GitHub", "category=iam", "action=group_add", "fields.action=org.add_member", "event_code=org.add_member", "outcome=success",
				"user=octocat", "fields.user=eve", "target_user=eve", "src_ip=203.0.113.9", "user_agent=Mozilla/5.0", "time_quality=exact",
			}},
			{`{"actor":"cat","action":"protected_branch.destroy","created_at":1772600767123,"org":"my-org","repo":"my-org/my-repo"}`, []string{
				"source=github_audit", "category=configuration", "action=protected_branch.destroy", "user=cat", "repo=my-org/my-repo", "time_quality=exact",
			}},
		},
	})
}

// gitHub reads GitHub's audit log. The account that acts stands under actor; what
// stands under user is acted on.
func gitHub(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var action, actor, target string
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "action":
			action = v
		case "actor":
			actor = v
		case "user":
			target = v
		case "actor_ip":
			l.client(v)
		case "actor_id":
			l.once(event.UserID, v)
		case "created_at":
			l.timeOf(v)
		}
	}
	if !isDottedName(action) {
		return false
	}
	l.knownAs("github_audit", "GitHub", "GitHub")
	l.add(event.EventCode, action)
	if target != actor {
		l.add(event.TargetUser, target)
	}
	if actor != "" {
		l.put(event.User, actor)
	}
	category, word := directoryAction(action)
	outcome := "success"
	switch {
	case category != "":
	case action == "user.login" || action == "org.sso_response":
		category, word = "authentication", "login"
	case action == "user.failed_login" || action == "user.two_factor_failure":
		category, word, outcome = "authentication", "login", "failure"
	case strings.HasPrefix(action, "team."), strings.HasPrefix(action, "org.invite"), strings.HasPrefix(action, "org.update_member"), strings.HasPrefix(action, "role."):
		category, word = "iam", action
	default:
		category, word = "configuration", action
	}
	l.happened(category, word, outcome)
	return true
}

// isDottedName tells "repo.create" from other text.
func isDottedName(s string) bool {
	dots := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.':
			dots++
		case (c < 'a' || c > 'z') && !isDigit(c) && c != '_' && c != '-':
			return false
		}
	}
	return dots > 0 && len(s) < 100
}

func gitLabParser() content {
	return productContent(Info{
		Name:    "gitlab",
		Sources: []string{"gitlab_audit", "gitlab"},
		About:   "GitLab: audit events, streamed, from audit_json.log or the API; requests of production_json.log and api_json.log",
		Samples: []Sample{
			{`{"severity":"INFO","time":"2026-03-04T05:06:07.523Z","author_id":3,"author_name":"bob","entity_id":2,"entity_type":"Project","entity_path":"g/p","change":"visibility","from":"Private","to":"Public","ip_address":"203.0.113.9","target_details":"g/p"}`, []string{
				"source=gitlab_audit", "vendor=GitLab", "product=GitLab", "category=configuration", "action=change_visibility", "outcome=success", "user=bob", "user_id=3", "src_ip=203.0.113.9",
				"change=visibility", "time_quality=exact",
			}},
			{`{"id":"e1","author_id":1,"entity_id":5,"entity_type":"User","created_at":"2026-03-04T05:06:07Z","author_name":"eve","event_type":"login_failed_with_standard_authentication","ip_address":"198.51.100.7","details":{"custom_message":"Failed to login with STANDARD authentication"}}`, []string{
				"source=gitlab_audit", "category=authentication", "action=login", "outcome=failure", "user=eve", "event_code=login_failed_with_standard_authentication", "severity=medium",
				"message=Failed to login with STANDARD authentication", "time_quality=exact",
			}},
			{`{"id":7,"author_id":1,"entity_id":6,"entity_type":"Project","event_name":"project_archived","details":{"custom_message":"Project archived","author_name":"Administrator","author_email":"a@e.org","target_id":"t","target_type":"Project","target_details":"T","ip_address":"203.0.113.9","entity_path":"g/t"},"created_at":"2026-03-04T05:06:07.000Z"}`, []string{
				"source=gitlab_audit", "user=Administrator", "src_ip=203.0.113.9", "event_code=project_archived", "message=Project archived", "time_quality=exact",
			}},
			{`{"method":"GET","path":"/g/p/-/merge_requests","format":"html","controller":"Projects::MergeRequestsController","action":"index","status":200,"time":"2026-03-04T05:06:07.753Z","params":[{"key":"namespace_id","value":"g"}],"remote_ip":"203.0.113.9","user_id":4,"username":"bob","ua":"Mozilla/5.0","correlation_id":"01F","meta.user":"bob","meta.caller_id":"Projects::MergeRequestsController#index","meta.remote_ip":"203.0.113.9"}`, []string{
				"source=gitlab", "vendor=GitLab", "category=web", "action=request", "outcome=success", "user=bob", "user_id=4", "src_ip=203.0.113.9", "http_method=GET", "url_path=/g/p/-/merge_requests", "http_status=200", "user_agent=Mozilla/5.0", "time_quality=exact",
			}},
			{`{"time":"2026-03-04T05:06:07.256Z","severity":"INFO","duration_s":0.1,"status":401,"method":"GET","path":"/api/v4/user","params":[],"host":"gitlab.e.org","remote_ip":"203.0.113.9","ua":"curl/8","route":"/api/:version/user","meta.caller_id":"GET /api/:version/user","meta.client_id":"ip/203.0.113.9","correlation_id":"01F"}`, []string{
				"source=gitlab", "outcome=failure", "src_ip=203.0.113.9", "http_status=401", "url_path=/api/v4/user", "host=gitlab.e.org",
			}},
		},
	})
}

// gitLabRequest reads what production_json.log and api_json.log say of a request.
func gitLabRequest(l *line, from int) bool {
	if !webRequest(l, from) {
		return false
	}
	l.knownAs("gitlab", "GitLab", "GitLab")
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	for _, f := range own {
		switch f.Name {
		case "remote_ip", "meta.remote_ip":
			l.client(f.Value)
		case "username", "meta.user":
			l.once(event.User, f.Value)
		case "user_id":
			l.once(event.UserID, f.Value)
		case "ua":
			l.once(event.UserAgent, f.Value)
		}
	}
	return true
}

func gitLab(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var kind, change, message, entity string
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "event_type", "event_name":
			kind = v
		case "change", "details.change":
			change = v
		case "custom_message", "details.custom_message":
			message = v
		case "author_name", "details.author_name":
			l.once(event.User, v)
		case "author_id":
			l.once(event.UserID, v)
		case "ip_address", "details.ip_address":
			l.client(v)
		case "entity_type":
			entity = v
		case "created_at":
			l.timeOf(v)
		}
	}
	if entity == "" {
		return false
	}
	l.knownAs("gitlab_audit", "GitLab", "GitLab")
	l.titled(message)
	l.add(event.EventCode, kind)
	category, action, outcome := "configuration", kind, "success"
	switch {
	case strings.HasPrefix(kind, "login_failed"), strings.Contains(message, "Failed to login"):
		category, action, outcome = "authentication", "login", "failure"
	case strings.HasPrefix(kind, "authenticated_with"), strings.HasPrefix(message, "Signed in with"):
		category, action = "authentication", "login"
	case kind == "user_created":
		category, action = "iam", "account_create"
	case kind == "user_destroyed":
		category, action = "iam", "account_delete"
	case kind == "member_created":
		category, action = "iam", "group_add"
	case kind == "member_destroyed":
		category, action = "iam", "group_remove"
	case strings.HasPrefix(kind, "user_"), strings.HasPrefix(kind, "member_"), entity == "User":
		category = "iam"
	}
	if action == "" && change != "" && len(change) < 64 {
		var short [96]byte
		action = l.p.names.of(append(append(short[:0], "change_"...), change...))
	}
	l.happened(category, action, outcome)
	return true
}
