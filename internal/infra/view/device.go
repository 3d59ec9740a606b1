package view

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/wire"
)

// DeviceQuery chooses devices. Every field that is set must fit; all are
// whitelisted, and anything else is refused with the choices named.
type DeviceQuery struct {
	Paging
	Sort   string // name (default), seen (longest silent first), missing (most security patches first)
	Text   string // part of the name
	Filter string // one of DeviceFilters
	Kind   fleet.Kind
	Group  string
	Tag    string   // key=value
	Patch  patch.ID // devices that miss it
}

// DeviceFilters are the values of DeviceQuery.Filter. Without one, every
// device that is not retired is listed.
func DeviceFilters() []string {
	return []string{"compliant", "overdue", "pending_reboot", "not_ready", "unreachable", "retired", "failing", "never_scanned", "duplicate"}
}

// DeviceRef names a device where something else is shown.
type DeviceRef struct {
	ID   fleet.DeviceID `json:"id"`
	Name string         `json:"name"`
}

// DeviceRow is a device in a list.
type DeviceRow struct {
	ID              fleet.DeviceID `json:"id"`
	Name            string         `json:"name"`
	Kind            fleet.Kind     `json:"kind"`
	State           fleet.State    `json:"state"`
	Reason          *fault.Reason  `json:"reason,omitempty"` // why it is in that state, when that needs saying
	Tags            fleet.Tags     `json:"tags"`
	Groups          []string       `json:"groups"`
	OSID            string         `json:"os_id,omitempty"`
	OSName          string         `json:"os_name,omitempty"`
	AgentVersion    string         `json:"agent_version,omitempty"`
	Seen            time.Time      `json:"seen,omitzero"`
	Enrolled        time.Time      `json:"enrolled"`
	RebootPending   bool           `json:"reboot_pending"`
	Scanned         time.Time      `json:"scanned,omitzero"`
	ScanStatus      string         `json:"scan_status,omitempty"` // wire.ScanStatus
	Missing         int64          `json:"missing"`
	MissingSecurity int64          `json:"missing_security"`
	Failing         int64          `json:"failing"`
	DuplicateOf     fleet.DeviceID `json:"duplicate_of,omitempty"`
	Retired         time.Time      `json:"retired,omitzero"`
}

// DevicePage is a page of devices.
type DevicePage = Page[DeviceRow]

// DeviceDetail is everything about one device but its software and its register.
type DeviceDetail struct {
	DeviceRow
	MachineID  string           `json:"machine_id,omitempty"`
	BootID     string           `json:"boot_id,omitempty"`
	Booted     time.Time        `json:"booted,omitzero"`
	Lists      time.Time        `json:"lists,omitzero"` // when its package lists were last brought up to date
	ScanCause  *fault.Reason    `json:"scan_cause,omitempty"`
	RetiredWhy string           `json:"retired_why,omitempty"`
	Capability int64            `json:"capability"`
	Facts      *DeviceFacts     `json:"facts,omitempty"` // nil until it has reported
	Patches    []MissingPatch   `json:"patches"`
	Campaigns  []DeviceCampaign `json:"campaigns"`
	Order      *OpenOrder       `json:"order,omitempty"`
	Reboot     *PendingReboot   `json:"reboot,omitempty"` // nil: none is asked for
	Wake       *Wake            `json:"wake,omitempty"`   // nil: it sleeps before no window, or may not be woken
	Holds      []HoldRow        `json:"holds"`
	Exceptions []ExceptionRow   `json:"exceptions"` // in force on it, its groups or everywhere
	Tasks      []TaskRow        `json:"tasks"`      // open manual ones, at most 50
	Incidents  []IncidentRow    `json:"incidents"`  // not closed, at most 20
}

// DeviceFacts are what the device last said of itself.
type DeviceFacts struct {
	Measured      time.Time           `json:"measured"`
	Hostname      string              `json:"hostname"`
	OS            wire.OS             `json:"os"`
	Hardware      wire.Hardware       `json:"hardware"`
	Disks         []wire.Disk         `json:"disks"`
	Interfaces    []wire.Interface    `json:"interfaces"`
	TimeZone      string              `json:"time_zone,omitempty"`
	RebootSignals []wire.RebootSignal `json:"reboot_signals"`
	Actors        []wire.Actor        `json:"actors"`
	Providers     []string            `json:"providers"`
}

// MissingPatch is a patch that the device's last scan says it misses.
type MissingPatch struct {
	Patch       PatchRef      `json:"patch"`
	Class       patch.Class   `json:"class"`
	Offer       string        `json:"offer"` // wire.PatchOffered and its like
	OfferDetail string        `json:"offer_detail,omitempty"`
	Packages    []wire.Change `json:"packages"`
	Since       time.Time     `json:"since"`
	Decision    *Decision     `json:"decision,omitempty"` // given by hand, in force
	Campaign    *CampaignRef  `json:"campaign,omitempty"` // the open campaign that carries it here
	State       patch.State   `json:"state"`              // in that campaign; applicable without one
	Reason      *fault.Reason `json:"reason,omitempty"`
	Attempts    int64         `json:"attempts,omitempty"`
	Next        time.Time     `json:"next,omitzero"`
}

