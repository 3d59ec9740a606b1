// Package rehearsal plays a campaign before it exists: a procedure, its dates
// and a policy over a fleet as it was last recorded. It decides nothing itself:
// rings and devices are decided by core/campaign's own two functions, and what
// this package adds is the world around them, which is assumed to go well:
// whoever is silent now stays silent, everyone else is always there, nobody
// says "later", every install works and takes the time that past ones took, every gate is signed as
// soon as its evidence passes, and nothing new is published. A result is
// therefore the earliest that the procedure and the policy allow, and what it
// calls impossible is impossible.
//
// Devices that no decision can tell apart are played once, as a class; a class
// is divided where a limit lets only some of its devices go.
//
// Values in, values out; a Fleet belongs to one goroutine.
package rehearsal

import (
	"time"

	"patchring/internal/core/calendar"
	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/policy"
	"patchring/internal/core/procedure"
	"patchring/wire"
)

// Plan is what is rehearsed.
type Plan struct {
	Now       time.Time
	Procedure procedure.Procedure
	Schedule  procedure.Schedule
	Rules     policy.Rules    // its classes are the procedure's
	Holds     []campaign.Hold // those that a new campaign would meet
	Pace      Pace
}

// Pace is how fast devices are, and how often what they install asks for a
// restart. The zero Pace is instant and restarts nothing.
type Pace struct {
	Order  time.Duration // what every install takes
	Patch  time.Duration // and each patch of it
	Reboot time.Duration // a restart
	// Reboots is the share of installs of a patch after which its device
	// restarted, by the patch's name; Otherwise is for names without a past.
	Reboots   map[string]float64
	Otherwise float64
	// Learned is how many past installs it comes from; 0: it is assumed.
	Learned int
}

// share is how likely an install of these is to end with a restart: as likely
// as that of the one that asks for it most.
func (p Pace) share(name string) float64 {
	if s, known := p.Reboots[name]; known {
		return s
	}
	return p.Otherwise
}

// Seen is a device as it was last recorded.
type Seen struct {
	policy.Device
	ID       fleet.DeviceID
	LastSeen time.Time
	Scanned  bool // ever
	Scan     wire.ScanStatus
	ScanWhy  string // the cause's code when Scan is not ok
	Missing  []Lack
}

// Lack is one patch that a device misses.
type Lack struct {
	Offer   Offer
	Exposed time.Time
}

// Offer names something that scans list, as Fleet.Offer keeps it.
type Offer int32

// Result is what the campaign would do.
type Result struct {
	From         time.Time `json:"from"`         // when it would start
	Verification time.Time `json:"verification"` // when it is judged
	Until        time.Time `json:"until"`        // how far it was played
	Devices      int       `json:"devices"`      // in the campaign
	Outside      int       `json:"outside"`      // of the fleet, in no ring
	Classes      int       `json:"classes"`      // that were played, each once
	Content      Content   `json:"content"`
	Rings        []Ring    `json:"rings"`
	Days         []Day     `json:"days"`
	Hours        []Hour    `json:"hours"` // in which something happens
	Sites        []Site    `json:"sites"` // largest download first
	Late         []Late    `json:"late"`  // the many first
	Slips        []Slip    `json:"slips"`
	// Judged are the five numbers at the verification.
	Judged  campaign.Counters `json:"judged"`
	Assumed Assumed           `json:"assumed"`
}

// Content is what would be sealed.
type Content struct {
	Patches int   `json:"patches"`
	LeftOut int   `json:"left_out"` // by policy, or replaced by a newer version
	Bytes   int64 `json:"bytes"`    // downloaded by the whole campaign
}

