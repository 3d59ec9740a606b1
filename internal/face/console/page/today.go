package page

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
)

// Today is what needs the reader now. Lists are short; Total says how many
// there are, and its number links to the whole list.
type Today struct {
	Visas       []AwaitedVisa // of the reader's roles
	Rings       []RingTrouble
	Holds       []Hold
	Quarantines Some[Quarantine]
	Unreachable Some[Silent]
	NoRollback  Some[NoRollback]
	Campaigns   []CampaignLine // running
	Dates       []Date         // next ones, soonest first
	Devices     int64          // in the fleet
}

// Some is the beginning of a list.
type Some[T any] struct {
	First []T
	Total int64
}

// AwaitedVisa is a gate that waits for the reader.
type AwaitedVisa struct {
	Campaign string // id
	Name     string
	Ring     Ring
	Visa     Visa
	Since    time.Time
}

// RingTrouble is a ring that fails or that its gate holds back.
type RingTrouble struct {
	Campaign string
	Name     string
	Ring     Ring
}

// Quarantine is a patch that twice claimed success without effect.
type Quarantine struct {
	Device     string
	DeviceName string
	Patch      string
	PatchName  string
	Reason     fault.Reason
	At         time.Time
}

// Silent is a device not heard of.
type Silent struct {
	Device string
	Name   string
	Since  time.Time
}

// NoRollback is a patch installed, or about to be, with no way back.
type NoRollback struct {
	Device     string
	DeviceName string
	Patch      string
	PatchName  string
	Why        fault.Reason
}

// Date is a coming event of the calendar.
type Date struct {
	At       time.Time
	Kind     DateKind
	Campaign string // id; empty when the campaign does not exist yet
	Name     string
	Ring     string
}

// DateKind is what happens on a date.
type DateKind string

// Date kinds.
const (
	PatchTuesday DateKind = "patch_tuesday"
	RingOpens    DateKind = "ring_opens"
	RingCloses   DateKind = "ring_closes"
	SoakEnds     DateKind = "soak_ends"
	Verification DateKind = "verification"
)

// Campaigns is the list of campaigns.
type Campaigns struct {
	Query     CampaignQuery
	Campaigns []CampaignLine
	Next      string // key of the next page
}

// CampaignQuery is what a list of campaigns is asked for.
type CampaignQuery struct {
	State campaign.State
	Name  string
	After string
}

// CampaignLine is a campaign in a list.
type CampaignLine struct {
	ID           string
	Name         string
	Procedure    string
	State        campaign.State
	Held         bool
	Ring         string // the one it is at
	Counters     campaign.Counters
	Starts       time.Time
	Verification time.Time
}

// Quiet tells that nothing needs the reader.
func (t Today) Quiet() bool {
	return len(t.Visas)+len(t.Rings)+len(t.Holds) == 0 && t.Quarantines.Total == 0
}
