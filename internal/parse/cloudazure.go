package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func azureParser() content {
	return productContent(Info{
		Name:    "azure",
		Sources: []string{"azure", "azure_signinlogs", "azure_auditlogs", "azure_activitylogs", "azure_riskdetection", "azure_pim", "azure_resourcelogs"},
		About:   "Azure and Entra ID: sign-in, audit, activity, risk and resource logs as diagnostic settings, Log Analytics and Microsoft Graph write them",
		Samples: []Sample{
			{`{"time":"2026-03-04T05:06:07.1234567Z","resourceId":"/tenants/t1/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"SignInLogs","tenantId":"t1","resultType":"50126","resultDescription":"Invalid username or password","callerIpAddress":"203.0.113.9","properties":{"userId":"u1","userPrincipalName":"bob@example.com","ipAddress":"203.0.113.9","authenticationRequirement":"singleFactorAuthentication","userAgent":"python-requests/2.28.0","appDisplayName":"Azure Portal","status":{"errorCode":50126}}}`, []string{
				"source=azure_signinlogs", "dataset=SignInLogs", "vendor=Microsoft", "product=Entra ID", "category=authentication", "action=login", "outcome=failure", "reason=bad password",
				"user=bob@example.com", "user_id=u1", "src_ip=203.0.113.9", "user_agent=python-requests/2.28.0", "event_code=50126", "severity=medium",
				"fields.category=SignInLogs", "properties.userPrincipalName=bob@example.com", "resultType=50126", "time_quality=exact",
			}},
			{`{"time":"2026-03-04T05:06:07Z","resourceId":"/tenants/t1/providers/Microsoft.aadiam","operationName":"Add member to role","category":"AuditLogs","tenantId":"t1","resultSignature":"None","callerIpAddress":"198.51.100.7","properties":{"result":"success","activityDisplayName":"Add member to role","category":"RoleManagement","loggedByService":"Core Directory","initiatedBy":{"user":{"id":"a1","userPrincipalName":"admin@example.com","ipAddress":"198.51.100.7"}},"targetResources":[{"id":"e1","type":"User","userPrincipalName":"eve@example.com","modifiedProperties":[{"displayName":"Role.DisplayName","newValue":"\"Global Administrator\""}]}]}}`, []string{
				"source=azure_auditlogs", "dataset=AuditLogs", "category=iam", "action=group_add", "outcome=success", "user=admin@example.com", "target_user=eve@example.com", "src_ip=198.51.100.7",
				"event_code=Add member to role", "operationName=Add member to role", "properties.loggedByService=Core Directory",
			}},
			{`{"time":"2026-03-04T05:06:07Z","resourceId":"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COMPUTE/VIRTUALMACHINES/VM1","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE","category":"Administrative","resultType":"Failure","callerIpAddress":"203.0.113.75","identity":{"claims":{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"ops@example.com"}},"level":"Error","location":"global","tenantId":"t1"}`, []string{
				"source=azure_activitylogs", "product=Azure", "dataset=Administrative", "cloud_provider=azure", "cloud_account=S1", "cloud_service=MICROSOFT.COMPUTE", "category=configuration",
				"action=MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE", "outcome=failure", "user=ops@example.com", "src_ip=203.0.113.75", "severity=medium",
			}},
			{`{"createdDateTime":"2026-03-04T05:06:07Z","userPrincipalName":"bob@example.com","userId":"u1","appDisplayName":"Graph","ipAddress":"203.0.113.9","clientAppUsed":"Browser","conditionalAccessStatus":"success","isInteractive":true,"status":{"errorCode":0}}`, []string{
				"source=azure_signinlogs", "category=authentication", "action=login", "outcome=success", "user=bob@example.com", "src_ip=203.0.113.9", "time_quality=exact",
			}},
			{`{"id":"x","activityDateTime":"2026-03-04T05:06:07Z","activityDisplayName":"Delete user","category":"UserManagement","loggedByService":"Core Directory","result":"success","initiatedBy":{"user":{"userPrincipalName":"admin@example.com"}},"targetResources":[{"type":"User","userPrincipalName":"bob@example.com"}]}`, []string{
				"source=azure_auditlogs", "category=iam", "action=account_delete", "outcome=success", "user=admin@example.com", "target_user=bob@example.com", "fields.category=UserManagement",
			}},
			{`{"TimeGenerated":"2026-03-04T05:06:07Z","Type":"SigninLogs","Category":"SignInLogs","OperationName":"Sign-in activity","TenantId":"t1","ResultType":"0","UserPrincipalName":"bob@example.com","Location":"DE","IPAddress":"203.0.113.9","AuthenticationRequirement":"multiFactorAuthentication","ClientAppUsed":"Browser"}`, []string{
				"source=azure_signinlogs", "category=authentication", "action=login", "outcome=success", "auth_method=mfa", "user=bob@example.com", "src_ip=203.0.113.9", "ResultType=0", "cloud_region=", "Location=DE",
			}},
			{`{"id":"r1","riskEventType":"anonymizedIPAddress","riskLevel":"high","riskState":"atRisk","detectedDateTime":"2026-03-04T05:06:07Z","ipAddress":"203.0.113.9","userPrincipalName":"bob@example.com","activity":"signin"}`, []string{
				"source=azure_riskdetection", "category=intrusion_detection", "rule_name=anonymizedIPAddress", "user=bob@example.com", "src_ip=203.0.113.9", "severity=high",
				"riskEventType=anonymizedIPAddress",
			}},
			{`{"time":"2026-03-04T05:06:07Z","category":"kube-audit","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","resourceId":"/SUBSCRIPTIONS/S1/X","properties":{"log":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"verb\":\"create\",\"user\":{\"username\":\"bob\"},\"sourceIPs\":[\"10.0.0.1\"],\"objectRef\":{\"resource\":\"pods\",\"namespace\":\"default\"},\"responseStatus\":{\"code\":201}}"}}`, []string{
				"source=kubernetes_audit", "action=create", "user=bob", "src_ip=10.0.0.1", "objectRef.resource=pods", "outcome=success", "fields.category=kube-audit",
			}},
		},
	})
}

