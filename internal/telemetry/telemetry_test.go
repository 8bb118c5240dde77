package telemetry

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReady(t *testing.T) {
	var h Health
	var wrong error
	h.Add("store", func(context.Context) error { return wrong })
	get := func() (int, string) {
		w := httptest.NewRecorder()
		h.Ready(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		return w.Code, w.Body.String()
	}
	if code, body := get(); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("before serving: %d %s", code, body)
	}
	h.SetServing(true)
	if code, body := get(); code != 200 || !strings.Contains(body, `"store":"ok"`) {
		t.Errorf("serving: %d %s", code, body)
	}
	wrong = errors.New("no answer")
	if code, body := get(); code != 503 || !strings.Contains(body, "no answer") {
		t.Errorf("store gone: %d %s", code, body)
	}
}
