package campaign_test

import (
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

func TestAnOrderInFlight(t *testing.T) {
	gone := openssl
	gone.Withdrawn = true
	both := func(s *situation, step wire.Step) *campaign.OpenOrder {
		s.progress(openssl, patch.Scheduled)
		s.progress(nginx, patch.Scheduled)
		return s.ordered(step, openssl, nginx)
	}
	runDevices(t, []deviceTest{
		{"is left alone", func(s *situation) { both(s, wire.StepAccepted) },
			"not_reached order_in_flight", "nginx scheduled order_in_flight, openssl scheduled order_in_flight", expiry},
		{"says what the agent waits for", func(s *situation) {
			o := both(s, wire.StepWait)
			o.Cause, o.Next = fault.Because(fault.OutsideWindow), inHour
		}, "not_reached outside_window", "nginx ready outside_window, openssl ready outside_window", expiry},
		{"is not repeated for what is found meanwhile", func(s *situation) { s.progress(openssl, patch.Scheduled); s.ordered(wire.StepWait, openssl) },
			"not_reached order_in_flight", "nginx applicable, openssl ready order_in_flight", expiry},
		{"is not repeated for what another scan lists", func(s *situation) { both(s, wire.StepInstall); s.ScanAt = noon },
			"not_reached order_in_flight", "nginx installing order_in_flight, openssl installing order_in_flight", time.Time{}},
		{"ends what a scan does not list any more, not before its result", func(s *situation) { both(s, wire.StepInstall); s.Missing = nil },
			"not_reached order_in_flight", "nginx installing order_in_flight, openssl installing order_in_flight", time.Time{}},

		{"is taken back when a patch of it is withdrawn", func(s *situation) { both(s, wire.StepWait); s.content(gone, nginx) },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back, with nothing left to do", func(s *situation) {
			s.Missing = s.Missing[:1]
			s.progress(openssl, patch.Scheduled)
			s.ordered(wire.StepWait, openssl)
			s.content(gone)
		}, "done cancel", "", noon},
		{"is taken back when a patch of it is declined", func(s *situation) { both(s, wire.StepWait); s.decided(openssl, policy.Declined, time.Time{}) },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back when a patch of it is delayed", func(s *situation) { both(s, wire.StepWait); s.decided(openssl, policy.Delayed, inHour) },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back when an exception leaves a patch of it out", func(s *situation) {
			both(s, wire.StepWait)
			s.Rules.Exceptions = []policy.Exception{{ID: "e1", Patch: policy.ScopeOf(openssl.ID), Owner: "it", From: monday, Until: inHour}}
		}, "not_reached order_cancelled cancel", "", noon},
		{"is taken back when nothing approves it any more", func(s *situation) { both(s, wire.StepWait); s.Rules.Classes = nil }, "exempt patch_pending cancel", "", noon},
		{"is taken back when the content does not have it", func(s *situation) { both(s, wire.StepWait); s.content(nginx) },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back when a rollback has a patch of it", func(s *situation) {
			both(s, wire.StepWait)
			s.Progress[0].Rollback = true
		}, "not_reached order_cancelled cancel", "", noon},
		{"is taken back when the device moves to a ring that is not open", func(s *situation) { both(s, wire.StepWait); s.Position = 2 },
			"not_reached ring_not_open cancel", "", noon},
		{"is taken back when its ring stops", func(s *situation) { both(s, wire.StepWait); s.ring().Stopped = fault.Because(fault.GateFailedTooMany) },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back when the device's windows are others", func(s *situation) { both(s, wire.StepWait); s.Windows = today[:1] },
			"not_reached order_cancelled cancel", "", noon},
		{"is taken back when the campaign is closed", func(s *situation) { both(s, wire.StepWait); s.State = campaign.Closed },
			"not_reached campaign_closed cancel", "", noon},
		{"is not taken back for a window that is over", func(s *situation) {
			o := both(s, wire.StepWait)
			o.Windows = append([]calendar.Interval{{Start: monday, End: monday.Add(time.Hour)}}, today...)
		}, "not_reached order_in_flight", "", expiry},
		{"is not taken back for what its windows lost on their way", func(s *situation) {
			o := both(s, wire.StepWait)
			s.Windows = []calendar.Interval{{Start: noon.Add(time.Hour + 999), End: noon.Add(2*time.Hour + 1)}}
			o.Windows = []calendar.Interval{{Start: s.Windows[0].Start.Truncate(time.Microsecond), End: s.Windows[0].End.Round(time.Microsecond)}}
		}, "not_reached order_in_flight", "", expiry},
		{"is not taken back for a hold: agents know holds", func(s *situation) { both(s, wire.StepWait); s.hold(campaign.Hold{}) },
			"not_reached order_in_flight", "", expiry},
		{"is not taken back for a patch that the device got otherwise", func(s *situation) { both(s, wire.StepWait); s.Missing = s.Missing[1:] },
			"not_reached order_in_flight", "nginx ready order_in_flight, openssl ready order_in_flight", expiry},

		{"that has begun is left to its end", func(s *situation) { both(s, wire.StepInstall); s.content(gone, nginx) }, "not_reached order_in_flight", "", time.Time{}},
		{"that quiesces has begun", func(s *situation) { both(s, wire.StepQuiesce); s.content(gone, nginx) }, "not_reached order_in_flight", "", time.Time{}},
		{"that downloads has not begun", func(s *situation) { both(s, wire.StepDownload); s.content(gone, nginx) }, "not_reached order_cancelled cancel", "", noon},
		{"that has begun survives a rollback", func(s *situation) { both(s, wire.StepReboot); s.Progress[0].Rollback = true },
			"not_reached order_in_flight", "", time.Time{}},

		{"that is out of time is written again", func(s *situation) { both(s, wire.StepWait).Expires = noon },
			"not_reached order_in_flight order install openssl nginx expired", "", expiry},
		{"that has begun may overrun", func(s *situation) { both(s, wire.StepInstall).Expires = noon.Add(-time.Hour) },
			"not_reached order_in_flight", "", noon.Add(71 * time.Hour)},
		{"that has begun and is never heard of again is given up", func(s *situation) { both(s, wire.StepInstall).Expires = noon.Add(-72 * time.Hour) },
			"not_reached order_in_flight order install openssl nginx expired", "", expiry},
	})
}

