package campaign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// situation is a device at noon on a Monday, in ring R1, which opened at nine:
// it was scanned at ten, misses openssl 2 and nginx 2, which are the content,
// and may act from 12:00 to 14:00 and from 18:00 to 21:00.
type situation struct {
	campaign.Scene
	campaign.Device
}

var (
	openssl = campaign.Item{ID: keyOf("openssl", "2").ID(), Patch: policy.Patch{Key: keyOf("openssl", "2"), Class: patch.Security}, Promoted: 1}
	nginx   = campaign.Item{ID: keyOf("nginx", "2").ID(), Patch: policy.Patch{Key: keyOf("nginx", "2"), Class: patch.Security}, Promoted: 1}
	today   = []calendar.Interval{{Start: noon, End: noon.Add(2 * time.Hour)}, {Start: noon.Add(6 * time.Hour), End: noon.Add(9 * time.Hour)}}
	scanned = monday.Add(time.Hour)
)

func missing(name, from, to string) campaign.Missing {
	key := keyOf(name, to)
	return campaign.Missing{
		ID: key.ID(), Patch: policy.Patch{Key: key, Class: patch.Security}, State: wire.PatchOffered, Packages: []wire.Change{{Name: name, From: from, To: to}},
	}
}

func aSituation() situation {
	return situation{
		campaign.Scene{
			Campaign: "c1", State: campaign.Running, Sealed: monday, Content: campaign.NewContent([]campaign.Item{openssl, nginx}),
			Rings: []campaign.RingView{
				{Name: "R0", State: campaign.RingPromoted, Opens: monday.Add(-48 * time.Hour)}, {Name: "R1", State: campaign.RingOpen, Opens: monday},
				{Name: "GLOBAL", State: campaign.RingPending, Opens: monday.Add(120 * time.Hour)},
			},
			Rules: policy.Rules{Classes: []patch.Class{patch.Security}, Decisions: map[policy.Scope]policy.Decision{}},
			Terms: campaign.Terms{Attempts: 3, RetryAfter: 4 * time.Hour, UnreachableAfter: 72 * time.Hour},
		},
		campaign.Device{
			ID: "d1", Position: 1, Goal: campaign.Install, LastSeen: noon, ScanAt: scanned, Scan: wire.ScanOK, Windows: today,
			Missing: []campaign.Missing{missing("openssl", "1", "2"), missing("nginx", "1", "2")},
		},
	}
}

func (s *situation) content(items ...campaign.Item) { s.Content = campaign.NewContent(items) }

func (s *situation) progress(item campaign.Item, state patch.State) *campaign.Progress {
	s.Progress = append(s.Progress, campaign.Progress{
		Item: item.ID, State: state, Updated: scanned.Add(-time.Minute), Packages: []wire.Change{{Name: item.Key.Name, From: "1", To: "2"}},
	})
	return &s.Progress[len(s.Progress)-1]
}

// installed: the device says so, and its scan does not list it any more.
func (s *situation) installed(item campaign.Item, state patch.State) *campaign.Progress {
	s.Missing = slices.DeleteFunc(s.Missing, func(m campaign.Missing) bool { return m.ID == item.ID })
	return s.progress(item, state)
}

// failed three hours ago, once: the next attempt is in an hour.
func (s *situation) failed(item campaign.Item, code fault.Code) *campaign.Progress {
	p := s.progress(item, patch.Failed)
	p.Reason, p.Attempts, p.Next, p.Updated = fault.Because(code), 1, noon.Add(time.Hour), noon.Add(-3*time.Hour)
	return p
}

// ordered an hour ago: it is at a step, and expires at 21:00.
func (s *situation) ordered(step wire.Step, items ...campaign.Item) *campaign.OpenOrder {
	s.Order = &campaign.OpenOrder{
		ID: "o1", Kind: wire.OrderInstall, Step: step, Issued: noon.Add(-time.Hour), Expires: noon.Add(9 * time.Hour), Windows: today,
	}
	for _, i := range items {
		s.Order.Items = append(s.Order.Items, i.ID)
	}
	return s.Order
}

func (s *situation) hold(h campaign.Hold) {
	h.Actor, h.Reason = "user:admin", "wait"
	s.Holds = append(s.Holds, h)
}

func (s *situation) decided(item campaign.Item, v policy.Verdict, until time.Time) {
	s.Rules.Decisions[policy.ScopeOf(item.ID)] = policy.Decision{Verdict: v, Until: until, Actor: "user:admin", Reason: "no"}
}

func (s *situation) ring() *campaign.RingView { return &s.Rings[s.Position] }

