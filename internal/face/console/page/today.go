package page

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/infra/view"
)

// Today is what needs the reader now. Every count is the length of the list
// its number links to.
type Today struct {
	Counts []Count
	Visas  []AwaitedVisa // of the reader's roles
	Rings  []RingTrouble
	Holds  []Hold
	Stuck  []Stuck // the first few
	// RollbackImpossible counts what could not be put back, over all open
	// campaigns; Impossible are the first of that list.
	RollbackImpossible int64
	Impossible         []ImpossibleRollback
	Unheld             []UnheldRole
	Campaigns          []CampaignLine // open
	Dates              []Date         // next ones, soonest first
	Devices            int64          // in the fleet

	Tasks    []TaskLine  // the reader's turn, those due first, first
	Late     []TaskLine  // overdue ones of everybody, the first few
	Overdue  int64       // all of those
	Expiring []Exception // that end soon

	Incidents []view.IncidentRow // not closed, the first few

	OpenFeedback int64          // said to be broken, not dealt with
	Feedback     []FeedbackLine // the latest of that, the first few
}

// Count is a number with the list behind it.
type Count struct {
	Filter string // of the fleet; "undecided" is of the patches
	N      int64
}

// AwaitedVisa is a gate that waits for the reader.
type AwaitedVisa struct {
	Campaign string // id
	Name     string
	Ring     Ring
	Visa     Visa
}

// RingTrouble is a ring that its gate holds back.
type RingTrouble struct {
	Campaign string
	Name     string
	Ring     Ring
}

// Stuck is a device × patch on which no further attempt is made until a person
// acts: quarantined, or every attempt failed.
type Stuck struct {
	Device     string
	DeviceName string
	Patch      string
	PatchName  string
	Reason     fault.Reason
	At         time.Time
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
