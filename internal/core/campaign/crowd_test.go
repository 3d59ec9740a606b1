package campaign_test

import (
	"testing"
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
)

func TestCrowd(t *testing.T) {
	free := campaign.Crowd{Limit: "sql", Allowed: 2, Down: 1, Failed: 1, StopAfter: 2}
	for _, c := range []struct {
		why    string
		change func(*situation)
		code   fault.Code // empty: an order
		look   time.Time
	}{
		{"a place is free", func(*situation) {}, "", today[0].End},
		{"too many are down", func(s *situation) { s.Crowds[0].Down = 2 }, fault.LimitReached, noon.Add(10 * time.Minute)},
		{"another goes first", func(s *situation) { s.Crowds[0].Before = "db" }, fault.LimitTurn, noon.Add(10 * time.Minute)},
		{"too many failed", func(s *situation) { s.Crowds[0].Failed = 2 }, fault.LimitStopped, noon.Add(10 * time.Minute)},
		{"failures do not count without a limit of them", func(s *situation) { s.Crowds[0].Failed, s.Crowds[0].StopAfter = 9, 0 }, "", today[0].End},
		{"the second limit counts too", func(s *situation) { s.Crowds = append(s.Crowds, campaign.Crowd{Limit: "rack"}) }, fault.LimitReached, noon.Add(10 * time.Minute)},
		{"it was not heard of for long", func(s *situation) { s.LastSeen = noon.Add(-11 * time.Minute) }, fault.DeviceUnreachable, noon.Add(10 * time.Minute)},
		{"its window is far", func(s *situation) { s.Windows = today[1:] }, fault.OutsideWindow, today[1].Start.Add(-time.Hour)},
		{"its window is near", func(s *situation) {
			s.Windows = s.Windows[1:]
			s.Windows[0].Start = noon.Add(time.Hour)
		}, "", today[1].End},
	} {
		s := aSituation()
		s.Windows = append(s.Windows[:0:0], today...)
		s.Crowds = []campaign.Crowd{free}
		c.change(&s)
		d := campaign.DecideDevice(noon, s.Scene, s.Device)
		if got := d.Order != nil; got != (c.code == "") || d.Order == nil && d.Reason.Code != c.code {
			t.Errorf("%s: order %t, %s; want %q", c.why, got, d.Reason, c.code)
		}
		if d.Order != nil && (len(d.Order.Windows) != 1 || !d.Order.Expires.Equal(c.look)) {
			t.Errorf("%s: an order of %d windows until %s, want one window", c.why, len(d.Order.Windows), d.Order.Expires)
		}
		if d.Order == nil && !d.Look.Equal(c.look) {
			t.Errorf("%s: looks again at %s, want %s", c.why, d.Look, c.look)
		}
	}
}
