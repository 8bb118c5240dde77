package audit

import "context"

// An Origin tells where a change comes from; fields are "" where that is not known, or
// where KYRA itself is the one.
type Origin struct {
	Address string // of the caller, without port
	KeyID   string // of the API key
	Request string // id of the request, as its answer names it
}

type originKey struct{}

// From returns a context under which Record notes o with every entry.
func From(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

func originOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
