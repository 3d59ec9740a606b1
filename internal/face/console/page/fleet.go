package page

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// Fleet is the list of devices.
type Fleet struct {
	Query   FleetQuery
	States  []StateCount // of the whole fleet
	Groups  []string
	Devices []DeviceLine
	Next    string
}

// FleetQuery is what devices are asked for.
type FleetQuery struct {
	Name        string
	Kind        fleet.Kind
	State       fleet.State
	Tag         string // key=value
	Group       string
	Quarantined bool
	NoRollback  bool
	After       string
}

// StateCount is how many devices are in a state.
type StateCount struct {
	State fleet.State
	N     int64
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
	Patches      []DevicePatch
	Holds        []Hold
	Events       []Event
}

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

// DevicePatch is why a patch is where it is on a device: the whole chain.
type DevicePatch struct {
	ID          string
	Name        string
	Version     string
	Class       patch.Class
	Offer       string // how the device's package manager offers it
	State       patch.State
	Verdict     policy.Verdict
	Campaign    string // id; empty: in none
	CampaignOf  string // its name
	Ring        string
	Reasons     []fault.Reason // from the first obstacle on
	Attempts    int64
	Next        time.Time
	Rollback    string // ready, impossible; empty: not known yet
	RollbackWhy fault.Reason
	Packages    []Package
}

// Package is one package a patch changes.
type Package struct{ Name, From, To string }
