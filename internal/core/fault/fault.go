// Package fault is what may be said to an operator about something that did
// not go as asked: a stable code with arguments, and whether trying again can
// help. Turning a code into a sentence is the faces' work; deciding on retry
// happens here and nowhere else.
//
// It imports nothing of the project and is safe from any goroutine.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Code is a stable, lower-case identifier. The list of codes is in codes.go;
// a code is never renamed once it has been stored or sent.
type Code string

// Reason is a code with its arguments: the one form in which states, refusals
// and waits are stored, sent and shown.
type Reason struct {
	Code Code              `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}

// Because builds a reason from a code and key, value pairs.
func Because(code Code, args ...string) Reason {
	return Reason{Code: code, Args: pairs(args)}
}

// IsZero tells that there is no reason to give.
func (r Reason) IsZero() bool { return r.Code == "" }

// String is for logs: the code, then its arguments in a steady order.
func (r Reason) String() string {
	if len(r.Args) == 0 {
		return string(r.Code)
	}
	keys := make([]string, 0, len(r.Args))
	for k := range r.Args {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	b.WriteString(string(r.Code))
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%q", k, r.Args[k])
	}
	return b.String()
}

// ParseReason reads what String wrote, where a reason is kept in place of
// somebody's words.
func ParseReason(text string) (Reason, bool) {
	code, rest, _ := strings.Cut(text, " ")
	r := Reason{Code: Code(code)}
	if code == "" || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return Reason{}, false
	}
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !ok || err != nil {
			return Reason{}, false
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return Reason{}, false
		}
		if r.Args == nil {
			r.Args = map[string]string{}
		}
		r.Args[name], rest = value, strings.TrimPrefix(after[len(quoted):], " ")
	}
	return r, true
}

// Retry says whether the same request can pass later without anyone changing
// anything.
type Retry bool

// The two classes.
const (
	Terminal  Retry = false
	Retryable Retry = true
)

// Error is a refusal with a reason an operator may see.
type Error struct {
	Reason
	Retry Retry
	cause error
}

// New makes a terminal refusal.
func New(code Code, args ...string) *Error {
	return &Error{Reason: Because(code, args...)}
}

// Again makes a refusal that may pass later.
func Again(code Code, args ...string) *Error {
	return &Error{Reason: Because(code, args...), Retry: Retryable}
}

// Wrap keeps the technical cause for the log beside what the operator sees.
func (e *Error) Wrap(cause error) *Error {
	return &Error{Reason: e.Reason, Retry: e.Retry, cause: cause}
}

// Error implements error; it is for logs, not for screens.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.String() + ": " + e.cause.Error()
	}
	return e.String()
}

// Unwrap gives the technical cause.
func (e *Error) Unwrap() error { return e.cause }

// Is compares by code, so that errors.Is(err, fault.New(fault.NotFound)) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// CodeOf is the code of the first fault in err's chain, or Internal: what is
// not classified is our mistake, not the operator's.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// CanRetry tells whether err, or any fault it wraps, may pass later. What is
// not classified is retryable: an outage must never look like a refusal.
func CanRetry(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return bool(e.Retry)
	}
	return true
}

func pairs(args []string) map[string]string {
	if len(args) == 0 {
		return nil
	}
	if len(args)%2 != 0 {
		panic("fault: arguments come in pairs")
	}
	m := make(map[string]string, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		m[args[i]] = args[i+1]
	}
	return m
}
