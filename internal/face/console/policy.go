package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/source"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/access"
	"patchring/internal/service/rulebook"
)

// maxPolicyForm bounds what the editor sends: a text of half a mebibyte, of
// which each byte may be written as three.
const maxPolicyForm = 2 << 20

// policyFileName is how problems and the register name the editor's text.
const policyFileName = "policy.yaml"

func (c *Console) policy(v visit) (page.Policy, error) {
	version, err := whole(v.FormValue("version"), "version")
	if err != nil {
		return page.Policy{}, err
	}
	out, err := c.Reader.Policy(v.Context(), v.viewer(), version)
	if err != nil {
		return out, err
	}
	logo, err := c.Personal.Logo(v.Context(), v.who.Tenant)
	out.Logo = logo != nil
	return out, err
}

// starter is what a first policy begins with.
const starter = `policy: fleet
title: {fr: Parc, en: Fleet}
owner: DSI
timezone: Europe/Paris
max_exposure: 30d
rules:
  - {name: security, patches: 'patch.class == "security"', verdict: approve}
  - {name: quality, patches: 'patch.class == "quality"', verdict: delay 7d}
  - {name: previews, patches: 'patch.class == "preview"', verdict: delay 21d}
`

// policyEdit begins with the text in force, or with a version's.
func (c *Console) policyEdit(v visit) (page.PolicyEdit, error) {
	now, err := c.policy(v)
	if err != nil {
		return page.PolicyEdit{}, err
	}
	text := now.Text
	if text == "" {
		text = starter
	}
	return editor(text), nil
}

func editor(text string) page.PolicyEdit {
	return page.PolicyEdit{Text: text, Devices: policy.DeviceFields(), Patches: policy.PatchFields()}
}

// weighPolicy does what a button of the editor says, and shows the editor
// again; only a confirmed text that is in force leaves it.
func (c *Console) weighPolicy(v visit) {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxPolicyForm)
	if err := v.ParseForm(); err != nil {
		c.problem(v, invalid("form", "unreadable", ""))
		return
	}
	// Browsers send the ends of lines as CR LF; files have LF.
	e := editor(strings.ReplaceAll(v.PostFormValue("text"), "\r\n", "\n"))
	var err error
	switch v.PostFormValue("do") {
	case "check":
		err = c.checkPolicy(v, &e)
	case "diff":
		err = c.diffPolicy(v, &e)
	case "apply", "confirm":
		var done bool
		if done, err = c.applyPolicy(v, &e); done {
			http.Redirect(v.w, v.Request, "/policy", http.StatusSeeOther)
			return
		}
	default:
		err = invalid("do", "not_a_choice", "check, diff, apply, confirm")
	}
	c.showPolicyEdit(v, e, err)
}

func (c *Console) showPolicyEdit(v visit, e page.PolicyEdit, err error) {
	status := http.StatusOK
	var wrong *manifest.Error
	switch {
	case errors.As(err, &wrong):
		e.Problems, status = wrong.Problems, http.StatusUnprocessableEntity
	case err != nil && (statusOf(err) >= http.StatusInternalServerError || errors.Is(err, fault.New(fault.Forbidden))):
		c.problem(v, err)
		return
	case err != nil:
		e.Error, status = v.words.Error(err), statusOf(err)
	}
	c.show(v, status, page.PolicyEditPage(c.frame(v, ui.Policies, v.words.T("policy.edit")), e))
}

func (c *Console) checkPolicy(v visit, e *page.PolicyEdit) error {
	checked, err := c.Rulebook.Check(v.Context(), v.who.Tenant, policyFileName, []byte(e.Text))
	if err == nil {
		said(e, checked)
	}
	return err
}

func (c *Console) diffPolicy(v visit, e *page.PolicyEdit) error {
	diff, err := c.Rulebook.Diff(v.Context(), v.who.Tenant, policyFileName, []byte(e.Text))
	if err == nil {
		said(e, diff.Checked)
		e.Diff = source.Difference(diff)
	}
	return err
}

func said(e *page.PolicyEdit, checked rulebook.Checked) {
	e.Sound, e.Warnings, e.Starved = true, checked.Warnings, checked.Starved
}

// applyPolicy puts the text in force when it is the one whose consequences were
// shown, against the version that is still in force; else it shows them and
// asks.
func (c *Console) applyPolicy(v visit, e *page.PolicyEdit) (done bool, err error) {
	if err := v.who.Need(access.Policies); err != nil {
		return false, err
	}
	now, err := c.Reader.Policy(v.Context(), v.viewer(), 0)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(e.Text))
	asked := page.PolicyConfirm{SHA256: hex.EncodeToString(sum[:]), Base: now.Number}
	seen := v.PostFormValue("seen") == asked.SHA256 && v.PostFormValue("base") == strconv.FormatInt(asked.Base, 10)
	if v.PostFormValue("do") == "confirm" && seen {
		applied, err := c.Rulebook.Apply(v.Context(), v.who.Tenant, v.who.Actor(), policyFileName, []byte(e.Text))
		if err != nil {
			return false, err
		}
		key := "policy.applied"
		if applied.Unchanged {
			key = "policy.unchanged"
		}
		c.tell(v, key, "name", applied.Name, "version", strconv.FormatInt(applied.Version, 10))
		return true, nil
	}
	if err := c.diffPolicy(v, e); err != nil {
		return false, err
	}
	e.Confirm = &asked
	return false, nil
}
