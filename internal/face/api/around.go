package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/httprate"

	"patchring/internal/core/fault"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
)

// maxBody bounds a request; a procedure file is the largest thing sent, but for
// a proof: a file of 1 MiB in base64, with its name.
const (
	maxBody  = 1 << 20
	maxProof = desk.MaxFile/3*4 + 8<<10
)

// bound is the bound of one request.
func bound(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, "/tasks/") && strings.HasSuffix(r.URL.Path, "/close") {
		return maxProof
	}
	if strings.HasPrefix(r.URL.Path, feedsPath+"/") {
		return maxFeed
	}
	return maxBody
}

type contextKey struct{}

// principalIn is who asks. Every route but the public ones is behind
// authenticate; on those it is nobody, whose roles grant nothing but to see.
func principalIn(ctx context.Context) access.Principal {
	p, _ := ctx.Value(contextKey{}).(access.Principal)
	return p
}

// around puts around the routes what is the same for all: sessions, the check
// that a browser's write comes from our own pages, who asks, and answers kept
// for repeated writes.
func (a *API) around(routes http.Handler) http.Handler {
	inside := a.authenticate(a.idempotent(routes))
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.answer(w, refusal(fault.Because(fault.Forbidden, "role", "same-origin"), http.StatusForbidden, false))
	}))
	main := http.NewServeMux()
	main.Handle(Prefix+"/", a.Sessions.LoadAndSave(crossOrigin.Handler(http.StripPrefix(Prefix, inside))))
	main.Handle(Prefix+"/login", a.limited(loginsPerSecond, http.StripPrefix(Prefix, routes)))
	main.Handle(enrollPath, a.limited(enrolmentsPerSecond, http.HandlerFunc(a.enroll)))
	return main
}

// Strangers may ask two things, and both cost work. They are limited in all
// and not by address: a site behind one address enrols hundreds in a morning.
const (
	loginsPerSecond     = 20
	enrolmentsPerSecond = 200
)

func (a *API) limited(perSecond int, h http.Handler) http.Handler {
	return httprate.LimitBy(perSecond, time.Second, httprate.Key("*"),
		httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
			a.answer(w, refusal(fault.Because(fault.TooManyTries, "wait", time.Second.String()), http.StatusTooManyRequests, true))
		}))(h)
}

// answer writes a refusal outside huma. A client that left before it is no
// error of ours.
func (a *API) answer(w http.ResponseWriter, p *Refusal) {
	if err := p.write(w); err != nil {
		a.Log.Debug("answer", "err", err)
	}
}

// public are the paths that anybody may read: the contract itself.
func public(path string) bool { return strings.HasPrefix(path, "/openapi") }

func (a *API) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, bound(r))
		if public(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		p, err := a.who(r)
		if err != nil {
			a.answer(w, a.problem(r.Context(), err))
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, p)))
	})
}

func (a *API) who(r *http.Request) (access.Principal, error) {
	scheme, token, given := strings.Cut(r.Header.Get("Authorization"), " ")
	if given && strings.EqualFold(scheme, "bearer") {
		return a.Access.Bearer(r.Context(), token)
	}
	return a.Access.Of(r.Context(), a.Sessions)
}

const (
	keyHeader = "Idempotency-Key"
	maxKey    = 200
)

// idempotent answers a repeated write with its first answer. Without the
// header nothing is kept.
func (a *API) idempotent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(keyHeader)
		if key == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKey {
			a.answer(w, refusal(fault.Because(fault.InvalidField, "field", keyHeader, "problem", "too_long"), http.StatusUnprocessableEntity, false))
			return
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			a.answer(w, tooLarge(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(content))
		a.once(w, r, access.Repeat{Principal: principalIn(r.Context()), Key: key, Request: requestHash(r, content)}, next)
	})
}

func tooLarge(err error) *Refusal {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return refusal(fault.Because(fault.InvalidField, "field", "body", "problem", "too_long"), http.StatusRequestEntityTooLarge, false)
	}
	return refusal(fault.Because(fault.InvalidField, "field", "body", "problem", "unreadable"), http.StatusBadRequest, true)
}

func requestHash(r *http.Request, content []byte) string {
	sum := sha256.New()
	sum.Write([]byte(r.Method + " " + r.URL.RequestURI() + "\n"))
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil))
}

// once acts and keeps the answer, or gives the kept one.
//
// Crash story: dying between the act and the keeping leaves a claim without an
// answer; the same key is refused for a minute and may then act again. What the
// act itself wrote is in the register either way.
func (a *API) once(w http.ResponseWriter, r *http.Request, repeat access.Repeat, next http.Handler) {
	kept, err := a.Access.Claim(r.Context(), repeat)
	if err != nil {
		a.answer(w, a.problem(r.Context(), err))
		return
	}
	if kept == nil {
		kept = a.record(r, repeat, next)
	} else {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	switch {
	case kept.Status >= http.StatusBadRequest:
		w.Header().Set("Content-Type", "application/problem+json")
	case kept.Status != http.StatusNoContent:
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(kept.Status)
	if _, err := w.Write(kept.Body); err != nil {
		a.Log.Debug("answer", "err", err)
	}
}

func (a *API) record(r *http.Request, repeat access.Repeat, next http.Handler) *access.Answer {
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(rec, r)
	answer := access.Answer{Status: rec.status, Body: rec.body.Bytes()}
	// The act is done: its answer is kept even if the client left meanwhile.
	if err := a.Access.Finish(context.WithoutCancel(r.Context()), repeat, answer); err != nil {
		a.Log.ErrorContext(r.Context(), "keep answer", "err", err)
	}
	return &answer
}

// recorder holds an answer back until it has been kept.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
