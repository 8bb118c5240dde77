// Package fault classifies errors by what the caller can do about them. It
// never decides how a class is shown: each door maps kinds to its own codes.
package fault

import "fmt"

// A Kind is a class of failure. Kinds are errors, so that
// errors.Is(err, fault.NotFound) works through any wrapping.
type Kind string

// The kinds. Whatever is none of them is internal: logged, never shown.
const (
	Invalid         Kind = "invalid"         // the input is wrong; the message says where and what is allowed
	Unauthenticated Kind = "unauthenticated" // no or an unusable credential
	Forbidden       Kind = "forbidden"       // a known caller that may not do this
	NotFound        Kind = "not_found"       // no such object for this tenant
	Conflict        Kind = "conflict"        // clashes with the present state
	TooLarge        Kind = "too_large"       // over a stated size
	Limited         Kind = "limited"         // over a rate or quota: try again later
	Unavailable     Kind = "unavailable"     // full, starting, stopping or a dead peer: try again later
)

func (k Kind) Error() string { return string(k) }

// Error is a failure whose Message is safe to show to the caller.
type Error struct {
	Kind    Kind
	Message string
	Field   string // the input that caused it, if one did
	Cause   error  // logged, never shown
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap yields the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Kind, e.Cause}
	}
	return []error{e.Kind}
}

// New returns an Error of kind k with a formatted message.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// In names the input that caused e, and returns e.
func (e *Error) In(field string) *Error {
	e.Field = field
	return e
}

// Because attaches the cause, which is logged but never shown, and returns e.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// Wrap says what was being done when err happened, and keeps its kind; nil stays nil.
func Wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
