package people

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"patchring/wire"
)

const (
	// A shorter countdown is no warning: it can be over before anybody looks.
	minCountdownS = 60
	// slack is what a countdown may begin late, because the agent was in the
	// middle of something.
	slack = 2 * time.Minute

	maxPostpones = 100
	maxSeconds   = int64(7 * 24 * time.Hour / time.Second)
)

// Problem names the first field of an order that makes no sense for people.
func Problem(o wire.Order) (field, problem string) {
	if f, p := rebootProblem(o); f != "" {
		return f, p
	}
	if o.People == nil {
		return "", ""
	}
	t := *o.People
	for _, n := range []struct {
		field    string
		n        int64
		min, max int64
	}{
		{"postpones", int64(t.Postpones), 0, maxPostpones},
		{"notice_s", t.NoticeS, 0, maxSeconds},
		{"countdown_s", t.CountdownS, minCountdownS, maxSeconds},
		{"battery_percent", int64(t.BatteryPercent), 0, 100},
	} {
		if n.n < n.min || n.n > n.max {
			return "people." + n.field, itoa(int(n.n)) + " is not from " + strconv.FormatInt(n.min, 10) + " to " + strconv.FormatInt(n.max, 10)
		}
	}
	if f, p := wordsProblem(t.Text); f != "" {
		return f, p
	}
	if len(t.Link) > wire.MaxTextBytes || t.Link != "" && !strings.HasPrefix(t.Link, "https://") {
		return "people.link", "it is no https address of at most " + itoa(wire.MaxTextBytes) + " bytes"
	}
	if sum, err := hex.DecodeString(t.Logo); err != nil || len(sum) != 0 && len(sum) != sha256.Size {
		return "people.logo", "it is no SHA-256 in hex"
	}
	if start := firstStart(o.Windows); len(o.Windows) > 0 && t.DeadlineUS < start {
		return "people.deadline_us", "it is before the first window: " + rfc(at(t.DeadlineUS)) + " and " + rfc(at(start))
	}
	if len(o.Windows) == 0 && t.DeadlineUS <= 0 {
		return "people.deadline_us", "it is missing"
	}
	return roomProblem(o)
}

func rebootProblem(o wire.Order) (field, problem string) {
	switch o.Reboot {
	case wire.RebootNever, wire.RebootIfNeeded:
	case wire.RebootUser:
		if o.People == nil {
			return "reboot", "mode user needs people and their deadline"
		}
	case wire.RebootWindow:
		if len(o.RebootWindows) == 0 {
			return "reboot_windows", "mode window needs at least one"
		}
	default:
		return "reboot", "unknown mode " + string(o.Reboot)
	}
	if o.Reboot != wire.RebootWindow && len(o.RebootWindows) > 0 {
		return "reboot_windows", "mode " + string(o.Reboot) + " has none"
	}
	for i, w := range o.RebootWindows {
		if w.StartUS >= w.EndUS {
			return "reboot_windows", "window " + itoa(i+1) + " ends before it starts"
		}
	}
	return "", ""
}

// roomProblem: where windows are open after the deadline, one of them must hold
// the countdown and the act. An order whose windows all end before it is judged
// by the next one.
func roomProblem(o wire.Order) (field, problem string) {
	for _, c := range []struct {
		act     wire.Act
		windows []wire.Interval
		asked   bool
	}{
		{wire.ActInstall, o.Windows, o.Kind != wire.OrderReboot},
		{wire.ActReboot, BootWindows(o), o.Reboot != wire.RebootNever},
	} {
		var most time.Duration
		past := false
		for _, w := range c.windows {
			if w.EndUS > o.People.DeadlineUS {
				past, most = true, max(most, time.Duration(w.EndUS-max(w.StartUS, o.People.DeadlineUS))*time.Microsecond)
			}
		}
		need := Lead(*o.People, c.act) + Margin(o, c.act) + slack
		if c.asked && past && most < need {
			field = "people.countdown_s"
			if c.act == wire.ActInstall && o.People.NoticeS > o.People.CountdownS {
				field = "people.notice_s"
			}
			return field, "with the margin it needs " + need.String() + ", and no window leaves more than " + most.String() + " after the deadline"
		}
	}
	return "", ""
}

// Margin is how long before its window ends an act may begin at the latest.
func Margin(o wire.Order, act wire.Act) time.Duration {
	if act == wire.ActReboot && o.RebootMarginS > 0 {
		return time.Duration(o.RebootMarginS) * time.Second
	}
	return time.Duration(o.MarginS) * time.Second
}

// BootWindows are those in which the order may reboot the device.
func BootWindows(o wire.Order) []wire.Interval {
	if o.Reboot == wire.RebootWindow {
		return o.RebootWindows
	}
	return o.Windows
}

func wordsProblem(t *wire.NoticeText) (field, problem string) {
	if t == nil {
		return "", ""
	}
	for _, w := range []struct{ field, text string }{
		{"fr.title", t.FR.Title}, {"fr.body", t.FR.Body}, {"en.title", t.EN.Title}, {"en.body", t.EN.Body},
	} {
		if len(w.text) > wire.MaxTextBytes {
			return "people.text." + w.field, "longer than " + itoa(wire.MaxTextBytes) + " bytes"
		}
	}
	return "", ""
}

func firstStart(windows []wire.Interval) int64 {
	var first int64
	for i, w := range windows {
		if i == 0 || w.StartUS < first {
			first = w.StartUS
		}
	}
	return first
}
