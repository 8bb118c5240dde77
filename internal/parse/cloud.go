package parse

import (
	"slices"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

// productContent makes the reader of one product's JSON records a parser that a
// sender's hint can name. Without a hint its records are told by their names.
func productContent(i Info) content {
	return content{Info: i, strict: true, parse: func(l *line) bool {
		if !parseJSON(l) {
			return false
		}
		if l.source == "json" && l.failed == "" {
			l.source = i.Name // the sender's word for what its names do not show
			if slices.Contains(i.Sources, l.r.Source) {
				l.source = l.r.Source
			}
		}
		return true
	}}
}

// What the readers of cloud services, identity providers and hosted applications
// share.

// knownAs says what product a record is of.
func (l *line) knownAs(source, vendor, product string) {
	l.source = source
	l.once(event.Vendor, vendor)
	l.once(event.Product, product)
}

// titled sets the event's text where the product has one.
func (l *line) titled(message string) {
	if message != "" {
		l.say(message)
	}
}

// once adds a field unless the record has one of that name.
func (l *line) once(name, value string) {
	if value == "" || value == "-" {
		return
	}
	if l.indexOf(name) < 0 {
		l.e.Add(name, value)
	}
}

// client adds the address that a request came from: an address, perhaps with its
// port, a list of which the first is the client, or a name.
func (l *line) client(value string) {
	if value == "" {
		return
	}
	if l.indexOf(event.SrcIP) >= 0 {
		return
	}
	value, _, _ = strings.Cut(value, ",")
	addr, port := addressPort(strings.TrimSpace(value))
	before := len(l.e.Fields)
	l.addPeer(event.SrcIP, event.SrcHost, addr)
	if len(l.e.Fields) > before {
		l.addInt(event.SrcPort, port)
	}
}

// timeOf takes the time that a product's own field tells where no field that all
// products share did.
func (l *line) timeOf(value string) {
	if l.hasTime {
		return
	}
	if t, quality, ok := l.timeText(value); ok {
		l.setTime(t, quality)
	}
}

// utcTime takes a time that is in UTC by the product's own word where it names no
// zone.
func (l *line) utcTime(value string) {
	zone := l.r.Zone
	l.r.Zone = nil
	if t, quality, ok := l.timeText(value); ok {
		if quality == qualityZone {
			quality = qualityExact
		}
		l.setTime(t, quality)
	}
	l.r.Zone = zone
}

// happened says what a record is about; an account that could not log in is
// graver than other things that fail.
func (l *line) happened(category, action, outcome string) {
	l.putThree(category, action, outcome)
	if outcome != "failure" {
		return
	}
	if action == "login" {
		l.atLeast(medium)
	} else {
		l.atLeast(low)
	}
}

// outcomeWord puts a service's word for how a request ended into ours.
func outcomeWord(word string) string {
	switch word {
	case "success", "Success", "SUCCESS", "succeeded", "Succeeded", "Success.", "True", "true", "0", "allow", "ALLOW", "Allow", "Accept", "Accepted",
		"PartiallySucceeded", "ok", "OK":
		return "success"
	case "failure", "Failure", "FAILURE", "failed", "Failed", "False", "false", "deny", "DENY", "Deny", "denied", "Denied", "error", "Error", "ERROR",
		"fraud", "FRAUD", "timeout":
		return "failure"
	}
	return "unknown"
}

// directoryAction puts the usual changes of accounts and groups, as directories
// name them, into our words; category is "" where op is none of them.
func directoryAction(op string) (category, action string) {
	switch op {
	case "Add user", "Add user.", "Invite external user", "Create user", "CREATE_USER", "user.lifecycle.create":
		return "iam", "account_create"
	case "Delete user", "Delete user.", "Hard Delete user", "DELETE_USER", "user.lifecycle.delete.completed", "user.lifecycle.delete.initiated":
		return "iam", "account_delete"
	case "Disable account", "Disable account.", "SUSPEND_USER", "user.lifecycle.suspend", "user.lifecycle.deactivate", "user.account.lock":
		return "iam", "account_lock"
	case "Enable account", "Enable account.", "UNSUSPEND_USER", "user.lifecycle.unsuspend", "user.lifecycle.activate", "user.lifecycle.reactivate",
		"user.account.unlock", "user.account.unlock_by_admin":
		return "iam", "account_unlock"
	case "Update user", "Update user.", "user.account.update_profile":
		return "iam", "account_change"
	case "Reset user password", "Reset user password.", "Change user password", "Change user password.", "Reset password (by admin)",
		"Reset password (self-service)", "Change password (self-service)", "CHANGE_PASSWORD", "user.account.reset_password", "user.account.update_password",
		"password_edit":
		return "iam", "password_change"
	case "Add member to group", "Add member to group.", "ADD_GROUP_MEMBER", "group.user_membership.add", "Add member to role", "Add member to role.",
		"Add eligible member to role", "ASSIGN_ROLE", "GRANT_ADMIN_PRIVILEGE", "user.account.privilege.grant", "group.privilege.grant",
		"org.add_member", "team.add_member":
		return "iam", "group_add"
	case "Remove member from group", "Remove member from group.", "REMOVE_GROUP_MEMBER", "group.user_membership.remove", "Remove member from role",
		"Remove member from role.", "UNASSIGN_ROLE", "REVOKE_ADMIN_PRIVILEGE", "user.account.privilege.revoke", "group.privilege.revoke",
		"org.remove_member", "team.remove_member":
		return "iam", "group_remove"
	}
	return "", ""
}