// azureFields are the fields that Azure's logs share, whatever wrote them.
type azureFields struct {
	operation, category, kind, resource, result, code, description string
	reason, requirement, riskLevel, inner, target, region          string
}

func (a *azureFields) take(l *line, f *event.Field) {
	v := f.Value
	switch outOfEnvelope(f.Name) {
	case "operationName", "operationName.value", "OperationName", "OperationNameValue", "activityDisplayName", "ActivityDisplayName", "properties.activityDisplayName":
		if a.operation == "" {
			a.operation = v
		}
	case "category", "category.value", "Category", "CategoryValue", "fields.category":
		a.category = v
	case "Type":
		a.kind = v
	case "resourceId", "ResourceId", "_ResourceId":
		a.resource = v
	case "resultType", "ResultType", "result", "Result", "properties.result", "ActivityStatusValue", "status.value":
		if a.result == "" {
			a.result = v
		}
	case "status.errorCode", "properties.status.errorCode", "Status.errorCode":
		a.code = v
	case "resultDescription", "ResultDescription":
		a.description = v
	case "status.failureReason", "properties.status.failureReason", "Status.failureReason", "resultReason", "properties.resultReason", "ResultReason":
		a.reason = v
	case "properties.authenticationRequirement", "authenticationRequirement", "AuthenticationRequirement":
		a.requirement = v
	case "properties.riskLevelDuringSignIn", "riskLevelDuringSignIn", "RiskLevelDuringSignIn":
		a.riskLevel = v
	case "properties.log":
		a.inner = v
	case "callerIpAddress", "CallerIpAddress", "CallerIPAddress", "properties.ipAddress", "IPAddress", "properties.initiatedBy.user.ipAddress",
		"initiatedBy.user.ipAddress", "InitiatedBy.user.ipAddress", "httpRequest.clientIpAddress":
		l.client(v)
	case "properties.userPrincipalName", "userPrincipalName", "UserPrincipalName", "properties.initiatedBy.user.userPrincipalName",
		"initiatedBy.user.userPrincipalName", "InitiatedBy.user.userPrincipalName", "caller", "Caller",
		"identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":
		l.once(event.User, v)
	case "properties.userId", "userId", "UserId", "properties.initiatedBy.user.id", "initiatedBy.user.id", "InitiatedBy.user.id":
		l.once(event.UserID, v)
	case "properties.targetResources.userPrincipalName", "targetResources.userPrincipalName", "TargetResources.userPrincipalName":
		if a.target == "" {
			a.target = v
		}
	case "properties.userAgent", "UserAgent":
		l.once(event.UserAgent, v)
	case "correlationId", "CorrelationId":
		l.once(event.SessionID, v)
	case "location", "Location":
		a.region = v
	case "createdDateTime", "activityDateTime", "detectedDateTime", "eventTimestamp", "ActivityDateTime", "CreatedDateTime", "EventSubmissionTimestamp":
		l.timeOf(v)
	}
}

