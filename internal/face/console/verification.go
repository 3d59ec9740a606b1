package console

import (
	"context"
	"mime"
	"strconv"

	"patchring/internal/core/campaign"
	"patchring/internal/core/document"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
	"patchring/internal/service/dossier"
)

// Dossiers hands documents out; dossier.Office does.
type Dossiers interface {
	Draft(ctx context.Context, tenant fleet.TenantID, campaign, language string, f document.Format) (dossier.File, error)
	Issued(ctx context.Context, tenant fleet.TenantID, campaign string, revision int64, f document.Format) (dossier.File, error)
	Issue(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask dossier.Issue) (view.Revision, error)
	Missing(ctx context.Context, tenant fleet.TenantID, q view.MissingQuery, language string) (dossier.File, error)
	Monthly(ctx context.Context, tenant fleet.TenantID, month string) (view.Monthly, error)
	MonthlyFile(ctx context.Context, tenant fleet.TenantID, month, language string, f document.Format) (dossier.File, error)
}

func (c *Console) verification(v visit) (page.Reached, error) {
	return c.Reader.Verification(v.Context(), v.viewer(), v.PathValue("id"), page.VerificationQuery{
		Bucket: v.FormValue("bucket"), By: v.FormValue("by"), Value: v.FormValue("value"), After: v.FormValue("after"),
	})
}

func (c *Console) month(v visit) (page.MonthReport, error) {
	m, err := c.Dossiers.Monthly(v.Context(), v.who.Tenant, v.FormValue("month"))
	return source.Month(m, v.viewer()), err
}

// document is a file that is always a download: what a page of it says must not
// run as one of ours.
func (c *Console) document(read func(visit) (dossier.File, error)) func(visit) {
	return func(v visit) {
		f, err := read(v)
		if err != nil {
			c.problem(v, err)
			return
		}
		h := v.w.Header()
		secure(h)
		h.Set("Content-Type", f.Type)
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
		h.Set("Content-Length", strconv.Itoa(len(f.Body)))
		if _, err := v.w.Write(f.Body); err != nil {
			c.Log.Debug("answer", "err", err)
		}
	}
}

func (c *Console) dossierFile(v visit) (dossier.File, error) {
	revision, err := whole(v.FormValue("revision"), "revision")
	if err != nil {
		return dossier.File{}, err
	}
	format := document.Format(orElse(v.FormValue("format"), string(document.PDF)))
	if revision > 0 {
		return c.Dossiers.Issued(v.Context(), v.who.Tenant, v.PathValue("id"), revision, format)
	}
	return c.Dossiers.Draft(v.Context(), v.who.Tenant, v.PathValue("id"), string(v.words.Lang()), format)
}

func (c *Console) missingFile(v visit) (dossier.File, error) {
	return c.Dossiers.Missing(v.Context(), v.who.Tenant, view.MissingQuery{
		Campaign: v.PathValue("id"), Bucket: v.FormValue("bucket"), By: v.FormValue("by"), Value: v.FormValue("value"),
	}, string(v.words.Lang()))
}

func (c *Console) monthFile(v visit) (dossier.File, error) {
	return c.Dossiers.MonthlyFile(v.Context(), v.who.Tenant, v.FormValue("month"), string(v.words.Lang()), document.Format(orElse(v.FormValue("format"), string(document.PDF))))
}

func (c *Console) verificationBack(v visit) string {
	return ui.Path("campaigns", v.PathValue("id"), "verification")
}

// signVerificationForm is the sign-off on the verification, for one role of the
// reader.
func (c *Console) signVerificationForm(v visit) (ui.Form, error) {
	if err := v.who.NeedRole(v.FormValue("role")); err != nil {
		return ui.Form{}, err
	}
	p, err := c.verification(v)
	if err != nil {
		return ui.Form{}, err
	}
	visa, err := visaOf(p.Visas, v.FormValue("role"))
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("sign_verification", p.Campaign.Name, c.verificationBack(v))
	fm.Title = v.words.T("act_sign_verification.title", "title", visa.Title)
	fm.Fields = append(v.carried("role"), v.ticks(visa)...)
	fm.Fields = append(fm.Fields, v.verdict("act_sign_verification")...)
	return fm, nil
}

func (c *Console) signVerification(v visit) error {
	ask, err := v.signed()
	if err != nil {
		return err
	}
	return c.Acts.SignVerification(v.Context(), v.who.Tenant, v.who.Actor(), ask)
}

