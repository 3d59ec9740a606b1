package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"patchring/internal/core/fault"
	"patchring/internal/core/incident"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
)

// act is one thing a person can do: what it needs, its form, and the doing.
// The form is a page of its own, so that it works without script and can be
// linked to; with script it comes up in a dialog.
type act struct {
	need access.Act // empty: the act checks a role itself
	done string     // key of what is told after; empty: the act tells by itself
	form func(*Console, visit) (ui.Form, error)
	do   func(*Console, visit) error
}

// acts are all addresses one can act at.
func acts() map[string]act {
	return map[string]act{
		"/campaigns/{id}/sign":              {"", "done.sign", (*Console).signForm, (*Console).sign},
		"/campaigns/emergency":              {access.RunAct, "done.emergency", (*Console).emergencyForm, (*Console).emergency},
		"/campaigns/{id}/approve":           {"", "done.sign", (*Console).approveForm, (*Console).approveEmergency},
		"/campaigns/{id}/evaluate":          {access.RunAct, "done.evaluate", (*Console).evaluateForm, (*Console).evaluate},
		"/campaigns/{id}/hold":              {access.RunAct, "done.hold", (*Console).holdForm, (*Console).hold},
		"/campaigns/{id}/resume":            {access.RunAct, "done.resume", (*Console).resumeForm, (*Console).resume},
		"/campaigns/{id}/expedite":          {access.RunAct, "done.expedite", (*Console).expediteForm, (*Console).expedite},
		"/campaigns/{id}/withdraw":          {access.RunAct, "done.withdraw", (*Console).withdrawForm, (*Console).withdraw},
		"/campaigns/{id}/rollback":          {access.RunAct, "done.rollback", (*Console).rollbackForm, (*Console).rollback},
		"/campaigns/{id}/close":             {access.RunAct, "done.close", (*Console).closeForm, (*Console).close},
		"/devices/{id}/hold":                {access.RunAct, "done.hold", (*Console).deviceHoldForm, (*Console).deviceHold},
		"/devices/{id}/ring":                {access.RunAct, "done.move", (*Console).moveForm, (*Console).move},
		"/devices/{id}/describe":            {access.FleetAct, "", (*Console).describeForm, (*Console).describe},
		"/devices/{id}/allow-reboot":        {access.FleetAct, "done.allow_reboot", (*Console).allowRebootForm, (*Console).allowReboot},
		"/devices/{id}/retire":              {access.FleetAct, "done.retire", (*Console).retireForm, (*Console).retire},
		"/patches/{id}/approve":             {access.DecideAct, "done.decide", decideForm("approve"), decide("approve")},
		"/patches/{id}/delay":               {access.DecideAct, "done.decide", decideForm("delay"), decide("delay")},
		"/patches/{id}/decline":             {access.DecideAct, "done.decide", decideForm("decline"), decide("decline")},
		"/exceptions/new":                   {access.ExceptAct, "done.except", (*Console).exceptForm, (*Console).except},
		"/exceptions/{id}/end":              {access.ExceptAct, "done.end_exception", (*Console).endExceptionForm, (*Console).endException},
		"/clean-ups/approve":                {access.FleetAct, "done.approve_clean_up", (*Console).approveCleanUpForm, (*Console).approveCleanUp},
		"/clean-ups/revoke":                 {access.FleetAct, "done.revoke_clean_up", (*Console).revokeCleanUpForm, (*Console).revokeCleanUp},
		"/incidents/new":                    {access.Incidents, "", (*Console).incidentForm, (*Console).openIncident},
		"/incidents/{id}/note":              {access.Incidents, "done.note_incident", (*Console).noteIncidentForm, (*Console).noteIncident},
		"/incidents/{id}/correct":           {access.Incidents, "done.correct_incident", correctsForm("correct_incident"), corrects(incident.Correct)},
		"/incidents/{id}/close":             {access.Incidents, "done.close_incident", correctsForm("close_incident"), corrects(incident.Close)},
		"/incidents/{id}/reopen":            {access.Incidents, "done.reopen_incident", (*Console).reopenIncidentForm, (*Console).reopenIncident},
		"/campaigns/{id}/tick":              {"", "done.tick", (*Console).tickForm, (*Console).tick},
		"/tickets/{id}/retry":               {access.Incidents, "done.retry_ticket", (*Console).retryTicketForm, (*Console).retryTicket},
		"/tasks/new":                        {access.TaskAct, "done.open_task", (*Console).openTaskForm, (*Console).openTask},
		"/tasks/{id}/close":                 {"", "done.close_task", (*Console).closeTaskForm, (*Console).closeTask},
		"/tasks/{id}/reopen":                {access.TaskAct, "done.reopen_task", (*Console).reopenTaskForm, (*Console).reopenTask},
		"/devices/{id}/page/revoke":         {access.FleetAct, "done.revoke_links", (*Console).revokeLinksForm, (*Console).revokeLinks},
		"/feedback/{id}/close":              {access.TaskAct, "done.close_feedback", (*Console).closeFeedbackForm, (*Console).closeFeedback},
		"/policy/logo":                      {access.Policies, "done.logo", (*Console).logoForm, (*Console).setLogo},
		"/policy/logo/remove":               {access.Policies, "done.remove_logo", (*Console).removeLogoForm, (*Console).removeLogo},
		"/freezes/new":                      {access.FreezeAct, "done.freeze", (*Console).freezeForm, (*Console).freeze},
		"/freezes/{name}/end":               {access.FreezeAct, "done.end_freeze", (*Console).endFreezeForm, (*Console).endFreeze},
		"/readiness/tasks":                  {access.TaskAct, "", (*Console).findingsForm, (*Console).openFindings},
		"/alerts/{id}/acknowledge":          {"", "done.acknowledge", (*Console).acknowledgeForm, (*Console).acknowledge},
		"/alerts/{id}/silence":              {access.AlertAct, "done.silence", (*Console).silenceForm, (*Console).silence},
		"/alerts/{id}/act":                  {access.RunAct, "done.alert", (*Console).alertActForm, (*Console).alertAct},
		"/alert-silences/{id}/end":          {access.AlertAct, "done.end_silence", simple("end_silence", "/alerts"), (*Console).endSilence},
		"/alert-deliveries/{id}/retry":      {access.AlertAct, "done.retry_delivery", simple("retry_delivery", "/alerts"), (*Console).retryDelivery},
		"/alert-deliveries/{id}/dismiss":    {access.AlertAct, "done.dismiss_delivery", simple("dismiss_delivery", "/alerts"), (*Console).dismissDelivery},
		"/alerts/outputs/{id}/test":         {access.AlertAct, "", simple("test_output", "/alerts/rules"), (*Console).testOutput},
		"/alerts/feeds/new":                 {access.AlertAct, "done.make_feed", (*Console).makeFeedForm, (*Console).makeFeed},
		"/alerts/feeds/{id}/revoke":         {access.AlertAct, "done.revoke_feed", simple("revoke_feed", "/alerts/feeds"), (*Console).revokeFeed},
		"/patches/{id}/amend":               {access.RunAct, "done.amend", (*Console).amendForm, (*Console).amend},
		"/procedures/{name}/pilots/apply":   {access.FleetAct, "done.pilots", (*Console).pilotsForm, (*Console).givePilots},
		"/campaigns/{id}/verification/sign": {"", "done.sign", (*Console).signVerificationForm, (*Console).signVerification},
		"/campaigns/{id}/dossier/issue":     {access.RunAct, "done.issue_dossier", (*Console).issueDossierForm, (*Console).issueDossier},
		"/campaigns/{id}/follow-up":         {access.RunAct, "done.follow_up", (*Console).followUpForm, (*Console).followUp},
	}
}

