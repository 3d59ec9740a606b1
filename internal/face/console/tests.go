package console

import (
	"patchring/internal/core/procedure"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/checklist"
)

// tests are the reader's own unless all are asked for.
func (c *Console) tests(v visit) (page.Tests, error) {
	t, err := c.Reader.Tests(v.Context(), v.viewer(), "", v.FormValue("which") != "all")
	t.MayTick = v.mayTick
	return t, err
}

func (c *Console) campaignTests(v visit) (page.Tests, error) {
	t, err := c.Reader.Tests(v.Context(), v.viewer(), v.PathValue("id"), false)
	t.MayTick = v.mayTick
	return t, err
}

func (v visit) mayTick(assigned string) bool { return v.who.NeedTask(assigned) == nil }

// rule finds the test that the form is about, and refuses who may not tick it.
func (c *Console) rule(v visit) (procedure.TestRule, error) {
	rule, err := c.Tests.Rule(v.Context(), v.who.Tenant, v.PathValue("id"), v.FormValue("ring"), v.FormValue("test"))
	if err != nil {
		return rule, err
	}
	return rule, v.who.NeedTask(rule.Assigned)
}

// tickForm asks why something failed; that it is ok needs no form.
func (c *Console) tickForm(v visit) (ui.Form, error) {
	rule, err := c.rule(v)
	if err != nil {
		return ui.Form{}, err
	}
	item, err := whole(v.FormValue("item"), "item")
	if err != nil {
		return ui.Form{}, err
	}
	subject := rule.Title.In(string(v.words.Lang()))
	if n := int(item) - 1; n >= 0 && n < len(rule.Items) {
		subject += " · " + rule.Items[n].In(string(v.words.Lang()))
	}
	fm := v.blank("tick", subject, ui.Path("campaigns", v.PathValue("id"), "tests"))
	fm.Danger = true
	fm.Fields = append([]ui.Field{v.area("remark", "", true)}, v.carried("ring", "amendment", "test", "item")...)
	if rule.Severity == procedure.NoSeverity {
		severity := v.severities("")
		severity.Required, severity.Hint = false, v.words.T("field.test_severity")
		fm.Fields = append(fm.Fields, severity)
	}
	return fm, nil
}

func (c *Console) tick(v visit) error {
	if _, err := c.rule(v); err != nil {
		return err
	}
	amendment, err := v.amendment()
	if err != nil {
		return err
	}
	item, err := whole(v.FormValue("item"), "item")
	if err != nil {
		return err
	}
	_, err = c.Tests.Tick(v.Context(), v.who.Tenant, v.who.Actor(), checklist.Tick{
		Campaign: v.PathValue("id"), Amendment: amendment, Ring: v.FormValue("ring"), Test: v.FormValue("test"), Item: int(item) - 1,
		OK: v.PostFormValue("ok") == "1", Remark: v.PostFormValue("remark"), Severity: procedure.Severity(v.PostFormValue("severity")), Lang: string(v.words.Lang()),
	})
	return err
}
