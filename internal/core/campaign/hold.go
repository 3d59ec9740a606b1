package campaign

import (
	"slices"

	"patchring/internal/core/fault"
)

// Hold is a stop in force: it matches what fits every field that is not empty.
type Hold struct {
	ID       string
	Campaign ID
	Ring     string
	Item     string
	Device   string
	Reason   string
	Actor    string
}

func (h Hold) matches(campaign ID, ring, device string) bool {
	return (h.Campaign == "" || h.Campaign == campaign) && (h.Ring == "" || h.Ring == ring) && (h.Device == "" || h.Device == device)
}

func (h Hold) code() fault.Code {
	switch {
	case h.Item != "":
		return fault.ItemHeld
	case h.Device != "":
		return fault.DeviceHeld
	case h.Ring != "":
		return fault.RingHeld
	default:
		return fault.CampaignHeld
	}
}

func (h Hold) because() fault.Reason {
	if code := h.code(); code != fault.RingHeld {
		return fault.Because(code, "by", h.Actor, "reason", h.Reason)
	}
	return fault.Because(fault.RingHeld, "by", h.Actor, "reason", h.Reason, "ring", h.Ring)
}

// heldBy finds the hold that stops a whole ring, or a whole device of it. Of
// several, the one on the device is named, then the campaign's: which one was
// placed first says nothing. No device is asked about with an empty id.
func heldBy(holds []Hold, campaign ID, ring, device string) (Hold, bool) {
	found := -1
	for i, h := range holds {
		if h.Item == "" && h.matches(campaign, ring, device) && (found < 0 || holdRank(h) < holdRank(holds[found])) {
			found = i
		}
	}
	if found < 0 {
		return Hold{}, false
	}
	return holds[found], true
}

// HeldAsAWhole finds a hold that stops the campaign, and not a part of it.
func HeldAsAWhole(holds []Hold, campaign ID) (Hold, bool) {
	return heldBy(slices.DeleteFunc(slices.Clone(holds), func(h Hold) bool { return h.Ring != "" || h.Device != "" }), campaign, "", "")
}

func holdRank(h Hold) int {
	switch h.code() {
	case fault.DeviceHeld:
		return 0
	case fault.CampaignHeld:
		return 1
	default:
		return 2
	}
}

// itemHeldBy finds a hold on one item, for everyone or on this device only.
func itemHeldBy(holds []Hold, campaign ID, ring, device, item string) (Hold, bool) {
	for _, h := range holds {
		if h.Item == item && h.matches(campaign, ring, device) {
			return h, true
		}
	}
	return Hold{}, false
}
