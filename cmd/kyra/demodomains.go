package main

import (
	"context"

	"github.com/kyra-mdr/kyra/internal/app"
	"github.com/kyra-mdr/kyra/internal/demo"
)

// ownDomain tells the demo's server which domain is the estate's, before anything is
// replayed, so that the host names under it are found.
func ownDomain(ctx context.Context, s *app.Server) error {
	_, err := demoPost(ctx, s, "/api/v1/domains", "application/json", []byte(`{"name":"`+demo.Domain+`","learningHours":0,"notes":"The estate's own domain"}`))
	return err
}
