package parse

import "strings"

// The names by which records of known products are told. Each product needs all
// of its marks.
const (
	markEventID shape = 1 << iota
	markChannel
	markFlow // Suricata
	markEventType
	markZeekOrig
	markZeekResp
	markCloudName
	markCloudSource
	markCaddyLogger
	markCaddyRequest
	markAccessAddr
	markAccessRequest
	markTraefikClient
	markTraefikRequest
	markMethod
	markPath
	markStatus
	markFortiDevice
	markFortiLog
	markOktaType
	markOktaActor
	markAzureOperation
	markAzureTenant
	markAzureCategory
	markEntraUser
	markEntraSignIn
	markEntraActivity
	markEntraService
	markRiskType
	markRiskLevel
	markM365Operation
	markM365Workload
	markGCPMethod
	markGCPService
	markWorkspaceApp
	markWorkspaceActor
	markAction
	markActor
	markGitHubPlace
	markGitLabAuthor
	markGitLabEntity
	markKubernetesVerb
	markKubernetesTarget
	markFindingService
	markFindingType
	markHubProduct
	markHubAccount
	markOneLoginType
	markOneLoginUser
	markDuoFactor
	markDuoDevice
	markDuoTime
	markDuoObject
	markWorkspaceService
	markPostgresLevel
	markPostgresSession
	markMySQLRecord
	markDockerType
	markDockerActor
	markBitbucketAction
	markBitbucketCategory
	markCanaryType
	markCanaryNode
	markLoggerTime // of Grafana's and Caddy's loggers
)

// Bits are few: what one name tells alone has three of them that no product needs
// together.
const (
	markModSecurity = markDuoTime | markCanaryNode | markOneLoginType
	markGitLabCall  = markDuoFactor | markCanaryType | markOneLoginUser
)

const (
	shapeFortiGate = markFortiDevice | markFortiLog
	shapeRequest   = markMethod | markPath | markStatus
)

// A product is a kind of record that is told by its names. Its reader gets the
// record's own fields, which are in l.e.Fields from index from on; it may add to
// them. It returns false, with nothing but added fields, where the values show
// that the record is another's after all.
type product struct {
	marks shape
	read  func(l *line, from int) bool
}

// products: of several that fit, the first that takes the record.
func products() []product {
	return []product{
		{markEventID | markChannel, windowsEvent},
		{markCloudName | markCloudSource, cloudTrail},
		{markZeekOrig | markZeekResp, zeek},
		{markFlow | markEventType, suricata},
		{markOktaType | markOktaActor, okta},
		{markRiskType | markRiskLevel, entraRisk},
		{markAzureOperation | markAzureTenant | markAzureCategory, azure},
		{markEntraUser | markEntraSignIn, entraSignIn},
		{markEntraActivity | markEntraService, entraAudit},
		{markM365Operation | markM365Workload, m365},
		{markCloudName | markWorkspaceService, workspaceNamed},
		{markGCPMethod | markGCPService, gcpAudit},
		{markWorkspaceApp | markWorkspaceActor, workspace},
		{markKubernetesVerb | markKubernetesTarget, kubernetes},
		{markFindingService | markFindingType, guardDuty},
		{markHubProduct | markHubAccount, securityHub},
		{markAction | markActor | markGitHubPlace, gitHub},
		{markGitLabAuthor | markGitLabEntity, gitLab},
		{markGitLabCall | shapeRequest, gitLabRequest},
		{markModSecurity, modSecurityJSON},
		{markOneLoginType | markOneLoginUser, oneLogin},
		{markPostgresLevel | markPostgresSession, postgresJSON},
		{markMySQLRecord, mysqlJSON},
		{markDockerType | markDockerActor, dockerEvent},
		{markBitbucketAction | markBitbucketCategory, bitbucket},
		{markCanaryType | markCanaryNode, openCanary},
		{markDuoFactor | markDuoDevice, duoLogin},
		{markDuoTime | markDuoObject | markAction, duoAdmin},
		{markCaddyLogger | markCaddyRequest, caddy},
		{markCaddyLogger | markAction, authentik},
		{markCaddyLogger | markLoggerTime, grafanaJSON},
		{markCaddyLogger | markLoggerTime, caddyOwn},
		{markTraefikClient | markTraefikRequest, traefik},
		{markAccessAddr | markAccessRequest, nginxJSON},
		{shapeRequest, webRequest},
	}
}

// readProduct lets the reader of a known product take the record.
func (l *line) readProduct(s shape, from int) bool {
	if s == 0 {
		return false
	}
	outer := l.reading
	defer func() { l.reading = outer }()
	l.reading = len(l.e.Fields)
	for i := range l.p.products {
		p := &l.p.products[i]
		if s&p.marks != p.marks {
			continue
		}
		before := len(l.e.Fields)
		if p.read(l, from) {
			return true
		}
		l.e.Fields = l.e.Fields[:before]
	}
	return false
}

// shapeOf returns the marks of a field name.
func shapeOf(name string) shape {
	if s := markOf(name); s != 0 {
		return s
	}
	if inner := outOfEnvelope(name); inner != name {
		return markOf(inner)
	}
	return 0
}

