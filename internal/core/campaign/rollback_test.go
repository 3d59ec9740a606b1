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

// allBack: the whole campaign goes back.
func (s *situation) allBack() {
	s.State = campaign.RollingBack
	gone := []campaign.Item{openssl, nginx}
	for i := range gone {
		gone[i].Withdrawn, gone[i].By, gone[i].Why = true, "user:admin", "printing is broken"
	}
	s.content(gone...)
}

func TestRollback(t *testing.T) {
	runDevices(t, []deviceTest{
		{"is ordered like an install", func(s *situation) { s.goesBack() }, "not_reached order_in_flight order rollback openssl", "openssl scheduled rollback_asked", expiry},
		{"comes before what else there is to do", func(s *situation) { s.goesBack() }, "not_reached order_in_flight order rollback openssl", "", expiry},
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
		{"takes back the install that has not begun", func(s *situation) { s.goesBack(); s.ordered(wire.StepWait, nginx) }, "not_reached order_cancelled cancel", "", noon},
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
		{"done, the device goes on with the rest", func(s *situation) { s.goesBack().State = patch.RolledBack },
			"not_reached order_in_flight order install nginx", "nginx applicable, openssl rolled_back rollback_asked", expiry},
		{"done, the device is left out with it", func(s *situation) { s.goesBack().State = patch.RolledBack; s.Missing = nil },
			"exempt rollback_asked", "openssl rolled_back rollback_asked", time.Time{}},
		{"done after its reboot", func(s *situation) { s.goesBack().State = patch.Rebooting; s.Missing = nil },
			"exempt rollback_asked", "openssl rolled_back rollback_asked", time.Time{}},
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
		}, "done", "nginx verified, openssl rolled_back item_withdrawn", time.Time{}},
	})
}

func TestTheWholeCampaignGoesBack(t *testing.T) {
	runDevices(t, []deviceTest{
		{"what was installed", func(s *situation) {
			s.installed(openssl, patch.Verified)
			s.installed(nginx, patch.InstalledPendingReboot)
			s.allBack()
		}, "not_reached order_in_flight order rollback openssl nginx", "", expiry},
		{"what failed half way, however often it was tried", func(s *situation) {
			s.failed(openssl, fault.PackageFailed).Attempts = 3
			s.allBack()
		}, "not_reached order_in_flight order rollback openssl", "", expiry},
		{"not what was only ordered", func(s *situation) { s.progress(openssl, patch.Scheduled); s.allBack() }, "exempt rollback_asked", "", time.Time{}},
		{"nothing was ever on it", func(s *situation) { s.allBack() }, "exempt rollback_asked", "", time.Time{}},
		{"its ring never opened", func(s *situation) { s.Position = 2; s.allBack() }, "exempt rollback_asked", "", time.Time{}},
		{"all is back", func(s *situation) { s.progress(openssl, patch.RolledBack); s.allBack() }, "done", "openssl rolled_back rollback_asked", time.Time{}},
		{"one is back, one cannot", func(s *situation) {
			s.progress(openssl, patch.RolledBack)
			s.progress(nginx, patch.Verified).Packages[0].Rollback = wire.RollbackImpossible
			s.allBack()
		}, "failed rollback_impossible", "", time.Time{}},
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
