package console

import (
	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	core "patchring/internal/core/incident"
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/incident"
)

func (c *Console) incidents(v visit) (page.Incidents, error) {
	return c.Reader.Incidents(v.Context(), v.viewer(), page.IncidentQuery{
		Which: orElse(v.FormValue("which"), page.IncidentFilters[0]), Campaign: v.FormValue("campaign"), Device: v.FormValue("device"), After: v.FormValue("after"),
	})
}

func (c *Console) incident(v visit) (page.Incident, error) {
	return c.Reader.Incident(v.Context(), v.viewer(), v.PathValue("id"))
}

func (c *Console) feedbackOne(v visit) (page.FeedbackOne, error) {
	return c.Reader.FeedbackDetail(v.Context(), v.viewer(), v.PathValue("id"))
}

func (v visit) severities(value string) ui.Field {
	fd := ui.Field{Name: "severity", Kind: ui.Choice, Label: v.words.T("col.severity"), Required: true, Value: value}
	for _, s := range procedure.Severities() {
		fd.Options = append(fd.Options, ui.Option{Value: string(s), Label: v.words.Word(lang.Severity, string(s))})
	}
	return fd
}

func (v visit) area(name, hint string, needed bool) ui.Field {
	fd := v.text(name, hint, needed)
	fd.Kind = ui.Area
	return fd
}

// incidentForm asks for what the address does not say: from the board, a
// device, a failed test or what somebody said.
func (c *Console) incidentForm(v visit) (ui.Form, error) {
	fm := v.blank("incident", "", "/incidents")
	what, severity := v.area("what", "incident_what", true), v.severities("")
	if id := v.FormValue("feedback"); id != "" {
		f, err := c.Reader.FeedbackDetail(v.Context(), v.viewer(), id)
		if err != nil {
			return ui.Form{}, err
		}
		fm.Subject, fm.Back = f.FeedbackLine.Heading(), "/feedback"
		what.Value = orElse(what.Value, f.FeedbackLine.Words)
		fm.Fields = []ui.Field{what, severity, v.text("owner", "incident_owner_hint", false), hidden("feedback", id)}
		return fm, nil
	}
	where, name, err := c.deviceField(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm.Subject = name
	fm.Fields = []ui.Field{what, severity, where, v.text("patch", "patch_hint", false), v.text("owner", "incident_owner_hint", false)}
	if id := v.FormValue("campaign"); id != "" {
		b, err := c.Reader.Board(v.Context(), v.viewer(), id)
		if err != nil {
			return ui.Form{}, err
		}
		fm.Subject, fm.Back = subjectOf(v, b, ""), campaignBack(b)
		rings := ui.Field{Name: "ring", Kind: ui.Select, Label: v.words.T("field.ring"), Hint: v.words.T("field.incident_ring"), Options: []ui.Option{{Label: "—"}}, Value: v.FormValue("ring")}
		for _, r := range b.Rings {
			rings.Options = append(rings.Options, ui.Option{Value: r.Name, Label: r.Name})
		}
		fm.Fields = append(fm.Fields, rings, hidden("campaign", b.ID))
	} else {
		fm.Fields = append(fm.Fields, v.text("campaign", "incident_campaign", false))
	}
	return fm, nil
}

// openIncident tells by itself what the campaign did.
func (c *Console) openIncident(v visit) error {
	id, err := c.patchNamed(v)
	if err != nil {
		return err
	}
	ask := incident.Open{
		Severity: procedure.Severity(v.PostFormValue("severity")), What: v.PostFormValue("what"), Campaign: v.PostFormValue("campaign"), Ring: v.PostFormValue("ring"),
		Patch: id, Owner: v.PostFormValue("owner"),
	}
	if device := v.PostFormValue("device"); device != "" {
		d, err := c.Reader.Device(v.Context(), v.viewer(), device)
		if err != nil {
			return err
		}
		ask.Devices = []fleet.DeviceID{fleet.DeviceID(d.ID)}
	}
	if said := v.PostFormValue("feedback"); said != "" {
		f, err := c.Reader.FeedbackDetail(v.Context(), v.viewer(), said)
		if err != nil {
			return err
		}
		ask.Origin, ask.OriginID, ask.Campaign, ask.Patch = core.Feedback, said, f.FeedbackLine.Campaign, page.PatchOf(f)
		ask.Devices = []fleet.DeviceID{fleet.DeviceID(f.FeedbackLine.Device)}
		ask.Subject = incident.SubjectOfFeedback(ask.Campaign, ask.Patch)
	}
	opened, err := c.Incidents.Open(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	if err != nil {
		return err
	}
	done := "done.incident_recorded"
	switch opened.Response {
	case campaign.PlacesHold:
		done = "done.incident_hold"
	case campaign.RollsBackAll:
		done = "done.incident_rollback"
	}
	if opened.Joined {
		done = "done.incident_joined"
	}
	c.tell(v, done)
	return nil
}

func (c *Console) noteIncidentForm(v visit) (ui.Form, error) {
	i, err := c.incident(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("note_incident", i.Title, i.IncidentPath())
	fm.Fields = []ui.Field{v.area("text", "", true)}
	if i.State != core.Closed {
		fm.Fields = append(fm.Fields, v.severities(string(i.Severity)), v.text("owner", "incident_owner_hint", false))
	}
	return fm, nil
}

func (c *Console) noteIncident(v visit) error {
	return c.Incidents.Do(v.Context(), v.who.Tenant, v.who.Actor(), incident.Do{
		Incident: v.PathValue("id"), Say: core.Say{Act: core.Note, Text: v.PostFormValue("text")},
		Severity: procedure.Severity(v.PostFormValue("severity")), Owner: v.PostFormValue("owner"),
	})
}

// correctsForm asks for what is not written yet, beside what is.
func correctsForm(verb string) func(*Console, visit) (ui.Form, error) {
	return func(c *Console, v visit) (ui.Form, error) {
		i, err := c.incident(v)
		if err != nil {
			return ui.Form{}, err
		}
		fm := v.blank(verb, i.Title, i.IncidentPath())
		cause, correction := v.area("cause", "", true), v.area("correction", "", true)
		cause.Value, correction.Value = i.Cause, i.Correction
		fm.Fields = []ui.Field{cause, correction}
		return fm, nil
	}
}

func corrects(act core.Act) func(*Console, visit) error {
	return func(c *Console, v visit) error {
		return c.Incidents.Do(v.Context(), v.who.Tenant, v.who.Actor(), incident.Do{
			Incident: v.PathValue("id"), Say: core.Say{Act: act, Cause: v.PostFormValue("cause"), Correction: v.PostFormValue("correction")},
		})
	}
}

func (c *Console) reopenIncidentForm(v visit) (ui.Form, error) {
	i, err := c.incident(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("reopen_incident", i.Title, i.IncidentPath())
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) reopenIncident(v visit) error {
	return c.Incidents.Do(v.Context(), v.who.Tenant, v.who.Actor(), incident.Do{
		Incident: v.PathValue("id"), Say: core.Say{Act: core.Reopen, Text: v.PostFormValue("reason")},
	})
}

func (c *Console) retryTicketForm(v visit) (ui.Form, error) {
	return v.blank("retry_ticket", "", "/incidents"), nil
}

func (c *Console) retryTicket(v visit) error {
	return c.Tickets.Retry(v.Context(), v.who.Tenant, v.PathValue("id"))
}
