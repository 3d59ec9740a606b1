package page

import (
	"strconv"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/face/console/ui"
	"patchring/internal/face/lang"
)

// anchor is unique on a board: an amendment repeats the rings' names.
func (r Ring) anchor() string {
	return "ring-" + strconv.FormatInt(r.Amendment, 10) + "-" + strconv.Itoa(r.Position)
}

func (r Ring) tone() ui.Tone {
	if r.Held {
		return ui.Warn
	}
	return ui.OfRing(r.State, r.Verdict)
}

func (r Ring) icon() string {
	switch {
	case r.Held:
		return "hand"
	case r.State.Passed():
		return "circle-check"
	case r.State == campaign.RingOpen:
		return "refresh-cw"
	case r.State == campaign.RingSoaking:
		return "hourglass"
	case r.State == campaign.RingGate:
		return "milestone"
	default:
		return "clock"
	}
}

// standing are the reasons a reader does not see otherwise: what the evidence
// lines and the visas below already say is not said twice.
func (r Ring) standing() []fault.Reason {
	var out []fault.Reason
	for _, why := range r.Reasons {
		switch why.Code {
		case fault.GateDoneTooLow, fault.GateFailedTooMany, fault.GateUnreachable, fault.GateNotReached,
			fault.GateSignOffMissing, fault.GateSignOffRefused, fault.GatePassed, fault.Expedited:
			continue
		}
		out = append(out, why)
	}
	return out
}

func visaClass(v Visa) string {
	switch {
	case !v.Given && v.Unheld:
		return "tone-bad"
	case !v.Given:
		return "tone-idle"
	case v.Yes:
		return "tone-good"
	default:
		return "tone-bad"
	}
}

func visaIcon(v Visa) string {
	switch {
	case !v.Given:
		return "circle-dashed"
	case v.Yes:
		return "circle-check"
	default:
		return "circle-x"
	}
}

// judged tells how an evidence line stands. What cannot be there yet is not
// shown as a failure: nothing before the ring opens, and until its gate
// decides only what more time will not mend.
func (r Ring) judged(e campaign.Evidence) ui.Tone {
	mends := e.Name != campaign.EvidenceFailed && e.Name != campaign.EvidenceUnreachable
	switch {
	case e.Unknown || !r.State.Opened():
		return ui.Idle
	case e.OK:
		return ui.Good
	case mends && (r.State == campaign.RingOpen || r.State == campaign.RingSoaking):
		return ui.Idle
	default:
		return ui.Bad
	}
}

func evidenceIcon(t ui.Tone) string {
	switch t {
	case ui.Good:
		return "circle-check"
	case ui.Bad:
		return "circle-x"
	default:
		return "circle-dashed"
	}
}

// behind is the list behind a number of the whole campaign: the ring's when
// only one has any, the rings otherwise.
func (b Board) behind(k campaign.Bucket) string {
	where := ""
	for _, r := range b.Rings {
		if ui.Count(r.Counters, k) == 0 {
			continue
		}
		if where != "" {
			return "#board-rings"
		}
		where = r.path(b.ID, string(k))
	}
	if where == "" {
		return "#board-rings"
	}
	return where
}

func sumCauses(causes []Cause) int64 {
	n := int64(0)
	for _, c := range causes {
		n += c.N
	}
	return n
}

func causeParts(causes []Cause) []ui.Part {
	parts := make([]ui.Part, len(causes))
	for i, c := range causes {
		parts[i] = ui.Part{Tone: ui.Bad, N: c.N}
	}
	return parts
}

func shade(i int) string { return "shade-" + strconv.Itoa(i) }

// lift is where the hold is lifted; the act returns to the page it began on.
func (h Hold) lift(f ui.Frame) string {
	return ui.With(campaignPath(h.Campaign, "resume"), "hold", h.ID, "back", f.Path)
}

// sampleWords is what a device of a ring is about, in as few words as can be.
func sampleWords(f ui.Frame, d RingDevice) string {
	switch {
	case d.Step != "":
		return f.Word(lang.Step, d.Step)
	case !d.Reason.IsZero():
		return f.Cause(d.Reason.Code)
	default:
		return f.Word(lang.Outcome, string(d.Bucket))
	}
}

// scope says what a hold stops.
func (h Hold) scope(f ui.Frame) string {
	switch {
	case h.Device != "":
		return f.T("hold.device", "name", h.DeviceName)
	case h.Item != "":
		return f.T("hold.item", "name", h.ItemName)
	case h.Ring != "":
		return f.T("hold.ring", "name", h.Ring)
	case h.Campaign != "":
		return f.T("hold.campaign")
	default:
		return f.T("hold.all")
	}
}
