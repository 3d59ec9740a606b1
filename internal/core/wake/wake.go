// Package wake decides whether a device that sleeps before its maintenance
// window is woken, and which of its neighbours is to do it. It decides on values
// and changes nothing: the same ones give the same decision.
package wake

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

const (
	// Lead is how long before its window a device is woken: it has to start, and
	// its agent to check in.
	Lead = 10 * time.Minute
	// Tries is how often a device is asked for one window.
	Tries = 3
	// Again is the time between two tries.
	Again = 4 * time.Minute
	// Helpers are how many neighbours are asked at each try.
	Helpers = 2
	// Stands is how long an asking is worth carrying out.
	Stands = Again
	// Gone is the silence after which nobody believes that a device only sleeps.
	Gone = 30 * 24 * time.Hour
)

// AsleepAfter is the silence after which a device counts as asleep, by the time
// between its check-ins: these are spread, and one may be lost.
func AsleepAfter(checkin time.Duration) time.Duration { return max(3*checkin, 2*time.Minute) }

// AwakeWithin is the silence up to which a device counts as awake.
func AwakeWithin(checkin time.Duration) time.Duration { return checkin + checkin/4 }

// Card is a network card of the device, in a network.
type Card struct {
	MAC    string
	Prefix netip.Prefix
	Armed  bool // a magic packet starts the device
}

// Neighbour is a device that is awake, in a network.
type Neighbour struct {
	Device fleet.DeviceID
	Name   string // for people
	Prefix netip.Prefix
}

// Device is one that may be woken for an order that waits for it.
type Device struct {
	ID       fleet.DeviceID
	LastSeen time.Time
	Checkin  time.Duration // between two check-ins of the fleet
	Allowed  bool          // its profile says so
	Held     bool
	// Windows are those of its open order, without the margin in which nothing
	// begins any more.
	Windows    []calendar.Interval
	Cards      []Card
	Neighbours []Neighbour // awake, in a network of one of its cards

	// What was done before. It counts for the window it was done for.
	Window time.Time // that window's start
	Asked  time.Time // the last try
	Tries  int
	By     []string // the neighbours of the last try
}

// Ask is one neighbour to be asked.
type Ask struct {
	Neighbour fleet.DeviceID
	Name      string
	MAC       string
	Prefix    netip.Prefix
}

// Decision is what happens with a device now.
type Decision struct {
	Asks   []Ask
	Window calendar.Interval // that it is woken for; zero: none
	Reason fault.Reason      // where it stands; zero: it is not to be woken
	Look   time.Time         // when to decide again; zero: not for this order
}

// Decide gives the next act for a device.
func Decide(now time.Time, d Device) Decision {
	at := slices.IndexFunc(d.Windows, func(w calendar.Interval) bool { return now.Before(w.End) })
	switch {
	case !d.Allowed || at < 0 || now.Sub(d.LastSeen) > Gone:
		return Decision{}
	case now.Before(d.Windows[at].Start.Add(-Lead)):
		return Decision{Look: d.Windows[at].Start.Add(-Lead)}
	case d.Held:
		return Decision{Look: now.Add(Again)}
	}
	asleep := d.LastSeen.Add(AsleepAfter(d.Checkin))
	if now.Before(asleep) {
		return Decision{Look: asleep}
	}
	return d.wake(now, d.Windows[at])
}

// wake: the device sleeps, and it is time.
func (d Device) wake(now time.Time, w calendar.Interval) Decision {
	out := Decision{Window: w, Look: now.Add(Again)}
	if !d.Window.Equal(w.Start) {
		d.Tries, d.Asked = 0, time.Time{}
	}
	switch {
	case d.Tries >= Tries && now.Sub(d.Asked) >= Again:
		out.Reason, out.Look = fault.Because(fault.WakeUnanswered, d.told()...), w.End
		return out
	case d.Tries > 0 && now.Sub(d.Asked) < Again:
		out.Reason, out.Look = fault.Because(fault.WakeAsked, d.told()...), d.Asked.Add(Again)
		return out
	case !slices.ContainsFunc(d.Cards, func(c Card) bool { return c.Armed }):
		out.Reason = fault.Because(fault.WakeNoCard)
		return out
	}
	if out.Asks = d.asks(); len(out.Asks) == 0 {
		out.Reason = fault.Because(fault.WakeNoNeighbour)
		return out
	}
	d.Asked, d.Tries, d.By = now, d.Tries+1, nil
	for _, a := range out.Asks {
		d.By = append(d.By, a.Name)
	}
	out.Reason = fault.Because(fault.WakeAsked, d.told()...)
	return out
}

// asks chooses neighbours: always the same for the same try, and others for the
// next one where there are others. Each wakes the first armed card it can reach.
func (d Device) asks() (list []Ask) {
	type candidate struct {
		Ask
		turn uint64
	}
	var can []candidate
	for _, n := range d.Neighbours {
		card := slices.IndexFunc(d.Cards, func(c Card) bool { return c.Armed && c.Prefix == n.Prefix })
		taken := slices.ContainsFunc(can, func(c candidate) bool { return c.Neighbour == n.Device })
		if card < 0 || taken || n.Device == d.ID {
			continue
		}
		place := fnv.New64a()
		_, _ = place.Write([]byte(string(d.ID) + " " + string(n.Device))) // a hash takes everything
		can = append(can, candidate{Ask{n.Device, n.Name, d.Cards[card].MAC, n.Prefix}, place.Sum64()})
	}
	slices.SortFunc(can, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.Neighbour, b.Neighbour))
	})
	for i := range min(Helpers, len(can)) {
		list = append(list, can[(d.Tries*Helpers+i)%len(can)].Ask)
	}
	return list
}

// told are the arguments of a reason that names the last try.
func (d Device) told() []string {
	return []string{"at", d.Asked.UTC().Format(time.RFC3339), "by", strings.Join(d.By, ", "), "tries", strconv.Itoa(d.Tries), "max", strconv.Itoa(Tries)}
}
