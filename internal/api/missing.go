package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// absent is a call of the reference that this version does not have: it says so
// instead of looking like a wrong address.
type absent struct{ id, method, path, tag, summary, what string }

const (
	noCompliance = "Compliance frameworks, controls, evidence and reports are not part of this version"
)

func (a *api) missing() {
	for _, m := range []absent{
		{"getReport", http.MethodGet, "/compliance/{framework}/report", "Compliance", "Export PDF report", noCompliance},
	} {
		need := (&operation{id: m.id, method: m.method, tag: m.tag}).right()
		op := huma.Operation{
			OperationID: m.id, Method: m.method, Path: base + m.path, Tags: []string{m.tag}, Summary: m.summary,
			Description: m.what + ".", Security: []map[string][]string{{"key": {}}, {"session": {}}}, Extensions: map[string]any{rightKey: string(need)},
			Responses: map[string]*huma.Response{"501": {}},
		}
		a.huma.OpenAPI().AddOperation(&op)
		a.muxOf(base+m.path).HandleFunc(m.method+" "+base+m.path, func(w http.ResponseWriter, r *http.Request) {
			caller := callerOf(r)
			if p := refused(&caller, need); p != nil {
				p.write(w)
				return
			}
			(&problem{Err: "Not implemented", Message: m.what, Status: http.StatusNotImplemented}).write(w)
		})
	}
}
