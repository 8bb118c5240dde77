package identity

import "slices"

// A Role is what a person may do in one tenant.
type Role string

// The roles.
const (
	Admin   Role = "Admin"   // everything
	Analyst Role = "Analyst" // everything but people, keys and settings of the tenant
	Viewer  Role = "Viewer"  // looks at what an Analyst works with
	Auditor Role = "Auditor" // compliance, reports and the audit log, to read
)

// Roles lists the roles by their written names, the mightiest first.
var Roles = []string{string(Admin), string(Analyst), string(Viewer), string(Auditor)}

// An Area is a part of the product that rights are given for.
type Area string

// The areas.
const (
	Alerts     Area = "alerts"
	Incidents  Area = "incidents"
	Events     Area = "events" // search, and what was kept of single events
	Rules      Area = "rules"
	Collectors Area = "collectors"
	Sources    Area = "sources" // log sources, masking, quarantine, integrity of data
	Assets     Area = "assets"
	Identities Area = "identities" // accounts that events name
	Exposure   Area = "exposure"
	Intel      Area = "intel"
	Risk       Area = "risk"
	Playbooks  Area = "playbooks"
	Connectors Area = "connectors"
	Webhooks   Area = "webhooks"
	Channels   Area = "channels" // where notifications go, and which
	Inbox      Area = "inbox"    // the caller's own notifications
	Privacy    Area = "privacy"  // requests of people about their data
	Compliance Area = "compliance"
	Reports    Area = "reports"
	Audit      Area = "audit"
	Jobs       Area = "jobs"
	Exports    Area = "exports"  // to fetch what an export that one began wrote
	Ingest     Area = "ingest"   // sending logs
	Keys       Area = "keys"     // API keys and ingest tokens
	Users      Area = "users"    // people, their roles, how they are provisioned
	Settings   Area = "settings" // of the tenant: retention, sign-in, single sign-on
	Tenant     Area = "tenant"   // its plan and what it uses of it
	Own        Area = "own"      // a person's own session, profile and means of signing in
	Provider   Area = "provider" // of the installation: tenants
)

// A Right is reading or changing one area: "alerts:read", "alerts:write".
type Right string

// Read is the right to look at the area.
func (a Area) Read() Right { return Right(a + ":read") }

// Write is the right to change it.
func (a Area) Write() Right { return Right(a + ":write") }

// The letters of the table: r reads, w changes as well, - neither.
type granted struct {
	area                            Area
	admin, analyst, viewer, auditor byte
	readOnly, readWrite             byte // API keys of that scope
}

// table is the one table of authorisation: who may do what in a tenant. What it does not
// grant is refused.
var table = []granted{
	{Alerts, 'w', 'w', 'r', '-', 'r', 'w'},
	{Incidents, 'w', 'w', 'r', '-', 'r', 'w'},
	{Events, 'w', 'w', 'r', '-', 'r', 'w'},
	{Rules, 'w', 'w', 'r', '-', 'r', 'w'},
	{Collectors, 'w', 'w', 'r', '-', 'r', 'w'},
	{Sources, 'w', 'w', 'r', '-', 'r', 'w'},
	{Assets, 'w', 'w', 'r', '-', 'r', 'w'},
	{Identities, 'w', 'w', 'r', '-', 'r', 'w'},
	{Exposure, 'w', 'w', 'r', '-', 'r', 'w'},
	{Intel, 'w', 'w', 'r', '-', 'r', 'w'},
	{Risk, 'w', 'w', 'r', '-', 'r', 'w'},
	{Playbooks, 'w', 'w', 'r', '-', 'r', 'w'},
	{Connectors, 'w', 'w', 'r', '-', 'r', 'w'},
	{Webhooks, 'w', 'w', 'r', '-', 'r', 'w'},
	{Channels, 'w', 'w', 'r', '-', 'r', 'w'},
	{Inbox, 'w', 'w', 'w', '-', 'w', 'w'}, // its own marks: nobody else sees them
	{Privacy, 'w', 'w', 'r', '-', 'r', 'w'},
	{Compliance, 'w', 'w', 'r', 'r', 'r', 'w'},
	{Reports, 'w', 'w', 'r', 'r', 'r', 'w'},
	{Audit, 'w', 'w', 'r', 'r', 'r', 'w'},
	{Jobs, 'w', 'w', 'r', '-', 'r', 'w'},
	{Exports, 'w', 'w', 'r', 'r', 'r', 'w'}, // without Jobs: one's own
	{Ingest, 'w', 'w', '-', '-', '-', 'w'},
	{Keys, 'w', '-', '-', '-', 'r', 'w'},
	{Users, 'w', '-', '-', '-', 'r', 'w'},
	{Settings, 'w', '-', '-', '-', 'r', 'w'},
	{Tenant, 'w', 'r', 'r', 'r', 'r', 'w'},
	{Own, 'w', 'w', 'w', 'w', '-', '-'},
	{Provider, '-', '-', '-', '-', '-', '-'}, // given by Caller.Provider alone
}

// Areas returns all areas in the order of the table.
func Areas() []Area {
	all := make([]Area, len(table))
	for i, g := range table {
		all[i] = g.area
	}
	return all
}

func rightsBy(letter func(*granted) byte) []Right {
	var all []Right
	for i := range table {
		switch g := &table[i]; letter(g) {
		case 'w':
			all = append(all, g.area.Read(), g.area.Write())
		case 'r':
			all = append(all, g.area.Read())
		}
	}
	return all
}

// Rights returns what the role may do, in the order of the table; nothing for a role that
// is none.
func (r Role) Rights() []Right {
	return rightsBy(func(g *granted) byte {
		switch r {
		case Admin:
			return g.admin
		case Analyst:
			return g.analyst
		case Viewer:
			return g.viewer
		case Auditor:
			return g.auditor
		}
		return '-'
	})
}

// Rights returns what a key of the scope may do, in the order of the table.
func (s Scope) Rights() []Right {
	return rightsBy(func(g *granted) byte {
		switch s {
		case ReadOnly:
			return g.readOnly
		case ReadWrite:
			return g.readWrite
		}
		return '-'
	})
}

// Rights returns what the caller may do.
func (c *Caller) Rights() []Right {
	if c.Weak {
		return []Right{Own.Read(), Own.Write()}
	}
	all := c.Scope.Rights()
	if c.UserID != "" {
		all = c.Role.Rights()
	}
	if c.Provider {
		all = append(all, Provider.Read(), Provider.Write())
	}
	return all
}

// Can tells whether the caller may use that right.
func (c *Caller) Can(r Right) bool { return slices.Contains(c.Rights(), r) }