// Ring is what becomes of one ring. An instant that never comes is zero.
type Ring struct {
	Name          string             `json:"name"`
	State         campaign.RingState `json:"state"` // at the end
	Devices       int                `json:"devices"`
	PlannedOpens  time.Time          `json:"planned_opens"`
	PlannedCloses time.Time          `json:"planned_closes"`
	Opens         time.Time          `json:"opens"`
	Soaks         time.Time          `json:"soaks"`
	Passes        time.Time          `json:"passes"`
	First         time.Time          `json:"first"`   // its first install begins
	Last          time.Time          `json:"last"`    // its last install ends
	Judged        campaign.Counters  `json:"judged"`  // at the verification
	Reasons       []fault.Reason     `json:"reasons"` // why it does not move on, at the end
	Signs         []string           `json:"signs"`   // roles whose yes is assumed
}

// Day is one day in the procedure's zone.
type Day struct {
	Date     calendar.Date     `json:"date"`
	Installs []int             `json:"installs"` // devices that begin one, ring by ring
	Reboots  float64           `json:"reboots"`  // expected
	Bytes    int64             `json:"bytes"`    // downloaded
	Ends     campaign.Counters `json:"ends"`     // the five numbers when the day ends
}

// Hour is one hour in which devices install.
type Hour struct {
	Start    time.Time `json:"start"`
	Installs int       `json:"installs"`
	Reboots  float64   `json:"reboots"` // expected
}

// Site is what devices of one site download; the name is empty for those that
// have none.
type Site struct {
	Name    string    `json:"name"`
	Devices int       `json:"devices"`
	Bytes   int64     `json:"bytes"`
	Days    []SiteDay `json:"days"`
}

// SiteDay is a day's share of it.
type SiteDay struct {
	Date  calendar.Date `json:"date"`
	Bytes int64         `json:"bytes"`
}

// Late are devices that are not done at the verification, for one reason.
type Late struct {
	Bucket   campaign.Bucket  `json:"bucket"`
	Code     fault.Code       `json:"code"`
	Reason   fault.Reason     `json:"reason"` // of the first of them
	Devices  int              `json:"devices"`
	Later    int              `json:"later"` // of them, those that get there afterwards
	Examples []fleet.DeviceID `json:"examples"`
	Names    []string         `json:"names"` // of the examples
}

// Slip is a date of the calendar that would not be kept.
type Slip struct {
	Code    SlipCode  `json:"code"`
	Ring    string    `json:"ring"`
	Planned time.Time `json:"planned"`
	// Expected is when it would happen; zero: not as far as was played.
	Expected time.Time      `json:"expected"`
	Devices  int            `json:"devices"` // concerned
	Reasons  []fault.Reason `json:"reasons"`
}

// SlipCode says which date; faces have the words.
type SlipCode string

// Slips.
const (
	SlipOpens    SlipCode = "ring_opens_late"   // the ring opens after its date, or never
	SlipUnfinish SlipCode = "ring_unfinished"   // devices are still to be reached when it should close
	SlipJudged   SlipCode = "verification_late" // devices are still to be reached at the verification
)

// SlipCodes lists them.
func SlipCodes() []SlipCode { return []SlipCode{SlipOpens, SlipUnfinish, SlipJudged} }

// Assumed is what the result rests on, beside what the package says.
type Assumed struct {
	OrderSeconds  int `json:"order_seconds"`
	PatchSeconds  int `json:"patch_seconds"`
	RebootSeconds int `json:"reboot_seconds"`
	Learned       int `json:"learned"` // past installs that the figures come from; 0: none
	SignOffs      int `json:"sign_offs"`
	Silent        int `json:"silent"`  // devices that are silent now, and stay so
	Limited       int `json:"limited"` // devices under a limit, which go by turns
	Asked         int `json:"asked"`   // devices whose people could say "later", and do not
}

// Fate is what becomes of one device.
type Fate struct {
	Device fleet.DeviceID  `json:"device"`
	Name   string          `json:"name"`
	Site   string          `json:"site"`
	Ring   string          `json:"ring"`
	Bucket campaign.Bucket `json:"bucket"` // at the verification
	Reason fault.Reason    `json:"reason"` // then; zero when done
	// Starts is when its first install begins and Ends when its last one ends;
	// zero: it has none as far as was played.
	Starts time.Time `json:"starts"`
	Ends   time.Time `json:"ends"`
}
