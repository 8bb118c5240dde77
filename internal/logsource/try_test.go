package logsource

import (
	"testing"

	"github.com/kyra-mdr/kyra/internal/event"
)

func TestPreview(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		events := []event.Event{{Raw: `{"host":"app1","caller_addr":"192.0.2.78","message":"y"}`}, {Raw: `{"host":"app1","caller_addr":"192.0.2.77","message":"x"}`}}
		got, changed, err := b.Preview(t.Context(), 1, &Source{}, Definition{Host: "another", Aliases: map[string]string{"caller_addr": "src_ip"}}, events)
		if err != nil || changed != 2 || len(got) != 1 || got[0] != (Difference{Field: "src_ip", Added: 2, After: "192.0.2.77"}) {
			t.Errorf("Preview() = %+v, %d, %v", got, changed, err)
		}
	})
}
