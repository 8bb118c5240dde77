package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func oktaParser() content {
	return productContent(Info{
		Name:    "okta",
		Sources: []string{"okta"},
		About:   "Okta's System Log, plain or inside an EventBridge event: sign-ins, changes of accounts, groups, policies and applications",
		Samples: []Sample{
			{`{"actor":{"id":"00u1","type":"User","alternateId":"bob@example.com","displayName":"Bob"},"client":{"userAgent":{"rawUserAgent":"Mozilla/5.0"},"ipAddress":"203.0.113.9"},"displayMessage":"User login to Okta","eventType":"user.session.start","outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"published":"2026-03-04T05:06:07.123Z","securityContext":{"isProxy":true},"severity":"WARN","debugContext":{"debugData":{"requestUri":"/api/v1/authn"}},"authenticationContext":{"externalSessionId":"s1"},"target":null,"uuid":"u1"}`, []string{
				"source=okta", "vendor=Okta", "product=Okta", "category=authentication", "action=login", "outcome=failure", "reason=INVALID_CREDENTIALS", "user=bob@example.com",
				"user_id=00u1", "src_ip=203.0.113.9", "user_agent=Mozilla/5.0", "event_code=user.session.start", "severity=medium", "message=User login to Okta",
				"eventType=user.session.start", "outcome.result=FAILURE", "securityContext.isProxy=true", "debugContext.debugData.requestUri=/api/v1/authn", "session_id=s1",
				"time_quality=exact",
			}},
			{`{"version":"0","detail-type":"SystemLog","source":"aws.partner/okta.com/x","detail":{"actor":{"id":"00u2","alternateId":"admin@example.com"},"client":{"ipAddress":"198.51.100.7"},"displayMessage":"Add user to group membership","eventType":"group.user_membership.add","outcome":{"result":"SUCCESS"},"published":"2026-03-04T05:06:07.123Z","target":[{"id":"1","type":"User","alternateId":"eve@example.com","displayName":"Eve"},{"id":"2","type":"UserGroup","alternateId":"unknown","displayName":"Admins"}]}}`, []string{
				"source=okta", "category=iam", "action=group_add", "outcome=success", "user=admin@example.com", "target_user=eve@example.com", "group=Admins", "src_ip=198.51.100.7",
				"detail.eventType=group.user_membership.add", "event_code=group.user_membership.add", "message=Add user to group membership",
			}},
		},
	})
}

// okta reads Okta's System Log.
func okta(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var kind, published, result, reason, message string
	targets := oktaTargets{}
	for i := range own {
		v := own[i].Value
		switch outOfEnvelope(own[i].Name) {
		case "eventType", "eventtype":
			kind = v
		case "outcome.result":
			result = v
		case "outcome.reason":
			reason = v
		case "displayMessage", "displaymessage":
			message = v
		case "published":
			published = v
			l.timeOf(v)
		case "actor.alternateId":
			l.once(event.User, v)
		case "actor.id":
			l.once(event.UserID, v)
		case "client.ipAddress":
			l.client(v)
		case "client.userAgent.rawUserAgent":
			l.once(event.UserAgent, v)
		case "authenticationContext.externalSessionId", "authenticationcontext.externalSessionId":
			l.once(event.SessionID, v)
		case "target.type":
			targets.kinds.add(v)
		case "target.alternateId":
			targets.names.add(v)
		case "target.displayName":
			targets.shown.add(v)
		}
	}
	if strings.IndexByte(kind, '.') < 0 || published == "" && result == "" && message == "" {
		return false
	}
	l.knownAs("okta", "Okta", "Okta")
	l.titled(message)
	l.add(event.EventCode, kind)
	targets.tell(l)
	category, action := oktaAction(kind)
	outcome := oktaOutcome(result)
	l.happened(category, action, outcome)
	if outcome == "failure" {
		l.add(event.Reason, reason)
	}
	return true
}

func oktaOutcome(result string) string {
	switch result {
	case "CHALLENGE", "SKIPPED", "UNKNOWN":
		return "unknown"
	case "UNANSWERED", "ABANDONED", "RATE_LIMIT":
		return "failure"
	}
	return outcomeWord(result)
}

func oktaAction(kind string) (category, action string) {
	if category, action = directoryAction(kind); category != "" {
		return category, action
	}
	switch {
	case kind == "user.session.start", kind == "user.authentication.auth_via_mfa", kind == "user.authentication.sso", kind == "user.authentication.verify",
		strings.HasPrefix(kind, "user.authentication.auth_via_"):
		return "authentication", "login"
	case kind == "user.session.end":
		return "authentication", "logout"
	case strings.HasPrefix(kind, "user.authentication."), strings.HasPrefix(kind, "user.session."), strings.HasPrefix(kind, "user.mfa."):
		return "authentication", kind
	case strings.HasPrefix(kind, "user."), strings.HasPrefix(kind, "group."):
		return "iam", kind
	case strings.HasPrefix(kind, "security.threat."):
		return "intrusion_detection", kind
	}
	return "configuration", kind
}

// oktaTargets are what a record was done to, each with a kind and two names.
type oktaTargets struct{ kinds, names, shown few }

// few are the first of several values.
type few struct {
	n     int
	value [8]string
}

func (f *few) add(v string) {
	if f.n < len(f.value) {
		f.value[f.n] = v
	}
	f.n++
}

func (t *oktaTargets) tell(l *line) {
	if t.kinds.n > len(t.kinds.value) {
		return
	}
	for i, kind := range t.kinds.value[:t.kinds.n] {
		switch {
		case kind == "User" && t.names.n == t.kinds.n:
			l.add(event.TargetUser, t.names.value[i])
		case kind == "UserGroup" && t.shown.n == t.kinds.n:
			l.add(event.Group, t.shown.value[i])
		}
	}
}
