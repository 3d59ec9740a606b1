package view_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/task"
	"patchring/internal/infra/store"
	"patchring/internal/infra/store/gen"
	"patchring/internal/infra/view"
)

// except adds an exception that ends so many days from now.
func (s site) except(id string, days int, e gen.AddExceptionParams) {
	s.t.Helper()
	until := now.AddDate(0, 0, days)
	s.write(func(ctx context.Context, tx *store.Tx) error {
		if e.Tenant == "" {
			e.Tenant = string(tenant)
		}
		e.ID, e.Owner, e.Reason, e.Control, e.Actor = id, "it", "r", "c", "user:bob"
		e.FromUs, e.UntilUs, e.RemindUs = 1, until.UnixMicro(), until.AddDate(0, 0, -14).UnixMicro()
		return tx.AddException(ctx, e)
	})
}

func TestExceptionsAreListedWhereTheyApply(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1", groups: []string{"kiosks"}}, device{id: "d2", name: "pc-2"})
		ssl := key("openssl", "3")
		s.addPatch(ssl, patch.Security, now, "d1")
		s.except("a", 60, gen.AddExceptionParams{Device: "d1"})
		s.except("b", 5, gen.AddExceptionParams{GroupName: "kiosks", Scope: string(policy.ScopeOfName("apt", "openssl"))})
		s.except("c", 30, gen.AddExceptionParams{Scope: string(policy.ScopeOf(ssl.ID()))})
		s.except("d", 10, gen.AddExceptionParams{Device: "d2", Scope: string(policy.ScopeOf(key("vim", "9").ID()))})
		s.except("over", -1, gen.AddExceptionParams{Device: "d1"})
		s.except("elsewhere", 5, gen.AddExceptionParams{Tenant: string(other), Device: "d1"})
		ids := func(rows []view.ExceptionRow) (out []string) {
			for _, e := range rows {
				out = append(out, e.ID+" "+e.State)
			}
			return out
		}
		want := func(what string, rows []view.ExceptionRow, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, ids(rows)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		all := pages(t, func(e view.ExceptionRow) string { return e.ID }, func(p view.Paging) (view.ExceptionPage, error) {
			return s.Exceptions(t.Context(), tenant, view.ExceptionQuery{Paging: p})
		})
		if diff := cmp.Diff([]string{"b", "d", "c", "a"}, all); diff != "" {
			t.Errorf("in force (-want +got):\n%s", diff)
		}
		expiring, err := s.Exceptions(t.Context(), tenant, view.ExceptionQuery{Which: "expiring"})
		if err != nil {
			t.Fatal(err)
		}
		want("expiring", expiring.Rows, "b expiring", "d expiring")
		d, err := s.Device(t.Context(), tenant, "d1")
		if err != nil {
			t.Fatal(err)
		}
		want("of the device", d.Exceptions, "b expiring", "c in_force", "a in_force")
		p, err := s.Patch(t.Context(), tenant, ssl.ID())
		if err != nil {
			t.Fatal(err)
		}
		want("of the patch", p.Exceptions, "b expiring", "c in_force")
		if e := p.Exceptions[0]; e.Provider != "apt" || e.Name != "openssl" || e.Patch != nil || e.Group != "kiosks" {
			t.Errorf("on a name: %+v", e)
		}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			for i, id := range []string{"a", "b", "c"} {
				_, err := tx.EndException(ctx, gen.EndExceptionParams{Tenant: string(tenant), ID: id, EndedUs: now.UnixMicro() + int64(i), EndedBy: "user:bob", EndedWhy: "w"})
				if err != nil {
					return err
				}
			}
			return nil
		})
		ended := pages(t, func(e view.ExceptionRow) string { return e.ID }, func(p view.Paging) (view.ExceptionPage, error) {
			return s.Exceptions(t.Context(), tenant, view.ExceptionQuery{Which: "ended", Paging: p})
		})
		if diff := cmp.Diff([]string{"c", "b", "a"}, ended); diff != "" {
			t.Errorf("ended (-want +got):\n%s", diff)
		}
	})
}

