package console

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
	"patchring/internal/service/desk"
)

func (c *Console) exceptions(v visit) (page.Exceptions, error) {
	return c.Reader.Exceptions(v.Context(), v.viewer(), page.ExceptionQuery{Which: orElse(v.FormValue("which"), page.ExceptionFilters[0]), After: v.FormValue("after")})
}

func (c *Console) tasks(v visit) (page.Tasks, error) {
	return c.Reader.Tasks(v.Context(), v.viewer(), page.TaskQuery{
		Which: orElse(v.FormValue("which"), page.TaskFilters[0]), Mine: v.FormValue("mine") == "1",
		Device: v.FormValue("device"), Campaign: v.FormValue("campaign"), After: v.FormValue("after"),
	})
}

func (c *Console) task(v visit) (page.Task, error) {
	t, err := c.Reader.Task(v.Context(), v.viewer(), v.PathValue("id"))
	t.Mine = err == nil && v.who.NeedTask(t.Owner, t.Whom) == nil
	return t, err
}

// proofFile hands out what was shown. A browser must neither run nor guess what
// a stranger has put there: it is always a download, of no kind.
func (c *Console) proofFile(v visit) {
	f, err := c.Reader.ProofFile(v.Context(), v.viewer(), v.PathValue("id"), v.PathValue("proof"))
	if err != nil {
		c.problem(v, err)
		return
	}
	h := v.w.Header()
	secure(h)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Length", strconv.Itoa(len(f.Bytes)))
	if _, err := v.w.Write(f.Bytes); err != nil {
		c.Log.Debug("answer", "err", err)
	}
}

func (v visit) text(name, hint string, needed bool) ui.Field {
	fd := ui.Field{Name: name, Kind: ui.Text, Label: v.words.T("field." + name), Required: needed, Value: v.FormValue(name)}
	if hint != "" {
		fd.Hint = v.words.T("field." + hint)
	}
	return fd
}

// patchFields ask which patch, and how much of it: one that the address names
// is not asked for again.
func (c *Console) patchFields(v visit) ([]ui.Field, string, error) {
	scope := func(exact, name string) ui.Field {
		return ui.Field{Name: "scope", Kind: ui.Choice, Label: v.words.T("field.scope"), Required: true, Value: "patch", Options: []ui.Option{
			{Value: "patch", Label: exact}, {Value: "name", Label: name},
		}}
	}
	id := v.URL.Query().Get("patch")
	if id == "" {
		return []ui.Field{v.text("patch", "patch_hint", false), scope(v.words.T("field.scope_exact"), v.words.T("field.scope_every"))}, "", nil
	}
	p, err := c.Reader.Patch(v.Context(), v.viewer(), id, page.PatchDeviceQuery{Which: page.Whiches[0]})
	if err != nil {
		return nil, "", err
	}
	return []ui.Field{hidden("patch", p.ID), scope(v.words.T("field.scope_patch", "version", p.Version), v.words.T("field.scope_name", "name", p.Name))}, p.Heading(), nil
}

// deviceField asks which device, unless the address names it.
func (c *Console) deviceField(v visit) (ui.Field, string, error) {
	id := v.URL.Query().Get("device")
	if id == "" {
		return v.text("device", "device_hint", false), "", nil
	}
	d, err := c.Reader.Device(v.Context(), v.viewer(), id)
	return hidden("device", d.ID), d.Name, err
}

