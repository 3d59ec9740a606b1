package source_test

import (
	"log/slog"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/register"
	"patchring/internal/core/task"
	"patchring/internal/face/console/page"
	"patchring/internal/face/lang"
	"patchring/internal/service/desk"
)

func TestTheDeskShowsWhereItIsNeeded(t *testing.T) {
	s := newSite(t)
	ctx, by := t.Context(), register.User("exploitation")
	office := desk.New(desk.Options{DB: s.db, Clock: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler)})
	id, err := office.Grant(ctx, tenant, by, desk.Grant{Device: "compta-02", Owner: "atelier", Reason: "étalonné", Control: "isolé", Until: "2026-01-20"})
	s.must(err)
	mine, err := office.Open(ctx, tenant, by, desk.Open{
		Title: "Relancer", What: "Deux fois.", Device: "pilote-01", Campaign: "2026-01", Ring: "R0", Owner: "it", EscalateTo: "it-lead", Due: "2026-01-13T20:00:00Z", Proof: task.Command,
	})
	s.must(err)
	_, err = office.Open(ctx, tenant, by, desk.Open{Title: "Appeler", Owner: "business", Due: "2026-01-13T19:30:00Z"})
	s.must(err)
	s.now = s.now.Add(45 * time.Minute)
	who := viewer(lang.French, "it")
	who.Names = []string{"exploitation", "it"}

	today, err := s.Today(ctx, who)
	s.must(err)
	if len(today.Tasks) != 1 || today.Tasks[0].ID != mine || today.Tasks[0].State != task.DueSoon || today.Overdue != 1 || len(today.Late) != 1 ||
		len(today.Expiring) != 1 || today.Expiring[0].ID != id {
		t.Errorf("today: tasks %+v, late %d %+v, expiring %+v", today.Tasks, today.Overdue, today.Late, today.Expiring)
	}
	board, err := s.Board(ctx, who, string(s.id))
	s.must(err)
	if len(board.Tasks) != 1 || board.Tasks[0].Ring != "R0" || board.Tasks[0].DeviceName != "pilote-01" || board.Tasks[0].Whom != "it" {
		t.Errorf("board: %+v", board.Tasks)
	}
	device, err := s.Device(ctx, who, "d-compta-02")
	s.must(err)
	if len(device.Exceptions) != 1 || device.Exceptions[0].DeviceName != "compta-02" || device.Exceptions[0].State != "expiring" {
		t.Errorf("device: %+v", device.Exceptions)
	}
	list, err := s.Exceptions(ctx, who, page.ExceptionQuery{})
	s.must(err)
	one, err := s.Exception(ctx, who, id)
	s.must(err)
	if len(list.Rows) != 1 || list.Rows[0] != one || one.Owner != "atelier" || one.Control != "isolé" || one.By != string(by) {
		t.Errorf("exceptions: %+v, %+v", list.Rows, one)
	}
	s.must(office.Close(ctx, tenant, by, desk.Show{Task: mine, Proof: task.Command, Command: "uptime", Output: "up 1 min"}))
	shown, err := s.Task(ctx, who, mine)
	s.must(err)
	if shown.State != task.Closed || shown.What != "Deux fois." || shown.EscalateTo != "it-lead" || len(shown.Proofs) != 1 || shown.Proofs[0].Text != "uptime" || shown.Proofs[0].Output != "up 1 min" {
		t.Errorf("task: %+v", shown)
	}
	done, err := s.Tasks(ctx, who, page.TaskQuery{Which: "closed", Mine: true, Campaign: string(s.id)})
	s.must(err)
	if len(done.Rows) != 1 || done.Rows[0].ClosedBy != string(by) || done.Rows[0].CampaignName != "2026-01" {
		t.Errorf("closed: %+v", done.Rows)
	}
	if _, err := s.ProofFile(ctx, who, mine, shown.Proofs[0].ID); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the file of a proof without one: %v", err)
	}
	if _, err := s.PatchID(ctx, who, "nothing"); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a patch that nobody knows: %v", err)
	}
}
