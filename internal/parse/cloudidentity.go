package parse

import (
	"github.com/kyra-mdr/kyra/internal/event"
)

func oneLoginParser() content {
	return productContent(Info{
		Name:    "onelogin",
		Sources: []string{"onelogin"},
		About:   "OneLogin: events of the Events API and of its webhooks",
		Samples: []Sample{
			{`{"event_type_id":6,"event_timestamp":"2026-03-04 05:06:07 UTC","account_id":1,"user_id":77,"user_name":"Bob","ipaddr":"203.0.113.9","actor_user_name":"Bob","error_description":"Wrong password"}`, []string{
				"source=onelogin", "vendor=OneLogin", "product=OneLogin", "category=authentication", "action=login", "outcome=failure", "reason=Wrong password", "user=Bob",
				"src_ip=203.0.113.9", "event_code=6", "severity=medium", "event_type_id=6", "time_quality=exact",
			}},
			{`{"event_type_id":"17","actor_user_id":1,"actor_user_name":"Alice","user_id":77,"user_name":"Bob"}`, []string{
				"source=onelogin", "category=iam", "action=account_delete", "user=Alice", "target_user=Bob", "outcome=success", "event_code=17",
			}},
		},
	})
}

func oneLogin(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var kind, actor, user, failure string
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "event_type_id":
			kind = v
		case "actor_user_name":
			actor = v
		case "user_name":
			user = v
		case "ipaddr":
			l.client(v)
		case "error_description", "notes":
			failure = v
		case "event_timestamp", "created_at":
			l.timeOf(v)
		}
	}
	if !allDigits(kind) {
		return false
	}
	l.knownAs("onelogin", "OneLogin", "OneLogin")
	l.add(event.EventCode, kind)
	category, action, outcome := "iam", "", "success"
	switch kind {
	case "5", "8":
		category, action = "authentication", "login"
	case "6", "9":
		category, action, outcome = "authentication", "login", "failure"
	case "7":
		category, action = "authentication", "logout"
	case "11":
		action = "password_change"
	case "13":
		action = "account_create"
	case "14":
		action = "account_change"
	case "17":
		action = "account_delete"
	case "19", "21":
		action = "account_lock"
	}
	if category == "authentication" {
		if user == "" {
			user = actor
		}
		l.once(event.User, user)
	} else {
		if actor != "" {
			l.put(event.User, actor)
		}
		if user != actor {
			l.add(event.TargetUser, user)
		}
	}
	l.happened(category, action, outcome)
	if outcome == "failure" {
		l.add(event.Reason, failure)
	}
	return true
}

func duoParser() content {
	return productContent(Info{
		Name:    "cisco_duo",
		Sources: []string{"cisco_duo"},
		About:   "Cisco Duo: authentication and administrator logs of the Admin API",
		Samples: []Sample{
			{`{"access_device":{"ip":"203.0.113.9","hostname":"ws7"},"application":{"name":"VPN"},"auth_device":{"name":"x"},"event_type":"authentication","factor":"duo_push","reason":"user_marked_fraud","result":"fraud","timestamp":1772600767,"txid":"t1","user":{"name":"bob","key":"k"}}`, []string{
				"source=cisco_duo", "dataset=authentication", "vendor=Cisco", "product=Duo", "category=authentication", "action=login", "outcome=failure", "reason=user_marked_fraud", "auth_method=mfa",
				"user=bob", "src_ip=203.0.113.9", "severity=medium", "event_type=authentication", "factor=duo_push", "time_quality=exact",
			}},
			{`{"action":"bypass_create","description":"{\"count\":1}","isotimestamp":"2026-03-04T05:06:07+00:00","object":"bob@example.com","timestamp":1772600767,"username":"Alice"}`, []string{
				"source=cisco_duo", "dataset=administrator", "category=iam", "action=bypass_create", "user=Alice", "target_user=bob@example.com", "outcome=success", "event_code=bypass_create",
			}},
		},
	})
}

func duoLogin(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	result := ""
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "result":
			result = v
		case "user.name", "username":
			l.once(event.User, v)
		case "user.key":
			l.once(event.UserID, v)
		case "access_device.ip":
			l.client(v)
		case "access_device.hostname":
			l.once(event.SrcHost, v)
		case "isotimestamp":
			l.timeOf(v)
		}
	}
	if result == "" {
		return false
	}
	l.knownAs("cisco_duo", "Cisco", "Duo")
	l.dataset = "authentication"
	l.once(event.AuthMethod, "mfa")
	l.happened("authentication", "login", outcomeWord(l.p.lower(result)))
	return true
}

func duoAdmin(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var action, object, description string
	for i := range own {
		v := own[i].Value
		switch own[i].Name {
		case "action":
			action = v
		case "object":
			object = v
		case "description":
			description = v
		case "isotimestamp":
			l.timeOf(v)
		}
	}
	l.knownAs("cisco_duo", "Cisco", "Duo")
	l.dataset = "administrator"
	l.titled(description)
	l.add(event.EventCode, action)
	l.add(event.TargetUser, object)
	category, outcome := "configuration", "success"
	switch action {
	case "admin_login":
		category, action = "authentication", "login"
	case "admin_login_error":
		category, action, outcome = "authentication", "login", "failure"
	case "user_create", "admin_create":
		category, action = "iam", "account_create"
	case "user_delete", "admin_delete", "user_pending_delete":
		category, action = "iam", "account_delete"
	case "user_update", "admin_update", "bypass_create", "bypass_view", "bypass_delete", "group_create", "group_update", "group_delete", "phone_create", "phone_associate":
		category = "iam"
	}
	l.happened(category, action, outcome)
	return true
}