func readAzure(l *line, from int) azureFields {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var a azureFields
	for i := range own {
		a.take(l, &own[i])
	}
	return a
}

// azure reads what diagnostic settings and Log Analytics write.
func azure(l *line, from int) bool {
	a := readAzure(l, from)
	switch a.category {
	case "SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs", "ADFSSignInLogs", "MicrosoftServicePrincipalSignInLogs":
		a.signIn(l)
	case "AuditLogs", "DirectoryManagement", "UserManagement", "GroupManagement", "RoleManagement", "ApplicationManagement", "PolicyManagement", "DeviceManagement", "KeyManagement", "AuthenticationManagement":
		a.audit(l)
	case "UserRiskEvents", "RiskyUsers", "ServicePrincipalRiskEvents", "RiskyServicePrincipals":
		a.risk(l, "")
	case "kube-audit", "kube-audit-admin":
		if a.inner == "" || !l.innerObject(a.inner) {
			a.resourceLog(l)
		}
	case "Administrative", "Policy", "Security", "ServiceHealth", "ResourceHealth", "Alert", "Autoscale", "Recommendation":
		if strings.Contains(a.resource, "icrosoft.aadiam") {
			a.audit(l)
		} else {
			a.activity(l)
		}
	default:
		switch {
		case strings.HasPrefix(a.category, "AdvancedHunting-"):
			a.defender(l)
		case a.kind == "SigninLogs" || strings.HasSuffix(a.kind, "SignInLogs") || a.operation == "Sign-in activity":
			a.signIn(l)
		case a.kind == "AuditLogs" || strings.Contains(a.resource, "icrosoft.aadiam"):
			a.audit(l)
		case a.kind == "AzureActivity":
			a.activity(l)
		case a.operation == "" || a.resource == "" && a.kind == "":
			return false
		default:
			a.resourceLog(l)
		}
	}
	return true
}

func entraSignIn(l *line, from int) bool {
	a := readAzure(l, from)
	a.signIn(l)
	return true
}

func entraAudit(l *line, from int) bool {
	a := readAzure(l, from)
	a.audit(l)
	return true
}

// entraRisk reads risk detections, which Privileged Identity Management's alerts
// look like.
func entraRisk(l *line, from int) bool {
	a := readAzure(l, from)
	kind := ""
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "riskEventType", "RiskEventType", "properties.riskEventType":
			kind = f.Value
		case "riskLevel", "RiskLevel", "properties.riskLevel":
			a.riskLevel = f.Value
		}
	}
	a.risk(l, kind)
	return true
}

func (a *azureFields) signIn(l *line) {
	l.knownAs("azure_signinlogs", "Microsoft", "Entra ID")
	l.dataset = a.category
	if l.dataset == "" {
		l.dataset = "SignInLogs"
	}
	code := a.code
	if code == "" {
		code = a.result
	}
	l.add(event.EventCode, code)
	outcome, reason := signInOutcome(code)
	l.happened("authentication", "login", outcome)
	if outcome == "success" && a.requirement == "multiFactorAuthentication" {
		l.once(event.AuthMethod, "mfa")
	}
	if outcome != "success" {
		l.once(event.Reason, cmp.Or(reason, a.description, a.reason))
	}
	l.atRisk(a.riskLevel)
}

// signInOutcome tells what Entra's code for a sign-in means. An interrupted
// sign-in, at which the user was asked for more, is neither success nor failure.
func signInOutcome(code string) (outcome, reason string) {
	switch code {
	case "0", "Success", "success", "":
		return "success", ""
	case "50126":
		return "failure", "bad password"
	case "50034", "50020":
		return "failure", "invalid user"
	case "50053":
		return "failure", "account locked"
	case "50057":
		return "failure", "account disabled"
	case "50055":
		return "failure", "password expired"
	case "53000", "53001", "53002", "53003", "53004":
		return "failure", "policy"
	case "50074", "50076", "50079", "50072", "50058", "50140", "50097", "50129", "50125", "50127", "50144", "65001", "16000", "16001", "16003", "50199", "50203":
		return "unknown", ""
	}
	return "failure", ""
}

