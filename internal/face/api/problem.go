package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/face/lang"
)

// Refusal is the one shape of a refusal: RFC 9457 with our stable code.
type Refusal struct {
	Type   string            `json:"type" doc:"urn:patchring: and the code"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail" doc:"the code as an English sentence"`
	Code   fault.Code        `json:"code" doc:"stable; what programs decide on"`
	Args   map[string]string `json:"args,omitempty" doc:"arguments of the code"`
	Retry  bool              `json:"retry" doc:"the same request may pass later"`
	// Problems are everything wrong with a procedure file, or every field of a
	// body that does not fit.
	Problems []manifest.Problem `json:"problems,omitempty"`
}

// Error implements error.
func (p *Refusal) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Refusal) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Refusal) ContentType(string) string { return "application/problem+json" }

func refusal(r fault.Reason, status int, retry bool) *Refusal {
	return &Refusal{
		Type: "urn:patchring:" + string(r.Code), Title: http.StatusText(status), Status: status,
		Detail: lang.For(string(lang.English)).Reason(r), Code: r.Code, Args: r.Args, Retry: retry,
	}
}

// statusOf is the one table from codes to status codes; what is not in it is a
// conflict: the request was understood, and things are not such that it passes.
func statusOf(code fault.Code) int {
	switch code {
	case fault.Internal:
		return http.StatusInternalServerError
	case fault.NotFound, fault.DeviceUnknown:
		return http.StatusNotFound
	case fault.InvalidField, fault.ReasonRequired, fault.NoSuchRole, fault.ProofMissing:
		return http.StatusUnprocessableEntity
	case fault.Unauthorized, fault.TokenInvalid, fault.TokenExpired, fault.TokenSpent:
		return http.StatusUnauthorized
	case fault.Forbidden, fault.DeviceRetired:
		return http.StatusForbidden
	case fault.TooManyTries:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}

// problem turns an error into what the client is told, and logs what it is
// not: an error without a fault is ours, and its text stays here.
func (a *API) problem(ctx context.Context, err error) *Refusal {
	var file *manifest.Error
	if errors.As(err, &file) {
		p := refusal(fault.Because(fault.InvalidField, "field", "file", "problem", strconv.Itoa(len(file.Problems))+" problems"), http.StatusUnprocessableEntity, false)
		p.Problems = file.Problems
		return p
	}
	var refused *fault.Error
	if errors.As(err, &refused) {
		return refusal(refused.Reason, statusOf(refused.Code), bool(refused.Retry))
	}
	if ctx.Err() == nil { // otherwise the client went away, and nobody reads this
		a.Log.ErrorContext(ctx, "request failed", "err", err)
	}
	return refusal(fault.Because(fault.Internal), http.StatusInternalServerError, true)
}

// problemOf is a huma.Transformer: it gives huma's own refusals (a body that is
// not JSON, a field out of range) the one shape.
func problemOf(_ huma.Context, _ string, v any) (any, error) {
	own, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := fault.InvalidField
	if own.Status >= http.StatusInternalServerError {
		code = fault.Internal
	}
	p := refusal(fault.Because(code, "field", "request", "problem", own.Detail), own.Status, own.Status >= http.StatusInternalServerError)
	for i, e := range own.Errors {
		p.Problems = append(p.Problems, manifest.Problem{Field: e.Location, Problem: e.Message})
		if i == 0 {
			p.Args["field"], p.Args["problem"] = e.Location, e.Message
			p.Detail = lang.For(string(lang.English)).Reason(fault.Reason{Code: code, Args: p.Args})
		}
	}
	return p, nil
}

// describeProblems puts our shape into the contract where huma put its own.
func describeProblems(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas
	schemas.Schema(reflect.TypeFor[Refusal](), true, "Refusal")
	schemas.Map()["ErrorModel"] = &huma.Schema{Ref: "#/components/schemas/Refusal"}
	delete(schemas.Map(), "ErrorDetail")
}

// write answers outside huma.
func (p *Refusal) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", p.ContentType(""))
	if wait, err := time.ParseDuration(p.Args["wait"]); err == nil && p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	w.WriteHeader(p.Status)
	return json.NewEncoder(w).Encode(p)
}