func (s *situation) decide() campaign.DeviceDecision {
	return campaign.DecideDevice(noon, s.Scene, s.Device)
}

// told is a decision in one line: bucket, reason, and what is done.
func told(d campaign.DeviceDecision) string {
	words := []string{string(d.Bucket)}
	if !d.Reason.IsZero() {
		words = append(words, string(d.Reason.Code))
	}
	if d.Order != nil {
		words = append(words, "order", string(d.Order.Kind))
		for _, i := range d.Order.Items {
			words = append(words, i.Name)
		}
	}
	if d.Cancel {
		words = append(words, "cancel")
	}
	if d.Expired {
		words = append(words, "expired")
	}
	if d.Rescan {
		words = append(words, "rescan")
	}
	return strings.Join(words, " ")
}

func toldItems(d campaign.DeviceDecision, content campaign.Content) string {
	var words []string
	for _, i := range d.Items {
		item, _ := content.Item(i.Item)
		word := fmt.Sprintf("%s %s", item.Key.Name, i.State)
		if !i.Reason.IsZero() {
			word += " " + string(i.Reason.Code)
		}
		words = append(words, word)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// check decides, compares, and asks for the explanation of the same.
func (s *situation) check(t *testing.T, want, items string, look time.Time) campaign.DeviceDecision {
	t.Helper()
	d := s.decide()
	if got := told(d); got != want {
		t.Errorf("got %q (%s), want %q", got, d.Reason, want)
	}
	if got := toldItems(d, s.Content); items != "" && got != items {
		t.Errorf("items: got %q, want %q", got, items)
	}
	if !look.IsZero() && !d.Look.Equal(look) {
		t.Errorf("looks again at %s, want %s", d.Look, look)
	}
	w := world{complainer: t, now: noon}
	if !s.Retired && !d.Cancel {
		w.checkExplained(newDevice("d1", ""), s.Scene, s.Device, d)
	}
	w.same("the device", d, s.decide())
	return d
}

type deviceTest struct {
	name  string
	given func(*situation)
	want  string // bucket, reason, order, cancel, expired, rescan
	items string
	look  time.Time
}

func runDevices(t *testing.T, tests []deviceTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := aSituation()
			tt.given(&s)
			s.check(t, tt.want, tt.items, tt.look)
		})
	}
}

var (
	expiry  = noon.Add(9 * time.Hour)
	silence = noon.Add(72 * time.Hour)
	inHour  = noon.Add(time.Hour)
)

