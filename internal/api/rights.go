package api

import (
	"net/http"

	"github.com/kyra-mdr/kyra/internal/identity"
)

// areas says which area an operation belongs to, by its tag. Reading needs the area's
// read right, changing its write right; identity says who has which. An operation whose
// tag is not here may be called by nobody.
var areas = map[string]identity.Area{
	"Alerts":                identity.Alerts,
	"Incidents":             identity.Incidents,
	"Search events":         identity.Events,
	"Detection rules":       identity.Rules,
	"Rule workbench":        identity.Rules,
	"Value lists":           identity.Rules,
	"Collectors":            identity.Collectors,
	"Log sources":           identity.Sources,
	"Data integrity":        identity.Sources,
	"Privacy":               identity.Sources,
	"Assets":                identity.Assets,
	"Identities":            identity.Identities,
	"Attack surface":        identity.Exposure,
	"Threat intelligence":   identity.Intel,
	"Risk":                  identity.Risk,
	"Playbooks":             identity.Playbooks,
	"Connectors":            identity.Connectors,
	"Webhooks":              identity.Webhooks,
	"Notifications":         identity.Channels,
	"Data subject requests": identity.Privacy,
	"Compliance":            identity.Compliance,
	"Evidence":              identity.Compliance,
	"Reports":               identity.Reports,
	"Audit log":             identity.Audit,
	"Changes":               identity.Alerts,
	"Jobs":                  identity.Jobs,
	"Export":                identity.Exports, // files that were made before; see exportAreas
	"Ingest":                identity.Keys,    // its tokens
	"API keys":              identity.Keys,
	"Users":                 identity.Users,
	"Provisioning":          identity.Users,
	"Session":               identity.Own,
	"Saved views":           identity.Own,
	"Tenant":                identity.Tenant,
	"Settings":              identity.Settings,
	"Single sign-on":        identity.Settings,
	"Provider":              identity.Provider,
}

// exceptions are the operations that belong elsewhere than their tag says.
var exceptions = map[string]identity.Right{
	"listNotifications":          identity.Inbox.Read(),
	"countUnreadNotifications":   identity.Inbox.Read(),
	"getNotificationPreferences": identity.Inbox.Read(),
	"getNotification":            identity.Inbox.Read(),
	"streamNotifications":        identity.Inbox.Read(),
	"readAllNotifications":       identity.Inbox.Write(),
	"setNotificationPreferences": identity.Inbox.Write(),
	"markNotification":           identity.Inbox.Write(),
	"exportComplianceControls":   identity.Compliance.Read(),
	"getJob":                     identity.Exports.Read(), // see job
}

// exportAreas says what the caller must be allowed to read to export a resource.
var exportAreas = map[string]identity.Area{
	"alerts":              identity.Alerts,
	"incidents":           identity.Incidents,
	"detection-rules":     identity.Rules,
	"assets":              identity.Assets,
	"audit-logs":          identity.Audit,
	"identities":          identity.Identities,
	"compliance-controls": identity.Compliance,
	"connectors":          identity.Connectors,
	"playbooks":           identity.Playbooks,
	"notifications":       identity.Inbox,
	"subdomains":          identity.Exposure,
	"threat-intel-iocs":   identity.Intel,
	"risk-intelligence":   identity.Risk,
	"dsr":                 identity.Privacy,
}

// right is what a caller needs for the operation; "" where nobody may call it.
func (o *operation) right() identity.Right {
	if r, ok := exceptions[o.id]; ok {
		return r
	}
	area := areas[o.tag]
	if resource, ok := cutExport(o.id); ok {
		area = exportAreas[resource]
	}
	switch {
	case area == "":
		return ""
	case o.changes():
		return area.Write()
	}
	return area.Read()
}

// cutExport returns the resource that an export is of.
func cutExport(id string) (resource string, ok bool) {
	const prefix = "export-"
	if len(id) <= len(prefix) || id[:len(prefix)] != prefix {
		return "", false
	}
	return id[len(prefix):], true
}

// refused is the answer to a caller who may not use the operation, nil for one who may.
func refused(c *identity.Caller, right identity.Right) *problem {
	switch {
	case right != "" && c.Can(right):
		return nil
	case c.UserID == "" && (right == identity.Own.Read() || right == identity.Own.Write()):
		return &problem{Err: "Forbidden", Message: "This call is for people who have signed in, not for API keys", Status: http.StatusForbidden}
	case c.Weak:
		return &problem{Err: "Forbidden", Message: "This tenant asks for a second factor: set one up first", Status: http.StatusForbidden}
	case c.UserID != "":
		return &problem{Err: "Forbidden", Message: "The role " + string(c.Role) + " does not allow this", Status: http.StatusForbidden}
	}
	return forbidden()
}
