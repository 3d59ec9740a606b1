package api

import (
	"context"
	"net/http"

	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/incident"
)

// OpenIncident says that something went wrong.
type OpenIncident struct {
	Severity string   `json:"severity" enum:"minor,major,critical"`
	Title    string   `json:"title,omitempty" maxLength:"800" doc:"the beginning of what, when not given"`
	What     string   `json:"what,omitempty" maxLength:"16000" doc:"needed"`
	Campaign string   `json:"campaign,omitempty" maxLength:"100" doc:"name or id; its procedure says what follows at once"`
	Ring     string   `json:"ring,omitempty" maxLength:"63" doc:"of the campaign; that of the first device when not given"`
	Patch    string   `json:"patch,omitempty" maxLength:"300" doc:"known or suspected to be the cause; what follows is then about it alone"`
	Devices  []string `json:"devices,omitempty" maxItems:"200" doc:"ids, or names that only one device has"`
	Owner    string   `json:"owner,omitempty" maxLength:"800" doc:"who must act: an account's name or a role"`
	Alert    string   `json:"alert,omitempty" maxLength:"100" doc:"id of the alert that it is made of: said twice, it is the same incident"`
	Feedback string   `json:"feedback,omitempty" maxLength:"100" doc:"id of what somebody said on a device's page: campaign, patch and device are its own"`
}

// NoteIncident adds words, judges the severity anew, or names who must act.
type NoteIncident struct {
	Text     string `json:"text,omitempty" maxLength:"16000" doc:"needed"`
	Severity string `json:"severity,omitempty" enum:"minor,major,critical" doc:"a worse one is answered by the campaign; a milder one lifts no hold"`
	Owner    string `json:"owner,omitempty" maxLength:"800" doc:"who must act from now on"`
}

// CorrectIncident says what it was and what was done about it; what was written
// before stays where nothing is given.
type CorrectIncident struct {
	Cause      string `json:"cause,omitempty" maxLength:"16000" doc:"needed, here or before"`
	Correction string `json:"correction,omitempty" maxLength:"16000" doc:"needed, here or before"`
	Text       string `json:"text,omitempty" maxLength:"16000"`
}

// ReopenIncident says why it is not over.
type ReopenIncident struct {
	Reason string `json:"reason,omitempty" maxLength:"16000" doc:"needed"`
}

// IncidentList are the parameters of the list of incidents.
type IncidentList struct {
	Paged
	Which    string `query:"which" enum:"open,closed,all" doc:"open when not given: not closed"`
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id"`
	Device   string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
}

// OneIncident names an incident.
type OneIncident struct {
	Incident string `path:"incident" maxLength:"100"`
}

func (a *API) registerIncidents() {
	const tag = "incidents"
	handle(a, operation{method: http.MethodGet, path: "/incidents", id: "list-incidents", summary: "Incidents: what went wrong", tag: tag, act: access.See}, a.listIncidents)
	handle(a, operation{method: http.MethodGet, path: "/incidents/{incident}", id: "show-incident", summary: "One incident with all that was said and done", tag: tag, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneIncident) (view.IncidentDetail, error) {
			return a.View.Incident(ctx, p.Tenant, in.Incident)
		})
	handle(a, operation{method: http.MethodPost, path: "/incidents", id: "open-incident", summary: "Open an incident; its campaign does at once what the procedure says", tag: tag, act: access.Incidents, status: http.StatusCreated}, a.openIncident)
	act := func(verb, summary string) operation {
		return operation{method: http.MethodPost, path: "/incidents/{incident}/" + verb, id: verb + "-incident", summary: summary, tag: tag, act: access.Incidents}
	}
	do(a, act("note", "Add words, judge the severity anew, or name who must act"), func(ctx context.Context, p access.Principal, in *struct {
		OneIncident
		Body NoteIncident
	}) error {
		return a.Incidents.Do(ctx, p.Tenant, p.Actor(), incident.Do{
			Incident: in.Incident, Say: core.Say{Act: core.Note, Text: in.Body.Text}, Severity: procedure.Severity(in.Body.Severity), Owner: in.Body.Owner,
		})
	})
	do(a, act("correct", "Say what it was and what was done; whether it holds is watched"), a.actIncident(core.Correct))
	do(a, act("close", "Close it, with its cause and its correction"), a.actIncident(core.Close))
	do(a, act("reopen", "Open it again: it is not over"), func(ctx context.Context, p access.Principal, in *struct {
		OneIncident
		Body ReopenIncident
	}) error {
		return a.Incidents.Do(ctx, p.Tenant, p.Actor(), incident.Do{Incident: in.Incident, Say: core.Say{Act: core.Reopen, Text: in.Body.Reason}})
	})
}

type corrects struct {
	OneIncident
	Body CorrectIncident
}

func (a *API) actIncident(act core.Act) func(context.Context, access.Principal, *corrects) error {
	return func(ctx context.Context, p access.Principal, in *corrects) error {
		return a.Incidents.Do(ctx, p.Tenant, p.Actor(), incident.Do{
			Incident: in.Incident, Say: core.Say{Act: act, Cause: in.Body.Cause, Correction: in.Body.Correction, Text: in.Body.Text},
		})
	}
}

func (a *API) listIncidents(ctx context.Context, p access.Principal, in *IncidentList) (view.IncidentPage, error) {
	q := view.IncidentQuery{Paging: in.paging(), Which: in.Which}
	device, _, err := a.named(ctx, p, in.Device, "")
	if err != nil {
		return view.IncidentPage{}, err
	}
	q.Device = device
	if in.Campaign != "" {
		c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return view.IncidentPage{}, err
		}
		q.Campaign = c.ID
	}
	return a.View.Incidents(ctx, p.Tenant, q)
}

func (a *API) openIncident(ctx context.Context, p access.Principal, in *asked[OpenIncident]) (incident.Opened, error) {
	b := in.Body
	ask := incident.Open{
		Severity: procedure.Severity(b.Severity), Title: b.Title, What: b.What, Campaign: b.Campaign, Ring: b.Ring, Owner: b.Owner,
	}
	_, item, err := a.named(ctx, p, "", b.Patch)
	if err != nil {
		return incident.Opened{}, err
	}
	ask.Patch = item
	for _, name := range b.Devices {
		device, _, err := a.named(ctx, p, name, "")
		if err != nil {
			return incident.Opened{}, err
		}
		ask.Devices = append(ask.Devices, device)
	}
	if b.Alert != "" {
		ask.Origin, ask.OriginID, ask.Subject = core.Alert, b.Alert, incident.SubjectOfAlert(b.Alert)
	}
	if b.Feedback != "" {
		if err := a.ofFeedback(ctx, p, b.Feedback, &ask); err != nil {
			return incident.Opened{}, err
		}
	}
	return a.Incidents.Open(ctx, p.Tenant, p.Actor(), ask)
}

// ofFeedback makes the incident what somebody said on a device's page.
func (a *API) ofFeedback(ctx context.Context, p access.Principal, id string, ask *incident.Open) error {
	f, err := a.View.FeedbackOne(ctx, p.Tenant, id)
	if err != nil {
		return err
	}
	ask.Origin, ask.OriginID, ask.Campaign, ask.Devices = core.Feedback, f.ID, f.Campaign.ID, []fleet.DeviceID{f.Device.ID}
	if f.Patch != nil {
		ask.Patch = f.Patch.ID
	}
	if ask.What == "" {
		ask.What = f.Words
	}
	ask.Subject = incident.SubjectOfFeedback(f.Campaign.ID, ask.Patch)
	return nil
}
