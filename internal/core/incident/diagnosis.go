package incident

import (
	"time"

	"patchring/internal/core/fault"
	"patchring/wire"
)

// Diagnosis is what the server knew of a device when somebody there said that
// an update broke something. It is kept as it was then: a day later the device
// says other things.
type Diagnosis struct {
	At      time.Time    `json:"at"`
	Patches []PatchOn    `json:"patches"`          // of the campaign, on the device; the latest first
	Events  []EventOn    `json:"events"`           // of the register; the latest first
	Probes  []ProbeOn    `json:"probes"`           // by name
	Sample  *wire.Sample `json:"sample,omitempty"` // the last measures
}

// Bounds of a diagnosis.
const (
	MostPatches = 50
	MostEvents  = 20
	MostProbes  = 30
)

// PatchOn is where one patch stood on the device.
type PatchOn struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Version  string        `json:"version"`
	State    string        `json:"state"`
	Reason   *fault.Reason `json:"reason,omitempty"`
	Updated  time.Time     `json:"updated"`
	Packages []wire.Change `json:"packages"`
}

// EventOn is one entry of the register.
type EventOn struct {
	At     time.Time     `json:"at"`
	Kind   string        `json:"kind"`
	Patch  string        `json:"patch,omitempty"`
	Reason *fault.Reason `json:"reason,omitempty"`
}

// ProbeOn is what one probe had last found.
type ProbeOn struct {
	Name  string        `json:"name"`
	State string        `json:"state"` // up, down
	Since time.Time     `json:"since"`
	Cause *fault.Reason `json:"cause,omitempty"`
}