func TestTasksAreListedForWhoseTurnItIs(t *testing.T) {
	each(t, func(t *testing.T, s site) {
		s.add(device{id: "d1", name: "pc-1"})
		c := s.campaign("c1", "2026-01", ring("R0", "open"))
		add := func(id string, hours int, change func(*gen.AddTaskParams)) {
			due := now.Add(time.Duration(hours) * time.Hour)
			row := gen.AddTaskParams{Tenant: string(tenant), ID: id, Title: id, Owner: "it", EscalateAfter: 1, DueUs: due.UnixMicro(), CreatedUs: 1, OpenedUs: due.AddDate(0, 0, -9).UnixMicro(),
				Actor: "user:bob", RemindUs: 1, EscalateUs: 1<<63 - 1}
			change(&row)
			s.write(func(ctx context.Context, tx *store.Tx) error { return tx.AddTask(ctx, row) })
		}
		none := func(*gen.AddTaskParams) {}
		add("later", 100, none)
		add("soon", 2, func(r *gen.AddTaskParams) { r.Device, r.Campaign, r.Ring = "d1", c, "R0" })
		add("late", -1, none)
		add("escalated", -48, func(r *gen.AddTaskParams) {
			r.EscalateTo, r.EscalateUs = "lead", now.Add(-24*time.Hour).UnixMicro()
		})
		add("not yet", -1, func(r *gen.AddTaskParams) {
			r.Owner, r.EscalateTo, r.EscalateUs = "alice", "lead", now.Add(23*time.Hour).UnixMicro()
		})
		add("elsewhere", -1, func(r *gen.AddTaskParams) { r.Tenant = string(other) })
		list := func(q view.TaskQuery) []string {
			t.Helper()
			return pages(t, func(r view.TaskRow) string { return r.ID + " " + string(r.State) }, func(p view.Paging) (view.TaskPage, error) {
				q.Paging = p
				return s.Tasks(t.Context(), tenant, q)
			})
		}
		for _, tt := range []struct {
			name string
			q    view.TaskQuery
			want []string
		}{
			{"all", view.TaskQuery{}, []string{"escalated escalated", "late overdue", "not yet overdue", "soon due_soon", "later open"}},
			{"overdue", view.TaskQuery{Which: "overdue"}, []string{"escalated escalated", "late overdue", "not yet overdue"}},
			{"of IT", view.TaskQuery{Mine: []string{"bob", "it"}}, []string{"escalated escalated", "late overdue", "soon due_soon", "later open"}},
			{"of the one above", view.TaskQuery{Mine: []string{"lead"}}, []string{"escalated escalated"}},
			{"of the device", view.TaskQuery{Device: "d1"}, []string{"soon due_soon"}},
			{"of the campaign", view.TaskQuery{Campaign: c}, []string{"soon due_soon"}},
			{"closed", view.TaskQuery{Which: "closed"}, nil},
		} {
			if diff := cmp.Diff(tt.want, list(tt.q)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
		s.write(func(ctx context.Context, tx *store.Tx) error {
			for i, id := range []string{"late", "soon", "later"} {
				if _, err := tx.CloseTask(ctx, gen.CloseTaskParams{Tenant: string(tenant), ID: id, ClosedUs: now.UnixMicro() + int64(i), ClosedBy: "user:bob"}); err != nil {
					return err
				}
				if err := tx.AddTaskProof(ctx, gen.AddTaskProofParams{Tenant: string(tenant), ID: strconv.Itoa(i), Task: id, Kind: string(task.Text), Text: "seen", Actor: "user:bob", AtUs: 1}); err != nil {
					return err
				}
			}
			return nil
		})
		if diff := cmp.Diff([]string{"later closed", "soon closed", "late closed"}, list(view.TaskQuery{Which: "closed"})); diff != "" {
			t.Errorf("closed (-want +got):\n%s", diff)
		}
		today, err := s.Today(t.Context(), tenant)
		if err != nil || today.OpenTasks != 2 || today.OverdueTasks != 2 || len(today.LateTasks) != 2 {
			t.Errorf("today: %d open, %d overdue, %d shown, %v", today.OpenTasks, today.OverdueTasks, len(today.LateTasks), err)
		}
	})
}
