package parse

import (
	"cmp"
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func gcpParser() content {
	return productContent(Info{
		Name:    "gcp",
		Sources: []string{"gcp_audit"},
		About:   "Google Cloud: audit log entries, plain or as Pub/Sub delivers them",
		Samples: []Sample{
			{`{"insertId":"i1","logName":"projects/p1/logs/cloudaudit.googleapis.com%2Factivity","protoPayload":{"authenticationInfo":{"principalEmail":"bob@example.com"},"authorizationInfo":[{"granted":true,"permission":"run.services.setIamPolicy","resource":"r"}],"methodName":"google.cloud.run.v1.Services.SetIamPolicy","requestMetadata":{"callerIp":"203.0.113.9","callerSuppliedUserAgent":"gcloud"},"resourceName":"projects/p1/x","serviceName":"run.googleapis.com"},"resource":{"labels":{"location":"us-west1","project_id":"p1"},"type":"cloud_run_revision"},"severity":"NOTICE","timestamp":"2026-03-04T05:06:07.029835Z"}`, []string{
				"source=gcp_audit", "dataset=activity", "vendor=Google", "product=Google Cloud", "cloud_provider=gcp", "cloud_account=p1", "cloud_region=us-west1", "cloud_service=run.googleapis.com",
				"category=iam", "action=google.cloud.run.v1.Services.SetIamPolicy", "outcome=success", "user=bob@example.com", "src_ip=203.0.113.9", "user_agent=gcloud",
				"event_code=google.cloud.run.v1.Services.SetIamPolicy", "protoPayload.authorizationInfo.granted=true", "time_quality=exact", "severity=info",
			}},
			{`{"data":{"logName":"projects/p1/logs/cloudaudit.googleapis.com%2Fdata_access","protoPayload":{"authenticationInfo":{"principalEmail":"eve@example.com"},"methodName":"storage.buckets.list","serviceName":"storage.googleapis.com","status":{"code":7,"message":"PERMISSION_DENIED"},"requestMetadata":{"callerIp":"gce-internal-ip"}},"timestamp":"2026-03-04T05:06:07Z"}}`, []string{
				"source=gcp_audit", "dataset=data_access", "cloud_account=p1", "outcome=failure", "reason=PERMISSION_DENIED", "user=eve@example.com", "src_ip=", "time_quality=exact",
				"data.protoPayload.methodName=storage.buckets.list",
			}},
		},
	})
}

// gcpAudit reads the audit log entries of Google Cloud, in which those of Google
// Workspace come too.
func gcpAudit(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var method, service, log, project, code, failure, name, granted string
	for i := range own {
		v := own[i].Value
		switch outOfEnvelope(own[i].Name) {
		case "protoPayload.methodName":
			method = v
		case "protoPayload.serviceName":
			service = v
		case "logName":
			log = v
		case "resource.labels.project_id":
			project = v
		case "resource.labels.location", "resource.labels.zone":
			l.once(event.CloudRegion, v)
		case "protoPayload.authenticationInfo.principalEmail":
			l.once(event.User, v)
		case "protoPayload.requestMetadata.callerIp", "protoPayload.requestMetadata.callerIP":
			if a, ok := address(v); ok {
				l.once(event.SrcIP, a)
			}
		case "protoPayload.requestMetadata.callerSuppliedUserAgent":
			l.once(event.UserAgent, v)
		case "protoPayload.status.code":
			code = v
		case "protoPayload.status.message":
			failure = v
		case "protoPayload.authorizationInfo.granted":
			if granted != "false" {
				granted = v
			}
		case "protoPayload.metadata.event.eventName":
			if name == "" {
				name = v
			}
		case "timestamp":
			l.timeOf(v)
		}
	}
	if service == "login.googleapis.com" || service == "admin.googleapis.com" {
		application, _, _ := strings.Cut(service, ".")
		workspaceEvent(l, application, cmp.Or(name, method), "")
		return true
	}
	l.knownAs("gcp_audit", "Google", "Google Cloud")
	rest := strings.TrimPrefix(log, "projects/")
	if project == "" && len(rest) < len(log) {
		project, _, _ = strings.Cut(rest, "/")
	}
	if i := strings.Index(log, "cloudaudit.googleapis.com"); i >= 0 {
		l.dataset = strings.TrimPrefix(strings.TrimPrefix(log[i+len("cloudaudit.googleapis.com"):], "%2F"), "/")
	}
	l.once(event.CloudProvider, "gcp")
	l.once(event.CloudAccount, project)
	l.once(event.CloudService, service)
	l.add(event.EventCode, method)
	category := "configuration"
	if strings.Contains(method, "IamPolicy") || strings.Contains(method, "ServiceAccount") || strings.Contains(method, "iam.") {
		category = "iam"
	}
	outcome := "success"
	if code != "" && code != "0" || granted == "false" {
		outcome = "failure"
		l.add(event.Reason, failure)
	}
	l.happened(category, method, outcome)
	return true
}
