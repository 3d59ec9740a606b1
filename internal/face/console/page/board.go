package page

import (
	"strconv"
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/face/console/ui"
	"patchring/internal/infra/view"
)

// Board is one campaign.
type Board struct {
	Alerts           []view.AlertRow // open
	ID               string
	Name             string
	State            campaign.State
	Held             bool // a hold is in force on the whole campaign
	Origin           campaign.Origin
	Procedure        string
	ProcedureVersion int64
	Starts           time.Time
	Verification     time.Time
	Sealed           time.Time // zero: the content is not sealed yet
	Closed           time.Time
	Day              time.Duration // length of a procedure day; zero or 24 h unless compressed
	Zone             string        // of the procedure: times are told in it
	Rings            []Ring        // of the sealed content
	Amendments       []Amendment
	Content          []Item
	Holds            []Hold
	Tasks            []TaskLine // open manual ones
	Incidents        []view.IncidentRow
	Tests            []view.RingTests // of the rings that have any
	Feedback         FeedbackTally
	Said             []FeedbackLine // what is broken and not dealt with, the first few
	Causes           []Cause        // of failures, most frequent first, of the first few hundred
	Events           []Event        // newest first, the last few
	Emergency        *Emergency     // nil: it is none
	Rollback         *Rollback      // what it undoes; nil: it is no rollback
	Rollbacks        []RollbackLine // of this campaign
}

// Rollback is what a rollback undoes.
type Rollback struct {
	Undoes, Name string // the campaign
	Part         string // of it: a patch, a ring, a device; empty: everything
	Reason, By   string
	ByRing       bool
}

// RollbackLine names a rollback of a campaign.
type RollbackLine struct {
	ID, Name, Reason string
	State            campaign.State
}

// Emergency is why a campaign is one, and what its start waits for.
type Emergency struct {
	Cause         campaign.Cause
	Name          string // what the cause names
	Missed        string // the campaign of CauseMissed
	Patches       []string
	Reason, By    string
	ThroughFreeze bool
	Windows       []calendar.Interval // none: the devices' own
	Approved      time.Time
	Visas         []Visa
	Missing       []fault.Reason
}

// Signable lists the visas of the reader's roles, until it has started.
func (e Emergency) Signable(roles []string) []Visa {
	if !e.Approved.IsZero() {
		return nil
	}
	return visasOf(e.Visas, roles)
}

func visasOf(list []Visa, roles []string) []Visa {
	var out []Visa
	for _, v := range list {
		if has(roles, v.Role) {
			out = append(out, v)
		}
	}
	return out
}

// Ring is a column of the board.
type Ring struct {
	Position  int
	Name      string
	Title     string // in the reader's language
	Amendment int64  // 0: the sealed content
	State     campaign.RingState
	Verdict   campaign.Verdict
	Held      bool
	Counters  campaign.Counters
	Opens     time.Time
	Closes    time.Time
	Opened    time.Time
	SoakUntil time.Time
	Reasons   []fault.Reason
	Evidence  []campaign.Evidence
	Visas     []Visa
	Expedited *Expedited
	Devices   []RingDevice // a few, those to look at first
	// RollbackImpossible counts device × patch that could not be put back.
	RollbackImpossible int64
}

// Visa is one sign-off a gate asks for, given or not.
type Visa struct {
	Role      string
	Title     string
	Checklist []string
	Given     bool
	Yes       bool
	By        string
	At        time.Time
	Comment   string
	Unheld    bool // no active account has the role
}

// Expedited says who opened a ring ahead of its calendar, and why.
type Expedited struct{ By, Reason string }

// Amendment is a late addition with its own way through the rings.
type Amendment struct {
	Number int64
	Reason string
	By     string
	At     time.Time
	Rings  []Ring
}

// Item is one patch of the content.
type Item struct {
	ID        string
	Name      string
	Version   string
	Provider  string
	Suite     string
	Amendment int64
	Promoted  string // the furthest ring it may reach; empty: none yet
	Withdrawn *Withdrawn
	Rollback  WayBack
}

