package console

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/face/console/ui"
)

// signForm is the gate with its checklist, for one role of the reader.
func (c *Console) signForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	r, err := v.ringOf(b)
	if err != nil {
		return ui.Form{}, err
	}
	role := v.FormValue("role")
	if err := v.who.NeedRole(role); err != nil {
		return ui.Form{}, err
	}
	visa, err := visaOf(r.Visas, role)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("sign", subjectOf(v, b, r.Name), campaignBack(b))
	fm.Title = v.words.T("act_sign.title", "title", visa.Title)
	fm.Fields = append(v.carried("ring", "amendment", "role"), v.ticks(visa)...)
	fm.Fields = append(fm.Fields, v.verdict("act_sign")...)
	return fm, nil
}

func (c *Console) sign(v visit) error {
	number, err := v.amendment()
	if err != nil {
		return err
	}
	ask, err := v.signed()
	if err != nil {
		return err
	}
	ask.Amendment, ask.Ring = number, v.PostFormValue("ring")
	return c.Acts.Sign(v.Context(), v.who.Tenant, v.who.Actor(), ask)
}

// holdForm is of the campaign, of one of its rings or of one of its patches.
func (c *Console) holdForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("hold", subjectOf(v, b, v.FormValue("ring")), campaignBack(b))
	fm.Fields = append(v.carried("ring", "item"), v.why())
	return fm, nil
}

func (c *Console) hold(v visit) error {
	_, err := c.Acts.Hold(v.Context(), v.who.Tenant, v.who.Actor(), campaign.PlaceHold{
		Campaign: v.PathValue("id"), Ring: v.PostFormValue("ring"), Patch: patch.ID(v.PostFormValue("item")), Reason: v.PostFormValue("reason"),
	})
	return err
}

// evaluateForm asks the gates of a campaign; nothing is promoted by asking.
func (c *Console) evaluateForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	return v.blank("evaluate", subjectOf(v, b, ""), ui.Path("campaigns", b.ID, "evidence")), nil
}

func (c *Console) evaluate(v visit) error {
	_, err := c.Acts.Evaluate(v.Context(), v.who.Tenant, v.who.Actor(), v.PathValue("id"), "")
	return err
}

func (c *Console) resumeForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("resume", subjectOf(v, b, ""), campaignBack(b))
	for _, h := range b.Holds {
		if h.ID == v.FormValue("hold") {
			fm.Subject = v.words.T("act_resume.subject", "campaign", fm.Subject, "by", v.words.Actor(h.By), "reason", v.words.Given(h.Reason))
		}
	}
	fm.Fields = append(v.carried("hold"), v.why())
	return fm, nil
}

func (c *Console) resume(v visit) error {
	if v.PostFormValue("reason") == "" {
		return fault.New(fault.ReasonRequired)
	}
	_, err := c.Acts.Resume(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Resume{
		Campaign: v.PathValue("id"), Hold: v.PostFormValue("hold"), Reason: v.PostFormValue("reason"),
	})
	return err
}

func (c *Console) expediteForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	r, err := v.ringOf(b)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("expedite", subjectOf(v, b, r.Name), campaignBack(b))
	fm.Fields = append(v.carried("ring", "amendment"), v.why())
	return fm, nil
}

func (c *Console) expedite(v visit) error {
	number, err := v.amendment()
	if err != nil {
		return err
	}
	return c.Acts.Expedite(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Expedite{
		Campaign: v.PathValue("id"), Amendment: number, Ring: v.PostFormValue("ring"), Reason: v.PostFormValue("reason"),
	})
}

func (c *Console) withdrawForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	for _, it := range b.Content {
		if it.ID == v.FormValue("item") {
			fm := v.blank("withdraw", subjectOf(v, b, it.Name+" "+it.Version), campaignBack(b))
			fm.Danger = true
			fm.Fields = append(v.carried("item"), v.why())
			return fm, nil
		}
	}
	return ui.Form{}, fault.New(fault.NotFound, "what", "item", "name", v.FormValue("item"))
}

func (c *Console) withdraw(v visit) error {
	return c.Acts.Withdraw(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Withdraw{
		Campaign: v.PathValue("id"), Patch: patch.ID(v.PostFormValue("item")), Reason: v.PostFormValue("reason"),
	})
}

