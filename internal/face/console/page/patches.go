package page

import (
	"time"

	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
	"patchring/internal/face/console/ui"
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
	Verdict policy.Verdict
	After   string
}

// PatchLine is a patch in a list.
type PatchLine struct {
	ID        string
	Provider  string
	Name      string
	Version   string
	Suite     string
	Class     patch.Class
	Verdict   policy.Verdict
	Until     time.Time
	Devices   int64 // that lack it now
	FirstSeen time.Time
	Download  int64
}

// Patch is one patch with the devices that lack it.
type Patch struct {
	PatchLine
	Origin    string
	Summary   string
	ByRule    bool      // the verdict comes from a procedure's classes, not from a person
	By        string    // who decided
	Why       string    // why
	Decided   time.Time // when
	Campaigns []PatchCampaign
	Where     []PatchDevice
	Query     PatchDeviceQuery
	Next      string
	Events    []Event
}

// PatchCampaign is a campaign that carries the patch.
type PatchCampaign struct {
	ID, Name, Ring string
	Withdrawn      bool
}

// PatchDevice is a device that lacks the patch.
type PatchDevice struct {
	Device string
	Name   string
	State  patch.State
	Offer  string
	Since  time.Time
}

// PatchDeviceQuery is which of the devices are asked for.
type PatchDeviceQuery struct{ After string }

func (q PatchQuery) address() string {
	return ui.With("/patches", "name", q.Name, "class", string(q.Class), "verdict", string(q.Verdict), "after", q.After)
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
