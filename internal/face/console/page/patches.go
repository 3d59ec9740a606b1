package page

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/ui"
	"patchring/internal/infra/view"
)

// Patches is the catalogue.
type Patches struct {
	Query   PatchQuery
	Patches []PatchLine
	Next    string
}

// PatchQuery is what the catalogue is asked for.
type PatchQuery struct {
	Name    string
	Class   patch.Class
	Verdict policy.Verdict // given by hand
	Missing bool           // only what a device misses now
	// Exploited are those that mend a vulnerability which is being exploited.
	Exploited bool
	Severity  policy.Severity
	Sort      string // recent, name, devices
	After     string
}

// PatchLine is a patch in a list.
type PatchLine struct {
	ID        string
	Provider  string
	Name      string
	Version   string
	Suite     string
	Class     patch.Class
	Verdict   policy.Verdict // given by hand; empty: the procedure's rules
	Until     time.Time
	Devices   int64 // that lack it now
	FirstSeen time.Time
	Download  int64
	// Severity is that of the worst vulnerability it mends, of so many.
	Severity        policy.Severity
	Exploited       bool
	Vulnerabilities int
}

// Patch is one patch with the devices it concerns.
type Patch struct {
	PatchLine
	Origin     string
	Summary    string
	Decisions  []PatchDecision // on it and on its name, also past ones, newest first
	Exceptions []Exception     // in force on it or on its name
	Campaigns  []PatchCampaign
	Versions   []PatchLine // the others of the name
	Where      []PatchDevice
	Query      PatchDeviceQuery
	Next       string
	Rules      []PatchRule // of policies, the strongest place first
	Guards     []PatchGuard
	Mends      []view.Mended // the worst first
	Pace       []PatchPace   // how long its installs took
}

// PatchPace is how long installs of the patch took on a model; 0 is not known.
type PatchPace struct {
	Model                     string // empty: all of them
	Samples                   int64
	Download, Install, Reboot time.Duration
}

func took(f ui.Frame, d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return f.Duration(d)
}

func (p PatchPace) model(f ui.Frame) string {
	if p.Model == "" {
		return f.T("patch.pace_all")
	}
	return p.Model
}

// Heading names the page.
func (p Patch) Heading() string { return p.Name + " " + p.Version }

// PatchDecision is a verdict somebody gave.
type PatchDecision struct {
	Verdict policy.Verdict
	Name    bool // on every version of the name
	Until   time.Time
	Reason  string
	By      string
	At      time.Time
}

// PatchCampaign is a campaign that carries the patch.
type PatchCampaign struct {
	ID, Name, Ring                    string
	Withdrawn                         bool
	Open                              bool
	Done, Failed, Pending, RolledBack int64
}

// PatchDevice is a device that the patch concerns.
type PatchDevice struct {
	Device string
	Name   string
	State  patch.State
	Reason fault.Reason
	Since  time.Time
	Next   time.Time
}

// PatchDeviceQuery is which of the devices are asked for.
type PatchDeviceQuery struct {
	Which    string // missing (as scans say), failed, pending (as open campaigns say)
	Campaign string // id, for failed and pending
	After    string
}

// Whiches are the choices of PatchDeviceQuery.Which.
var Whiches = []string{"missing", "pending", "failed"}

func (p Patch) where(which, after string) string {
	return ui.With(ui.Path("patches", p.ID), "which", which, "campaign", p.Query.Campaign, "after", after) + "#where"
}

func (p Patch) nextWhere() string {
	if p.Next == "" {
		return ""
	}
	return p.where(p.Query.Which, p.Next)
}

func (p Patch) firstWhere() string {
	if p.Query.After == "" {
		return ""
	}
	return p.where(p.Query.Which, "")
}

// amendable: open campaigns do not carry it yet, so it can be added to one.
func (p Patch) amendable(f ui.Frame) bool { return f.Account != nil && f.Account.May.Run }

func (q PatchQuery) address() string {
	return ui.With("/patches", "name", q.Name, "class", string(q.Class), "verdict", string(q.Verdict),
		"missing", flag(q.Missing), "exploited", flag(q.Exploited), "severity", string(q.Severity), "sort", q.Sort, "after", q.After)
}

func (q PatchQuery) narrow() bool {
	q.After = ""
	return q != PatchQuery{}
}

func (v Patches) first() string {
	if v.Query.After == "" {
		return ""
	}
	v.Query.After = ""
	return v.Query.address()
}

func (v Patches) next() string {
	if v.Next == "" {
		return ""
	}
	v.Query.After = v.Next
	return v.Query.address()
}
