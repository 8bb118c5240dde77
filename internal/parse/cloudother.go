package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func bitbucketParser() content {
	return productContent(Info{
		Name:    "bitbucket",
		Sources: []string{"bitbucket_audit"},
		About:   "Bitbucket: the audit log of Data Center and Server",
		Samples: []Sample{
			{`{"timestamp":"2026-03-04T05:06:07.123Z","author":{"name":"alice","type":"NORMAL","id":"1"},"auditType":{"action":"User added to group","category":"Users and groups","area":"USER_MANAGEMENT","level":"BASE"},"affectedObjects":[{"name":"bob","type":"USER"}],"source":"203.0.113.9","system":"http://b","node":"n1"}`, []string{
				"source=bitbucket_audit", "vendor=Atlassian", "product=Bitbucket", "category=iam", "action=group_add", "user=alice", "src_ip=203.0.113.9", "target_user=bob",
				"auditType.action=User added to group", "event_code=User added to group", "outcome=success", "time_quality=exact",
			}},
			{`{"timestamp":1772600767123,"author":{"name":"eve"},"auditType":{"action":"User login failed","category":"Authentication"},"source":"198.51.100.7"}`, []string{
				"source=bitbucket_audit", "category=authentication", "action=login", "outcome=failure", "user=eve", "severity=medium",
			}},
		},
	})
}

// bitbucket reads Bitbucket's audit log.
func bitbucket(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var action, class, object string
	for _, f := range own {
		switch f.Name {
		case "auditType.action":
			action = f.Value
		case "auditType.category":
			class = f.Value
		case "author.name":
			l.once(event.User, f.Value)
		case "author.id":
			l.once(event.UserID, f.Value)
		case "fields.source":
			l.client(f.Value)
		case "affectedObjects.name":
			object = f.Value
		}
	}
	l.knownAs("bitbucket_audit", "Atlassian", "Bitbucket")
	l.titled(action)
	l.add(event.EventCode, action)
	category, word, outcome := "configuration", action, "success"
	switch {
	case strings.Contains(action, "login failed"):
		category, word, outcome = "authentication", "login", "failure"
	case class == "Authentication" && strings.Contains(action, "login"):
		category, word = "authentication", "login"
	case class == "Authentication":
		category = "authentication"
	case action == "User added to group":
		category, word = "iam", "group_add"
		l.add(event.TargetUser, object)
	case action == "User removed from group":
		category, word = "iam", "group_remove"
		l.add(event.TargetUser, object)
	case action == "User created":
		category, word = "iam", "account_create"
		l.add(event.TargetUser, object)
	case action == "User deleted":
		category, word = "iam", "account_delete"
		l.add(event.TargetUser, object)
	case class == "Users and groups" || class == "Permissions":
		category = "iam"
	}
	l.happened(category, word, outcome)
	return true
}

func openCanaryParser() content {
	return productContent(Info{
		Name:    "opencanary",
		Sources: []string{"opencanary"},
		About:   "OpenCanary: what its decoy services were asked",
		Samples: []Sample{
			{`{"dst_host":"10.0.0.5","dst_port":22,"local_time":"2026-03-04 05:06:07.123456","local_time_adjusted":"2026-03-04 05:06:07.123456","logdata":{"USERNAME":"root","PASSWORD":"x"},"logtype":4002,"node_id":"canary-1","src_host":"203.0.113.9","src_port":53210}`, []string{
				"source=opencanary", "vendor=Thinkst", "product=OpenCanary", "category=authentication", "action=login", "outcome=failure", "user=root", "src_ip=203.0.113.9", "dst_ip=10.0.0.5",
				"host=canary-1", "severity=high", "logtype=4002", "event_code=4002", "time_quality=tz_assumed",
			}},
			{`{"dst_host":"10.0.0.5","dst_port":23,"utc_time":"2026-03-04 05:06:07.123456","logdata":{},"logtype":5001,"node_id":"canary-1","src_host":"203.0.113.9","src_port":53210}`, []string{
				"source=opencanary", "category=intrusion_detection", "severity=high", "src_ip=203.0.113.9", "dst_port=23", "time_quality=exact",
			}},
		},
	})
}

// openCanary reads OpenCanary's records: nobody has any business with a decoy.
func openCanary(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	kind, user := "", ""
	for _, f := range own {
		switch f.Name {
		case "logtype":
			kind = f.Value
		case "node_id":
			l.host = f.Value
		case "src_host":
			l.client(f.Value)
		case "dst_host":
			if a, ok := address(f.Value); ok {
				l.once(event.DstIP, a)
			}
		case "logdata.USERNAME", "logdata.USER":
			user = f.Value
		case "utc_time":
			l.utcTime(f.Value)
		case "local_time":
			l.timeOf(f.Value)
		}
	}
	l.knownAs("opencanary", "Thinkst", "OpenCanary")
	l.add(event.EventCode, kind)
	if user != "" {
		l.once(event.User, user)
		l.happened("authentication", "login", "failure")
	} else {
		l.happened("intrusion_detection", "detect", "unknown")
	}
	l.atLeast(high)
	return true
}
