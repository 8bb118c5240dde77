package app

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/kyra-mdr/kyra/internal/identity"
	"github.com/kyra-mdr/kyra/internal/ingest"
)

// withDoors puts the doors of ingest before next: their senders show an ingest
// token, or a key that may write, and are bounded by events, not by requests.
func (s *Server) withDoors(keys *identity.Service, next http.Handler) http.Handler {
	doors := ingest.NewDoors(s.gate, func(ctx context.Context, secret string, from netip.Addr) (ingest.Caller, error) {
		sender, err := keys.AuthenticateSender(ctx, secret, from)
		if err != nil {
			return ingest.Caller{}, err
		}
		return ingest.Caller{
			Tenant: ingest.Tenant{Number: sender.Tenant.Number, EventsPerSecond: sender.Tenant.Limits().EventsPerSecond},
			Key:    sender.TokenID, Source: sender.Source,
		}, nil
	})
	return doors.Handler(next)
}
