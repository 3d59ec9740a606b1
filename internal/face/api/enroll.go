package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"patchring/internal/core/fault"
	"patchring/wire"
)

const (
	enrollPath = "POST " + wire.EnrollPath
	maxEnroll  = 32 << 10
)

// enroll exchanges an enrolment token. It stands outside the API: it speaks
// package wire, to agents of every version, and knows no accounts.
func (a *API) enroll(w http.ResponseWriter, r *http.Request) {
	var ask wire.EnrollRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEnroll)).Decode(&ask); err != nil {
		a.answerAgent(w, http.StatusBadRequest, wire.Error{Code: string(fault.InvalidField), Args: map[string]string{"field": "body", "problem": "unreadable"}})
		return
	}
	reply, err := a.Access.Enroll(r.Context(), ask)
	var refused *fault.Error
	switch {
	case errors.As(err, &refused):
		a.answerAgent(w, statusOf(refused.Code), wire.Error{Code: string(refused.Code), Args: refused.Args, Retry: bool(refused.Retry)})
	case err != nil:
		// An outage is never an answer about the token: the agent tries again.
		a.Log.ErrorContext(r.Context(), "enrol", "err", err)
		a.answerAgent(w, http.StatusServiceUnavailable, wire.Error{Code: string(fault.Unavailable), Retry: true})
	default:
		a.answerAgent(w, http.StatusOK, reply)
	}
}

func (a *API) answerAgent(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.Log.Debug("answer", "err", err)
	}
}
