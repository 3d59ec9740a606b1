package campaign_test

import (
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// rehearses: openssl is verified on a device of the first ring, whose procedure
// wants its rollback rehearsed; nothing else is missing.
func (s *situation) rehearses() *campaign.Progress {
	s.Position, s.Rehearse, s.Missing = 0, campaign.Rehearse{Asked: true, Begun: map[patch.ID]int{}}, nil
	return s.progress(openssl, patch.Verified)
}

// again: it was put back, and the scan lists it.
func (s *situation) again() *campaign.Progress {
	p := s.rehearses()
	p.State, p.Rehearsal.Stage = patch.Applicable, campaign.ComingAgain
	s.Missing = []campaign.Missing{missing("openssl", "1", "2")}
	return p
}

func TestRehearsal(t *testing.T) {
	runDevices(t, []deviceTest{
		{"begins with the way back", func(s *situation) { s.rehearses() }, "not_reached rollback_rehearsal order rollback openssl", "openssl verified rollback_rehearsal", expiry},
		{"comes after what else there is to install", func(s *situation) { s.rehearses(); s.Missing = []campaign.Missing{missing("nginx", "1", "2")} },
			"not_reached order_in_flight order install nginx", "", expiry},
		{"is not asked for", func(s *situation) { s.rehearses(); s.Rehearse = campaign.Rehearse{} }, "done", "", time.Time{}},
		{"is for the first ring", func(s *situation) { s.rehearses(); s.Position = 1 }, "done", "", time.Time{}},
		{"has begun on as many devices as the procedure says", func(s *situation) {
			s.rehearses()
			s.Rehearse.Devices, s.Rehearse.Begun[openssl.ID] = 2, 2
		}, "done", "", time.Time{}},
		{"is impossible, and not tried", func(s *situation) { s.rehearses().Packages[0].Rollback = wire.RollbackImpossible }, "done", "", time.Time{}},
		{"has nothing to put back", func(s *situation) { s.rehearses().Packages[0].From = "2" }, "done", "", time.Time{}},
		{"leaves what a rollback has alone", func(s *situation) { p := s.rehearses(); *p = p.AskedBack(campaign.Asked("user:admin", "r")) }, "done", "", time.Time{}},
		{"leaves alone what would not be installed again", func(s *situation) { s.rehearses(); s.decided(openssl, policy.Declined, time.Time{}) }, "done", "", time.Time{}},
		{"waits for a hold", func(s *situation) { s.rehearses(); s.hold(campaign.Hold{}) }, "not_reached campaign_held", "", silence},
		{"waits for a window", func(s *situation) { s.rehearses(); s.Windows = nil }, "not_reached no_window", "", noon.Add(24 * time.Hour)},
		{"waits for a reboot", func(s *situation) { s.rehearses(); s.RebootPending = true }, "not_reached reboot_pending", "", silence},
		{"that did not begin begins again", func(s *situation) {
			p := s.rehearses()
			p.State, p.Rehearsal.Stage = patch.Scheduled, campaign.GoingBack
		}, "not_reached rollback_rehearsal order rollback openssl", "", expiry},
		{"that did not begin is left when the patch is declined meanwhile", func(s *situation) {
			p := s.rehearses()
			p.State, p.Rehearsal.Stage = patch.Scheduled, campaign.GoingBack
			s.decided(openssl, policy.Declined, time.Time{})
		}, "done", "openssl verified", time.Time{}},
		{"goes on with the install", func(s *situation) { s.again() }, "not_reached order_in_flight order install openssl", "", expiry},
		{"waits for the scan that lists it", func(s *situation) { p := s.again(); s.Missing, p.Updated = nil, noon }, "not_reached scan_stale rescan", "", silence},
		{"changed nothing, as its scan says", func(s *situation) { s.again(); s.Missing = nil }, "failed no_effect", "openssl failed no_effect", time.Time{}},
		{"is over once it is verified again", func(s *situation) { s.again().State = patch.Verified; s.Missing = nil }, "done", "", time.Time{}},
		{"is made once", func(s *situation) { s.rehearses().Rehearsal.Stage = campaign.RehearsalDone }, "done", "", time.Time{}},
		{"that failed shows on the device", func(s *situation) { s.rehearses().Rehearsal.Stage = campaign.RehearsalFailed }, "failed rehearsal_failed", "", time.Time{}},
		{"that failed, and is tried again later", func(s *situation) {
			p := s.rehearses()
			p.Rehearsal.Stage = campaign.GoingBack
			*p = p.Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemFailed, Cause: &wire.Cause{Code: "dpkg_broken"}}, s.Terms, noon)
		}, "failed dpkg_broken", "openssl failed dpkg_broken", noon.Add(4 * time.Hour)},
	})
}

