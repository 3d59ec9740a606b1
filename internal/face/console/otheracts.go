package console

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
)

// deviceHoldForm is of one device in one of its open campaigns.
func (c *Console) deviceHoldForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	choice := ui.Field{Name: "campaign", Kind: ui.Select, Label: v.words.T("field.campaign"), Required: true}
	for _, in := range d.Campaigns {
		choice.Options = append(choice.Options, ui.Option{Value: in.ID, Label: in.Name})
	}
	if len(choice.Options) == 0 {
		return ui.Form{}, fault.New(fault.NothingToDo, "what", "no_open_campaign")
	}
	fm := v.blank("hold", d.Name, ui.Path("devices", d.ID))
	fm.Fields = []ui.Field{choice, v.why()}
	return fm, nil
}

func (c *Console) deviceHold(v visit) error {
	_, err := c.Acts.Hold(v.Context(), v.who.Tenant, v.who.Actor(), campaign.PlaceHold{
		Campaign: v.PostFormValue("campaign"), Device: fleet.DeviceID(v.PathValue("id")), Reason: v.PostFormValue("reason"),
	})
	return err
}

func (c *Console) retireForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("retire", d.Name, ui.Path("devices", d.ID))
	fm.Danger = true
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) retire(v visit) error {
	return c.Accounts.Retire(v.Context(), v.who, fleet.DeviceID(v.PathValue("id")), v.PostFormValue("reason"))
}

func (c *Console) allowRebootForm(v visit) (ui.Form, error) {
	d, err := c.device(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("allow_reboot", d.Name, ui.Path("devices", d.ID))
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) allowReboot(v visit) error {
	return c.Acts.AllowReboot(v.Context(), v.who.Tenant, v.who.Actor(), fleet.DeviceID(v.PathValue("id")), v.PostFormValue("reason"))
}

// verdictOf is the verdict of each verb of a decision.
var verdictOf = map[string]policy.Verdict{"approve": policy.Approved, "delay": policy.Delayed, "decline": policy.Declined}

// decideForm asks for a verdict on one exact patch or on every version of its
// name.
func decideForm(verb string) func(*Console, visit) (ui.Form, error) {
	return func(c *Console, v visit) (ui.Form, error) {
		p, err := c.patch(v)
		if err != nil {
			return ui.Form{}, err
		}
		fm := v.blank(verb, p.Name+" "+p.Version, ui.Path("patches", p.ID))
		fm.Danger = verb == "decline"
		fm.Fields = []ui.Field{{
			Name: "scope", Kind: ui.Choice, Label: v.words.T("field.scope"), Required: true, Value: "patch", Options: []ui.Option{
				{Value: "patch", Label: v.words.T("field.scope_patch", "version", p.Version)},
				{Value: "name", Label: v.words.T("field.scope_name", "name", p.Name)},
			},
		}}
		if verb != "approve" {
			fm.Fields = append(fm.Fields, ui.Field{
				Name: "until", Kind: ui.Date, Label: v.words.T("field.until"), Hint: v.words.T("act_" + verb + ".until_hint"), Required: verb == "delay",
			})
		}
		fm.Fields = append(fm.Fields, v.why())
		return fm, nil
	}
}

func decide(verb string) func(*Console, visit) error {
	return func(c *Console, v visit) error {
		if v.PostFormValue("reason") == "" {
			return fault.New(fault.ReasonRequired)
		}
		ask := campaign.Decide{Verdict: verdictOf[verb], Reason: v.PostFormValue("reason")}
		if text := v.PostFormValue("until"); text != "" && verb != "approve" {
			until, err := time.ParseInLocation("2006-01-02", text, v.words.Zone())
			if err != nil {
				return invalid("until", "not_a_date", "2026-01-31")
			}
			ask.Until = until
		}
		p, err := c.patch(v)
		if err != nil {
			return err
		}
		switch v.PostFormValue("scope") {
		case "patch":
			ask.Patch = patch.ID(p.ID)
		case "name":
			ask.Provider, ask.Name = p.Provider, p.Name
		default:
			return invalid("scope", "not_a_choice", "patch, name")
		}
		return c.Acts.Decide(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	}
}

// amendForm adds one patch to an open campaign.
func (c *Console) amendForm(v visit) (ui.Form, error) {
	p, err := c.patch(v)
	if err != nil {
		return ui.Form{}, err
	}
	list, err := c.Reader.Campaigns(v.Context(), v.viewer(), page.CampaignQuery{State: campaign.Running})
	if err != nil {
		return ui.Form{}, err
	}
	choice := ui.Field{Name: "campaign", Kind: ui.Select, Label: v.words.T("field.campaign"), Required: true}
	for _, one := range list.Campaigns {
		choice.Options = append(choice.Options, ui.Option{Value: one.ID, Label: one.Name})
	}
	if len(choice.Options) == 0 {
		return ui.Form{}, fault.New(fault.NothingToDo, "what", "no_open_campaign")
	}
	fm := v.blank("amend", p.Name+" "+p.Version, ui.Path("patches", p.ID))
	fm.Fields = []ui.Field{choice, v.why()}
	return fm, nil
}

func (c *Console) amend(v visit) error {
	_, err := c.Acts.Amend(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Amend{
		Campaign: v.PostFormValue("campaign"), Patches: []patch.ID{patch.ID(v.PathValue("id"))}, Reason: v.PostFormValue("reason"),
	})
	return err
}
