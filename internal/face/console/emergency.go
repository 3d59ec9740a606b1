package console

import (
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

// emergencyLengths are the windows that are offered, from now on.
var emergencyLengths = []time.Duration{4 * time.Hour, 12 * time.Hour, 48 * time.Hour}

// emergencyForm asks for an emergency: about a patch or what a campaign missed,
// when the address names one, else about a vulnerability or patches.
func (c *Console) emergencyForm(v visit) (ui.Form, error) {
	subject, fields, err := c.emergencyAbout(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("emergency", subject, "/campaigns")
	fm.Danger = true
	when := ui.Field{Name: "when", Kind: ui.Select, Label: v.words.T("act_emergency.when"), Hint: v.words.T("act_emergency.when_hint"), Options: []ui.Option{
		{Value: "", Label: v.words.T("act_emergency.windows")},
	}}
	for _, d := range emergencyLengths {
		when.Options = append(when.Options, ui.Option{Value: d.String(), Label: v.words.T("act_emergency.now", "length", v.words.Duration(d))})
	}
	fm.Fields = append(fields, when, ui.Field{
		Name: "freeze", Kind: ui.Ticks, Label: v.words.T("act_emergency.freeze"), Hint: v.words.T("act_emergency.freeze_hint"),
		Options: []ui.Option{{Value: "1", Label: v.words.T("act_emergency.through_freeze")}},
	}, v.why())
	return fm, nil
}

func (c *Console) emergencyAbout(v visit) (string, []ui.Field, error) {
	procedures, err := c.emergencyProcedures(v)
	if err != nil {
		return "", nil, err
	}
	switch {
	case v.FormValue("missed") != "":
		b, err := c.Reader.Board(v.Context(), v.viewer(), v.FormValue("missed"))
		if err != nil {
			return "", nil, err
		}
		return v.words.T("emergency.missed", "name", b.Name), v.carried("missed"), nil
	case v.FormValue("patch") != "":
		p, err := c.Reader.Patch(v.Context(), v.viewer(), v.FormValue("patch"), page.PatchDeviceQuery{Which: page.Whiches[0]})
		if err != nil {
			return "", nil, err
		}
		return p.Heading(), append(v.carried("patch"), procedures...), nil
	}
	return "", append([]ui.Field{
		{Name: "cve", Kind: ui.Text, Label: v.words.T("field.cve"), Hint: v.words.T("field.cve_hint"), Value: v.FormValue("cve")},
		{Name: "patches", Kind: ui.Area, Label: v.words.T("field.patches"), Hint: v.words.T("field.patches_hint")},
	}, procedures...), nil
}

// emergencyProcedures asks which procedure, where there are several.
func (c *Console) emergencyProcedures(v visit) ([]ui.Field, error) {
	list, err := c.Reader.Procedures(v.Context(), v.viewer())
	if err != nil || len(list.Procedures) < 2 {
		return nil, err
	}
	choice := ui.Field{Name: "procedure", Kind: ui.Select, Label: v.words.T("field.procedure"), Required: true}
	for _, p := range list.Procedures {
		choice.Options = append(choice.Options, ui.Option{Value: p.Name, Label: p.Title})
	}
	return []ui.Field{choice}, nil
}

func (c *Console) emergency(v visit) error {
	ask := campaign.StartEmergency{
		Procedure: v.PostFormValue("procedure"), CVE: strings.TrimSpace(v.PostFormValue("cve")), Missed: v.PostFormValue("missed"),
		Reason: v.PostFormValue("reason"), ThroughFreeze: v.PostFormValue("freeze") == "1",
	}
	if id := v.PostFormValue("patch"); id != "" {
		ask.Patches = []patch.ID{patch.ID(id)}
	}
	for line := range strings.Lines(v.PostFormValue("patches")) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		id, err := c.Reader.PatchID(v.Context(), v.viewer(), strings.TrimSpace(line))
		if err != nil {
			return err
		}
		ask.Patches = append(ask.Patches, id)
	}
	if when := v.PostFormValue("when"); when != "" {
		length, err := time.ParseDuration(when)
		if err != nil || length <= 0 {
			return invalid("when", "not_a_choice", "4h, 12h, 48h")
		}
		ask.Windows = []calendar.Interval{{Start: c.Clock(), End: c.Clock().Add(length)}}
	}
	id, err := c.Acts.StartEmergency(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	if err == nil {
		v.PostForm.Set("back", ui.Path("campaigns", string(id)))
	}
	return err
}

// approveForm is the sign-off on an emergency's start, for one role of the reader.
func (c *Console) approveForm(v visit) (ui.Form, error) {
	if err := v.who.NeedRole(v.FormValue("role")); err != nil {
		return ui.Form{}, err
	}
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	if b.Emergency == nil {
		return ui.Form{}, fault.New(fault.NotFound, "what", "sign_off", "name", b.Name)
	}
	visa, err := visaOf(b.Emergency.Visas, v.FormValue("role"))
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("approve_emergency", subjectOf(v, b, ""), campaignBack(b))
	fm.Title = v.words.T("act_approve_emergency.title", "title", visa.Title)
	fm.Danger = true
	fm.Fields = append(v.carried("role"), v.ticks(visa)...)
	fm.Fields = append(fm.Fields, v.verdict("act_approve_emergency")...)
	return fm, nil
}

func (c *Console) approveEmergency(v visit) error {
	ask, err := v.signed()
	if err != nil {
		return err
	}
	return c.Acts.Approve(v.Context(), v.who.Tenant, v.who.Actor(), ask)
}

func visaOf(visas []page.Visa, role string) (page.Visa, error) {
	for _, visa := range visas {
		if visa.Role == role {
			return visa, nil
		}
	}
	return page.Visa{}, fault.New(fault.NotFound, "what", "sign_off", "name", role)
}

// ticks asks which tests of a visa were done.
func (v visit) ticks(visa page.Visa) []ui.Field {
	if len(visa.Checklist) == 0 {
		return nil
	}
	tests := ui.Field{Name: "ticked", Kind: ui.Ticks, Label: v.words.T("act_sign.tests"), Hint: v.words.T("act_sign.tests_hint")}
	for i, text := range visa.Checklist {
		tests.Options = append(tests.Options, ui.Option{Value: strconv.Itoa(i), Label: text})
	}
	return []ui.Field{tests}
}

// verdict asks for a yes or a no, in an act's own words.
func (v visit) verdict(act string) []ui.Field {
	return []ui.Field{
		{Name: "decision", Kind: ui.Choice, Label: v.words.T("act_sign.decision"), Required: true, Options: []ui.Option{
			{Value: "yes", Label: v.words.T(act + ".yes")}, {Value: "no", Label: v.words.T(act + ".no")},
		}},
		{Name: "comment", Kind: ui.Area, Label: v.words.T("act_sign.comment"), Hint: v.words.T("act_sign.comment_hint")},
	}
}

// signed is the word that a form sends, if the reader may give it.
func (v visit) signed() (campaign.Sign, error) {
	ticked, err := indexes(v.PostForm["ticked"])
	if err != nil {
		return campaign.Sign{}, err
	}
	role, decision := v.PostFormValue("role"), v.PostFormValue("decision")
	if err := v.who.NeedRole(role); err != nil {
		return campaign.Sign{}, err
	}
	if decision != "yes" && decision != "no" {
		return campaign.Sign{}, invalid("decision", "not_a_choice", "yes, no")
	}
	if decision == "no" && v.PostFormValue("comment") == "" {
		return campaign.Sign{}, fault.New(fault.ReasonRequired)
	}
	return campaign.Sign{Campaign: v.PathValue("id"), Role: role, Yes: decision == "yes", Comment: v.PostFormValue("comment"), Ticked: ticked}, nil
}
