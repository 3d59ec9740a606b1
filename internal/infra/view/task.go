package view

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/readiness"
	"patchring/internal/core/task"
)

// TaskQuery chooses manual tasks: what is due first, first; closed ones by when
// they were closed, the latest first.
type TaskQuery struct {
	Paging
	Which    string         // open (default), overdue, closed
	Mine     []string       // only those of these: an account's name and its roles
	Device   fleet.DeviceID // only those on it
	Campaign string         // id: only those of it
}

// TaskRow is a manual task in a list.
type TaskRow struct {
	ID         string       `json:"id"`
	Title      string       `json:"title"`
	State      task.State   `json:"state"`
	Device     *DeviceRef   `json:"device,omitempty"`
	Campaign   *CampaignRef `json:"campaign,omitempty"`
	Ring       string       `json:"ring,omitempty"` // whose gate waits for it
	Patch      *PatchRef    `json:"patch,omitempty"`
	Owner      string       `json:"owner"`
	EscalateTo string       `json:"escalate_to,omitempty"`
	Whom       string       `json:"whom,omitempty"` // whose turn it is: the owner, or the one above
	Due        time.Time    `json:"due"`
	Next       time.Time    `json:"next,omitzero"` // reminder
	Reminders  int64        `json:"reminders"`     // that were told
	Proof      task.Proof   `json:"proof,omitempty"`
	Created    time.Time    `json:"created"`
	Opened     time.Time    `json:"opened"` // created, or opened again
	Actor      string       `json:"actor"`
	Closed     time.Time    `json:"closed,omitzero"`
	ClosedBy   string       `json:"closed_by,omitempty"`
}

// TaskPage is a page of tasks.
type TaskPage = Page[TaskRow]

// TaskDetail is one task with what was shown for it.
type TaskDetail struct {
	TaskRow
	What          string      `json:"what"`
	EscalateAfter int64       `json:"escalate_after"`
	Escalates     time.Time   `json:"escalates,omitzero"`
	Proofs        []TaskProof `json:"proofs"` // newest first; more than one when it was opened again
}

// TaskProof is what was shown when a task was closed.
type TaskProof struct {
	ID     string     `json:"id"`
	Kind   task.Proof `json:"kind"`
	Text   string     `json:"text,omitempty"` // the text, the command, or when the scan was made
	Output string     `json:"output,omitempty"`
	File   string     `json:"file,omitempty"`
	Size   int64      `json:"size,omitempty"`
	SHA256 string     `json:"sha256,omitempty"`
	Actor  string     `json:"actor"`
	At     time.Time  `json:"at"`
}

// StoredFile is a file as it was shown.
type StoredFile struct {
	Name   string
	SHA256 string
	Bytes  []byte
}

// TaskFilters are the values of TaskQuery.Which.
func TaskFilters() []string { return []string{"open", "overdue", "closed"} }

const taskHead = `SELECT t.id, t.title, t.what, t.device, coalesce(d.name, ''), t.campaign, coalesce(c.name, ''), t.ring,
  t.patch, coalesce(p.name, ''), coalesce(p.version, ''), t.owner, t.escalate_to, t.escalate_after, t.due_us, t.reminded, t.proof,
  t.created_us, t.opened_us, t.actor, t.closed_us, t.closed_by
FROM task t
LEFT JOIN device d ON d.tenant = t.tenant AND d.id = t.device
LEFT JOIN campaign c ON c.tenant = t.tenant AND c.id = t.campaign
LEFT JOIN patch p ON p.tenant = t.tenant AND p.id = t.patch`

