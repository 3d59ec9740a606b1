package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/register"
	"patchring/internal/face/lang"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/checklist"
	"patchring/internal/service/incident"
	"patchring/internal/service/ticket"
)

// failedTest makes the incident of a failed test: siblings do not know each
// other.
func (s *Server) failedTest(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, f checklist.Failure) (string, func(), error) {
	subject := incident.SubjectOfTest(f.Campaign, f.Ring, f.Test, f.Item)
	opened, err := s.Incidents.OpenIn(ctx, tx, tenant, by, incident.Open{
		Severity: f.Severity, Title: f.Title, What: f.Remark, Campaign: f.Campaign, Ring: f.Ring, Origin: core.Test, OriginID: f.Test, Subject: subject,
	})
	return opened.ID, func() { s.Incidents.Told(tenant, opened) }, err
}

// tellTickets hands on what happened to an incident, in its transaction.
func (s *Server) tellTickets(ctx context.Context, tx *store.Tx, t incident.Told) error {
	return s.Tickets.Tell(ctx, tx, t.Incident, t.Act, t.Text)
}

func (s *Server) incidentURL(id string) string { return s.URL() + "/incidents/" + id }

// sayTicket words an incident, or an act on it, in the ticket's language.
func sayTicket(language string, i gen.Incident, act core.Act, text string) (title, body string) {
	w := lang.For(language)
	title = "[" + w.Word(lang.Severity, i.Severity) + "] " + i.Title
	switch act {
	case "":
		body = i.What
		if i.Ring != "" {
			body += "\n\n" + w.T("col.ring") + ": " + i.Ring
		}
		if i.Owner != "" {
			body += "\n" + w.T("col.whom") + ": " + w.Role(i.Owner)
		}
	case core.Correct, core.Close:
		body = w.T("incident.cause") + ": " + i.Cause + "\n" + w.T("incident.correction") + ": " + i.Correction
		if text != "" {
			body += "\n" + text
		}
	default:
		body = text
	}
	if act != "" {
		body = "Patchring: " + w.Word(lang.IncidentAct, string(act)) + "\n" + body
	}
	return title, strings.TrimSpace(body)
}

// maxHook bounds a tool's message.
const maxHook = 1 << 20

// ticketHook takes what a tool says of its tickets: by the connector's name and
// its signature alone. Nobody is told which of the two was wrong.
func (s *Server) ticketHook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	signature := r.Header.Get("X-Hub-Signature")
	for _, name := range []string{"X-Hub-Signature-256", "X-GLPI-signature", ticket.SignatureHeader} {
		if given := r.Header.Get(name); given != "" {
			signature = given
		}
	}
	switch err := s.Tickets.Hook(r.Context(), r.PathValue("connector"), signature, body); {
	case errors.Is(err, ticket.ErrSignature):
		http.Error(w, "not signed as configured", http.StatusForbidden)
	case err != nil:
		s.Log.Error("message of a ticket tool", "connector", r.PathValue("connector"), "err", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
