package page

import (
	"patchring/internal/core/cleanup"
	"patchring/internal/face/console/ui"
	"patchring/internal/infra/view"
)

// CleanUps is what each item counted and freed, and where it stands on devices.
type CleanUps struct {
	Query CleanUpQuery
	Sums  []view.CleanUpSum
	Rows  []view.CleanUpRow
	Next  string
}

// CleanUpQuery narrows the list of devices.
type CleanUpQuery struct {
	Item   string
	Device string // id
	State  string
	After  string
}

func (v CleanUps) path(item, state string) string {
	return ui.With("/clean-ups", "item", item, "device", v.Query.Device, "state", state)
}

func (v CleanUps) first() string {
	return firstPage(v.Query.After, "/clean-ups", "item", v.Query.Item, "device", v.Query.Device, "state", v.Query.State)
}

func (v CleanUps) next() string {
	return nextPage(v.Next, "/clean-ups", "item", v.Query.Item, "device", v.Query.Device, "state", v.Query.State)
}

// total is what was freed over the fleet.
func (v CleanUps) total() (bytes int64, atLeast bool) {
	for _, s := range v.Sums {
		bytes, atLeast = bytes+s.FreedBytes, atLeast || s.AtLeast
	}
	return bytes, atLeast
}

func mayApprove(f ui.Frame) bool { return f.Account != nil && f.Account.May.Fleet }

func approvable(f ui.Frame, s view.CleanUpSum) bool {
	return mayApprove(f) && s.Fingerprint != "" && !s.Approved && s.Counted > 0
}

func revocable(f ui.Frame, s view.CleanUpSum) bool {
	return mayApprove(f) && s.Fingerprint != "" && (s.Approved || s.Singly > 0)
}

func approvePath(item, print, device string) string {
	return ui.With("/clean-ups/approve", "item", item, "fingerprint", print, "device", device)
}

func freed(f ui.Frame, bytes int64, atLeast bool) string {
	if atLeast {
		return f.T("clean_up.at_least", "size", f.Bytes(bytes))
	}
	return f.Bytes(bytes)
}

func cleanUpTone(s cleanup.State) ui.Tone {
	switch s {
	case cleanup.AwaitingApproval:
		return ui.Warn
	case cleanup.Approved, cleanup.Ordered:
		return ui.Busy
	case cleanup.Resting:
		return ui.Good
	default:
		return ui.Idle
	}
}
