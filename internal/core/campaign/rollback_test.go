package campaign_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// goesBack: openssl is on the device, and someone asked to undo it here.
func (s *situation) goesBack() *campaign.Progress {
	s.Missing = s.Missing[1:]
	p := s.progress(openssl, patch.Scheduled)
	p.Rollback, s.Goal = true, campaign.RollBack
	return p
}

func TestRollback(t *testing.T) {
	runDevices(t, []deviceTest{
		{"is ordered like an install", func(s *situation) { s.goesBack() }, "not_reached order_in_flight order rollback openssl", "openssl scheduled rollback_asked", expiry},
		{"leaves what else there is to do to others", func(s *situation) { s.goesBack() }, "not_reached order_in_flight order rollback openssl", "", expiry},
		{"is not stopped by a hold", func(s *situation) { s.goesBack(); s.hold(campaign.Hold{}); s.hold(campaign.Hold{Device: "d1"}) },
			"not_reached order_in_flight order rollback openssl", "", expiry},
		{"is not stopped by a stopped ring", func(s *situation) { s.goesBack(); s.ring().Stopped = fault.Because(fault.GateFailedTooMany) },
			"not_reached order_in_flight order rollback openssl", "", expiry},
		{"waits for a window", func(s *situation) { s.goesBack(); s.Windows = nil }, "not_reached no_window", "", noon.Add(24 * time.Hour)},
		{"waits for another campaign", func(s *situation) { s.goesBack(); s.OtherCampaign = "c0" }, "not_reached other_order", "", silence},
		{"waits for a device that is away", func(s *situation) { s.goesBack(); s.LastSeen = monday.Add(-80 * time.Hour) },
			"unreachable device_unreachable order rollback openssl", "", expiry},
		{"ends with the campaign", func(s *situation) { s.goesBack(); s.State = campaign.Closed }, "not_reached campaign_closed", "", silence},
		{"is under way", func(s *situation) { s.goesBack(); s.ordered(wire.StepInstall, openssl).Kind = wire.OrderRollback },
			"not_reached order_in_flight", "openssl installing order_in_flight", time.Time{}},
		{"waits for the install that has begun", func(s *situation) { s.goesBack(); s.ordered(wire.StepInstall, openssl) }, "not_reached order_in_flight", "", time.Time{}},
		{"takes back an install that has not begun", func(s *situation) { s.goesBack(); s.ordered(wire.StepWait, nginx) }, "not_reached order_cancelled cancel", "", noon},
		{"says that it cannot be", func(s *situation) {
			s.goesBack().Packages = []wire.Change{{Name: "openssl", From: "1", To: "2", Rollback: wire.RollbackImpossible, Why: "no_old_package"}}
		}, "failed rollback_impossible", "openssl failed rollback_impossible", time.Time{}},
		{"failed, and is tried again later", func(s *situation) {
			p := s.goesBack()
			*p = p.Apply(wire.OrderRollback, wire.Outcome{State: wire.ItemFailed, Cause: &wire.Cause{Code: "dpkg_broken"}}, s.Terms, noon)
		}, "failed dpkg_broken", "openssl failed dpkg_broken", noon.Add(4 * time.Hour)},
		{"failed, and it is time", func(s *situation) {
			p := s.goesBack()
			p.State, p.Attempts, p.Reason, p.Next = patch.Failed, 1, fault.Because(fault.DpkgBroken), noon
		}, "failed dpkg_broken order rollback openssl", "", expiry},
		{"failed, and is given up", func(s *situation) {
			p := s.goesBack()
			p.State, p.Attempts, p.Reason = patch.Failed, 3, fault.Because(fault.DpkgBroken)
		}, "failed dpkg_broken", "", time.Time{}},
		{"waits for its reboot", func(s *situation) { s.goesBack().State = patch.Rebooting; s.RebootPending = true }, "not_reached reboot_pending", "", silence},
		{"waits for the scan after its reboot", func(s *situation) { s.goesBack().State = patch.Rebooting; s.ScanAt = monday }, "not_reached reboot_pending rescan", "", silence},
		{"waits for a scan that is not from before its reboot", func(s *situation) { s.goesBack().State = patch.Rebooting; s.Booted = noon },
			"not_reached reboot_pending", "", silence},
		{"is done", func(s *situation) { s.goesBack().State = patch.RolledBack }, "done", "openssl rolled_back rollback_asked", time.Time{}},
		{"is done after its reboot", func(s *situation) { s.goesBack().State = patch.Rebooting; s.Missing = nil },
			"done", "openssl rolled_back rollback_asked", time.Time{}},
	})
}

