package server_test

import (
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/service/access"
)

// Where one device rehearses each patch, and leaves while it cannot put one back,
// another of the first ring does it: the campaign does not wait for ever.
func TestAnotherDeviceRehearsesWhenOneLeaves(t *testing.T) {
	for name, leave := range map[string]func(*world, campaign.ID, *fakeDevice){
		"moved": func(w *world, c campaign.ID, d *fakeDevice) {
			w.must(w.srv.Conductor.Expedite(w.t.Context(), "main", w.by, campaign.Expedite{Campaign: string(c), Ring: "R1", Device: d.id, Reason: "its user changes"}))
		},
		"retired": func(w *world, _ campaign.ID, d *fakeDevice) {
			admin := access.Principal{Tenant: "main", Name: "admin", Roles: []string{access.Admin}}
			w.must(w.srv.Access.Retire(w.t.Context(), admin, d.id, "its board is dead"))
			d.away = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				pilots := []*fakeDevice{
					w.device("it-1", fleet.Workstation, "it-pilots", versions("1"), versions("2")),
					w.device("it-2", fleet.Workstation, "it-pilots", versions("1"), versions("2")),
				}
				w.applyProcedure(t, strings.NewReplacer("rollback: {on_severity: critical}", "rollback: {on_severity: critical, rehearse: {devices: 1}}",
					"max_failed: 0", "max_failed: 5").Replace(procedureText)) // or the breaker wakes everybody
				c := w.create(t, "2026-01")
				for _, d := range pilots {
					d.sticks = map[string]bool{"nginx": true}
				}
				var first, other *fakeDevice
				for first == nil && w.now.Before(time.Date(2026, 1, 15, 0, 0, 0, 0, paris)) {
					w.until(w.now.Add(5*time.Minute), 5*time.Minute)
					for i, d := range pilots {
						if rehearsalOn(w, c, d, "nginx") == campaign.GoingBack {
							first, other = d, pilots[1-i]
						}
					}
				}
				if first == nil {
					t.Fatal("nobody rehearses")
				}
				other.sticks = nil
				leave(w, c, first)
				for busy := true; busy; { // the server alone: the other says nothing that would have it decided
					var err error
					busy, err = w.srv.Conductor.Step(t.Context())
					w.must(err)
				}
				if orders, err := w.srv.DB.Read().OpenOrders(t.Context(), "main", string(other.id)); err != nil || len(orders) != 1 {
					t.Errorf("the other has the orders %+v (%v), want one at once", orders, err)
				}
				w.sign(c, "R0", "it", 1)
				w.until(time.Date(2026, 1, 17, 9, 0, 0, 0, paris), 30*time.Minute)
				if r := w.ring(c, 0, "R0"); !campaign.RingState(r.State).Passed() {
					t.Errorf("R0 is %s: %s", r.State, r.Reasons)
				}
				if got := rehearsalOn(w, c, other, "nginx"); got != campaign.RehearsalDone {
					t.Errorf("the other has come to %q with nginx", got)
				}
			})
		})
	}
}

// rehearsalOn is how far a device has come with the way back of a package.
func rehearsalOn(w *world, c campaign.ID, d *fakeDevice, name string) campaign.RehearsalStage {
	items, err := w.srv.DB.Read().ItemsOfDevice(w.t.Context(), "main", string(d.id))
	w.must(err)
	for _, i := range items {
		if i.Campaign == string(c) && i.Item == string(w.patchID(name, "2")) {
			return campaign.RehearsalStage(i.Rehearsal)
		}
	}
	return campaign.NotRehearsed
}
