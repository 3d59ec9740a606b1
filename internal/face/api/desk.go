package api

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"patchring/internal/core/task"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
	"patchring/internal/service/desk"
)

// GrantException leaves something out on purpose: what fits every one of patch
// (or provider and name), device and group that is given.
type GrantException struct {
	Patch        string `json:"patch,omitempty" maxLength:"300" doc:"id, name and version, or a name of which one version is missing"`
	EveryVersion bool   `json:"every_version,omitempty" doc:"every version of the patch's name"`
	Provider     string `json:"provider,omitempty" maxLength:"50" doc:"with name, in place of patch"`
	Name         string `json:"name,omitempty" maxLength:"200" doc:"every version of it, also when none is known yet"`
	Device       string `json:"device,omitempty" maxLength:"260" doc:"id, or a name that only one device has"`
	Group        string `json:"group,omitempty" maxLength:"64"`
	Owner        string `json:"owner,omitempty" maxLength:"800" doc:"who answers for it; needed"`
	Reason       string `json:"reason,omitempty" maxLength:"4000" doc:"needed"`
	Control      string `json:"control,omitempty" maxLength:"4000" doc:"the compensating control: what protects meanwhile; needed"`
	Until        string `json:"until,omitempty" maxLength:"40" doc:"needed: an instant (RFC 3339), or a date, which means the end of that day in the site's zone; at most 366 days ahead"`
	RemindDays   int    `json:"remind_days,omitempty" doc:"how many days before its end it is announced; 14 when not given"`
}

// EndException ends one before its time.
type EndException struct {
	Reason string `json:"reason" maxLength:"4000"`
}

// ExceptionList are the parameters of the list of exceptions.
type ExceptionList struct {
	Paged
	Which string `query:"which" enum:"in_force,expiring,ended"`
}

// OneException names an exception.
type OneException struct {
	Exception string `path:"exception" maxLength:"100"`
}

// OpenTask opens a manual task.
type OpenTask struct {
	Title         string     `json:"title,omitempty" maxLength:"800" doc:"needed"`
	What          string     `json:"what,omitempty" maxLength:"16000" doc:"what to do"`
	Device        string     `json:"device,omitempty" maxLength:"260" doc:"id, or a name that only one device has"`
	Campaign      string     `json:"campaign,omitempty" maxLength:"100" doc:"name or id"`
	Ring          string     `json:"ring,omitempty" maxLength:"63" doc:"of the campaign; its gate waits for the task"`
	Patch         string     `json:"patch,omitempty" maxLength:"300" doc:"id, name and version, or a name of which one version is missing"`
	Owner         string     `json:"owner,omitempty" maxLength:"800" doc:"an account's name or a role; needed"`
	EscalateTo    string     `json:"escalate_to,omitempty" maxLength:"800" doc:"an account's name or a role"`
	EscalateAfter int        `json:"escalate_after,omitempty" doc:"reminders that its owner lets pass from the due instant on, one a day; 2 when not given"`
	Proof         task.Proof `json:"proof,omitempty" maxLength:"20" doc:"text, file, command or rescan; any when not given"`
	Due           string     `json:"due,omitempty" maxLength:"40" doc:"needed: an instant (RFC 3339), or a date, which means the end of that day in the site's zone"`
}

// CloseTask closes a task on what is shown.
type CloseTask struct {
	Proof    task.Proof `json:"proof,omitempty" maxLength:"20" doc:"text, file, command or rescan"`
	Text     string     `json:"text,omitempty" maxLength:"16000"`
	Command  string     `json:"command,omitempty" maxLength:"4000"`
	Output   string     `json:"output,omitempty" maxLength:"65536" doc:"of the command"`
	FileName string     `json:"file_name,omitempty" maxLength:"1000"`
	File     []byte     `json:"file,omitempty" doc:"at most 1 MiB, in base64"`
}

// ReopenTask opens a closed task again.
type ReopenTask struct {
	Reason string `json:"reason" maxLength:"4000"`
	Due    string `json:"due,omitempty" maxLength:"40" doc:"needed when the old one is past"`
}

// TaskList are the parameters of the list of tasks.
type TaskList struct {
	Paged
	Which    string `query:"which" enum:"open,overdue,closed"`
	Mine     bool   `query:"mine" doc:"only those whose turn it is for who asks, by name or by role"`
	Device   string `query:"device" maxLength:"260" doc:"id, or a name that only one device has"`
	Campaign string `query:"campaign" maxLength:"100" doc:"name or id"`
}

// OneTask names a task.
type OneTask struct {
	Task string `path:"task" maxLength:"100"`
}