func TestTheRolledBackIsNotInstalledAgain(t *testing.T) {
	runDevices(t, []deviceTest{
		{"though the scan offers it", func(s *situation) { s.progress(openssl, patch.RolledBack); s.Missing = s.Missing[:1] },
			"exempt rollback_asked", "openssl rolled_back rollback_asked", time.Time{}},
		{"withdrawn everywhere, it is nobody's any more", func(s *situation) {
			s.progress(openssl, patch.RolledBack)
			s.installed(nginx, patch.Verified)
			gone := openssl
			gone.Withdrawn = true
			s.content(gone, nginx)
		}, "done", "nginx verified, openssl rolled_back rollback_asked", time.Time{}},
	})
}

func TestWhatARollbackHas(t *testing.T) {
	asked := campaign.Asked("user:admin", "printing is broken")
	had := func(s *situation, state patch.State) *campaign.Progress {
		p := s.installed(openssl, state)
		*p = p.AskedBack(asked)
		s.Missing = nil
		return p
	}
	runDevices(t, []deviceTest{
		{"stays where it is until it is back", func(s *situation) { had(s, patch.Verified) }, "done", "openssl verified rollback_asked", time.Time{}},
		{"stays failed", func(s *situation) { had(s, patch.Failed).Reason = fault.Because(fault.PackageFailed) }, "failed package_failed", "", time.Time{}},
		{"is not tried again", func(s *situation) {
			p := had(s, patch.Failed)
			p.Reason, p.Attempts = fault.Because(fault.PackageFailed), 1
			s.Missing = []campaign.Missing{missing("openssl", "1", "2")}
		}, "failed package_failed", "", time.Time{}},
		{"is not contradicted by a scan that offers it", func(s *situation) {
			had(s, patch.Verified).Updated = monday
			s.Missing = []campaign.Missing{missing("openssl", "1", "2")}
		}, "done", "", time.Time{}},
		{"is not installed where it was only ordered", func(s *situation) {
			had(s, patch.Scheduled)
			s.Missing = []campaign.Missing{missing("openssl", "1", "2")}
		},
			"exempt rollback_asked", "", time.Time{}},
		{"does not keep the device from the rest", func(s *situation) { had(s, patch.Verified); s.Missing = []campaign.Missing{missing("nginx", "1", "2")} },
			"not_reached order_in_flight order install nginx", "", expiry},
		{"is left out once it is back", func(s *situation) { p := had(s, patch.Verified); *p = p.Back(asked) }, "exempt rollback_asked", "openssl rolled_back rollback_asked", time.Time{}},
	})
}

func TestARollbackIsConfirmedByAScan(t *testing.T) {
	back := func(s *situation) *campaign.Progress {
		p := s.goesBack()
		p.State, s.Missing = patch.RolledBack, nil
		return p
	}
	runDevices(t, []deviceTest{
		{"from after it", func(s *situation) { back(s) }, "done", "openssl rolled_back rollback_asked", time.Time{}},
		{"which is asked for", func(s *situation) { back(s).Updated = noon }, "not_reached awaiting_verification rescan", "openssl verifying awaiting_verification", silence},
		{"that worked", func(s *situation) { back(s); s.Scan = wire.ScanStale }, "not_reached awaiting_verification", "", silence},
		{"that lists it as missing again", func(s *situation) { back(s); s.Missing = []campaign.Missing{missing("openssl", "1", "2")} }, "done", "", time.Time{}},
		{"not by one that still sees the undone version", func(s *situation) { back(s); s.Missing = []campaign.Missing{missing("openssl", "2", "3")} },
			"failed no_effect", "openssl failed no_effect", noon.Add(4 * time.Hour)},
		{"that sees another version offered to the old one", func(s *situation) { back(s); s.Missing = []campaign.Missing{missing("openssl", "1", "3")} }, "done", "", time.Time{}},
		{"again, when its campaign installs it late", func(s *situation) {
			p := back(s)
			p.Found = &campaign.Progress{Item: p.Item, State: patch.Verified, Packages: p.Packages}
		}, "not_reached order_in_flight order rollback openssl", "", expiry},
		{"not to have been there at all", func(s *situation) {
			p := s.goesBack()
			p.Found = &campaign.Progress{Item: p.Item, State: patch.Scheduled, Packages: p.Packages}
		}, "exempt rollback_asked", "openssl not_applicable not_applicable", time.Time{}},
	})
}

