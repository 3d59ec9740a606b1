package view

import (
	"time"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/manifest"
	"patchring/internal/core/patch"
)

// ProcedureRow is the latest version of a procedure.
type ProcedureRow struct {
	Name    string        `json:"name"`
	Title   manifest.Text `json:"title"`
	Owner   string        `json:"owner"`
	Zone    string        `json:"zone"`
	Version int64         `json:"version"`
	SHA256  string        `json:"sha256"`
	Actor   string        `json:"actor"`
	At      time.Time     `json:"at"`
	Rings   []string      `json:"rings"`
}

// ProcedureDetail is one version of a procedure with its text.
type ProcedureDetail struct {
	ProcedureRow
	Body     string             `json:"body"`
	Versions []ProcedureVersion `json:"versions"` // newest first
}

// ProcedureVersion is one version in a procedure's history.
type ProcedureVersion struct {
	Version int64     `json:"version"`
	SHA256  string    `json:"sha256"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
}

// CampaignQuery chooses campaigns, newest first.
type CampaignQuery struct {
	Paging
	Open  bool   // only those that are not closed
	State string // only those in this state
}

// CampaignRef names a campaign where something else is shown.
type CampaignRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CampaignRow is a campaign in a list.
type CampaignRow struct {
	ID               string      `json:"id"`
	Name             string      `json:"name"`
	Procedure        string      `json:"procedure"`
	ProcedureVersion int64       `json:"procedure_version"`
	State            string      `json:"state"`
	Held             bool        `json:"held"` // a hold on the campaign as a whole is in force
	Origin           string      `json:"origin"`
	DayS             int64       `json:"day_s"` // length of a procedure day; 86400 unless compressed
	Starts           time.Time   `json:"starts"`
	Verification     time.Time   `json:"verification"`
	Sealed           time.Time   `json:"sealed,omitzero"`
	Verified         time.Time   `json:"verified,omitzero"`
	Closed           time.Time   `json:"closed,omitzero"`
	Created          time.Time   `json:"created"`
	Actor            string      `json:"actor"`
	Rings            []RingBrief `json:"rings"` // of the sealed content
}

// CampaignPage is a page of campaigns.
type CampaignPage = Page[CampaignRow]

// Numbers are the five: no percentage stands for them.
type Numbers struct {
	Done        int64 `json:"done"`
	Failed      int64 `json:"failed"`
	NotReached  int64 `json:"not_reached"`
	Unreachable int64 `json:"unreachable"`
	Exempt      int64 `json:"exempt"`
}

// Total is every device of the ring.
func (n Numbers) Total() int64 {
	return n.Done + n.Failed + n.NotReached + n.Unreachable + n.Exempt
}

// RingBrief is a ring in a list of campaigns and in a calendar.
type RingBrief struct {
	Position int64     `json:"position"`
	Ring     string    `json:"ring"`
	State    string    `json:"state"`
	Verdict  string    `json:"verdict,omitempty"` // of its gate: pass, hold, insufficient_evidence
	Opens    time.Time `json:"opens"`
	Closes   time.Time `json:"closes"`
	Numbers  Numbers   `json:"numbers"`
	// RollbackImpossible counts device × patch that could not be put back: one of
	// the counts, so it costs the same in any fleet.
	RollbackImpossible int64 `json:"rollback_impossible"`
}

// Board is a campaign as its board shows it.
type Board struct {
	Campaign   CampaignRow      `json:"campaign"`
	Title      manifest.Text    `json:"title"` // of the procedure
	Zone       string           `json:"zone"`
	At         time.Time        `json:"at"` // when this was read
	Amendments []BoardAmendment `json:"amendments"`
	Holds      []HoldRow        `json:"holds"`     // in force, of the campaign and of the tenant's devices and patches
	Tasks      []TaskRow        `json:"tasks"`     // open manual ones, at most 50
	Events     []Event          `json:"events"`    // the latest, newest first
	Incidents  []IncidentRow    `json:"incidents"` // not closed, at most 20
	// Emergency is why it is one; not there in any other campaign.
	Emergency *BoardEmergency `json:"emergency,omitempty"`
	// Rollback is what a rollback undoes; not there in any other campaign.
	Rollback  *BoardRollback `json:"rollback,omitempty"`
	Rollbacks []RollbackRef  `json:"rollbacks"` // of this campaign
}

// BoardAmendment is the sealed content (number 0) or a later addition: what it
// carries and how far it has come.
type BoardAmendment struct {
	Number  int64       `json:"number"`
	Reason  string      `json:"reason,omitempty"`
	Actor   string      `json:"actor,omitempty"`
	Created time.Time   `json:"created"`
	Items   []BoardItem `json:"items"`
	Rings   []BoardRing `json:"rings"`
}

// BoardItem is one content item.
type BoardItem struct {
	Patch     PatchRef   `json:"patch"`
	Provider  string     `json:"provider"`
	Suite     string     `json:"suite"`
	Promoted  int64      `json:"promoted"`       // position of the furthest ring it may reach
	Ring      string     `json:"ring,omitempty"` // that ring's name
	Withdrawn *Withdrawn `json:"withdrawn,omitempty"`
	// Rollback is how ready it is to go back, by what the first ring knows, and by
	// every device that cannot; empty: nothing of it was installed yet.
	Rollback           campaign.Readiness `json:"rollback,omitempty"`
	RollbackS          int64              `json:"rollback_s,omitempty"`          // how long that took at most when it was rehearsed, in seconds
	RollbackImpossible int64              `json:"rollback_impossible,omitempty"` // on how many devices
	RollbackWhy        *fault.Reason      `json:"rollback_why,omitempty"`        // on one of them
}

// Withdrawn says who took an item out, and why.
type Withdrawn struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// BoardRing is a column of the board.
type BoardRing struct {
	RingBrief
	Title     manifest.Text       `json:"title"`
	Reasons   []fault.Reason      `json:"reasons"`
	Evidence  []campaign.Evidence `json:"evidence"`
	Opened    time.Time           `json:"opened,omitzero"`
	SoakUntil time.Time           `json:"soak_until,omitzero"`
	Decided   time.Time           `json:"decided,omitzero"`
	Expedited *Expedited          `json:"expedited,omitempty"`
	SignOffs  []SignOffSlot       `json:"sign_offs"`
	Held      bool                `json:"held"`
	Devices   []RingDevice        `json:"devices"` // a few: what failed, then what is under way, then what is done
}

// Expedited says who opened a ring before its date, and why.
type Expedited struct {
	By  string `json:"by"`
	Why string `json:"why"`
}

// SignOffSlot is a sign-off that a gate asks for, and what was given.
type SignOffSlot struct {
	Role      string          `json:"role"`
	Title     manifest.Text   `json:"title"`
	Checklist []manifest.Text `json:"checklist"`
	Given     *SignOff        `json:"given,omitempty"` // the last one of the role
	Unheld    bool            `json:"unheld"`          // no active account has the role: nobody can give it
}

// SignOff is a recorded yes or no.
type SignOff struct {
	Role    string    `json:"role"`
	Yes     bool      `json:"yes"`
	Comment string    `json:"comment,omitempty"`
	Ticked  []int     `json:"ticked"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
}