func TestWhoReceivesWhat(t *testing.T) {
	runDevices(t, []deviceTest{
		{"what it misses of the content", func(*situation) {}, "not_reached order_in_flight order install openssl nginx",
			"nginx applicable, openssl applicable", expiry},
		{"nothing else", func(s *situation) { s.Missing = append(s.Missing, missing("vim", "1", "2")) },
			"not_reached order_in_flight order install openssl nginx", "nginx applicable, openssl applicable", expiry},
		{"nothing, when it misses nothing", func(s *situation) { s.Missing = nil }, "done", "", time.Time{}},
		{"nothing, when only other things are missing", func(s *situation) { s.Missing = []campaign.Missing{missing("vim", "1", "2")} }, "done", "", time.Time{}},
		{"nothing of another amendment", func(s *situation) {
			late := nginx
			late.Amendment = 1
			s.content(openssl, late)
		}, "not_reached order_in_flight order install openssl", "openssl applicable", expiry},
		{"its own amendment's only", func(s *situation) {
			late := nginx
			late.Amendment = 1
			s.content(openssl, late)
			s.Amendment = 1
		}, "not_reached order_in_flight order install nginx", "nginx applicable", expiry},
		{"nothing that is withdrawn", func(s *situation) {
			gone := nginx
			gone.Withdrawn, gone.By, gone.Why = true, "user:admin", "bad"
			s.content(openssl, gone)
		}, "not_reached order_in_flight order install openssl", "nginx applicable item_withdrawn, openssl applicable", expiry},
		{"nothing that stayed in an earlier ring", func(s *situation) {
			behind := nginx
			behind.Promoted = 0
			s.content(openssl, behind)
		}, "not_reached order_in_flight order install openssl", "nginx applicable item_not_promoted, openssl applicable", expiry},
		{"done, when all that is missing stayed behind", func(s *situation) {
			behind := nginx
			behind.Promoted = 0
			s.content(behind)
		}, "done", "nginx applicable item_not_promoted", time.Time{}},
		{"nothing before its ring opens", func(s *situation) { s.ring().State = campaign.RingPending },
			"not_reached ring_not_open", "", silence},
		{"what it misses, in a ring that was promoted without it", func(s *situation) { s.ring().State = campaign.RingPromoted },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
		{"what it misses, in a ring that is at its gate", func(s *situation) { s.ring().State = campaign.RingGate },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
		{"nothing before the campaign starts", func(s *situation) { s.State = campaign.Scheduled }, "not_reached campaign_not_open", "", silence},
		{"nothing after it closed", func(s *situation) { s.State = campaign.Closed }, "not_reached campaign_closed", "", silence},
		{"what it misses, after the verification's date", func(s *situation) { s.State = campaign.Verifying },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
		{"nothing without a window", func(s *situation) { s.Windows = nil }, "not_reached no_window", "", noon.Add(24 * time.Hour)},
		{"nothing when its windows are over", func(s *situation) {
			s.Windows = []calendar.Interval{{Start: noon.Add(-2 * time.Hour), End: noon}}
		}, "not_reached no_window", "", noon.Add(24 * time.Hour)},
		{"nothing while another campaign is at work on it", func(s *situation) { s.OtherCampaign = "c0" }, "not_reached other_order", "", silence},
		{"nothing when it is retired", func(s *situation) { s.Retired = true; s.ordered(wire.StepWait, openssl) }, "exempt device_retired cancel", "", time.Time{}},
		{"nothing that names no package", func(s *situation) { s.Missing[0].Packages = nil },
			"not_reached scan_stale order install nginx", "", time.Time{}},
		{"nothing that its distributor has not offered it yet", func(s *situation) { s.Missing[0].State = wire.PatchPhased },
			"not_reached order_in_flight order install nginx", "nginx applicable, openssl not_applicable not_applicable", expiry},
		{"what the package manager keeps back is tried", func(s *situation) { s.Missing[0].State = wire.PatchKeptBack },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
	})
}

func TestAnOrderNamesExactVersionsAndWindows(t *testing.T) {
	s := aSituation()
	s.Windows = append([]calendar.Interval{{Start: monday, End: noon}}, today...)
	d := s.decide()
	want := &campaign.OrderSpec{
		Kind: wire.OrderInstall, Windows: today, Expires: expiry,
		Items: []wire.Item{
			{ID: string(openssl.ID), Provider: "apt", Name: "openssl", Version: "2", Packages: []wire.Change{{Name: "openssl", From: "1", To: "2"}}},
			{ID: string(nginx.ID), Provider: "apt", Name: "nginx", Version: "2", Packages: []wire.Change{{Name: "nginx", From: "1", To: "2"}}},
		},
	}
	if diff := cmp.Diff(want, d.Order); diff != "" {
		t.Error(diff)
	}
}

func TestScansThatCannotBeBelieved(t *testing.T) {
	nothing := func(s *situation) { s.Missing = nil }
	runDevices(t, []deviceTest{
		{"never scanned", func(s *situation) { nothing(s); s.ScanAt, s.Scan = time.Time{}, "" }, "not_reached never_scanned rescan", "", silence},
		{"scanned before the sealing", func(s *situation) { nothing(s); s.ScanAt = monday.Add(-time.Second) }, "not_reached scan_stale rescan", "", silence},
		{"scanned as it was sealed", func(s *situation) { nothing(s); s.ScanAt = monday }, "done", "", time.Time{}},
		{"with old lists", func(s *situation) { nothing(s); s.Scan = wire.ScanStale }, "not_reached scan_stale", "", silence},
		{"with old lists, before the sealing", func(s *situation) { nothing(s); s.Scan, s.ScanAt = wire.ScanStale, monday.Add(-time.Second) },
			"not_reached scan_stale rescan", "", silence},
		{"not at all", func(s *situation) { nothing(s); s.Scan, s.ScanWhy = wire.ScanFailed, "dpkg_broken" }, "not_reached scan_failed", "", silence},
		{"failed ever since the sealing", func(s *situation) { nothing(s); s.Scan, s.ScanAt = wire.ScanFailed, monday.Add(-time.Hour) },
			"not_reached scan_failed", "", silence}, // asked once, by the campaign; the agent tries again by itself
		{"what an unrefreshed list offers may still be installed", func(s *situation) { s.Scan = wire.ScanStale },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
		{"a failed scan takes nothing off the list", func(s *situation) { s.Scan = wire.ScanFailed },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
	})
}

func TestVerdicts(t *testing.T) {
	only := func(s *situation) { s.Missing = s.Missing[:1] }
	runDevices(t, []deviceTest{
		{"declined, the rest goes on", func(s *situation) { s.decided(openssl, policy.Declined, time.Time{}) },
			"not_reached order_in_flight order install nginx", "nginx applicable, openssl applicable patch_declined", expiry},
		{"declined, and nothing else to do", func(s *situation) { only(s); s.decided(openssl, policy.Declined, time.Time{}) },
			"exempt patch_declined", "", time.Time{}},
		{"declined until a date", func(s *situation) { only(s); s.decided(openssl, policy.Declined, inHour) }, "exempt patch_declined", "", inHour},
		{"delayed", func(s *situation) { only(s); s.decided(openssl, policy.Delayed, inHour) }, "exempt patch_delayed", "", inHour},
		{"delayed until now", func(s *situation) { only(s); s.decided(openssl, policy.Delayed, noon) },
			"not_reached order_in_flight order install openssl", "", expiry},
		{"approved by class no more", func(s *situation) { only(s); s.Rules.Classes = nil }, "exempt patch_pending", "", time.Time{}},
		{"approved by hand", func(s *situation) { only(s); s.Rules.Classes = nil; s.decided(openssl, policy.Approved, time.Time{}) },
			"not_reached order_in_flight order install openssl", "", expiry},
		{"approved by hand until a date", func(s *situation) { only(s); s.decided(openssl, policy.Approved, inHour) },
			"not_reached order_in_flight order install openssl", "", inHour},
		{"declined after the rest was installed: done", func(s *situation) {
			s.installed(nginx, patch.Verified)
			s.decided(openssl, policy.Declined, time.Time{})
		}, "done", "nginx verified, openssl applicable patch_declined", time.Time{}},
		{"declined after it was verified: done", func(s *situation) {
			s.Missing = nil
			s.installed(openssl, patch.Verified)
			s.decided(openssl, policy.Declined, time.Time{})
		}, "done", "openssl verified", time.Time{}},
		{"declined after it failed: no failure any more", func(s *situation) {
			only(s)
			s.failed(openssl, fault.PackageFailed)
			s.decided(openssl, policy.Declined, time.Time{})
		}, "exempt patch_declined", "", time.Time{}},
		{"withdrawn after it failed: done", func(s *situation) {
			only(s)
			s.failed(openssl, fault.PackageFailed)
			gone := openssl
			gone.Withdrawn = true
			s.content(gone)
		}, "done", "openssl failed item_withdrawn", time.Time{}},
		{"the class of what is not listed any more is not unknown", func(s *situation) {
			s.installed(openssl, patch.Failed).Attempts = 1
			s.Missing, s.Scan = nil, wire.ScanStale // the scan cannot say that it is gone
		}, "failed retry_backoff", "", time.Time{}},
	})
}

func TestHoldsOnDevices(t *testing.T) {
	onDevice, onRing, onCampaign := campaign.Hold{Device: "d1"}, campaign.Hold{Campaign: "c1", Ring: "R1"}, campaign.Hold{Campaign: "c1"}
	onItem, onItemHere := campaign.Hold{Item: string(openssl.ID)}, campaign.Hold{Item: string(openssl.ID), Device: "d1"}
	allDone := func(s *situation) {
		s.installed(openssl, patch.Verified)
		s.installed(nginx, patch.Verified)
	}
	runDevices(t, []deviceTest{
		{"on the campaign", func(s *situation) { s.hold(onCampaign) }, "not_reached campaign_held", "nginx applicable, openssl applicable", silence},
		{"on the ring", func(s *situation) { s.hold(onRing) }, "not_reached ring_held", "", silence},
		{"on another ring", func(s *situation) { s.hold(campaign.Hold{Ring: "R0"}) }, "not_reached order_in_flight order install openssl nginx", "", expiry},
		{"on another device", func(s *situation) { s.hold(campaign.Hold{Device: "d2"}) }, "not_reached order_in_flight order install openssl nginx", "", expiry},
		{"on another campaign", func(s *situation) { s.hold(campaign.Hold{Campaign: "c2"}) }, "not_reached order_in_flight order install openssl nginx", "", expiry},
		{"on the device: exempt", func(s *situation) { s.hold(onDevice) }, "exempt device_held", "", time.Time{}},
		{"on the device, whichever was placed first", func(s *situation) { s.hold(onCampaign); s.hold(onDevice) }, "exempt device_held", "", time.Time{}},
		{"on the campaign, whichever was placed first", func(s *situation) { s.hold(onRing); s.hold(onCampaign) }, "not_reached campaign_held", "", silence},
		{"on the device, before its ring opens", func(s *situation) { s.hold(onDevice); s.ring().State = campaign.RingPending }, "exempt device_held", "", time.Time{}},
		{"on the ring, before it opens", func(s *situation) { s.hold(onRing); s.ring().State = campaign.RingPending }, "not_reached ring_not_open", "", silence},
		{"on a patch, the rest goes on", func(s *situation) { s.hold(onItem) },
			"not_reached item_held order install nginx", "nginx applicable, openssl waiting item_held", time.Time{}},
		{"on a patch, behind a hold on the campaign", func(s *situation) { s.hold(onCampaign); s.hold(onItem) },
			"not_reached campaign_held", "nginx applicable, openssl waiting item_held", silence},
		{"on a patch of this device: exempt when the rest is done", func(s *situation) { s.installed(nginx, patch.Verified); s.hold(onItemHere) },
			"exempt item_held", "nginx verified, openssl waiting item_held", time.Time{}},
		{"on a patch of another device", func(s *situation) { s.hold(campaign.Hold{Item: string(openssl.ID), Device: "d2"}) },
			"not_reached order_in_flight order install openssl nginx", "", expiry},
		{"on a campaign that is done here: still done", func(s *situation) { allDone(s); s.hold(onCampaign) }, "done", "", time.Time{}},
		{"on a device that is done: still done", func(s *situation) { allDone(s); s.hold(onDevice) }, "done", "", time.Time{}},
		{"on a device that cannot be believed to be done", func(s *situation) { allDone(s); s.hold(onDevice); s.Scan = wire.ScanStale }, "exempt device_held", "", time.Time{}},
		{"on a device that has failed: still failed", func(s *situation) { s.failed(openssl, fault.PackageFailed); s.hold(onDevice) }, "failed package_failed", "", time.Time{}},
		{"on a patch that has failed: still failed", func(s *situation) { s.failed(openssl, fault.PackageFailed); s.hold(onItem) },
			"failed package_failed order install nginx", "nginx applicable, openssl failed package_failed", time.Time{}},
		{"by the device's administrator", func(s *situation) { s.Missing[0].State = wire.PatchHeld },
			"not_reached order_in_flight order install nginx", "nginx applicable, openssl applicable held_on_device", time.Time{}},
		{"by the device's administrator, the rest done", func(s *situation) { s.installed(nginx, patch.Verified); s.Missing[0].State = wire.PatchHeld },
			"exempt held_on_device", "", time.Time{}},
	})
}

func TestSilence(t *testing.T) {
	away := func(s *situation, d time.Duration) { s.LastSeen = noon.Add(-d) }
	runDevices(t, []deviceTest{
		{"for less than it takes", func(s *situation) { away(s, 72*time.Hour-time.Second) },
			"not_reached order_in_flight order install openssl nginx", "", noon.Add(time.Second)},
		{"for as long as it takes; it finds its order when it returns", func(s *situation) { away(s, 72*time.Hour) },
			"unreachable device_unreachable order install openssl nginx", "", expiry},
		{"for ever", func(s *situation) { s.LastSeen, s.ring().State = time.Time{}, campaign.RingPending }, "unreachable device_unreachable", "", time.Time{}},
		{"of a device that is done", func(s *situation) { away(s, 1000*time.Hour); s.Missing = nil }, "done", "", time.Time{}},
		{"of a device that has failed", func(s *situation) { away(s, 1000*time.Hour); s.failed(openssl, fault.PackageFailed) },
			"failed package_failed order install nginx", "", time.Time{}},
		{"of a device that is held", func(s *situation) { away(s, 1000*time.Hour); s.hold(campaign.Hold{Device: "d1"}) }, "exempt device_held", "", time.Time{}},
		{"of a device under a hold of the campaign", func(s *situation) { away(s, 1000*time.Hour); s.hold(campaign.Hold{}) }, "unreachable device_unreachable", "", time.Time{}},
	})
}

func TestAContentOfAnySize(t *testing.T) {
	s := aSituation()
	s.Missing = nil
	items := make([]campaign.Item, 3000)
	for i := range items {
		m := missing(fmt.Sprintf("package-%d", i), "1", "2")
		items[i] = campaign.Item{ID: m.ID, Patch: policy.Patch{Key: m.Key, Class: patch.Security}, Promoted: 1}
		s.Missing = append(s.Missing, m)
	}
	s.content(items...)
	s.progress(items[2999], patch.NotApplicable) // known and listed: weighed once
	if d := s.decide(); d.Order == nil || len(d.Items) != 3000 || len(d.Order.Items) != 2999 {
		t.Errorf("%d items weighed, order %v; want 3000 and one of 2999, the last having had no effect", len(d.Items), d.Order != nil)
	}
}
