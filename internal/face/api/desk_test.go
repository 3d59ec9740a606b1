package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/task"
	"patchring/internal/face/api"
	"patchring/internal/infra/view"
	"patchring/internal/service/desk"
)

func exceptionOf(change func(*api.GrantException)) api.GrantException {
	e := api.GrantException{Device: "pc-1", Owner: "workshop", Reason: "calibrated", Control: "off the network", Until: "2026-03-31"}
	change(&e)
	return e
}

func TestAnExceptionNeedsEveryWord(t *testing.T) {
	s := newSite(t)
	s.device("d1", "pc-1")
	for field, change := range map[string]func(*api.GrantException){
		"patch":   func(e *api.GrantException) { e.Device = "" },
		"group":   func(e *api.GrantException) { e.Group = "it" },
		"owner":   func(e *api.GrantException) { e.Owner = " " },
		"reason":  func(e *api.GrantException) { e.Reason = "" },
		"control": func(e *api.GrantException) { e.Control = "" },
		"until":   func(e *api.GrantException) { e.Until = "" },
		"remind":  func(e *api.GrantException) { e.RemindDays = 400 },
	} {
		p := s.wantProblem(field, s.post("/exceptions", exceptionOf(change)), http.StatusUnprocessableEntity, fault.InvalidField)
		if p.Args["field"] != field || p.Args["fix"] == "" {
			t.Errorf("%s: refused for %v, want that field and a fix", field, p.Args)
		}
	}
	for until, problem := range map[string]string{
		"2026-01-13": "past", "2027-01-16": "too_far", "tomorrow": "not_a_date", "2026-02-30": "not_a_date", "2026-01-14T08:59:59Z": "past",
	} {
		p := s.wantProblem(until, s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Until = until })), http.StatusUnprocessableEntity, fault.InvalidField)
		if p.Args["problem"] != problem {
			t.Errorf("until %s: %s, want %s", until, p.Args["problem"], problem)
		}
	}
	// The last day that may be, and today: a date is the whole of its day.
	for _, until := range []string{"2027-01-15", "2026-01-14"} {
		decode[api.Made](t, s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Until = until })))
	}
	s.wantProblem("group", s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Device, e.Group = "", "nobody" })), http.StatusNotFound, fault.NotFound)
	s.wantProblem("patch", s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Patch = "nothing" })), http.StatusNotFound, fault.NotFound)
}

func TestExceptionsThroughTheAPI(t *testing.T) {
	s := newSite(t)
	s.device("d1", "pc-1")
	s.now = time.Date(2026, 1, 14, 23, 30, 0, 0, time.UTC)
	reader := s.tokenOf("reader-1", "auditor")
	s.wantProblem("a reader", s.do(http.MethodPost, api.Prefix+"/exceptions", reader, exceptionOf(func(*api.GrantException) {})), http.StatusForbidden, fault.Forbidden)
	id := decode[api.Made](t, s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Provider, e.Name = "apt", "docker-ce" }))).ID
	soon := decode[api.Made](t, s.post("/exceptions", exceptionOf(func(e *api.GrantException) { e.Until = "2026-01-20T12:00:00Z" }))).ID
	list := func(which string) (ids []string) {
		t.Helper()
		for _, e := range decode[view.ExceptionPage](t, s.get("/exceptions?which="+which)).Rows {
			ids = append(ids, e.ID)
		}
		return ids
	}
	if got := list("in_force"); len(got) != 2 || got[0] != soon || got[1] != id {
		t.Errorf("in force: %q, want the one that ends first, first", got)
	}
	if got := list("expiring"); len(got) != 1 || got[0] != soon {
		t.Errorf("expiring: %q", got)
	}
	e := decode[view.ExceptionRow](t, s.get("/exceptions/"+id))
	if e.Name != "docker-ce" || e.Device.Name != "pc-1" || e.State != "in_force" || !e.Until.Equal(time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC)) ||
		!e.Reminds.Equal(e.Until.AddDate(0, 0, -14)) || e.Actor != "user:admin" {
		t.Errorf("it reads back as %+v", e)
	}
	d := decode[view.DeviceDetail](t, s.get("/devices/pc-1"))
	today := decode[view.Today](t, s.get("/today"))
	if len(d.Exceptions) != 2 || len(today.Expiring) != 1 || today.Expiring[0].ID != soon {
		t.Errorf("the device shows %+v, today %+v", d.Exceptions, today.Expiring)
	}
	end := func(token, id, why string) answer {
		return s.do(http.MethodPost, api.Prefix+"/exceptions/"+id+"/end", token, api.EndException{Reason: why})
	}
	s.wantProblem("a reader", end(reader, id, "r"), http.StatusForbidden, fault.Forbidden)
	s.wantProblem("no reason", end(s.token, id, ""), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("nothing", end(s.token, "nothing", "r"), http.StatusNotFound, fault.NotFound)
	if a := end(s.token, id, "replaced"); a.status != http.StatusNoContent {
		t.Fatalf("end: %d %s", a.status, a.body)
	}
	s.wantProblem("twice", end(s.token, id, "r"), http.StatusConflict, fault.NothingToDo)
	if got := list("ended"); len(got) != 1 || got[0] != id {
		t.Errorf("ended: %q", got)
	}
	if e := decode[view.ExceptionRow](t, s.get("/exceptions/"+id)); e.State != "ended" || e.EndedWhy != "replaced" || e.EndedBy != "user:admin" {
		t.Errorf("ended: %+v", e)
	}
	s.now = time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
	if d := decode[view.DeviceDetail](t, s.get("/devices/pc-1")); len(d.Exceptions) != 0 {
		t.Errorf("past its end the device shows %+v", d.Exceptions)
	}
}

