package parse

import (
	"strings"

	"github.com/kyra-mdr/kyra/internal/event"
)

func dockerParser() content {
	return content{
		Info: Info{
			Name:     "docker",
			Sources:  []string{"docker"},
			Programs: []string{"dockerd", "containerd", "docker"},
			About:    "Docker: the daemon's log and the records of docker events",
			Samples: []Sample{
				{`Mar  4 05:06:07 web1 dockerd[911]: time="2026-03-04T05:06:07.123456789Z" level=error msg="Handler for POST /v1.43/containers/create returned error: No such image" container=abc`, []string{
					"source=docker", "level=error", "severity=medium", "host=web1", "program=dockerd", "container=abc",
					"message=Handler for POST /v1.43/containers/create returned error: No such image", "time_quality=exact",
				}},
				{`{"status":"exec_start: sh","id":"c1","from":"nginx","Type":"container","Action":"exec_start: sh","Actor":{"ID":"c1","Attributes":{"image":"nginx","name":"web"}},"scope":"local","time":1772600767,"timeNano":1772600767123456789}`, []string{
					"source=docker", "dataset=container", "vendor=Docker", "category=process", "action=exec_start", "cmdline=sh", "Actor.Attributes.image=nginx", "Action=exec_start: sh",
					"event_code=exec_start", "time_quality=exact", "outcome=success",
				}},
			},
		},
		parse: func(l *line) bool {
			if l.text != "" && l.text[0] == '{' {
				return parseJSON(l)
			}
			if !kvStart(l.text) || !l.p.registry.kv.parse(l) {
				return false
			}
			l.source = "docker"
			return true
		},
	}
}

// dockerEvent reads what docker events tells.
func dockerEvent(l *line, from int) bool {
	var kind, action string
	for _, f := range l.e.Fields[from:] {
		switch f.Name {
		case "Type":
			kind = f.Value
		case "Action":
			action = f.Value
		}
	}
	word, command, _ := strings.Cut(action, ":")
	l.knownAs("docker", "Docker", "Docker")
	l.dataset = kind
	l.add(event.EventCode, word)
	category := "configuration"
	if kind == "container" {
		category = "process"
		if strings.HasPrefix(word, "exec_") {
			l.add(event.Cmdline, strings.TrimSpace(command))
		}
	}
	l.happened(category, word, "success")
	return true
}
