package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"patchring/internal/core/alert"
	"patchring/internal/core/manifest"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/access"
	"patchring/internal/service/watch"
)

func (c *Console) alertRules(v visit) (page.AlertRules, error) {
	version, err := whole(v.FormValue("version"), "version")
	if err != nil {
		return page.AlertRules{}, err
	}
	now, err := c.Watch.Show(v.Context(), v.who.Tenant, version)
	if err != nil {
		return page.AlertRules{}, err
	}
	out := page.AlertRules{Name: now.Name, Version: now.Version, Text: now.Body}
	// A text this program cannot read any more is shown as text alone.
	if b, err := alert.Parse(now.Name, []byte(now.Body)); err == nil {
		out.Rules, out.Outputs = b.Rules, b.Outputs
	}
	list, err := c.Watch.Versions(v.Context(), v.who.Tenant)
	for _, one := range list {
		out.Versions = append(out.Versions, page.AlertVersion{PolicyVersion: page.PolicyVersion{Number: one.Version, Name: one.Name, By: one.By, At: one.At}})
	}
	return out, err
}

// alertFile is how problems name the editor's text.
const alertFile = "alerts.yaml"

// weighAlertRules does what a button of the editor says, and shows the editor
// again; only a confirmed text that is in force leaves it.
func (c *Console) weighAlertRules(v visit) {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxPolicyForm)
	if err := v.ParseForm(); err != nil {
		c.problem(v, invalid("form", "unreadable", ""))
		return
	}
	shown, err := c.alertRules(v)
	if err != nil {
		c.problem(v, err)
		return
	}
	shown.Text = strings.ReplaceAll(v.PostFormValue("text"), "\r\n", "\n")
	switch v.PostFormValue("do") {
	case "check":
		var checked watch.CheckedBook
		checked, err = c.Watch.Check(alertFile, []byte(shown.Text))
		shown.Sound, shown.Warnings = err == nil, checked.Warnings
	case "diff":
		err = c.diffAlertRules(v, &shown)
	case "apply", "confirm":
		var done bool
		if done, err = c.applyAlertRules(v, &shown); done {
			http.Redirect(v.w, v.Request, "/alerts/rules", http.StatusSeeOther)
			return
		}
	default:
		err = invalid("do", "not_a_choice", "check, diff, apply, confirm")
	}
	c.showAlertRules(v, shown, err)
}

func (c *Console) diffAlertRules(v visit, shown *page.AlertRules) error {
	diff, err := c.Watch.Diff(v.Context(), v.who.Tenant, alertFile, []byte(shown.Text))
	if err == nil {
		shown.Warnings, shown.Diff = diff.Warnings, &diff
	}
	return err
}

// applyAlertRules puts the text in force when it is the one whose changes were
// shown, against the version that is still in force, or when it is in force
// already; else it shows them and asks.
func (c *Console) applyAlertRules(v visit, shown *page.AlertRules) (done bool, err error) {
	if err := v.who.Need(access.AlertAct); err != nil {
		return false, err
	}
	if err := c.diffAlertRules(v, shown); err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(shown.Text))
	asked := page.PolicyConfirm{SHA256: hex.EncodeToString(sum[:]), Base: shown.Diff.Version}
	seen := v.PostFormValue("do") == "confirm" && v.PostFormValue("seen") == asked.SHA256 && v.PostFormValue("base") == strconv.FormatInt(asked.Base, 10)
	if !seen && !shown.Diff.Unchanged {
		shown.Confirm = &asked
		return false, nil
	}
	applied, err := c.Watch.Apply(v.Context(), v.who.Tenant, v.who.Actor(), alertFile, []byte(shown.Text))
	if err != nil {
		return false, err
	}
	key := "alert.applied"
	if applied.Unchanged {
		key = "alert.unchanged"
	}
	c.tell(v, key, "name", applied.Name, "version", v.words.Number(applied.Version))
	return true, nil
}

func (c *Console) showAlertRules(v visit, shown page.AlertRules, err error) {
	status := http.StatusOK
	var wrong *manifest.Error
	switch {
	case errors.As(err, &wrong):
		shown.Problems, status = wrong.Problems, http.StatusUnprocessableEntity
	case err != nil:
		c.problem(v, err)
		return
	}
	c.show(v, status, page.AlertRulesPage(c.frame(v, ui.Alerts, v.words.T("alerts.rules")), shown))
}