// A way back that fails as often as it may leaves nothing behind by silence: a
// scan is to say whether the patch is still there.
func TestARehearsalThatFailsIsSeen(t *testing.T) {
	terms := campaign.Terms{Attempts: 2, RetryAfter: time.Hour}
	p := campaign.Progress{Item: openssl.ID, State: patch.Verified}.Ordered(wire.OrderRollback, wire.Item{ID: string(openssl.ID)}, noon)
	failed := wire.Outcome{Item: string(openssl.ID), State: wire.ItemFailed, Cause: &wire.Cause{Code: string(fault.PackageFailed)}}
	if p = p.Apply(wire.OrderRollback, failed, terms, noon); p.Rehearsal.Stage != campaign.GoingBack || p.Attempts != 1 {
		t.Fatalf("after one failure: %+v", p)
	}
	p = p.Ordered(wire.OrderRollback, wire.Item{ID: string(openssl.ID)}, noon).Apply(wire.OrderRollback, failed, terms, noon)
	if p.Rehearsal.Stage != campaign.RehearsalFailed || p.Rehearsal.Why.Code != fault.PackageFailed || p.State != patch.InstalledPendingReboot || p.Attempts != 0 {
		t.Fatalf("after two failures: %+v", p)
	}
	s := aSituation()
	s.Position, s.Missing, p.Updated, p.Packages = 0, []campaign.Missing{missing("openssl", "1", "2")}, monday, []wire.Change{{Name: "openssl", From: "1", To: "2"}}
	s.Progress = []campaign.Progress{p}
	if d := s.decide(); d.Bucket != campaign.Failed || !d.Items[0].NoEffect {
		t.Errorf("a scan that misses it: %+v; want it failed and tried again", d)
	}
}

// What a rehearsal is ordered to undo is on the device until the device says
// otherwise: a rollback that is asked for meanwhile has it to undo.
func TestARollbackDuringARehearsalHasSomethingToUndo(t *testing.T) {
	p := campaign.Progress{Item: openssl.ID, State: patch.Verified, Packages: []wire.Change{{Name: "openssl", From: "1", To: "2"}}}
	p = p.Ordered(wire.OrderRollback, wire.Item{ID: string(openssl.ID)}, noon)
	if !p.ToUndo(false) {
		t.Errorf("%+v is nothing to undo", p)
	}
	taken := p.AskedBack(campaign.Asked("user:admin", "r"))
	late := taken.Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemRolledBack}, campaign.Terms{}, noon)
	if late.State != patch.RolledBack || late.ToUndo(false) {
		t.Errorf("put back by the rehearsal's own order: %+v", late)
	}
	back := p.Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemRolledBack}, campaign.Terms{}, noon)
	if back.ToUndo(false) {
		t.Errorf("put back, and not asked for yet: %+v", back)
	}
}

func TestARehearsalIsTimed(t *testing.T) {
	p := campaign.Progress{Item: "i", State: patch.Verified}.Ordered(wire.OrderRollback, wire.Item{ID: "i"}, noon)
	p = p.Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemRolledBack}, campaign.Terms{}, noon).Timed(4 * time.Minute)
	p = p.Ordered(wire.OrderInstall, wire.Item{ID: "i"}, noon).Apply(wire.OrderInstall, wire.Outcome{State: wire.ItemVerified}, campaign.Terms{}, noon).Timed(3 * time.Minute)
	if p.Rehearsal.Back != 4*time.Minute || p.Rehearsal.Again != 3*time.Minute {
		t.Errorf("got %+v", p.Rehearsal)
	}
	if asked := (campaign.Progress{Rollback: true}).Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemRolledBack}, campaign.Terms{}, noon); asked.State != patch.RolledBack {
		t.Errorf("what was asked back is %s", asked.State)
	}
}

func TestReadinessOf(t *testing.T) {
	for want, n := range map[campaign.Readiness][3]int{
		campaign.RollbackUnknown: {}, campaign.RollbackReady: {2, 0, 0}, campaign.RollbackRehearsed: {2, 0, 1}, campaign.RollbackImpossible: {2, 1, 1},
	} {
		if got := campaign.ReadinessOf(n[0], n[1], n[2]); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}