func TestStateOf(t *testing.T) {
	want := map[wire.Step]patch.State{
		"": patch.Scheduled, wire.StepAccepted: patch.Scheduled, wire.StepPreflight: patch.Scheduled, wire.StepPreserve: patch.Downloading,
		wire.StepDownload: patch.Downloading, wire.StepWait: patch.Ready, wire.StepQuiesce: patch.Installing, wire.StepInstall: patch.Installing,
		wire.StepSettle: patch.Installing, wire.StepReboot: patch.Rebooting, wire.StepVerify: patch.Verifying, wire.StepProbe: patch.Verifying,
		wire.StepReport: patch.Verifying, wire.StepDone: patch.Verifying, wire.StepInterrupted: patch.Scheduled,
	}
	for step, state := range want {
		if got := campaign.StateOf(step); got != state {
			t.Errorf("at %q: %s, want %s", step, got, state)
		}
	}
}

func TestFailures(t *testing.T) {
	only := func(s *situation) { s.Missing = s.Missing[:1] }
	stop := func(s *situation) { s.ring().Stopped = fault.Because(fault.GateFailedTooMany, "have", "2", "max", "1") }
	runDevices(t, []deviceTest{
		{"waits before it tries again", func(s *situation) { only(s); s.failed(openssl, fault.PackageFailed) }, "failed package_failed", "openssl failed package_failed", inHour},
		{"tries again when it is time", func(s *situation) { only(s); s.failed(openssl, fault.PackageFailed).Next = noon },
			"failed package_failed order install openssl", "openssl failed package_failed", expiry},
		{"stays failed while it is tried again", func(s *situation) {
			only(s)
			*s.failed(openssl, fault.PackageFailed) = s.Progress[0].Ordered(wire.OrderInstall, wire.Item{ID: string(openssl.ID)}, noon)
			s.ordered(wire.StepInstall, openssl)
		}, "failed package_failed", "openssl installing order_in_flight", time.Time{}},
		{"stays failed while its retry waits after an order that was not carried out", func(s *situation) {
			only(s)
			s.failed(openssl, fault.PackageFailed)
			s.Progress[0] = s.Progress[0].Refuse(fault.Because(fault.OrderExpired), s.Terms, noon)
		}, "failed package_failed", "openssl failed package_failed", noon.Add(4 * time.Hour)},
		{"is given up after enough attempts", func(s *situation) { only(s); s.failed(openssl, fault.PackageFailed).Attempts = 3 },
			"failed package_failed", "openssl failed package_failed", time.Time{}},
		{"is in quarantine", func(s *situation) {
			only(s)
			p := s.failed(openssl, fault.NoEffect)
			p.Attempts, p.NoEffects, p.Next = 2, 2, noon
		}, "failed quarantined", "openssl failed quarantined", time.Time{}},
		{"the rest goes on beside it", func(s *situation) { s.failed(openssl, fault.PackageFailed) },
			"failed package_failed order install nginx", "nginx applicable, openssl failed package_failed", inHour},
		{"was made good by someone else", func(s *situation) { s.Missing = nil; s.failed(openssl, fault.PackageFailed); s.ScanAt = noon },
			"done", "openssl not_applicable not_applicable", time.Time{}},
		{"a scan from before says nothing", func(s *situation) {
			s.Missing, s.ScanAt = nil, monday
			s.failed(openssl, fault.PackageFailed).Next = noon
		},
			"failed package_failed rescan", "openssl failed package_failed", time.Time{}},

		{"a stopped ring gives nothing to others", stop, "not_reached gate_failed_too_many", "nginx applicable, openssl applicable", silence},
		{"a stopped ring lets who is done be done", func(s *situation) { stop(s); s.Missing = nil }, "done", "", time.Time{}},
		{"a stopped ring lets who failed try again", func(s *situation) { stop(s); only(s); s.failed(openssl, fault.PackageFailed).Next = noon },
			"failed package_failed order install openssl", "", expiry},
		{"a stopped ring lets who failed go on with the rest", func(s *situation) { stop(s); s.failed(openssl, fault.PackageFailed) },
			"failed package_failed order install nginx", "", inHour},
		{"a failure of what was withdrawn is no ticket through a stopped ring", func(s *situation) {
			stop(s)
			s.failed(openssl, fault.PackageFailed)
			gone := openssl
			gone.Withdrawn = true
			s.content(gone, nginx)
		}, "not_reached gate_failed_too_many", "nginx applicable, openssl failed item_withdrawn", silence},
		{"a device in a ring that is not open has not failed", func(s *situation) { s.failed(openssl, fault.PackageFailed); s.Position = 2 },
			"not_reached ring_not_open", "", silence},

		{"a local veto leaves the patch out", func(s *situation) {
			only(s)
			p := s.progress(openssl, patch.Waiting)
			p.Reason, p.Next = fault.Because(fault.LocalVeto, "rule", "openssl"), inHour
		}, "exempt local_veto", "openssl waiting local_veto", inHour},
		{"a local veto is asked about again", func(s *situation) {
			only(s)
			p := s.progress(openssl, patch.Waiting)
			p.Reason, p.Next = fault.Because(fault.LocalVeto, "rule", "openssl"), noon
		}, "not_reached order_in_flight order install openssl", "openssl applicable", expiry},
		{"an order that ran out waits before the next", func(s *situation) {
			only(s)
			p := s.progress(openssl, patch.Applicable)
			p.Reason, p.Next = fault.Because(fault.OrderExpired), inHour
		}, "not_reached order_expired", "openssl applicable order_expired", inHour},
	})
}

