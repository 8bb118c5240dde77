package api

import (
	"context"
	"iter"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/asset"
	"github.com/kyra-mdr/kyra/internal/audit"
	"github.com/kyra-mdr/kyra/internal/connector"
	"github.com/kyra-mdr/kyra/internal/dsr"
	"github.com/kyra-mdr/kyra/internal/exposure"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/intel"
	"github.com/kyra-mdr/kyra/internal/notice"
	"github.com/kyra-mdr/kyra/internal/playbook"
	"github.com/kyra-mdr/kyra/internal/principal"
	"github.com/kyra-mdr/kyra/internal/risk"
	"github.com/kyra-mdr/kyra/internal/rule"
)

// exportable lists what can be exported: each with the filters and the items of its list.
func (a *api) exportable() []*exported {
	return []*exported{
		exporting("alerts", "/alerts", alertFilters(), func(ctx context.Context, c *call) iter.Seq2[alert.Alert, error] {
			return a.Alerts.StreamListed(ctx, c.Tenant.Number, alertFilter(c.query))
		}, alertOf),
		exporting("incidents", "/incidents", incidentFilters(), func(ctx context.Context, c *call) iter.Seq2[incident.Incident, error] {
			return a.Incidents.Stream(ctx, c.Tenant.Number, incidentFilter(c.query))
		}, incidentOf),
		exporting("assets", "/assets", assetFilters(), func(ctx context.Context, c *call) iter.Seq2[asset.Asset, error] {
			return a.Assets.Stream(ctx, c.Tenant.Number, assetFilter(c.query))
		}, assetOf),
		exporting("identities", "/identities", identityFilters(), func(ctx context.Context, c *call) iter.Seq2[principal.Principal, error] {
			return a.Principals.Stream(ctx, c.Tenant.Number, identityFilter(c.query))
		}, identityOf),
		exporting("detection-rules", "/siem/rules", ruleFilters(), func(ctx context.Context, c *call) iter.Seq2[rule.Rule, error] {
			return a.Rules.Stream(ctx, c.Tenant.Number, ruleFilter(c.query))
		}, ruleOf),
		exporting("risk-intelligence", "/risk-intelligence", riskFilters(), func(ctx context.Context, c *call) iter.Seq2[risk.Entity, error] {
			return a.Risk.Stream(ctx, c.Tenant.Number, riskFilter(c.query))
		}, riskOf),
		exporting("subdomains", "/subdomains", subdomainFilters(), func(ctx context.Context, c *call) iter.Seq2[exposure.Name, error] {
			return a.Exposure.Stream(ctx, c.Tenant.Number, subdomainFilter(c.query))
		}, subdomainOf),
		exporting("audit-logs", "/audit-logs", auditFilters(), func(ctx context.Context, c *call) iter.Seq2[audit.Stored, error] {
			return audit.Stream(ctx, a.DB, c.Tenant.Number, auditFilter(c.query))
		}, auditOf),
		exporting("threat-intel-iocs", "/threat-intel-iocs", indicatorFilters(), func(ctx context.Context, c *call) iter.Seq2[intel.Indicator, error] {
			return a.Indicators.Stream(ctx, c.Tenant.Number, indicatorFilter(c.query))
		}, a.indicatorOf),
		exporting("dsr", "/dsr", requestFilters(), func(ctx context.Context, c *call) iter.Seq2[dsr.Request, error] {
			return a.Requests.Stream(ctx, c.Tenant.Number, requestFilter(c.query))
		}, a.requestOf),
		exporting("connectors", "/connectors", connectorFilters, func(ctx context.Context, c *call) iter.Seq2[connector.Connector, error] {
			return a.Connectors.Stream(ctx, c.Tenant.Number, connectorFilter(c.query))
		}, connectorOf),
		exporting("notifications", "/notifications", notificationFilters, func(ctx context.Context, c *call) iter.Seq2[notice.Notice, error] {
			return a.Notices.StreamAll(ctx, reader(c), notificationFilter(c.query))
		}, notificationOf),
		exporting("compliance-controls", "/compliance/{framework}/controls", append(controlFilters(), param{name: "framework", doc: "Only of these frameworks; by default of all.", many: true}), a.streamControls, a.controlOf),
		exporting("playbooks", "/playbooks", playbookFilters(), func(ctx context.Context, c *call) iter.Seq2[playbook.Playbook, error] {
			return a.Playbooks.Stream(ctx, c.Tenant.Number, playbookFilter(c.query))
		}, playbookOf),
	}
}
