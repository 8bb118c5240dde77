package parse

import (
	"cmp"

	"github.com/kyra-mdr/kyra/internal/event"
)

func kubernetesParser() content {
	return productContent(Info{
		Name:    "kubernetes",
		Sources: []string{"kubernetes_audit"},
		About:   "Kubernetes: the API server's audit events, also as Azure's diagnostic settings wrap them",
		Samples: []Sample{
			{`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/web/exec?command=sh","verb":"create","user":{"username":"bob@example.com","groups":["system:authenticated"]},"sourceIPs":["203.0.113.9","10.0.0.1"],"userAgent":"kubectl/v1.28.0","objectRef":{"resource":"pods","namespace":"default","name":"web","apiVersion":"v1","subresource":"exec"},"responseStatus":{"code":101},"requestReceivedTimestamp":"2026-03-04T05:06:07.000001Z","stageTimestamp":"2026-03-04T05:06:07.1Z","annotations":{"authorization.k8s.io/decision":"allow"}}`, []string{
				"source=kubernetes_audit", "dataset=pods", "vendor=Kubernetes", "product=Kubernetes", "category=process", "action=create", "outcome=success", "user=bob@example.com",
				"src_ip=203.0.113.9", "user_agent=kubectl/v1.28.0", "verb=create", "objectRef.subresource=exec", "http_status=101", "url_path=/api/v1/namespaces/default/pods/web/exec",
				"time_quality=exact",
			}},
			{`{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"list","user":{"username":"system:anonymous"},"sourceIPs":["198.51.100.7"],"objectRef":{"resource":"secrets","namespace":"kube-system"},"responseStatus":{"code":403,"reason":"Forbidden","message":"secrets is forbidden"},"requestReceivedTimestamp":"2026-03-04T05:06:07Z"}`, []string{
				"source=kubernetes_audit", "dataset=secrets", "action=list", "outcome=failure", "reason=Forbidden", "user=system:anonymous", "responseStatus.code=403", "severity=low",
			}},
			{`{"log":"{\"kind\":\"Event\",\"verb\":\"get\",\"user\":{\"username\":\"eve\"},\"objectRef\":{\"resource\":\"secrets\"},\"responseStatus\":{\"code\":200},\"requestReceivedTimestamp\":\"2026-03-04T05:06:07Z\"}\n","stream":"stdout","time":"2026-03-04T05:06:08Z"}`, []string{
				"source=kubernetes_audit", "action=get", "user=eve", "objectRef.resource=secrets", "stream=stdout", "outcome=success", "time_quality=exact",
			}},
			{`{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","user":{"username":"admin"},"impersonatedUser":{"username":"eve"},"objectRef":{"resource":"clusterrolebindings","apiGroup":"rbac.authorization.k8s.io"},"responseStatus":{"code":201}}`, []string{
				"source=kubernetes_audit", "category=iam", "action=create", "outcome=success", "user=admin", "target_user=eve",
			}},
		},
	})
}

// kubernetes reads the audit events of the API server.
func kubernetes(l *line, from int) bool {
	own := l.e.Fields[from:len(l.e.Fields):len(l.e.Fields)]
	var verb, resource, sub, code, reason, decision, why, stage string
	for i := range own {
		v := own[i].Value
		switch outOfEnvelope(own[i].Name) {
		case "verb":
			verb = v
		case "user.username":
			l.once(event.User, v)
		case "user.uid":
			l.once(event.UserID, v)
		case "impersonatedUser.username":
			l.once(event.TargetUser, v)
		case "sourceIPs":
			l.client(v)
		case "requestURI":
			if _, ok := l.e.Lookup(event.URL); !ok {
				l.addURL(v)
			}
		case "objectRef.resource":
			resource = v
		case "objectRef.subresource":
			sub = v
		case "responseStatus.code":
			code = v
		case "responseStatus.reason":
			reason = v
		case "annotations.authorization.k8s.io/decision":
			decision = v
		case "annotations.authorization.k8s.io/reason":
			why = v
		case "requestReceivedTimestamp":
			l.timeOf(v)
		case "stageTimestamp":
			stage = v
		}
	}
	if verb == "" {
		return false
	}
	l.timeOf(stage)
	l.knownAs("kubernetes_audit", "Kubernetes", "Kubernetes")
	l.dataset = resource
	l.addInt(event.HTTPStatus, code)
	category := "configuration"
	switch {
	case sub == "exec" || sub == "attach" || sub == "portforward":
		category = "process"
	case resource == "tokenreviews" || sub == "token":
		category = "authentication"
	case isRBAC(resource):
		category = "iam"
	}
	outcome := "unknown"
	switch {
	case code != "" && number(code) >= 400, decision == "forbid":
		outcome = "failure"
	case code != "", decision == "allow":
		outcome = "success"
	}
	l.happened(category, verb, outcome)
	if outcome == "failure" {
		l.once(event.Reason, cmp.Or(reason, why))
	}
	return true
}

func isRBAC(resource string) bool {
	switch resource {
	case "roles", "rolebindings", "clusterroles", "clusterrolebindings", "serviceaccounts", "certificatesigningrequests":
		return true
	}
	return false
}