// rollbackForm says what a rollback would do, and what cannot go back, before
// anyone says yes.
func (c *Console) rollbackForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	ask, err := v.rollback()
	if err != nil {
		return ui.Form{}, err
	}
	plan, err := c.Acts.PlanRollback(v.Context(), v.who.Tenant, ask)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("rollback", subjectOf(v, b, ask.Ring), campaignBack(b))
	fm.Danger = true
	fm.Consequence = v.planWords(plan)
	fm.Fields = append(v.carried("ring", "device", "item"),
		ui.Field{Name: "when", Kind: ui.Select, Label: v.words.T("act_rollback.when"), Hint: v.words.T("act_rollback.when_hint"), Options: v.whenBack()},
		ui.Field{Name: "how", Kind: ui.Select, Label: v.words.T("act_rollback.how"), Options: []ui.Option{
			{Value: "", Label: v.words.T("act_rollback.together")},
			{Value: byRing, Label: v.words.T("act_rollback.by_ring")},
		}}, v.why())
	return fm, nil
}

// whenBack is when devices go back: in their windows, or at once.
func (v visit) whenBack() []ui.Option {
	return []ui.Option{
		{Value: "", Label: v.words.T("act_rollback.windows")},
		{Value: "1h", Label: v.words.T("act_rollback.now", "length", v.words.Duration(time.Hour))},
		{Value: "4h", Label: v.words.T("act_rollback.now", "length", v.words.Duration(4*time.Hour))},
	}
}

// emergency reads such a choice: a window from now on; zero: the devices' own.
func (v visit) emergency(field string) (time.Duration, error) {
	text := v.FormValue(field)
	if text == "" {
		return 0, nil
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < 0 {
		return 0, invalid(field, "not_a_choice", "1h, 4h")
	}
	return length, nil
}

const byRing = "by_ring"

// impossibleShown bounds the packages named; their number is told in full.
const impossibleShown = 5

func (v visit) planWords(plan campaign.RollbackPlan) string {
	out := v.words.N("act_rollback.plan", int64(plan.Devices), "items", v.words.Number(int64(plan.Items)))
	if plan.Expected > 0 {
		out += " " + v.words.T("act_rollback.expected", "length", v.words.Duration(plan.Expected))
	}
	if n := len(plan.Exceptions); n > 0 {
		var open []string
		for _, e := range plan.Exceptions[:min(impossibleShown, n)] {
			open = append(open, e.Name+" "+e.Version)
		}
		out += " " + v.words.N("act_rollback.exceptions", int64(n), "until", v.words.Moment(plan.Exceptions[0].Until), "names", v.words.List(open))
	}
	if len(plan.Impossible) == 0 {
		return out
	}
	var names []string
	for _, i := range plan.Impossible[:min(impossibleShown, len(plan.Impossible))] {
		names = append(names, i.Name+" ("+i.Package+")")
	}
	return out + " " + v.words.N("act_rollback.impossible", int64(len(plan.Impossible)), "names", v.words.List(names))
}

func (v visit) rollback() (campaign.Rollback, error) {
	ask := campaign.Rollback{
		Campaign: v.PathValue("id"), Ring: v.FormValue("ring"), Device: fleet.DeviceID(v.FormValue("device")),
		Patch: patch.ID(v.FormValue("item")), Reason: v.FormValue("reason"), ByRing: v.FormValue("how") == byRing,
	}
	if how := v.FormValue("how"); how != "" && how != byRing {
		return ask, invalid("how", "not_a_choice", byRing)
	}
	var err error
	ask.Now, err = v.emergency("when")
	return ask, err
}

func (c *Console) rollback(v visit) error {
	ask, err := v.rollback()
	if err != nil {
		return err
	}
	_, err = c.Acts.Rollback(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	return err
}

func (c *Console) closeForm(v visit) (ui.Form, error) {
	b, err := c.board(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("close", subjectOf(v, b, ""), campaignBack(b))
	fm.Danger = true
	total := b.Total()
	fm.Consequence = v.words.T("act_close.consequence", "n", v.words.Number(int64(total.NotReached+total.Unreachable)))
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) close(v visit) error {
	if v.PostFormValue("reason") == "" {
		return fault.New(fault.ReasonRequired)
	}
	return c.Acts.Close(v.Context(), v.who.Tenant, v.who.Actor(), campaign.Close{
		Campaign: v.PathValue("id"), Reason: v.PostFormValue("reason"),
	})
}
