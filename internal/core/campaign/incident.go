package campaign

import (
	"patchring/internal/core/procedure"
)

// Answered is what a campaign did about an incident, and where the incident
// stands in it.
type Answered struct {
	Campaign ID
	Ring     string // named, or of its device; empty: the whole campaign
	Response Response
}

// HoldsFor are the stops that come with a response. A patch that is named stops
// everywhere in the campaign: the next ring must not get what this one suffers
// of. A critical incident also stops its ring, and one that names neither patch
// nor ring stops the campaign. What goes back on the whole campaign is
// withdrawn, which is stronger than any hold.
func HoldsFor(r Response, ask Incident) []PlaceHold {
	if r != PlacesHold && (r != RollsBackAll || ask.Ring == "") {
		return nil
	}
	var out []PlaceHold
	if ask.Patch != "" {
		out = append(out, PlaceHold{Patch: ask.Patch, Reason: ask.What})
	}
	if ask.Ring != "" && (ask.Patch == "" || ask.Severity == procedure.Critical) {
		out = append(out, PlaceHold{Ring: ask.Ring, Reason: ask.What})
	}
	if len(out) == 0 {
		out = append(out, PlaceHold{Reason: ask.What})
	}
	return out
}