func (r *Reader) scanTask(rows *sql.Rows) (TaskDetail, error) {
	var t TaskDetail
	var device DeviceRef
	var of CampaignRef
	var about PatchRef
	var dueUS, createdUS, openedUS, closedUS int64
	err := rows.Scan(&t.ID, &t.Title, &t.What, &device.ID, &device.Name, &of.ID, &of.Name, &t.Ring,
		&about.ID, &about.Name, &about.Version, &t.Owner, &t.EscalateTo, &t.EscalateAfter, &dueUS, &t.Reminders, &t.Proof,
		&createdUS, &openedUS, &t.Actor, &closedUS, &t.ClosedBy)
	t.Due, t.Created, t.Opened, t.Closed = instant(dueUS), instant(createdUS), instant(openedUS), instant(closedUS)
	if device.ID != "" {
		t.Device = &device
	}
	if of.ID != "" {
		t.Campaign = &of
	}
	if about.ID != "" {
		t.Patch = &about
	}
	dated := task.Task{Opened: t.Opened, Due: t.Due, Owner: t.Owner, EscalateTo: t.EscalateTo, After: int(t.EscalateAfter), Closed: closedUS > 0}
	now := dated.At(r.now())
	t.State, t.Whom, t.Next, t.Proofs = now.State, now.Whom, now.Next.UTC(), []TaskProof{}
	if now.Next.IsZero() {
		t.Next = time.Time{}
	}
	if at := dated.Escalates(); !at.IsZero() {
		t.Escalates = at.UTC()
	}
	return t, err
}

func (r *Reader) scanTaskRow(rows *sql.Rows) (TaskRow, error) {
	t, err := r.scanTask(rows)
	return t.TaskRow, err
}

// mine are the tasks whose turn it is for one of these names: theirs, and those
// that have escalated to them.
func (r *Reader) mine(b *builder, names []string) {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")
	var args []any
	for _, n := range names {
		args = append(args, n)
	}
	args = append(append(args, r.now().UnixMicro()), args...)
	b.and("(t.owner IN ("+marks+") OR t.escalate_us <= ? AND t.escalate_to IN ("+marks+"))", args...)
}

// Tasks lists manual tasks.
func (r *Reader) Tasks(ctx context.Context, tenant fleet.TenantID, q TaskQuery) (TaskPage, error) {
	which, err := oneOf("which", q.Which, TaskFilters())
	if err != nil {
		return TaskPage{}, err
	}
	after, err := q.cursorFor(which)
	if err != nil {
		return TaskPage{}, err
	}
	var b builder
	b.and("t.tenant = ?", tenant)
	order := "t.due_us, t.id"
	if which == "closed" {
		order = "t.closed_us DESC, t.id DESC"
		b.and("t.closed_us > 0")
	} else {
		b.and("t.closed_us = 0")
	}
	if which == "overdue" {
		b.and("t.due_us <= ?", r.now().UnixMicro())
	}
	if len(q.Mine) > 0 {
		r.mine(&b, q.Mine)
	}
	if q.Device != "" {
		b.and("t.device = ?", q.Device)
	}
	if q.Campaign != "" {
		b.and("t.campaign = ?", q.Campaign)
	}
	switch {
	case after == nil:
	case which == "closed":
		b.and("(t.closed_us, t.id) < (?, ?)", after.N, after.ID)
	default:
		b.and("(t.due_us, t.id) > (?, ?)", after.N, after.ID)
	}
	rows, err := all(ctx, r, b.list("tasks", taskHead, order, q.limit()), r.scanTaskRow)
	if err != nil {
		return TaskPage{}, err
	}
	return pageOf(rows, q.limit(), func(t TaskRow) cursor {
		at := t.Due
		if which == "closed" {
			at = t.Closed
		}
		return cursor{Sort: which, N: at.UnixMicro(), ID: t.ID}
	}), nil
}

// tasksShown bounds the open tasks beside a device or on a board.
const tasksShown = 50

// openTasks are the first of a device's or a campaign's.
func (r *Reader) openTasks(ctx context.Context, tenant fleet.TenantID, q TaskQuery) ([]TaskRow, error) {
	q.Limit = tasksShown
	page, err := r.Tasks(ctx, tenant, q)
	return page.Rows, err
}

