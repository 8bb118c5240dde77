package api

import (
	"strings"
	"testing"
	"time"
)

func TestReportable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	now := time.Now().UTC().Truncate(time.Second) // incidents are made by the clock on the wall
	s.pass(now.Sub(noon))
	id := s.post("/api/v1/incidents", `{"title":"Leak","severity":"high"}`).want(201).text("id")
	path := "/api/v1/incidents/" + id + "/reportable"
	s.get(path).want(200).is("reportable", false)
	aware := now.Add(-30 * time.Hour).Format(time.RFC3339)
	made := s.post(path, `{"laws":["KISA","gdpr"],"other":[{"name":"Insurer","hours":96,"recipient":"ACME"}],"awareAt":"`+aware+`"}`).want(200).is("reportable", true)
	states := map[string]string{}
	clocks := map[string]string{}
	for _, x := range made.json().(map[string]any)["clocks"].([]any) {
		c := x.(map[string]any)
		states[c["law"].(string)], clocks[c["law"].(string)] = c["state"].(string), c["id"].(string)
		if c["law"] == "KISA" && c["remainingSeconds"].(float64) != -6*3600 {
			t.Errorf("remaining is %v", c["remainingSeconds"])
		}
	}
	if states["KISA"] != "overdue" || states["GDPR"] != "running" || states["Insurer"] != "running" {
		t.Errorf("states are %v", states)
	}
	gdpr := path + "/" + clocks["GDPR"]
	s.get(gdpr+"/notice").want(200).is("language", "en")
	draft := s.post(gdpr+"/notice?lang=ko", "").want(200).is("language", "ko")
	if !strings.Contains(draft.text("markdown"), "침해사고 통지서 초안") {
		t.Errorf("draft is %s", draft.body)
	}
	s.post(gdpr+"/notified", `{"to":"CNIL","reference":"2026-17"}`).want(200).is("state", "notified").is("notifiedTo", "CNIL").is("remainingSeconds", nil)
	s.post(gdpr+"/notified", `{}`).want(409)
	s.post(path+"/"+clocks["Insurer"]+"/withdraw", `{"reason":"not covered"}`).want(200).is("state", "withdrawn")
	for _, bad := range []string{`{}`, `{"laws":["XYZ"]}`, `{"other":[{"name":"x","hours":0}]}`, `{"laws":["PIPA"],"awareAt":"2100-01-01T00:00:00Z"}`} {
		s.post(path, bad).want(400)
	}
	s.post(path+"/"+clocks["KISA"]+"/withdraw", `{"reason":""}`).want(400)
	s.do(s.foreign, "GET", path, "").want(404)
	s.do(s.foreign, "POST", gdpr+"/notified", `{}`).want(404)
	s.post(path+"/nope/notified", `{}`).want(404)
	s.do(s.ro, "POST", path, `{"laws":["GDPR"]}`).want(403)
}
