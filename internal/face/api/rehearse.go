package api

import (
	"context"
	"net/http"

	"patchring/internal/core/campaign"
	"patchring/internal/core/fault"
	"patchring/internal/core/fleet"
	"patchring/internal/core/rehearsal"
	"patchring/internal/service/access"
	"patchring/internal/service/foresight"
)

// Rehearse says which campaign to rehearse, and which of its devices to list.
type Rehearse struct {
	Procedure  string `json:"procedure,omitempty" maxLength:"63" doc:"its latest version; not with text"`
	File       string `json:"file,omitempty" maxLength:"255" doc:"name of the procedure's file, for messages"`
	Text       string `json:"text,omitempty" maxLength:"524288" doc:"a procedure that need not have been applied"`
	Month      string `json:"month,omitempty" pattern:"^[0-9]{4}-[0-9]{2}$" doc:"the calendar month whose dates it takes"`
	Now        bool   `json:"now,omitempty" doc:"starting at once, the procedure's days counted from now"`
	PolicyFile string `json:"policy_file,omitempty" maxLength:"255" doc:"name of the policy's file, for messages"`
	PolicyText string `json:"policy_text,omitempty" maxLength:"524288" doc:"a policy in place of the one in force"`
	Ring       string `json:"ring,omitempty" maxLength:"63" doc:"list devices of this ring"`
	Bucket     string `json:"bucket,omitempty" enum:"done,failed,not_reached,unreachable,exempt" doc:"list devices that count so at the verification"`
	Reason     string `json:"reason,omitempty" maxLength:"63" doc:"list devices that are not done for this reason"`
	Cursor     string `json:"cursor,omitempty" maxLength:"64" doc:"next of the page before"`
	Limit      int    `json:"limit,omitempty" minimum:"0" maximum:"500" doc:"devices listed; none when not given"`
}

func (a *API) registerRehearse(tag string) {
	op := operation{method: http.MethodPost, path: "/campaigns/rehearse", id: "rehearse-campaign", summary: "Say what a campaign would do on the recorded fleet; nothing is written", tag: tag, act: access.See}
	handle(a, op, func(ctx context.Context, p access.Principal, in *asked[Rehearse]) (foresight.Rehearsal, error) {
		b := in.Body
		switch {
		case b.Now == (b.Month != ""):
			return foresight.Rehearsal{}, fault.New(fault.InvalidField, "field", "month", "problem", "month_or_now", "fix", "month | now")
		case (b.Procedure == "") == (b.Text == ""):
			return foresight.Rehearsal{}, fault.New(fault.InvalidField, "field", "procedure", "problem", "procedure_or_text", "fix", "procedure | text")
		}
		return a.Foresight.Rehearse(ctx, p.Tenant, foresight.Ask{
			Procedure: b.Procedure, File: foresight.Text{Name: b.File, Body: b.Text}, Month: b.Month, Now: b.Now,
			Policy: foresight.Text{Name: b.PolicyFile, Body: b.PolicyText},
			Fates: rehearsal.FateQuery{
				Ring: b.Ring, Bucket: campaign.Bucket(b.Bucket), Code: fault.Code(b.Reason), After: fleet.DeviceID(b.Cursor), Limit: b.Limit,
			},
		})
	})
}
