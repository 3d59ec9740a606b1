package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/policy"
	"patchring/wire"
)

// An agent refuses terms that leave no room for what they announce. The act
// itself needs a moment after the announcement.
const (
	actRoom          = 3 * time.Minute
	shortestAnnounce = time.Minute
)

// Acts are when an order may act. Reboot is empty where a reboot may happen in
// any of the windows, or not at all.
type Acts struct {
	Install, Reboot []calendar.Interval
	Margin          time.Duration // before the end of a window
}

// Announcement is how the people at a device are to be treated by one order.
type Announcement struct {
	People *wire.People // nil: nobody is asked
	Margin time.Duration
}

// Announce turns a policy's terms into those of an order. The deadline counts
// from since, when the device was first ordered to install anything of the
// campaign: an order that is written again does not move it. It never lies
// before the first window, nor where no window after it has room for what it
// announces.
//
// Where windows are short, the margin gives way first, then the announcements;
// where not even a minute can be announced, nobody is asked, because a warning
// that cannot be kept is none.
func Announce(p policy.People, since time.Time, acts Acts) Announcement {
	room := longest(acts.Install)
	if len(acts.Reboot) > 0 {
		room = min(room, longest(acts.Reboot))
	}
	notice, countdown := p.Notice, p.Countdown
	margin := min(acts.Margin, max(0, room-max(notice, countdown)-actRoom))
	most := room - margin - actRoom
	if most < shortestAnnounce {
		return Announcement{Margin: margin}
	}
	notice, countdown = min(notice, most), min(countdown, most)
	need := max(notice, countdown) + actRoom + margin
	deadline := since.Add(p.Deadline)
	if len(acts.Install) > 0 && deadline.Before(acts.Install[0].Start) {
		deadline = acts.Install[0].Start
	}
	// Twice, for what makes room for one act may take it from the other.
	for range 2 {
		deadline = roomy(roomy(deadline, acts.Install, need), acts.Reboot, need)
	}
	return Announcement{Margin: margin, People: &wire.People{
		Postpones: p.Postpones, DeadlineUS: deadline.UnixMicro(), NoticeS: int64(notice / time.Second), CountdownS: int64(countdown / time.Second),
		BatteryPercent: p.Battery, Text: noticeText(p),
	}}
}

func longest(windows []calendar.Interval) time.Duration {
	most := time.Duration(0)
	for _, w := range windows {
		most = max(most, w.Length())
	}
	return most
}

// roomy moves a deadline past windows that have no room any more after it: the
// next order has its own, with the deadline behind it.
func roomy(deadline time.Time, windows []calendar.Interval, need time.Duration) time.Time {
	after := false
	for _, w := range windows {
		from := w.Start
		if deadline.After(from) {
			from = deadline
		}
		if after = after || w.End.After(deadline); w.End.Sub(from) >= need {
			return deadline
		}
	}
	if !after {
		return deadline
	}
	return windows[len(windows)-1].End
}

func noticeText(p policy.People) *wire.NoticeText {
	text := &wire.NoticeText{
		FR: wire.NoticeWords{Title: p.Title.FR, Body: p.Message.FR},
		EN: wire.NoticeWords{Title: p.Title.EN, Body: p.Message.EN},
	}
	if (*text == wire.NoticeText{}) {
		return nil
	}
	return text
}
