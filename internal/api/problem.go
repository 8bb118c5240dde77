package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kyra-mdr/kyra/internal/account"
	"github.com/kyra-mdr/kyra/internal/fault"
)

// problem is the body of every error answer, in the form of the reference.
type problem struct {
	Err     string `json:"error" doc:"What is wrong." example:"Invalid severity value"`
	Message string `json:"message" doc:"What is allowed, or what to do." example:"Allowed: critical, high, medium, low, info"`
	Status  int    `json:"status" doc:"The HTTP status." example:"400"`

	retryAfter time.Duration // 0: no Retry-After header
}

func (p *problem) Error() string  { return p.Err + ": " + p.Message }
func (p *problem) GetStatus() int { return p.Status }

// GetHeaders is how huma asks an error for headers.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", retrySeconds(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// retrySeconds rounds up: a caller that waits that long must not come too early.
func retrySeconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// The answers that carry no detail. 404 is one text for unknown, malformed and
// foreign ids, so that ids leak nothing.
func notFound() *problem {
	return &problem{Err: "Not found", Message: "Resource not found", Status: http.StatusNotFound}
}

func unauthorized() *problem {
	return &problem{Err: "Unauthorized", Message: "Missing or invalid API key", Status: http.StatusUnauthorized}
}

func forbidden() *problem {
	return &problem{Err: "Forbidden", Message: "API key lacks required permissions", Status: http.StatusForbidden}
}

func internalError() *problem {
	return &problem{Err: "Internal server error", Message: "Server error — contact support", Status: http.StatusInternalServerError}
}

func badRequest(err, message string) *problem {
	return &problem{Err: err, Message: message, Status: http.StatusBadRequest}
}

// invalid is a wrong value of the named parameter or body key.
func invalid(name, message string) *problem {
	return badRequest("Invalid "+name+" value", message)
}

// allowed is a value outside of a list.
func allowed(name string, values []string) *problem {
	return invalid(name, "Allowed: "+strings.Join(values, ", "))
}

func tooLarge(limit string) *problem {
	return &problem{Err: "Payload too large", Message: "Allowed: at most " + limit, Status: http.StatusRequestEntityTooLarge}
}

func conflict(message string) *problem {
	return &problem{Err: "Conflict", Message: message, Status: http.StatusConflict}
}

// problemFor maps an error of the domain to its answer. Whatever has no kind is
// logged and answered as an internal error without its text.
func problemFor(ctx context.Context, log *slog.Logger, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if f.Cause != nil {
			log.WarnContext(ctx, "request refused", "kind", string(f.Kind), "err", err)
		}
		return problemOf(f)
	}
	if l, ok := errors.AsType[*account.Locked](err); ok {
		return &problem{Err: "Too many requests", Message: "Too many wrong sign-ins: try again in " + retrySeconds(l.Wait) + " seconds", Status: http.StatusTooManyRequests, retryAfter: l.Wait}
	}
	if errors.Is(err, fault.NotFound) {
		return notFound()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		// The caller hung up; nobody reads this answer.
		return &problem{Err: "Request cancelled", Message: "The caller closed the connection", Status: http.StatusServiceUnavailable}
	}
	log.ErrorContext(ctx, "request failed", "err", err)
	return internalError()
}

func problemOf(f *fault.Error) *problem {
	switch f.Kind {
	case fault.Invalid:
		if f.Field != "" {
			return invalid(f.Field, capital(f.Message))
		}
		return badRequest("Bad request", capital(f.Message))
	case fault.Unauthenticated:
		p := unauthorized()
		p.Message = capital(f.Message)
		if f.Field != "" {
			p.Err = f.Field // what is missing, for programs
		}
		return p
	case fault.Forbidden:
		p := forbidden()
		p.Message = capital(f.Message)
		return p
	case fault.NotFound:
		return notFound()
	case fault.Conflict:
		return conflict(capital(f.Message))
	case fault.TooLarge:
		return &problem{Err: "Payload too large", Message: capital(f.Message), Status: http.StatusRequestEntityTooLarge}
	case fault.Limited:
		return &problem{Err: "Too many requests", Message: capital(f.Message), Status: http.StatusTooManyRequests, retryAfter: time.Second}
	case fault.Unavailable:
		return &problem{Err: "Service unavailable", Message: capital(f.Message), Status: http.StatusServiceUnavailable, retryAfter: 5 * time.Second}
	}
	return internalError()
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// write sends p where huma is not at work: from the middleware.
func (p *problem) write(w http.ResponseWriter) {
	h := w.Header()
	if p.retryAfter > 0 {
		h.Set("Retry-After", retrySeconds(p.retryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	body, err := json.Marshal(p)
	if err != nil {
		// Two strings and a number always marshal.
		panic(err)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the caller may have gone; nothing to do about it
}

// useProblems makes huma's own errors problems. huma keeps the constructor in a
// package variable, so it is set once however many APIs a process builds.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := humaProblem(status, message, errs)
		if status == 0 { // asked only for the shape, to describe it
			return &problem{}
		}
		return p
	}
})

// humaProblem words an error of huma's reading and checking of a body.
func humaProblem(status int, message string, errs []error) *problem {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge("1 MiB")
	case status == http.StatusUnsupportedMediaType:
		return badRequest("Invalid Content-Type", "Allowed: application/json")
	case status >= 500:
		return internalError()
	}
	for _, err := range errs {
		d, ok := errors.AsType[*huma.ErrorDetail](err)
		if !ok {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(d.Location, "body."), "body")
		switch {
		case d.Message == "unexpected property":
			return badRequest("Unknown body key", "The body has no key "+strconv.Quote(name)+"; see /api/v1/docs")
		case strings.HasPrefix(d.Message, "expected required property "):
			key, _, _ := strings.Cut(strings.TrimPrefix(d.Message, "expected required property "), " ")
			if name != "" {
				key = name + "." + key
			}
			return badRequest("Missing "+key, "The key "+strconv.Quote(key)+" is required")
		case name == "":
			return badRequest("Invalid body", capital(d.Message))
		}
		return invalid(name, inOurWords(d.Message))
	}
	if message == "request body is required" {
		return badRequest("Missing body", "Send a JSON object")
	}
	return badRequest("Invalid body", capital(message))
}

// inOurWords says what is allowed, where huma says what was expected.
func inOurWords(message string) string {
	if strings.HasPrefix(message, "expected string to be RFC 3339 date-time") {
		return momentForm
	}
	if n, ok := strings.CutPrefix(message, "expected number >= "); ok {
		return "Allowed: " + n + " or more"
	}
	if n, ok := strings.CutPrefix(message, "expected number <= "); ok {
		return "Allowed: at most " + n
	}
	return capital(message)
}
