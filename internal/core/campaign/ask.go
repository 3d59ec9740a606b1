package campaign

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
)

// What an operator can ask. Every ask names its reason where the register must
// be able to say why; the actor comes beside it, from who is logged in.

// Create starts a campaign by hand.
type Create struct {
	Procedure string // the latest version of this procedure
	Name      string // empty: the month of the calendar, or the date and hour
	// Month chooses the calendar month (2026-12). With Now the campaign starts
	// at once instead, its days counted from now.
	Month string
	Now   bool
	// Day is how long one procedure day lasts; zero is a real day. Only with Now.
	Day time.Duration
	// Windows replace the procedure's window rules: explicit intervals. A
	// compressed campaign without any may act as long as it runs, because no
	// real window fits a day of seconds.
	Windows []calendar.Interval
	// Patches limits the content to these; empty: all that policy approves.
	Patches []patch.ID
}

// Sign is a sign-off on the gate of a ring.
type Sign struct {
	Campaign  string
	Amendment int
	Ring      string
	Role      string
	Yes       bool
	Comment   string
	Ticked    []int // indexes of the checklist's tests that were done
}

// PlaceHold stops what matches every field that is not empty.
type PlaceHold struct {
	Campaign string
	Ring     string
	Patch    patch.ID
	Device   fleet.DeviceID
	Reason   string
}

// Resume lifts one hold by its id, or all of a campaign's when it is empty.
type Resume struct {
	Campaign string
	Hold     string
	Reason   string
}

// Expedite opens a ring without waiting for its calendar date or soak; its
// gate's evidence and sign-offs still apply. With Device, that device is moved
// to the ring instead.
type Expedite struct {
	Campaign  string
	Amendment int
	Ring      string
	Device    fleet.DeviceID
	Reason    string
}

// Rollback puts back the previous versions: of one patch or of all the
// campaign installed, on one device, a ring or everywhere.
type Rollback struct {
	Campaign string
	Ring     string
	Device   fleet.DeviceID
	Patch    patch.ID
	Reason   string
	// Now opens an emergency window of this length, recorded as such, before the
	// devices' own; zero rolls back in those.
	Now time.Duration
	// ByRing begins a ring only when nobody of the one before it has failed and
	// enough of it is done; without it all rings go back together.
	ByRing bool
}

// RollbackPlan is what a rollback would do, for the person about to say yes.
type RollbackPlan struct {
	Campaign   ID // that carries it out; empty: it was only asked about
	Name       string
	Devices    int
	Items      int
	Impossible []CannotRollback
	// Expected is how long a device takes for its part by what was rehearsed, the
	// slowest of them; 0: nothing of it was.
	Expected time.Duration
	// Exceptions are what is open again, and until when somebody answers for it.
	Exceptions []OpenAgain
}

// OpenAgain is a patch that a rollback leaves open, under an exception.
type OpenAgain struct {
	Patch   patch.ID
	Name    string
	Version string
	Devices int
	Until   time.Time
}

// CannotRollback is one package that cannot go back, and why.
type CannotRollback struct {
	Device  fleet.DeviceID
	Name    string // of the device
	Package string
	Why     string
}

// Withdraw takes one patch out of a campaign.
type Withdraw struct {
	Campaign string
	Patch    patch.ID
	Reason   string
}

// Amend adds late patches; they start at the first ring.
type Amend struct {
	Campaign string
	Patches  []patch.ID
	Reason   string
}

// Incident says that something went wrong. Its severity decides what follows,
// as the procedure says: nothing more, a hold, or a rollback.
type Incident struct {
	Campaign string
	Ring     string
	Device   fleet.DeviceID
	Patch    patch.ID // known or suspected to be the cause
	Severity procedure.Severity
	What     string
}

// Response is what follows an incident.
type Response string

// Responses.
const (
	RecordOnly   Response = "recorded"
	PlacesHold   Response = "hold"
	RollsBackAll Response = "rollback" // in the devices' next windows
)

// Respond is what a procedure does about an incident of a severity.
func Respond(p procedure.Procedure, severity procedure.Severity) Response {
	switch {
	case severity.AtLeast(p.RollbackOn):
		return RollsBackAll
	case severity.AtLeast(p.HoldOn):
		return PlacesHold
	default:
		return RecordOnly
	}
}

// Close ends a campaign. What was not reached is recorded as such.
type Close struct {
	Campaign string
	Reason   string
}

// Decide gives a verdict by hand on an exact patch, or on every version of a name.
type Decide struct {
	Patch    patch.ID // or
	Provider string
	Name     string
	Verdict  policy.Verdict
	Until    time.Time // of a delay; optional end of a decline
	Reason   string
}

// Place is what a change of a device's description or groups means in one
// open campaign: where it is, and where it would be by what is said of it now.
type Place struct {
	Campaign ID     `json:"campaign"`
	Name     string `json:"name"`
	From     string `json:"from,omitempty"` // ring; empty: it was no member
	To       string `json:"to,omitempty"`   // ring; empty: it is none any more
	// Follows: it is there now. Without it the content is sealed, and the device
	// stays where it was until the campaign ends or a person moves it.
	Follows bool `json:"follows"`
}

// Evaluation is that a gate was asked; nothing is promoted by asking.
type Evaluation struct {
	Ring      string
	Amendment int
	At        time.Time
}
