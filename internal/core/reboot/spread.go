package reboot

import (
	"hash/fnv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
)

// Minute is a minute of time, counted from 1970.
type Minute int64

// MinuteOf is the minute that an instant is in.
func MinuteOf(t time.Time) Minute { return Minute(t.Unix() / 60) }

// Spread puts off the start of each window, so that devices that share it do not
// restart in the same minute: a device has a place of its own in the first half
// of the window, and never so late that less than room is left. Of the minutes
// of the first window those that fewest others have taken are preferred, from
// that place on; with as many devices as minutes, or fewer, no two share one.
func Spread(windows []calendar.Interval, now time.Time, d Spreading) []calendar.Interval {
	out := make([]calendar.Interval, 0, len(windows))
	for i, w := range windows {
		if w.Start.Before(now) {
			w.Start = now
		}
		if n := minutes(w, d.Room); n > 1 {
			at := place(d.Device, n)
			if i == 0 {
				at = freest(MinuteOf(w.Start), at, n, d.Taken)
			}
			w.Start = w.Start.Add(time.Duration(at) * time.Minute)
		}
		out = append(out, w)
	}
	return out
}

// Spreading is one device among those that share its windows.
type Spreading struct {
	Device fleet.DeviceID
	Room   time.Duration
	Taken  map[Minute]int // how many others start in each minute
}

// minutes are how many a window has to spread over.
func minutes(w calendar.Interval, room time.Duration) int {
	return int(min(w.Length()/2, w.Length()-room) / time.Minute)
}

func place(id fleet.DeviceID, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return int(h.Sum32() % uint32(n))
}

func freest(first Minute, from, n int, taken map[Minute]int) int {
	best := from
	for i := range n {
		at := (from + i) % n
		if taken[first+Minute(at)] < taken[first+Minute(best)] {
			best = at
		}
	}
	return best
}