func TestOtherVersions(t *testing.T) {
	// sees replaces what the scan offers of openssl.
	sees := func(s *situation, from, to string) {
		s.Missing[0] = missing("openssl", from, to)
		s.Missing = s.Missing[:1]
	}
	newer := campaign.Item{ID: keyOf("openssl", "3").ID(), Patch: policy.Patch{Key: keyOf("openssl", "3"), Class: patch.Security}, Amendment: 1, Promoted: 1}
	runDevices(t, []deviceTest{
		{"a newer one is never installed in its place", func(s *situation) { sees(s, "1", "3") }, "failed version_gone", "openssl superseded version_gone", time.Time{}},
		{"the rest goes on", func(s *situation) { s.Missing[0] = missing("openssl", "1", "3") },
			"failed version_gone order install nginx", "nginx applicable, openssl superseded version_gone", expiry},
		{"one that has the sealed version is done", func(s *situation) { sees(s, "2", "3") }, "done", "", time.Time{}},
		{"one that has a rebuild of it is done", func(s *situation) { sees(s, "2+b1", "3") }, "done", "", time.Time{}},
		{"where packages do not carry the source's version, it is not known", func(s *situation) {
			sees(s, "2", "3")
			s.Missing[0].Packages = []wire.Change{{Name: "libssl", From: "4:10.2-1", To: "4:10.3-1"}}
		}, "failed version_gone", "", time.Time{}},
		{"one half of it installed is not all", func(s *situation) {
			sees(s, "2", "3")
			s.Missing[0].Packages = append(s.Missing[0].Packages, wire.Change{Name: "libssl", From: "1", To: "3"})
		}, "failed version_gone", "", time.Time{}},
		{"a package that would be new says nothing", func(s *situation) {
			sees(s, "2", "3")
			s.Missing[0].Packages = append(s.Missing[0].Packages, wire.Change{Name: "libssl", To: "3"})
		}, "failed version_gone", "", time.Time{}},
		{"of another suite, it is another thing", func(s *situation) { sees(s, "1", "3"); s.Missing[0].Key.Suite = "bookworm-updates" }, "done", "", time.Time{}},
		{"withdrawn: nobody waits for it", func(s *situation) {
			sees(s, "1", "3")
			gone := openssl
			gone.Withdrawn = true
			s.content(gone)
		}, "done", "openssl waiting item_withdrawn", time.Time{}},
		{"declined: nobody waits for it", func(s *situation) { sees(s, "1", "3"); s.decided(openssl, policy.Declined, time.Time{}) }, "exempt patch_declined", "", time.Time{}},
		{"not promoted: it is not asked for yet", func(s *situation) {
			sees(s, "1", "3")
			behind := openssl
			behind.Promoted = 0
			s.content(behind)
		}, "done", "openssl waiting item_not_promoted", time.Time{}},
		{"amended: the amendment carries it", func(s *situation) { sees(s, "1", "3"); s.content(openssl, newer) }, "done", "", time.Time{}},
		{"amended, and the amendment withdrawn", func(s *situation) {
			sees(s, "1", "3")
			gone := newer
			gone.Withdrawn = true
			s.content(openssl, gone)
		}, "failed version_gone", "", time.Time{}},
		{"verified before the newer one appeared", func(s *situation) { sees(s, "2", "3"); s.progress(openssl, patch.Verified) }, "done", "openssl verified", time.Time{}},
		{"installed and waiting for its reboot when it appeared", func(s *situation) {
			sees(s, "2", "3")
			s.progress(openssl, patch.InstalledPendingReboot)
			s.RebootPending = true
		}, "not_reached reboot_pending", "", silence},
		{"gone while its order is on the way: the agent will say", func(s *situation) {
			sees(s, "1", "3")
			s.progress(openssl, patch.Scheduled)
			s.ordered(wire.StepWait, openssl)
		}, "not_reached order_in_flight", "", expiry},
		{"an older one: its source has not got it yet", func(s *situation) { sees(s, "0", "1") }, "not_reached version_gone", "openssl waiting version_gone", silence},
		{"an older one, after it failed", func(s *situation) { sees(s, "0", "1"); s.failed(openssl, fault.DownloadFailed) }, "failed download_failed", "", time.Time{}},
	})
}