func (c *Console) allowed(v visit, a act) bool {
	if a.need == "" {
		return true
	}
	if err := v.who.Need(a.need); err != nil {
		c.problem(v, err)
		return false
	}
	return true
}

// ask shows the form of an act.
func (c *Console) ask(a act) func(visit) {
	return func(v visit) {
		if !c.allowed(v, a) {
			return
		}
		fm, err := a.form(c, v)
		if err != nil {
			c.problem(v, err)
			return
		}
		c.form(v, http.StatusOK, fm)
	}
}

// do acts, and goes back to where the act was asked from. A refusal shows the
// form again with what was filled in and why not; an outage does not pretend
// to be one.
func (c *Console) do(a act) func(visit) {
	return func(v visit) {
		if err := v.parse(); err != nil {
			c.problem(v, err)
			return
		}
		if !c.allowed(v, a) {
			return
		}
		refused := a.do(c, v)
		if refused != nil && statusOf(refused) >= http.StatusInternalServerError {
			c.problem(v, refused)
			return
		}
		if refused == nil {
			if a.done != "" {
				c.tell(v, a.done)
			}
			http.Redirect(v.w, v.Request, local(v.PostFormValue("back"), "/"), http.StatusSeeOther)
			return
		}
		fm, err := a.form(c, v)
		if err != nil {
			c.problem(v, refused)
			return
		}
		fm.Error = v.words.Error(refused)
		c.form(v, http.StatusUnprocessableEntity, filled(fm, v.PostForm))
	}
}

