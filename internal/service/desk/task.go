package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
)

// Open asks for a manual task.
type Open struct {
	Title    string
	What     string   // what to do, for whoever does it
	Device   string   // id, or a name that only one device has
	Campaign string   // id or name
	Ring     string   // of the campaign: its gate waits for the task
	Patch    patch.ID // that the task is about
	Owner    string   // an account's name, or a role
	// EscalateTo is told after the owner has let After reminders pass from the
	// due instant on; 0 is EscalateAfter.
	EscalateTo string
	After      int
	// Proof is the kind that is asked for; empty: any.
	Proof task.Proof
	// Due is an instant (RFC 3339), or a date, which means the end of that day in
	// the site's zone.
	Due string
}

// Bounds of a task.
const (
	EscalateAfter = 2
	mostReminders = 30
)

// Open opens a task and returns its id.
func (d *Desk) Open(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Open) (id string, err error) {
	err = d.DB.Write(ctx, func(tx *store.Tx) (err error) {
		id, err = d.OpenIn(ctx, tx, tenant, by, ask)
		return err
	})
	if err != nil {
		return "", err
	}
	d.Wake()
	return id, nil
}

// OpenIn is Open inside a transaction of somebody else, who wakes the conductor
// after its commit.
func (d *Desk) OpenIn(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, by register.Actor, ask Open) (string, error) {
	due, err := d.checkTask(&ask)
	if err != nil {
		return "", err
	}
	id, err := newID()
	if err != nil {
		return "", err
	}
	now := d.Clock().UnixMicro()
	row := gen.Task{
		Tenant: string(tenant), ID: id, Title: ask.Title, What: ask.What, Patch: string(ask.Patch), Owner: ask.Owner, EscalateTo: ask.EscalateTo,
		EscalateAfter: int64(ask.After), Proof: string(ask.Proof), DueUs: due.UnixMicro(), CreatedUs: now, OpenedUs: now, Actor: string(by),
	}
	if err := bind(ctx, tx, tenant, ask, &row); err != nil {
		return "", err
	}
	schedule(&row, 0)
	if err := d.add(ctx, tx, row, by); err != nil {
		return "", err
	}
	return id, touchGate(ctx, tx, row)
}

// add keeps a task and tells the register.
func (d *Desk) add(ctx context.Context, tx *store.Tx, row gen.Task, by register.Actor) error {
	if err := tx.AddTask(ctx, gen.AddTaskParams{
		Tenant: row.Tenant, ID: row.ID, Title: row.Title, What: row.What, Device: row.Device, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch,
		Owner: row.Owner, EscalateTo: row.EscalateTo, EscalateAfter: row.EscalateAfter, Proof: row.Proof, DueUs: row.DueUs,
		CreatedUs: row.CreatedUs, OpenedUs: row.OpenedUs, Actor: row.Actor, RemindUs: row.RemindUs, EscalateUs: row.EscalateUs, Finding: row.Finding,
	}); err != nil {
		return fmt.Errorf("keep the task: %w", err)
	}
	detail := map[string]any{"what": row.What, "owner": row.Owner, "escalate_to": row.EscalateTo, "proof": row.Proof, "due": row.DueUs}
	if row.Finding != "" {
		detail["finding"] = row.Finding
	}
	d.record(tx, row, by, register.TaskOpened, detail)
	return nil
}

var roleWord = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (d *Desk) checkTask(ask *Open) (time.Time, error) {
	if err := words("title", ask.Title, shortText); err != nil {
		return time.Time{}, err
	}
	if err := words("owner", ask.Owner, shortText); err != nil {
		return time.Time{}, err
	}
	if ask.After == 0 {
		ask.After = EscalateAfter
	}
	switch {
	case len([]rune(ask.What)) > 4*longText:
		return time.Time{}, invalid("what", "too_long", fmt.Sprintf("≤ %d", 4*longText))
	case ask.Ring != "" && ask.Campaign == "":
		return time.Time{}, invalid("campaign", "empty", "ring_needs_campaign")
	case ask.After < 1 || ask.After > mostReminders:
		return time.Time{}, invalid("escalate_after", "out_of_range", fmt.Sprintf("1 … %d", mostReminders))
	case ask.Proof != "" && !slices.Contains(task.Proofs(), ask.Proof):
		return time.Time{}, invalid("proof", "not_a_choice", proofWords())
	case ask.Proof == task.Rescan && (ask.Device == "" || ask.Patch == ""):
		return time.Time{}, invalid("proof", "rescan_of_nothing", "device + patch")
	}
	return d.until("due", ask.Due)
}

