package app

import (
	"context"
	"time"

	"github.com/kyra-mdr/kyra/internal/alert"
	"github.com/kyra-mdr/kyra/internal/canary"
	"github.com/kyra-mdr/kyra/internal/incident"
	"github.com/kyra-mdr/kyra/internal/outbox"
	"github.com/kyra-mdr/kyra/internal/sqldb"
)

// tellOf has every change of a status told, in the transaction of the change.
func tellOf(alerts *alert.Service, incidents *incident.Service) {
	alerts.SetTell(func(ctx context.Context, tx *sqldb.DB, a *alert.Alert) error {
		if a.Rule.ID == canary.RuleID { // it tells of itself
			return nil
		}
		return outbox.Add(ctx, tx, alertMessage(outbox.AlertUpdated, a, time.Now()))
	})
	incidents.SetTell(func(ctx context.Context, tx *sqldb.DB, in *incident.Incident, news incident.News) error {
		m := outbox.Message{
			Tenant: in.Tenant, Event: outbox.IncidentUpdated, Kind: "incidents", Object: in.ID, Title: in.Title, Severity: in.Severity,
			Text: "Status " + string(in.Status), Rule: in.RuleID, At: in.UpdatedAt,
		}
		switch news {
		case incident.Created:
			m.Event = outbox.IncidentCreated
		case incident.Overdue:
			m.Event, m.At = outbox.IncidentOverdue, time.Now()
			m.Text = "Due " + in.SLADueAt.Format(time.RFC3339) + ", status " + string(in.Status)
		case incident.StatusChanged:
			m.At = time.Now()
		}
		return outbox.Add(ctx, tx, m)
	})
}

// tellCreated has new alerts told, in the transaction that makes them.
func tellCreated(ctx context.Context, tx *sqldb.DB, outcomes []alert.Outcome) error {
	var messages []outbox.Message
	for i := range outcomes {
		if outcomes[i].Created && outcomes[i].Alert.Rule.ID != canary.RuleID {
			messages = append(messages, alertMessage(outbox.AlertCreated, &outcomes[i].Alert, outcomes[i].Alert.CreatedAt))
		}
	}
	return outbox.Add(ctx, tx, messages...)
}

func alertMessage(event string, a *alert.Alert, at time.Time) outbox.Message {
	m := outbox.Message{
		Tenant: a.Tenant, Event: event, Kind: "alerts", Object: a.ID, Title: a.Title, Severity: a.Severity, Text: a.Description, Rule: a.Rule.ID, Source: a.Source, At: at,
	}
	if event == outbox.AlertUpdated {
		m.Text = "Status " + string(a.Status)
	}
	return m
}
