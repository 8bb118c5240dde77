package assess

import (
	"context"
)

func incidentNotify(_ context.Context, q *inquiry) (*finding, error) {
	q.note("none: incidents cannot be marked as reportable")
	return missing("incidents that are marked as reportable", "Incidents cannot be marked as reportable in this version: keep the notices as evidence of the controls that ask for them."), nil
}
