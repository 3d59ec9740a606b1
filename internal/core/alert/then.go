package alert

import (
	"slices"
	"strconv"
	"time"

	"patchring/internal/core/fault"
	"patchring/internal/core/manifest"
	"patchring/internal/core/procedure"
)

// Thens lists what a rule may do by itself: stop, and say so. What changes a
// device is left to people, and to what a procedure says of an incident.
func Thens() []Do { return []Do{HoldCampaign, HoldDevice, OpenIncident} }

// PatchedFor is how long after an install a rule blames it: an update of Friday
// night is met by its users on Monday, or on Tuesday.
const PatchedFor = 4 * 24 * time.Hour

// Patched is the last install of a campaign on a device, by the server's clock.
// The zero Patched is none: never patched, or gone back since.
type Patched struct {
	Campaign string // id
	Ring     string
	Began    time.Time
	Ended    time.Time
}

// Blames tells whether a rule that acts by itself does so now: the alert stands,
// nobody has silenced it, and what it is about began with the install or after
// it, and has lasted for the rule's duration since the install was over, for
// installing is work in itself.
func (r Rule) Blames(a Alert, p Patched, l Look) bool {
	switch {
	case r.Then == "" || a.State != Firing && a.State != Acknowledged || l.Silent.After(l.Now):
		return false
	case p.Ended.IsZero() || l.Now.Sub(p.Ended) > PatchedFor || a.Since.Before(p.Began):
		return false
	}
	return !a.Last.Before(p.Ended.Add(r.For))
}

// readThen reads what the rule does by itself. Only what a device measures can
// be laid to an install of a campaign; what a campaign itself tells is answered
// by its procedure.
func (r *Rule) readThen(o manifest.Object) {
	r.Then = manifest.Choice(o, "then", "", Thens())
	switch at := o.Or("then"); {
	case r.Then == "":
	case r.Event != "" && r.Event != ProbeDown:
		o.Reader.Refuse(at, "does not go with "+string(r.Event)+": of campaigns the breaker of the procedure decides", "take it out, or make a rule on a measure or on probe_down")
	case r.During != DuringCampaign:
		o.Reader.Refuse(at, "is only for devices of a running campaign", "write scope: {during: campaign}")
	}
}

// Because is what is said of an act of the rule: what it saw, where, and who must
// act.
func (r Rule) Because(device string, a Alert, args map[string]string) fault.Reason {
	if r.Event == ProbeDown {
		return fault.Because(fault.AlertProbe, "alert", r.Name, "title_fr", r.Title.FR, "title_en", r.Title.EN, "device", device, "probes", args["probes"], "role", r.Who)
	}
	value := func(v float64) string { return string(r.Measure) + " " + strconv.FormatFloat(v, 'f', -1, 64) }
	return fault.Because(fault.AlertMeasure, "alert", r.Name, "title_fr", r.Title.FR, "title_en", r.Title.EN, "device", device,
		"measure", string(r.Measure), "value", value(a.Value), "limit", value(r.Limit), "role", r.Who)
}

// Grade is the severity of an incident that the rule opens.
func (r Rule) Grade() procedure.Severity {
	grades := procedure.Severities() // from the mildest, as ours
	return grades[min(max(slices.Index(Severities(), r.Severity), 0), len(grades)-1)]
}