func proofWords() string {
	var out []string
	for _, p := range task.Proofs() {
		out = append(out, string(p))
	}
	return strings.Join(out, ", ")
}

// bind resolves what the task is about.
func bind(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ask Open, row *gen.Task) (err error) {
	if row.Device, err = device(ctx, tx, tenant, ask.Device); err != nil {
		return err
	}
	if ask.Patch != "" {
		if _, err := knownPatch(ctx, tx, tenant, ask.Patch); err != nil {
			return err
		}
	}
	for _, who := range []struct{ field, name string }{{"owner", ask.Owner}, {"escalate_to", ask.EscalateTo}} {
		if err := person(ctx, tx, tenant, who.field, who.name); err != nil {
			return err
		}
	}
	if ask.Campaign == "" {
		return nil
	}
	c, err := openCampaign(ctx, tx, tenant, ask.Campaign)
	if err != nil {
		return err
	}
	row.Campaign = c.ID
	if ask.Ring == "" {
		return nil
	}
	rings, err := tx.Rings(ctx, c.Tenant, c.ID)
	if err != nil {
		return fmt.Errorf("read rings: %w", err)
	}
	var known []string
	for _, r := range rings {
		if strings.EqualFold(r.Ring, ask.Ring) {
			row.Ring = r.Ring
			return nil
		}
		if r.Amendment == 0 {
			known = append(known, r.Ring)
		}
	}
	return invalid("ring", "not_a_choice", strings.Join(known, ", "))
}

// person is an account of the tenant by its name, or a role: any word, as in
// procedures, because the organisation names its own.
func person(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, field, name string) error {
	if name == "" || roleWord.MatchString(name) {
		return nil
	}
	a, err := tx.AccountByName(ctx, name)
	if err != nil && !store.IsNone(err) {
		return fmt.Errorf("read account %s: %w", name, err)
	}
	if err != nil || a.Tenant != string(tenant) {
		return invalid(field, "unknown", "account_or_role")
	}
	return nil
}

func openCampaign(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, ref string) (gen.Campaign, error) {
	c, err := tx.Campaign(ctx, string(tenant), ref)
	if store.IsNone(err) {
		c, err = tx.CampaignByName(ctx, string(tenant), ref)
	}
	switch {
	case store.IsNone(err):
		return c, fault.New(fault.NotFound, "what", "campaign", "name", ref)
	case err != nil:
		return c, fmt.Errorf("read campaign %s: %w", ref, err)
	case c.State == "closed":
		return c, fault.New(fault.CampaignClosed)
	}
	return c, nil
}

// of is the row as its dates are judged.
func of(row gen.Task) task.Task {
	return task.Task{
		Opened: store.Instant(row.OpenedUs), Due: store.Instant(row.DueUs), Owner: row.Owner, EscalateTo: row.EscalateTo,
		After: int(row.EscalateAfter), Closed: row.ClosedUs > 0,
	}
}

// schedule keeps what follows from the dates when so many reminders were told.
func schedule(row *gen.Task, reminded int) {
	t := of(*row)
	row.Reminded, row.RemindUs, row.EscalateUs = int64(reminded), t.Reminder(reminded+1).UnixMicro(), never
	if at := t.Escalates(); !at.IsZero() {
		row.EscalateUs = at.UnixMicro()
	}
}

// record adds an entry about the task.
func (d *Desk) record(tx *store.Tx, row gen.Task, by register.Actor, kind register.Kind, detail map[string]any) {
	detail["task"], detail["title"] = row.ID, row.Title
	tx.Record(register.Entry{
		Tenant: row.Tenant, AtUS: d.Clock().UnixMicro(), Actor: by, Kind: kind, Device: row.Device, Campaign: row.Campaign, Ring: row.Ring, Patch: row.Patch,
		Detail: detail,
	})
}

// touchGate lets the campaign be looked at again: its gates wait for the tasks.
func touchGate(ctx context.Context, tx *store.Tx, row gen.Task) error {
	if row.Campaign == "" {
		return nil
	}
	return wrap("touch the task's campaign", tx.TouchCampaign(ctx, row.Tenant, row.Campaign))
}