func (l *line) atRisk(level string) {
	switch level {
	case "high":
		l.atLeast(high)
	case "medium":
		l.atLeast(medium)
	case "low":
		l.atLeast(low)
	}
}

func (a *azureFields) audit(l *line) {
	l.knownAs("azure_auditlogs", "Microsoft", "Entra ID")
	l.dataset = "AuditLogs"
	l.add(event.EventCode, a.operation)
	l.add(event.TargetUser, a.target)
	l.titled(a.operation)
	category, action := directoryAction(a.operation)
	if category == "" {
		category, action = "configuration", a.operation
		switch a.category {
		case "UserManagement", "GroupManagement", "RoleManagement":
			category = "iam"
		}
	}
	outcome := "success"
	if a.result != "" {
		outcome = outcomeWord(a.result)
	}
	l.happened(category, action, outcome)
	if outcome == "failure" {
		l.once(event.Reason, cmp.Or(a.reason, a.description))
	}
}

func (a *azureFields) activity(l *line) {
	l.knownAs("azure_activitylogs", "Microsoft", "Azure")
	l.dataset = a.category
	a.place(l)
	l.add(event.EventCode, a.operation)
	outcome := outcomeWord(a.result)
	l.happened("configuration", a.operation, outcome)
	if outcome == "failure" {
		l.once(event.Reason, a.description)
	}
}

// resourceLog takes the log of one Azure resource, of which there are very many
// kinds.
func (a *azureFields) resourceLog(l *line) {
	l.knownAs("azure_resourcelogs", "Microsoft", "Azure")
	l.dataset = a.category
	a.place(l)
	l.add(event.EventCode, a.operation)
	if a.operation != "" {
		l.put(event.Action, a.operation)
	}
	if a.result != "" {
		l.put(event.Outcome, outcomeWord(a.result))
	}
}

// place says where in Azure a record comes from.
func (a *azureFields) place(l *line) {
	l.once(event.CloudProvider, "azure")
	l.once(event.CloudRegion, a.region) // of a sign-in it would be the user's country
	if len(a.resource) > 15 && strings.EqualFold(a.resource[:15], "/subscriptions/") {
		account, _, _ := strings.Cut(a.resource[15:], "/")
		l.once(event.CloudAccount, account)
	}
	if service, _, ok := strings.Cut(a.operation, "/"); ok {
		l.once(event.CloudService, service)
	}
}

func (a *azureFields) risk(l *line, kind string) {
	source := "azure_riskdetection"
	if strings.Contains(kind, "AlertIncident") || strings.Contains(kind, "AlertConfiguration") {
		source = "azure_pim"
	}
	l.knownAs(source, "Microsoft", "Entra ID")
	l.dataset = a.category
	l.once(event.RuleName, kind)
	l.titled(kind)
	l.happened("intrusion_detection", "detect", "unknown")
	l.atLeast(medium)
	l.atRisk(a.riskLevel)
}

// defender takes the tables that Microsoft Defender XDR streams.
func (a *azureFields) defender(l *line) {
	l.knownAs("microsoft_defender_xdr", "Microsoft", "Defender XDR")
	l.dataset = strings.TrimPrefix(a.category, "AdvancedHunting-")
	for _, f := range l.e.Fields {
		switch f.Name {
		case "properties.Title":
			l.titled(f.Value)
			l.once(event.RuleName, f.Value)
		case "properties.DeviceName":
			l.host = f.Value
		case "properties.AccountUpn", "properties.AccountName":
			l.once(event.User, f.Value)
		case "properties.RemoteIP":
			l.addPeer(event.DstIP, event.DstHost, f.Value)
		case "properties.Severity":
			l.atRisk(l.p.lower(f.Value))
		case "properties.ActionType":
			l.put(event.Action, f.Value)
		case "properties.ProcessCommandLine":
			l.once(event.Cmdline, f.Value)
		}
	}
	if strings.HasPrefix(l.dataset, "Alert") {
		l.put(event.Category, "intrusion_detection")
		l.atLeast(medium)
	}
}
