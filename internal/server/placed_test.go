package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/register"
	"patchring/internal/infra/view"
	"patchring/internal/service/access"
)

func (w *world) describe(d *fakeDevice, ask fleet.Describe) []campaign.Place {
	w.t.Helper()
	out, err := w.srv.Roster.Describe(w.t.Context(), "main", w.by, d.id, ask)
	w.must(err)
	return out.Places
}

// impossible is what each ring counts, and what the list has.
func (w *world) impossible(c campaign.ID) (rings []int64, listed []string) {
	w.t.Helper()
	for _, name := range []string{"R0", "R1", "GLOBAL"} {
		rings = append(rings, w.ring(c, 0, name).RollbackImpossible)
	}
	page, err := w.srv.View.ImpossibleRollbacks(w.t.Context(), "main", view.ImpossibleQuery{})
	w.must(err)
	for _, i := range page.Rows {
		listed = append(listed, i.Ring+" "+i.Device.Name+" "+i.Patch.Name+" "+i.Reason.Args["why"])
	}
	return rings, listed
}

func TestWhatADeviceCannotPutBackFollowsItThroughTheRings(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	pilot := w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	pilot.unkept["nginx"] = true
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	want := func(what string, rings []int64, lines ...string) {
		t.Helper()
		gotRings, gotLines := w.impossible(c)
		if !slices.Equal(gotRings, rings) || !slices.Equal(gotLines, lines) {
			t.Errorf("%s: rings count %v, the list has %q; want %v and %q", what, gotRings, gotLines, rings, lines)
		}
	}
	want("installed", []int64{1, 0, 0}, "R0 it-1 nginx no_old_package")
	move := campaign.Expedite{Campaign: string(c), Ring: "R1", Device: pilot.id, Reason: "not a pilot any more"}
	w.must(w.srv.Conductor.Expedite(t.Context(), "main", w.by, move))
	want("moved", []int64{0, 1, 0}, "R1 it-1 nginx no_old_package")
	before := w.ring(c, 0, "R1")
	if err := w.srv.Conductor.Expedite(t.Context(), "main", w.by, move); fault.CodeOf(err) != fault.NothingToDo {
		t.Errorf("moved where it is: %v, want nothing_to_do", err)
	}
	if after := w.ring(c, 0, "R1"); after != before {
		t.Errorf("moved where it is, its ring changed from %+v to %+v", before, after)
	}
	admin := access.Principal{Tenant: "main", Name: "admin", Roles: []string{access.Admin}}
	w.must(w.srv.Access.Retire(t.Context(), admin, pilot.id, "sold"))
	pilot.away = true
	w.settle()
	want("retired", []int64{0, 0, 0})
	w.verifyRegister()
}

func TestADescriptionMovesADeviceUntilTheContentIsSealed(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2"))
	d := w.device("fin-1", fleet.Workstation, "", versions("1"), versions("2"))
	silent := w.device("fin-2", fleet.Workstation, "", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	if places := w.describe(d, fleet.Describe{Tags: fleet.Tags{"site": "lyon"}}); len(places) != 0 {
		t.Errorf("before the campaign has begun: %+v, want nothing to say", places)
	}
	silent.away = true // the sealing waits for its scan
	w.until(time.Date(2026, 1, 13, 19, 1, 0, 0, paris), time.Hour)
	if w.ring(c, 0, "GLOBAL").NotReached != 2 {
		t.Fatalf("GLOBAL: %+v, want two devices", w.ring(c, 0, "GLOBAL"))
	}
	places := w.describe(d, fleet.Describe{Tags: fleet.Tags{"campaign": "pilot"}, Reason: "joins the pilots"})
	want := []campaign.Place{{Campaign: c, Name: "2026-01", From: "GLOBAL", To: "R1", Follows: true}}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("before the sealing (-want +got):\n%s", diff)
	}
	if w.ring(c, 0, "GLOBAL").NotReached != 1 || w.ring(c, 0, "R1").NotReached != 1 {
		t.Errorf("R1 %+v, GLOBAL %+v; want one device each", w.ring(c, 0, "R1"), w.ring(c, 0, "GLOBAL"))
	}
	silent.away = false
	w.until(time.Date(2026, 1, 13, 21, 30, 0, 0, paris), 10*time.Minute)
	places = w.describe(d, fleet.Describe{Untag: []string{"campaign"}})
	want = []campaign.Place{{Campaign: c, Name: "2026-01", From: "R1", To: "GLOBAL"}}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("after the sealing (-want +got):\n%s", diff)
	}
	w.until(time.Date(2026, 1, 14, 9, 0, 0, 0, paris), time.Hour)
	if w.ring(c, 0, "R1").NotReached != 1 {
		t.Errorf("R1: %+v, want it to keep its device", w.ring(c, 0, "R1"))
	}
	events, err := w.srv.View.Events(t.Context(), "main", view.EventQuery{Device: string(d.id)})
	w.must(err)
	i := slices.IndexFunc(events.Rows, func(e view.Event) bool {
		return e.Kind == register.DeviceChanged && e.Detail["why"] == "joins the pilots"
	})
	if i < 0 {
		t.Fatalf("the register of the device: %+v, want its change with the reason", events.Rows)
	}
	after, _ := events.Rows[i].Detail["after"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"site": "lyon", "campaign": "pilot"}, after["tags"]); diff != "" {
		t.Errorf("tags in the register (-want +got):\n%s", diff)
	}
	listed, err := w.srv.View.Devices(t.Context(), "main", view.DeviceQuery{Tag: "campaign=pilot"})
	if err != nil || len(listed.Rows) != 0 {
		t.Errorf("devices with the tag that was taken away: %+v, %v", listed.Rows, err)
	}
	w.verifyRegister()
}

func TestADescriptionThatIsTakenOutOfThePerimeterLeavesItsRing(t *testing.T) {
	w := newWorld(t, time.Date(2026, 1, 12, 9, 0, 0, 0, paris))
	w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2")).away = true
	d := w.device("fin-1", fleet.Workstation, "pilot-users", versions("1"), versions("2"))
	c := w.campaign(t, "2026-01")
	w.until(time.Date(2026, 1, 13, 19, 1, 0, 0, paris), time.Hour)
	w.must(w.srv.Roster.Remove(t.Context(), "main", w.by, "pilot-users", []string{"fin-1"}))
	if w.ring(c, 0, "R1").NotReached != 0 || w.ring(c, 0, "GLOBAL").NotReached != 1 {
		t.Errorf("R1 %+v, GLOBAL %+v; want the device to have followed its group", w.ring(c, 0, "R1"), w.ring(c, 0, "GLOBAL"))
	}
	if places := w.describe(d, fleet.Describe{Kind: fleet.Critical}); len(places) != 1 || places[0].To != "" || !places[0].Follows {
		t.Errorf("a critical device: %+v, want it out of the campaign", places)
	}
	if n := w.ring(c, 0, "GLOBAL").NotReached; n != 0 {
		t.Errorf("GLOBAL still counts %d devices", n)
	}
	if places := w.describe(d, fleet.Describe{Kind: fleet.Workstation}); len(places) != 1 || places[0].To != "GLOBAL" {
		t.Errorf("a workstation again: %+v, want it in GLOBAL", places)
	}
	if n := w.ring(c, 0, "GLOBAL").NotReached; n != 1 {
		t.Errorf("GLOBAL counts %d devices, want one", n)
	}
}