func (a *API) registerDesk() {
	const exceptions, tasks = "exceptions", "tasks"
	handle(a, operation{method: http.MethodGet, path: "/exceptions", id: "list-exceptions", summary: "Exceptions: what is left out on purpose", tag: exceptions, act: access.See},
		func(ctx context.Context, p access.Principal, in *ExceptionList) (view.ExceptionPage, error) {
			return a.View.Exceptions(ctx, p.Tenant, view.ExceptionQuery{Paging: in.paging(), Which: in.Which})
		})
	handle(a, operation{method: http.MethodGet, path: "/exceptions/{exception}", id: "show-exception", summary: "One exception", tag: exceptions, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneException) (view.ExceptionRow, error) {
			return a.View.Exception(ctx, p.Tenant, in.Exception)
		})
	handle(a, operation{method: http.MethodPost, path: "/exceptions", id: "grant-exception", summary: "Leave a patch, a device or a group out on purpose, until a date", tag: exceptions, act: access.ExceptAct, status: http.StatusCreated}, a.grantException)
	do(a, operation{method: http.MethodPost, path: "/exceptions/{exception}/end", id: "end-exception", summary: "End an exception before its time", tag: exceptions, act: access.ExceptAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneException
			Body EndException
		}) error {
			return a.Desk.End(ctx, p.Tenant, p.Actor(), in.Exception, in.Body.Reason)
		})

	handle(a, operation{method: http.MethodGet, path: "/tasks", id: "list-tasks", summary: "Manual tasks", tag: tasks, act: access.See}, a.listTasks)
	handle(a, operation{method: http.MethodGet, path: "/tasks/{task}", id: "show-task", summary: "One manual task with its proofs", tag: tasks, act: access.See},
		func(ctx context.Context, p access.Principal, in *OneTask) (view.TaskDetail, error) {
			return a.View.Task(ctx, p.Tenant, in.Task)
		})
	handle(a, operation{method: http.MethodPost, path: "/tasks", id: "open-task", summary: "Open a manual task", tag: tasks, act: access.TaskAct, status: http.StatusCreated}, a.openTask)
	closing := operation{method: http.MethodPost, path: "/tasks/{task}/close", id: "close-task", summary: "Close a manual task on its proof; whoever it belongs to may", tag: tasks, act: access.See, maxBody: maxProof}
	do(a, closing, a.closeTask)
	do(a, operation{method: http.MethodPost, path: "/tasks/{task}/reopen", id: "reopen-task", summary: "Open a closed task again: its proof did not hold", tag: tasks, act: access.TaskAct},
		func(ctx context.Context, p access.Principal, in *struct {
			OneTask
			Body ReopenTask
		}) error {
			return a.Desk.Reopen(ctx, p.Tenant, p.Actor(), desk.Reopen{Task: in.Task, Reason: in.Body.Reason, Due: in.Body.Due})
		})
	a.registerProofFile(tasks)
}

func (a *API) grantException(ctx context.Context, p access.Principal, in *asked[GrantException]) (Made, error) {
	device, item, err := a.named(ctx, p, in.Body.Device, in.Body.Patch)
	if err != nil {
		return Made{}, err
	}
	b := in.Body
	id, err := a.Desk.Grant(ctx, p.Tenant, p.Actor(), desk.Grant{
		Device: string(device), Group: b.Group, Patch: item, Every: b.EveryVersion, Provider: b.Provider, Name: b.Name,
		Owner: b.Owner, Reason: b.Reason, Control: b.Control, Until: b.Until, Remind: b.RemindDays,
	})
	return Made{ID: id}, err
}

func (a *API) listTasks(ctx context.Context, p access.Principal, in *TaskList) (view.TaskPage, error) {
	q := view.TaskQuery{Paging: in.paging(), Which: in.Which}
	if in.Mine {
		q.Mine = p.Names()
	}
	device, _, err := a.named(ctx, p, in.Device, "")
	if err != nil {
		return view.TaskPage{}, err
	}
	q.Device = device
	if in.Campaign != "" {
		c, err := a.View.FindCampaign(ctx, p.Tenant, in.Campaign)
		if err != nil {
			return view.TaskPage{}, err
		}
		q.Campaign = c.ID
	}
	return a.View.Tasks(ctx, p.Tenant, q)
}

func (a *API) openTask(ctx context.Context, p access.Principal, in *asked[OpenTask]) (Made, error) {
	device, item, err := a.named(ctx, p, in.Body.Device, in.Body.Patch)
	if err != nil {
		return Made{}, err
	}
	b := in.Body
	id, err := a.Desk.Open(ctx, p.Tenant, p.Actor(), desk.Open{
		Title: b.Title, What: b.What, Device: string(device), Campaign: b.Campaign, Ring: b.Ring, Patch: item,
		Owner: b.Owner, EscalateTo: b.EscalateTo, After: b.EscalateAfter, Proof: b.Proof, Due: b.Due,
	})
	return Made{ID: id, Name: b.Title}, err
}

func (a *API) closeTask(ctx context.Context, p access.Principal, in *struct {
	OneTask
	Body CloseTask
}) error {
	t, err := a.View.Task(ctx, p.Tenant, in.Task)
	if err != nil {
		return err
	}
	if err := p.NeedTask(t.Owner, t.Whom); err != nil {
		return err
	}
	b := in.Body
	return a.Desk.Close(ctx, p.Tenant, p.Actor(), desk.Show{
		Task: in.Task, Proof: b.Proof, Text: b.Text, Command: b.Command, Output: b.Output, Name: b.FileName, File: b.File,
	})
}

// registerProofFile serves what was shown. A browser must neither run nor guess
// what a stranger has put there: it is always a download, of no kind.
func (a *API) registerProofFile(tag string) {
	op := operation{method: http.MethodGet, path: "/tasks/{task}/proofs/{proof}", id: "proof-file", summary: "The file of a proof", tag: tag, act: access.See}
	spec := op.huma()
	spec.Responses = map[string]*huma.Response{"200": {
		Description: "The file.", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
	type one struct {
		OneTask
		Proof string `path:"proof" maxLength:"100"`
	}
	huma.Register(a.huma, spec, func(ctx context.Context, in *one) (*huma.StreamResponse, error) {
		p := principalIn(ctx)
		f, err := a.View.ProofFile(ctx, p.Tenant, in.Task, in.Proof)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			for name, value := range fileHeaders(f) {
				hctx.SetHeader(name, value)
			}
			if _, err := hctx.BodyWriter().Write(f.Bytes); err != nil {
				a.Log.Debug("answer", "err", err)
			}
		}}, nil
	})
}

// fileHeaders are those of a file that came from outside.
func fileHeaders(f view.StoredFile) map[string]string {
	return map[string]string{
		"Content-Type": "application/octet-stream", "Content-Length": strconv.Itoa(len(f.Bytes)), "Cache-Control": "private, no-store",
		"Content-Disposition":     mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}),
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	}
}
