package alert

// Do is what a person does from an alert.
type Do string

// What can be done.
const (
	HoldCampaign Do = "hold"
	HoldPatch    Do = "hold_patch"
	HoldDevice   Do = "hold_device" // stops the installs that remain on it
	RollBack     Do = "roll_back"   // on the device, or in the ring
	OpenIncident Do = "incident"
)

// Dos lists them.
func Dos() []Do { return []Do{HoldCampaign, HoldPatch, HoldDevice, RollBack, OpenIncident} }

// Can lists what an alert lets a person do: it depends on what it is about.
func Can(device, campaignID, patchID string) []Do {
	out := []Do{}
	if campaignID == "" {
		return out
	}
	out = append(out, HoldCampaign)
	if patchID != "" {
		out = append(out, HoldPatch)
	}
	if device != "" {
		out = append(out, HoldDevice)
	}
	if device != "" || patchID != "" {
		out = append(out, RollBack)
	}
	return append(out, OpenIncident)
}