// Task shows one task.
func (r *Reader) Task(ctx context.Context, tenant fleet.TenantID, id string) (TaskDetail, error) {
	t, err := one(ctx, r, ask("task", taskHead+" WHERE t.tenant = $1 AND t.id = $2", tenant, id), id, r.scanTask)
	if err != nil {
		return t, err
	}
	t.Proofs, err = all(ctx, r, ask("proofs of a task", `SELECT f.id, f.kind, f.text, f.output, f.file_name, f.size, f.sha256, f.actor, f.at_us
FROM task_proof f WHERE f.tenant = $1 AND f.task = $2 ORDER BY f.at_us DESC, f.id DESC LIMIT 100`, tenant, id), func(rows *sql.Rows) (TaskProof, error) {
		var p TaskProof
		var atUS int64
		err := rows.Scan(&p.ID, &p.Kind, &p.Text, &p.Output, &p.File, &p.Size, &p.SHA256, &p.Actor, &atUS)
		p.At = instant(atUS)
		return p, err
	})
	return t, err
}

// ProofFile reads the file of a proof.
func (r *Reader) ProofFile(ctx context.Context, tenant fleet.TenantID, taskID, proof string) (StoredFile, error) {
	return one(ctx, r, ask("proof", `SELECT f.file_name, f.sha256, b.body FROM task_proof f
JOIN proof_file b ON b.tenant = f.tenant AND b.sha256 = f.sha256 WHERE f.tenant = $1 AND f.task = $2 AND f.id = $3`, tenant, taskID, proof), proof,
		func(rows *sql.Rows) (StoredFile, error) {
			var f StoredFile
			return f, rows.Scan(&f.Name, &f.SHA256, &f.Bytes)
		})
}

// desk adds to the first page what people have taken upon themselves.
func (t *Today) desk(ctx context.Context, r *Reader, tenant fleet.TenantID) error {
	var e1, e2, e3, e4 error
	t.OpenTasks, e1 = r.count(ctx, ask("open tasks", "SELECT count(*) FROM task t WHERE t.tenant = $1 AND t.closed_us = 0", tenant))
	t.OverdueTasks, e2 = r.count(ctx, ask("overdue tasks", "SELECT count(*) FROM task t WHERE t.tenant = $1 AND t.closed_us = 0 AND t.due_us <= $2", tenant, r.now().UnixMicro()))
	var late TaskPage
	late, e3 = r.Tasks(ctx, tenant, TaskQuery{Which: "overdue", Paging: Paging{Limit: todayRows}})
	t.LateTasks = late.Rows
	var ending ExceptionPage
	ending, e4 = r.Exceptions(ctx, tenant, ExceptionQuery{Which: "expiring", Paging: Paging{Limit: todayRows}})
	t.Expiring = ending.Rows
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return fmt.Errorf("read the desk: %w", err)
	}
	return nil
}

// MyTasks are the open tasks whose turn it is for one of these names; at most 50.
func (r *Reader) MyTasks(ctx context.Context, tenant fleet.TenantID, names []string) ([]TaskRow, error) {
	return r.openTasks(ctx, tenant, TaskQuery{Mine: names})
}

// FindingTask is an open task that was made of a finding.
type FindingTask struct {
	ID     string
	Device fleet.DeviceID
	Kind   readiness.Kind
}

// FindingTasks lists which findings have an open task.
func (r *Reader) FindingTasks(ctx context.Context, tenant fleet.TenantID) ([]FindingTask, error) {
	return all(ctx, r, ask("tasks of findings", `SELECT t.id, t.device, t.finding FROM task t
WHERE t.tenant = $1 AND t.closed_us = 0 AND t.finding <> '' ORDER BY t.id`, tenant), func(rows *sql.Rows) (t FindingTask, err error) {
		err = rows.Scan(&t.ID, &t.Device, &t.Kind)
		return t, err
	})
}
