package ui

import (
	"patchring/internal/core/campaign"
	"patchring/internal/core/fleet"
	"patchring/internal/core/patch"
	"patchring/internal/core/policy"
)

// Tone is the meaning a colour carries; words beside it carry it too.
type Tone string

// Tones.
const (
	Good  Tone = "good"
	Busy  Tone = "busy"
	Warn  Tone = "warn"
	Bad   Tone = "bad"
	Idle  Tone = "idle"
	Apart Tone = "apart" // left out on purpose
)

// OfBucket is the tone of one of the five numbers.
func OfBucket(b campaign.Bucket) Tone {
	switch b {
	case campaign.Done:
		return Good
	case campaign.Failed:
		return Bad
	case campaign.Unreachable:
		return Warn
	case campaign.Exempt:
		return Apart
	default:
		return Idle
	}
}

// OfCampaign is the tone of a campaign's state.
func OfCampaign(s campaign.State) Tone {
	switch s {
	case campaign.Running, campaign.Verifying:
		return Busy
	case campaign.Draft:
		return Warn
	case campaign.Closed:
		return Good
	default:
		return Idle
	}
}

// OfRing is the tone of a ring's state, given what its gate last said.
func OfRing(s campaign.RingState, v campaign.Verdict) Tone {
	switch {
	case s.Passed():
		return Good
	case s == campaign.RingGate && v != campaign.Undecided:
		return Warn
	case s.Opened():
		return Busy
	default:
		return Idle
	}
}

// OfVerdict is the tone of a gate's verdict.
func OfVerdict(v campaign.Verdict) Tone {
	switch v {
	case campaign.Pass:
		return Good
	case campaign.Undecided:
		return Idle
	default:
		return Warn
	}
}

// OfPatch is the tone of a device × patch state.
func OfPatch(s patch.State) Tone {
	switch s {
	case patch.Verified:
		return Good
	case patch.Failed:
		return Bad
	case patch.InstalledPendingReboot, patch.RolledBack:
		return Warn
	case patch.Downloading, patch.Installing, patch.Rebooting, patch.Verifying, patch.Ready:
		return Busy
	default:
		return Idle
	}
}

// OfDevice is the tone of a device's state.
func OfDevice(s fleet.State) Tone {
	switch s {
	case fleet.Compliant:
		return Good
	case fleet.Overdue, fleet.PendingReboot, fleet.Unreachable:
		return Warn
	case fleet.NotReady:
		return Bad
	case fleet.Exempt:
		return Apart
	default:
		return Idle
	}
}

// OfDecision is the tone of what policy or a person said of a patch.
func OfDecision(v policy.Verdict) Tone {
	switch v {
	case policy.Approved:
		return Good
	case policy.Declined:
		return Bad
	case policy.Delayed:
		return Warn
	default:
		return Idle
	}
}

// OfClass is the tone of a patch's class. Unknown is never shown as harmless.
func OfClass(c patch.Class) Tone {
	switch c {
	case patch.Security:
		return Bad
	case patch.Unknown:
		return Warn
	default:
		return Idle
	}
}
