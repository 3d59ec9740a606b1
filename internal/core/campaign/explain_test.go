package campaign_test

import (
	"strings"
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// links is a chain in one line: the links that do not hold, and what the others
// have to add.
func links(chain []campaign.Check) string {
	var words []string
	for _, c := range chain {
		switch {
		case !c.OK:
			words = append(words, string(c.Name)+"!"+string(c.Reason.Code))
		case !c.Reason.IsZero():
			words = append(words, string(c.Name)+":"+string(c.Reason.Code))
		}
	}
	return strings.Join(words, " ")
}

func TestExplain(t *testing.T) {
	tests := []struct {
		name  string
		given func(*situation)
		want  string // about openssl
	}{
		{"nothing in the way", func(*situation) {}, ""},
		{"not started", func(s *situation) { s.State = campaign.Scheduled }, "campaign!campaign_not_open"},
		{"closed", func(s *situation) { s.State = campaign.Closed }, "campaign!campaign_closed"},
		{"retired", func(s *situation) { s.Retired = true }, "campaign!device_retired"},
		{"not in the content", func(s *situation) { s.content(nginx) }, "content!not_in_content"},
		{"in another amendment", func(s *situation) { s.Amendment = 1 }, "content!not_in_content"},
		{"withdrawn", func(s *situation) {
			gone := openssl
			gone.Withdrawn = true
			s.content(gone)
		}, "content!item_withdrawn"},
		{"declined", func(s *situation) { s.decided(openssl, policy.Declined, time.Time{}) }, "verdict!patch_declined"},
		{"delayed", func(s *situation) { s.decided(openssl, policy.Delayed, inHour) }, "verdict!patch_delayed"},
		{"pending", func(s *situation) { s.Rules.Classes = nil }, "verdict!patch_pending"},
		{"not promoted", func(s *situation) {
			behind := openssl
			behind.Promoted = 0
			s.content(behind)
		}, "promotion!item_not_promoted"},
		{"its ring is not open", func(s *situation) { s.ring().State = campaign.RingPending }, "ring!ring_not_open"},
		{"its ring has stopped", func(s *situation) { s.ring().Stopped = fault.Because(fault.GateFailedTooMany) }, "ring!gate_failed_too_many"},
		{"its ring has stopped for others", func(s *situation) {
			s.ring().Stopped = fault.Because(fault.GateFailedTooMany)
			s.failed(openssl, fault.PackageFailed).Next = noon
		}, "attempts:package_failed"},
		{"held twice", func(s *situation) { s.hold(campaign.Hold{}); s.hold(campaign.Hold{Item: string(openssl.ID)}) }, "hold!campaign_held hold!item_held"},
		{"another patch is held", func(s *situation) { s.hold(campaign.Hold{Item: string(nginx.ID)}) }, ""},
		{"scanned too long ago", func(s *situation) { s.ScanAt = monday.Add(-time.Hour) }, "scan!scan_stale"},
		{"not missing", func(s *situation) { s.Missing = s.Missing[1:] }, "applicable!not_applicable"},
		{"verified", func(s *situation) { s.installed(openssl, patch.Verified) }, "applicable!not_applicable"},
		{"held there", func(s *situation) { s.Missing[0].State = wire.PatchHeld }, "applicable!held_on_device"},
		{"gone", func(s *situation) { s.Missing[0] = missing("openssl", "1", "3") }, "applicable!version_gone"},
		{"claimed", func(s *situation) { s.installed(openssl, patch.InstalledPendingReboot); s.RebootPending = true }, "applicable!reboot_pending"},
		{"silent", func(s *situation) { s.LastSeen = time.Time{} }, "reachable!device_unreachable"},
		{"failed a while ago", func(s *situation) { s.failed(openssl, fault.PackageFailed) }, "attempts!package_failed"},
		{"given up", func(s *situation) { s.failed(openssl, fault.PackageFailed).Attempts = 3 }, "attempts!package_failed"},
		{"tried again", func(s *situation) {
			s.failed(openssl, fault.PackageFailed).Next = noon
			s.ordered(wire.StepWait, openssl)
		},
			"attempts:package_failed order:order_in_flight"},
		{"without a window", func(s *situation) { s.Windows = nil }, "window!no_window"},
		{"outside its window", func(s *situation) { s.Windows = s.Windows[1:] }, "window!outside_window"},
		{"ordered", func(s *situation) { s.ordered(wire.StepWait, openssl) }, "order:order_in_flight"},
		{"taken back", func(s *situation) { s.ordered(wire.StepWait, openssl).Windows = today[:1]; s.Windows = today[1:] }, "window!outside_window order!order_cancelled"},
		{"busy elsewhere", func(s *situation) { s.OtherCampaign = "c0" }, "order!other_order"},
		{"going back", func(s *situation) { s.goesBack() }, "content!rollback_asked"},
		{"gone back", func(s *situation) { s.goesBack().State = patch.RolledBack }, "content!rollback_asked"},
		{"everything at once", func(s *situation) {
			s.ring().State = campaign.RingPending
			s.decided(openssl, policy.Declined, time.Time{})
			s.hold(campaign.Hold{})
			s.Windows, s.LastSeen, s.Scan = nil, time.Time{}, wire.ScanFailed
		}, "verdict!patch_declined ring!ring_not_open hold!campaign_held scan!scan_failed reachable!device_unreachable window!no_window"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := aSituation()
			tt.given(&s)
			if got := links(campaign.Explain(noon, s.Scene, s.Device, openssl.Key)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExplainSaysWhenNext(t *testing.T) {
	tests := []struct {
		name  string
		given func(*situation)
		link  campaign.CheckName
		next  time.Time
	}{
		{"the campaign starts", func(s *situation) { s.State = campaign.Scheduled }, campaign.CheckCampaign, monday.Add(-48 * time.Hour)},
		{"the delay ends", func(s *situation) { s.decided(openssl, policy.Delayed, inHour) }, campaign.CheckVerdict, inHour},
		{"the ring opens", func(s *situation) { s.Position = 2 }, campaign.CheckRing, monday.Add(120 * time.Hour)},
		{"it is tried again", func(s *situation) { s.failed(openssl, fault.PackageFailed) }, campaign.CheckAttempts, inHour},
		{"the window opens", func(s *situation) { s.Windows = s.Windows[1:] }, campaign.CheckWindow, noon.Add(6 * time.Hour)},
		{"the agent goes on", func(s *situation) { s.ordered(wire.StepWait, openssl).Next = inHour }, campaign.CheckOrder, inHour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := aSituation()
			tt.given(&s)
			for _, c := range campaign.Explain(noon, s.Scene, s.Device, openssl.Key) {
				if c.Name == tt.link && !c.Next.Equal(tt.next) {
					t.Errorf("got %s, want %s", c.Next, tt.next)
				}
			}
		})
	}
}

func TestBlockingIsTheFirstLinkThatDoesNotHold(t *testing.T) {
	s := aSituation()
	s.hold(campaign.Hold{})
	s.Windows = nil
	c, blocked := campaign.Blocking(campaign.Explain(noon, s.Scene, s.Device, openssl.Key))
	if !blocked || c.Name != campaign.CheckHold || c.Reason.Code != s.decide().Reason.Code {
		t.Errorf("got %+v, want the hold, as the decision says", c)
	}
	s = aSituation()
	if c, blocked := campaign.Blocking(campaign.Explain(noon, s.Scene, s.Device, openssl.Key)); blocked {
		t.Errorf("got %+v, want nothing", c)
	}
}