// maxUpload bounds a form with a proof's file.
const maxUpload = desk.MaxFile + maxForm

// parse reads what a form sends, files and all.
func (v visit) parse() error {
	most, read := int64(maxForm), v.ParseForm
	if strings.HasPrefix(v.Header.Get("Content-Type"), "multipart/") {
		most, read = maxUpload, func() error { return v.ParseMultipartForm(maxUpload) }
	}
	v.Body = http.MaxBytesReader(v.w, v.Body, most)
	err := read()
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return invalid("form", "too_long", "≤ 1 MiB")
	default:
		return invalid("form", "unreadable", "")
	}
}

func (c *Console) form(v visit, status int, fm ui.Form) {
	fm.Back = local(v.FormValue("back"), fm.Back)
	fm.Action = v.URL.Path
	fm.Fields = append(fm.Fields, hidden("back", fm.Back))
	c.show(v, status, page.ActPage(c.frame(v, ui.NoSection, fm.Title), fm))
}

// filled puts what was sent into the form again.
func filled(fm ui.Form, sent url.Values) ui.Form {
	for i, fd := range fm.Fields {
		if fd.Kind == ui.Ticks {
			fm.Fields[i].Values = sent[fd.Name]
		} else if sent.Has(fd.Name) {
			fm.Fields[i].Value = sent.Get(fd.Name)
		}
	}
	return fm
}

// blank is the beginning of an act's form: its title, what follows from it,
// and the word on its button.
func (v visit) blank(verb, subject, back string) ui.Form {
	return ui.Form{
		Title: v.words.T("act_" + verb + ".title"), Subject: subject, Consequence: v.words.T("act_" + verb + ".consequence"),
		Submit: v.words.T("act_" + verb + ".open"), Back: back,
	}
}

func hidden(name, value string) ui.Field { return ui.Field{Name: name, Kind: ui.Hidden, Value: value} }

// carried hands on what the address of a form says.
func (v visit) carried(names ...string) []ui.Field {
	var out []ui.Field
	for _, name := range names {
		if value := v.FormValue(name); value != "" {
			out = append(out, hidden(name, value))
		}
	}
	return out
}

func (v visit) why() ui.Field {
	return ui.Field{Name: "reason", Kind: ui.Area, Label: v.words.T("field.reason"), Hint: v.words.T("field.reason_hint"), Required: true}
}

func (v visit) amendment() (int, error) {
	n, err := whole(v.FormValue("amendment"), "amendment")
	return int(n), err
}

// ringOf finds the ring a form speaks of.
func (v visit) ringOf(b page.Board) (page.Ring, error) {
	number, err := v.amendment()
	if err != nil {
		return page.Ring{}, err
	}
	rings := b.Rings
	for _, a := range b.Amendments {
		if a.Number == int64(number) {
			rings = a.Rings
		}
	}
	for _, r := range rings {
		if r.Name == v.FormValue("ring") && r.Amendment == int64(number) {
			return r, nil
		}
	}
	return page.Ring{}, fault.New(fault.NotFound, "what", "ring", "name", v.FormValue("ring"))
}

func subjectOf(v visit, b page.Board, ring string) string {
	name := v.words.T("board.title", "name", b.Name)
	if ring == "" {
		return name
	}
	return name + " · " + ring
}

func campaignBack(b page.Board) string { return ui.Path("campaigns", b.ID) }

func indexes(texts []string) ([]int, error) {
	var out []int
	for _, t := range texts {
		n, err := strconv.Atoi(t)
		if err != nil || n < 0 {
			return nil, invalid("ticked", "not_a_number", "0")
		}
		out = append(out, n)
	}
	return out, nil
}