func markOf(name string) shape {
	switch name {
	case "EventID", "winlog.event_id", "Event.System.EventID", "Event.System.EventID.#text", "data.win.system.eventID":
		return markEventID
	case "Channel", "SourceName", "ProviderName", "Provider_Name", "winlog.channel", "winlog.provider_name",
		"Event.System.Channel", "Event.System.Provider.#attributes.Name", "Event.System.Provider.Name", "data.win.system.channel":
		return markChannel
	case "flow_id", "in_iface", "dest_ip", "stats.uptime":
		return markFlow
	case "event_type":
		return markEventType
	case "id.orig_h", "id_orig_h":
		return markZeekOrig
	case "id.resp_h", "id_resp_h":
		return markZeekResp
	case "eventName":
		return markCloudName
	case "eventSource":
		return markCloudSource
	case "logger":
		return markCaddyLogger
	case "transaction.client_ip", "transaction.remote_address":
		return markModSecurity
	case "meta.caller_id":
		return markGitLabCall
	case "t", "ts":
		return markLoggerTime
	case "request.remote_ip", "request.remote_addr":
		return markCaddyRequest
	case "remote_addr":
		return markAccessAddr
	case "request", "request_uri":
		return markAccessRequest
	case "ClientHost":
		return markTraefikClient
	case "RequestPath":
		return markTraefikRequest
	case "method":
		return markMethod
	case "path", "uri", "url":
		return markPath
	case "status":
		return markStatus
	case "devid", "devname":
		return markFortiDevice
	case "logid":
		return markFortiLog
	case "action":
		return markAction
	}
	return cloudMarkOf(name)
}

// cloudMarkOf knows the names of cloud services, identity providers and hosted
// applications.
func cloudMarkOf(name string) shape {
	switch name {
	case "eventType", "eventtype":
		return markOktaType
	case "actor.alternateId", "actor.id":
		return markOktaActor
	case "operationName", "operationName.value", "OperationName", "OperationNameValue":
		return markAzureOperation
	case "resourceId", "ResourceId", "_ResourceId", "properties.log", "tenantId", "TenantId", "AADTenantId", "subscriptionId", "SubscriptionId":
		return markAzureTenant
	case "category", "category.value", "Category", "CategoryValue":
		return markAzureCategory
	case "userPrincipalName", "UserPrincipalName":
		return markEntraUser
	case "clientAppUsed", "ClientAppUsed", "conditionalAccessStatus", "ConditionalAccessStatus", "signInEventTypes":
		return markEntraSignIn
	case "activityDisplayName", "ActivityDisplayName":
		return markEntraActivity
	case "loggedByService", "LoggedByService":
		return markEntraService
	case "riskEventType", "RiskEventType", "properties.riskEventType":
		return markRiskType
	case "riskLevel", "RiskLevel", "properties.riskLevel", "riskState", "RiskState", "properties.riskState":
		return markRiskLevel
	case "Operation", "operation":
		return markM365Operation
	case "Workload", "workload":
		return markM365Workload
	case "protoPayload.methodName":
		return markGCPMethod
	case "protoPayload.serviceName", "protoPayload.resourceName", "protoPayload.authenticationInfo.principalEmail":
		return markGCPService
	case "id.applicationName":
		return markWorkspaceApp
	case "actor.email", "actor.profileId", "actor.callerType", "actor.key", "kind", "events.name", "events.type":
		return markWorkspaceActor
	case "eventService":
		return markWorkspaceService
	case "actor":
		return markActor
	case "org", "org_id", "business", "repo", "_document_id", "public_repo":
		return markGitHubPlace
	case "author_id", "author_name":
		return markGitLabAuthor
	case "entity_id", "entity_path", "entity_type":
		return markGitLabEntity
	case "verb":
		return markKubernetesVerb
	case "objectRef.resource", "requestURI", "auditID":
		return markKubernetesTarget
	case "service.detectorId", "service.serviceName":
		return markFindingService
	case "schemaVersion":
		return markFindingType
	case "ProductArn":
		return markHubProduct
	case "AwsAccountId":
		return markHubAccount
	case "event_type_id":
		return markOneLoginType
	case "actor_user_id", "actor_user_name", "user_id", "user_name", "account_id":
		return markOneLoginUser
	case "factor":
		return markDuoFactor
	case "access_device.ip", "auth_device.name", "txid":
		return markDuoDevice
	case "isotimestamp", "eventtype.administrator":
		return markDuoTime
	case "object", "description":
		return markDuoObject
	case "error_severity":
		return markPostgresLevel
	case "backend_type", "session_id", "line_num":
		return markPostgresSession
	case "audit_record.name":
		return markMySQLRecord
	case "Type":
		return markDockerType
	case "Actor.ID":
		return markDockerActor
	case "auditType.action":
		return markBitbucketAction
	case "auditType.category":
		return markBitbucketCategory
	case "logtype":
		return markCanaryType
	case "node_id":
		return markCanaryNode
	}
	return 0
}

// outOfEnvelope returns the name that a field has without the object that a service
// put around another's record: Amazon EventBridge, Google Pub/Sub.
func outOfEnvelope(name string) string {
	if name != "" && name[0] == 'd' {
		return outOfDetail(name)
	}
	return name
}

func outOfDetail(name string) string {
	if rest, ok := strings.CutPrefix(name, "detail."); ok && rest != "" {
		return rest
	}
	if rest, ok := strings.CutPrefix(name, "data."); ok && rest != "" {
		return rest
	}
	return name
}