func TestARollbackOfItsOwn(t *testing.T) {
	runDevices(t, []deviceTest{
		{"waits for its ring", func(s *situation) { s.goesBack(); s.ring().State = campaign.RingPending }, "not_reached ring_not_open", "", silence},
		{"is stopped by a hold on itself", func(s *situation) { s.goesBack(); s.hold(campaign.Hold{Campaign: "c1"}) }, "not_reached campaign_held", "", silence},
		{"takes its order back under one", func(s *situation) {
			s.goesBack()
			s.ordered(wire.StepWait, openssl).Kind = wire.OrderRollback
			s.hold(campaign.Hold{Campaign: "c1"})
		}, "not_reached campaign_held cancel", "", noon},
		{"takes the place of an order that has not begun", func(s *situation) { s.goesBack(); s.OtherCampaign, s.OtherYields = "c0", true },
			"not_reached order_in_flight order rollback openssl", "", expiry},
	})
}

func TestARollbackOrderTurnsEachChangeAround(t *testing.T) {
	s := aSituation()
	s.goesBack().Packages = []wire.Change{
		{Name: "openssl", From: "1", To: "2", Rollback: wire.RollbackReady}, {Name: "libnew", To: "2", Rollback: wire.RollbackReady},
	}
	want := []wire.Change{
		{Name: "openssl", From: "2", To: "1", Rollback: wire.RollbackReady}, {Name: "libnew", From: "2", Rollback: wire.RollbackReady},
	}
	d := s.decide()
	if d.Order == nil || len(d.Order.Items) != 1 {
		t.Fatalf("got %+v, want one order", d)
	}
	if diff := cmp.Diff(want, d.Order.Items[0].Packages); diff != "" {
		t.Error(diff)
	}
	if s.Progress[0].Packages[0].To != "2" {
		t.Error("the decision changed what it was given")
	}
}

func TestCannotGoBack(t *testing.T) {
	why, cannot := campaign.CannotGoBack([]wire.Change{{Name: "a", Rollback: wire.RollbackReady}, {Name: "b", Rollback: wire.RollbackImpossible, Why: "no_old_package"}})
	if !cannot || why.Code != fault.RollbackCannot || why.Args["package"] != "b" || why.Args["why"] != "no_old_package" {
		t.Errorf("got %s, %v", why, cannot)
	}
	if why, cannot := campaign.CannotGoBack([]wire.Change{{Name: "a", Rollback: wire.RollbackReady}, {Name: "b"}}); cannot {
		t.Errorf("nothing says that it cannot: %s", why)
	}
}

// backIn: the rollback has the item, which its campaign left in a state.
func (s *situation) backIn(item campaign.Item, state, was patch.State) *campaign.Progress {
	p := s.progress(item, state)
	p.Rollback, s.Goal, s.Missing = true, campaign.RollBack, nil
	p.Found = &campaign.Progress{Item: item.ID, State: was, Attempts: 3, Packages: p.Packages, Rollback: true}
	return p
}

func TestTheWholeCampaignGoesBack(t *testing.T) {
	runDevices(t, []deviceTest{
		{"what was installed", func(s *situation) {
			s.backIn(openssl, patch.Scheduled, patch.Verified)
			s.backIn(nginx, patch.Scheduled, patch.InstalledPendingReboot)
		}, "not_reached order_in_flight order rollback openssl nginx", "", expiry},
		{"what failed half way, however often it was tried", func(s *situation) { s.backIn(openssl, patch.Scheduled, patch.Failed) },
			"not_reached order_in_flight order rollback openssl", "", expiry},
		{"nothing of it was ever on the device", func(s *situation) { s.backIn(openssl, patch.Scheduled, patch.NotApplicable) }, "exempt rollback_asked", "", time.Time{}},
		{"its ring is not open yet", func(s *situation) {
			s.backIn(openssl, patch.Scheduled, patch.Verified)
			s.ring().State = campaign.RingPending
		}, "not_reached ring_not_open", "", silence},
		{"all is back", func(s *situation) { s.backIn(openssl, patch.RolledBack, patch.RolledBack) }, "done", "openssl rolled_back rollback_asked", time.Time{}},
		{"one is back, one cannot", func(s *situation) {
			s.backIn(openssl, patch.RolledBack, patch.RolledBack)
			s.backIn(nginx, patch.Scheduled, patch.Verified).Packages[0].Rollback = wire.RollbackImpossible
		}, "failed rollback_impossible", "", time.Time{}},
	})
}
