package campaign_test

import (
	"testing"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/pace"
	"patchring/internal/core/patch"
)

// takes says how long past installs of an item took on all models.
func (s *situation) takes(item campaign.Item, install, reboot time.Duration) {
	if s.Pace == nil {
		s.Pace = pace.Learned{}
	}
	s.Pace[pace.Key{Patch: item.ID}] = calendar.Needs{Download: time.Hour, Install: install, Reboot: reboot}
}

// Its windows are two hours from noon, and three from six in the evening.
func TestNothingIsBegunThatCannotEnd(t *testing.T) {
	runDevices(t, []deviceTest{
		{"a patch that is longer than every window waits, the other does not", func(s *situation) { s.takes(openssl, 4*time.Hour, 0) },
			"not_reached window_never order install nginx", "nginx applicable, openssl waiting window_never", time.Time{}},
		{"alone it makes no order", func(s *situation) {
			s.takes(openssl, 4*time.Hour, 0)
			s.installed(nginx, patch.Verified)
		}, "not_reached window_never", "", time.Time{}},
		{"what does not fit beside the other waits for the next window", func(s *situation) {
			s.takes(openssl, 2*time.Hour, 0)
			s.takes(nginx, 2*time.Hour, 0)
		}, "not_reached needs_windows order install openssl", "nginx waiting needs_windows, openssl applicable", time.Time{}},
		{"both fit in the longer window", func(s *situation) {
			s.takes(openssl, time.Hour, 0)
			s.takes(nginx, 2*time.Hour, 0)
		}, "not_reached order_in_flight order install openssl nginx", "", time.Time{}},
	})
}

func TestMarginsAreAtLeastWhatPastInstallsTook(t *testing.T) {
	for name, tc := range map[string]struct {
		inside bool
		reboot time.Duration
		want   campaign.Margins
	}{
		"it reboots in the same windows":            {true, 10 * time.Minute, campaign.Margins{Install: 70 * time.Minute, Reboot: 10 * time.Minute}},
		"it reboots in windows of its own":          {false, 10 * time.Minute, campaign.Margins{Install: time.Hour}},
		"no window holds both: the reboot is later": {true, 150 * time.Minute, campaign.Margins{Install: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			s := aSituation()
			s.content(openssl)
			s.takes(openssl, time.Hour, tc.reboot)
			s.RebootsInside = tc.inside
			d := s.decide()
			if got := (campaign.Terms{Margin: 15 * time.Minute}).MarginsFor(d.Order.Windows, d.Order.Need); got != tc.want {
				t.Errorf("margins %+v, want %+v", got, tc.want)
			}
		})
	}
	cold := aSituation()
	d := cold.decide()
	if got := (campaign.Terms{Margin: 15 * time.Minute}).MarginsFor(d.Order.Windows, d.Order.Need); got != (campaign.Margins{Install: 15 * time.Minute}) {
		t.Errorf("with nothing known %+v, want the procedure's margin", got)
	}
}
