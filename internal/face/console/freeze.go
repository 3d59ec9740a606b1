package console

import (
	"strings"

	"patchring/internal/core/fleet"
	"patchring/internal/core/readiness"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/desk"
	"patchring/internal/service/rulebook"
)

// freezeForm is for whoever must stop everything tonight.
func (c *Console) freezeForm(v visit) (ui.Form, error) {
	fm := v.blank("freeze", "", "/calendar")
	fm.Danger = true
	fm.Fields = []ui.Field{
		{Name: "from", Kind: ui.Date, Label: v.words.T("field.freeze_from"), Hint: v.words.T("field.freeze_from_hint")},
		{Name: "to", Kind: ui.Date, Label: v.words.T("field.freeze_to"), Required: true},
		{Name: "at", Kind: ui.Time, Label: v.words.T("field.at"), Hint: v.words.T("field.at_hint", "zone", c.Zone.String())},
		v.why(),
		{Name: "devices", Kind: ui.Text, Label: v.words.T("field.freeze_devices"), Hint: v.words.T("field.freeze_devices_hint")},
		{Name: "name", Kind: ui.Text, Label: v.words.T("field.freeze_name"), Hint: v.words.T("field.freeze_name_hint")},
	}
	return fm, nil
}

func (c *Console) freeze(v visit) error {
	to := v.PostFormValue("to")
	if at := v.PostFormValue("at"); at != "" && to != "" {
		to += "T" + at
	}
	_, err := c.Rulebook.PlaceFreeze(v.Context(), v.who.Tenant, v.who.Actor(), rulebook.PlaceFreeze{
		Name: strings.TrimSpace(v.PostFormValue("name")), Devices: v.PostFormValue("devices"), From: v.PostFormValue("from"), To: to,
		Reason: v.PostFormValue("reason"),
	})
	return err
}

func (c *Console) endFreezeForm(v visit) (ui.Form, error) {
	fm := v.blank("end_freeze", v.PathValue("name"), "/calendar")
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) endFreeze(v visit) error {
	return c.Rulebook.EndFreeze(v.Context(), v.who.Tenant, v.who.Actor(), rulebook.EndFreeze{Name: v.PathValue("name"), Reason: v.PostFormValue("reason")})
}

// chosenFindings are those that were ticked; none: all of the list.
func chosenFindings(v visit) ([]desk.FindingOn, error) {
	var out []desk.FindingOn
	if v.FormValue("only") == "" {
		return nil, nil
	}
	for _, text := range v.Form["only"] {
		for _, one := range strings.Fields(text) {
			device, kind, ok := strings.Cut(one, "/")
			if !ok {
				return nil, invalid("only", "not_a_choice", "DEVICE/KIND")
			}
			out = append(out, desk.FindingOn{Device: fleet.DeviceID(device), Kind: readiness.Kind(kind)})
		}
	}
	return out, nil
}

// findingsForm asks whose tasks the findings become.
func (c *Console) findingsForm(v visit) (ui.Form, error) {
	only, err := chosenFindings(v)
	if err != nil {
		return ui.Form{}, err
	}
	subject := v.words.T("readiness.every_finding")
	if len(only) > 0 {
		subject = v.words.N("readiness.findings", int64(len(only)))
	}
	fm := v.blank("findings", subject, ui.With("/readiness", "campaign", v.FormValue("campaign"), "kind", v.FormValue("kind")))
	due := ui.Field{Name: "due", Kind: ui.Date, Label: v.words.T("field.due"), Required: v.FormValue("campaign") == ""}
	if v.FormValue("campaign") != "" {
		due.Hint = v.words.T("field.due_hint")
	}
	fm.Fields = append(v.carried("campaign", "kind"), v.text("owner", "task_owner_hint", true), v.text("escalate_to", "escalate_hint", false), due)
	if len(only) > 0 {
		fm.Fields = append(fm.Fields, hidden("only", strings.Join(v.Form["only"], " ")))
	}
	return fm, nil
}

func (c *Console) openFindings(v visit) error {
	only, err := chosenFindings(v)
	if err != nil {
		return err
	}
	made, err := c.Desk.OpenFindings(v.Context(), v.who.Tenant, v.who.Actor(), desk.OpenFindings{
		Campaign: v.PostFormValue("campaign"), Kind: readiness.Kind(v.PostFormValue("kind")), Only: only,
		Owner: v.PostFormValue("owner"), EscalateTo: v.PostFormValue("escalate_to"), Due: v.PostFormValue("due"), Words: v.words.FindingTask,
	})
	if err == nil {
		c.tell(v, "readiness.told", "opened", v.words.Number(int64(len(made.Opened))), "known", v.words.Number(int64(made.Known)))
	}
	return err
}