// DeviceCampaign is where a device stands in one campaign (and amendment).
type DeviceCampaign struct {
	Campaign  CampaignRef   `json:"campaign"`
	State     string        `json:"state"` // of the campaign
	Amendment int64         `json:"amendment"`
	Position  int64         `json:"position"`
	Ring      string        `json:"ring"`
	RingState string        `json:"ring_state"`
	Goal      string        `json:"goal"`   // install or rollback
	Bucket    string        `json:"bucket"` // which of the five numbers counts it
	Reason    *fault.Reason `json:"reason,omitempty"`
	Updated   time.Time     `json:"updated"`
	Items     []DeviceItem  `json:"items"`
}

// DeviceItem is one content item on one device.
type DeviceItem struct {
	Patch     PatchRef      `json:"patch"`
	State     patch.State   `json:"state"`
	Reason    *fault.Reason `json:"reason,omitempty"`
	Attempts  int64         `json:"attempts"`
	NoEffects int64         `json:"no_effects"`
	Rollback  bool          `json:"rollback"` // it is to be rolled back
	Packages  []wire.Change `json:"packages"`
	Next      time.Time     `json:"next,omitzero"`
	Updated   time.Time     `json:"updated"`
}

// OpenOrder is the order that a device has in hand.
type OpenOrder struct {
	ID       string         `json:"id"`
	Serial   int64          `json:"serial"`
	Campaign CampaignRef    `json:"campaign"`
	Kind     wire.OrderKind `json:"kind"`
	Step     wire.Step      `json:"step,omitempty"`
	StepAt   time.Time      `json:"step_at,omitzero"`
	Cause    *fault.Reason  `json:"cause,omitempty"`
	Next     time.Time      `json:"next,omitzero"`
	Issued   time.Time      `json:"issued"`
	Expires  time.Time      `json:"expires"`
}

// Wake is where a device stands that may be woken for its window.
type Wake struct {
	Reason *fault.Reason `json:"reason,omitempty"` // of one that sleeps; none once it was heard of
	Asked  time.Time     `json:"asked,omitzero"`   // when neighbours were last asked to wake it
	By     []string      `json:"by"`               // those neighbours, by name
	Woken  time.Time     `json:"woken,omitzero"`   // when it was heard of after that
}

// PendingReboot is where a device stands that asks for a reboot.
type PendingReboot struct {
	Since    time.Time     `json:"since"`
	Signals  []string      `json:"signals"`          // empty: not read yet
	Survived int64         `json:"survived"`         // boots that they outlived
	Last     *fault.Reason `json:"last,omitempty"`   // why the order before did not help
	Reason   *fault.Reason `json:"reason,omitempty"` // why it waits; none before it was decided
	Next     time.Time     `json:"next,omitzero"`    // when it may go on by itself
	Starts   time.Time     `json:"starts,omitzero"`  // when its open order may act first
}

// Software is what is installed on a device.
type Software struct {
	Measured time.Time      `json:"measured,omitzero"`
	Provider string         `json:"provider,omitempty"`
	Software []wire.Package `json:"software"`
}

// Why answers "why not, and when next" for a device and each patch it misses or
// an open campaign carries to it. The chains are the conductor's: this package
// decides nothing.
type Why struct {
	Device DeviceRef     `json:"device"`
	State  fleet.State   `json:"state"`
	Reason *fault.Reason `json:"reason,omitempty"`
	// Reboot is why a reboot that the device asks for waits; nil without one.
	Reboot *PendingReboot `json:"reboot,omitempty"`
	// Wake is where a device stands that sleeps before its window; nil without.
	Wake    *Wake      `json:"wake,omitempty"`
	Patches []WhyPatch `json:"patches"`
}

// WhyPatch is one patch: where it stands, and everything that was asked.
type WhyPatch struct {
	Patch    PatchRef      `json:"patch"`
	State    patch.State   `json:"state"`
	Reason   *fault.Reason `json:"reason,omitempty"`
	Decision *Decision     `json:"decision,omitempty"` // given by hand, in force
	Campaign *CampaignRef  `json:"campaign,omitempty"`
	Ring     string        `json:"ring,omitempty"`
	Chain    []WhyCheck    `json:"chain"`
	Next     time.Time     `json:"next,omitzero"` // the next attempt; none while a person must act
}

// WhyCheck is one link of the chain that leads to an install.
type WhyCheck struct {
	Check  campaign.CheckName `json:"check"`
	OK     bool               `json:"ok"`
	Reason *fault.Reason      `json:"reason,omitempty"`
	Next   time.Time          `json:"next,omitzero"` // when this link may change by itself
}

// GroupRow is a group in a list; its devices are DeviceQuery.Group.
type GroupRow struct {
	Name    string    `json:"name"`
	Title   string    `json:"title,omitempty"`
	Devices int64     `json:"devices"`
	Created time.Time `json:"created"`
}

// GroupPage is a page of groups.
type GroupPage = Page[GroupRow]
