package page

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
)

// RingDevices is who stands where in one ring.
type RingDevices struct {
	Campaign string // id
	Name     string
	Ring     Ring
	Query    RingQuery
	Devices  []RingDevice
	Next     string
	Zone     string
}

// TimeZone is where the campaign's times are told.
func (v RingDevices) TimeZone() string { return v.Zone }

// Heading names the page.
func (v RingDevices) Heading() string { return v.Name + " · " + v.Ring.Name }

// RingQuery is what a ring's devices are asked for.
type RingQuery struct {
	Ring      string
	Amendment int64
	Bucket    campaign.Bucket // empty: all
	After     string
}

// RingDevice is a device with why it is where it is.
type RingDevice struct {
	ID      string
	Name    string
	Kind    fleet.Kind
	Bucket  campaign.Bucket
	Step    string // of its order under way; empty: none
	Reason  fault.Reason
	Next    time.Time // when it is tried next; zero: not by itself
	Updated time.Time
}