func TestClaimedIsNotVerified(t *testing.T) {
	claimed := func(s *situation) *campaign.Progress {
		p := s.installed(openssl, patch.InstalledPendingReboot)
		s.Missing = nil
		p.Reason = fault.Because(fault.RebootPendingNow)
		return p
	}
	listed := func(s *situation, state patch.State) {
		s.Missing = s.Missing[:1]
		s.progress(openssl, state)
	}
	before := func(s *situation) { s.ScanAt = s.Progress[0].Updated }
	runDevices(t, []deviceTest{
		{"waits for its reboot", func(s *situation) { claimed(s); s.RebootPending = true }, "not_reached reboot_pending", "openssl installed_pending_reboot reboot_pending", silence},
		{"says why there is none", func(s *situation) {
			claimed(s).Reason = fault.Because(fault.LocalVeto, "rule", "never_reboot")
			s.RebootPending = true
		},
			"not_reached local_veto", "", silence},
		{"waits for the scan after it", func(s *situation) { claimed(s); before(s) }, "not_reached awaiting_verification rescan", "", silence},
		{"a scan from before the reboot is none", func(s *situation) { claimed(s); s.Booted = scanned.Add(time.Second) },
			"not_reached awaiting_verification rescan", "openssl installed_pending_reboot awaiting_verification", silence},
		{"is verified by the scan after it", func(s *situation) { claimed(s); s.Booted = scanned }, "done", "openssl verified", time.Time{}},
		{"is not verified by old lists", func(s *situation) { claimed(s); s.Scan = wire.ScanStale }, "not_reached awaiting_verification", "", silence},
		{"is not ordered again while an older scan lists it", func(s *situation) { listed(s, patch.InstalledPendingReboot); before(s) },
			"not_reached awaiting_verification rescan", "", silence},
		{"is not ordered again while it waits for its reboot", func(s *situation) { listed(s, patch.InstalledPendingReboot); s.RebootPending = true },
			"not_reached reboot_pending", "", silence},
		{"had no effect when the scan after it lists it", func(s *situation) { listed(s, patch.InstalledPendingReboot) },
			"failed no_effect", "openssl failed no_effect", noon.Add(4 * time.Hour)},

		{"verified by the agent's own scan", func(s *situation) { s.Missing = nil; s.installed(openssl, patch.Verified) }, "done", "openssl verified", time.Time{}},
		{"verified, and an older scan lists it", func(s *situation) { listed(s, patch.Verified); before(s) }, "done", "openssl verified", time.Time{}},
		{"verified, and a later scan lists it", func(s *situation) { listed(s, patch.Verified) }, "failed no_effect", "openssl failed no_effect", noon.Add(4 * time.Hour)},
		{"twice without effect: in quarantine", func(s *situation) { listed(s, patch.Verified); s.Progress[0].NoEffects = 1 },
			"failed quarantined", "openssl failed quarantined", time.Time{}},
		{"nothing to do there, and an older scan lists it", func(s *situation) { listed(s, patch.NotApplicable); before(s) }, "done", "openssl not_applicable", time.Time{}},
		{"nothing to do there, and a later scan lists it", func(s *situation) { listed(s, patch.NotApplicable) }, "failed no_effect", "", time.Time{}},
		{"offered again after nobody ever tried", func(s *situation) { listed(s, patch.NotApplicable); s.Progress[0].Packages = nil },
			"not_reached order_in_flight order install openssl", "openssl applicable", expiry},
	})
}

func TestAContradictionIsCountedOnce(t *testing.T) {
	s := aSituation()
	s.Missing = s.Missing[:1]
	s.progress(openssl, patch.Verified)
	item := s.decide().Items[0]
	if !item.NoEffect {
		t.Fatalf("got %+v, want one more install without effect", item)
	}
	s.Progress[0] = s.Progress[0].Contradict(item.Reason, s.Terms, noon)
	if p := s.Progress[0]; p.NoEffects != 1 || p.Attempts != 1 || p.State != patch.Failed || p.Reason.Args["package"] != "openssl" {
		t.Errorf("kept as %+v", p)
	}
	s.check(t, "failed no_effect", "openssl failed no_effect", noon.Add(4*time.Hour))
	if again := s.decide().Items[0]; again.NoEffect {
		t.Error("it is counted a second time")
	}
}
