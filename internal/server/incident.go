package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/patch"
	"patchring/internal/core/procedure"
	"patchring/internal/core/register"
	"patchring/internal/face/lang"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/service/access"
	"patchring/internal/service/checklist"
	"patchring/internal/service/desk"
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

// Feedback that becomes a task waits two days for somebody, and is theirs who
// run campaigns.
const (
	feedbackDue   = 48 * time.Hour
	feedbackOwner = access.Operator
)

var pageActor = register.System("page")

// brokenUpdate does what the procedure says of what somebody says an update
// broke: of one patch there is one task, or one incident, until it is closed.
func (s *Server) brokenUpdate(ctx context.Context, tx *store.Tx, f gen.Feedback) (func(), error) {
	of, err := tx.Campaign(ctx, f.Tenant, f.Campaign)
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", f.Campaign, err)
	}
	p, err := s.Conductor.Procedure(ctx, tx.Queries, of)
	if err != nil {
		return nil, err
	}
	tenant := fleet.TenantID(f.Tenant)
	switch p.OnFeedback {
	case procedure.FeedbackIncident:
		opened, err := s.Incidents.OpenIn(ctx, tx, tenant, pageActor, incident.Open{
			Severity: procedure.Minor, What: f.Words, Campaign: f.Campaign, Patch: patch.ID(f.Patch), Devices: []fleet.DeviceID{fleet.DeviceID(f.Device)},
			Origin: core.Feedback, OriginID: f.ID, Subject: incident.SubjectOfFeedback(f.Campaign, patch.ID(f.Patch)),
		})
		return func() { s.Incidents.Told(tenant, opened) }, err
	case procedure.FeedbackTask:
		return s.Conductor.Wake, s.feedbackTask(ctx, tx, of, f)
	}
	return func() {}, nil
}

func (s *Server) feedbackTask(ctx context.Context, tx *store.Tx, of gen.Campaign, f gen.Feedback) error {
	open, err := tx.OpenTasksOfPatch(ctx, gen.OpenTasksOfPatchParams{Tenant: f.Tenant, Campaign: f.Campaign, Patch: f.Patch, Actor: string(pageActor)})
	if err != nil {
		return fmt.Errorf("count the tasks of what is broken: %w", err)
	}
	if open > 0 || of.State == string(campaign.Closed) {
		return nil
	}
	_, err = s.Desk.OpenIn(ctx, tx, fleet.TenantID(f.Tenant), pageActor, desk.Open{
		Title: incident.Headline(f.Words), What: f.Words, Device: f.Device, Campaign: f.Campaign, Patch: patch.ID(f.Patch), Owner: feedbackOwner,
		Due: s.Clock().Add(feedbackDue).Format(time.RFC3339),
	})
	return err
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