func (c *Console) exceptForm(v visit) (ui.Form, error) {
	about, subject, err := c.patchFields(v)
	if err != nil {
		return ui.Form{}, err
	}
	where, name, err := c.deviceField(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("except", orElse(subject, name), "/exceptions")
	fm.Fields = append(about, where)
	if where.Kind != ui.Hidden {
		fm.Fields = append(fm.Fields, v.text("group", "group_hint", false))
	}
	fm.Fields = append(fm.Fields, v.text("owner", "owner_hint", true), v.why(),
		ui.Field{Name: "control", Kind: ui.Area, Label: v.words.T("field.control"), Hint: v.words.T("field.control_hint"), Required: true},
		ui.Field{Name: "until", Kind: ui.Date, Label: v.words.T("field.until"), Hint: v.words.T("field.until_hint", "zone", c.Zone.String()), Required: true},
		ui.Field{Name: "remind", Kind: ui.Text, Label: v.words.T("field.remind"), Hint: v.words.T("field.remind_hint"), Value: strconv.Itoa(desk.RemindDays), Required: true})
	return fm, nil
}

func (c *Console) except(v visit) error {
	id, err := c.patchNamed(v)
	if err != nil {
		return err
	}
	remind, err := whole(v.PostFormValue("remind"), "remind")
	if err != nil {
		return err
	}
	_, err = c.Desk.Grant(v.Context(), v.who.Tenant, v.who.Actor(), desk.Grant{
		Device: v.PostFormValue("device"), Group: v.PostFormValue("group"), Patch: id, Every: id != "" && v.PostFormValue("scope") == "name",
		Owner: v.PostFormValue("owner"), Reason: v.PostFormValue("reason"), Control: v.PostFormValue("control"),
		Until: v.PostFormValue("until"), Remind: int(remind),
	})
	return err
}

func (c *Console) patchNamed(v visit) (patch.ID, error) {
	named := v.PostFormValue("patch")
	if named == "" {
		return "", nil
	}
	return c.Reader.PatchID(v.Context(), v.viewer(), named)
}

func (c *Console) endExceptionForm(v visit) (ui.Form, error) {
	e, err := c.Reader.Exception(v.Context(), v.viewer(), v.PathValue("id"))
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("end_exception", e.Owner, "/exceptions")
	fm.Fields = []ui.Field{v.why()}
	return fm, nil
}

func (c *Console) endException(v visit) error {
	return c.Desk.End(v.Context(), v.who.Tenant, v.who.Actor(), v.PathValue("id"), v.PostFormValue("reason"))
}

func (c *Console) openTaskForm(v visit) (ui.Form, error) {
	where, subject, err := c.deviceField(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("open_task", subject, "/tasks")
	fm.Fields = []ui.Field{
		v.text("title", "", true), {Name: "what", Kind: ui.Area, Label: v.words.T("field.what")},
		v.text("owner", "task_owner_hint", true), v.text("escalate_to", "escalate_hint", false),
		{Name: "due", Kind: ui.Date, Label: v.words.T("field.due"), Required: true},
		{Name: "at", Kind: ui.Time, Label: v.words.T("field.at"), Hint: v.words.T("field.at_hint", "zone", c.Zone.String())},
		{Name: "proof", Kind: ui.Select, Label: v.words.T("col.proof"), Options: v.proofs(true)}, where, v.text("patch", "patch_hint", false),
	}
	if id := v.FormValue("campaign"); id != "" {
		b, err := c.Reader.Board(v.Context(), v.viewer(), id)
		if err != nil {
			return ui.Form{}, err
		}
		fm.Subject, fm.Back = subjectOf(v, b, ""), campaignBack(b)
		rings := ui.Field{Name: "ring", Kind: ui.Select, Label: v.words.T("field.ring"), Hint: v.words.T("field.ring_hint"), Options: []ui.Option{{Label: "—"}}, Value: v.FormValue("ring")}
		for _, r := range b.Rings {
			rings.Options = append(rings.Options, ui.Option{Value: r.Name, Label: r.Name})
		}
		fm.Fields = append(fm.Fields, rings, hidden("campaign", b.ID))
	}
	return fm, nil
}

// proofs are the choices of a proof; any, when the form leaves it open.
func (v visit) proofs(any bool) []ui.Option {
	var out []ui.Option
	if any {
		out = append(out, ui.Option{Label: v.words.T("task.any_proof")})
	}
	for _, p := range task.Proofs() {
		out = append(out, ui.Option{Value: string(p), Label: v.words.Word(lang.ProofKind, string(p))})
	}
	return out
}

func (c *Console) openTask(v visit) error {
	id, err := c.patchNamed(v)
	if err != nil {
		return err
	}
	due := v.PostFormValue("due")
	if at := v.PostFormValue("at"); at != "" {
		when, err := time.ParseInLocation("2006-01-02 15:04", due+" "+at, c.Zone)
		if err != nil {
			return invalid("due", "not_a_date", "2026-01-31 18:00")
		}
		due = when.Format(time.RFC3339)
	}
	_, err = c.Desk.Open(v.Context(), v.who.Tenant, v.who.Actor(), desk.Open{
		Title: v.PostFormValue("title"), What: v.PostFormValue("what"), Device: v.PostFormValue("device"), Campaign: v.PostFormValue("campaign"),
		Ring: v.PostFormValue("ring"), Patch: id, Owner: v.PostFormValue("owner"), EscalateTo: v.PostFormValue("escalate_to"),
		Proof: task.Proof(v.PostFormValue("proof")), Due: due,
	})
	return err
}

// closeTaskForm asks for the proof that the task wants, or for any of them.
func (c *Console) closeTaskForm(v visit) (ui.Form, error) {
	t, err := c.task(v)
	if err != nil {
		return ui.Form{}, err
	}
	if err := v.who.NeedTask(t.Owner, t.Whom); err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("close_task", t.Title, t.TaskPath())
	fm.Upload = true
	wants := func(p task.Proof) bool { return t.Proof == p || t.Proof == "" }
	if t.Proof == "" {
		fm.Fields = append(fm.Fields, ui.Field{Name: "proof", Kind: ui.Choice, Label: v.words.T("col.proof"), Required: true, Value: string(task.Text), Options: v.proofs(false)})
	} else {
		fm.Fields = append(fm.Fields, hidden("proof", string(t.Proof)))
	}
	needed := t.Proof != ""
	if wants(task.Text) {
		fm.Fields = append(fm.Fields, ui.Field{Name: "text", Kind: ui.Area, Label: v.words.T("field.text"), Required: needed})
	}
	if wants(task.Command) {
		fm.Fields = append(fm.Fields, v.text("command", "", needed), ui.Field{Name: "output", Kind: ui.Area, Label: v.words.T("field.output"), Required: needed})
	}
	if wants(task.File) {
		fm.Fields = append(fm.Fields, ui.Field{Name: "file", Kind: ui.File, Label: v.words.T("field.file"), Hint: v.words.T("field.file_hint"), Required: needed})
	}
	return fm, nil
}

func (c *Console) closeTask(v visit) error {
	t, err := c.task(v)
	if err != nil {
		return err
	}
	if err := v.who.NeedTask(t.Owner, t.Whom); err != nil {
		return err
	}
	show := desk.Show{
		Task: t.ID, Proof: task.Proof(v.PostFormValue("proof")), Text: v.PostFormValue("text"), Command: v.PostFormValue("command"), Output: v.PostFormValue("output"),
	}
	if show.Proof == task.File {
		if show.Name, show.File, err = v.uploaded("file"); err != nil {
			return err
		}
	}
	return c.Desk.Close(v.Context(), v.who.Tenant, v.who.Actor(), show)
}

// uploaded is a file of a form; nothing when none was chosen.
func (v visit) uploaded(name string) (string, []byte, error) {
	file, head, err := v.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, invalid(name, "unreadable", "")
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return "", nil, invalid(name, "unreadable", "")
	}
	return head.Filename, content, nil
}

func (c *Console) reopenTaskForm(v visit) (ui.Form, error) {
	t, err := c.task(v)
	if err != nil {
		return ui.Form{}, err
	}
	fm := v.blank("reopen_task", t.Title, t.TaskPath())
	fm.Fields = []ui.Field{v.why(), {Name: "due", Kind: ui.Date, Label: v.words.T("field.due"), Required: true}}
	return fm, nil
}

func (c *Console) reopenTask(v visit) error {
	return c.Desk.Reopen(v.Context(), v.who.Tenant, v.who.Actor(), desk.Reopen{Task: v.PathValue("id"), Reason: v.PostFormValue("reason"), Due: v.PostFormValue("due")})
}
