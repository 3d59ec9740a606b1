package source

import (
	"context"
	"time"

	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/infra/view"
)

// Exceptions fills the list of exceptions.
func (s *Source) Exceptions(ctx context.Context, who Viewer, q page.ExceptionQuery) (page.Exceptions, error) {
	list, err := s.View.Exceptions(ctx, who.Tenant, view.ExceptionQuery{Which: q.Which, Paging: view.Paging{Cursor: q.After}})
	return page.Exceptions{Query: q, Rows: exceptions(list.Rows), Next: list.Next}, err
}

// Exception reads one.
func (s *Source) Exception(ctx context.Context, who Viewer, id string) (page.Exception, error) {
	e, err := s.View.Exception(ctx, who.Tenant, id)
	if err != nil {
		return page.Exception{}, err
	}
	return exceptions([]view.ExceptionRow{e})[0], nil
}

func exceptions(rows []view.ExceptionRow) []page.Exception {
	out := make([]page.Exception, len(rows))
	for i, e := range rows {
		out[i] = page.Exception{
			ID: e.ID, State: e.State, Group: e.Group, Every: e.Name, Owner: e.Owner, Reason: e.Reason, Control: e.Control, Until: e.Until, By: e.Actor,
			Ended: e.Ended, EndedBy: e.EndedBy, EndedWhy: e.EndedWhy,
		}
		if e.Device != nil {
			out[i].Device, out[i].DeviceName = string(e.Device.ID), e.Device.Name
		}
		if e.Patch != nil {
			out[i].Patch, out[i].PatchName = string(e.Patch.ID), patchName(*e.Patch)
		}
	}
	return out
}

// Tasks fills the list of manual tasks.
func (s *Source) Tasks(ctx context.Context, who Viewer, q page.TaskQuery) (page.Tasks, error) {
	ask := view.TaskQuery{Which: q.Which, Device: fleet.DeviceID(q.Device), Campaign: q.Campaign, Paging: view.Paging{Cursor: q.After}}
	if q.Mine {
		ask.Mine = who.Names
	}
	list, err := s.View.Tasks(ctx, who.Tenant, ask)
	return page.Tasks{Query: q, Rows: taskLines(list.Rows), Next: list.Next}, err
}

// Task fills the page of one.
func (s *Source) Task(ctx context.Context, who Viewer, id string) (page.Task, error) {
	t, err := s.View.Task(ctx, who.Tenant, id)
	if err != nil {
		return page.Task{}, err
	}
	out := page.Task{
		TaskLine: taskLines([]view.TaskRow{t.TaskRow})[0], What: t.What, EscalateTo: t.EscalateTo, Escalates: t.Escalates, Reminder: t.Next,
		Proof: t.Proof, By: t.Actor, Created: t.Created,
	}
	for _, p := range t.Proofs {
		scan, err := time.Parse(time.RFC3339, p.Text)
		if p.Kind != task.Rescan || err != nil {
			scan = time.Time{}
		}
		out.Proofs = append(out.Proofs, page.Proof{
			ID: p.ID, Kind: p.Kind, Text: p.Text, Scan: scan, Output: p.Output, File: p.File, Size: p.Size, SHA256: p.SHA256, By: p.Actor, At: p.At,
		})
	}
	return out, nil
}

func taskLines(rows []view.TaskRow) []page.TaskLine {
	out := make([]page.TaskLine, len(rows))
	for i, t := range rows {
		out[i] = page.TaskLine{
			ID: t.ID, Title: t.Title, State: t.State, Ring: t.Ring, Owner: t.Owner, Whom: t.Whom, Due: t.Due, Closed: t.Closed, ClosedBy: t.ClosedBy,
		}
		if t.Device != nil {
			out[i].Device, out[i].DeviceName = string(t.Device.ID), t.Device.Name
		}
		if t.Campaign != nil {
			out[i].Campaign, out[i].CampaignName = t.Campaign.ID, t.Campaign.Name
		}
		if t.Patch != nil {
			out[i].Patch, out[i].PatchName = string(t.Patch.ID), patchName(*t.Patch)
		}
	}
	return out
}

// ProofFile reads the file of a proof.
func (s *Source) ProofFile(ctx context.Context, who Viewer, id, proof string) (view.StoredFile, error) {
	return s.View.ProofFile(ctx, who.Tenant, id, proof)
}

// PatchID is the patch that people name.
func (s *Source) PatchID(ctx context.Context, who Viewer, named string) (patch.ID, error) {
	ref, err := s.View.FindPatch(ctx, who.Tenant, named)
	return ref.ID, err
}

// lateShown bounds the overdue tasks of the first page.
const lateShown = 8

// desk adds to the first page what people have taken upon themselves.
func (s *Source) desk(ctx context.Context, who Viewer, t view.Today, out *page.Today) error {
	mine, err := s.View.MyTasks(ctx, who.Tenant, who.Names)
	if err != nil {
		return err
	}
	out.Tasks, out.Overdue, out.Expiring = taskLines(mine), t.OverdueTasks, exceptions(t.Expiring)
	out.OpenFeedback, out.Feedback = t.OpenFeedback, feedback(t.Feedback[:min(saidOnBoard, len(t.Feedback))])
	out.Incidents = t.Incidents[:min(lateShown, len(t.Incidents))]
	out.Late = taskLines(t.LateTasks[:min(lateShown, len(t.LateTasks))])
	return nil
}
