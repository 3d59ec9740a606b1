package page

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/infra/view"
)

// Fleet is the list of devices.
type Fleet struct {
	Query   FleetQuery
	Filters []string // the choices
	Groups  []string
	Devices []DeviceLine
	Next    string
}

// FleetQuery is what devices are asked for.
type FleetQuery struct {
	Name   string // part of it
	Kind   fleet.Kind
	Filter string // a state, or another of Fleet.Filters
	Tag    string // key=value
	Group  string
	After  string
}

// DeviceLine is a device in a list.
type DeviceLine struct {
	ID              string
	Name            string
	Kind            fleet.Kind
	OS              string
	State           fleet.State
	Reason          fault.Reason // of the state
	Tags            fleet.Tags
	Missing         int64
	MissingSecurity int64
	Failing         int64
	RebootPending   bool
	Seen            time.Time
}

// Device is one device.
type Device struct {
	DeviceLine
	Measures     Measures        // of the last day
	Alerts       []view.AlertRow // open
	Groups       []string
	AgentVersion string
	Enrolled     time.Time
	Booted       time.Time
	Scanned      time.Time
	Lists        time.Time // when its package lists were last refreshed
	ScanStatus   string
	ScanCause    fault.Reason
	DuplicateOf  string // another device that shows the same machine id
	Retired      time.Time
	RetiredWhy   string
	Facts        Facts
	Order        *Order
	Reboot       *Reboot          // nil: it asks for none
	Wake         *Wake            // nil: it sleeps before no window
	Campaigns    []DeviceCampaign // open ones that concern it
	Patches      []DevicePatch
	Holds        []Hold
	Exceptions   []Exception        // in force on it
	Tasks        []TaskLine         // open manual ones
	Incidents    []view.IncidentRow // not closed
	Events       []Event
	Policy       DevicePolicy
}

// Heading names the page.
func (d Device) Heading() string { return d.Name }

// Facts are what is known of a device's machine.
type Facts struct {
	OS            string
	Kernel        string
	Arch          string
	Model         string
	CPU           string
	CPUs          int
	Memory        int64
	Virtual       string
	Disks         []Disk
	Interfaces    []Interface
	RebootSignals []string
	Actors        []string // other programs that install updates by themselves
	TimeZone      string
}

// Disk is one file system.
type Disk struct {
	Mount      string
	Size, Free int64
}

// Interface is one network interface.
type Interface struct {
	Name, MAC string
	Addresses []string
}

// Order is what the device is carrying out.
type Order struct {
	ID       string
	Goal     string
	Campaign string // id
	Name     string
	Step     string
	Since    time.Time
	Next     time.Time
	Cause    fault.Reason
	Expires  time.Time
}

// Wake is where a device stands that sleeps before its window, or slept.
type Wake struct {
	Reason fault.Reason
	By     []string
	Woken  time.Time
}

// Reboot is where the device stands with a reboot that it asks for.
type Reboot struct {
	Since   time.Time
	Signals []string
	Reason  fault.Reason
	Next    time.Time
	Stopped bool // until somebody allows it
}

// DeviceCampaign is where the device stands in a campaign.
type DeviceCampaign struct {
	ID, Name, Ring string
	Amendment      int64
	Bucket         campaign.Bucket
	Goal           string
	Reason         fault.Reason
}

// DevicePatch is where a patch stands on a device.
type DevicePatch struct {
	ID          string
	Name        string
	Version     string
	Class       patch.Class // empty: the last scan no longer speaks of it
	Offer       string      // how the device's package manager offers it
	State       patch.State
	Verdict     policy.Verdict // given by hand; empty: the procedure's rules
	Campaign    string         // id; empty: in none
	CampaignOf  string         // its name
	Ring        string
	Reason      fault.Reason
	Attempts    int64
	Next        time.Time
	Rollback    string // ready, impossible; empty: not known yet
	RollbackWhy string // code or text
	Packages    []Package
	Policy      PolicySaid // what rules say of it; empty: nothing
}

// Package is one package a patch changes.
type Package struct{ Name, From, To string }

// Why is the full chain of what leads to an install, for one device.
type Why struct {
	Device  string // id
	Name    string
	Patches []WhyPatch
}

// WhyPatch is the chain for one patch in one campaign.
type WhyPatch struct {
	ID       string
	Name     string
	Campaign string // name
	Ring     string
	State    patch.State
	Next     time.Time
	Chain    []Check
}

// Check is one link of the chain.
type Check struct {
	Name   string
	OK     bool
	Reason fault.Reason
	Next   time.Time
}