func TestTasksThroughTheAPI(t *testing.T) {
	s := newSite(t)
	s.device("d1", "pc-1")
	campaign := s.campaign()
	refused := map[string]api.OpenTask{
		"title":          {Owner: "it", Due: "2026-01-20"},
		"owner":          {Title: "x", Due: "2026-01-20"},
		"due":            {Title: "x", Owner: "it", Due: "2026-01-01"},
		"campaign":       {Title: "x", Owner: "it", Due: "2026-01-20", Ring: "R0"},
		"ring":           {Title: "x", Owner: "it", Due: "2026-01-20", Campaign: campaign.Name, Ring: "R9"},
		"proof":          {Title: "x", Owner: "it", Due: "2026-01-20", Proof: task.Rescan},
		"escalate_after": {Title: "x", Owner: "it", Due: "2026-01-20", EscalateAfter: 99},
		"escalate_to":    {Title: "x", Owner: "it", Due: "2026-01-20", EscalateTo: "Nobody At All"},
	}
	for field, ask := range refused {
		p := s.wantProblem(field, s.post("/tasks", ask), http.StatusUnprocessableEntity, fault.InvalidField)
		if p.Args["field"] != field || p.Args["fix"] == "" {
			t.Errorf("%s: refused for %v, want that field and a fix", field, p.Args)
		}
	}
	owner, other := s.tokenOf("owner-1", "it"), s.tokenOf("other-1", "business")
	s.wantProblem("not theirs to open", s.do(http.MethodPost, api.Prefix+"/tasks", owner, refused["title"]), http.StatusForbidden, fault.Forbidden)
	made := decode[api.Made](t, s.post("/tasks", api.OpenTask{
		Title: "Start the till", Device: "pc-1", Campaign: campaign.Name, Ring: "R0", Owner: "it", EscalateTo: "business", EscalateAfter: 1, Proof: task.File, Due: "2026-01-20T12:00:00Z",
	}))
	mine := func(token string) int {
		return len(decode[view.TaskPage](t, s.do(http.MethodGet, api.Prefix+"/tasks?mine=true", token, nil)).Rows)
	}
	if mine(owner) != 1 || mine(other) != 0 {
		t.Errorf("the owner has %d tasks and the one above %d, want 1 and 0", mine(owner), mine(other))
	}
	closing := func(token string, ask api.CloseTask) answer {
		return s.do(http.MethodPost, api.Prefix+"/tasks/"+made.ID+"/close", token, ask)
	}
	s.wantProblem("somebody else's", closing(other, api.CloseTask{Proof: task.File, FileName: "a.txt", File: []byte("a")}), http.StatusForbidden, fault.Forbidden)
	s.wantProblem("no proof", closing(owner, api.CloseTask{}), http.StatusUnprocessableEntity, fault.ProofMissing)
	s.wantProblem("another proof", closing(owner, api.CloseTask{Proof: task.Text, Text: "done"}), http.StatusUnprocessableEntity, fault.ProofMissing)
	s.wantProblem("an empty file", closing(owner, api.CloseTask{Proof: task.File, FileName: "a.txt"}), http.StatusUnprocessableEntity, fault.InvalidField)
	s.wantProblem("too large a file", closing(owner, api.CloseTask{Proof: task.File, FileName: "a.txt", File: make([]byte, desk.MaxFile+1)}), http.StatusUnprocessableEntity, fault.InvalidField)
	s.now = s.now.AddDate(0, 0, 8)
	if mine(owner) != 1 || mine(other) != 1 {
		t.Errorf("once it has escalated the owner has %d tasks and the one above %d, want 1 each", mine(owner), mine(other))
	}
	today := decode[view.Today](t, s.do(http.MethodGet, api.Prefix+"/today", other, nil))
	if today.OpenTasks != 1 || today.OverdueTasks != 1 || len(today.MyTasks) != 1 || len(today.LateTasks) != 1 || today.MyTasks[0].State != task.Escalated {
		t.Errorf("today: %+v", today)
	}
	picture := bytes.Repeat([]byte("<script>alert(1)</script>"), desk.MaxFile/25)
	if a := closing(other, api.CloseTask{Proof: task.File, FileName: `C:\pictures\till "1"é.html`, File: picture}); a.status != http.StatusNoContent {
		t.Fatalf("close: %d %s", a.status, a.body)
	}
	detail := decode[view.TaskDetail](t, s.get("/tasks/"+made.ID))
	if detail.State != task.Closed || detail.ClosedBy != "user:other-1" || len(detail.Proofs) != 1 || detail.Proofs[0].Size != int64(len(picture)) || detail.Device.Name != "pc-1" {
		t.Fatalf("closed: %+v", detail)
	}
	file := s.get("/tasks/" + made.ID + "/proofs/" + detail.Proofs[0].ID)
	if !bytes.Equal(file.body, picture) {
		t.Errorf("%d bytes come back, want %d", len(file.body), len(picture))
	}
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
		"Content-Disposition": "attachment; filename*=utf-8''till%20_1_%C3%A9.html",
	} {
		if got := file.header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	s.wantProblem("a stranger", s.do(http.MethodGet, api.Prefix+"/tasks/"+made.ID+"/proofs/"+detail.Proofs[0].ID, "", nil), http.StatusUnauthorized, fault.Unauthorized)
	s.wantProblem("another task's", s.get("/tasks/x/proofs/"+detail.Proofs[0].ID), http.StatusNotFound, fault.NotFound)
	s.wantProblem("closed twice", closing(owner, api.CloseTask{Proof: task.File, FileName: "a", File: []byte("a")}), http.StatusConflict, fault.NothingToDo)
	reopen := func(token, due string) answer {
		return s.do(http.MethodPost, api.Prefix+"/tasks/"+made.ID+"/reopen", token, api.ReopenTask{Reason: "another till", Due: due})
	}
	s.wantProblem("not theirs to reopen", reopen(owner, "2026-02-01"), http.StatusForbidden, fault.Forbidden)
	s.wantProblem("without a date", reopen(s.token, ""), http.StatusUnprocessableEntity, fault.InvalidField)
	if a := reopen(s.token, "2026-02-01"); a.status != http.StatusNoContent {
		t.Fatalf("reopen: %d %s", a.status, a.body)
	}
	board := decode[view.Board](t, s.get("/campaigns/"+campaign.ID))
	if len(board.Tasks) != 1 || board.Tasks[0].Ring != "R0" {
		t.Errorf("the board shows %+v", board.Tasks)
	}
	if got := decode[view.TaskPage](t, s.get("/tasks?device=pc-1&campaign="+campaign.Name)); len(got.Rows) != 1 || got.Rows[0].Reminders != 0 {
		t.Errorf("reopened: %+v", got.Rows)
	}
	s.wantProblem("a huge request elsewhere", s.post("/tasks", strings.Repeat("x", 1<<20+1)), http.StatusRequestEntityTooLarge, fault.InvalidField)
}

func TestTasksPageByTheirDates(t *testing.T) {
	s := newSite(t)
	for _, due := range []string{"2026-01-20", "2026-01-19", "2026-01-19", "2026-01-21", "2026-01-18"} {
		decode[api.Made](t, s.post("/tasks", api.OpenTask{Title: "x", Owner: "it", Due: due}))
	}
	var got []time.Time
	seen := map[string]bool{}
	for next := ""; ; {
		page := decode[view.TaskPage](t, s.get("/tasks?limit=2&cursor="+next))
		for _, row := range page.Rows {
			if seen[row.ID] {
				t.Fatalf("task %s comes twice", row.ID)
			}
			seen[row.ID], got = true, append(got, row.Due)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if len(got) != 5 {
		t.Fatalf("%d tasks, want 5", len(got))
	}
	for i := 1; i < len(got); i++ {
		if got[i].Before(got[i-1]) {
			t.Errorf("due %s after %s", got[i], got[i-1])
		}
	}
}