func taskRow(ctx context.Context, tx *store.Tx, tenant fleet.TenantID, id string) (gen.Task, error) {
	row, err := tx.Task(ctx, string(tenant), id)
	if store.IsNone(err) {
		return row, fault.New(fault.NotFound, "what", "task", "name", id)
	}
	return row, wrap("read task "+id, err)
}

// Reopen asks for a closed task to be opened again: its proof did not hold. Its
// proofs stay. Due may be empty while the old one is still to come.
type Reopen struct {
	Task, Reason, Due string
}

// Reopen opens a closed task again.
func (d *Desk) Reopen(ctx context.Context, tenant fleet.TenantID, by register.Actor, ask Reopen) error {
	if err := words("reason", ask.Reason, longText); err != nil {
		return err
	}
	err := d.DB.Write(ctx, func(tx *store.Tx) error {
		row, err := taskRow(ctx, tx, tenant, ask.Task)
		if err != nil {
			return err
		}
		if row.ClosedUs == 0 {
			return fault.New(fault.NothingToDo, "what", "task_is_open")
		}
		if row.Campaign != "" {
			if _, err := openCampaign(ctx, tx, tenant, row.Campaign); err != nil {
				return err
			}
		}
		now := d.Clock()
		if ask.Due != "" || store.Instant(row.DueUs).Before(now) {
			due, err := d.until("due", ask.Due)
			if err != nil {
				return err
			}
			row.DueUs = due.UnixMicro()
		}
		row.OpenedUs, row.ClosedUs = now.UnixMicro(), 0
		schedule(&row, 0)
		n, err := tx.ReopenTask(ctx, gen.ReopenTaskParams{
			Tenant: row.Tenant, ID: row.ID, OpenedUs: row.OpenedUs, DueUs: row.DueUs, RemindUs: row.RemindUs, EscalateUs: row.EscalateUs,
		})
		if store.IsDuplicate(err) { // its finding was found again, and has a task
			return fault.New(fault.AlreadyExists, "what", "task", "name", row.Title)
		}
		if err != nil {
			return fmt.Errorf("reopen the task: %w", err)
		}
		if n == 0 { // somebody else was quicker
			return fault.New(fault.NothingToDo, "what", "task_is_open")
		}
		d.record(tx, row, by, register.TaskReopened, map[string]any{"why": ask.Reason, "due": row.DueUs})
		return touchGate(ctx, tx, row)
	})
	if err == nil {
		d.Wake()
	}
	return err
}

// remind records the reminders that are owed. One that came while no server
// ran is not told after a later one: the last says all.
func (d *Desk) remind(ctx context.Context, tenant fleet.TenantID) (int, error) {
	owed, err := d.DB.Read().TasksToRemind(ctx, gen.TasksToRemindParams{Tenant: string(tenant), NowUs: d.Clock().UnixMicro(), Max: batch})
	if err != nil || len(owed) == 0 {
		return 0, wrap("read tasks to be reminded of", err)
	}
	err = d.DB.Write(ctx, func(tx *store.Tx) error {
		for _, row := range owed {
			status := of(row).At(d.Clock())
			schedule(&row, status.Reminders)
			n, err := tx.SetTaskReminded(ctx, gen.SetTaskRemindedParams{Tenant: row.Tenant, ID: row.ID, Reminded: row.Reminded, RemindUs: row.RemindUs})
			if err != nil {
				return err
			}
			if n == 0 {
				continue // closed, or told by another server meanwhile
			}
			d.record(tx, row, actor, register.TaskReminded, map[string]any{
				"number": status.Reminders, "state": string(status.State), "whom": status.Whom, "due": row.DueUs,
			})
		}
		return nil
	})
	return len(owed), wrap("record reminders", err)
}

// installed is the version of a name that a missing patch would replace.
func installed(packages, name string) (string, error) {
	var changes []struct{ Name, From string }
	if err := json.Unmarshal([]byte(packages), &changes); err != nil {
		return "", fmt.Errorf("read packages: %w", err)
	}
	for _, c := range changes {
		if c.Name == name {
			return c.From, nil
		}
	}
	return "", nil
}