// HoldRow is a hold in force: it stops what fits every field that is set.
type HoldRow struct {
	ID       string       `json:"id"`
	Campaign *CampaignRef `json:"campaign,omitempty"`
	Ring     string       `json:"ring,omitempty"`
	Patch    *PatchRef    `json:"patch,omitempty"`
	Device   *DeviceRef   `json:"device,omitempty"`
	Reason   string       `json:"reason"`
	Actor    string       `json:"actor"`
	Placed   time.Time    `json:"placed"`
}

// RingDevicesQuery chooses devices of a ring.
type RingDevicesQuery struct {
	Paging
	Campaign  string // id
	Amendment int64
	Position  int64
	Bucket    string // one of the five; empty: all
}

// RingDevice is a device in a ring.
type RingDevice struct {
	Device  DeviceRef     `json:"device"`
	Kind    fleet.Kind    `json:"kind"`
	Bucket  string        `json:"bucket"`
	Goal    string        `json:"goal"`
	Reason  *fault.Reason `json:"reason,omitempty"`
	Step    string        `json:"step,omitempty"` // wire.Step of the order in hand
	StepAt  time.Time     `json:"step_at,omitzero"`
	Next    time.Time     `json:"next,omitzero"`
	Seen    time.Time     `json:"seen,omitzero"`
	Updated time.Time     `json:"updated"`
}

// RingDevicePage is a page of devices of a ring.
type RingDevicePage = Page[RingDevice]

