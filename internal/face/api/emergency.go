package api

import (
	"context"

	"patchring/internal/core/campaign"
	"patchring/internal/service/access"
)

// StartEmergency asks for an emergency campaign. Exactly one of patches, cve and
// missed says what it is about.
type StartEmergency struct {
	Procedure     string   `json:"procedure,omitempty" maxLength:"63" doc:"that of the campaign that missed something, or the only one with emergencies, when not given"`
	Name          string   `json:"name,omitempty" maxLength:"100" doc:"the vulnerability and the hour, when not given"`
	Patches       []string `json:"patches,omitempty" maxItems:"1000" doc:"these patches"`
	CVE           string   `json:"cve,omitempty" maxLength:"30" doc:"the patches that mend this vulnerability"`
	Missed        string   `json:"missed,omitempty" maxLength:"100" doc:"what devices of this campaign still lack of its content"`
	Reason        string   `json:"reason" maxLength:"1000"`
	Windows       []Window `json:"windows,omitempty" maxItems:"100" doc:"in place of the devices' own windows"`
	ThroughFreeze bool     `json:"through_freeze,omitempty" doc:"act in a freeze too; one of the sign-offs must then be another person's"`
	Day           string   `json:"day,omitempty" doc:"how long a procedure day lasts; the procedure says it when not given"`
}

// Approve is a sign-off on the start of an emergency.
type Approve struct {
	Role    string `json:"role" minLength:"1" maxLength:"63"`
	Yes     bool   `json:"yes"`
	Comment string `json:"comment,omitempty" maxLength:"1000"`
	Ticked  []int  `json:"ticked,omitempty" maxItems:"100" doc:"indexes of the checklist's points that were done"`
}

func (a *API) startEmergency(ctx context.Context, p access.Principal, in *asked[StartEmergency]) (Made, error) {
	day, err := duration("day", in.Body.Day)
	if err != nil {
		return Made{}, err
	}
	patches, err := a.patchIDs(ctx, p, in.Body.Patches)
	if err != nil {
		return Made{}, err
	}
	windows, err := intervals(in.Body.Windows)
	if err != nil {
		return Made{}, err
	}
	id, err := a.Conductor.StartEmergency(ctx, p.Tenant, p.Actor(), campaign.StartEmergency{
		Procedure: in.Body.Procedure, Name: in.Body.Name, Patches: patches, CVE: in.Body.CVE, Missed: in.Body.Missed, Reason: in.Body.Reason,
		Windows: windows, ThroughFreeze: in.Body.ThroughFreeze, Day: day,
	})
	if err != nil {
		return Made{}, err
	}
	return a.madeCampaign(ctx, p, id)
}

func (a *API) approve(ctx context.Context, p access.Principal, in *actOn[Approve]) error {
	if err := p.NeedRole(in.Body.Role); err != nil {
		return err
	}
	return a.Conductor.Approve(ctx, p.Tenant, p.Actor(), campaign.Sign{
		Campaign: in.Campaign, Role: in.Body.Role, Yes: in.Body.Yes, Comment: in.Body.Comment, Ticked: in.Body.Ticked,
	})
}