// WayBack is how ready an item is to go back.
type WayBack struct {
	Readiness  campaign.Readiness
	Took       time.Duration // when it was rehearsed
	Impossible int64         // on how many devices
	Why        fault.Reason  // on one of them
}

// Withdrawn says who took an item out, and why.
type Withdrawn struct {
	By, Reason string
	At         time.Time
}

// Hold is a stop in force.
type Hold struct {
	ID         string
	Campaign   string // empty: on every campaign
	Name       string // of the campaign
	Ring       string
	Item       string // id of the patch
	ItemName   string
	Device     string
	DeviceName string
	Reason     string
	By         string
	At         time.Time
}

// Cause is a reason code with the number of devices that fail for it.
type Cause struct {
	Code fault.Code
	N    int64
}

// Event is a register entry as people read it.
type Event struct {
	Index      int64
	At         time.Time
	Kind       string
	Actor      string
	Device     string
	DeviceName string
	Campaign   string
	Ring       string
	Patch      string
	PatchName  string
	Reason     fault.Reason
	Detail     string // what the kind keeps beside: a comment, a decision, in words already
}

// Heading names the page.
func (b Board) Heading() string { return b.Name }

// Total is the five numbers of all rings together.
func (b Board) Total() campaign.Counters {
	var sum campaign.Counters
	for _, r := range b.Rings {
		for _, k := range ui.Buckets {
			sum.Add(k, int(ui.Count(r.Counters, k)))
		}
	}
	return sum
}

// TimeZone is where the campaign's times are told.
func (b Board) TimeZone() string { return b.Zone }

// Over tells that nothing can be done on the campaign any more.
func (b Board) Over() bool { return b.State == campaign.Closed }

// Compressed tells that a day of the procedure is not a day.
func (b Board) Compressed() bool { return b.Day != 0 && b.Day != 24*time.Hour }

// Awaits lists the visas this ring's gate lacks that the reader may give.
// Signing may begin once the ring is open: tests are done while it soaks.
func (r Ring) Awaits(roles []string) []Visa {
	if !r.State.Opened() || r.State.Passed() {
		return nil
	}
	var out []Visa
	for _, v := range r.Visas {
		if !v.Given && has(roles, v.Role) {
			out = append(out, v)
		}
	}
	return out
}

// Signable lists the visas of the reader's roles, given or not: a later word
// replaces the earlier one until the gate has passed.
func (r Ring) Signable(roles []string) []Visa {
	if !r.State.Opened() || r.State.Passed() {
		return nil
	}
	return visasOf(r.Visas, roles)
}

// Next is the first ring that is not passed, the one the campaign is about now.
func (b Board) Next() (Ring, bool) {
	for _, r := range b.Rings {
		if !r.State.Passed() {
			return r, true
		}
	}
	return Ring{}, false
}

func has(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// Addresses of a campaign and what belongs to it.
// catchUp asks for an emergency about what the campaign missed.
func (b Board) catchUp() string { return ui.With("/campaigns/emergency", "missed", b.ID) }

func (b Board) dayWords() string {
	if b.Emergency != nil {
		return "board.emergency_day"
	}
	return "board.compressed"
}

func campaignPath(id string, more ...string) string {
	return ui.Path(append([]string{"campaigns", id}, more...)...)
}

func (r Ring) list(campaignID string) func(campaign.Bucket) string {
	return func(b campaign.Bucket) string { return r.path(campaignID, string(b)) }
}

func (r Ring) path(campaignID, bucket string) string {
	return ui.With(campaignPath(campaignID, "rings", r.Name), "bucket", bucket, "amendment", amendment(r.Amendment))
}

func (r Ring) act(campaignID, verb string) string {
	return ui.With(campaignPath(campaignID, verb), "ring", r.Name, "amendment", amendment(r.Amendment))
}

// sign is where the reader signs for a role.
func (r Ring) sign(campaignID, role string) string {
	return ui.With(campaignPath(campaignID, "sign"), "ring", r.Name, "amendment", amendment(r.Amendment), "role", role)
}

func amendment(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