// Today is what needs somebody: each count is the length of the list behind it.
type Today struct {
	At            time.Time     `json:"at"`
	Devices       int64         `json:"devices"`
	Overdue       int64         `json:"overdue"`        // DeviceQuery.Filter
	Failing       int64         `json:"failing"`        // DeviceQuery.Filter
	Unreachable   int64         `json:"unreachable"`    // DeviceQuery.Filter
	PendingReboot int64         `json:"pending_reboot"` // DeviceQuery.Filter
	NeverScanned  int64         `json:"never_scanned"`  // DeviceQuery.Filter
	Duplicate     int64         `json:"duplicate"`      // DeviceQuery.Filter
	Undecided     int64         `json:"undecided"`      // patches that a device misses, not security and without a decision
	Gates         []GateWaiting `json:"gates"`
	Holds         []HoldRow     `json:"holds"`
	// RollbackImpossible counts what could not be put back, over all open
	// campaigns; ImpossibleRollbacks lists it.
	RollbackImpossible int64                `json:"rollback_impossible"`
	Impossible         []ImpossibleRollback `json:"impossible"`  // the first of that list
	Unheld             []UnheldRole         `json:"unheld"`      // sign-offs that nobody can give
	Quarantined        []Stuck              `json:"quarantined"` // at most 50
	Campaigns          []CampaignRow        `json:"campaigns"`   // open

	OpenTasks    int64          `json:"open_tasks"`    // TaskQuery.Which
	OverdueTasks int64          `json:"overdue_tasks"` // TaskQuery.Which
	MyTasks      []TaskRow      `json:"my_tasks"`      // open ones of who asks, at most 50
	LateTasks    []TaskRow      `json:"late_tasks"`    // overdue ones of everybody, at most 50
	Expiring     []ExceptionRow `json:"expiring"`      // exceptions that end soon, at most 50

	OpenFeedback int64         `json:"open_feedback"` // FeedbackQuery.Which
	Feedback     []FeedbackRow `json:"feedback"`      // the latest of that list, at most 50

	OpenIncidents int64         `json:"open_incidents"` // IncidentQuery.Which
	Incidents     []IncidentRow `json:"incidents"`      // the latest of that list, at most 20
}

// UnheldRole is a role whose sign-off a ring's gate needs, or is going to
// need, and that no active account has: unless somebody is given it, the
// campaign stops there.
type UnheldRole struct {
	Campaign  CampaignRef   `json:"campaign"`
	Amendment int64         `json:"amendment"`
	Ring      string        `json:"ring"`
	State     string        `json:"state"` // of the ring
	Role      string        `json:"role"`
	Title     manifest.Text `json:"title"` // of the sign-off
}

// ImpossibleQuery chooses what could not be put back, in one campaign or in
// all that are open.
type ImpossibleQuery struct {
	Paging
	Campaign string // id; empty: all open ones
}

// ImpossibleRollback is a patch on a device that could not be put back, and
// why: known since the agent kept, or could not keep, the previous packages.
type ImpossibleRollback struct {
	Campaign CampaignRef  `json:"campaign"`
	Ring     string       `json:"ring"`
	Device   DeviceRef    `json:"device"`
	Patch    PatchRef     `json:"patch"`
	State    patch.State  `json:"state"`
	Reason   fault.Reason `json:"reason"`
	Updated  time.Time    `json:"updated"`
}

// ImpossiblePage is a page of what could not be put back.
type ImpossiblePage = Page[ImpossibleRollback]

// GateWaiting is a ring whose gate does not pass as things stand.
type GateWaiting struct {
	Campaign  CampaignRef    `json:"campaign"`
	Amendment int64          `json:"amendment"`
	Position  int64          `json:"position"`
	Ring      string         `json:"ring"`
	State     string         `json:"state"`
	Verdict   string         `json:"verdict,omitempty"`
	Reasons   []fault.Reason `json:"reasons"`
	Missing   []SignOffSlot  `json:"missing"` // sign-offs not given yet
	Numbers   Numbers        `json:"numbers"`
}

// Stuck is a device × patch that waits for a person.
type Stuck struct {
	Device   DeviceRef    `json:"device"`
	Patch    PatchRef     `json:"patch"`
	Campaign CampaignRef  `json:"campaign"`
	Reason   fault.Reason `json:"reason"`
	Updated  time.Time    `json:"updated"`
}