func (c *Console) issueDossierForm(v visit) (ui.Form, error) {
	p, err := c.verification(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("issue_dossier", p.Campaign.Name, c.verificationBack(v))
	fm.Fields = []ui.Field{{Name: "reason", Kind: ui.Text, Label: v.words.T("paper.object"), Hint: v.words.T("act_issue_dossier.hint"), Required: true}}
	return fm, nil
}

func (c *Console) issueDossier(v visit) error {
	_, err := c.Dossiers.Issue(v.Context(), v.who.Tenant, v.who.Actor(), dossier.Issue{
		Campaign: v.PathValue("id"), Lang: string(v.words.Lang()), Reason: v.PostFormValue("reason"),
	})
	return err
}

// followUpForm asks what is to come of the missing devices. Filled in, it shows
// the plan, and asks for the yes.
func (c *Console) followUpForm(v visit) (ui.Form, error) {
	p, err := c.verification(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("follow_up", p.Campaign.Name, c.verificationBack(v))
	fm.Danger = true
	fm.Consequence = v.words.N("follow_up.missing", p.Total.Failed+p.Total.NotReached+p.Total.Unreachable)
	buckets := func(name, label string) ui.Field {
		fd := ui.Field{Name: name, Kind: ui.Ticks, Label: v.words.T(label), Values: v.Form[name]}
		for _, b := range view.MissingBuckets() {
			fd.Options = append(fd.Options, ui.Option{Value: b, Label: v.words.Word(lang.Bucket, b)})
		}
		return fd
	}
	fm.Fields = []ui.Field{
		{Name: "catch_up", Kind: ui.Ticks, Label: v.words.T("follow_up.catch_up_label"), Options: []ui.Option{{Value: "1", Label: v.words.T("follow_up.catch_up_option")}}},
		buckets("tasks", "follow_up.tasks_label"), buckets("exceptions", "follow_up.exceptions_label"),
		v.text("owner", "", false), {Name: "due", Kind: ui.Text, Label: v.words.T("field.due"), Hint: v.words.T("follow_up.due_hint")}, v.text("until", "", false), v.text("control", "", false),
		{Name: "reason", Kind: ui.Area, Label: v.words.T("field.reason"), Hint: v.words.T("field.reason_hint")},
	}
	if len(v.PostForm) == 0 {
		return fm, nil
	}
	ask, err := c.followUpAsk(v)
	var plan desk.FollowedUp
	if err == nil {
		ask.Plan = true
		plan, err = c.Desk.FollowUp(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	}
	switch {
	case err == nil:
	case fault.CanRetry(err):
		return ui.Form{}, err
	default: // the refusal of the act says it
		return fm, nil
	}
	fm.Consequence = v.words.FollowUp(followUpPlan(plan))
	fm.Fields = append(fm.Fields, ui.Field{Name: "confirm", Kind: ui.Ticks, Label: v.words.T("follow_up.confirm"), Options: []ui.Option{{Value: "1", Label: v.words.T("follow_up.confirm_option")}}})
	return fm, nil
}

func followUpPlan(f desk.FollowedUp) lang.FollowUpPlan {
	p := lang.FollowUpPlan{Missing: f.Missing, Tasks: f.Tasks.Make, KnownTasks: f.Tasks.Known, Exceptions: f.Exceptions.Make, KnownExceptions: f.Exceptions.Known, Patches: -1}
	if f.CatchUp != nil {
		p.Patches, p.Refused = f.CatchUp.Patches, f.CatchUp.Refused
	}
	return p
}

func (c *Console) followUpAsk(v visit) (desk.FollowUp, error) {
	ask := desk.FollowUp{
		Campaign: v.PathValue("id"), Reason: v.PostFormValue("reason"), CatchUp: v.PostFormValue("catch_up") == "1",
		Owner: v.PostFormValue("owner"), Due: v.PostFormValue("due"), Control: v.PostFormValue("control"), Until: v.PostFormValue("until"),
	}
	for _, b := range v.PostForm["tasks"] {
		ask.Tasks = append(ask.Tasks, campaign.Bucket(b))
	}
	for _, b := range v.PostForm["exceptions"] {
		ask.Except = append(ask.Except, campaign.Bucket(b))
	}
	for _, need := range []struct {
		asked bool
		act   access.Act
	}{{len(ask.Tasks) > 0, access.TaskAct}, {len(ask.Except) > 0, access.ExceptAct}} {
		if need.asked {
			if err := v.who.Need(need.act); err != nil {
				return ask, err
			}
		}
	}
	p, err := c.verification(v)
	ask.Words = func(bucket string, why fault.Reason) (string, string) {
		return v.words.MissedTask(p.Campaign.Name, bucket, why)
	}
	return ask, err
}

func (c *Console) followUp(v visit) error {
	ask, err := c.followUpAsk(v)
	if err != nil {
		return err
	}
	if ask.Plan = v.PostFormValue("confirm") != "1"; ask.Plan {
		if _, err := c.Desk.FollowUp(v.Context(), v.who.Tenant, v.who.Actor(), ask); err != nil {
			return err
		}
		return fault.New(fault.NotConfirmed)
	}
	_, err = c.Desk.FollowUp(v.Context(), v.who.Tenant, v.who.Actor(), ask)
	return err
}
